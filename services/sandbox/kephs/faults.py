"""What can be made to go wrong at the KEP providers."""

from __future__ import annotations

_CALL = frozenset({"provider", "account", "operation"})
_BEFORE_A_CALL = {"eyws.refuse_connection", "eyws.wsdl_changed", "eyws.tls_refused", "eyws.tls_untrusted"}
EYWS_FAULTS = {
    "eyws.refuse_connection": "EYWS: the connection is reset before a call is read.",
    "eyws.tls_refused": "EYWS: the TLS handshake is broken off with an alert.",
    "eyws.tls_untrusted": "EYWS: the certificate shown is not one for this server, nor from its authority.",
    "eyws.drop": "EYWS: the connection is reset when the call has arrived; it is not carried out.",
    "eyws.lost_answer": "EYWS: the call is carried out, then the connection is reset without an answer.",
    "eyws.delay": "EYWS: the call is carried out, its answer comes so many seconds late (value, default 5).",
    "eyws.html_page": "EYWS: a maintenance page in HTML instead of an answer (value: HTTP status, default 200).",
    "eyws.empty_body": "EYWS: HTTP 200 with nothing in it.",
    "eyws.soap_fault": "EYWS: a SOAP Fault (HTTP 500); the call is not carried out.",
    "eyws.inline": "EYWS: binaries stand as base64 in the XML, not as parts beside it (XOP).",
    "eyws.truncated_xop": "EYWS: an answer with parts ends too early; value 1: by a reset, else as if it were whole.",
    "eyws.endless_answer": "EYWS: the call is carried out, its answer goes on until the caller hangs up.",
    "eyws.clock_skew": "EYWS: the service's clock is so many seconds ahead (value, default 300) when it looks for a window.",
    "eyws.wsdl_changed": "EYWS: the WSDL has one operation more; value 1: an element has another name.",
    "eyws.rate_limited": "EYWS: the account is told that it calls too often.",
    "eyws.credit_exhausted": "EYWS: nothing is taken for want of credit, and the credit told is 0.",
    "eyws.outer_ok_inner_failed": "EYWS: sending answers state 0 with an error text and no id; nothing is sent.",
    "eyws.nil_arrays": "EYWS: lists hold one nil, as if there were nothing.",
    "eyws.duplicate_entry": "EYWS: every entry of a list comes twice; messages under another number.",
    "eyws.renumber": "EYWS: numbers in lists of messages are moved up (value, default 1), so that they name others.",
    "eyws.wrong_content": "EYWS: a download gives another message of the account.",
    "eyws.empty_download": "EYWS: a download gives an empty file, as for a message that is gone.",
    "eyws.evidence_download_fails": "EYWS: listed evidence cannot be downloaded.",
    "eyws.reorder_evidence": "EYWS: evidence is listed in the opposite order.",
}
FAULTS = {
    "smtp.refuse_connection": "SMTP submission: the connection is reset before the greeting.",
    "smtp.tempfail": "SMTP submission: the message is answered with 451 and not stored.",
    "smtp.permfail": "SMTP submission: the message is answered with 550 and not stored.",
    "smtp.drop_before_data": "SMTP submission: the connection is reset when the client says DATA; nothing is stored.",
    "smtp.drop_after_data": "SMTP submission: the message is stored and goes its way, but the answer is lost.",
    "smtp.drop_in_content": "SMTP submission: the connection is reset while the message arrives; nothing is stored.",
    "smtp.cut_answer": "SMTP submission: half an answer, then a reset (stage EHLO, AUTH, MAIL, RCPT, DATA, or content for the answer to the message, which is stored then).",
    "smtp.delay_answer": "SMTP submission: the message is stored, the answer comes so many seconds late (value, default 5).",
    "imap.refuse_connection": "IMAP: the connection is reset before the greeting.",
    "imap.drop": "IMAP: the connection is reset at the next command or notification in a selected folder.",
    "imap.endless_literal": "IMAP: the next literal is announced as 4 GiB and goes on until the client hangs up.",
    "imap.broken_literal": "IMAP: the connection is reset in the middle of the next literal.",
    "imap.new_uidvalidity": "IMAP: at the next SELECT the folder has another UIDVALIDITY and all its mails other UIDs.",
    "submission.agent_removed": "A message is rejected (11), because its signer is no longer an agent of the account.",
    "relay.down": "The provider cannot be reached by the others (31 if it lasts).",
    "evidence.delay": "Evidence is sent so many seconds late (value, default 5).",
    "evidence.duplicate": "Evidence is sent twice.",
    "evidence.bad_signature": "Evidence is changed after it was signed.",
    "evidence.unknown_code": "With 40 comes another piece of evidence of a kind outside the table of codes.",
    **EYWS_FAULTS,
}
_KNOWN_BESIDES = {
    "account": {
        *("smtp.tempfail", "smtp.permfail", "smtp.drop_after_data", "smtp.delay_answer", "submission.agent_removed"),
        *("imap.drop", "imap.endless_literal", "imap.broken_literal", "imap.new_uidvalidity"),
    },
    "stage": {"smtp.cut_answer"},
    "code": {"evidence.delay", "evidence.duplicate", "evidence.bad_signature"},
}
SCOPES = {
    **{
        name: frozenset({"provider", *(key for key, names in _KNOWN_BESIDES.items() if name in names)})
        for name in FAULTS
    },
    **dict.fromkeys(EYWS_FAULTS.keys() - _BEFORE_A_CALL, _CALL),
}
"""``provider`` (its name), where known ``account`` (an address), ``operation``, ``stage`` or ``code`` (of the evidence)."""

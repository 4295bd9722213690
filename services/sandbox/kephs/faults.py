"""What can be made to go wrong at the KEP providers."""

from __future__ import annotations

FAULTS = {
    "smtp.refuse_connection": "SMTP submission: the connection is reset before the greeting.",
    "smtp.tempfail": "SMTP submission: the message is answered with 451 and not stored.",
    "smtp.permfail": "SMTP submission: the message is answered with 550 and not stored.",
    "smtp.drop_before_data": "SMTP submission: the connection is reset when the client says DATA; nothing is stored.",
    "smtp.drop_after_data": "SMTP submission: the message is stored and goes its way, but the answer is lost.",
    "smtp.delay_answer": "SMTP submission: the message is stored, the answer comes so many seconds late (value, default 5).",
    "imap.refuse_connection": "IMAP: the connection is reset before the greeting.",
    "imap.drop": "IMAP: the connection is reset at the next command or notification in a selected folder.",
    "relay.down": "The provider cannot be reached by the others (31 if it lasts).",
    "evidence.delay": "Evidence is sent so many seconds late (value, default 5).",
    "evidence.duplicate": "Evidence is sent twice.",
    "evidence.bad_signature": "Evidence is changed after it was signed.",
    "evidence.unknown_code": "With 40 comes another piece of evidence of a kind outside the table of codes.",
}
_KNOWN_BESIDES = {
    "account": {"smtp.tempfail", "smtp.permfail", "smtp.drop_after_data", "smtp.delay_answer", "imap.drop"},
    "code": {"evidence.delay", "evidence.duplicate", "evidence.bad_signature"},
}
SCOPES = {
    name: frozenset({"provider", *(key for key, names in _KNOWN_BESIDES.items() if name in names)}) for name in FAULTS
}
"""``provider`` (its name), where known ``account`` (an address) or ``code`` (of the evidence)."""

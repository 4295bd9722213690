"""KEP mails made by hand: REM envelopes, evidence and letters, unsigned unless a signer is given.

Independent of the sandbox on purpose: what the relay reads is not checked against one writer only.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Callable, Sequence
from datetime import UTC, datetime

REM = "http://uri.etsi.org/02640/v2#"
DS = "http://www.w3.org/2000/09/xmldsig#"
EVENTS = {
    10: ("SubmissionAcceptanceRejection", "Acceptance"),
    11: ("SubmissionAcceptanceRejection", "Rejection"),
    20: ("RelayREMMDAcceptanceRejection", "Acceptance"),
    21: ("RelayREMMDAcceptanceRejection", "Rejection"),
    31: ("RelayREMMDFailure", ""),
    40: ("DeliveryNonDeliveryToRecipient", "Delivery"),
    41: ("DeliveryNonDeliveryToRecipient", "NonDelivery"),
    60: ("RetrievalNonRetrievalByRecipient", "Retrieval"),
    70: ("AcceptanceRejectionByRecipient", "Acceptance"),
}
Sign = Callable[[bytes], bytes]
"""Makes a detached signature of these bytes."""
MOMENT = datetime(2026, 11, 20, 10, 0, tzinfo=UTC)


def evidence_xml(
    code: int,
    *,
    original_id: str | None = "<letter@a>",
    identifier: str | None = None,
    issuer: str = "hs01",
    dispatch_id: str | None = None,
    digest: bytes | None = None,
    sender: str = "a@hs98.kep.tr",
    recipients: Sequence[str] = ("b@hs99.kep.tr",),
    refers_to: int | None = None,
    event_time: str | None = "2026-11-20T13:00:00+03:00",
    event_prefix: str = "http:uri.etsi.org/02640/Event#",
    reason: str | None = None,
    namespace: str = REM,
) -> bytes:
    kind, event = EVENTS[code]
    parts = [f'<{kind} xmlns="{namespace}" xmlns:ds="{DS}" version="2">']
    if event:
        parts.append(f"<EventCode>{event_prefix}{event}</EventCode>")
    if reason:
        parts.append(
            "<EventReasons><EventReason><Code>http://uri.etsi.org/02640/EventReasons#MailboxFull</Code>"
            f"<Details>{reason}</Details></EventReason></EventReasons>"
        )
    parts.append(
        f"<EvidenceIdentifier>{identifier or f'{issuer}-{code}-{original_id}'.strip('<>')}</EvidenceIdentifier>".replace(
            "-<", "-"
        )
    )
    parts.append(
        f"<EvidenceIssuerDetails><NamesPostalAddresses><NamePostalAddress><EntityName><Name>{issuer}</Name>"
        "</EntityName></NamePostalAddress></NamesPostalAddresses></EvidenceIssuerDetails>"
    )
    if event_time:
        parts.append(f"<EventTime>{event_time}</EventTime>")
    parts.append(f"<SenderDetails><AttributedElectronicAddress>{sender}</AttributedElectronicAddress></SenderDetails>")
    entities = "".join(
        f"<EntityDetails><AttributedElectronicAddress scheme='mailto'>{item}</AttributedElectronicAddress></EntityDetails>"
        for item in recipients
    )
    parts.append(f"<RecipientsDetails>{entities}</RecipientsDetails>")
    if refers_to is not None:
        parts.append(f"<EvidenceRefersToRecipient>{refers_to}</EvidenceRefersToRecipient>")
    details = ""
    if original_id is not None:
        details += f"<UAMessageIdentifier>{_escaped(original_id)}</UAMessageIdentifier>"
    if dispatch_id is not None:
        details += f"<MessageIdentifierByREMMD>{_escaped(dispatch_id)}</MessageIdentifierByREMMD>"
    if digest is not None:
        details += (
            '<ds:DigestMethod Algorithm="http://www.w3.org/2001/04/xmlenc#sha256"/>'
            f"<ds:DigestValue>{base64.b64encode(digest).decode()}</ds:DigestValue>"
        )
    parts.append(f"<SenderMessageDetails isNotification='false'>{details}</SenderMessageDetails></{kind}>")
    return ("<?xml version='1.0' encoding='UTF-8'?>" + "".join(parts)).encode()


def _escaped(text: str) -> str:
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def part(content_type: str, body: bytes, *, encode: bool = True, disposition: str | None = None) -> bytes:
    head = f"Content-Type: {content_type}\r\n"
    if disposition:
        head += f"Content-Disposition: {disposition}\r\n"
    if not encode:
        return head.encode() + b"\r\n" + body
    encoded = base64.encodebytes(body).replace(b"\n", b"\r\n").removesuffix(b"\r\n")
    return head.encode() + b"Content-Transfer-Encoding: base64\r\n\r\n" + encoded


def multipart(kind: str, parts: Sequence[bytes], *, parameters: str = "", boundary: str | None = None) -> bytes:
    mark = boundary or "b" + hashlib.sha256(b"".join(parts)).hexdigest()[:20]
    body = b"".join(b"--" + mark.encode() + b"\r\n" + item + b"\r\n" for item in parts)
    head = f'Content-Type: multipart/{kind}; {parameters}boundary="{mark}"\r\n\r\n'.encode()
    return head + body + b"--" + mark.encode() + b"--\r\n"


def mail(headers: dict[str, str], entity: bytes) -> bytes:
    return "".join(f"{name}: {value}\r\n" for name, value in headers.items()).encode() + entity


def signed(headers: dict[str, str], content: bytes, signature: bytes = b"\x30\x03\x02\x01\x00") -> bytes:
    entity = multipart(
        "signed",
        [content, part("application/pkcs7-signature; name=smime.p7s", signature)],
        parameters='protocol="application/pkcs7-signature"; micalg=sha-256; ',
    )
    return mail({**headers, "MIME-Version": "1.0"}, entity)


def letter(
    *attachments: tuple[str, bytes],
    message_id: str = "<letter@a>",
    subject: str = "Konu",
    sender: str = "a@hs98.kep.tr",
    rem_id: str = "rem-1",
    sign: Sign | None = None,
) -> bytes:
    """An original message with these attachments."""
    parts = [part("text/plain; charset=utf-8", b"Ekte.")]
    parts += [
        part("application/octet-stream", content, disposition=f'attachment; filename="{name}"')
        for name, content in attachments
    ]
    headers = {
        "From": f"<{sender}>", "To": "<b@hs99.kep.tr>", "Subject": subject, "Message-ID": message_id,
        "X-TR-REM-iletiTip": "eYazisma", "X-TR-REM-iletiID": rem_id,
    }  # fmt: skip
    content = multipart("mixed", parts)
    return signed(headers, content, *([sign(content)] if sign else []))


def dispatch(original: bytes, *evidence: bytes, sign: Sign | None = None, **headers: str) -> bytes:
    """A REM dispatch around ``original``."""
    parts = [part("text/plain; charset=utf-8", b"KEP iletisi")]
    parts += [part('application/xml; name="delil.xml"', item) for item in evidence]
    parts.append(part("message/rfc822", original, encode=False))
    fields = {
        "From": "<kephs@hs98.kep.tr>", "To": "<b@hs99.kep.tr>", "Subject": "KEP", "Message-ID": "<env@hs98>",
        "X-REM-Msg-Type": "Dispatch",
    }  # fmt: skip
    content = multipart("mixed", parts)
    return signed(
        {**fields, **{name.replace("_", "-"): value for name, value in headers.items()}},
        content,
        *([sign(content)] if sign else []),
    )


def evidence_mail(document: bytes, **headers: str) -> bytes:
    """A REM-MD message that carries one piece of evidence."""
    parts = [part("text/plain", b"Delil"), part('application/xml; name="delil.xml"', document)]
    fields = {
        "From": "<kephs@hs98.kep.tr>", "To": "<a@hs98.kep.tr>", "Subject": "Delil",
        "Message-ID": f"<{hashlib.sha256(document).hexdigest()[:16]}@hs98>", "X-REM-Msg-Type": "Message",
        "X-REM-Evidence-Type": "x",
    }  # fmt: skip
    return signed(
        {**fields, **{name.replace("_", "-"): value for name, value in headers.items()}}, multipart("mixed", parts)
    )

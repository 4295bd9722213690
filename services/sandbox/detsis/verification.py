"""The mail that asks the staff behind a new KEP address to confirm it, and the page its link opens."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from email.utils import format_datetime
from html import escape
from uuid import uuid4

from services.sandbox.detsis.registrations import Registration, RegistrationState
from services.sandbox.kephs.cms import sign_detached
from services.sandbox.kephs.smime import CRLF, compose_headers, compose_multipart, compose_part, compose_signed
from services.sandbox.pki.identity import Identity

SUBJECT = "DETSİS KEP adresi doğrulama"
"""Start of the subject; the unit's number follows. The real wording is not published."""
_PAGE = """<!DOCTYPE html>
<html lang="tr"><head><meta charset="utf-8"><title>{title}</title></head>
<body><h1>{title}</h1><p>{text}</p>{form}</body></html>
"""
_TEXTS = {
    RegistrationState.WAITING: "Adresi doğrulamak için düğmeye basınız. O zamana kadar önceki adres geçerlidir.",
    RegistrationState.ACTIVE: "Adres doğrulandı; diğer kurumların kullanımına açıktır.",
    RegistrationState.REPLACED: "Bu kayıt geçersiz: birim için sonradan başka bir adres kaydedildi.",
}


@dataclass(frozen=True)
class VerificationMail:
    """A signed message, ready to be submitted by its sender's provider."""

    message_id: str
    content: bytes


def compose_verification(
    registration: Registration, unit_name: str, link: str, *, sender: str, identity: Identity, now: datetime
) -> VerificationMail:
    """An ordinary KEP message (``standart``, no package) with the link as text and as HTML."""
    message_id = f"<{uuid4()}@{sender.partition('@')[2]}>"
    text = (
        f"Sayın yetkili,{{break}}{{break}}{registration.kep_address} adresi, {registration.detsis_no} numaralı "
        f"{unit_name} için DETSİS'e kaydedilmiştir.{{break}}Adresi kullanıma açmak için aşağıdaki bağlantıyı "
        "açınız. Doğrulanana kadar önceki adres geçerli kalır.{break}{break}"
    )
    plain = f"{text.replace('{break}', chr(13) + chr(10))}{link}\r\n"
    page = escape(text).replace("{break}", "<br>")
    html = f'<html><body><p>{page}<a href="{escape(link)}">{escape(link)}</a></p></body></html>\r\n'
    content_type, body = compose_multipart(
        "alternative",
        [
            compose_part([("Content-Type", "text/plain; charset=utf-8")], plain.encode()),
            compose_part([("Content-Type", "text/html; charset=utf-8")], html.encode()),
        ],
    )
    entity = compose_headers([("Content-Type", content_type)]) + CRLF + body
    fields = [
        ("From", sender),
        ("To", registration.kep_address),
        ("Subject", f"{SUBJECT}: {registration.detsis_no}"),
        ("Date", format_datetime(now)),
        ("Message-ID", message_id),
        ("X-TR-REM-iletiTip", "standart"),
        ("X-TR-REM-iletiID", str(uuid4().int % 10**12)),
    ]
    return VerificationMail(message_id, compose_signed(fields, entity, lambda part: sign_detached(part, identity, now)))


def confirmation_page(registration: Registration) -> str:
    """What a browser shows: the state and, while it waits, the button."""
    form = ""
    if registration.state is RegistrationState.WAITING:
        form = (
            # Without an action the form goes back to this page's own address, which carries the token.
            '<form method="post"><button type="submit">Doğrula</button></form>'
        )
    text = f"{registration.detsis_no}: {registration.kep_address}. {_TEXTS[registration.state]}"
    return _PAGE.format(title="DETSİS KEP adresi doğrulama", text=escape(text), form=form)

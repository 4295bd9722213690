"""Sending over the service: a ready S/MIME message, or one that the provider builds and the caller signs (kep.md 2.6)."""

from __future__ import annotations

import base64
import hashlib
import uuid
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass
from email.utils import format_datetime

from services.sandbox.detsis.calendar import TURKISH_TIME
from services.sandbox.kephs import wire
from services.sandbox.kephs.cms import CmsRejectedError, verify_detached
from services.sandbox.kephs.eyws.messages import Handed
from services.sandbox.kephs.eyws.refusals import RefusalCode, RefusedCall
from services.sandbox.kephs.plan import Account, Timeline
from services.sandbox.kephs.provider import KepProvider
from services.sandbox.kephs.smime import (
    CRLF,
    MailRejectedError,
    compose_headers,
    compose_multipart,
    compose_part,
    compose_signed,
    parse_entity,
)
from services.sandbox.kephs.standing import Standings
from services.sandbox.kephs.submission import (
    RECIPIENT_LIMIT,
    SIZE_LIMIT,
    SubmissionRefusedError,
    examine_at_the_door,
)
from shared.domain.identifiers import KepAddress, ascii_lower, kep_address

_MOST_UNSIGNED = 100
_DIGESTS = {"SHA256": hashlib.sha256, "SHA512": hashlib.sha512}


@dataclass(frozen=True)
class Draft:
    """What a caller wants the provider to build."""

    kind: str
    """As ``wire.MESSAGE_KIND`` says it."""
    reference: str
    recipients: str
    subject: str
    text: str
    is_html: bool
    attachments: Sequence[Handed]
    digest: str


@dataclass(frozen=True)
class _Unsigned:
    account: str
    fields: tuple[tuple[str, str], ...]
    content: bytes


class SendingDesk:
    """Takes messages in for one provider. What is built and not yet signed lives in memory."""

    def __init__(self, provider: KepProvider, standings: Standings, clock: Timeline) -> None:
        self._provider = provider
        self._standings = standings
        self._clock = clock
        self._unsigned: OrderedDict[str, _Unsigned] = OrderedDict()

    def upload(self, account: Account, content: bytes, kind: str) -> str:
        """Send a ready message; return its Message-ID. Raises ``RefusedCall``, and nothing is stored then.

        ``kind`` must be what the message's own header says, in any case (kep.md 7.42).
        """
        if len(content) > SIZE_LIMIT:
            raise RefusedCall(RefusalCode.BAD_MESSAGE, "25 MB sınırı aşıldı")
        try:
            message_id = examine_at_the_door(content, account)
            headers = parse_entity(content)
        except (SubmissionRefusedError, MailRejectedError) as error:
            raise RefusedCall(RefusalCode.BAD_MESSAGE, str(error)) from error
        if ascii_lower(headers.text(wire.MESSAGE_KIND)) != ascii_lower(kind):
            raise RefusedCall(RefusalCode.KIND_DISAGREES)
        named = [address for name in ("To", "Cc", "Bcc") for address in headers.addresses(name)]
        self._send(account, _recipients(named), content, message_id)
        return message_id

    def build(self, account: Account, draft: Draft) -> tuple[str, str]:
        """Build a message and keep it until it is signed; return its Message-ID and the base64 digest to sign.

        Raises ``RefusedCall``.
        """
        if draft.digest not in _DIGESTS:
            raise RefusedCall(RefusalCode.BAD_MESSAGE, f"{draft.digest} kabul edilmiyor")
        recipients = _recipients([address.strip() for address in draft.recipients.split(",") if address.strip()])
        if not draft.subject or not draft.text:
            raise RefusedCall(RefusalCode.BAD_MESSAGE, "konu ve içerik zorunludur")
        text_type = "text/html" if draft.is_html else "text/plain"
        content_type, body = compose_multipart(
            "mixed",
            [
                compose_part([("Content-Type", f"{text_type}; charset=utf-8")], draft.text.encode()),
                *(_attachment(one) for one in draft.attachments),
            ],
        )
        content = compose_headers([("Content-Type", content_type)]) + CRLF + body
        now = self._clock.now().astimezone(TURKISH_TIME)
        message_id = f"<EYWS{{{uuid.uuid4()}}}.{now:%d%m%Y%H%M%S}.pttkepMimeyap>"
        fields = (
            ("From", account.address),
            ("To", ", ".join(recipients)),
            ("Subject", draft.subject),
            ("Message-ID", message_id),
            ("Date", format_datetime(now)),
            (wire.MESSAGE_KIND, draft.kind),
            *([(wire.MESSAGE_REFERENCE, draft.reference)] if draft.reference else []),
        )
        self._unsigned[message_id] = _Unsigned(ascii_lower(account.address), fields, content)
        if len(self._unsigned) > _MOST_UNSIGNED:
            self._unsigned.popitem(last=False)
        return message_id, base64.b64encode(_DIGESTS[draft.digest](content).digest()).decode()

    def send_built(self, account: Account, message_id: str, signature: bytes) -> None:
        """Put the signature to a built message and send it. Raises ``RefusedCall``; it can be tried again then."""
        unsigned = self._unsigned.get(message_id)
        if unsigned is None or unsigned.account != ascii_lower(account.address):
            raise RefusedCall(RefusalCode.NO_SUCH_MESSAGE)
        try:
            verify_detached(unsigned.content, signature)
        except CmsRejectedError as error:
            raise RefusedCall(RefusalCode.BAD_MESSAGE, "imza doğrulanamadı") from error
        mail = compose_signed(unsigned.fields, unsigned.content, lambda _: signature)
        self._send(account, _recipients(parse_entity(mail).addresses("To")), mail, message_id)
        del self._unsigned[message_id]

    def _send(self, account: Account, recipients: Sequence[KepAddress], content: bytes, message_id: str) -> None:
        credit = self._standings.of(account.address).credit
        if credit < 1:
            raise RefusedCall(RefusalCode.NO_CREDIT)
        self._provider.submit(kep_address(account.address), recipients, content, message_id)
        self._standings.change(account.address, credit=credit - 1)


def _attachment(one: Handed) -> bytes:
    name = "".join(sign for sign in one.name if sign.isprintable() and sign not in '"\\')[:200]
    fields = [("Content-Type", one.media_type or "application/octet-stream")]
    fields += [("Content-Disposition", f'attachment; filename="{name}"' if name else "attachment")]
    return compose_part(fields, one.content)


def _recipients(named: Sequence[str]) -> list[KepAddress]:
    try:
        # Named twice, still one recipient.
        recipients = list(dict.fromkeys(kep_address(address) for address in named))
    except ValueError as error:
        raise RefusedCall(RefusalCode.BAD_MESSAGE, "alıcı KEP adresi değil") from error
    if not recipients or len(recipients) > RECIPIENT_LIMIT:
        raise RefusedCall(RefusalCode.BAD_MESSAGE, "alıcı sayısı")
    return recipients

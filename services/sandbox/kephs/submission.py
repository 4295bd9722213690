"""SMTP submission as a KEP provider offers it: TLS, AUTH, and what makes it refuse a message at the door."""

from __future__ import annotations

import asyncio
import ssl

from aiosmtpd.smtp import SMTP, AuthResult, Envelope, LoginPassword, Session

from services.sandbox.faults import FaultBoard
from services.sandbox.kephs import wire
from services.sandbox.kephs.plan import Account
from services.sandbox.kephs.provider import KepProvider
from services.sandbox.kephs.smime import MailRejectedError, parse_signed
from services.sandbox.kephs.sockets import TrackedSmtp
from shared.domain.identifiers import KepAddress, ascii_lower, kep_address

SIZE_LIMIT = 25 * 1024 * 1024
"""Octets of one KEP message (kep.md 1.5)."""
RECIPIENT_LIMIT = 100
_ANSWER_DELAY_SECONDS = 5.0


class SubmissionRefusedError(Exception):
    """The SMTP answer, code and text, with which a message is refused."""


class SubmissionSession:
    """aiosmtpd's hooks for one provider's submission port."""

    def __init__(self, provider: KepProvider, faults: FaultBoard) -> None:
        self._provider = provider
        self._faults = faults
        self._accounts: dict[str, Account] = {account.username: account for account in provider.plan.accounts}

    def add(self, account: Account) -> None:
        """From now on this account may log in."""
        self._accounts[account.username] = account

    def authenticate(
        self, _server: SMTP, _session: Session, _envelope: Envelope, _mechanism: str, data: object
    ) -> AuthResult:
        """Check a login; on success ``session.auth_data`` is the account."""
        if isinstance(data, LoginPassword):
            account = self._accounts.get(data.login.decode("utf-8", "replace"))
            if account is not None and account.password.encode() == data.password:
                return AuthResult(success=True, auth_data=account)
        return AuthResult(success=False, handled=False)

    async def handle_MAIL(  # noqa: N802
        self, _server: SMTP, session: Session, envelope: Envelope, address: str, options: list[str]
    ) -> str:
        """Only the account itself may be the sender."""
        account = session.auth_data
        if not isinstance(account, Account):
            return "530 5.7.0 authentication required"
        if ascii_lower(address) != ascii_lower(account.address):
            return "553 5.7.1 the sender is not the account"
        envelope.mail_from = address
        envelope.mail_options.extend(options)
        return "250 2.1.0 OK"

    async def handle_RCPT(  # noqa: N802
        self, _server: SMTP, _session: Session, envelope: Envelope, address: str, _options: list[str]
    ) -> str:
        """Any address that could be one; whether it exists is found out later, by evidence."""
        try:
            recipient = kep_address(address)
        except ValueError:
            return "553 5.1.3 not a KEP address"
        if len(envelope.rcpt_tos) >= RECIPIENT_LIMIT:
            return "452 4.5.3 too many recipients"
        envelope.rcpt_tos.append(recipient)
        return "250 2.1.5 OK"

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:  # noqa: N802
        """Store the message durably, then say 250."""
        account, content = session.auth_data, envelope.content
        assert isinstance(account, Account)
        assert isinstance(content, bytes)
        scope = {"provider": self._provider.plan.name, "account": account.address}
        if self._faults.take("smtp.tempfail", **scope):
            return "451 4.3.0 temporary failure (ordered)"
        if self._faults.take("smtp.permfail", **scope):
            return "550 5.7.0 refused (ordered)"
        try:
            message_id = examine_at_the_door(content, account)
        except SubmissionRefusedError as exc:
            return str(exc)
        # Named twice, still one recipient: RFC 5321 4.5.4.1 wants one copy each.
        recipients = [KepAddress(recipient) for recipient in dict.fromkeys(envelope.rcpt_tos)]
        self._provider.submit(kep_address(account.address), recipients, content, message_id)
        if self._faults.take("smtp.drop_after_data", **scope) and isinstance(server, TrackedSmtp):
            server.hang_up()
        if (delay := self._faults.draw("smtp.delay_answer", **scope)) is not None:
            await asyncio.sleep(_ANSWER_DELAY_SECONDS if delay.value is None else delay.value)
        return f"250 2.0.0 accepted {message_id}"


def submission_protocol(
    session: SubmissionSession,
    provider: KepProvider,
    faults: FaultBoard,
    live: set[TrackedSmtp],
    starttls: ssl.SSLContext | None,
) -> TrackedSmtp:
    """A server-side connection of the submission port; ``starttls`` None means that TLS came first."""
    name = provider.plan.name
    return TrackedSmtp(
        session,
        live=live,
        refuses=lambda: faults.take("smtp.refuse_connection", provider=name),
        drops_data=lambda: faults.take("smtp.drop_before_data", provider=name),
        drops_content=lambda: faults.take("smtp.drop_in_content", provider=name),
        cuts=lambda stage: faults.take("smtp.cut_answer", provider=name, stage=stage),
        data_size_limit=SIZE_LIMIT,
        hostname=f"smtp.{provider.plan.domain}",
        ident="KEPHS submission (sandbox)",
        authenticator=session.authenticate,
        # aiosmtpd counts only STARTTLS as TLS; with implicit TLS the whole connection is inside it anyway.
        auth_require_tls=starttls is not None,
        tls_context=starttls,
        require_starttls=starttls is not None,
        loop=asyncio.get_running_loop(),
    )


def examine_at_the_door(content: bytes, account: Account) -> str:
    """Return the Message-ID. What is wrong with the signature itself is evidence 11, not a refusal here.

    Raises ``SubmissionRefusedError``.
    """
    if not content.count(b"\r\n") == content.count(b"\n") == content.count(b"\r"):
        raise SubmissionRefusedError("554 5.6.0 bare CR or LF")
    try:
        mail = parse_signed(content)
    except MailRejectedError as exc:
        raise SubmissionRefusedError(f"554 5.6.0 {exc}") from exc
    kind = ascii_lower(mail.headers.text(wire.MESSAGE_KIND))
    if kind not in wire.MESSAGE_KINDS:
        raise SubmissionRefusedError(f"554 5.6.0 {wire.MESSAGE_KIND} is missing or unknown")
    senders = [ascii_lower(address) for address in mail.headers.addresses("From")]
    if senders != [ascii_lower(account.address)]:
        raise SubmissionRefusedError("553 5.7.1 From is not the account")
    message_id = mail.headers.text("Message-ID")
    if not message_id:
        raise SubmissionRefusedError("554 5.6.0 Message-ID is missing")
    return message_id

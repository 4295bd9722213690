"""Who may use the service: passwords in every call, a lock after wrong ones, and the second factor (kep.md 2.5)."""

from __future__ import annotations

import base64
import hmac
import secrets
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from hashlib import sha256

from services.sandbox.kephs.cms import CmsRejectedError, verify_detached
from services.sandbox.kephs.eyws.refusals import RefusalCode, RefusedCall
from services.sandbox.kephs.plan import Account, LoginPolicy, Timeline
from services.sandbox.kephs.standing import Standings
from shared.domain.identifiers import ascii_lower

SMS_KEY = "135790"
"""Every SMS brings the same key."""
_CHALLENGE_LIFETIME = timedelta(minutes=3)


@dataclass(frozen=True)
class Credentials:
    """What stands in the body of every call."""

    address: str
    agent_no: str = field(repr=False)
    password: str = field(repr=False)
    second_password: str = field(repr=False)


@dataclass(frozen=True)
class Challenge:
    """What has to be answered; ``text`` and its digest only for a signature."""

    security_id: str = field(repr=False)
    text: str = ""

    @property
    def digest(self) -> str:
        """Base64 of the text's SHA-256."""
        return base64.b64encode(sha256(self.text.encode()).digest()).decode()


@dataclass(frozen=True)
class _Pending:
    address: str
    policy: LoginPolicy
    challenge: Challenge
    until: datetime


class LoginDesk:
    """Checks log-ins to one provider's service. Challenges and security ids live in memory."""

    def __init__(
        self, accounts: Iterable[Account], standings: Standings, clock: Timeline, security_id_lifetime: timedelta
    ) -> None:
        self._accounts: dict[str, Account] = {}
        self._standings = standings
        self._clock = clock
        self._lifetime = security_id_lifetime
        self._pending: dict[str, _Pending] = {}
        self._opened: dict[str, tuple[str, datetime]] = {}
        for account in accounts:
            self.add(account)

    def add(self, account: Account) -> None:
        """From now on this account may log in, if it has access at all."""
        if account.soap is not None:
            self._accounts[ascii_lower(account.address)] = account

    def authenticate(self, credentials: Credentials) -> Account:
        """The account. Raises ``RefusedCall``; wrong passwords are counted."""
        account = self._accounts.get(ascii_lower(credentials.address))
        if account is None or account.soap is None:
            raise RefusedCall(RefusalCode.WRONG_PASSWORD)
        standing = self._standings.of(account.address)
        if standing.locked:
            raise RefusedCall(RefusalCode.LOCKED)
        right = (
            (credentials.agent_no, account.soap.agent_no),
            (credentials.password, account.password),
            (credentials.second_password, account.soap.second_password),
        )
        if not all(hmac.compare_digest(given.encode(), known.encode()) for given, known in right):
            wrong = standing.wrong_passwords + 1
            locked = standing.locks_after is not None and wrong >= standing.locks_after
            self._standings.change(account.address, wrong_passwords=wrong, locked=locked)
            raise RefusedCall(RefusalCode.WRONG_PASSWORD)
        if standing.wrong_passwords:
            self._standings.change(account.address, wrong_passwords=0)
        return account

    def begin(self, account: Account, policy: LoginPolicy) -> Challenge | None:
        """Begin a log-in; an earlier one of the account is void. None when there is nothing to answer.

        Raises ``RefusedCall`` if the account does not log in that way.
        """
        if policy is LoginPolicy.BASE:
            return None
        if policy is not self._standings.of(account.address).policy:
            raise RefusedCall(RefusalCode.SECOND_FACTOR, f"{policy} bu hesap için tanımlı değil")
        address, now = ascii_lower(account.address), self._clock.now()
        self._pending = {key: one for key, one in self._pending.items() if one.address != address and one.until > now}
        text = f"{address} {now.isoformat(timespec='seconds')} {secrets.token_hex(8)}"
        challenge = Challenge(secrets.token_urlsafe(24), text if policy is LoginPolicy.SIGNATURE else "")
        self._pending[challenge.security_id] = _Pending(address, policy, challenge, now + _CHALLENGE_LIFETIME)
        return challenge

    def confirm(
        self, account: Account, policy: LoginPolicy, security_id: str, *, sms_key: str, signature: bytes
    ) -> str:
        """The security id to read with. An answer uses its challenge up, right or wrong. Raises ``RefusedCall``."""
        pending = self._pending.pop(security_id, None)
        now = self._clock.now()
        asked = (ascii_lower(account.address), policy)
        if pending is None or (pending.address, pending.policy) != asked or pending.until <= now:
            raise RefusedCall(RefusalCode.SECOND_FACTOR, "giriş bulunamadı veya süresi geçti")
        if policy is LoginPolicy.OTP and not hmac.compare_digest(sms_key.encode(), SMS_KEY.encode()):
            raise RefusedCall(RefusalCode.SECOND_FACTOR, "SMS anahtarı yanlış")
        if policy is LoginPolicy.SIGNATURE:
            try:
                verify_detached(pending.challenge.text.encode(), signature)
            except CmsRejectedError as error:
                raise RefusedCall(RefusalCode.SECOND_FACTOR, "imza doğrulanamadı") from error
        opened = secrets.token_urlsafe(24)
        self._opened = {key: one for key, one in self._opened.items() if one[1] > now}
        self._opened[opened] = (asked[0], now + self._lifetime)
        return opened

    def require_second_factor(self, account: Account, security_id: str) -> None:
        """Raise ``RefusedCall`` unless the account needs none or ``security_id`` opens it now."""
        if self._standings.of(account.address).policy is LoginPolicy.BASE:
            return
        address, until = self._opened.get(security_id, ("", self._clock.now()))
        if address != ascii_lower(account.address) or until <= self._clock.now():
            raise RefusedCall(RefusalCode.SECOND_FACTOR)

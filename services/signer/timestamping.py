"""Time-stamps for our own seals (RFC 3161): asked of one authority, and looked at before a seal has them.

A token is taken only when it is about this signature, carries our nonce, was made now by our clock, and its
authority's certificate leads to an anchor for time-stamps. Its revocation is left to verification: a list
that is late must not keep a letter from being sealed.
"""

from __future__ import annotations

import asyncio
import hashlib
import secrets
from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import TypeAlias

import structlog
from pydantic import SecretStr

from services.signer import der
from services.signer.anchoring import anchored_path
from services.signer.certificates import ASN1_FAULTS
from services.signer.checks.algorithms import OID_BY_DIGEST
from services.signer.checks.timestamps import TimestampFacts, read_timestamp
from services.signer.fetchers import FetchFailed, GuardedFetcher
from services.signer.findings import CheckFailed
from services.signer.limits import DEFAULT_LIMITS
from services.signer.trust import TrustDirectory
from shared.clock import Clock
from shared.errors import DomainError, ErrorCode

log = structlog.get_logger(__name__)

Stamp: TypeAlias = Callable[[bytes], Awaitable[bytes]]
"""From a signature value to a verified token (DER ContentInfo); raises ``DomainError`` (SERVICE_UNAVAILABLE)."""

LONGEST_ANSWER = 128 * 1024
"""Bytes; a token with its chain has some thousands."""

_DIGEST = "sha256"
_NONCE_BITS = 64
_GRANTED = frozenset({0, 1})
"""granted, grantedWithMods (RFC 3161, 2.4.2)."""
_RETRY_SECONDS = 30


class TimestampRefused(Exception):  # noqa: N818 - an outcome
    """The answer is no time-stamp that may be used; the message says why."""


class TimestampAuthority:
    """One authority; ``on_outcome`` is told whether each request gave a token."""

    def __init__(
        self,
        url: str,
        fetcher: GuardedFetcher,
        trust: TrustDirectory,
        clock: Clock,
        *,
        policies: frozenset[str],
        skew: timedelta,
        authorization: SecretStr | None = None,
        on_outcome: Callable[[bool], None] = lambda _granted: None,
    ) -> None:
        self._url = url
        self._fetcher = fetcher
        self._trust = trust
        self._clock = clock
        self._policies = policies
        self._skew = skew
        self._authorization = authorization
        self._on_outcome = on_outcome

    async def stamp(self, value: bytes) -> bytes:
        """A token about a signature value, as ``Stamp`` says."""
        nonce = secrets.randbits(_NONCE_BITS)
        headers = {"Content-Type": "application/timestamp-query", "Accept": "application/timestamp-reply"}
        if self._authorization is not None:
            headers["Authorization"] = self._authorization.get_secret_value()
        try:
            answer = await self._fetcher.post(self._url, timestamp_request(value, nonce), headers)
            token = await asyncio.to_thread(self._checked, answer, value, nonce)
        except (FetchFailed, TimestampRefused) as error:
            self._on_outcome(False)
            log.warning("timestamp_not_usable", reason=str(error))
            raise DomainError(
                ErrorCode.SERVICE_UNAVAILABLE,
                "the time-stamp authority gives no usable time-stamp now",
                retry_after_seconds=_RETRY_SECONDS,
            ) from error
        self._on_outcome(True)
        return token

    def _checked(self, answer: bytes, value: bytes, nonce: int) -> bytes:
        try:
            token = granted_token(answer)
            stamp = read_timestamp(token, value, DEFAULT_LIMITS)
            policy, told = _policy_and_nonce(stamp)
            store = self._trust.store
            pool = (*stamp.token.certificates, *store.intermediates)
            made = stamp.generated_at
            anchored_path(store, ("timestamp",), stamp.certificate, pool, made, proven=True)
        except CheckFailed as failure:
            raise TimestampRefused(failure.text.en) from failure
        except ASN1_FAULTS as error:
            raise TimestampRefused("the answer confuses the reader") from error
        if told != nonce:
            raise TimestampRefused("the token does not carry our nonce")
        if self._policies and policy not in self._policies:
            raise TimestampRefused(f"policy {policy} is not accepted")
        if abs(stamp.generated_at - self._clock.now()) > self._skew:
            raise TimestampRefused("the token's time is not our clock's")
        return token


def timestamp_request(value: bytes, nonce: int) -> bytes:
    """TimeStampReq (RFC 3161, 2.4.1) about a signature value, with the authority's certificates asked for."""
    algorithm = der.encode(der.SEQUENCE, der.encode_oid(OID_BY_DIGEST[_DIGEST]), der.encode(der.NULL))
    imprint = der.encode(der.OCTET_STRING, hashlib.new(_DIGEST, value).digest())
    return der.encode(
        der.SEQUENCE,
        der.encode_integer(1),
        der.encode(der.SEQUENCE, algorithm, imprint),
        der.encode_integer(nonce),
        der.encode(der.BOOLEAN, b"\xff"),
    )


def granted_token(answer: bytes) -> bytes:
    """The token in a TimeStampResp (2.4.2); raises ``TimestampRefused``, and ``CheckFailed`` for malformed bytes."""
    fields = der.children(der.expect(der.read_whole(answer), der.SEQUENCE, "TimeStampResp"))
    status = der.children(fields[0]) if fields else []
    code = der.integer(status[0]) if status else None
    if code not in _GRANTED:
        raise TimestampRefused(f"the authority answered status {code}")
    if len(fields) != 2:
        raise TimestampRefused("the answer holds no token")
    return fields[1].encoded


def _policy_and_nonce(stamp: TimestampFacts) -> tuple[str, int | None]:
    """Both from TSTInfo (2.4.2); after the time only the nonce is an INTEGER."""
    fields = der.children(der.read_whole(stamp.token.attached_content or b""))
    numbers = [field for field in fields[5:] if field.tag == der.INTEGER]
    return der.oid(fields[1]), der.integer(numbers[0]) if numbers else None

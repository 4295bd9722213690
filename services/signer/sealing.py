"""Signing and sealing: CAdES-B, or a seal at T, X-L or A (``raising.py``), checked before it leaves.

The two entrances are bound to a purpose ("sign this mail", "seal this package component"); there
is none that signs whatever one likes.
"""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import AsyncIterable, Callable
from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context
from functools import partial
from typing import ParamSpec, TypeVar

import structlog

from services.signer.facts import BytesContent, Content, DigestedContent
from services.signer.formats.cades_writing import MadeSignature, make_signature
from services.signer.keys import KeyRing, LoadedKey
from services.signer.pipeline import read_facts
from services.signer.raising import Raising
from services.signer.timestamping import Stamp
from shared.clock import Clock
from shared.contracts.signatures import Profile, SignatureFormat, SignatureLevel, SigningPurpose
from shared.errors import DomainError, ErrorCode

log = structlog.get_logger(__name__)

P = ParamSpec("P")
T = TypeVar("T")


class Sealing:
    """The two uses of the key ring; at most ``at_once`` keys are at work at the same time."""

    def __init__(
        self,
        keys: KeyRing,
        clock: Clock,
        *,
        stamp: Stamp | None = None,
        raising: Raising | None = None,
        at_once: int = 8,
    ) -> None:
        self._keys = keys
        self._clock = clock
        self._stamp = stamp
        self._raising = raising
        # Threads of its own: a token that does not answer must not take those that everything else waits for.
        self._threads = ThreadPoolExecutor(at_once, thread_name_prefix="sealing")

    def close(self) -> None:
        """Take no more work; what a token has in hand is left behind."""
        self._threads.shutdown(wait=False, cancel_futures=True)

    def message_key(self, key_id: str, institution_no: int | None) -> LoadedKey:
        """The key for one mail, refused before any byte is read."""
        return self._keys.take(key_id, SigningPurpose.KEP_MESSAGE, institution_no)

    def seal_key(self, key_id: str, institution_no: int | None) -> LoadedKey:
        """The key for one seal, refused before any byte is read."""
        return self._keys.take(key_id, SigningPurpose.PACKAGE_SEAL, institution_no)

    async def sign_message(self, key: LoadedKey, body: AsyncIterable[bytes], requester: str) -> bytes:
        """A detached signature over a stream of bytes, which is never held as a whole."""
        # SHA-256 names the content in the audit line, whatever the key signs with.
        hashes = {name: hashlib.new(name) for name in {"sha256", key.port.digest}}
        size = 0
        async for chunk in body:
            size += len(chunk)
            for hashed in hashes.values():
                hashed.update(chunk)
        if not size:
            raise DomainError(ErrorCode.VALIDATION_FAILED, "there is nothing to sign")
        content = DigestedContent({name: hashed.digest() for name, hashed in hashes.items()})
        made = await self._in_thread(self._make, key, content, None, SigningPurpose.KEP_MESSAGE, requester)
        return made.encoded()

    async def seal(self, key: LoadedKey, component: bytes, requester: str) -> bytes:
        """An attached signature over one package component, of the level the key's entry wants.

        Raises ``DomainError``; a time-stamp or revocation data that cannot be had now (SERVICE_UNAVAILABLE) give no
        seal at all, never one of a lower level.
        """
        if not component:
            raise DomainError(ErrorCode.VALIDATION_FAILED, "there is nothing to seal")
        content = BytesContent(component)
        made = await self._in_thread(self._make, key, content, component, SigningPurpose.PACKAGE_SEAL, requester)
        if key.seal_level is SignatureLevel.B:
            return made.encoded()
        if key.seal_level is SignatureLevel.T and self._stamp is not None:
            sealed = made.encoded(await self._stamp(made.value))
        elif self._raising is not None:
            sealed = await self._raised(self._raising, key, made.encoded(), component)
        else:
            raise DomainError(ErrorCode.SIGNING_KEY_UNAVAILABLE, "there is no time-stamp authority to ask")
        await self._in_thread(_check_own, sealed, content, key)
        return sealed

    async def _raised(self, raising: Raising, key: LoadedKey, sealed: bytes, component: bytes) -> bytes:
        try:
            return await raising.raise_level(sealed, component, key.seal_level, Profile.INSTITUTION_SEAL)
        except DomainError as error:
            if error.code is not ErrorCode.SIGNATURE_INVALID:
                raise
            # The caller has done nothing wrong: the certificate is over, or our anchors do not know it.
            log.error("own_signature_refused", key_id=key.key_id, reason=error.detail)  # noqa: TRY400 - the reason says it all
            raise DomainError(
                ErrorCode.SIGNING_KEY_UNAVAILABLE,
                f"no seal of level {key.seal_level} by key {key.key_id!r}: {error.detail}",
            ) from error

    async def _in_thread(self, work: Callable[P, T], *arguments: P.args, **named: P.kwargs) -> T:
        running = partial(copy_context().run, partial(work, *arguments, **named))
        return await asyncio.get_running_loop().run_in_executor(self._threads, running)

    def _make(
        self, key: LoadedKey, content: Content, attached: bytes | None, purpose: SigningPurpose, requester: str
    ) -> MadeSignature:
        now = self._clock.now()
        if not key.certificate.not_before <= now <= key.certificate.not_after:
            raise DomainError(
                ErrorCode.SIGNING_KEY_UNAVAILABLE, f"the certificate of key {key.key_id!r} is not in force"
            )
        # Written before the key is used: a signature without its audit line must not exist.
        log.info(
            "key_used",
            audit=True,
            key_id=key.key_id,
            institution_no=key.institution_no,
            purpose=purpose.value,
            content_sha256=content.digest("sha256").hex(),
            certificate_sha256=key.certificate.sha256,
            requester=requester,
        )
        certificates = (key.certificate.der, *(item.der for item in key.chain))
        made = make_signature(key.port, certificates, content.digest(key.port.digest), attached, now)
        _check_own(made.encoded(), content, key)
        return made


def _check_own(signed: bytes, content: Content, key: LoadedKey) -> None:
    """Our own verifier must accept what leaves; a broken key store shows here and not at the recipient."""
    facts = read_facts(signed, content, SignatureFormat.CADES)
    good = (
        len(facts.signers) == 1
        and facts.signers[0].integrity
        and facts.signers[0].bound
        and facts.signers[0].certificate == key.certificate
        and not any(finding.conclusive for finding in facts.signers[0].findings)
    )
    if not good:
        log.error("own_signature_refused", key_id=key.key_id)
        raise DomainError(
            ErrorCode.SIGNING_KEY_UNAVAILABLE, f"key {key.key_id!r} made a signature that does not verify"
        )

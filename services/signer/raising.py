"""Signatures raised to T, X-L and A: a time-stamp, what proves the certificates, an archive time-stamp over all of it.

What was signed stays as it is. A file leaves only when our own verifier finds the wanted level in it and lets it pass
by what it carries alone, without anything from elsewhere: that is what these levels are for.
"""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import datetime
from functools import partial

import structlog

from services.signer.certificates import ASN1_FAULTS, Certificate
from services.signer.checks.chain import CertificatePath
from services.signer.checks.revocation import RevocationMissing
from services.signer.facts import BytesContent, SignatureFacts, StampFacts
from services.signer.findings import CheckFailed
from services.signer.formats import cms
from services.signer.formats.cades_completing import completed
from services.signer.formats.cades_upgrading import ArchiveVersion, OpenSignature, token_with
from services.signer.formats.references_writing import DIGEST, CertificateProof, attribute
from services.signer.limits import DEFAULT_LIMITS
from services.signer.pipeline import read_facts
from services.signer.policy import PROFILES
from services.signer.raised import check_raised
from services.signer.sources import EvidenceSources, Gathering
from services.signer.texts import say
from services.signer.timestamping import Stamp
from services.signer.validation_data import Question, choose, path_of, wanted_responses
from shared.clock import Clock
from shared.contracts.signatures import (
    Profile,
    SignatureFormat,
    SignatureLevel,
    TimestampType,
    VerificationReport,
    VerificationRequest,
)
from shared.domain.verdict import Conclusion, SubIndication
from shared.errors import DomainError, ErrorCode

log = structlog.get_logger(__name__)

Verify = Callable[[VerificationRequest, bytes, bytes | None], Awaitable[VerificationReport]]
"""As ``Verifier.verify``."""

_FETCH_ROUNDS = 4
_LATER = frozenset({SubIndication.TRY_LATER, SubIndication.POLICY_PROCESSING_ERROR})
"""No revocation data at hand, or the verification was not completed: neither says anything about the signature."""
_VALUES = frozenset({cms.CERTIFICATE_VALUES, cms.REVOCATION_VALUES})
_EXTENDED = frozenset({cms.VALIDATION_DATA_TIMESTAMP, cms.REFERENCES_TIMESTAMP})
"""Time-stamps of type X: what they cover is there and must stay."""
_VALIDATION_DATA = _VALUES | {cms.CERTIFICATE_REFERENCES, cms.REVOCATION_REFERENCES}
_USAGE_PROFILES = frozenset({Profile.P1, Profile.P2, Profile.P3, Profile.P4})
"""These want a level of their own: until it is there a signature is judged as any qualified one."""


@dataclass(frozen=True)
class RaisingRules:
    """What an operator decides."""

    archive: ArchiveVersion = ArchiveVersion.V3
    evidence_bytes: int = 768 * 1024
    """Most that certificates and revocation data may add to one signature."""
    timeout_seconds: float = 45
    retry_after_seconds: int = 300
    at_once: int = 4


class Raising:
    """Raises files, a few at the same time; keeps nothing of them."""

    def __init__(
        self,
        stamp: Stamp,
        sources: EvidenceSources,
        verify: Verify,
        clock: Clock,
        rules: RaisingRules,
        *,
        on_outcome: Callable[[SignatureLevel, str], None] = lambda _level, _result: None,
    ) -> None:
        self._stamp = stamp
        self._sources = sources
        self._verify = verify
        self._clock = clock
        self._rules = rules
        self._on_outcome = on_outcome
        self._places = asyncio.Semaphore(rules.at_once)

    async def raise_level(self, signed: bytes, content: bytes | None, to: SignatureLevel, profile: Profile) -> bytes:
        """The same file (DER) with every signature in it at ``to``; one that is there already or archived stays.

        Args:
            signed: CMS with CAdES signatures, attached or detached.
            content: what a detached signature covers.
            to: the level to reach, at least T.
            profile: whose rules it must satisfy then.

        Raises:
            DomainError: SIGNATURE_INVALID for what does not verify or cannot be raised, TOO_LARGE when its
                revocation data are, SERVICE_UNAVAILABLE when a time-stamp or revocation data cannot be had
                now, or the grace period is not over.
        """
        try:
            raised = await self._translated(signed, content, to, profile)
        except DomainError as error:
            self._on_outcome(to, "postponed" if error.retryable else "refused")
            raise
        self._on_outcome(to, "raised")
        return raised

    async def _translated(self, signed: bytes, content: bytes | None, to: SignatureLevel, profile: Profile) -> bytes:
        try:
            async with asyncio.timeout(self._rules.timeout_seconds), self._places:
                await self._verified(signed, content, profile)
                return await self._raised(signed, content, to, profile)
        except TimeoutError as error:
            raise self._not_now("raising the signature took too long") from error
        except RevocationMissing as missing:
            raise self._not_now(f"revocation data cannot be had now: {missing.text.en}") from missing
        except CheckFailed as failure:
            if failure.retry_after_seconds is not None:
                raise self._not_now(failure.text.en, failure.retry_after_seconds) from failure
            raise _refused(failure.text.en) from failure
        except ASN1_FAULTS as error:
            raise _refused("the file confuses the reader") from error

    def _not_now(self, detail: str, retry_after_seconds: int | None = None) -> DomainError:
        log.warning("signature_not_raised", reason=detail)
        retry = retry_after_seconds or self._rules.retry_after_seconds
        return DomainError(ErrorCode.SERVICE_UNAVAILABLE, detail, retry_after_seconds=retry)

    async def _verified(self, signed: bytes, content: bytes | None, profile: Profile) -> None:
        judged_by = Profile.QUALIFIED_SIGNATURE if profile in _USAGE_PROFILES else profile
        request = VerificationRequest(format=SignatureFormat.CADES, profile=judged_by)
        report = await self._verify(request, signed, content)
        if report.conclusion is Conclusion.PASSED:
            return
        if report.sub_indication in _LATER:
            raise self._not_now(f"it cannot be verified now ({report.sub_indication})", report.retry_after_seconds)
        raise _refused(f"it does not verify ({report.sub_indication or report.indication})")

    async def _raised(self, signed: bytes, content: bytes | None, to: SignatureLevel, profile: Profile) -> bytes:
        gathering = self._sources.gather()
        encoded = signed
        first = facts = await self._facts(encoded, content, gathering)
        for index in range(len(first.signers)):
            if facts.signers[index].unsigned.present & cms.ARCHIVE_TIMESTAMPS:
                continue
            if cms.SIGNATURE_TIMESTAMP not in facts.signers[index].unsigned.present:
                encoded = await self._stamped(encoded, index)
                facts = await self._facts(encoded, content, gathering)
            if to is not SignatureLevel.T and not facts.signers[index].unsigned.present & _EXTENDED:
                encoded = await self._completed(encoded, index, facts, profile, gathering)
            if to is SignatureLevel.A:
                encoded = await self._archived(encoded, index, content)
            facts = await self._facts(encoded, content, gathering)
        check = partial(check_raised, first, facts, to, profile, gathering.evidence, self._clock.now())
        await asyncio.to_thread(check)
        return encoded

    async def _facts(self, encoded: bytes, content: bytes | None, gathering: Gathering) -> SignatureFacts:
        known = gathering.evidence.trust.intermediates
        given = None if content is None else BytesContent(content)
        return await asyncio.to_thread(read_facts, encoded, given, SignatureFormat.CADES, known=known)

    async def _stamped(self, encoded: bytes, index: int) -> bytes:
        opened = await asyncio.to_thread(OpenSignature.of, encoded, index, DEFAULT_LIMITS)
        token = await self._stamp(opened.info.signature)
        return opened.plus(attribute(cms.SIGNATURE_TIMESTAMP, token)).encoded()

    async def _completed(
        self, encoded: bytes, index: int, facts: SignatureFacts, profile: Profile, gathering: Gathering
    ) -> bytes:
        """With references to and values of what proves the signer, and what proves each authority in its token."""
        signer = facts.signers[index]
        complete = signer.unsigned.present >= _VALUES
        if not complete and signer.unsigned.present & _VALIDATION_DATA:
            raise _refused("it carries only a part of the references and values")
        read = zip(signer.unsigned.stamps, signer.timestamps, strict=True)
        stamps = {sent.token: found for sent, found in read if found.type is TimestampType.SIGNATURE}
        moments = [item.generated_at for item in stamps.values() if item.generated_at is not None and item.intact]
        if signer.certificate is None or not stamps or len(moments) < len(stamps):
            raise _refused("a time-stamp in it is not intact")
        own = None
        if not complete:
            question = self._question(signer.certificate, min(moments), facts, profile)
            own = await self._data(question, gathering)
        others = {token: await self._data(_about(stamp), gathering) for token, stamp in stamps.items()}
        if sum(item.size for item in (own, *others.values()) if item is not None) > self._rules.evidence_bytes:
            raise DomainError(
                ErrorCode.TOO_LARGE, f"the revocation data have more than {self._rules.evidence_bytes} bytes"
            )
        return await asyncio.to_thread(completed, encoded, index, facts, own, others)

    def _question(
        self, certificate: Certificate, moment: datetime, facts: SignatureFacts, profile: Profile
    ) -> Question:
        rules, now = PROFILES[profile], self._clock.now()
        since = None if rules.grace_period is None else moment + rules.grace_period
        if since is not None and since > now:
            left = max(1, round((since - now).total_seconds()))
            raise CheckFailed(SubIndication.TRY_LATER, say("raised.early"), retry_after_seconds=left)
        return Question(certificate, rules.anchors, moment, facts.certificates, since)

    async def _data(self, question: Question, gathering: Gathering) -> CertificateProof:
        path = await asyncio.to_thread(path_of, question, gathering.evidence)
        if question.list_since is None:
            await gathering.fetch(wanted_responses(path))
        for _ in range(_FETCH_ROUNDS):
            try:
                return await self._chosen(question, path, gathering)
            except RevocationMissing as missing:
                if not missing.wanted or not await gathering.fetch(missing.wanted):
                    raise
        return await self._chosen(question, path, gathering)

    async def _chosen(self, question: Question, path: CertificatePath, gathering: Gathering) -> CertificateProof:
        return await asyncio.to_thread(choose, question, path, gathering.evidence, self._clock.now())

    async def _archived(self, encoded: bytes, index: int, content: bytes | None) -> bytes:
        opened = await asyncio.to_thread(OpenSignature.of, encoded, index, DEFAULT_LIMITS)
        if self._rules.archive is ArchiveVersion.V2:
            token = await self._stamp(await asyncio.to_thread(opened.under_archive_v2, content))
            return opened.plus(attribute(cms.ARCHIVE_TIMESTAMP_V2, token)).encoded()
        stamped = opened.data.content if opened.data.content is not None else content or b""
        made = await asyncio.to_thread(opened.hash_index)
        token = await self._stamp(opened.under_archive_v3(hashlib.new(DIGEST, stamped).digest(), made))
        token = token_with(token, DEFAULT_LIMITS, attribute(cms.HASH_INDEX_V3, made))
        return opened.plus(attribute(cms.ARCHIVE_TIMESTAMP_V3, token)).encoded()


def _about(stamp: StampFacts) -> Question:
    if stamp.certificate is None or stamp.generated_at is None or stamp.token is None:
        raise _refused("a time-stamp in it is not intact")
    return Question(stamp.certificate, ("timestamp",), stamp.generated_at, stamp.token.embedded.certificates)


def _refused(why: str) -> DomainError:
    return DomainError(ErrorCode.SIGNATURE_INVALID, f"the signature cannot be raised: {why}")

"""Time-stamps (RFC 3161) taken apart: about the right bytes, signed by whoever calls himself a time-stamp authority.

Whether anybody trusts that authority is the time engine's question (``timing.py``).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from services.signer.certificates import ASN1_FAULTS, Certificate
from services.signer.checks import algorithms
from services.signer.facts import SignatureFacts, SignerFacts, Stamp, StampFacts
from services.signer.findings import CheckFailed
from services.signer.formats import cms
from services.signer.formats.cades import read_cades
from services.signer.formats.hash_index import index_of
from services.signer.formats.imprints import ValueImprint
from services.signer.formats.tokens import parse_info
from services.signer.limits import Limits, malformed
from services.signer.texts import say
from shared.contracts.signatures import TimestampType
from shared.domain.verdict import SubIndication

_TIME_STAMPING = frozenset({"1.3.6.1.5.5.7.3.8"})


@dataclass(frozen=True)
class TimestampFacts:
    """A token whose own signature holds and which stamps the right bytes; nobody is trusted yet."""

    generated_at: datetime
    certificate: Certificate
    token: SignatureFacts


def read_timestamp(token: bytes, stamped: bytes, limits: Limits) -> TimestampFacts:
    """Take one token about a signature value apart, its algorithms as of when it was made; raises ``CheckFailed``."""
    stamp = Stamp(TimestampType.SIGNATURE, 0, token, ValueImprint(stamped))
    found = read_stamp(stamp, limits)
    if found.failure is not None:
        raise found.failure
    if found.generated_at is None or found.certificate is None or found.token is None:
        raise malformed("time-stamp")
    use = found.token.signers[0].algorithms
    if use is None:
        raise CheckFailed(SubIndication.SIG_CRYPTO_FAILURE, say("timestamp.broken"))
    algorithms.check(use, found.generated_at, proven=True)
    algorithms.check_digests(found.digests, found.generated_at, proven=True)
    return TimestampFacts(found.generated_at, found.certificate, found.token)


def read_timestamps(facts: SignatureFacts, limits: Limits, *, known: Sequence[Certificate] = ()) -> SignatureFacts:
    """The same facts with every time-stamp read, those of counter-signatures too.

    ``known`` are certificates from elsewhere, for tokens that carry none.
    """
    if not any(signer.unsigned.stamps or signer.counter_signatures for signer in facts.signers):
        return facts
    pool = (*facts.embedded.certificates, *known)
    return replace(facts, signers=tuple(_with_timestamps(signer, pool, limits) for signer in facts.signers))


def _with_timestamps(signer: SignerFacts, known: Sequence[Certificate], limits: Limits) -> SignerFacts:
    pool = (*signer.unsigned.values.certificates, *known)
    return replace(
        signer,
        timestamps=tuple(read_stamp(stamp, limits, known=pool) for stamp in signer.unsigned.stamps),
        counter_signatures=tuple(_with_timestamps(item, known, limits) for item in signer.counter_signatures),
    )


def read_stamp(stamp: Stamp, limits: Limits, *, known: Sequence[Certificate] = ()) -> StampFacts:
    """Take the token of one attribute apart; what is wrong with it is told in ``failure``, nothing is raised."""
    found = StampFacts(stamp.type, stamp.position, None)
    try:
        return _read(stamp, found, limits, known)
    except CheckFailed as failure:
        return replace(found, failure=failure.to_keep())
    except ASN1_FAULTS:
        return replace(found, failure=malformed("time-stamp"))


def _read(stamp: Stamp, found: StampFacts, limits: Limits, known: Sequence[Certificate]) -> StampFacts:
    if stamp.imprint is None:
        raise CheckFailed(SubIndication.FORMAT_FAILURE, say("timestamp.kind", name=stamp.type.value))
    token = read_cades(stamp.token, (), limits, known=known, expected_type=cms.TST_INFO)
    if len(token.signers) != 1 or token.attached_content is None:
        raise malformed("time-stamp token without exactly one signer")
    signer = token.signers[0]
    info = parse_info(token.attached_content)
    found = replace(found, generated_at=info.generated_at, certificate=signer.certificate, token=token)
    try:
        covers = stamp.imprint.check(info.digest, info.hashed, signer)
        _check_authority(signer)
    except CheckFailed as failure:
        return replace(found, failure=failure.to_keep())
    digests = (info.digest, index_of(signer).digest) if stamp.type is TimestampType.ARCHIVE_V3 else (info.digest,)
    return replace(found, covers=covers, digests=digests)


def _check_authority(signer: SignerFacts) -> None:
    """The token's own signature, and a certificate for time-stamping alone (RFC 3161, 2.3)."""
    certificate = signer.certificate
    if not signer.integrity or certificate is None or not signer.bound or signer.algorithms is None:
        raise CheckFailed(SubIndication.SIG_CRYPTO_FAILURE, say("timestamp.broken"))
    if any(finding.conclusive for finding in signer.findings):
        raise CheckFailed(SubIndication.SIG_CRYPTO_FAILURE, say("timestamp.broken"))
    if certificate.extended_key_usage != _TIME_STAMPING or not certificate.extended_key_usage_critical:
        raise CheckFailed(SubIndication.CHAIN_CONSTRAINTS_FAILURE, say("timestamp.not-authority"))

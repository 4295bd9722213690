"""Time-stamps by themselves (RFC 3161): a token, or an authority's whole answer, about content given beside it."""

from __future__ import annotations

import hmac
from collections.abc import Sequence
from dataclasses import dataclass, replace

from services.signer import der
from services.signer.certificates import ASN1_FAULTS, Certificate
from services.signer.checks.timestamps import read_stamp
from services.signer.facts import Content, SignatureFacts, SignerFacts, Stamp, StampFacts
from services.signer.findings import CheckFailed, Finding, Step, failed, passed
from services.signer.formats.imprints import stamped_other
from services.signer.formats.tokens import read_info
from services.signer.limits import Limits, definite, malformed, too_much
from services.signer.texts import say
from shared.contracts.signatures import SignatureFormat, TimestampType
from shared.domain.verdict import SubIndication

LEVEL = "RFC 3161"
_GRANTED = frozenset({0, 1})
"""granted, grantedWithMods (RFC 3161, 2.4.2)."""
_LONGEST = 256 * 1024
"""Bytes; a token with its chain and lists has some thousands. A longer CMS is somebody's document."""


def is_timestamp(data: bytes, limits: Limits) -> bool:
    """Whether the bytes are a token or an answer with one, whatever they are worth; never raises."""
    if len(data) > _LONGEST:
        return False
    try:
        if _status_first(data):
            return True
        read_info(data, limits)
    except (CheckFailed, *ASN1_FAULTS):
        return False
    return True


def _status_first(data: bytes) -> bool:
    """An answer begins with a sequence (its status) where a CMS has an object identifier."""
    length = data[1] if len(data) > 1 else 0
    start = 2 + (length & 0x7F if length > 0x80 else 0)
    return data[:1] == data[start : start + 1] == bytes([der.SEQUENCE])


def read_timestamp_file(
    data: bytes, content: Content | None, limits: Limits, *, known: Sequence[Certificate] = ()
) -> SignatureFacts:
    """Facts about the authority's signature, with the time-stamp as the one it carries.

    Raises ``CheckFailed`` (FORMAT_FAILURE) for what is no time-stamp, and for an answer that refuses one.
    """
    if len(data) > _LONGEST:
        raise too_much("bytes", _LONGEST)
    token = _token(data, limits) if _status_first(data) else data
    stamp = read_stamp(Stamp(TimestampType.ALONE, 0, token, _Imprint(content)), limits, known=known)
    if stamp.token is None:
        raise stamp.failure or malformed("not a time-stamp token")
    [signer] = stamp.token.signers
    findings = (*signer.findings, _about(stamp, content))
    judged = replace(
        signer,
        level=LEVEL,
        baseline_level=None,
        findings=tuple(sorted(findings, key=lambda item: item.step.number)),
        claimed_signing_time=stamp.generated_at,
        timestamps=(stamp,),
    )
    return SignatureFacts(
        SignatureFormat.TIMESTAMP,
        (judged,),
        stamp.token.embedded,
        content.digest("sha256").hex() if content is not None and stamp.intact else None,
    )


def _token(answer: bytes, limits: Limits) -> bytes:
    fields = der.children(der.expect(der.read_whole(definite(answer, limits)), der.SEQUENCE, "TimeStampResp"))
    status = der.children(der.expect(fields[0], der.SEQUENCE, "PKIStatusInfo"))
    if not status or status[0].tag != der.INTEGER:
        raise malformed("not a time-stamp answer")
    if der.integer(status[0]) not in _GRANTED:
        raise CheckFailed(SubIndication.FORMAT_FAILURE, say("timestamp.refused"))
    if len(fields) != 2:
        raise malformed("an answer without a time-stamp")
    return fields[1].encoded


def _about(stamp: StampFacts, content: Content | None) -> Finding:
    """What the content step says: without content nobody knows what was stamped."""
    if content is None:
        missing = CheckFailed(SubIndication.SIGNED_DATA_NOT_FOUND, say("content.missing"))
        # As a rule, and not as a step before the others: the token can be judged for itself.
        return failed(Step.RULES, missing, rule="stamped-content")
    if stamp.failure is not None and stamp.failure.sub_indication is SubIndication.HASH_FAILURE:
        return failed(Step.CONTENT, stamp.failure, rule="stamped-content")
    return passed(Step.CONTENT, say("content.stamped"), rule="stamped-content")


@dataclass(frozen=True)
class _Imprint:
    """Of a file by its digest; of nothing, when nothing was given: then the token is looked at for itself."""

    content: Content | None

    def check(self, algorithm: str, hashed: bytes, token: SignerFacts) -> frozenset[int]:  # noqa: ARG002 - a protocol's
        """As ``facts.Imprint`` has it."""
        if self.content is not None and not hmac.compare_digest(self.content.digest(algorithm), hashed):
            raise stamped_other()
        return frozenset()

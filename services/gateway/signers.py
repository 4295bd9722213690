"""Holds what signer read in a package's signatures against what the package says of its signers. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from shared.contracts.signatures import SignatureReport, Signer, TimestampType, VerificationReport
from shared.domain.verdict import Conclusion
from shared.eyp import (
    LEVELS,
    Finding,
    Inspection,
    Profile,
    ReadSignature,
    SignatureKind,
    judge_signers,
)


def signer_findings(
    inspection: Inspection,
    verified: Sequence[tuple[SignatureKind, str, VerificationReport]],
    profile: Profile,
    *,
    levels: bool,
) -> tuple[Finding, ...]:
    """Findings about who signed one package, by the certificates (eyp.md R.73, R.75, R.76).

    ``verified``: kind and part of each signature file that signer could judge, and its report.
    """
    return judge_signers(inspection, [_read(*item) for item in verified], profile, levels=levels)


def _read(kind: SignatureKind, part: str, report: VerificationReport) -> ReadSignature:
    found = [signature for item in report.signatures for signature in _with_counter_signatures(item)]
    signers = [item.signer for item in found if item.signer is not None]
    stamps = [
        stamp.time
        for item in found
        for stamp in item.timestamps
        if stamp.type is TimestampType.SIGNATURE and stamp.conclusion is Conclusion.PASSED and stamp.time is not None
    ]
    return ReadSignature(
        kind=kind,
        part=part,
        level=_lowest([item.level_intact for item in report.signatures]),
        owners=tuple(name for signer in signers for name in _names(signer, kind)),
        stamped_at=max(stamps, default=None),
    )


def _with_counter_signatures(report: SignatureReport) -> Iterator[SignatureReport]:
    """Whoever signs serially signs the signature before (eyp.md 4.2)."""
    yield report
    for item in report.counter_signatures:
        yield from _with_counter_signatures(item)


def _names(signer: Signer, kind: SignatureKind) -> list[str]:
    """A person is named once; a seal's certificate may have the institution in either place."""
    if kind is not SignatureKind.SEAL or signer.organisation is None:
        return [signer.name]
    return list(dict.fromkeys([signer.organisation, signer.name]))


def _lowest(levels: Sequence[str | None]) -> str | None:
    return min(levels, key=lambda level: LEVELS.index(level) if level in LEVELS else -1, default=None)

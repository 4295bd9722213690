"""What ``kepgw verify`` prints: verification reports as one JSON object, in an order that does not depend on the run."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from services.signer.policy import POLICY_VERSION
from shared.contracts.signatures import SignatureReport, Text, TimestampReport, TimestampType, VerificationReport
from shared.domain.verdict import Conclusion, Indication, SubIndication, worst
from shared.eyp import Inspection, Severity

PACKAGE = "package"
_INDICATIONS = {
    Conclusion.PASSED: Indication.TOTAL_PASSED,
    Conclusion.FAILED: Indication.TOTAL_FAILED,
    Conclusion.INDETERMINATE: Indication.INDETERMINATE,
}


@dataclass(frozen=True)
class ComponentReport:
    """The verdict on one signature of a package, and which part it covers."""

    part: str
    covers: str
    depth: int
    """How many packages lie around the one it is in."""
    report: VerificationReport


def file_answer(report: VerificationReport) -> dict[str, Any]:
    """The answer about one signed file."""
    return _answer(
        report.conclusion,
        report.indication,
        report.sub_indication,
        format=report.format.value,
        profile=report.profile.value,
        trust_store_sha256=report.trust_store_sha256,
        signed_content_sha256=report.signed_content_sha256,
        signatures=[_signature(item) for item in report.signatures],
        retry_after_seconds=report.retry_after_seconds,
    )


def package_answer(
    levels: Sequence[Inspection], components: Sequence[ComponentReport], trust_store_sha256: str, profile: str | None
) -> dict[str, Any]:
    """The answer about a package: the worst of its signatures, and no pass for parts that differ from their digests.

    Args:
        levels: the package and those inside it, the outermost first.
        components: one for each signature of each level.
        trust_store_sha256: name of the set of anchors.
        profile: the one that was asked for; None: each signature has that of its kind.
    """
    conclusion, indication, sub_indication = _package_verdict(levels, components)
    signatures = []
    for item in components:
        place = {
            "part": item.part,
            "covers": item.covers,
            "depth": item.depth,
            "profile": item.report.profile.value,
            "signed_content_sha256": item.report.signed_content_sha256,
        }
        signatures += [{**_signature(signature), "component": place} for signature in item.report.signatures]
    retries = [item.report.retry_after_seconds for item in components if item.report.retry_after_seconds]
    answer = _answer(
        conclusion,
        indication,
        sub_indication,
        format=PACKAGE,
        profile=profile or PACKAGE,
        trust_store_sha256=trust_store_sha256,
        signed_content_sha256=None,
        signatures=signatures,
        retry_after_seconds=min(retries, default=None) if conclusion is Conclusion.INDETERMINATE else None,
    )
    answer["package"] = {
        "acceptable": all(level.acceptable for level in levels),
        "differing_parts": [name for level in levels for manifest in level.manifests for name in manifest.mismatches],
        "faults": [
            {"rule": item.rule, "part": item.part, "text": item.message_en, "text_tr": item.message_tr}
            for level in levels
            for item in level.findings
            if item.severity is Severity.FATAL
        ],
    }
    return answer


def _package_verdict(
    levels: Sequence[Inspection], components: Sequence[ComponentReport]
) -> tuple[Conclusion, Indication, SubIndication | None]:
    found = [(item.report.conclusion, item.report.indication, item.report.sub_indication) for item in components]
    if not found:
        found = [(Conclusion.INDETERMINATE, Indication.NO_SIGNATURE_FOUND, None)]
    if any(manifest.mismatches for level in levels for manifest in level.manifests):
        found.append((Conclusion.FAILED, Indication.TOTAL_FAILED, SubIndication.HASH_FAILURE))
    elif not all(level.acceptable for level in levels):
        # What is missing or out of place is no wrong signature, but nobody may rely on the letter.
        found.append((Conclusion.INDETERMINATE, Indication.INDETERMINATE, SubIndication.SIG_CONSTRAINTS_FAILURE))
    conclusion = worst([item[0] for item in found])
    return next(item for item in found if item[0] is conclusion)


def _answer(
    conclusion: Conclusion, indication: Indication, sub_indication: SubIndication | None, **rest: Any
) -> dict[str, Any]:
    first = {"verdict": conclusion.value, "indication": indication.value, "sub_indication": _value(sub_indication)}
    order = ("format", "profile", "policy_version", "trust_store_sha256", "signed_content_sha256", "signatures")
    rest["policy_version"] = POLICY_VERSION
    return {**first, **{name: rest[name] for name in order}, "retry_after_seconds": rest["retry_after_seconds"]}


def _signature(report: SignatureReport) -> dict[str, Any]:
    return {
        "verdict": report.conclusion.value,
        "indication": report.indication.value,
        "sub_indication": _value(report.sub_indication),
        "level": report.level,
        "level_intact": report.level_intact,
        "baseline_level": report.baseline_level,
        "integrity": report.integrity,
        "signer": None if report.signer is None else report.signer.model_dump(mode="json"),
        "times": {
            "claimed": _moment(report.claimed_signing_time),
            "best": _moment(_best(report.timestamps)),
            "judged_at": _moment(report.judged_at),
        },
        "maturity": report.maturity.value,
        "final_after": _moment(report.final_after),
        "scope": None if report.scope is None else report.scope.model_dump(mode="json"),
        "chain": [item.model_dump(mode="json") for item in report.chain],
        "steps": [{"id": step.id, "result": step.result.value, **_texts(step.text)} for step in report.steps],
        "timestamps": [_timestamp(item) for item in report.timestamps],
        "counter_signatures": [_signature(item) for item in report.counter_signatures],
    }


def _timestamp(report: TimestampReport) -> dict[str, Any]:
    reason = report.reason
    return {
        "type": report.type.value,
        "intact": report.intact,
        "verdict": report.conclusion.value,
        "time": _moment(report.time),
        "tsa": report.tsa,
        **({"text": None, "text_tr": None} if reason is None else _texts(reason)),
    }


def _best(stamps: Sequence[TimestampReport]) -> datetime | None:
    """The earliest moment that an accepted time-stamp proves."""
    accepted = [item for item in stamps if item.conclusion is Conclusion.PASSED and item.time is not None]
    proofs = [item for item in accepted if item.type.stamps_signature or item.type is TimestampType.ALONE]
    preferred = [item for item in proofs if item.type is TimestampType.SIGNATURE] or proofs
    return min((item.time for item in preferred if item.time is not None), default=None)


def _texts(text: Text) -> dict[str, str]:
    return {"text": text.en, "text_tr": text.tr}


def _value(sub_indication: SubIndication | None) -> str | None:
    return None if sub_indication is None else sub_indication.value


def _moment(value: datetime | None) -> str | None:
    return None if value is None else value.astimezone(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")

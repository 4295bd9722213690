"""Whether a letter's degree of confidentiality lets it leave by KEP (legal.md L.26)."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from datetime import datetime

from services.gateway.policy.rules import ConfidentialityRules, Treatment, rules_of
from services.gateway.uploads import UploadedFile
from shared.clock import ISTANBUL
from shared.errors import DomainError, ErrorCode, Fault
from shared.eyp import EmbeddedPackage, Inspection, PackageKind, SecurityCode, embedded_packages, stated_degree

_DECLARED = "/message/security_code"
_MOST_FAULTS = 50


@dataclass(frozen=True)
class Standing:
    """A letter's degree under the rules of the day."""

    degree: SecurityCode
    declared: bool
    """The degree cannot be seen: it is what the caller declared."""
    rules: ConfidentialityRules

    @property
    def treatment(self) -> Treatment:
        """What follows from the degree; never ``FORBIDDEN``, for such a letter has no standing."""
        return self.rules.treatment(self.degree)


def standing_of(inspection: Inspection, declared: SecurityCode | None, now: datetime) -> Standing:
    """The degree in force, if a letter of that degree may leave at all, whatever the institution's policy.

    Of an encrypted package it is the declared one. Raises CONFIDENTIALITY_FORBIDDEN for a degree that is too high,
    missing or not understood; VALIDATION_FAILED when an encrypted package comes without a declaration, and for a
    declaration that contradicts what can be seen.
    """
    rules = rules_of(now.astimezone(ISTANBUL).date())
    hidden = inspection.kind is PackageKind.ENCRYPTED and inspection.inner is None
    seen = inspection.security_code if hidden else stated_degree(inspection)
    for degree, pointer in ((seen, "/package"), (declared, _DECLARED)):
        if degree is not None and rules.treatment(degree) is Treatment.FORBIDDEN:
            raise _forbidden("the letter's degree of confidentiality forbids KEP", pointer, f"{rules.rule}: {degree}")
    if seen is None and not hidden:
        raise _forbidden(
            "the letter's degree of confidentiality forbids KEP: it is missing or not understood",
            "/package", f"{rules.rule}: no degree that is understood",
        )  # fmt: skip
    if declared is not None and seen is not None and declared is not seen:
        raise _invalid(f"the package shows {seen}")
    degree = declared if hidden else seen
    if degree is None:
        raise _invalid("required: an encrypted package does not show its degree")
    return Standing(degree, hidden, rules)


async def refuse_secret_annexes(package: UploadedFile, inspection: Inspection, standing: Standing) -> None:
    """Raise CONFIDENTIALITY_FORBIDDEN when a package among the annexes is, or may be, more secret than the letter.

    Annexes are known by their content. What lies in an encrypted package cannot be looked at.
    """
    found = await asyncio.to_thread(lambda: list(embedded_packages(package.file, inspection)))
    faults = [
        Fault(_pointer(item), f"{standing.rules.rule}: {item.degree or 'a degree that is not known'}")
        for item in found
        if standing.rules.exceeds(item.degree, standing.degree)
    ]
    if faults:
        raise DomainError(
            ErrorCode.CONFIDENTIALITY_FORBIDDEN,
            f"an annex is, or may be, more secret than its letter ({standing.degree})",
            faults=faults[:_MOST_FAULTS],
        )


def _forbidden(detail: str, pointer: str, fault: str) -> DomainError:
    return DomainError(ErrorCode.CONFIDENTIALITY_FORBIDDEN, detail, faults=[Fault(pointer, fault)])


def _invalid(detail: str) -> DomainError:
    faults = [Fault(_DECLARED, detail)]
    return DomainError(
        ErrorCode.VALIDATION_FAILED, "the degree of confidentiality must be declared and right", faults=faults
    )


def _pointer(item: EmbeddedPackage) -> str:
    steps = (step.replace("~", "~0").replace("/", "~1") for step in item.path)
    return "/".join(["/package", *steps])

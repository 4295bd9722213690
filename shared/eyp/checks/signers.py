"""Whether those who signed are those the package names (R.73, R.75, R.76). Certificates are read elsewhere."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from shared.eyp.findings import Finding, FindingList, Profile
from shared.eyp.inspection import Inspection
from shared.eyp.model import Organisation, Person, SignatureKind
from shared.eyp.rules import signers as rules

LEVELS = ("CAdES-B", "CAdES-EPES", "CAdES-T", "CAdES-C", "CAdES-X", "CAdES-XL", "CAdES-A")
"""Levels of signatures, the lowest first."""
_LEAST = {SignatureKind.SIGNATURE: "CAdES-XL", SignatureKind.INITIALS: "CAdES-XL", SignatureKind.SEAL: "CAdES-A"}
"""eyp.md 4.2; what the field sends is often lower, so it is judged for those who ask."""
_SAME_MOMENT = timedelta(minutes=1)


@dataclass(frozen=True)
class ReadSignature:
    """What signer read in one signature file of a package."""

    kind: SignatureKind
    part: str
    level: str | None
    """The highest that holds, of the signature where it is lowest; None when not even the signature does."""
    owners: tuple[str, ...]
    """Names in the certificates of all signers, those who signed serially included."""
    stamped_at: datetime | None = None
    """Time of the latest good signature time-stamp."""


def judge_signers(
    inspection: Inspection, signatures: Sequence[ReadSignature], profile: Profile, *, levels: bool = False
) -> tuple[Finding, ...]:
    """Findings about the signers of one package, worst first. ``levels``: judge the levels of signatures, too."""
    found = FindingList()
    found.take(_stated(inspection, signatures))
    found.take(_seals(inspection, signatures))
    if levels:
        found.take(_low(signatures))
    return found.weighed(profile)


def _low(signatures: Sequence[ReadSignature]) -> Iterator[Finding]:
    for item in signatures:
        least = _LEAST[item.kind]
        if item.level not in LEVELS or LEVELS.index(item.level) < LEVELS.index(least):
            yield rules.LEVEL.found(item.part, f"{item.level or '-'} < {least}")


def _stated(inspection: Inspection, signatures: Sequence[ReadSignature]) -> Iterator[Finding]:
    final = inspection.final_metadata
    for item in signatures:
        if item.kind is not SignatureKind.SIGNATURE or final is None:
            continue
        if len(item.owners) != len(final.signatories):
            yield rules.SIGNERS_COUNT.found(item.part, f"{len(item.owners)} / {len(final.signatories)}")
        owners = {_words(name) for name in item.owners}
        for signatory in final.signatories:
            if signatory.person is not None and _words(_full_name(signatory.person)) not in owners:
                yield rules.SIGNER_NAME.found(item.part, _full_name(signatory.person))
        if item.stamped_at is not None and final.date is not None and _apart(item.stamped_at, final.date):
            yield rules.SIGNING_DATE.found(item.part, item.stamped_at.isoformat())


def _seals(inspection: Inspection, signatures: Sequence[ReadSignature]) -> Iterator[Finding]:
    originator = inspection.metadata.originator if inspection.metadata else None
    if not isinstance(originator, Organisation) or not originator.name:
        return
    for item in signatures:
        if item.kind is SignatureKind.SEAL and _words(originator.name) not in {_words(name) for name in item.owners}:
            yield rules.SEAL_OWNER.found(item.part, ", ".join(item.owners) or "-")


def _apart(stamped: datetime, stated: datetime) -> bool:
    if stated.tzinfo is None:
        return False  # without its zone it says nothing that precise
    return abs(stamped - stated) > _SAME_MOMENT


def _full_name(person: Person) -> str:
    name = person.name
    return " ".join(step for step in (name.first, name.middle, name.last) if step)


def _words(name: str) -> frozenset[str]:
    """A name without case, diacritics and order: certificates are typed by other people than packages."""
    upper = name.replace("i", "İ").replace("ı", "I").upper()
    plain = (letter for letter in unicodedata.normalize("NFKD", upper) if not unicodedata.combining(letter))
    return frozenset("".join(letter if letter.isalnum() else " " for letter in plain).split())


__all__ = ["LEVELS", "ReadSignature", "judge_signers"]

"""Cases of the rules about who signed: the package stays as it is, what signer read in its signatures changes."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import timedelta

from shared.eyp import Inspection, Organisation, Person, Profile, SignatureKind, inspect
from shared.eyp.checks.signers import ReadSignature, judge_signers
from tests.unit.eyp.rule_base import FAULTLESS, LETTERS, Case, Judge


def fitting(inspection: Inspection) -> list[ReadSignature]:
    """What signer would read if everybody signed whom the package names, and as they should."""
    final, metadata = inspection.final_metadata, inspection.metadata
    assert final is not None
    assert metadata is not None
    assert isinstance(metadata.originator, Organisation)
    people = [item.person for item in final.signatories if item.person is not None]
    owners = {
        SignatureKind.SIGNATURE: tuple(map(_name, people)),
        SignatureKind.INITIALS: ("Parafçı",),
        SignatureKind.SEAL: ((metadata.originator.name or "").upper(),),
    }
    levels = {SignatureKind.SEAL: "CAdES-A"}
    return [
        ReadSignature(
            item.kind, item.part_name, levels.get(item.kind, "CAdES-XL"), owners[item.kind],
            final.date if item.kind is SignatureKind.SIGNATURE else None,
        )
        for item in inspection.signature_components
    ]  # fmt: skip


def signer_cases() -> Iterator[Case]:
    """Every rule about signers, in both generations."""
    for package in LETTERS:
        found = inspect(FAULTLESS[package])
        assert judge_signers(found, fitting(found), Profile("all"), levels=True) == ()
        for kind in {item.kind for item in fitting(found)}:
            yield Case("R.73.level", package, bytes, "FW", judge=_read(package, kind, level="CAdES-T"))
        yield Case("R.73.level", package, bytes, "FW", judge=_read(package, SignatureKind.SEAL, level=None))
        signature = SignatureKind.SIGNATURE
        names = next(item.owners for item in fitting(found) if item.kind is signature)
        yield Case("R.75.count", package, bytes, "II", judge=_read(package, signature, owners=(*names, "Bir Başka")))
        yield Case("R.75.count", package, bytes, "II", judge=_read(package, signature, owners=()))
        yield Case(
            "R.75.name", package, bytes, "WW", judge=_read(package, signature, owners=("Bir Başka",) * len(names))
        )
        final = found.final_metadata
        assert final is not None
        assert final.date is not None
        later = final.date + timedelta(hours=1)
        yield Case("R.75.date", package, bytes, "WW", judge=_read(package, signature, stamped_at=later))
        yield Case("R.76.owner", package, bytes, "II", judge=_read(package, SignatureKind.SEAL, owners=("C Kurumu",)))


def _read(package: str, kind: SignatureKind, **changed: object) -> Judge:
    signatures = [
        replace(item, **changed) if item.kind is kind else item  # type: ignore[arg-type]
        for item in fitting(inspect(FAULTLESS[package]))
    ]
    return lambda content, profile: _with_signers(content, profile, signatures)


def _with_signers(content: bytes, profile: Profile, signatures: Sequence[ReadSignature]) -> Inspection:
    found = inspect(content, profile=profile)
    return replace(found, findings=(*found.findings, *judge_signers(found, signatures, profile, levels=True)))


def _name(person: Person) -> str:
    return f"{person.name.last} {person.name.first} {person.name.middle or ''}".upper()

"""Letters of every shape, taken through every step of the writers of both generations."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime

from shared.eyp import (
    Annex,
    AnnexDigest,
    AnnexKind,
    Contact,
    DigestAlgorithm,
    Distribution,
    FilePlanCode,
    FinalMetadata,
    FinishedPackage,
    Identifier,
    LegalEntity,
    Metadata,
    OlderDraft,
    PackageDraft,
    Person,
    PersonName,
    Purpose,
    Reference,
    SecurityCode,
    ServiceCode,
    Signatory,
    Urgency,
)
from tests.unit.eyp import letters
from tests.unit.eyp.letters import ANNEX_ID, MOMENT, OID_DATA, OID_SIGNED_DATA, UNSIGNED_ANNEX_ID, tlv

EXTERNAL_ID = "22222222-2222-4333-8444-000000000001"
PHYSICAL_ID = "22222222-2222-4333-8444-000000000002"
FILES = {ANNEX_ID: b"annex one", UNSIGNED_ANNEX_ID: b"a;b\n1;2\n"}
COVER = b"%PDF-1.4 a letter"

_CONTACT = Contact(
    phone="+90 312 000 00 00",
    email="bilgi@example.org",
    fax="+90 312 000 00 01",
    web_address="https://example.org",
    postal_address="Örnek Mah. & Sok. No: 1",
    province="Ankara",
    district="Çankaya",
    country="Türkiye",
)
NEWER_CONTACT = replace(_CONTACT, other_phone="+90 312 000 00 02", kep_address="kurum@hs01.kep.tr")
PERSON = Person(PersonName("Deneme", "ALICI", "İkinci", "Dr.", "Sn."), "10000000146", "Müdür", _CONTACT)
COMPANY = LegalEntity(Identifier("0123456789012345", "MERSIS"), "Deneme A.Ş.", _CONTACT)
SIGNATORIES = (
    Signatory(Person(PersonName("Birinci", "İMZACI"), duty="Müdür"), office="Müdürlük", signed_at=MOMENT),
    Signatory(
        Person(PersonName("İkinci", "İMZACI")),
        delegated_by=Person(PersonName("Devreden", "BAŞKAN")),
        acting_for=Person(PersonName("Vekâlet", "VEREN")),
        purpose="Onay",
        note="e-imzalıdır",
        signed_at=MOMENT,
    ),
)

ANNEXES = (
    Annex(ANNEX_ID, AnnexKind.FILE, 1, "Çizim (1).txt", "text/plain", "Çizim", "açıklama", "No-1"),
    Annex(UNSIGNED_ANNEX_ID, AnnexKind.FILE, 2, "liste", "text/csv", "Liste", signed=False),
    Annex(
        EXTERNAL_ID,
        AnnexKind.EXTERNAL,
        3,
        uri="https://example.org/buyuk-dosya",
        local_id=Identifier("1", "yerel"),
        digest=AnnexDigest(DigestAlgorithm.SHA256.uri, b"\x01" * 32),
    ),
    Annex(PHYSICAL_ID, AnnexKind.PHYSICAL, 4, name="Numune", description="Kutu içinde"),
)
REFERENCES = (
    Reference("99999999-2222-4333-8444-000000000001", "a", "İlgi", "No-2", MOMENT, local_id=Identifier("2", "yerel")),
    Reference("99999999-2222-4333-8444-000000000002", "b", annex_id=ANNEX_ID, is_document_id=True),
)
EVERYONE = (
    Distribution(letters.RECIPIENT, Urgency.TIMED, Purpose.ACTION, "P3D", (ANNEX_ID,)),
    Distribution(PERSON, Urgency.URGENT, Purpose.INFORMATION),
    Distribution(COMPANY),
)
_CHANGES: dict[str, dict[str, object]] = {
    "plain": {"annexes": ()},
    "annexes": {"annexes": ANNEXES},
    "references": {"annexes": ANNEXES, "references": REFERENCES},
    "recipients": {"annexes": ANNEXES, "distributions": EVERYONE, "related_parties": (PERSON, COMPANY)},
    "contact": {"annexes": (), "originator": replace(letters.SENDER, contact=_CONTACT)},
    "degree": {
        "annexes": (),
        "security_code": SecurityCode.RESTRICTED,
        "security_code_valid_until": datetime(2030, 1, 1, tzinfo=UTC),
        "local_id": Identifier("7", "defter"),
    },
}
_NEWER: dict[str, dict[str, object]] = {
    "newer fields": {
        "annexes": (),
        "originator": replace(letters.SENDER, unit_number="10000003", contact=NEWER_CONTACT),
        "file_plan": FilePlanCode("702.03", "Plan", "açıklama"),
        "other_file_plans": (FilePlanCode("010", "Öteki"),),
        "service_codes": (ServiceCode(12, "Hizmet", "tanım"),),
    },
}


_COUNTER_SIGNATURE = tlv(0x30, tlv(0x06, bytes.fromhex("2a864886f70d010906")), tlv(0x31, tlv(0x30)))


def signed_cms(content: bytes, *values: bytes, countersigned: bool = False) -> bytes:
    """CMS SignedData with these signature values: no cryptography, but the structure of RFC 5652."""
    more = [tlv(0xA1, _COUNTER_SIGNATURE)] if countersigned else []
    signers = [
        tlv(0x30, tlv(0x02, b"\x01"), tlv(0x30), tlv(0x30), tlv(0xA0), tlv(0x30), tlv(0x04, value), *more)
        for value in values
    ]
    encapsulated = tlv(0x30, OID_DATA, tlv(0xA0, tlv(0x04, content)))
    signed_data = tlv(0x30, tlv(0x02, b"\x01"), tlv(0x31), encapsulated, tlv(0x31, *signers))
    return tlv(0x30, OID_SIGNED_DATA, tlv(0xA0, signed_data))


def older_letter(**changes: object) -> Metadata:
    """Metadata as 1.3 has it."""
    fields: dict[str, object] = {"verification_address": None, "document_no": "123-4", "date": MOMENT}
    return letters.letter(**(fields | changes))


def files_of(metadata: Metadata) -> dict[str, bytes]:
    """The files a letter's annexes need."""
    return {annex.id: FILES[annex.id] for annex in metadata.annexes if annex.kind is AnnexKind.FILE}


def newer(
    *, initials: int = 0, signers: int = 1, version: str = "2.0", algorithms: object = None, **changes: object
) -> FinishedPackage:
    """A finished 2.x package."""
    metadata = letters.letter(**changes)
    chosen = {} if algorithms is None else {"algorithms": algorithms}
    draft = PackageDraft.create(metadata, cover_letter=COVER, annex_files=files_of(metadata), **chosen)
    values = [b"one", b"two", b"three"]
    for count in range(1, initials + 1):
        draft = draft.with_initials(signed_cms(draft.initials_to_be_signed(), *values[:count]))
    manifest = draft.digest_to_be_signed()
    signed = draft.with_signature(signed_cms(manifest, *values[:1]))
    for count in range(2, signers + 1):
        signed = signed.with_further_signature(signed_cms(manifest, *values[:count]))
    final = FinalMetadata("E-10000001-000-1", MOMENT, SIGNATORIES[:signers])
    unsealed = signed.with_final_metadata(final, created=MOMENT, version=version)
    return unsealed.with_seal(signed_cms(unsealed.seal_to_be_signed(), b"seal"))


def older(*, signers: int = 1, seal: bool = True, algorithm: object = None, **changes: object) -> FinishedPackage:
    """A finished 1.3 package."""
    metadata = older_letter(**changes)
    chosen = {} if algorithm is None else {"algorithm": algorithm}
    draft = OlderDraft.create(metadata, cover_letter=COVER, annex_files=files_of(metadata), **chosen)
    values = [b"one", b"two", b"three"]
    manifest = draft.digest_to_be_signed()
    signed = draft.with_signature(signed_cms(manifest, *values[:1]))
    for count in range(2, signers + 1):
        signed = signed.with_further_signature(signed_cms(manifest, *values[:count]))
    unsealed = signed.with_signatories(SIGNATORIES[:signers], created=MOMENT)
    if not seal:
        return unsealed.without_seal()
    return unsealed.with_seal(signed_cms(unsealed.seal_to_be_signed(), b"seal"))


_Shape = Callable[[], FinishedPackage]


def _newer(**options: object) -> _Shape:
    return lambda: newer(**options)  # type: ignore[arg-type]


def _older(**options: object) -> _Shape:
    return lambda: older(**options)  # type: ignore[arg-type]


_WITH_256 = (DigestAlgorithm.SHA256, DigestAlgorithm.SHA512)
SHAPES: dict[str, _Shape] = {
    **{f"2.0 {name}": _newer(**changes) for name, changes in (_CHANGES | _NEWER).items()},
    **{f"1.3 {name}": _older(**changes) for name, changes in _CHANGES.items()},
    "2.0 initials": _newer(initials=1, annexes=ANNEXES),
    "2.0 two who initial, two who sign": _newer(initials=2, signers=2, annexes=ANNEXES),
    "2.0 SHA-256 and SHA-512": _newer(algorithms=_WITH_256, annexes=ANNEXES),
    "2.1": _newer(version="2.1", initials=1, annexes=ANNEXES, references=REFERENCES),
    "1.3 unsealed": _older(seal=False, annexes=ANNEXES),
    "1.3 two who sign": _older(signers=2, annexes=ANNEXES),
    "1.3 SHA-512": _older(algorithm=DigestAlgorithm.SHA512, annexes=ANNEXES),
}
"""A maker for each shape, by a name that starts with the version."""

from __future__ import annotations

import io
from dataclasses import replace
from datetime import UTC, datetime

import pytest

from shared.errors import DomainError, ErrorCode
from shared.eyp import (
    INTEROP,
    STRICT,
    Annex,
    AnnexDigest,
    AnnexKind,
    Contact,
    Container,
    DigestAlgorithm,
    Distribution,
    FilePlanCode,
    Generation,
    Identifier,
    LegalEntity,
    Organisation,
    PackageDraft,
    PackageKind,
    PackageVersion,
    Person,
    PersonName,
    Purpose,
    Reference,
    SecurityCode,
    ServiceCode,
    SignatureKind,
    Urgency,
    inspect,
)
from tests.unit.eyp import letters


def test_written_package_passes_the_strict_reader() -> None:
    """What we write has no finding at all, under its own file name."""
    finished = letters.finish(letters.draft())
    inspection = inspect(finished.to_bytes(), profile=STRICT, file_name=finished.file_name)
    assert inspection.findings == ()
    assert inspection.acceptable
    assert inspection.kind is PackageKind.PLAIN
    assert inspection.version == PackageVersion(2, 0)
    assert inspection.document_id == letters.DOCUMENT_ID
    assert inspection.document_no == "E-10000001-000-1"
    assert inspection.security_code is SecurityCode.UNCLASSIFIED
    assert inspection.cover_letter == "/UstYazi/Ustyazi.pdf"
    assert inspection.annex_parts == ("/Ekler/Cizim(1).txt", "/ImzasizEkler/liste.csv")
    assert [component.kind for component in inspection.signature_components] == [
        SignatureKind.SIGNATURE,
        SignatureKind.SEAL,
    ]
    assert inspection.final_metadata == letters.FINAL


def test_initials_are_written_signed_and_covered() -> None:
    """Initials come first and are covered by both later digests."""
    started = letters.draft()
    started = started.with_initials(letters.unsigned_cms(started.initials_to_be_signed()))
    content = letters.finish(started).to_bytes()
    inspection = inspect(content, profile=STRICT)
    assert inspection.findings == ()
    assert inspection.signature_components[0].kind is SignatureKind.INITIALS
    assert b"ParafImzaCades" in letters.parts_of(content)["PaketOzeti/PaketOzeti.xml"]


def test_every_field_survives() -> None:
    """Reading what was written gives the same model, whatever is filled in."""
    contact = Contact(
        "0312 000 00 00",
        "0312 000 00 01 dahili 12",
        "a@example.org",
        "a@hs01.kep.tr",
        "+90 (312) 000 00 02",
        "https://example.org",
        "Adres",
        "İl",
        "İlçe",
        "Ü",
    )
    person = Person(PersonName("Ad", "SOYAD", "İkinci", "Dr.", "Sn."), "10000000146", "Müdür", contact)
    metadata = letters.letter(
        security_code=SecurityCode.RESTRICTED,
        security_code_valid_until=datetime(2030, 1, 1, tzinfo=UTC),
        local_id=Identifier("7", "defter"),
        originator=replace(letters.SENDER, unit_number="10000003", contact=contact),
        distributions=(
            Distribution(letters.RECIPIENT, Urgency.TIMED, Purpose.ACTION, "P3D", (letters.ANNEX_ID,)),
            Distribution(person, Urgency.URGENT, Purpose.INFORMATION),
            Distribution(LegalEntity(Identifier("0123", "MERSIS"), "Şirket", contact)),
        ),
        annexes=(
            Annex(letters.ANNEX_ID, AnnexKind.FILE, 1, "a.txt", "text/plain", "A", "açıklama", "No-1", signed=True),
            Annex(
                letters.UNSIGNED_ANNEX_ID,
                AnnexKind.EXTERNAL,
                2,
                uri="https://example.org/x",
                local_id=Identifier("1", "yerel"),
                digest=AnnexDigest("http://www.w3.org/2001/04/xmlenc#sha256", b"\x01\x02"),
                signed=False,
            ),
        ),
        references=(
            Reference(
                "99999999-2222-4333-8444-555555555555",
                "a",
                "İlgi",
                "No-2",
                letters.MOMENT,
                letters.ANNEX_ID,
                "açıklama",
                Identifier("2", "yerel"),
                is_document_id=True,
            ),
        ),
        related_parties=(Organisation("10000004"),),
        file_plan=FilePlanCode("702.03", "Plan", "açıklama"),
        other_file_plans=(FilePlanCode("010", "Öteki"),),
        service_codes=(ServiceCode(12, "Hizmet", "tanım"),),
        cover_letter_file_name="ustyazi.pdf",
    )
    started = PackageDraft.create(metadata, cover_letter=b"%PDF-1.4", annex_files={letters.ANNEX_ID: b"a"})
    inspection = inspect(letters.finish(started).to_bytes(), profile=STRICT)
    assert inspection.findings == ()
    assert inspection.metadata == metadata


def test_same_inputs_give_the_same_bytes() -> None:
    """Ids and times are arguments, so the package is reproducible."""
    assert letters.package() == letters.package()


def test_file_sources_are_streamed_and_source_stays_open() -> None:
    """A source may be a callable, a package may be a file, and the caller keeps the file."""
    started = PackageDraft.create(
        letters.letter(annexes=()), cover_letter=lambda: io.BytesIO(b"%PDF-1.4 streamed"), algorithms=_WITH_256
    )
    target = io.BytesIO()
    letters.finish(started).write_to(target)
    inspection = inspect(target, profile=STRICT)
    assert inspection.findings == ()
    assert not target.closed
    with Container.open(target).open_part("/ustyazi/USTYAZI.PDF") as stream:
        assert stream.read() == b"%PDF-1.4 streamed"


_WITH_256 = (DigestAlgorithm.SHA256, DigestAlgorithm.SHA512)


def test_changed_source_is_noticed_while_writing() -> None:
    """A file that changes between digest and writing gives an error, not a broken package."""
    contents = iter([b"first", b"second"])
    started = PackageDraft.create(letters.letter(annexes=()), cover_letter=lambda: io.BytesIO(next(contents)))
    with pytest.raises(DomainError) as caught:
        letters.finish(started).to_bytes()
    assert caught.value.code is ErrorCode.DIGEST_MISMATCH


def test_signature_over_other_bytes_is_refused() -> None:
    """A CMS file that does not carry the manifest never gets into a package."""
    started = letters.draft()
    for cms in (letters.unsigned_cms(b"other"), b"", b"\x01\x02\x03\x04"):
        with pytest.raises(DomainError) as caught:
            started.with_signature(cms)
        assert caught.value.code is ErrorCode.SIGNATURE_INVALID


@pytest.mark.parametrize(
    ("changes", "rule"),
    [
        ({"document_id": "not-a-guid"}, "R.22"),
        ({"subject": ""}, "R.23"),
        ({"cover_letter_file_name": "نص"}, "R.23"),
        ({"media_type": None}, "R.23"),
        ({"document_no": "1"}, "R.24"),
        ({"distributions": ()}, "R.26"),
        ({"distributions": (Distribution(None),)}, "R.26"),
        ({"distributions": (Distribution(letters.RECIPIENT, Urgency.TIMED),)}, "R.27"),
        ({"distributions": (Distribution(letters.RECIPIENT, term="0"),)}, "R.27"),
        ({"originator": Organisation("01234567")}, "R.29"),
        ({"originator": None}, "R.21"),
        ({"security_code": None}, "R.21"),
        ({"security_code": SecurityCode.CONFIDENTIAL}, "R.34"),
        ({"verification_address": None}, "R.37"),
        ({"language": "tr"}, "R.38"),
    ],
)
def test_letter_that_breaks_a_rule_is_not_written(changes: dict[str, object], rule: str) -> None:
    """The writer refuses what the reader would call fatal and names the rule."""
    with pytest.raises(DomainError) as caught:
        letters.draft(**changes)
    assert caught.value.code is ErrorCode.VALIDATION_FAILED
    assert any(fault.detail.startswith(rule + ":") for fault in caught.value.faults)


@pytest.mark.parametrize(
    "changes",
    [
        {"subject": "a\x00b"},
        {"security_code": SecurityCode.PERSONAL},
        {"distributions": (Distribution(letters.RECIPIENT, Urgency.VERY_URGENT),)},
        {"media_type": "not a type"},
        {"annexes": ()},
        {
            "annexes": (
                Annex(letters.ANNEX_ID, AnnexKind.FILE, 1, "ş.txt", "text/plain"),
                Annex(letters.UNSIGNED_ANNEX_ID, AnnexKind.FILE, 2, "S.txt", "text/plain"),
            )
        },
    ],
)
def test_letter_that_cannot_be_written_is_refused(changes: dict[str, object]) -> None:
    """Values without a spelling in 2.x, files without annex and clashing names are validation errors."""
    with pytest.raises(DomainError) as caught:
        letters.draft(**changes)
    assert caught.value.code is ErrorCode.VALIDATION_FAILED


def test_first_generation_is_read() -> None:
    """A 1.x package with relative targets, no final digest and no seal is acceptable."""
    inspection = inspect(letters.first_generation_package(), profile=STRICT)
    assert inspection.findings == ()
    assert inspection.version == PackageVersion(1, 3)
    assert inspection.version.generation is Generation.V1
    assert inspection.document_no == "123-4"
    assert inspection.destinations == (Organisation("10000002", "Kurum"),)
    assert inspection.metadata is not None
    assert inspection.metadata.distributions[0].urgency is Urgency.URGENT
    assert inspection.metadata.date == datetime(2015, 6, 1, 7, 0, tzinfo=UTC)  # Turkish summer time
    assert [part.content_type for part in inspection.parts if part.name.startswith("/UstYazi")] == ["application/pdf"]


def test_profile_decides_what_blocks() -> None:
    """The same finding is fatal under one profile and a warning under the other."""
    content = letters.changed(
        letters.first_generation_package(),
        Ustveri=replacing_term("0"),
    )
    keys = {profile.name: _severity(content, profile.name) for profile in (STRICT, INTEROP)}
    assert keys == {"strict": "fatal", "interop": "warning"}


def replacing_term(term: str):
    return letters.replacing("</t:Dagitim>", f"<t:Miat>{term}</t:Miat></t:Dagitim>")


def _severity(content: bytes, profile: str) -> str:
    inspection = inspect(content, profile=STRICT if profile == "strict" else INTEROP)
    return next(finding.severity.value for finding in inspection.findings if finding.rule == "R.27")

"""What both writers write, our own reader takes without a finding; what they must not write, they refuse."""

from __future__ import annotations

import io
from collections.abc import Callable
from dataclasses import replace

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from shared.errors import DomainError, ErrorCode
from shared.eyp import (
    STRICT,
    Annex,
    AnnexKind,
    Contact,
    DigestAlgorithm,
    Distribution,
    FilePlanCode,
    Generation,
    Identifier,
    LegalEntity,
    Organisation,
    PackageDraft,
    Person,
    PersonName,
    Reference,
    SecurityCode,
    ServiceCode,
    SignatureKind,
    Urgency,
    inspect,
)
from shared.eyp.signers import signature_values
from shared.eyp.writer_older import OlderDraft
from shared.eyp.writing import normalised
from tests.unit.eyp import letters, shapes
from tests.unit.eyp.shapes import SHAPES


@pytest.mark.parametrize("name", SHAPES)
def test_no_shape_has_a_finding(name: str) -> None:
    """Every shape is read back in ``strict`` without a single finding, as the metadata it was made from."""
    finished = SHAPES[name]()
    inspection = inspect(finished.to_bytes(), profile=STRICT, file_name=finished.file_name)
    assert inspection.findings == ()
    assert str(inspection.version) == name[:3]
    assert inspection.metadata == finished.metadata
    assert inspection.final_metadata is not None
    assert inspection.final_metadata.date == letters.MOMENT
    signers = 2 if "two who sign" in name else 1
    assert inspection.final_metadata.signatories == shapes.SIGNATORIES[:signers]
    kinds = [component.kind for component in inspection.signature_components]
    assert (SignatureKind.SEAL in kinds) is ("unsealed" not in name)


def test_older_number_stands_in_the_metadata() -> None:
    """1.3 keeps number, date and recipients where 1.3 readers look for them."""
    inspection = inspect(shapes.older(distributions=_THREE).to_bytes(), profile=STRICT)
    assert inspection.document_no == "123-4"
    assert inspection.metadata is not None
    assert inspection.metadata.date == letters.MOMENT
    assert inspection.destinations == (letters.RECIPIENT, shapes.PERSON)


_THREE = (
    Distribution(letters.RECIPIENT),
    Distribution(shapes.PERSON),
    Distribution(letters.RECIPIENT, Urgency.NORMAL),
)


def test_older_destinations_can_be_chosen() -> None:
    """A package for one of the recipients names only that one outside the metadata."""
    draft = OlderDraft.create(
        shapes.older_letter(annexes=(), distributions=_THREE),
        cover_letter=shapes.COVER,
        destinations=[shapes.PERSON],
    )
    signed = draft.with_signature(letters.unsigned_cms(draft.digest_to_be_signed()))
    content = signed.with_signatories(shapes.SIGNATORIES, created=letters.MOMENT).without_seal().to_bytes()
    assert inspect(content, profile=STRICT).destinations == (shapes.PERSON,)
    for wrong in ([], [Organisation("1")]):
        with pytest.raises(DomainError) as caught:
            OlderDraft.create(shapes.older_letter(annexes=()), cover_letter=shapes.COVER, destinations=wrong)
        assert caught.value.code is ErrorCode.VALIDATION_FAILED


@pytest.mark.parametrize("make", [shapes.newer, shapes.older])
def test_steps_can_be_taken_again_elsewhere(make: Callable[..., object]) -> None:
    """The same inputs give the same bytes at every step, so nothing has to be kept but the inputs."""
    first, second = make(), make()
    assert first.to_bytes() == second.to_bytes()  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    "changes",
    [
        {"originator": replace(letters.SENDER, unit_number="10000003")},
        {"originator": replace(letters.SENDER, contact=Contact(kep_address="a@hs01.kep.tr"))},
        {"originator": replace(letters.SENDER, contact=Contact(other_phone="1"))},
        {"originator": replace(letters.SENDER, legacy_unit_number="1")},
        {"file_plan": FilePlanCode("702.03", "Plan")},
        {"service_codes": (ServiceCode(12, "Hizmet"),)},
        {"verification_address": "https://dogrulama.example.org"},
        {"document_no": None},
        {"date": None},
        {"distributions": (Distribution(letters.RECIPIENT, Urgency.VERY_URGENT),)},
        {"security_code_valid_until": letters.MOMENT.replace(year=2020)},
        {"subject": "a\x00b"},
        {"date": letters.MOMENT.replace(tzinfo=None)},
    ],
)
def test_what_has_no_place_in_the_older_version_is_refused(changes: dict[str, object]) -> None:
    """A value 1.3 has no element for is not dropped, a retired one not written."""
    with pytest.raises(DomainError) as caught:
        shapes.older(**({"annexes": ()} | changes))  # type: ignore[arg-type]
    assert caught.value.code is ErrorCode.VALIDATION_FAILED


def test_older_degrees_are_written() -> None:
    """1.3 has degrees that 2.x has not."""
    for degree in SecurityCode:
        inspection = inspect(shapes.older(annexes=(), security_code=degree).to_bytes(), profile=STRICT)
        assert inspection.findings == ()
        assert inspection.security_code is degree


def test_retired_field_is_not_lost_in_silence() -> None:
    """The unit number of 1.x has no place in 2.x."""
    with pytest.raises(DomainError):
        letters.draft(originator=replace(letters.SENDER, legacy_unit_number="1"))


@pytest.mark.parametrize("algorithm", [DigestAlgorithm.SHA1, DigestAlgorithm.RIPEMD160, DigestAlgorithm.SHA384])
def test_older_digest_is_sha256_or_sha512(algorithm: DigestAlgorithm) -> None:
    with pytest.raises(DomainError) as caught:
        shapes.older(annexes=(), algorithm=algorithm)
    assert caught.value.code is ErrorCode.VALIDATION_FAILED


def test_unknown_newer_version_is_refused() -> None:
    with pytest.raises(DomainError) as caught:
        shapes.newer(annexes=(), version="2.2")
    assert caught.value.code is ErrorCode.VALIDATION_FAILED


def test_older_steps_refuse_foreign_signatures() -> None:
    """Neither signature nor seal over other bytes gets into a 1.3 package, nor a list without signers."""
    draft = OlderDraft.create(shapes.older_letter(annexes=()), cover_letter=shapes.COVER)
    for cms in (letters.unsigned_cms(b"other"), b"", b"imza"):
        with pytest.raises(DomainError) as caught:
            draft.with_signature(cms)
        assert caught.value.code is ErrorCode.SIGNATURE_INVALID
    signed = draft.with_signature(letters.unsigned_cms(draft.digest_to_be_signed()))
    unsealed = signed.with_signatories(shapes.SIGNATORIES, created=letters.MOMENT)
    with pytest.raises(DomainError) as caught:
        unsealed.with_seal(letters.unsigned_cms(draft.digest_to_be_signed()))
    assert caught.value.code is ErrorCode.SIGNATURE_INVALID
    with pytest.raises(DomainError) as caught:
        signed.with_signatories([], created=letters.MOMENT)
    assert caught.value.code is ErrorCode.VALIDATION_FAILED


def test_further_signature_keeps_the_earlier_ones() -> None:
    """The file may be signed again; one in which the first signer is gone is refused, initials alike."""
    draft = letters.draft()
    initials = draft.initials_to_be_signed()
    draft = draft.with_initials(shapes.signed_cms(initials, b"first"))
    with pytest.raises(DomainError) as caught:
        draft.with_initials(shapes.signed_cms(initials, b"second"))
    assert caught.value.code is ErrorCode.SIGNATURE_INVALID
    draft = draft.with_initials(shapes.signed_cms(initials, b"second", b"first"))
    manifest = draft.digest_to_be_signed()
    signed = draft.with_signature(shapes.signed_cms(manifest, b"first"))
    for cms in (
        shapes.signed_cms(manifest, b"second"),
        shapes.signed_cms(b"other", b"first", b"second"),
        b"",
    ):
        with pytest.raises(DomainError) as caught:
            signed.with_further_signature(cms)
        assert caught.value.code is ErrorCode.SIGNATURE_INVALID
    assert signed.with_further_signature(shapes.signed_cms(manifest, b"first", b"second")) != signed


def test_signature_values_of_anything() -> None:
    """Bytes that hold no signers have no values; those that do keep theirs."""
    cms = shapes.signed_cms(b"content", b"one", b"two")
    assert signature_values(cms) == {b"one", b"two"}
    assert signature_values(letters.unsigned_cms(b"content")) == frozenset()
    for cut in range(len(cms)):
        assert signature_values(cms[:cut]) <= {b"one", b"two"}


@pytest.mark.parametrize("make", [shapes.newer, shapes.older])
def test_copy_for_a_recipient_from_whom_an_annex_is_withheld(make: Callable[..., object]) -> None:
    """The file and its relationship are gone, the digests stay, and only that recipient's reader accepts it."""
    distributions = (
        Distribution(letters.RECIPIENT, withheld_annexes=(letters.ANNEX_ID,)),
        Distribution(shapes.PERSON),
    )
    finished = make(distributions=distributions)
    theirs = finished.copy_for(letters.RECIPIENT.number)  # type: ignore[attr-defined]
    content = theirs.to_bytes()
    assert not any(name.startswith("Ekler/") for name in letters.parts_of(content))
    assert b"IdEk_" not in letters.parts_of(content)["_rels/.rels"]
    inspection = inspect(content, profile=STRICT, recipient=letters.RECIPIENT.number)
    assert inspection.acceptable
    assert {finding.key.rpartition(".")[2] for finding in inspection.findings} == {"withheld"}
    assert not inspect(content, profile=STRICT, recipient=shapes.PERSON.identity_number).acceptable
    unchanged = finished.copy_for(shapes.PERSON.identity_number)  # type: ignore[attr-defined]
    assert unchanged.to_bytes() == finished.to_bytes()  # type: ignore[attr-defined]


def test_file_somebody_is_to_get_must_be_there() -> None:
    """Only a file withheld from every recipient may be missing."""
    withheld = Distribution(letters.RECIPIENT, withheld_annexes=(letters.ANNEX_ID,))
    annexes = letters.letter().annexes[:1]
    for distributions, written in (((withheld,), True), ((withheld, Distribution(shapes.PERSON)), False)):
        metadata = letters.letter(annexes=annexes, distributions=distributions)
        if written:
            draft = PackageDraft.create(metadata, cover_letter=shapes.COVER)
            assert not [part for part in draft.parts if part.name.startswith("/Ekler/")]
        else:
            with pytest.raises(DomainError) as caught:
                PackageDraft.create(metadata, cover_letter=shapes.COVER)
            assert caught.value.code is ErrorCode.VALIDATION_FAILED


def test_copy_without_initials() -> None:
    """The initials' signature may stay at home; the receiver is told and accepts."""
    copy = shapes.newer(initials=1).copy_for(letters.RECIPIENT.number, keep_initials=False)
    inspection = inspect(copy.to_bytes(), profile=STRICT)
    assert inspection.acceptable
    assert {finding.key.rpartition(".")[2] for finding in inspection.findings} == {"initials-stripped"}


def test_file_that_cannot_seek_is_refused() -> None:
    """Sizes behind the parts are what some readers cannot take, so nothing is written at all."""

    class Pipe(io.BytesIO):
        def seekable(self) -> bool:
            return False

    pipe = Pipe()
    with pytest.raises(ValueError, match="seekable"):
        shapes.older().write_to(pipe)
    assert pipe.getvalue() == b""


def test_letter_with_more_than_a_package_holds_is_refused() -> None:
    """Too many annexes, file names too long: a validation error, not a package nobody opens."""
    many = tuple(
        Annex(f"33333333-2222-4333-8444-{number:012X}", AnnexKind.FILE, number, f"{number}.txt", "text/plain")
        for number in range(1, 2_001)
    )
    long_name = (Annex(letters.ANNEX_ID, AnnexKind.FILE, 1, "x" * 300 + ".txt", "text/plain"),)
    for annexes in (many, long_name):
        with pytest.raises(DomainError) as caught:
            PackageDraft.create(
                letters.letter(annexes=annexes),
                cover_letter=shapes.COVER,
                annex_files={annex.id: b"" for annex in annexes},
            )
        assert caught.value.code is ErrorCode.VALIDATION_FAILED
    everyone = (Distribution(Person(PersonName("Deneme", "ALICI"))),) * 20_000
    with pytest.raises(DomainError) as caught:
        letters.draft(distributions=everyone)
    assert caught.value.code is ErrorCode.VALIDATION_FAILED


def test_names_and_ids_are_normalised_alike() -> None:
    """Ids go up, names are folded; what comes back is what the package says."""
    metadata = normalised(
        letters.letter(
            document_id=letters.DOCUMENT_ID.lower(),
            cover_letter_file_name="İmza sirküleri ÇĞÖŞÜ.pdf",
            distributions=(Distribution(letters.RECIPIENT, withheld_annexes=(letters.ANNEX_ID.lower(),)),),
        )
    )
    assert metadata.document_id == letters.DOCUMENT_ID
    assert metadata.cover_letter_file_name == "ImzasirkuleriCGOSU.pdf"
    assert metadata.distributions[0].withheld_annexes == (letters.ANNEX_ID,)
    assert [annex.signed for annex in metadata.annexes] == [True, False]


def test_generation_is_known_at_every_step() -> None:
    assert shapes.older().generation is Generation.V1
    assert shapes.newer().generation is Generation.V2


_TEXT = st.one_of(
    st.text(st.characters(exclude_categories=["Cs", "Cc"]), max_size=12),
    st.sampled_from([" ", "\r\n", "<a>&amp;]]>", "\u00a0x ", "\ufeff", "a", "\x00"]),
)
_MAYBE = st.none() | _TEXT
_REQUIRED = st.builds("{}{}".format, st.sampled_from([*"ABCDEFGHIJKLMNOPQRSĞ", " "]), _TEXT)
"""Empty but for white space now and then."""


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.data(), st.sampled_from([shapes.newer, shapes.older]))
def test_whatever_is_written_is_read_without_a_finding(data: st.DataObject, make: Callable[..., object]) -> None:
    """Texts of any kind are refused, or come back as they were given, but for the space around them."""
    contact = Contact(phone=data.draw(_MAYBE), postal_address=data.draw(_MAYBE), country=data.draw(_MAYBE))
    person = Person(
        PersonName(data.draw(_REQUIRED), data.draw(_REQUIRED), title=data.draw(_MAYBE)), duty=data.draw(_MAYBE)
    )
    company = LegalEntity(Identifier(data.draw(_REQUIRED), "MERSIS"), data.draw(_MAYBE), contact)
    annex = Annex(
        letters.ANNEX_ID, AnnexKind.FILE, 1, data.draw(_REQUIRED), "text/plain", data.draw(_MAYBE), data.draw(_MAYBE)
    )
    reference = Reference("99999999-2222-4333-8444-000000000001", "a", data.draw(_MAYBE), data.draw(_MAYBE))
    changes = {
        "subject": data.draw(_REQUIRED),
        "cover_letter_file_name": data.draw(_REQUIRED),
        "originator": replace(letters.SENDER, name=data.draw(_MAYBE), contact=contact),
        "distributions": (Distribution(person), Distribution(company)),
        "annexes": (annex,),
        "references": (reference,),
        "local_id": Identifier(data.draw(_REQUIRED), data.draw(_REQUIRED)),
    }
    try:
        finished = make(**changes)
    except DomainError as error:
        refused = error.code
    else:
        refused = None
        content = finished.to_bytes()  # type: ignore[attr-defined]
        inspection = inspect(content, profile=STRICT)
        # A telephone number of no known form is the sender's business; whatever else is found is ours.
        assert {finding.key for finding in inspection.findings} <= {"R.40.phone"}
        assert inspection.metadata is not None
        assert inspection.metadata.subject == str(changes["subject"]).strip()
    assert refused in (None, ErrorCode.VALIDATION_FAILED)

"""What a letter leaves open is filled from the data of the letter; what the caller wrote always stays."""

from __future__ import annotations

from services.gateway.correspondence_examples import DATA
from services.gateway.drafts.completion import Filled, Filling, with_ids
from services.gateway.schemas.correspondence import CorrespondenceBody
from services.gateway.schemas.letters import (
    ContactDetails,
    LetterAnnex,
    LetterDistribution,
    LetterMetadata,
    OrganisationParty,
    PersonParty,
)
from shared.eyp import AnnexKind, SecurityCode

SENDER, UNIT, FIRST, SECOND = 10000001, 10000011, 10000002, 10000003
ASKED = CorrespondenceBody(sender_no=UNIT, recipients=[FIRST, SECOND])


def letter(**changes: object) -> LetterMetadata:
    fields: dict[str, object] = {"subject": "Konu", "security_code": SecurityCode.UNCLASSIFIED}
    return LetterMetadata.model_validate(fields | changes)


def filled(given: LetterMetadata, *, older: bool = False) -> Filled:
    return Filling(DATA, older=older).fill(given, SENDER, "Örnek Bakanlığı", ASKED)


def test_an_empty_letter_gets_originator_recipients_names_and_addresses() -> None:
    result = filled(letter())
    originator = result.letter.originator
    assert isinstance(originator, OrganisationParty)
    assert (originator.detsis_no, originator.unit_no, originator.name) == (SENDER, UNIT, "Örnek Bakanlığı")
    assert originator.contact is not None
    assert originator.contact.email == "personel@bakanlik.example"
    first, second = (item.recipient for item in result.letter.distributions)
    assert isinstance(first, OrganisationParty)
    assert isinstance(second, OrganisationParty)
    assert (first.detsis_no, first.name) == (FIRST, "ÖRNEK BELEDİYE BAŞKANLIĞI")
    assert first.contact is not None
    assert first.contact.kep_address == "ornek.belediyesi@hs02.example.kep.tr"
    assert second.contact is not None
    assert (second.contact.kep_address, second.contact.fax) == (None, "0 000 000 00 04")
    sources = {item.pointer: (item.origin, item.rule) for item in result.values}
    assert sources["/metadata/originator/name"] == ("gateway", "institution.name")
    assert sources["/metadata/distributions/0/recipient/name"] == ("mirror", "mirror.name")
    assert sources["/metadata/distributions/0/recipient/contact/kep_address"] == ("live", "live.eYazismaPaketi")
    assert sources["/metadata/distributions/1/recipient/contact/phone"] == ("live", "live.contacts")


def test_what_the_caller_wrote_stays() -> None:
    mine = OrganisationParty(detsis_no=FIRST, name="Benim yazdığım", contact=ContactDetails(phone="1"))
    person = PersonParty(first_name="Deneme", last_name="ALICI")
    result = filled(
        letter(
            originator=OrganisationParty(detsis_no=10000007, name="Başka"),
            distributions=[LetterDistribution(recipient=mine), LetterDistribution(recipient=person)],
        )
    )
    first, second = (item.recipient for item in result.letter.distributions)
    assert isinstance(first, OrganisationParty)
    assert first.contact is not None
    assert (first.name, first.contact.phone) == ("Benim yazdığım", "1")
    assert first.contact.postal_address is not None
    assert second == person
    assert result.letter.originator == OrganisationParty(detsis_no=10000007, name="Başka")
    pointers = [item.pointer for item in result.values]
    assert not [item for item in pointers if item.endswith(("/name", "/phone")) or "originator" in item]


def test_what_1_3_has_no_element_for_is_not_filled() -> None:
    result = filled(letter(), older=True)
    assert isinstance(result.letter.originator, OrganisationParty)
    assert result.letter.originator.unit_no is None
    assert not [item for item in result.values if item.pointer.endswith("kep_address")]


def test_without_data_only_the_originator_is_known() -> None:
    result = Filling(None, older=False).fill(letter(), SENDER, "Örnek Bakanlığı", None)
    assert result.letter.originator == OrganisationParty(detsis_no=SENDER, name="Örnek Bakanlığı")
    assert [item.pointer for item in result.values] == ["/metadata/originator/name"]


def test_ids_are_made_once_and_the_documents_own_is_kept() -> None:
    annex = LetterAnnex(kind=AnnexKind.PHYSICAL, name="Numune")
    first = with_ids(letter(annexes=[annex]))
    assert first.document_id is not None
    assert first.annexes[0].id is not None
    assert with_ids(first) == first
    assert with_ids(letter(), first).document_id == first.document_id

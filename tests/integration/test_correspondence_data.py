"""All ten items of EK-3/4 for one letter, one by one, against a DETSİS that answers, and one that answers badly."""

from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from pydantic import SecretStr

from services.sandbox.detsis.app import PATH, PRIVATE_SECTOR_PATH
from services.sandbox.detsis.names import dative
from services.sandbox.detsis.people import contacts, first_contact, manager_on
from services.sandbox.detsis.register import PinnedUnit
from shared.clients.correspondence import CorrespondenceClient
from shared.clients.live import LiveClient
from shared.contracts.directory import (
    AnswerSource,
    CertificateHolder,
    ClosingKind,
    CorrespondenceData,
    CorrespondenceRequest,
    LetterRecipient,
    MissingReason,
    Origin,
    RegisterAccount,
    ResolutionLevel,
    ResolutionProblem,
)
from shared.errors import DomainError, ErrorCode
from tests.support.database import fresh_database
from tests.support.detsis import (
    NOW,
    PASSWORD,
    TOKEN,
    A,
    B,
    Detsis,
    Directory,
    first_night,
    running_detsis,
    running_directory,
)
from tests.unit.detsis_soap.conftest import Authority, make_authority

TOKEN_SECRET = SecretStr(TOKEN)
LETTER, CONTACTS = "eYazismaPaketi", "KurumBirimIletisimBilgileriGetirWs"


def encryption_certificate(name: str, *, days: int = 400) -> bytes:
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    start = datetime(2026, 1, 1, tzinfo=UTC)
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(4711)
        .not_valid_before(start)
        .not_valid_after(start + timedelta(days=days))
        .sign(key, hashes.SHA256())
        .public_bytes(serialization.Encoding.DER)
    )


CERTIFICATE, EXPIRED = encryption_certificate("B"), encryption_certificate("C", days=30)
MAIN_A = PinnedUnit(A, "ÖRNEK A KURUMU BAŞKANLIĞI", kep_address="kurum.a@hs91.kep.example")
DEPARTMENT = PinnedUnit(10000011, "YAZI İŞLERİ DAİRESİ BAŞKANLIĞI", parent_no=A, kep_address="yazi@hs91.kep.example")
MAIN_B = PinnedUnit(
    B, "ÇINARALTI ÜNİVERSİTESİ REKTÖRLÜĞÜ", kep_address="Kurum.B@hs92.kep.example", encryption_certificate=CERTIFICATE
)
FACULTY = PinnedUnit(10000021, "FEN FAKÜLTESİ DEKANLIĞI", parent_no=B, kep_address="fen@hs92.kep.example")
OUTDATED = PinnedUnit(
    10000007, "ESKİ SERTİFİKALI KURUM BAŞKANLIĞI", kep_address="c@hs91.kep.example", encryption_certificate=EXPIRED
)
SILENT = PinnedUnit(10000003, "SESSİZ VALİLİĞİ")
CLOSED = PinnedUnit(10000004, "KAPALI KURUM", active=False, operating=False, kep_address="kapali@hs92.kep.example")
UNITS = (MAIN_A, DEPARTMENT, MAIN_B, FACULTY, OUTDATED, SILENT, CLOSED)
NOBODY = 10000099
SEVERAL = (FACULTY.detsis_no, B, OUTDATED.detsis_no)


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return make_authority(tmp_path_factory.mktemp("tls"))


@pytest.fixture(scope="module")
def after_a_night(database_server: str, authority: Authority) -> Iterator[str]:
    with first_night(database_server, authority, *UNITS) as url:
        yield url


@pytest.fixture
def filled_url(database_server: str, after_a_night: str) -> Iterator[str]:
    with fresh_database(database_server, like=after_a_night) as url:
        yield url


@pytest.fixture
async def detsis(authority: Authority) -> AsyncIterator[Detsis]:
    async with running_detsis(authority, *UNITS) as found:
        yield found


class Office:
    """Somebody who writes letters for A."""

    def __init__(self, directory: Directory) -> None:
        self.directory = directory
        self.detsis = directory.detsis
        self.client = CorrespondenceClient(directory.url, TOKEN_SECRET)

    async def data(
        self, *recipients: int, sender: int = A, institution: int = A, mode: Any = "live"
    ) -> CorrespondenceData:
        return await self.client.data(
            CorrespondenceRequest(
                institution_no=institution, sender_no=sender, recipient_nos=list(recipients), mode=mode
            )
        )

    async def only(self, recipient: int, **options: Any) -> LetterRecipient:
        (found,) = (await self.data(recipient, **options)).recipients
        return found


@asynccontextmanager
async def at_office(database_url: str, detsis: Detsis) -> AsyncIterator[Office]:
    async with running_directory(
        database_url, detsis, "jobs", shrink_limit_ratio=0.9, live_breaker_seconds=0
    ) as directory:
        await directory.account()
        office = Office(directory)
        yield office
        await office.client.aclose()


@pytest.fixture
async def empty(database_url: str, detsis: Detsis) -> AsyncIterator[Office]:
    """Before the first refresh."""
    async with at_office(database_url, detsis) as office:
        yield office


@pytest.fixture
async def office(filled_url: str, detsis: Detsis) -> AsyncIterator[Office]:
    async with at_office(filled_url, detsis) as office:
        yield office


def missing(data: CorrespondenceData, detsis_no: int | None = None) -> dict[str, MissingReason]:
    return {item.item: item.reason for item in data.missing if item.detsis_no == detsis_no}


def codes(recipient: LetterRecipient) -> list[str]:
    return [warning.code for warning in recipient.warnings]


# One by one


async def test_a_the_letterhead_in_lines(office: Office) -> None:
    data = await office.data(B, sender=DEPARTMENT.detsis_no)
    assert data.letterhead is not None
    assert data.letterhead.lines == ["T.C.", MAIN_A.name, DEPARTMENT.name]
    source = data.letterhead.source
    assert (source.origin, source.operation, source.as_of, source.stale, source.rule) == (
        Origin.LIVE, "CORRESPONDENCE_PACKAGE", NOW, False, "live.eYazismaPaketi",
    )  # fmt: skip


async def test_b_the_number_is_that_of_the_unit_that_prepares_the_letter(office: Office) -> None:
    number = (await office.data(B, sender=DEPARTMENT.detsis_no)).number_unit_no
    assert (number.detsis_no, number.text, number.source.origin) == (10000011, "10000011", Origin.LIVE)


async def test_c_the_addressee_of_one_and_of_several(office: Office) -> None:
    one = await office.data(B)
    assert one.addressee_line is not None
    assert (one.addressee_line.text, one.addressee_line.distribution) == ("ÇINARALTI ÜNİVERSİTESİ REKTÖRLÜĞÜNE", False)
    several = await office.data(*SEVERAL)
    assert several.addressee_line is not None
    assert (several.addressee_line.text, several.addressee_line.distribution) == ("DAĞITIM YERLERİNE", True)
    assert [found.addressee.text for found in several.recipients if found.addressee] == [
        "FEN FAKÜLTESİ DEKANLIĞINA", "ÇINARALTI ÜNİVERSİTESİ REKTÖRLÜĞÜNE", "ESKİ SERTİFİKALI KURUM BAŞKANLIĞINA",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("recipients", "kind"),
    [((B,), ClosingKind.ARZ), ((10000011,), ClosingKind.RICA), ((B, 10000011), ClosingKind.ARZ_RICA)],
)
async def test_d_the_closing_phrase_depends_on_all_recipients_of_this_letter(
    office: Office, recipients: tuple[int, ...], kind: ClosingKind
) -> None:
    data = await office.data(*recipients)
    assert data.closing_phrase is not None
    assert data.closing_phrase.kind is kind
    assert data.closing_phrase.source.origin is Origin.LIVE
    assert office.detsis.calls[LETTER] == 1, "asked once with the whole list"


async def test_e_the_managers_of_the_chain(office: Office) -> None:
    data = await office.data(B, sender=DEPARTMENT.detsis_no)
    assert data.signatories is not None
    register = office.detsis.register
    chain = [register.unit(number) for number in (DEPARTMENT.detsis_no, A)]
    posts = [post for unit in chain if unit and (post := manager_on(unit, NOW.date()))]
    assert [(p.given_name, p.surname, p.title, p.manager_code, p.unit_no) for p in data.signatories.people] == [
        (post.given_name, post.surname, post.title, post.manager_code, post.unit_no) for post in posts
    ]
    assert len(posts) == 2
    assert [p.acting_kind for p in data.signatories.people] == ["Vekaleten" if p.acting else None for p in posts]


async def test_f_the_distribution_list_with_the_recipients_it_names(office: Office) -> None:
    data = await office.data(*SEVERAL)
    assert data.distribution_list is not None
    assert [line.detsis_no for line in data.distribution_list.lines] == list(SEVERAL)
    assert data.distribution_list.source.origin is Origin.LIVE
    assert data.distribution_list.given_text == "\n".join(line.text for line in data.distribution_list.lines)
    one = await office.data(B)
    assert (one.distribution_list, "f.distribution_list" in missing(one)) == (None, False)


async def test_f_is_built_in_the_order_asked_when_detsis_gives_something_else(office: Office) -> None:
    for edit in (
        lambda body: re.sub(rb"<DagitimListesi>.*</DagitimListesi>", b"", body, flags=re.DOTALL),
        lambda body: re.sub(rb"<DagitimListesi>.*?\n", b"<DagitimListesi>", body),
        lambda body: body.replace(b"<DagitimListesi>FEN", b"<DagitimListesi>1- FEN"),
    ):
        with office.detsis.editing(LETTER, edit):
            data = await office.data(*SEVERAL)
        found = data.distribution_list
        assert found is not None
        assert [line.detsis_no for line in found.lines] == list(SEVERAL)
        assert (found.source.origin, found.source.rule) == (Origin.BUILT, "built.recipients-in-order")
    assert found is not None
    assert (found.given_text or "").startswith("1- FEN")


async def test_g_how_the_sender_is_reached(office: Office) -> None:
    data = await office.data(B, sender=DEPARTMENT.detsis_no)
    unit = office.detsis.register.unit(DEPARTMENT.detsis_no)
    assert unit is not None
    contact = data.sender_contact
    told = [contact.postal_address, contact.phone, contact.fax, contact.email, contact.website]
    expected = [unit.postal_address, *(first_contact(unit, kind) for kind in (4, 5, 2, 1))]
    assert [found.text for found in told if found] == expected
    assert {found.source.origin for found in told if found} == {Origin.LIVE}
    assert not [item for item in missing(data) if item.startswith("g")]


async def test_g_what_the_package_lacks_comes_from_the_units_contacts(office: Office) -> None:
    with office.detsis.editing(LETTER, lambda body: re.sub(rb"<GonderenFaks.*?/GonderenFaksNumarasi>", b"", body)):
        data = await office.data(B, sender=DEPARTMENT.detsis_no)
    unit = office.detsis.register.unit(DEPARTMENT.detsis_no)
    assert unit is not None
    assert data.sender_contact.fax is not None
    assert data.sender_contact.fax.text == first_contact(unit, 5)
    assert data.sender_contact.fax.source.operation == "CONTACTS"


async def test_h_the_verified_address_and_what_kind_detsis_calls_it(office: Office) -> None:
    found = await office.only(B)
    assert found.kep_address is not None
    assert (found.kep_address.address, found.kep_address.kind_text) == ("kurum.b@hs92.kep.example", "1")
    assert found.kep_address.source.rule == "live.eYazismaPaketi"
    assert (found.problem, found.level, found.warnings) == (None, ResolutionLevel.OK, [])


@pytest.mark.parametrize(
    ("number", "problem", "reason"),
    [
        (SILENT.detsis_no, ResolutionProblem.NO_KEP_ADDRESS, MissingReason.NOT_IN_ANSWER),
        (CLOSED.detsis_no, ResolutionProblem.INACTIVE, MissingReason.UNUSABLE),
        (NOBODY, ResolutionProblem.UNKNOWN, MissingReason.NOT_IN_ANSWER),
    ],
)
async def test_h_who_cannot_be_written_to_and_why(
    office: Office, number: int, problem: ResolutionProblem, reason: MissingReason
) -> None:
    data = await office.data(B, number)
    found = data.recipients[1]
    assert (found.detsis_no, found.kep_address, found.problem, found.level) == (
        number, None, problem, ResolutionLevel.ERROR,
    )  # fmt: skip
    assert missing(data, number)["h.kep_address"] is reason
    assert data.recipients[0].kep_address is not None


async def test_i_the_certificate_whose_it_is_and_until_when(office: Office) -> None:
    own = (await office.only(B)).encryption_certificate
    assert own is not None
    assert base64.b64decode(own.der_base64) == CERTIFICATE
    assert own.sha256 == hashlib.sha256(CERTIFICATE).hexdigest()
    assert (own.holder, own.holder_no) == (CertificateHolder.OWN, B)
    assert (own.not_after, own.serial) == (datetime(2027, 2, 5, tzinfo=UTC), f"{4711:x}")
    served = (await office.only(FACULTY.detsis_no)).encryption_certificate
    assert served is not None
    assert (served.sha256, served.holder, served.holder_no) == (own.sha256, CertificateHolder.OWNER, B)


async def test_i_an_expired_certificate_is_given_and_named(office: Office) -> None:
    found = await office.only(OUTDATED.detsis_no)
    assert found.encryption_certificate is not None
    assert codes(found) == ["certificate-expired"]
    assert found.level is ResolutionLevel.WARNING


async def test_i_none_in_the_answer_but_one_in_the_mirror(office: Office) -> None:
    with office.detsis.editing(LETTER, lambda body: re.sub(rb"<MuhatapSif.*?/MuhatapSifrelemeSertifikasi>", b"", body)):
        data = await office.data(B)
    found = data.recipients[0]
    assert (found.encryption_certificate, codes(found)) == (None, ["certificate-only-in-mirror"])
    assert missing(data, B)["i.encryption_certificate"] is MissingReason.NOT_IN_ANSWER


@pytest.mark.parametrize("content", [b"%%%not base64%%%", base64.b64encode(b"no certificate")])
async def test_i_what_is_no_certificate_is_not_handed_out(office: Office, content: bytes) -> None:
    given = base64.b64encode(CERTIFICATE)
    with office.detsis.editing(LETTER, lambda body: body.replace(given, content)):
        data = await office.data(B, SILENT.detsis_no)
    found = data.recipients[0]
    assert (found.encryption_certificate, codes(found)) == (None, ["certificate-unusable"])
    assert missing(data, B)["i.encryption_certificate"] is MissingReason.UNUSABLE
    assert found.kep_address is not None


async def test_j_postal_address_telephones_and_faxes(office: Office) -> None:
    found = await office.only(B)
    unit = office.detsis.register.unit(B)
    assert unit is not None
    assert found.postal_address is not None
    assert (found.postal_address.text, found.postal_address.source.origin) == (unit.postal_address, Origin.LIVE)
    for lines, kind in ((found.phones, 4), (found.faxes, 5)):
        assert lines is not None
        assert [line.value for line in lines.values] == [c.text for c in contacts(unit) if c.kind == kind]
        assert lines.values
        assert lines.source.operation == "CONTACTS"


async def test_j_a_unit_that_lists_no_fax_is_told_from_one_nobody_could_ask_about(empty: Office) -> None:
    without = next(n for n in (A, B, 10000011, 10000007, 10000021) if n % 6 == 5)
    data = await empty.data(without)
    assert data.recipients[0].faxes is not None
    assert data.recipients[0].faxes.values == []
    assert missing(data, without)["j.fax"] is MissingReason.NOT_LISTED
    empty.detsis.order("down", CONTACTS)
    data = await empty.data(SILENT.detsis_no)
    assert data.source is AnswerSource.LIVE
    assert data.recipients[0].faxes is None
    assert missing(data, SILENT.detsis_no)["j.fax"] is MissingReason.NOT_ANSWERED


async def test_j_contacts_are_kept_and_serve_when_detsis_is_down(empty: Office) -> None:
    """Without a refresh: only what was asked for a letter."""
    numbers = (B, OUTDATED.detsis_no)
    first = await empty.data(*numbers, sender=DEPARTMENT.detsis_no)
    assert {r.phones.source.origin for r in first.recipients if r.phones} == {Origin.LIVE}
    assert empty.detsis.calls[CONTACTS] == 2
    second = await empty.data(*numbers, sender=DEPARTMENT.detsis_no)
    assert {r.phones.source.origin for r in second.recipients if r.phones} == {Origin.CONTACTS}
    assert empty.detsis.calls[CONTACTS] == 2
    empty.directory.clock.moment += timedelta(hours=25)
    empty.detsis.order("down", CONTACTS)
    third = await empty.data(*numbers, sender=DEPARTMENT.detsis_no)
    for before, after in zip(first.recipients, third.recipients, strict=True):
        assert before.phones is not None
        assert after.phones is not None
        assert after.phones.values == before.phones.values
        assert (after.phones.source.stale, after.phones.source.as_of) == (True, NOW)


# The answer as a whole


async def test_what_is_none_is_named_and_everything_else_says_where_it_comes_from(office: Office) -> None:
    data = await office.data(*SEVERAL, SILENT.detsis_no, NOBODY, sender=DEPARTMENT.detsis_no)
    assert (data.source, data.rule, data.freshness.stale) == (AnswerSource.LIVE, "live.eYazismaPaketi", False)
    assert [found.detsis_no for found in data.recipients] == [*SEVERAL, SILENT.detsis_no, NOBODY]
    for found in data.recipients:
        names = missing(data, found.detsis_no)
        for item, value in {
            "c.addressee": found.addressee, "h.kep_address": found.kep_address,
            "i.encryption_certificate": found.encryption_certificate, "j.postal_address": found.postal_address,
        }.items():  # fmt: skip
            assert (value is None) == (item in names), (found.detsis_no, item)
    assert missing(data) == {}


async def test_recipients_are_joined_by_number_never_by_position(office: Office) -> None:
    def reversed_list(body: bytes) -> bytes:
        entries = re.findall(rb"<eYazismaMuhatapBilgileri>.*?</eYazismaMuhatapBilgileri>", body, flags=re.DOTALL)
        return body.replace(b"".join(entries), b"".join(reversed(entries)))

    await office.data(*SEVERAL)  # from now on contacts are stored ones
    expected = await office.data(*SEVERAL)
    with office.detsis.editing(LETTER, reversed_list):
        assert (await office.data(*SEVERAL)).recipients == expected.recipients


def entry_of(body: bytes, number: int) -> bytes:
    entries: list[bytes] = re.findall(
        rb"<eYazismaMuhatapBilgileri>.*?</eYazismaMuhatapBilgileri>", body, flags=re.DOTALL
    )
    return next(entry for entry in entries if f"<KurumID>{number}<".encode() in entry)


async def test_a_recipient_detsis_leaves_out(office: Office) -> None:
    with office.detsis.editing(LETTER, lambda body: body.replace(entry_of(body, B), b"")):
        data = await office.data(*SEVERAL)
    found = data.recipients[1]
    assert (found.detsis_no, found.kep_address, found.problem) == (B, None, ResolutionProblem.KEP_INACTIVE)
    assert "left-out" in codes(found)
    assert found.addressee is not None
    assert found.addressee.source.origin is Origin.BUILT
    assert found.addressee.text == dative(MAIN_B.name)


async def test_a_recipient_nobody_asked_about_is_told_and_not_used(office: Office) -> None:
    def stranger(body: bytes) -> bytes:
        return body.replace(f"<KurumID>{B}<".encode(), b"<KurumID>10000098<")

    with office.detsis.editing(LETTER, stranger):
        data = await office.data(FACULTY.detsis_no, B)
    assert [warning.code for warning in data.warnings] == ["foreign-recipients"]
    assert [found.detsis_no for found in data.recipients] == [FACULTY.detsis_no, B]
    assert data.recipients[1].kep_address is None


async def test_a_recipient_named_twice(office: Office) -> None:
    with office.detsis.editing(LETTER, lambda body: body.replace(entry_of(body, B), entry_of(body, B) * 2)):
        found = await office.only(B)
    assert (codes(found), found.problem) == (["repeated"], None)


async def test_a_recipient_with_two_addresses_gets_none(office: Office) -> None:
    def contradicting(body: bytes) -> bytes:
        entry = entry_of(body, B)
        return body.replace(entry, entry + entry.replace(b"kurum.b@", b"baska@").replace(b"Kurum.B@", b"baska@"))

    with office.detsis.editing(LETTER, contradicting):
        data = await office.data(B)
        (resolved,) = await office.directory.resolve(B)
    found = data.recipients[0]
    assert (found.kep_address, codes(found)) == (None, ["contradicting"])
    assert found.encryption_certificate is not None
    assert missing(data, B)["h.kep_address"] is MissingReason.UNUSABLE
    assert (resolved.address, resolved.level) == (None, ResolutionLevel.ERROR)


async def test_an_address_that_is_none(office: Office) -> None:
    with office.detsis.editing(
        LETTER, lambda body: re.sub(rb"<MuhatapKepAdresi>[^<]*<", b"<MuhatapKepAdresi>buras\xc4\xb1 yok<", body)
    ):
        data = await office.data(B)
        (resolved,) = await office.directory.resolve(B)
    assert codes(data.recipients[0]) == ["address-unusable"]
    assert missing(data, B)["h.kep_address"] is MissingReason.UNUSABLE
    assert resolved.address is None


async def test_an_address_that_is_another_than_the_mirrors_is_used_and_told(office: Office) -> None:
    moved = replace(MAIN_B, kep_address="rektorluk@hs91.kep.example")
    office.detsis.publish(*(moved if unit is MAIN_B else unit for unit in UNITS))
    found = await office.only(B)
    assert found.kep_address is not None
    assert (found.kep_address.address, codes(found)) == ("rektorluk@hs91.kep.example", ["address-differs-from-mirror"])
    (resolved,) = await office.directory.resolve(B)
    assert (resolved.level, [item.code for item in resolved.warnings]) == (
        ResolutionLevel.WARNING, ["address-differs-from-mirror"],
    )  # fmt: skip


async def test_the_check_and_the_sending_ask_detsis_once(database_url: str, detsis: Detsis) -> None:
    async with running_directory(database_url, detsis, live_letter_cache_seconds=10) as directory:
        await directory.account()
        await directory.account(B)
        office = Office(directory)
        first = await office.data(*SEVERAL)
        assert await office.data(*SEVERAL) == first.model_copy(
            update={"recipients": (await office.data(*SEVERAL)).recipients}
        )
        await directory.resolve(SEVERAL[0])
        await directory.resolve(*SEVERAL)
        assert detsis.calls[LETTER] == 1
        other_order = await office.data(*reversed(SEVERAL))
        assert [found.detsis_no for found in other_order.recipients] == list(reversed(SEVERAL))
        assert detsis.calls[LETTER] == 2, "another list is another letter: item d depends on it"
        assert (await directory.resolve(A, sender=B))[0].source == "live"
        assert detsis.calls[LETTER] == 3, "never across institutions"
        directory.clock.moment += timedelta(seconds=11)
        await directory.resolve(SEVERAL[0])
        assert detsis.calls[LETTER] == 4
        await office.client.aclose()


# DETSİS down, or refusing


BAD_ANSWERS = [
    "down", "html_page", "empty_body", "fault", "truncate", "no_envelope_end", "drop_connection", "wrong_operation",
    "contradictory_success",
]  # fmt: skip


@pytest.mark.parametrize("fault", BAD_ANSWERS)
async def test_without_an_answer_the_mirror_gives_what_it_has_and_names_the_rest(office: Office, fault: str) -> None:
    office.detsis.order(fault, LETTER, value=100 if fault == "drop_connection" else None)
    data = await office.data(FACULTY.detsis_no, B, SILENT.detsis_no, sender=DEPARTMENT.detsis_no)
    assert (data.source, data.rule) == (AnswerSource.MIRROR, "mirror.detsis-down")
    assert missing(data) == {
        "a.letterhead": MissingReason.ONLY_LIVE, "d.closing_phrase": MissingReason.ONLY_LIVE,
        "e.signatories": MissingReason.ONLY_LIVE,
    } | {name: reason for name, reason in missing(data).items() if name.startswith("g.")}  # fmt: skip
    assert (data.number_unit_no.detsis_no, data.number_unit_no.source.rule) == (10000011, "built.sender-asked")
    assert data.addressee_line is not None
    assert data.addressee_line.source.rule == "built.several-recipients"
    assert data.distribution_list is not None
    assert [line.text for line in data.distribution_list.lines] == [
        "FEN FAKÜLTESİ DEKANLIĞINA", "ÇINARALTI ÜNİVERSİTESİ REKTÖRLÜĞÜNE", "SESSİZ VALİLİĞİNE",
    ]  # fmt: skip
    served, own, silent = data.recipients
    assert served.kep_address is not None
    assert (served.kep_address.address, served.kep_address.source.rule) == (
        "fen@hs92.kep.example",
        "mirror.detsis-down",
    )
    assert served.encryption_certificate is not None
    assert own.encryption_certificate is not None
    assert served.encryption_certificate.holder is CertificateHolder.OWNER
    assert own.encryption_certificate.holder is CertificateHolder.OWN
    assert base64.b64decode(own.encryption_certificate.der_base64) == CERTIFICATE
    assert (silent.problem, silent.level) == (ResolutionProblem.NO_KEP_ADDRESS, ResolutionLevel.ERROR)
    assert own.postal_address is not None
    assert own.postal_address.source.origin is Origin.MIRROR
    assert own.phones is not None
    assert own.phones.source.origin is Origin.CONTACTS


async def test_the_mirror_can_be_asked_without_troubling_detsis(office: Office) -> None:
    data = await office.data(*SEVERAL, mode="mirror")
    assert (data.source, data.rule) == (AnswerSource.MIRROR, "mirror.asked")
    assert not office.detsis.calls
    expired = data.recipients[2]
    assert expired.encryption_certificate is None, "the only certificate is out of date"


async def test_a_refusal_is_told(office: Office) -> None:
    office.detsis.order("in_band_error", LETTER)
    with pytest.raises(DomainError) as caught:
        await office.data(B)
    assert caught.value.code is ErrorCode.DIRECTORY_REFUSED
    assert "İşlem sırasında bir hata oluştu" in caught.value.detail


@pytest.mark.parametrize(
    "quirk",
    ["bad_character", "control_character", "bad_reference", "bad_utf8", "unknown_element", "no_gzip", "forced_gzip"],
)
async def test_dirt_and_news_in_an_answer_do_no_harm(office: Office, quirk: str) -> None:
    expected = await office.data(*SEVERAL)
    office.detsis.order(quirk, LETTER)
    found = await office.data(*SEVERAL)
    assert (found.source, found.missing) == (AnswerSource.LIVE, expected.missing)
    assert [r.kep_address for r in found.recipients] == [r.kep_address for r in expected.recipients]


async def test_before_the_first_refresh_live_works_and_without_it_there_is_no_answer(empty: Office) -> None:
    data = await empty.data(*SEVERAL, sender=DEPARTMENT.detsis_no)
    assert data.source is AnswerSource.LIVE
    certificate = data.recipients[0].encryption_certificate
    assert certificate is not None
    assert certificate.holder is CertificateHolder.UNKNOWN
    empty.detsis.order("down")
    with pytest.raises(DomainError) as caught:
        await empty.data(B)
    assert caught.value.code is ErrorCode.DIRECTORY_UNAVAILABLE
    assert caught.value.retry_after_seconds


async def test_an_account_of_the_private_sectors_endpoint_works_the_same(empty: Office) -> None:
    expected = await empty.data(*SEVERAL)
    endpoint = empty.detsis.endpoint.replace(PATH, PRIVATE_SECTOR_PATH)
    await empty.directory.client.put_account(
        RegisterAccount(
            institution_no=A, account_id=str(A), endpoint=endpoint, password=PASSWORD, keeps_copy=False,
            has_own_tree=False,
        )
    )  # fmt: skip
    found = await empty.data(*SEVERAL)
    assert found.source is AnswerSource.LIVE
    assert [r.kep_address for r in found.recipients] == [r.kep_address for r in expected.recipients]
    live = LiveClient(empty.directory.url, TOKEN_SECRET)
    assert (await live.unit(A, B)).unit.name == MAIN_B.name
    assert (await live.main_institutions(A)).units
    await live.aclose()


# Who may ask for whom


@pytest.mark.parametrize("refreshed", [True, False])
async def test_nobody_writes_letters_for_another_institution(empty: Office, refreshed: bool) -> None:
    if refreshed:
        await empty.directory.refresh()
    for sender, code in (
        (B, ErrorCode.INSTITUTION_FORBIDDEN),
        (FACULTY.detsis_no, ErrorCode.INSTITUTION_FORBIDDEN),
        (NOBODY, ErrorCode.VALIDATION_FAILED),
        (123, ErrorCode.VALIDATION_FAILED),
    ):
        with pytest.raises(DomainError) as caught:
            await empty.data(A, sender=sender)
        assert caught.value.code is code, sender
    assert empty.detsis.calls[LETTER] == 0
    assert (await empty.data(B, sender=DEPARTMENT.detsis_no)).source is AnswerSource.LIVE


async def test_numbers_that_are_none_are_named(office: Office) -> None:
    with pytest.raises(DomainError) as caught:
        await office.data(B, 123456789, 7)
    assert [fault.pointer for fault in caught.value.faults] == ["/recipient_nos/1", "/recipient_nos/2"]


async def test_five_hundred_recipients(office: Office) -> None:
    many = [B, *range(20000000, 20000499)]
    office.detsis.publish(*UNITS, *(PinnedUnit(number - 5000000, f"KURUM {number} MÜDÜRLÜĞÜ") for number in many[1:]))
    data = await office.data(B, *(number - 5000000 for number in many[1:]))
    assert len(data.recipients) == 500
    assert office.detsis.calls[LETTER] == 1
    assert data.source is AnswerSource.LIVE

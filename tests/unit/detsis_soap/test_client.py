"""Small calls of the real client against the look-alike over TLS."""

from __future__ import annotations

import logging
from dataclasses import replace

import pytest
from pydantic import SecretStr

from services.detsis_sync.soap.account import DetsisAccount
from services.detsis_sync.soap.client import DetsisClient
from services.detsis_sync.soap.failures import DirectoryCallError, FailureReason
from shared.domain.identifiers import DetsisNumber, KepAddress
from shared.errors import ErrorCode
from tests.unit.detsis_soap.conftest import A_UNIT, NOW, PASSWORD, SILENT, A, B, Detsis

NOBODY = DetsisNumber(19999999)


@pytest.mark.parametrize("version", ["1.1", "1.2"])
async def test_one_unit(detsis: Detsis, version: str) -> None:
    async with detsis.client(soap_version=version) as client:
        unit = await client.unit(B)
        assert unit is not None
        assert unit.name == "ÇINARALTI ÜNİVERSİTESİ REKTÖRLÜĞÜ"
        assert unit.open_to_letters
        assert await client.unit(NOBODY) is None


async def test_ancestors(detsis: Detsis) -> None:
    async with detsis.client() as client:
        assert [unit.detsis_no for unit in await client.ancestors(A_UNIT)] == [A]


async def test_addresses_of_several_units(detsis: Detsis) -> None:
    moving = next(number for number in detsis.register.numbers() if len(detsis.register.kep_entries(number)) == 2)
    async with detsis.client() as client:
        rows = await client.kep_addresses([A, B, SILENT, DetsisNumber(moving), NOBODY])
    assert [(row.detsis_no, row.address) for row in rows[:2]] == [
        (A, "kurum.a@hs91.kep.example"),
        (B, "kurum.b@hs92.kep.example"),
    ]
    assert [row.active for row in rows if row.detsis_no == moving] == [True, False]


async def test_more_units_than_one_call_takes(detsis: Detsis) -> None:
    numbers = [DetsisNumber(number) for number in detsis.register.numbers()][:450]
    expected = sum(len(detsis.register.kep_entries(number)) for number in numbers)
    async with detsis.client() as client:
        assert len(await client.kep_addresses(numbers)) == expected
        assert await client.kep_addresses([]) == []


async def test_owner_of_an_address(detsis: Detsis) -> None:
    async with detsis.client() as client:
        owner = await client.address_owner(KepAddress("kurum.a@hs91.kep.example"))
        assert owner is not None
        assert owner.detsis_no == A
        assert await client.address_owner(KepAddress("kimse@hs91.kep.example")) is None


async def test_correspondence_package(detsis: Detsis) -> None:
    async with detsis.client() as client:
        package = await client.correspondence_package(A, [B, A_UNIT, NOBODY])
    assert package.letterhead == "T.C.\nÖRNEK A KURUMU BAŞKANLIĞI"
    assert package.closing_phrase == "Arz ve rica ederim."
    assert package.addressee == "DAĞITIM YERLERİNE"
    assert package.number_unit_text == str(A)
    assert package.answered_at == NOW
    found = package.recipient(B)
    assert found is not None
    assert found.addressee == "ÇINARALTI ÜNİVERSİTESİ REKTÖRLÜĞÜNE"
    assert found.kep_address == "kurum.b@hs92.kep.example"
    assert found.encryption_certificate == b"DER"
    silent = package.recipient(A_UNIT)
    assert silent is not None
    assert silent.kep_address is None
    assert package.recipient(NOBODY) is None
    assert package.signatories[0].unit_no == A
    assert package.sender_contact.email


async def test_an_address_that_is_none_is_shown_but_not_used(detsis: Detsis) -> None:
    before = detsis.register.kep_entries(B)[0].address
    detsis.register.set_kep_address(B, "adres değil")
    try:
        async with detsis.client() as client:
            package = await client.correspondence_package(A, [B])
            assert await client.kep_addresses([B]) == []
    finally:
        detsis.register.set_kep_address(B, before)
    found = package.recipient(B)
    assert found is not None
    assert (found.kep_address, found.kep_address_text) == (None, "adres değil")


@pytest.mark.parametrize(
    ("fault", "value", "reason", "code"),
    [
        ("detsis.down", None, FailureReason.HTTP_STATUS, ErrorCode.DIRECTORY_UNAVAILABLE),
        ("detsis.down", 1, FailureReason.CONNECTION, ErrorCode.DIRECTORY_UNAVAILABLE),
        ("detsis.html_page", None, FailureReason.NOT_SOAP, ErrorCode.DIRECTORY_UNAVAILABLE),
        ("detsis.html_page", 503, FailureReason.HTTP_STATUS, ErrorCode.DIRECTORY_UNAVAILABLE),
        ("detsis.html_page", 403, FailureReason.HTTP_STATUS, ErrorCode.DIRECTORY_REFUSED),
        ("detsis.fault", None, FailureReason.SOAP_FAULT, ErrorCode.DIRECTORY_UNAVAILABLE),
        ("detsis.in_band_error", None, FailureReason.IN_BAND, ErrorCode.DIRECTORY_REFUSED),
        ("detsis.truncate", None, FailureReason.TRUNCATED, ErrorCode.DIRECTORY_UNAVAILABLE),
        ("detsis.truncate", 0.99, FailureReason.TRUNCATED, ErrorCode.DIRECTORY_UNAVAILABLE),
        ("detsis.empty_body", None, FailureReason.EMPTY, ErrorCode.DIRECTORY_UNAVAILABLE),
    ],
)
@pytest.mark.parametrize("version", ["1.1", "1.2"])
async def test_each_failure_has_its_reason(
    detsis: Detsis, version: str, fault: str, value: float | None, reason: FailureReason, code: ErrorCode
) -> None:
    detsis.order(fault, value=value)
    async with detsis.client(soap_version=version) as client:
        for call in (client.unit(B), client.kep_addresses([B]), client.correspondence_package(A, [B])):
            with pytest.raises(DirectoryCallError) as caught:
                await call
            assert (caught.value.reason, caught.value.code) == (reason, code)


async def test_a_failure_passes(detsis: Detsis) -> None:
    detsis.order("detsis.down", count=1, scope={"operation": "DETSISNoKurumBirimWs"})
    async with detsis.client() as client:
        assert await client.kep_addresses([B])
        with pytest.raises(DirectoryCallError):
            await client.unit(B)
        assert await client.unit(B)


async def test_dirt_and_unknown_elements_do_no_harm(detsis: Detsis) -> None:
    detsis.order("detsis.bad_character")
    detsis.order("detsis.unknown_element")
    async with detsis.client() as client:
        unit = await client.unit(B)
        package = await client.correspondence_package(A, [B])
        rows = await client.kep_addresses([B])
    assert unit is not None
    assert unit.name.endswith("ÇINARALTI ÜNİVERSİTESİ REKTÖRLÜĞÜ")
    assert unit.active
    assert unit.operating
    assert rows[0].active
    assert package.unknown_elements == {"YeniSonucAlani": 1}


async def test_a_wrong_password_is_refused_in_band(detsis: Detsis) -> None:
    async with detsis.client(password="yanlış") as client:
        with pytest.raises(DirectoryCallError, match="şifre hatalı") as caught:
            await client.unit(B)
        with pytest.raises(DirectoryCallError) as second:
            await client.address_owner(KepAddress("a@b.example"))
    assert caught.value.reason is second.value.reason is FailureReason.IN_BAND
    assert not caught.value.retryable


async def test_a_slow_answer_ends_in_a_timeout(detsis: Detsis) -> None:
    detsis.order("detsis.slow", value=3)
    async with detsis.client(call_seconds=0.3) as client:
        with pytest.raises(DirectoryCallError) as caught:
            await client.unit(B)
    assert caught.value.reason is FailureReason.TIMEOUT
    assert caught.value.retryable


async def test_an_answer_over_the_size_limit_is_cut_off(detsis: Detsis) -> None:
    async with detsis.client(max_answer_bytes=500) as client:
        with pytest.raises(DirectoryCallError) as caught:
            await client.unit(B)
    assert caught.value.reason is FailureReason.TOO_LARGE


async def test_an_untrusted_certificate_is_not_accepted(detsis: Detsis) -> None:
    async with detsis.client(ca_file=None) as client:
        with pytest.raises(DirectoryCallError) as caught:
            await client.unit(B)
    assert caught.value.reason is FailureReason.CONNECTION


async def test_nobody_listening(detsis: Detsis) -> None:
    account = DetsisAccount(A, "1", SecretStr("x"), "https://localhost:1/DETSISServis.asmx")
    async with DetsisClient(account, replace(detsis.settings, connect_seconds=2), detsis.clock) as client:
        with pytest.raises(DirectoryCallError) as caught:
            await client.unit(B)
    assert caught.value.reason is FailureReason.CONNECTION


async def test_the_password_reaches_no_log_and_no_error(detsis: Detsis, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.DEBUG):
        async with detsis.client() as client:
            await client.unit(B)
            for fault in ("detsis.fault", "detsis.truncate", "detsis.in_band_error"):
                detsis.order(fault, count=1)
                with pytest.raises(DirectoryCallError) as caught:
                    await client.unit(B)
                assert PASSWORD not in str(caught.value)
    assert caplog.records
    for secret in (PASSWORD, "Gizli"):
        assert secret not in caplog.text

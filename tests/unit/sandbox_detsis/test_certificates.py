"""Certificates: many, renewed, sometimes bad, and always the same bytes for the same upload."""

from __future__ import annotations

import base64
from datetime import date, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.exceptions import InvalidSignature

from services.sandbox.detsis.certificates import CertificateForge, forge_of
from services.sandbox.detsis.evolution import ChangeKind, Evolution
from services.sandbox.detsis.register import Register, generate_register
from services.sandbox.pki.authority import PublicationUrls
from services.sandbox.pki.profiles import Level, Purpose
from services.sandbox.pki.store import Pki
from shared.clock import FixedClock
from tests.unit.sandbox_detsis.service import A_UNIT, FIRST_DAY, NOW, PINNED, A, B, Service


@pytest.fixture(scope="module")
def pki(tmp_path_factory: pytest.TempPathFactory) -> Pki:
    return Pki(tmp_path_factory.mktemp("pki"), PublicationUrls("http://127.0.0.1:1/pki"), FixedClock(NOW))


@pytest.fixture(scope="module")
def directory(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("detsis")


@pytest.fixture
def forge(pki: Pki, directory: Path) -> CertificateForge:
    return forge_of(pki, directory, FixedClock(NOW))


def with_forge(forge: CertificateForge, size: int = 30_000) -> Register:
    return generate_register(size, 7, PINNED, first_day=FIRST_DAY, forge=forge)


def test_most_main_institutions_have_one_and_renewals_show(forge: CertificateForge, pki: Pki) -> None:
    register = with_forge(forge)
    mains = [unit.number for unit in register.main_institutions() if unit.number >= 20_000_000]
    rows = {number: register.certificates(number) for number in mains}
    holders = [number for number in mains if rows[number]]
    assert 0.6 * len(mains) < len(holders) < len(mains)
    assert any(len(rows[number]) == 2 for number in holders)
    issuer = pki.authority(Purpose.SEAL, Level.ISSUING).certificate
    verdicts = set()
    for number in holders:
        *older, newest = rows[number]
        assert newest.active
        assert all(not row.active and row.updated_on == newest.registered_on for row in older)
        assert all(row.registered_on < newest.registered_on for row in older)
        for row in rows[number]:
            assert row.registered_on <= FIRST_DAY
            try:
                certificate = x509.load_der_x509_certificate(row.content)
            except ValueError:
                verdicts.add("not a certificate")
                continue
            assert certificate.not_valid_before_utc.date() == row.registered_on
            assert certificate.not_valid_after_utc.date() == row.valid_until
            assert certificate.issuer == (issuer.subject if row is not newest else certificate.issuer)
            try:
                certificate.verify_directly_issued_by(issuer)
            except (InvalidSignature, ValueError):
                verdicts.add("unknown authority")
            else:
                verdicts.add("expired" if row.active and row.valid_until < FIRST_DAY else "good")
    assert verdicts == {"good", "expired", "unknown authority", "not a certificate"}


def test_the_same_upload_has_the_same_bytes_at_every_start(pki: Pki, directory: Path) -> None:
    clock = FixedClock(NOW)
    one = list(with_forge(forge_of(pki, directory, clock)).all_certificates(date.min))
    two = list(with_forge(forge_of(pki, directory, clock)).all_certificates(date.min))
    assert one == two
    contents = [row.content for row in one]
    assert len(set(contents)) == len(contents)


def test_evolution_replaces_certificates(forge: CertificateForge) -> None:
    register = with_forge(forge, 4000)
    before = {row.content for row in register.all_certificates(date.min)}
    happened = Evolution(register, 3, 0.02).advance_to(20)
    assert happened[ChangeKind.CERTIFICATE_REPLACED] > 3
    fresh = [row for row in register.all_certificates(FIRST_DAY + timedelta(days=1)) if row.active]
    assert fresh
    assert not {row.content for row in fresh} & before
    for row in fresh:
        assert register.encryption_certificate(row.number) == row.content
        *older, newest = register.certificates(row.number)
        assert newest == row
        assert older
        assert all(not one.active for one in older)
        assert older[-1].updated_on == row.registered_on


async def test_the_lists_honour_their_dates(forge: CertificateForge) -> None:
    register = with_forge(forge, 4000)
    service = Service(register)
    everything = await service.ask("SertifikalariGetir")
    owners = await service.ask("SertifikaSahiplikleriniGetir")
    assert len(everything.rows("Sertifika")) == len(list(register.all_certificates(date.min)))
    assert len(owners.rows("EYazismaSertifikaSahipligi")) > 20
    later = "2026-03-03T00:00:00"
    assert (await service.ask("SertifikalariGetir", baslangicTarihi=later)).rows("Sertifika") == []
    assert (await service.ask("SertifikaSahiplikleriniGetir", baslangicTarihi=later)).rows(
        "EYazismaSertifikaSahipligi"
    ) == []
    service.calendar.advance(1)
    index = register.forest.index(B)
    assert index is not None
    register.upload_certificate(index, b"NEW")
    opened = register.open_at(index, 1, 7)
    answer = await service.ask("SertifikalariGetir", baslangicTarihi=later)
    assert answer.values("Sertifika", "DetsisId") == [str(B)] * 2
    assert answer.values("Sertifika", "Aktifmi") == ["false", "true"]
    assert [base64.b64decode(text or "") for text in answer.values("Sertifika", "SertifikaDosya")] == [b"DER", b"NEW"]
    assert answer.values("Sertifika", "SonGuncellemeTarihi") == ["2026-03-03T00:00:00"] * 2
    owned = await service.ask("SertifikaSahiplikleriniGetir", baslangicTarihi=later)
    assert owned.numbers("EYazismaSertifikaSahipligi", "KurumBirimId") == [register.forest.number(opened)]
    assert owned.numbers("EYazismaSertifikaSahipligi", "SertifikaSahibiKurumId") == [B]


async def test_a_unit_is_served_by_its_owners_certificate(forge: CertificateForge) -> None:
    register = with_forge(forge, 4000)
    service = Service(register)
    owners = await service.ask("SertifikaSahiplikleriniGetir")
    pairs = dict(
        zip(
            owners.numbers("EYazismaSertifikaSahipligi", "KurumBirimId"),
            owners.numbers("EYazismaSertifikaSahipligi", "SertifikaSahibiKurumId"),
            strict=True,
        )
    )
    unit, owner = next(iter(pairs.items()))
    assert register.certificates(unit) == []
    assert register.encryption_certificate(unit) == register.certificates(owner)[-1].content
    letter = await service.ask("eYazismaPaketi", gonderenDetsisID=A, muhatapDetsisIDs=[unit])
    assert base64.b64decode(
        letter.values("eYazismaMuhatapBilgileri", "MuhatapSifrelemeSertifikasi")[0] or ""
    ) == register.encryption_certificate(owner)
    assert A_UNIT not in pairs
    assert register.encryption_certificate(A_UNIT) is None


def test_a_named_institution_needs_the_bytes(forge: CertificateForge) -> None:
    register = with_forge(forge, 100)
    index = register.forest.index(A)
    assert index is not None
    with pytest.raises(ValueError, match="bytes are needed"):
        register.upload_certificate(index)
    assert register.certificates(A) == []

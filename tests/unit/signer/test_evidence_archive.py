"""The archive of evidence: verdicts made again from it alone, and what becomes of a disk's and a stranger's changes."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest
from cryptography.hazmat.primitives import hashes

from services.signer.certificates import load_certificate
from services.signer.checks.ocsp import load_responses
from services.signer.evidence_archive import EvidenceArchive, EvidenceMissing, load_evidence
from services.signer.pipeline import Evidence, load_lists, verify
from services.signer.trust import TrustStore, make_store
from shared.clock import FixedClock
from shared.contracts.signatures import EvidenceKind, EvidenceOrigin, Profile, VerificationReport, VerificationRequest
from shared.domain.verdict import Conclusion
from tests.support.pki import NES_USAGE, NOW, Holder, Pki, build_pki, make_hierarchy
from tests.support.signer import TOKEN, running_signer
from tests.unit.signer import levels
from tests.unit.signer.answering import Responder, access
from tests.unit.signer.httpd import Web, serving
from tests.unit.signer.levels import SIGNED_AT, File
from tests.unit.signer.signing import sign, signed_data, signer_info
from tests.unit.signer.test_ocsp import NO_CHECK, OCSP_SIGNING, respond, responder

CONTENT = b"<PaketOzeti/>" * 10
DAY = timedelta(days=1)
INDETERMINATE = Conclusion.INDETERMINATE


@pytest.fixture
def clock() -> FixedClock:
    return FixedClock(NOW)


@pytest.fixture
def outcomes() -> list[str]:
    return []


@pytest.fixture
def archive(tmp_path: Path, clock: FixedClock, outcomes: list[str]) -> EvidenceArchive:
    return EvidenceArchive(tmp_path / "evidence", clock, days=30, on_outcome=outcomes.append)


def alone(holder: Holder) -> bytes:
    """A signature that brings the signer's certificate and no authority's."""
    return signed_data([signer_info(holder, CONTENT)], [holder.der], CONTENT)


def pieces(directory: Path) -> list[Path]:
    return sorted(directory.glob("??/??/*"))


def noise() -> tuple[list[bytes], list[bytes]]:
    """Lists and certificates of others, which no verdict here rests on."""
    others = [make_hierarchy(f"noise {number}") for number in range(3)]
    return [crl for tree in others for crl in tree.crls()], [tree.issuing.der for tree in others]


Case = tuple[bytes, VerificationRequest, Evidence, Conclusion]


def _evidence(trust: TrustStore, crls: list[bytes], responses: list[bytes], certificates: list[bytes]) -> Evidence:
    other_lists, other_certificates = noise()
    lists = load_lists([*other_lists[:3], *crls, *other_lists[3:]])
    return Evidence(
        trust,
        lists,
        load_responses(responses),
        tuple(load_certificate(item) for item in (*other_certificates, *certificates)),
        frozenset(item.sha256 for item in lists[:4]),
    )


def good(pki: Pki, trust: TrustStore) -> Case:
    file = levels.with_signature_stamp(File.of(sign(pki.signer, CONTENT, at=SIGNED_AT)), pki.tsa)
    return file.encode(), VerificationRequest(), _evidence(trust, pki.crls(), [], []), Conclusion.PASSED


def by_response_and_fetched_issuer(pki: Pki, trust: TrustStore) -> Case:
    encoded = alone(pki.signer)
    response = respond(pki, responder(pki, OCSP_SIGNING, NO_CHECK), at=NOW, until=NOW + DAY)
    evidence = _evidence(trust, [pki.qualified.root.crl()], [response], [pki.qualified.issuing.der])
    return encoded, VerificationRequest(), evidence, Conclusion.PASSED


def through_an_intermediate_of_the_store(pki: Pki, trust: TrustStore) -> Case:
    between = [load_certificate(item) for item in (*noise()[1], pki.qualified.issuing.der)]
    store = make_store(trust.anchors, tuple(between))
    evidence = _evidence(store, pki.crls(), [], [])
    return alone(pki.signer), VerificationRequest(), evidence, Conclusion.PASSED


def below_an_anchor_with_an_end(pki: Pki, trust: TrustStore) -> Case:
    ends = {pki.qualified.root.certificate.fingerprint(hashes.SHA256()).hex(): NOW - timedelta(days=40)}
    store = make_store(trust.anchors, (), ends)
    return sign(pki.signer, CONTENT), VerificationRequest(), _evidence(store, pki.crls(), [], []), INDETERMINATE


def revoked_by_response(pki: Pki, trust: TrustStore) -> Case:
    response = respond(pki, responder(pki, OCSP_SIGNING, NO_CHECK), at=NOW, until=NOW + DAY, revoked_at=SIGNED_AT)
    request = VerificationRequest(moment=NOW)
    return sign(pki.signer, CONTENT), request, _evidence(trust, pki.crls(), [response], []), Conclusion.FAILED


def out_of_date(pki: Pki, trust: TrustStore) -> Case:
    crls = pki.crls(NOW - 9 * DAY)
    return sign(pki.signer, CONTENT), VerificationRequest(), _evidence(trust, crls, [], []), INDETERMINATE


def nothing_about_it(pki: Pki, trust: TrustStore) -> Case:
    return sign(pki.signer, CONTENT), VerificationRequest(), _evidence(trust, [], [], []), INDETERMINATE


def expired(pki: Pki, trust: TrustStore) -> Case:
    old = pki.qualified.issuing.issue("Eski", key_usage=NES_USAGE, qualified=True, days=(-400, -10))
    return sign(old, CONTENT), VerificationRequest(), _evidence(trust, pki.crls(), [], []), INDETERMINATE


def long_term(pki: Pki, trust: TrustStore) -> Case:
    evidence = _evidence(trust, pki.timestamp.crls(), [], [])
    return levels.long_term(pki, CONTENT).encode(), VerificationRequest(), evidence, Conclusion.PASSED


def altered(pki: Pki, trust: TrustStore) -> Case:
    encoded = sign(pki.signer, CONTENT).replace(b"Paket", b"Bozuk")
    return encoded, VerificationRequest(), _evidence(trust, pki.crls(), [], []), Conclusion.FAILED


def integrity_only(pki: Pki, trust: TrustStore) -> Case:
    request = VerificationRequest(profile=Profile.INTEGRITY_ONLY)
    return sign(pki.signer, CONTENT), request, _evidence(trust, pki.crls(), [], []), Conclusion.PASSED


CASES = [
    *(good, by_response_and_fetched_issuer, through_an_intermediate_of_the_store, below_an_anchor_with_an_end),
    *(revoked_by_response, out_of_date, nothing_about_it, expired, long_term, altered, integrity_only),
]


@pytest.mark.parametrize("case", CASES)
def test_the_same_report_comes_out_of_the_archive_alone(
    pki: Pki, trust: TrustStore, archive: EvidenceArchive, tmp_path: Path, case: Callable[[Pki, TrustStore], Case]
) -> None:
    encoded, request, evidence, conclusion = case(pki, trust)
    report = verify(encoded, None, request, evidence, NOW)
    assert report.conclusion is conclusion
    assert archive.keep(report, evidence)
    kept = load_evidence(VerificationReport.model_validate_json(report.model_dump_json()), tmp_path / "evidence")
    assert len(kept.revocation_lists) < len(evidence.revocation_lists), "what did not matter is left out"
    assert verify(encoded, None, request, kept, NOW) == report


def test_what_a_report_names_is_what_is_kept(
    pki: Pki, trust: TrustStore, archive: EvidenceArchive, tmp_path: Path
) -> None:
    encoded, request, evidence, _conclusion = by_response_and_fetched_issuer(pki, trust)
    report = verify(encoded, None, request, evidence, NOW)
    archive.keep(report, evidence)
    kept = {path.name for path in pieces(tmp_path / "evidence")}
    elsewhere = {item.sha256 for item in report.evidence if item.origin is EvidenceOrigin.FILE}
    named = {item.sha256 for item in report.evidence}
    anchors = {item.sha256 for items in trust.anchors.values() for item in items}
    assert kept == (named - elsewhere) | anchors | {trust.sha256}
    assert {(item.kind, item.origin) for item in report.evidence} == {
        (EvidenceKind.CERTIFICATE, EvidenceOrigin.TRUST_STORE),
        (EvidenceKind.CERTIFICATE, EvidenceOrigin.FETCHED),
        (EvidenceKind.CERTIFICATE, EvidenceOrigin.FILE),
        (EvidenceKind.REVOCATION_LIST, EvidenceOrigin.SUPPLIED),
        (EvidenceKind.OCSP_RESPONSE, EvidenceOrigin.FETCHED),
    }
    for path in pieces(tmp_path / "evidence"):
        assert hashlib.sha256(path.read_bytes()).hexdigest() == path.name
        assert path.stat().st_mode & 0o077 == 0


def test_each_piece_is_written_once(pki: Pki, trust: TrustStore, archive: EvidenceArchive, outcomes: list[str]) -> None:
    encoded, request, evidence, _conclusion = good(pki, trust)
    report = verify(encoded, None, request, evidence, NOW)
    archive.keep(report, evidence)
    assert set(outcomes) == {"written"}
    outcomes.clear()
    archive.keep(report, evidence)
    assert set(outcomes) == {"present"}


def test_a_piece_goes_when_no_verdict_has_rested_on_it_for_so_long(
    pki: Pki, trust: TrustStore, archive: EvidenceArchive, clock: FixedClock, tmp_path: Path
) -> None:
    encoded, request, evidence, _conclusion = good(pki, trust)
    report = verify(encoded, None, request, evidence, NOW)
    archive.keep(report, evidence)
    half = pieces(tmp_path / "evidence")[0].with_name(".half-written.0011")
    half.write_bytes(b"half")
    os.utime(half, (NOW.timestamp(), NOW.timestamp()))
    clock.moment = NOW + timedelta(hours=23)
    assert archive.prune() == 0
    clock.moment = NOW + 29 * DAY
    assert archive.prune() == 1, "of a process that is gone"
    archive.keep(report, evidence)
    clock.moment = NOW + 58 * DAY
    assert archive.prune() == 0, "used again after 29 days"
    clock.moment = NOW + 60 * DAY
    assert archive.prune() >= 8
    assert pieces(tmp_path / "evidence") == []


@pytest.mark.parametrize("fault", ["gone", "altered", "empty", "list for a certificate"])
def test_a_verdict_is_not_made_from_half_of_its_evidence(
    pki: Pki, trust: TrustStore, archive: EvidenceArchive, tmp_path: Path, fault: str
) -> None:
    encoded, request, evidence, _conclusion = good(pki, trust)
    report = verify(encoded, None, request, evidence, NOW)
    archive.keep(report, evidence)
    name = next(item.sha256 for item in report.evidence if item.kind is EvidenceKind.REVOCATION_LIST)
    path = tmp_path / "evidence" / name[:2] / name[2:4] / name
    if fault == "gone":
        path.unlink()
    elif fault == "list for a certificate":
        report.evidence.append(report.evidence[-1].model_copy(update={"kind": EvidenceKind.CERTIFICATE}))
    else:
        before = path.read_bytes()
        path.write_bytes(b"" if fault == "empty" else before[:-1] + bytes([before[-1] ^ 1]))
    with pytest.raises(EvidenceMissing):
        load_evidence(report, tmp_path / "evidence")


@pytest.mark.parametrize(
    "name", ["", "..", "../../etc/passwd", "A" * 64, "a" * 63, "a" * 65, "a" * 64 + "\n", "é" * 64]
)
def test_only_digests_are_names(archive: EvidenceArchive, name: str) -> None:
    with pytest.raises(EvidenceMissing):
        archive.read(name)


def test_a_disk_that_refuses_costs_the_copy_and_not_the_verdict(
    pki: Pki, trust: TrustStore, archive: EvidenceArchive, outcomes: list[str], tmp_path: Path
) -> None:
    encoded, request, evidence, _conclusion = good(pki, trust)
    report = verify(encoded, None, request, evidence, NOW)
    for number in range(256):
        (tmp_path / "evidence" / f"{number:02x}").write_bytes(b"in the way")
    assert not archive.keep(report, evidence)
    assert outcomes == ["failed"]


@pytest.fixture
def web() -> Iterator[Web]:
    with serving(Web()) as server:
        yield server


async def test_a_verdict_that_needed_the_network_is_made_again_without(
    web: Web, tmp_path: Path, clock: FixedClock
) -> None:
    world = build_pki(crl_base=web.url(""))
    issuing = world.qualified.issuing
    issuing.crl_url = None
    extensions = (access(ocsp_url=web.url("/ocsp"), issuer_url=web.url("/issuer")),)
    holder = issuing.issue("Ayşe Örnek", key_usage=NES_USAGE, qualified=True, extensions=extensions)
    web.replies["/ocsp"] = Responder(issuing, clock)
    web.put("/issuer", issuing.der)
    web.put("/qualified-root.crl", world.qualified.root.crl())
    settings: dict[str, Any] = {
        "trust_directory": world.write_trust(tmp_path / "trust"),
        "fetch_allowed_hosts": ["127.0.0.1"],
        "fetch_allow_private": True,
        "evidence_directory": tmp_path / "evidence",
    }
    encoded = alone(holder)
    async with running_signer(settings, clock) as up:
        report = await up.client.verify(VerificationRequest(), encoded)
        again = await up.client.verify(VerificationRequest(), encoded)
        name = next(item.sha256 for item in report.evidence if item.kind is EvidenceKind.OCSP_RESPONSE)
        async with httpx.AsyncClient(base_url=up.base_url) as client:
            headers = {"Authorization": f"Bearer {TOKEN}"}
            piece = await client.get(f"/internal/v1/evidence/{name}", headers=headers)
            unknown = await client.get(f"/internal/v1/evidence/{'0' * 64}", headers=headers)
            nobody = await client.get(f"/internal/v1/evidence/{name}")
        assert up.sample("kepgw_evidence_kept_used_total", kind="ocsp-response") == 1
        assert up.sample("kepgw_evidence_fetches_total", kind="certificate", result="fetched") == 1
    assert report.conclusion is Conclusion.PASSED
    assert again.evidence == report.evidence
    assert hashlib.sha256(piece.content).hexdigest() == name
    assert (unknown.status_code, nobody.status_code) == (404, 401)
    kept = load_evidence(report, tmp_path / "evidence")
    repeated = verify(encoded, None, VerificationRequest(), kept, FixedClock(report.verified_at).now())
    assert repeated == report

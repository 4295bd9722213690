"""Revocation lists, OCSP answers and time stamps, fetched over http and checked by openssl."""

from __future__ import annotations

import base64
import hashlib
import secrets
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from asn1crypto import core, tsp
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509 import ocsp
from cryptography.x509.oid import AuthorityInformationAccessOID

from services.sandbox.faults import Fault
from services.sandbox.pki.authority import new_ec_key
from services.sandbox.pki.profiles import Level, Purpose, qualified_person
from services.sandbox.pki.store import Pki
from shared.clock import SystemClock
from tests.unit.sandbox_pki.conftest import OpenSsl, Sandbox


@pytest.fixture
def someone(pki: Pki) -> str:
    """The name of a fresh qualified certificate that a test may revoke."""
    name = f"person-{secrets.token_hex(4)}"
    pki.ensure(name, qualified_person("DENEME KİŞİ", "10000000146"), new_ec_key)
    return name


async def fetched_crl(sandbox: Sandbox, purpose: Purpose, level: Level) -> x509.CertificateRevocationList:
    answer = await sandbox.http.get(sandbox.pki.urls.crl(purpose, level))
    assert answer.status_code == 200
    return x509.load_der_x509_crl(answer.content)


async def asked_ocsp(sandbox: Sandbox, request: ocsp.OCSPRequest, *, by_get: bool = False) -> ocsp.OCSPResponse:
    content = request.public_bytes(Encoding.DER)
    url = sandbox.pki.urls.ocsp(Purpose.QUALIFIED)
    if by_get:
        answer = await sandbox.http.get(f"{url}/{base64.b64encode(content).decode()}")
    else:
        answer = await sandbox.http.post(url, content=content, headers={"content-type": "application/ocsp-request"})
    assert answer.headers["content-type"] == "application/ocsp-response"
    return ocsp.load_der_ocsp_response(answer.content)


def ocsp_request(sandbox: Sandbox, name: str) -> ocsp.OCSPRequest:
    issuer = sandbox.pki.authority(Purpose.QUALIFIED, Level.ISSUING).certificate
    builder = ocsp.OCSPRequestBuilder()
    return builder.add_certificate(sandbox.pki.certificate(name), issuer, hashes.SHA1()).build()


def refusal(response_der: bytes) -> tsp.PKIStatusInfo:
    """The status of a response without a token, which asn1crypto's own class cannot read."""
    (status,) = core.SequenceOf.load(response_der, spec=core.Sequence)
    return tsp.PKIStatusInfo.load(status.dump())


async def test_lists_are_signed_current_and_numbered(sandbox: Sandbox) -> None:
    """Each of the ten lists is signed by its authority and in force now."""
    for purpose in Purpose:
        for level in Level:
            crl = await fetched_crl(sandbox, purpose, level)
            now = datetime.now(UTC)  # noqa: TID251 - what is fetched is dated by the machine, before this
            authority = sandbox.pki.authority(purpose, level).certificate
            assert crl.issuer == authority.subject
            assert crl.is_signature_valid(authority.public_key())  # type: ignore[arg-type]
            assert crl.last_update_utc <= now < (crl.next_update_utc or now)
            assert crl.extensions.get_extension_for_class(x509.CRLNumber).value.crl_number > 0


async def test_revocation_appears_in_the_next_list_and_answer(sandbox: Sandbox, someone: str) -> None:
    """Good before; revoked, with reason and moment, right after; and still so for a process that starts later."""
    before = await fetched_crl(sandbox, Purpose.QUALIFIED, Level.ISSUING)
    serial = sandbox.pki.certificate(someone).serial_number
    assert before.get_revoked_certificate_by_serial_number(serial) is None
    good = await asked_ocsp(sandbox, ocsp_request(sandbox, someone))
    assert good.certificate_status is ocsp.OCSPCertStatus.GOOD

    order = {"certificate": someone, "reason": "keyCompromise", "revoked_at": "2026-01-02T03:04:05Z"}
    reply = await sandbox.http.post("/control/pki/revoke", json=order)
    assert reply.status_code == 200
    assert reply.json()["revoked"] is True

    after = await fetched_crl(sandbox, Purpose.QUALIFIED, Level.ISSUING)
    entry = after.get_revoked_certificate_by_serial_number(serial)
    assert entry is not None
    assert entry.revocation_date_utc == datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
    assert entry.extensions.get_extension_for_class(x509.CRLReason).value.reason is x509.ReasonFlags.key_compromise
    numbers = [crl.extensions.get_extension_for_class(x509.CRLNumber).value.crl_number for crl in (before, after)]
    assert numbers[0] < numbers[1]
    revoked = await asked_ocsp(sandbox, ocsp_request(sandbox, someone), by_get=True)
    assert revoked.certificate_status is ocsp.OCSPCertStatus.REVOKED
    assert revoked.revocation_reason is x509.ReasonFlags.key_compromise

    reopened = Pki(sandbox.plan.directory / "pki", sandbox.pki.urls, SystemClock())
    crl = x509.load_der_x509_crl(reopened.crl(Purpose.QUALIFIED, Level.ISSUING))
    assert crl.get_revoked_certificate_by_serial_number(serial) is not None


async def test_openssl_refuses_a_revoked_certificate(
    sandbox: Sandbox, someone: str, openssl: OpenSsl, tmp_path: Path
) -> None:
    """A second implementation reads the same from our list."""
    await sandbox.http.post("/control/pki/revoke", json={"certificate": someone})
    lists = [await fetched_crl(sandbox, Purpose.QUALIFIED, level) for level in Level]
    (tmp_path / "lists.pem").write_bytes(b"".join(crl.public_bytes(Encoding.PEM) for crl in lists))
    (tmp_path / "issuing.pem").write_bytes(sandbox.pki.authority(Purpose.QUALIFIED, Level.ISSUING).certificate_pem)
    printed = await openssl(
        "verify", "-crl_check_all", "-CRLfile", "lists.pem", "-untrusted", "issuing.pem",
        "-CAfile", sandbox.plan.directory / "trust/qualified/root.crt", sandbox.pki.files(someone).certificate,
        expect=2,
    )  # fmt: skip
    assert "certificate revoked" in printed


async def test_openssl_accepts_the_ocsp_answer(
    sandbox: Sandbox, someone: str, openssl: OpenSsl, tmp_path: Path
) -> None:
    """openssl asks our responder (with a nonce) and verifies the delegated signature."""
    (tmp_path / "issuing.pem").write_bytes(sandbox.pki.authority(Purpose.QUALIFIED, Level.ISSUING).certificate_pem)
    printed = await openssl(
        "ocsp", "-issuer", "issuing.pem", "-cert", sandbox.pki.files(someone).certificate,
        "-url", sandbox.pki.urls.ocsp(Purpose.QUALIFIED), "-CAfile", sandbox.plan.directory / "trust/qualified/root.crt",
        "-verify_other", "issuing.pem", "-nonce",
    )  # fmt: skip
    assert "Response verify OK" in printed
    assert ": good" in printed
    assert "no nonce" not in printed


async def test_ocsp_tells_unknown_foreign_and_broken_requests_apart(sandbox: Sandbox) -> None:
    """Unknown serial: unknown. Another authority's certificate: unauthorised. No request at all: malformed."""
    authority = sandbox.pki.authority(Purpose.QUALIFIED, Level.ISSUING).certificate
    known = ocsp_request(sandbox, "institution-10000001-person")
    builder = ocsp.OCSPRequestBuilder()
    stranger = builder.add_certificate_by_hash(
        known.issuer_name_hash, known.issuer_key_hash, 4711, known.hash_algorithm
    ).build()
    assert (await asked_ocsp(sandbox, stranger)).certificate_status is ocsp.OCSPCertStatus.UNKNOWN
    seal = sandbox.pki.certificate("institution-10000001-seal")
    seal_authority = sandbox.pki.authority(Purpose.SEAL, Level.ISSUING).certificate
    foreign = builder.add_certificate(seal, seal_authority, hashes.SHA256()).build()
    assert (await asked_ocsp(sandbox, foreign)).response_status is ocsp.OCSPResponseStatus.UNAUTHORIZED
    url = sandbox.pki.urls.ocsp(Purpose.QUALIFIED)
    for content in (b"", b"\x30\x03no", authority.public_bytes(Encoding.DER)):
        answer = await sandbox.http.post(url, content=content)
        assert ocsp.load_der_ocsp_response(answer.content).response_status is ocsp.OCSPResponseStatus.MALFORMED_REQUEST
    assert (await sandbox.http.post(url, content=b"x" * 20_000)).status_code == 413


async def test_revoking_an_authority_is_in_the_roots_list(sandbox: Sandbox, tmp_path: Path) -> None:
    """Issuing authorities are revoked by name and by their root (in a PKI of its own)."""
    own = Pki(tmp_path / "pki", sandbox.pki.urls, SystemClock())
    own.revoke("kephs-issuing", x509.ReasonFlags.ca_compromise)
    crl = x509.load_der_x509_crl(own.crl(Purpose.KEPHS, Level.ROOT))
    serial = own.authority(Purpose.KEPHS, Level.ISSUING).certificate.serial_number
    assert crl.get_revoked_certificate_by_serial_number(serial) is not None
    assert len(x509.load_der_x509_crl(own.crl(Purpose.KEPHS, Level.ISSUING))) == 0


async def test_wrong_revocation_orders_change_nothing(sandbox: Sandbox, someone: str) -> None:
    """An unknown name, a future moment, an unknown reason."""
    tomorrow = datetime.now(UTC) + timedelta(days=1)  # noqa: TID251 - the control API compares with the machine
    for order, status in (
        ({"certificate": "nobody"}, 404),
        ({"certificate": someone, "revoked_at": tomorrow.isoformat()}, 422),
        ({"certificate": someone, "reason": "bored"}, 422),
    ):
        assert (await sandbox.http.post("/control/pki/revoke", json=order)).status_code == status
    assert not sandbox.pki.is_revoked(sandbox.pki.certificate(someone))


@pytest.mark.parametrize("algorithm", ["sha256", "sha384", "sha512"])
async def test_openssl_accepts_our_time_stamps(
    sandbox: Sandbox, openssl: OpenSsl, tmp_path: Path, algorithm: str
) -> None:
    """openssl makes the request and verifies the answer, nonce and certificate included."""
    (tmp_path / "letter").write_bytes(b"letter")
    (tmp_path / "issuing.pem").write_bytes(sandbox.pki.authority(Purpose.TIMESTAMP, Level.ISSUING).certificate_pem)
    await openssl("ts", "-query", "-data", "letter", f"-{algorithm}", "-cert", "-out", "request")
    answer = await sandbox.http.post(sandbox.pki.urls.timestamp, content=(tmp_path / "request").read_bytes())
    assert answer.headers["content-type"] == "application/timestamp-reply"
    (tmp_path / "answer").write_bytes(answer.content)
    printed = await openssl(
        "ts", "-verify", "-in", "answer", "-queryfile", "request",
        "-CAfile", sandbox.plan.directory / "trust/timestamp/root.crt", "-untrusted", "issuing.pem",
    )  # fmt: skip
    assert "Verification: OK" in printed


async def test_time_stamp_requests_are_refused_with_their_reason(sandbox: Sandbox) -> None:
    """RFC 3161 section 2.4.2: each wrong request has its failure bit."""

    def request(algorithm: str, digest: bytes, policy: str | None = None) -> bytes:
        imprint = {"hash_algorithm": {"algorithm": algorithm}, "hashed_message": digest}
        return bytes(tsp.TimeStampReq({"version": 1, "message_imprint": imprint, "req_policy": policy}).dump())

    digest = hashlib.sha256(b"letter").digest()
    for content, failure in (
        (request("sha1", digest[:20]), "bad_alg"),
        (request("sha256", digest[:20]), "bad_data_format"),
        (request("sha256", digest, "1.2.3.4"), "unaccepted_policy"),
        (b"not asn.1", "bad_data_format"),
    ):
        answer = await sandbox.http.post(sandbox.pki.urls.timestamp, content=content)
        status = refusal(answer.content)
        assert status["status"].native == "rejection"
        assert status["fail_info"].native == {failure}


async def test_pki_faults_can_be_ordered(sandbox: Sandbox) -> None:
    """Down, stale lists, tryLater, refused time stamps; the other hierarchies are spared where a scope says so."""
    sandbox.faults.order(Fault("pki.down", {"purpose": "seal"}, count=1))
    url = sandbox.pki.urls.crl(Purpose.SEAL, Level.ISSUING)
    assert (await sandbox.http.get(sandbox.pki.urls.crl(Purpose.QUALIFIED, Level.ISSUING))).status_code == 200
    assert [(await sandbox.http.get(url)).status_code for _ in range(2)] == [503, 200]

    sandbox.faults.order(Fault("pki.crl_stale", count=1))
    stale = await fetched_crl(sandbox, Purpose.SEAL, Level.ISSUING)
    current = await fetched_crl(sandbox, Purpose.SEAL, Level.ISSUING)
    assert stale.next_update_utc is not None
    assert stale.next_update_utc < current.last_update_utc

    sandbox.faults.order(Fault("pki.ocsp_try_later", count=1))
    later = await asked_ocsp(sandbox, ocsp_request(sandbox, "institution-10000001-person"))
    assert later.response_status is ocsp.OCSPResponseStatus.TRY_LATER

    sandbox.faults.order(Fault("pki.timestamp_refuse", count=1))
    refused = await sandbox.http.post(sandbox.pki.urls.timestamp, content=b"")
    assert refusal(refused.content)["fail_info"].native == {"system_failure"}


async def test_authorities_certificates_are_published(sandbox: Sandbox) -> None:
    """The caIssuers pointer of a leaf leads to its issuer, and from there to the root."""
    certificate = sandbox.pki.certificate("institution-10000001-seal")
    for level in (Level.ISSUING, Level.ROOT):
        access = certificate.extensions.get_extension_for_class(x509.AuthorityInformationAccess).value
        (url,) = [
            item.access_location.value
            for item in access
            if item.access_method == AuthorityInformationAccessOID.CA_ISSUERS
        ]
        answer = await sandbox.http.get(url)
        assert answer.headers["content-type"] == "application/pkix-cert"
        issuer = x509.load_der_x509_certificate(answer.content)
        certificate.verify_directly_issued_by(issuer)
        assert issuer == sandbox.pki.authority(Purpose.SEAL, level).certificate
        certificate = issuer

"""``python -m services.signer.verify_certificate``: files in, a verdict and an exit code out, whatever the files are."""

from __future__ import annotations

import json
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509 import ocsp
from cryptography.x509.oid import ExtendedKeyUsageOID, ObjectIdentifier

from services.signer import certificate_files, der
from services.signer.certificate_files import FileUnreadable, read_lists
from services.signer.verify_certificate import main
from tests.support.pki import NOW, usage
from tests.unit.signer.path_material import DAY, Entry, Party, certify, crl, key, policies

ROOT = certify(None, "kök", ca=True, own=key(0), days=(-3000, 3000))
CA = certify(ROOT, "ara", policies("1.2.3.1"), ca=True, own=key(1), days=(-2000, 2000))
LEAF = certify(CA, "yaprak", policies("1.2.3.1"), own=key(2))


def pem(*parties: Party) -> bytes:
    return b"".join(party.certificate.public_bytes(Encoding.PEM) for party in parties)


def pem_list(encoded: bytes) -> bytes:
    return x509.load_der_x509_crl(encoded).public_bytes(Encoding.PEM)


class Desk:
    """A directory with the files of a case, and the program."""

    def __init__(self, directory: Path, capsys: pytest.CaptureFixture[str]) -> None:
        self.directory = directory
        self._capsys = capsys
        self.put("leaf.pem", pem(LEAF))
        self.put("root.pem", pem(ROOT))
        self.put("ca.pem", pem(CA))
        self.put("lists.pem", pem_list(crl(ROOT)) + pem_list(crl(CA)))

    def put(self, file: str, content: bytes) -> Path:
        path = self.directory / file
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
        return path

    def run(self, *arguments: str, now: datetime = NOW) -> tuple[int, dict[str, Any], str]:
        """Exit code, verdict (empty if none) and complaint; arguments that name a file of the desk become its path."""
        full = [self._full(argument) for argument in arguments]
        code = main(full, now)
        captured = self._capsys.readouterr()
        return code, json.loads(captured.out) if captured.out else {}, captured.err

    def judge(self, *more: str, now: datetime = NOW) -> tuple[int, dict[str, Any]]:
        """The plain case, with more arguments."""
        plain = ("leaf.pem", "--anchors=root.pem", "--intermediates=ca.pem", "--crl=lists.pem")
        code, answer, complaint = self.run(*plain, *more, now=now)
        assert complaint == ""
        return code, answer

    def _full(self, argument: str) -> str:
        option, equals, value = argument.rpartition("=")
        path = self.directory / value
        return f"{option}{equals}{path}" if path.exists() else argument


@pytest.fixture
def desk(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Desk:
    return Desk(tmp_path, capsys)


def outcome(answer: dict[str, Any]) -> tuple[str, str, str | None]:
    return answer["verdict"], answer["indication"], answer["sub_indication"]


def test_passed_failed_open(desk: Desk) -> None:
    code, answer = desk.judge()
    assert (code, outcome(answer)) == (0, ("passed", "TOTAL_PASSED", None))
    assert [source["kind"] for source in answer["path"][-1]["revocation_sources"]] == ["CRL"]
    desk.put("lists.pem", pem_list(crl(ROOT)) + pem_list(crl(CA, Entry(LEAF.serial))))
    code, answer = desk.judge()
    assert (code, outcome(answer)) == (1, ("failed", "TOTAL_FAILED", "REVOKED"))
    desk.put("lists.pem", pem_list(crl(ROOT)))
    code, answer = desk.judge()
    assert (code, outcome(answer)) == (2, ("indeterminate", "INDETERMINATE", "TRY_LATER"))
    step = answer["steps"][-1]
    assert step["number"] == 10
    assert step["text"]["tr"] == "İptal bilgisi bulunamadı: yaprak"


def test_the_moment_and_the_policies_reach_the_judge(desk: Desk) -> None:
    later = NOW + 400 * DAY
    assert outcome(desk.judge(now=later)[1])[2] == "EXPIRED"
    assert desk.judge("--at=2026-11-20T15:00:00+03:00", now=later)[0] == 0
    assert desk.judge("--policy-set=1.2.3.1", "--require-explicit-policy")[0] == 0
    code, answer = desk.judge("--policy-set=1.2.3.9, 1.2.3.8", "--require-explicit-policy")
    assert (code, answer["sub_indication"]) == (1, "CHAIN_CONSTRAINTS_FAILURE")
    assert desk.judge("--policy-set=2.5.29.32.0", "--require-explicit-policy", "--inhibit-policy-mapping")[0] == 0
    assert desk.judge("--inhibit-any-policy", "--offline")[0] == 0


def test_directories_bundles_and_der(desk: Desk) -> None:
    """A chain in one file, lists in a directory, and anchors laid out as signer's."""
    chain = desk.put("chain.pem", pem(LEAF, CA))
    desk.put("lists/root.crl", crl(ROOT))
    desk.put("lists/ca.crl", crl(CA))
    desk.put("trust/seal/root.der", ROOT.der)
    assert desk.run(str(chain), "--anchors=trust", "--crl=lists")[0] == 0
    desk.put("trust/intermediates/ca.der", CA.der)
    assert desk.run(str(desk.put("leaf.der", LEAF.der)), "--anchors=trust", "--crl=lists")[0] == 0
    # What helps to build paths is no anchor.
    desk.put("helpers/intermediates/ca.der", CA.der)
    code, _answer, complaint = desk.run("leaf.pem", "--anchors=helpers", "--crl=lists")
    assert code == 3
    assert "no certificate" in complaint


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (("absent.pem", "--anchors=root.pem"), "absent.pem"),
        (("leaf.pem",), "--anchors"),
        (("leaf.pem", "--anchors=absent.pem"), "absent.pem"),
        (("garbage", "--anchors=root.pem"), "garbage"),
        (("leaf.pem", "--anchors=garbage"), "garbage"),
        (("leaf.pem", "--anchors=root.pem", "--intermediates=garbage"), "garbage"),
        (("leaf.pem", "--anchors=root.pem", "--at=2026-11-20"), "zone"),
        (("leaf.pem", "--anchors=root.pem", "--at=yesterday"), "zone"),
        (("leaf.pem", "--anchors=root.pem", "--policy-set=1.2.x"), "object identifiers"),
        (("leaf.pem", "--anchors=root.pem", "--policy-set="), "object identifiers"),
        (("leaf.pem", "--anchors=root.pem", "--fetch"), "--fetch"),
        (("deep", "--anchors=root.pem"), "ASN.1 depth"),
        (("broken.pem", "--anchors=root.pem"), "broken.pem"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, tuple) else "",
)
def test_what_cannot_be_read(desk: Desk, arguments: tuple[str, ...], complaint: str) -> None:
    desk.put("garbage", b"\x30\x03abc")
    nested = b""
    for _ in range(900):
        nested = der.encode(der.SEQUENCE, nested)
    desk.put("deep", nested)
    desk.put("broken.pem", b"-----BEGIN CERTIFICATE-----\n!!\n-----END CERTIFICATE-----\n")
    code, answer, said = desk.run(*arguments)
    assert (code, answer) == (3, {})
    assert complaint in said
    assert "Traceback" not in said


def test_lists_that_cannot_be_used_are_told_and_left_out(desk: Desk) -> None:
    odd = x509.UnrecognizedExtension(ObjectIdentifier("1.2.3.4"), b"\x05\x00")
    desk.put("odd.crl", crl(CA, extensions=[(odd, True)]))
    desk.put("garbage.crl", b"\x30\x80" * 500)
    code, answer = desk.judge("--crl=odd.crl", "--crl=garbage.crl", "--ocsp=garbage.crl")
    assert code == 0
    warnings = [step for step in answer["steps"] if step["result"] == "warning"]
    assert [step["id"] for step in warnings] == ["revocation.list"] * 3
    assert "unknown critical extension" in warnings[0]["text"]["en"]


def test_files_are_bounded(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(certificate_files, "_LIST_FILE", 100)
    with pytest.raises(FileUnreadable, match="larger than 100 bytes"):
        read_lists([desk.directory / "lists.pem"])
    monkeypatch.setattr(certificate_files, "_LIST_FILE", 10**6)
    monkeypatch.setattr(certificate_files, "_LISTS_IN_ALL", 100)
    with pytest.raises(FileUnreadable, match="more than 100 bytes"):
        read_lists([desk.directory / "lists.pem"])
    monkeypatch.setattr(certificate_files, "_CERTIFICATES", 1)
    code, _answer, said = desk.run(
        "leaf.pem", "--anchors=root.pem", f"--intermediates={desk.put('two.pem', pem(CA, ROOT))}"
    )
    assert (code, "more than 1 certificates" in said) == (3, True)
    monkeypatch.setattr(certificate_files, "_LISTS_IN_ALL", 10**6)
    monkeypatch.setattr(certificate_files, "_FILES", 2)
    for number in range(3):
        desk.put(f"many/{number}", crl(CA))
    with pytest.raises(FileUnreadable, match="more than 2 files"):
        read_lists([desk.directory / "many"])


def test_many_certificates_of_one_name(desk: Desk) -> None:
    """The right one is last, and none says which key it has: the search ends all the same."""
    others = [certify(ROOT, "ara", ca=True, own=key(10 + number % 5)) for number in range(400)]
    desk.put("pool.pem", pem(*others))
    code, answer, _said = desk.run("leaf.pem", "--anchors=root.pem", "--intermediates=pool.pem", "--crl=lists.pem")
    assert (code, answer["sub_indication"]) == (2, "NO_CERTIFICATE_CHAIN_FOUND")
    desk.put("pool.pem", pem(*others, CA))
    assert desk.run("leaf.pem", "--anchors=root.pem", "--intermediates=pool.pem", "--crl=lists.pem")[0] == 0


def test_a_long_ladder(desk: Desk) -> None:
    """Deeper than any recursion of a reader."""
    rungs = [certify(None, "basamak 0", ca=True, own=key(0))]
    for number in range(1, 500):
        rungs.append(certify(rungs[-1], f"basamak {number}", ca=True, own=key(number % 5)))
    desk.put("ladder.pem", pem(*rungs[1:-1]))
    desk.put("top.pem", pem(rungs[-1]))
    code, answer, _said = desk.run("top.pem", "--anchors=root.pem", "--intermediates=ladder.pem")
    assert (code, answer["verdict"]) == (2, "indeterminate")


def test_bit_flips(desk: Desk) -> None:
    """Never an exception, never an altered certificate accepted."""
    for position in range(0, len(LEAF.der), 7):
        changed = bytearray(LEAF.der)
        changed[position] ^= 1 << position % 8
        desk.put("leaf.pem", bytes(changed))
        code, _answer, said = desk.run("leaf.pem", "--anchors=root.pem", "--intermediates=ca.pem", "--crl=lists.pem")
        assert code in (1, 2, 3), position
        assert "Traceback" not in said


def respond(signer: Party, *, revoked_at: datetime | None = None, carry: bool = False, at: datetime = NOW) -> bytes:
    builder = ocsp.OCSPResponseBuilder().add_response(
        cert=LEAF.certificate,
        issuer=CA.certificate,
        algorithm=hashes.SHA256(),
        cert_status=ocsp.OCSPCertStatus.GOOD if revoked_at is None else ocsp.OCSPCertStatus.REVOKED,
        this_update=at - DAY / 24,
        next_update=at + DAY / 24,
        revocation_time=revoked_at,
        revocation_reason=None,
    )
    builder = builder.responder_id(ocsp.OCSPResponderEncoding.NAME, signer.certificate)
    if carry:
        builder = builder.certificates([signer.certificate])
    return builder.sign(signer.key, hashes.SHA256()).public_bytes(Encoding.DER)


def forged(response: bytes) -> bytes:
    """The same with the last octet of the signature changed."""
    return response[:-1] + bytes([response[-1] ^ 1])


OCSP_SIGNING = (x509.ExtendedKeyUsage([ExtendedKeyUsageOID.OCSP_SIGNING]), False)
NO_CHECK = (x509.OCSPNoCheck(), False)


@pytest.mark.parametrize(
    ("response", "code"),
    [
        (lambda: respond(CA), 0),
        (lambda: respond(CA, revoked_at=NOW - DAY), 1),
        (lambda: respond(CA, revoked_at=NOW + DAY / 48), 0),
        (lambda: respond(CA, at=NOW - DAY), 2),
        (lambda: forged(respond(CA)), 2),
        (lambda: respond(certify(CA, "yanıtlayan", OCSP_SIGNING, NO_CHECK), carry=True), 0),
        (lambda: respond(certify(CA, "yanıtlayan", OCSP_SIGNING), carry=True), 2),
        (lambda: respond(certify(CA, "yanıtlayan", NO_CHECK, key_usage=usage(digital_signature=True)), carry=True), 2),
        (lambda: respond(certify(ROOT, "yanıtlayan", OCSP_SIGNING, NO_CHECK), carry=True), 2),
    ],
    ids=[
        "good",
        "revoked",
        "revoked later",
        "out of date",
        "forged",
        "delegated",
        "unlisted",
        "no responder",
        "other issuer",
    ],
)
def test_responses(desk: Desk, response: Any, code: int) -> None:
    desk.put("lists.pem", pem_list(crl(ROOT)))
    desk.put("answer.ocsp", response())
    found, answer = desk.judge("--ocsp=answer.ocsp")
    assert found == code
    if code == 0:
        assert [source["kind"] for source in answer["path"][-1]["revocation_sources"]] == ["OCSP"]

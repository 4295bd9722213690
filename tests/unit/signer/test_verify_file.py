"""``python -m services.signer.verify_file``: OpenSSL's signatures and time-stamps, ours and packages, by files alone."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import zipfile
from collections.abc import Sequence
from datetime import timedelta
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import ExtendedKeyUsageOID

from services.sandbox.pki.identity import Identity
from services.sandbox.pki.timestamp import TimestampAuthority, rejection
from services.signer import verify_file
from services.signer.verify_file import main
from shared.clock import SystemClock
from tests.support.pki import NES_USAGE, SEAL_USAGE, Holder, Pki, build_pki, ec_key, rsa_key
from tests.unit.eyp import letters, wrappers
from tests.unit.signer.signing import sign, signed_data, signer_info, timestamp, with_timestamp

MADE = SystemClock().now().replace(microsecond=0)
"""OpenSSL takes the time of this machine."""
CONTENT = "Sayı: 2026/1\r\nGereğini rica ederim.\r\n".encode()
STAMPING = ((x509.ExtendedKeyUsage([ExtendedKeyUsageOID.TIME_STAMPING]), True),)
OPENSSL = pytest.mark.skipif(shutil.which("openssl") is None, reason="no openssl command")


@pytest.fixture(scope="module")
def world() -> Pki:
    return build_pki(MADE)


class Desk:
    """A directory with what is trusted and known, and the program."""

    def __init__(self, directory: Path, pki: Pki, capsys: pytest.CaptureFixture[str]) -> None:
        self.directory = directory
        self.pki = pki
        self._capsys = capsys
        pki.write_trust(directory / "trust")
        for number, encoded in enumerate(pki.crls(MADE)):
            self.put(f"lists/{number}.crl", encoded)

    def put(self, name: str, content: bytes) -> Path:
        path = self.directory / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
        return path

    def run(self, file: Path | str, *more: str, crls: bool = True) -> tuple[int, dict[str, Any], str]:
        """Exit code, answer (empty if none) and complaint."""
        anchors = () if any(item.startswith("--anchors") for item in more) else (f"--anchors={self.directory}/trust",)
        lists = (f"--crl={self.directory}/lists",) if crls else ()
        # After whatever OpenSSL made, however long ago this module was loaded.
        now = SystemClock().now() + timedelta(minutes=10)
        code = main([*anchors, *lists, *more, "--", str(file)], now)
        captured = self._capsys.readouterr()
        return code, json.loads(captured.out) if captured.out else {}, captured.err

    def write(self, holder: Holder, name: str) -> list[str]:
        """Options that give OpenSSL the holder's certificate, key and chain."""
        key = holder.key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
        chain = b"".join(item.public_bytes(Encoding.PEM) for item in holder.issuers)
        return [
            *("-signer", str(self.put(f"{name}.pem", holder.pem)), "-inkey", str(self.put(f"{name}.key", key))),
            *(("-certfile" if name == "signer" else "-chain"), str(self.put(f"{name}.chain", chain))),
        ]


@pytest.fixture
def desk(world: Pki, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Desk:
    return Desk(tmp_path, world, capsys)


def openssl(*arguments: str, given: bytes = b"", directory: Path | None = None) -> bytes:
    done = subprocess.run(
        ["openssl", *arguments], input=given, capture_output=True, check=False, timeout=30, cwd=directory
    )
    assert not done.returncode, done.stderr
    return done.stdout


def outcome(code: int, answer: dict[str, Any]) -> tuple[int, str, str, str | None]:
    return code, answer["verdict"], answer["indication"], answer["sub_indication"]


PASSED = (0, "passed", "TOTAL_PASSED", None)
CHANGED = (1, "failed", "TOTAL_FAILED", "HASH_FAILURE")
KEYS: dict[str, tuple[Any, Sequence[str]]] = {
    "rsa": (rsa_key, ()),
    "rsa-pss": (rsa_key, ("-keyopt", "rsa_padding_mode:pss", "-keyopt", "rsa_pss_saltlen:digest")),
    "p256": (lambda: ec_key(ec.SECP256R1()), ()),
    "p384": (lambda: ec_key(ec.SECP384R1()), ("-md", "sha384")),
}


@OPENSSL
@pytest.mark.parametrize("kind", KEYS)
@pytest.mark.parametrize("form", ["attached", "detached", "smime"])
@pytest.mark.parametrize("cades", [True, False], ids=["cades", "plain"])
def test_signatures_of_openssl(desk: Desk, kind: str, form: str, *, cades: bool) -> None:
    """With ``-cades`` the certificate is named among what is signed, as the profile wants; without, only integrity."""
    make, options = KEYS[kind]
    holder = desk.pki.qualified.issuing.issue("Ayşe Örnek", now=MADE, key=make(), key_usage=NES_USAGE, qualified=True)
    arguments = ["cms", "-sign", "-binary", *desk.write(holder, "signer"), *options, *(["-cades"] if cades else [])]
    if "-md" not in options:
        arguments += ["-md", "sha256"]
    outside: tuple[str, ...] = ()
    if form == "smime":
        file = desk.put("letter.eml", openssl(*arguments, "-outform", "SMIME", given=CONTENT))
    else:
        attached = ["-nodetach"] if form == "attached" else []
        file = desk.put("letter.p7s", openssl(*arguments, "-outform", "DER", *attached, given=CONTENT))
        outside = (f"--content={desk.put('letter.txt', CONTENT)}",) if form == "detached" else ()
    code, answer, complaint = desk.run(file, *outside)
    assert complaint == ""
    expected = PASSED if cades else (2, "indeterminate", "INDETERMINATE", "NO_SIGNING_CERTIFICATE_FOUND")
    assert outcome(code, answer) == expected, answer["signatures"][0]["steps"]
    assert answer["signatures"][0]["integrity"] is True
    assert outcome(*desk.run(file, *outside, "--profile=integrity-only")[:2]) == PASSED
    if form == "detached":
        assert outcome(*desk.run(file, f"--content={desk.put('other.txt', CONTENT + b'.')}")[:2]) == CHANGED
        assert desk.run(file)[1]["sub_indication"] == "SIGNED_DATA_NOT_FOUND"
    else:
        altered = file.read_bytes().replace(b"rica", b"arzu")
        assert altered != file.read_bytes()
        assert desk.run(desk.put("altered", altered))[0] == 1


def reply(desk: Desk, holder: Holder) -> tuple[Path, Path, Path]:
    """What OpenSSL answers to its own question: the answer, the token in it, and the content."""
    content = desk.put("letter.txt", CONTENT)
    desk.put("serial", b"01\n")
    desk.put(
        "tsa.cnf",
        b"[tsa]\ndefault_tsa=t\n[t]\nserial=serial\ndefault_policy=1.2.3.4\ndigests=sha256,sha512\n"
        b"signer_digest=sha256\ness_cert_id_alg=sha256\naccuracy=secs:1\nordering=yes\n",
    )
    where = desk.directory
    openssl("ts", "-query", "-data", "letter.txt", "-sha256", "-cert", "-out", "query.tsq", directory=where)
    signing = ["-queryfile", "query.tsq", "-config", "tsa.cnf", *desk.write(holder, "tsa")]
    openssl("ts", "-reply", *signing, "-out", "answer.tsr", directory=where)
    openssl("ts", "-reply", *signing, "-token_out", "-out", "token.tst", directory=where)
    return where / "answer.tsr", where / "token.tst", content


@OPENSSL
@pytest.mark.parametrize("kind", ["rsa", "p256", "p384"])
def test_time_stamps_of_openssl(desk: Desk, kind: str) -> None:
    make, _options = KEYS[kind]
    tsa = desk.pki.timestamp.issuing.issue(
        "Zaman damgası", now=MADE, key=make(), key_usage=SEAL_USAGE, extensions=STAMPING
    )
    answer_file, token, content = reply(desk, tsa)
    for file in (answer_file, token):
        code, answer, complaint = desk.run(file, f"--content={content}")
        assert (outcome(code, answer), complaint) == (PASSED, ""), answer["signatures"][0]["steps"]
        assert (answer["format"], answer["profile"]) == ("timestamp", "timestamp")
        [signature] = answer["signatures"]
        [stamp] = signature["timestamps"]
        assert (stamp["type"], stamp["intact"], stamp["verdict"]) == ("time-stamp-token", True, "passed")
        assert signature["times"]["best"] == signature["times"]["judged_at"] == stamp["time"]
        assert desk.run(file, f"--content={desk.put('other.txt', b'other')}")[0] == 1
        assert desk.run(file)[0] == 2, "nobody knows what was stamped"
        assert desk.run(file, f"--content={content}", "--profile=qualified-signature")[0] != 0


@OPENSSL
def test_time_stamps_of_the_sandbox_by_openssl_and_here(desk: Desk) -> None:
    """The sandbox's authority: OpenSSL asks and accepts, and so does this program."""
    tsa, root = desk.pki.tsa, desk.put("root.pem", desk.pki.timestamp.root.pem)
    content = desk.put("letter.txt", CONTENT)
    query = openssl("ts", "-query", "-data", str(content), "-sha256", "-cert")
    identity = Identity(tsa.certificate, tsa.key, (*tsa.issuers, desk.pki.timestamp.root.certificate))
    file = desk.put("answer.tsr", TimestampAuthority(identity).answer(query, MADE))
    question = str(desk.put("query.tsq", query))
    said = openssl("ts", "-verify", "-queryfile", question, "-in", str(file), "-CAfile", str(root))
    assert b"Verification: OK" in said
    assert outcome(*desk.run(file, f"--content={content}")[:2]) == PASSED
    refused = desk.put("refused.tsr", rejection("system_failure"))
    code, answer, _complaint = desk.run(refused, f"--content={content}")
    assert outcome(code, answer) == (1, "failed", "TOTAL_FAILED", "FORMAT_FAILURE")
    assert "granted no" in answer["signatures"][0]["steps"][0]["text"]


def test_a_time_stamp_must_name_its_certificate(desk: Desk) -> None:
    """RFC 3161, 2.4.1: without the ESS attribute another certificate of the same key could be put in its place."""
    content = f"--content={desk.put('letter.txt', CONTENT)}"
    token = timestamp(desk.pki.tsa, CONTENT, MADE)
    assert desk.run(desk.put("token.tst", token), content)[0] == 0
    statement = verify_file.read_facts(token, None).signers[0].timestamps[0].token
    assert statement is not None
    info = statement.attached_content
    assert info is not None
    signer = signer_info(desk.pki.tsa, info, content_type="tst_info", at=MADE, bound=False)
    unbound = signed_data([signer], list(desk.pki.tsa.chain_der), info, content_type="tst_info")
    assert desk.run(desk.put("unbound.tst", unbound), content)[0] != 0


def test_a_time_stamp_gives_the_moment(desk: Desk) -> None:
    signed = sign(desk.pki.signer, CONTENT, at=MADE)
    value = verify_file.read_facts(signed, None).signers[0].signature_value
    at = MADE - timedelta(minutes=5)
    file = desk.put("letter.p7m", with_timestamp(signed, timestamp(desk.pki.tsa, value, at)))
    code, answer, _complaint = desk.run(file)
    assert outcome(code, answer) == PASSED
    [signature] = answer["signatures"]
    moment = at.strftime("%Y-%m-%dT%H:%M:%SZ")
    assert (signature["level"], signature["level_intact"]) == ("CAdES-T", "CAdES-T")
    assert signature["times"] == {
        "claimed": MADE.strftime("%Y-%m-%dT%H:%M:%SZ"), "best": moment, "judged_at": moment,
    }  # fmt: skip
    assert [item["type"] for item in signature["timestamps"]] == ["signature-time-stamp"]


def test_the_answer_has_these_names_and_is_the_same_each_time(desk: Desk) -> None:
    file = desk.put("letter.p7m", sign(desk.pki.signer, CONTENT, at=MADE))
    code, answer, _complaint = desk.run(file)
    assert list(answer) == [
        *("verdict", "indication", "sub_indication", "format", "profile", "policy_version", "trust_store_sha256"),
        *("signed_content_sha256", "signatures", "retry_after_seconds"),
    ]
    assert (code, answer) == desk.run(file)[:2]
    [signature] = answer["signatures"]
    assert {"id", "result", "text", "text_tr"} == set(signature["steps"][0])
    assert signature["signer"]["identity_number_masked"] == "*********46"


def test_what_is_missing_leaves_it_open_and_what_is_revoked_fails(desk: Desk) -> None:
    file = desk.put("letter.p7m", sign(desk.pki.signer, CONTENT, at=MADE))
    code, answer, _complaint = desk.run(file, crls=False)
    assert outcome(code, answer) == (2, "indeterminate", "INDETERMINATE", "TRY_LATER")
    other = build_pki(MADE)
    trusted = other.write_trust(desk.directory / "others")
    assert desk.run(file, f"--anchors={trusted}")[1]["sub_indication"] == "NO_CERTIFICATE_CHAIN_FOUND"
    authority = desk.pki.qualified.issuing
    holder = authority.issue("Veli", now=MADE, key_usage=NES_USAGE, qualified=True)
    revoked = desk.put("revoked.p7m", sign(holder, CONTENT, at=MADE))
    assert desk.run(revoked)[0] == 0
    authority.revoke(holder, MADE - timedelta(hours=2))
    try:
        desk.put("lists/9.crl", authority.crl(MADE))
    finally:
        authority.revoked.clear()
    code, answer, _complaint = desk.run(revoked)
    assert code != 0
    assert answer["sub_indication"] in {"REVOKED", "REVOKED_NO_POE"}


def test_anchors_without_purposes_count_for_every_one(desk: Desk) -> None:
    anchor = desk.put("root.pem", desk.pki.qualified.root.pem)
    file = desk.put("letter.p7m", sign(desk.pki.signer, CONTENT, at=MADE))
    assert desk.run(file, f"--anchors={anchor}")[0] == 0
    # In a trust directory an anchor counts for its own purpose alone.
    desk.put("narrow/seal/root.pem", desk.pki.qualified.root.pem)
    assert desk.run(file, f"--anchors={desk.directory}/narrow")[0] == 2
    assert desk.run(file, f"--anchors={desk.directory}/narrow", "--profile=integrity-only")[0] == 0


def test_the_moment_is_the_one_that_is_named(desk: Desk) -> None:
    file = desk.put("letter.p7m", sign(desk.pki.signer, CONTENT, at=MADE))
    at = MADE - timedelta(minutes=30)
    code, answer, _complaint = desk.run(file, f"--at={at.isoformat()}")
    assert code == 0
    assert answer["signatures"][0]["times"]["judged_at"] == at.strftime("%Y-%m-%dT%H:%M:%SZ")
    assert answer["signatures"][0]["times"]["best"] is None


def package(pki: Pki, signer: Holder | None = None) -> bytes:
    started = letters.draft()
    signed = started.with_signature(sign(signer or pki.signer, started.digest_to_be_signed(), at=MADE))
    unsealed = signed.with_final_metadata(letters.FINAL, created=letters.MOMENT)
    return unsealed.with_seal(sign(pki.sealer, unsealed.seal_to_be_signed(), at=MADE)).to_bytes()


class TestPackages:
    def test_each_signature_against_its_part(self, desk: Desk) -> None:
        code, answer, complaint = desk.run(desk.put("letter.eyp", package(desk.pki)))
        assert (outcome(code, answer), complaint) == (PASSED, ""), answer
        assert (answer["format"], answer["package"]["acceptable"]) == ("package", True)
        profiles = [item["component"]["profile"] for item in answer["signatures"]]
        assert profiles == ["qualified-signature", "institution-seal"]
        assert len({item["component"]["signed_content_sha256"] for item in answer["signatures"]}) == 2

    def test_the_worst_counts(self, desk: Desk) -> None:
        unqualified = desk.pki.qualified.issuing.issue("Veli", now=MADE, key_usage=NES_USAGE)
        code, answer, _complaint = desk.run(desk.put("letter.eyp", package(desk.pki, unqualified)))
        assert outcome(code, answer) == (2, "indeterminate", "INDETERMINATE", "CHAIN_CONSTRAINTS_FAILURE")
        assert [item["verdict"] for item in answer["signatures"]] == ["indeterminate", "passed"]

    def test_good_signatures_do_not_hide_another_letter(self, desk: Desk) -> None:
        """The signatures cover digests; a part that differs from its digest fails the package."""
        changed = BytesIO()
        with zipfile.ZipFile(BytesIO(package(desk.pki))) as given, zipfile.ZipFile(changed, "w") as taken:
            for item in given.infolist():
                more = b"\n%changed" if item.filename.lower().endswith(".pdf") else b""
                taken.writestr(item, given.read(item) + more)
        code, answer, _complaint = desk.run(desk.put("letter.eyp", changed.getvalue()))
        assert [item["verdict"] for item in answer["signatures"]] == ["passed", "passed"]
        assert outcome(code, answer) == CHANGED
        assert answer["package"]["differing_parts"]

    def test_those_inside_an_update_count(self, desk: Desk) -> None:
        unsealed = wrappers.unsealed(package(desk.pki), wrappers.CHANGE)
        outer = unsealed.with_seal(sign(desk.pki.sealer, unsealed.seal_to_be_signed(), at=MADE)).to_bytes()
        _code, answer, _complaint = desk.run(desk.put("letter.eypg", outer))
        assert sorted(item["component"]["depth"] for item in answer["signatures"]) == [0, 1, 1]

    def test_no_signature_is_no_pass(self, desk: Desk) -> None:
        code, answer, _complaint = desk.run(desk.put("letter.eyps", wrappers.encrypted(package(desk.pki))))
        assert code != 0
        assert answer["signatures"] == []

    def test_another_archive_is_none(self, desk: Desk) -> None:
        archive = BytesIO()
        with zipfile.ZipFile(archive, "w") as file:
            file.writestr("a", b"b")
        code, answer, complaint = desk.run(desk.put("a.zip", archive.getvalue()))
        assert (code, answer) == (3, {})
        assert "a.zip" in complaint
        content = desk.put("content", b"")
        assert desk.run(desk.put("letter.eyp", package(desk.pki)), f"--content={content}")[0] == 3


@pytest.mark.parametrize("kind", ["absent", "fifo", "device", "directory", "sparse", "content-fifo", "content-sparse"])
def test_what_is_no_file_is_told_in_one_line(desk: Desk, kind: str) -> None:
    path = desk.directory / "thing"
    if kind.endswith("fifo"):
        os.mkfifo(path)
    elif kind == "directory":
        path.mkdir()
    elif kind.endswith("sparse"):
        path.touch()
        os.truncate(path, 10 * 1024**3)
    elif kind == "device":
        path = Path("/dev/zero")
    if kind.startswith("content"):
        signed = desk.put("letter.p7s", sign(desk.pki.signer, CONTENT, attached=False, at=MADE))
        code, answer, complaint = desk.run(signed, f"--content={path}")
    else:
        code, answer, complaint = desk.run(path)
    assert (code, answer) == (3, {})
    assert complaint.count("\n") == 1
    assert str(path) in complaint


@pytest.mark.parametrize(
    "wrong", [("--at=yesterday",), ("--profile=best",), ("--format=doc",), ("--fetch",), ("--anchors=absent",)]
)
def test_arguments_without_sense(desk: Desk, wrong: tuple[str, ...]) -> None:
    file = desk.put("letter.p7m", sign(desk.pki.signer, CONTENT, at=MADE))
    code, answer, complaint = desk.run(file, *wrong)
    assert (code, answer, complaint.count("\n")) == (3, {}, 1)


@pytest.mark.parametrize("data", [b"", b"\x30", b"\x30\x80" * 900, b"%PDF-1.7\n", b"<a>", b"hello", b"A: b\r\n\r\n"])
def test_no_pass_for_what_is_no_signature(desk: Desk, data: bytes) -> None:
    code, answer, complaint = desk.run(desk.put("file", data))
    assert code in (1, 2)
    assert answer["verdict"] in ("failed", "indeterminate")
    assert complaint == ""


def test_a_fault_of_the_judge_leaves_it_open(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    def exhausted(*_arguments: object, **_options: object) -> None:
        raise MemoryError

    monkeypatch.setattr(verify_file, "read_facts", exhausted)
    code, answer, complaint = desk.run(desk.put("letter.p7m", b"\x30\x00"))
    assert outcome(code, answer) == (2, "indeterminate", "INDETERMINATE", "POLICY_PROCESSING_ERROR")
    assert complaint == "MemoryError while judging\n"

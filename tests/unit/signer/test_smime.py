"""Signed mail: the right bytes, whatever the line ends and boundaries."""

from __future__ import annotations

import base64
import hashlib
import shutil
import subprocess
from pathlib import Path

import pytest

from services.signer.formats.smime import split
from services.signer.limits import DEFAULT_LIMITS
from shared.contracts.signatures import Profile, SignatureFormat
from shared.domain.verdict import Conclusion, Indication, StepResult, SubIndication
from tests.support.pki import Pki
from tests.unit.signer.conftest import Judge
from tests.unit.signer.signing import sign

PART = b"Content-Type: text/plain; charset=utf-8\r\n\r\nMerhaba\r\n--=_innerx\r\nson\r\n"
OPENSSL = shutil.which("openssl")


def mail(
    part: bytes, signature: bytes, *, kind: bytes = b"application/x-pkcs7-signature", boundary: bytes = b"=_outer"
) -> bytes:
    encoded = base64.encodebytes(signature).replace(b"\n", b"\r\n")
    return (
        b"From: a@hs01.kep.tr\r\nMIME-Version: 1.0\r\n"
        b'Content-Type: multipart/signed; protocol="' + kind + b'"; micalg=sha-256;\r\n boundary="' + boundary + b'"\r\n'
        b"\r\npreamble\r\n--" + boundary + b"\r\n" + part + b"\r\n--" + boundary + b" \r\n"
        b"Content-Type: " + kind + b'; name="smime.p7s"\r\nContent-Transfer-Encoding: base64\r\n\r\n'
        + encoded + b"\r\n--" + boundary + b"--\r\nepilogue\r\n"
    )  # fmt: skip


@pytest.mark.parametrize("kind", [b"application/x-pkcs7-signature", b"application/pkcs7-signature"])
def test_multipart_signed(pki: Pki, judge: Judge, kind: bytes) -> None:
    report = judge(mail(PART, sign(pki.signer, PART, attached=False), kind=kind))
    assert report.conclusion is Conclusion.PASSED
    assert report.format is SignatureFormat.SMIME
    assert report.signed_content_sha256 == hashlib.sha256(PART).hexdigest()
    assert report.signatures[0].level == "CAdES-B"


@pytest.mark.parametrize("part", [b"A: b\r\n\r\n", b"A: b\r\n\r\n\r\n\r\n", b"\r\nno headers", b"A: b\r\n\r\nno end"])
def test_the_line_break_before_a_boundary_belongs_to_it(part: bytes) -> None:
    found = split(mail(part, b"\x30\x00"), DEFAULT_LIMITS)
    assert found.content == part
    assert found.cms == b"\x30\x00"


def test_boundaries_that_begin_alike_are_told_apart(pki: Pki, judge: Judge) -> None:
    part = b"Content-Type: multipart/mixed; boundary==_outer2\r\n\r\n--=_outer2\r\n\r\nx\r\n--=_outer2--\r\n"
    assert judge(mail(part, sign(pki.signer, part, attached=False))).conclusion is Conclusion.PASSED


def test_bare_line_feeds_are_normalised_with_a_warning(pki: Pki, judge: Judge) -> None:
    stored = mail(PART, sign(pki.signer, PART, attached=False)).replace(b"\r\n", b"\n")
    report = judge(stored)
    assert report.conclusion is Conclusion.PASSED
    assert report.signed_content_sha256 == hashlib.sha256(PART).hexdigest()
    warning = next(item for item in report.signatures[0].steps if item.id == "signed-content.line-ends")
    assert warning.result is StepResult.WARNING


def test_changed_mail(pki: Pki, judge: Judge) -> None:
    changed = mail(PART.replace(b"Merhaba", b"merhaba"), sign(pki.signer, PART, attached=False))
    report = judge(changed)
    assert (report.conclusion, report.sub_indication) == (Conclusion.FAILED, SubIndication.HASH_FAILURE)


def test_expected_content(pki: Pki, judge: Judge) -> None:
    signed = mail(PART, sign(pki.signer, PART, attached=False))
    assert judge(signed, PART).conclusion is Conclusion.PASSED
    assert judge(signed, PART + b"x").sub_indication is SubIndication.HASH_FAILURE


def test_opaque(pki: Pki, judge: Judge) -> None:
    body = base64.encodebytes(sign(pki.signer, PART))
    head = b"MIME-Version: 1.0\nContent-Type: application/pkcs7-mime; smime-type=signed-data\n"
    report = judge(head + b"Content-Transfer-Encoding: base64\n\n" + body)
    assert report.conclusion is Conclusion.PASSED
    assert report.signed_content_sha256 == hashlib.sha256(PART).hexdigest()


def test_plain_mail_has_no_signature(judge: Judge) -> None:
    report = judge(b"From: a@b\r\nContent-Type: text/plain\r\n\r\nhello\r\n")
    assert report.indication is Indication.NO_SIGNATURE_FOUND


def test_a_signed_mail_inside_an_unsigned_one_is_not_searched_for(pki: Pki, judge: Judge) -> None:
    inner = mail(PART, sign(pki.signer, PART, attached=False))
    outer = b"Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\nContent-Type: message/rfc822\r\n\r\n"
    assert judge(outer + inner + b"\r\n--b--\r\n").indication is Indication.NO_SIGNATURE_FOUND


@pytest.mark.parametrize(
    "broken",
    [
        b"Content-Type: multipart/signed; boundary=b\r\n\r\n--b\r\nA: b\r\n\r\nx\r\n--b\r\n",
        b"Content-Type: multipart/signed; boundary=b\r\n\r\n--b\r\nA: b\r\n\r\nx\r\n--b--\r\n",
        b"Content-Type: multipart/signed\r\n\r\nx",
        b"Content-Type: multipart/signed; boundary=b\r\n\r\n--b\r\nx\r\n--b\r\nContent-Type: text/plain\r\n\r\n\r\n--b--",
        b"Content-Type: multipart/signed; boundary=b\r\n\r\n" + b"--b\r\nA: b\r\n\r\nx\r\n" * 9 + b"--b--",
        b"Content-Type: multipart/signed; boundary=b",
        b"X: " + b"y" * 300_000,
    ],
)
def test_broken_mail(judge: Judge, broken: bytes) -> None:
    report = judge(broken)
    assert (report.conclusion, report.sub_indication) == (Conclusion.FAILED, SubIndication.FORMAT_FAILURE)


def test_every_changed_octet_of_the_signed_part_fails(pki: Pki, judge: Judge) -> None:
    signed = mail(PART, sign(pki.signer, PART, attached=False))
    start = signed.index(PART)
    for position in range(start, start + len(PART)):
        changed = bytearray(signed)
        changed[position] ^= 0x01
        assert judge(bytes(changed), profile=Profile.INTEGRITY_ONLY).conclusion is Conclusion.FAILED


@pytest.mark.skipif(OPENSSL is None, reason="no openssl command")
@pytest.mark.parametrize(
    "hostile",
    [
        b'Content-Type: multipart/signed; boundary="b"' + b";a=1" * 1100 + b"\r\n\r\n--b--\r\n",
        b'Content-Type: multipart/signed; boundary="b"\r\n\r\n' + b"--bx\r\n" * 10_001,
    ],
    ids=["parameters", "lookalikes"],
)
def test_what_would_take_quadratic_time_is_refused(judge: Judge, hostile: bytes) -> None:
    report = judge(hostile)
    assert (report.conclusion, report.sub_indication) == (Conclusion.FAILED, SubIndication.FORMAT_FAILURE)


def test_delimiters_that_share_their_line_break(judge: Judge) -> None:
    """An empty part is a part: two delimiters in a row do not become one."""
    head = b'Content-Type: multipart/signed; boundary="b"\r\n\r\n'
    for line_break in (b"\r\n", b"\n"):
        message = head + b"--b" + line_break + b"--b" + line_break
        message += b"Content-Type: application/pkcs7-signature\r\n\r\n\x30\x00" + line_break + b"--b--"
        found = split(message, DEFAULT_LIMITS)
        assert (found.content, found.cms) == (b"", b"\x30\x00")


class TestOpenSsl:
    """A second implementation on both sides."""

    def files(self, pki: Pki, directory: Path) -> tuple[str, str, str]:
        from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

        key = directory / "key.pem"
        key.write_bytes(pki.signer.key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
        (directory / "cert.pem").write_bytes(pki.signer.pem)
        (directory / "ca.pem").write_bytes(pki.qualified.issuing.pem)
        return str(key), str(directory / "cert.pem"), str(directory / "ca.pem")

    def run(self, *arguments: str, data: bytes) -> bytes:
        assert OPENSSL is not None
        return subprocess.run([OPENSSL, *arguments], input=data, capture_output=True, check=True, timeout=20).stdout

    @pytest.mark.parametrize("options", [(), ("-nodetach",), ("-keyopt", "rsa_padding_mode:pss"), ("-stream",)])
    def test_what_openssl_signs_we_verify(
        self, pki: Pki, judge: Judge, tmp_path: Path, options: tuple[str, ...]
    ) -> None:
        key, certificate, ca = self.files(pki, tmp_path)
        common = ("cms", "-sign", "-inkey", key, "-signer", certificate, "-certfile", ca, "-md", "sha256", "-cades")
        message = self.run(*common, *options, data=b"Content-Type: text/plain\n\nMerhaba\n")
        assert judge(message).conclusion is Conclusion.PASSED
        encoded = self.run(*common, *options, "-binary", "-outform", "DER", data=PART)
        content = None if "-nodetach" in options else PART
        assert judge(encoded, content).conclusion is Conclusion.PASSED

    def test_what_we_make_openssl_verifies(self, pki: Pki, tmp_path: Path) -> None:
        (tmp_path / "root.pem").write_bytes(pki.qualified.root.pem)
        (tmp_path / "part").write_bytes(PART)
        message = mail(PART, sign(pki.signer, PART, attached=False))
        moment = str(int(pki.signer.certificate.not_valid_before_utc.timestamp()) + 3600)
        common = ("cms", "-verify", "-CAfile", str(tmp_path / "root.pem"), "-purpose", "any", "-attime", moment)
        assert self.run(*common, "-crlfeol", data=message).endswith(b"son\r\n")

"""OpenSSL as the other side, in both directions."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from services.signer.envelopes.facts import envelope_facts
from services.signer.envelopes.reading import parse_envelope
from services.signer.envelopes.refusals import EnvelopeRefused
from services.signer.envelopes.writing import encrypt
from shared.contracts.envelopes import CipherStrength, EnvelopeRefusal
from tests.support.pki import NOW, Holder
from tests.unit.signer.enveloping import Recipients, build_recipients, opened

pytestmark = pytest.mark.skipif(shutil.which("openssl") is None, reason="no openssl command")

CONTENT = b"PK\x03\x04" + os.urandom(50_000)
KINDS = ("rsa", "p256", "p384", "p521")
OAEP = ["-keyopt", "rsa_padding_mode:oaep"]


@pytest.fixture(scope="module")
def recipients() -> Recipients:
    return build_recipients()


def written(holder: Holder, directory: Path, name: str) -> tuple[str, str]:
    certificate, key = directory / f"{name}.pem", directory / f"{name}.key"
    certificate.write_bytes(holder.pem)
    key.write_bytes(holder.key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    return str(certificate), str(key)


def openssl(*arguments: str, given: bytes, may_lack: bool = False) -> bytes:
    done = subprocess.run(["openssl", "cms", *arguments], input=given, capture_output=True, check=False, timeout=30)
    if done.returncode and may_lack:
        pytest.skip(f"this OpenSSL cannot do {' '.join(arguments)}: {done.stderr.decode()[-200:]}")
    assert not done.returncode, done.stderr
    return done.stdout


def by_openssl(holder: Holder, directory: Path, *options: str, cipher: str = "-aes256", stream: bool = False) -> bytes:
    certificate, _ = written(holder, directory, "recipient")
    form = ["-stream", "-indef"] if stream else []
    # Options of a key follow its certificate.
    arguments = ["-encrypt", "-binary", "-outform", "DER", cipher, *form, "-recip", certificate, *options]
    return openssl(*arguments, given=CONTENT, may_lack=True)


@pytest.mark.parametrize("kind", KINDS)
def test_openssl_opens_ours(recipients: Recipients, kind: str, tmp_path: Path) -> None:
    everyone = [getattr(recipients, item) for item in KINDS]
    for certificates in ([getattr(recipients, kind).der], [item.der for item in everyone]):
        encoded = encrypt(CONTENT, certificates, NOW)
        certificate, key = written(getattr(recipients, kind), tmp_path, kind)
        found = openssl(
            "-decrypt", "-binary", "-inform", "DER", "-recip", certificate, "-inkey", key, given=encoded
        )  # fmt: skip
        assert found == CONTENT


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("cipher", ["-aes128", "-aes192", "-aes256", "-aes-128-gcm", "-aes-256-gcm"])
@pytest.mark.parametrize(
    "options",
    [
        pytest.param([], id="pkcs1"),
        pytest.param(OAEP, id="oaep-sha1"),
        pytest.param([*OAEP, "-keyopt", "rsa_oaep_md:sha256"], id="oaep-sha256"),
        pytest.param([*OAEP, "-keyopt", "rsa_oaep_md:sha256", "-keyopt", "rsa_mgf1_md:sha1"], id="oaep-mixed"),
    ],
)
def test_rsa_of_openssl_opens(
    recipients: Recipients, options: list[str], cipher: str, stream: bool, tmp_path: Path
) -> None:
    encoded = by_openssl(recipients.rsa, tmp_path, *options, cipher=cipher, stream=stream)
    assert opened(encoded, recipients.rsa) == CONTENT
    assert parse_envelope(encoded).authenticated == cipher.endswith("gcm")
    assert (encoded[1] == 0x80) == stream, "streamed files have indefinite lengths"


@pytest.mark.parametrize("digest", ["sha1", "sha256", "sha384", "sha512"])
@pytest.mark.parametrize("kind", KINDS[1:])
def test_elliptic_curves_of_openssl_open(recipients: Recipients, kind: str, digest: str, tmp_path: Path) -> None:
    holder = getattr(recipients, kind)
    for extra in ([], ["-aes256-wrap"], ["-aes128-wrap"]):
        encoded = by_openssl(holder, tmp_path, "-keyopt", f"ecdh_kdf_md:{digest}", *extra)
        assert opened(encoded, holder) == CONTENT


@pytest.mark.parametrize("kind", KINDS)
def test_recipients_named_by_key_identifier(recipients: Recipients, kind: str, tmp_path: Path) -> None:
    holder = getattr(recipients, kind)
    encoded = by_openssl(holder, tmp_path, "-keyid", stream=True)
    assert opened(encoded, holder) == CONTENT


@pytest.mark.parametrize("cipher", ["-des3", "-camellia256"])
def test_other_ciphers_of_openssl_are_refused_and_named(recipients: Recipients, cipher: str, tmp_path: Path) -> None:
    encoded = by_openssl(recipients.rsa, tmp_path, cipher=cipher)
    with pytest.raises(EnvelopeRefused) as caught:
        opened(encoded, recipients.rsa)
    assert caught.value.reason is EnvelopeRefusal.ALGORITHM_REFUSED
    facts = envelope_facts(parse_envelope(encoded), "00")
    assert not facts.cipher.accepted
    assert (facts.cipher.strength is CipherStrength.WEAK) == (cipher == "-des3")


def test_cofactor_agreement_and_passwords_are_refused(recipients: Recipients, tmp_path: Path) -> None:
    cofactor = by_openssl(recipients.p256, tmp_path, "-keyopt", "ecdh_cofactor_mode:1")
    with pytest.raises(EnvelopeRefused) as caught:
        opened(cofactor, recipients.p256)
    assert caught.value.reason is EnvelopeRefusal.ALGORITHM_REFUSED
    arguments = ["-encrypt", "-binary", "-outform", "DER", "-aes256", "-pwri_password", "x"]
    by_password = openssl(*arguments, given=CONTENT, may_lack=True)
    with pytest.raises(EnvelopeRefused) as caught:
        opened(by_password, recipients.rsa)
    assert caught.value.reason is EnvelopeRefusal.NOT_A_RECIPIENT

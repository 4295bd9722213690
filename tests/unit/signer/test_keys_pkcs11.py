"""Keys on a token: what is made with them verifies elsewhere, and what is wrong with an entry is told at the start."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import structlog
from cryptography.hazmat.primitives.asymmetric import ec, padding
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from services.signer.enveloping import Enveloping
from services.signer.keys import KeyRing, KeysUnreadable, load_keys
from services.signer.sealing import Sealing
from services.signer.tokens.pool import TokenLimits
from shared.clock import FixedClock
from shared.contracts.signatures import Profile
from shared.domain.verdict import Conclusion
from shared.errors import DomainError, ErrorCode
from tests.support.broken_module import BrokenModule, needs_compiler
from tests.support.pki import NOW, PASSWORD, SEAL_USAGE, Pki, ec_key, rsa_key
from tests.support.softhsm import MODULE, PIN, SoftToken, needs_softhsm
from tests.unit.signer.conftest import Judge
from tests.unit.signer.enveloping import HASHES, Recipients, agreed, build_recipients, cbc, gcm, transported
from tests.unit.signer.test_envelope_openssl import OAEP, by_openssl

pytestmark = needs_softhsm

CONTENT = b"Content-Type: text/plain\r\n\r\nMerhaba\r\n"
PACKAGE = b"PK\x03\x04" + b"an inner package" * 40
OWN, OTHER = 10000001, 10000002


@pytest.fixture
def token(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> SoftToken:
    made = SoftToken(tmp_path / "hsm").make()
    monkeypatch.setenv("SOFTHSM2_CONF", str(made.configuration))
    return made


@contextmanager
def loaded(tmp_path: Path, *entries: dict[str, Any], limits: TokenLimits | None = None) -> Iterator[KeyRing]:
    path = tmp_path / "keys.json"
    path.write_text(json.dumps(entries))
    ring = load_keys(path, limits=limits)
    try:
        yield ring
    finally:
        ring.close()


async def sealed(ring: KeyRing, key_id: str) -> bytes:
    sealing = Sealing(ring, FixedClock(NOW))
    try:
        return await sealing.seal(sealing.seal_key(key_id, OWN), CONTENT, "test")
    finally:
        sealing.close()


def accepted_by_openssl(signed: bytes, root: bytes, directory: Path) -> bytes:
    (directory / "root.pem").write_bytes(root)
    arguments = ["cms", "-verify", "-cades", "-binary", "-inform", "DER", "-CAfile", str(directory / "root.pem")]
    done = subprocess.run(
        ["openssl", *arguments, "-purpose", "any", "-attime", str(int(NOW.timestamp()))],
        input=signed, capture_output=True, check=False, timeout=20,
    )  # fmt: skip
    assert not done.returncode, done.stderr
    return done.stdout


@pytest.mark.parametrize("kind", ["rsa", "rsa-pss", "secp256r1", "secp384r1", "secp521r1"])
async def test_seals_verify_with_ours_and_with_openssl(
    token: SoftToken, pki: Pki, judge: Judge, tmp_path: Path, kind: str
) -> None:
    curves = {curve.name: curve for curve in (ec.SECP256R1(), ec.SECP384R1(), ec.SECP521R1())}
    key = rsa_key() if kind.startswith("rsa") else ec_key(curves[kind])
    holder = pki.seal.issuing.issue("Örnek Belediyesi", key=key, key_usage=SEAL_USAGE)
    token.put(holder, "mühür", "a1", SIGN=True)
    chain = tmp_path / "chain.pem"
    chain.write_bytes(pki.seal.issuing.pem + pki.seal.root.pem)
    entry = token.entry("seal-1", OWN, "package-seal", key_label="mühür", chain=str(chain))
    with loaded(tmp_path, entry | {"rsa_padding": "pss" if kind == "rsa-pss" else "pkcs1v15"}) as ring:
        assert ring.faults() == {}
        signed = await sealed(ring, "seal-1")
    assert judge(signed, CONTENT, profile=Profile.INSTITUTION_SEAL).conclusion is Conclusion.PASSED
    if shutil.which("openssl"):
        assert accepted_by_openssl(signed, pki.seal.root.pem, tmp_path) == CONTENT


async def test_pss_of_a_key_in_memory(pki: Pki, judge: Judge, tmp_path: Path) -> None:
    holder = pki.seal.issuing.issue("Örnek Belediyesi", key=rsa_key(), key_usage=SEAL_USAGE)
    holder.write_pkcs12(tmp_path / "seal.p12")
    (tmp_path / "password").write_bytes(PASSWORD)
    entry = {
        "key_id": "seal-1", "institution_no": OWN, "purposes": ["package-seal"], "rsa_padding": "pss",
        "pkcs12": "seal.p12", "password_file": "password",
    }  # fmt: skip
    with loaded(tmp_path, entry) as ring:
        signed = await sealed(ring, "seal-1")
    assert bytes.fromhex("06092a864886f70d01010a") in signed
    assert judge(signed, CONTENT, profile=Profile.INSTITUTION_SEAL).conclusion is Conclusion.PASSED


async def test_a_mail_is_signed_and_the_audit_line_comes_first(
    token: SoftToken, pki: Pki, judge: Judge, tmp_path: Path
) -> None:
    token.put(pki.signer, "agent", "b2", with_certificate=False, SIGN=True)
    (tmp_path / "agent.pem").write_bytes(pki.signer.pem)
    (tmp_path / "chain.pem").write_bytes(pki.qualified.issuing.pem)
    place = {"key_id_hex": "b2", "certificate": "agent.pem", "chain": "chain.pem"}

    async def body():
        yield CONTENT

    with (
        structlog.testing.capture_logs() as lines,
        loaded(tmp_path, token.entry("kep-1", OWN, "kep-message", **place)) as ring,
    ):
        sealing = Sealing(ring, FixedClock(NOW))
        signed = await sealing.sign_message(sealing.message_key("kep-1", OWN), body(), "10.0.0.7 abc")
        sealing.close()
    assert judge(signed, CONTENT).conclusion is Conclusion.PASSED
    [used] = [line for line in lines if line["event"] == "key_used"]
    assert (used["audit"], used["requester"], used["purpose"]) == (True, "10.0.0.7 abc", "kep-message")
    assert PIN not in str(lines)


def opened(ring: KeyRing, envelope: bytes, directory: Path) -> bytes:
    path = directory / "envelope"
    path.write_bytes(envelope)
    works = Enveloping(ring, FixedClock(NOW), at_once=1)
    with path.open("rb") as handle:
        return b"".join(asyncio.run(works.open(handle, works.decryption_keys(OWN, None), "test")))


@pytest.fixture(scope="module")
def recipients() -> Recipients:
    return build_recipients()


def decrypting(token: SoftToken, recipients: Recipients, *names: str) -> list[dict[str, Any]]:
    for number, name in enumerate(names):
        permission = "DECRYPT" if "rsa" in name else "DERIVE"
        token.put(getattr(recipients, name), name, f"c{number}", **{permission: True})
    return [token.entry(name, OWN, "package-decryption", key_label=name) for name in names]


@pytest.mark.skipif(shutil.which("openssl") is None, reason="no openssl command")
def test_envelopes_of_openssl_open(
    token: SoftToken, recipients: Recipients, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tests.unit.signer.test_envelope_openssl.CONTENT", PACKAGE)
    ways: list[tuple[str, list[str], str]] = [
        ("rsa", [], "-aes256"),
        ("rsa", OAEP, "-aes256"),
        ("rsa", [*OAEP, "-keyopt", "rsa_oaep_md:sha256"], "-aes-256-gcm"),
        ("rsa", [*OAEP, "-keyopt", "rsa_oaep_md:sha256", "-keyopt", "rsa_mgf1_md:sha1"], "-aes128"),
        *((curve, ["-keyopt", "ecdh_kdf_md:sha256"], "-aes256") for curve in ("p256", "p384", "p521")),
    ]
    with loaded(tmp_path, *decrypting(token, recipients, "rsa", "p256", "p384", "p521")) as ring:
        for name, options, cipher in ways:
            envelope = by_openssl(getattr(recipients, name), tmp_path, *options, cipher=cipher)
            assert opened(ring, envelope, tmp_path) == PACKAGE, (name, options)


def told(ring: KeyRing, envelope: bytes, directory: Path) -> tuple[object, ...]:
    with pytest.raises(DomainError) as caught:
        opened(ring, envelope, directory)
    return caught.value.code, caught.value.detail, caught.value.faults


def test_no_failure_to_open_differs_from_another(token: SoftToken, recipients: Recipients, tmp_path: Path) -> None:
    """Also those that a token tells apart by itself, and none of them costs the session."""
    key = os.urandom(32)
    short, other = os.urandom(16), os.urandom(32)
    with loaded(tmp_path, *decrypting(token, recipients, "rsa")) as ring:
        pool = ring.tokens[0]
        sessions, epoch = pool.sessions(), pool.epoch
        outcomes = {
            told(ring, gcm([transported(recipients.rsa, other, digest=None)], key).dump(), tmp_path),
            told(ring, gcm([transported(recipients.rsa, short, digest=None)], key).dump(), tmp_path),
            *(
                told(ring, gcm([transported(recipients.rsa, key, digest=digest, encrypted=encrypted)], key).dump(), tmp_path)
                for digest in (None, "sha1", "sha256")
                for encrypted in (b"\x11" * 256, b"\xff" * 256, b"\x11" * 255)
            ),
        }  # fmt: skip
        assert len(outcomes) == 1
        assert next(iter(outcomes))[0] is ErrorCode.ENVELOPE_INVALID
        assert (pool.sessions(), pool.epoch, pool.fault) == (sessions, epoch, None)
        good = cbc([transported(recipients.rsa, key, digest="sha1")], key, PACKAGE).dump()
        assert opened(ring, good, tmp_path) == PACKAGE


@needs_compiler
@pytest.mark.parametrize("fault", ["raw-forbidden", "odd-padding-error"])
def test_a_token_that_takes_the_padding_off_itself_tells_nothing(
    token: SoftToken, recipients: Recipients, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, fault: str
) -> None:
    """Where raw RSA is forbidden the module's own code for a bad PKCS#1 v1.5 padding is swallowed, whichever it is."""
    broken = BrokenModule(tmp_path, str(MODULE))
    for name, value in broken.environment.items():
        monkeypatch.setenv(name, value)
    [entry] = decrypting(token, recipients, "rsa")
    entry["pkcs11"]["module"] = str(broken.path)
    key, other = os.urandom(32), os.urandom(32)
    with loaded(tmp_path, entry) as ring:
        for ordered in {"raw-forbidden", fault}:
            broken.order(ordered)
        epoch = ring.tokens[0].epoch
        good = cbc([transported(recipients.rsa, key, digest=None)], key, PACKAGE).dump()
        assert opened(ring, good, tmp_path) == PACKAGE
        wrong_key = gcm([transported(recipients.rsa, other, digest=None)], key).dump()
        wrong_padding = gcm([transported(recipients.rsa, key, digest=None, encrypted=b"\x11" * 256)], key).dump()
        assert told(ring, wrong_key, tmp_path) == told(ring, wrong_padding, tmp_path)
        assert ring.tokens[0].epoch == epoch
        assert ring.faults() == {}


def test_a_point_off_the_curve_never_reaches_the_token(
    token: SoftToken, recipients: Recipients, tmp_path: Path
) -> None:
    key = os.urandom(32)
    stranger = ec.generate_private_key(ec.SECP256R1()).public_key()
    outside = bytearray(stranger.public_bytes(Encoding.X962, PublicFormat.UncompressedPoint))
    outside[-1] ^= 1
    with loaded(tmp_path, *decrypting(token, recipients, "p256")) as ring:
        envelope = gcm([agreed(recipients.p256, key, point=bytes(outside))], key).dump()
        assert told(ring, envelope, tmp_path)[0] is ErrorCode.ENVELOPE_INVALID
        assert opened(ring, gcm([agreed(recipients.p256, key)], key, PACKAGE).dump(), tmp_path) == PACKAGE


async def test_keys_of_others_and_of_other_purposes_are_refused(
    token: SoftToken, pki: Pki, recipients: Recipients, tmp_path: Path
) -> None:
    token.put(pki.sealer, "seal", "a1", SIGN=True)
    entries = [token.entry("seal-1", OWN, "package-seal", key_label="seal"), *decrypting(token, recipients, "rsa")]
    with loaded(tmp_path, *entries) as ring:
        sealing = Sealing(ring, FixedClock(NOW))
        for refused in (
            lambda: sealing.seal_key("seal-1", OTHER),
            lambda: sealing.message_key("seal-1", OWN),
            lambda: sealing.seal_key("rsa", OWN),
            lambda: ring.decryption_keys(OTHER, "rsa"),
            lambda: ring.decryption_keys(OWN, "seal-1"),
        ):
            with pytest.raises(DomainError) as caught:
                refused()
            assert caught.value.code is ErrorCode.INSTITUTION_FORBIDDEN
        sealing.close()


def test_of_several_certificates_the_newest_that_fits_is_taken(token: SoftToken, pki: Pki, tmp_path: Path) -> None:
    key = rsa_key()
    old, new = (pki.seal.issuing.issue("Örnek", key=key, key_usage=SEAL_USAGE, days=(-30, end)) for end in (100, 700))
    stranger = pki.seal.issuing.issue("Örnek", key=rsa_key(2048, 1), key_usage=SEAL_USAGE, days=(-30, 900))
    token.put(old, "seal", "a1", SIGN=True)
    for extra in (new, stranger):
        token.put(extra, "other", "a1", SIGN=True)
    with loaded(tmp_path, token.entry("seal-1", OWN, "package-seal", key_label="seal")) as ring:
        [held] = ring.all()
        assert held.certificate.der == new.der


@pytest.mark.parametrize(
    ("fault", "said"),
    [
        ("module", "module cannot be loaded"),
        ("key", "no such private key"),
        ("double", "several private keys"),
        ("permission", "CKA_SIGN"),
        ("derive", "CKA_DERIVE"),
        ("stranger", "does not belong"),
        ("stranger-ec", "does not belong"),
        ("kind", "kind rsa"),
        ("certificate", "unreadable certificate"),
        ("no-certificate", "not on the token"),
        ("token", "cannot be used now"),
        ("token-twice", "several tokens"),
        ("pin-file", "PIN file"),
        ("same-key", "must not sign"),
    ],
)
def test_what_is_wrong_with_an_entry_is_told_at_the_start(
    token: SoftToken, pki: Pki, tmp_path: Path, fault: str, said: str
) -> None:
    token.put(pki.sealer, "seal", "a1", SIGN=fault != "permission")
    entry = token.entry("seal-1", OWN, "package-seal", key_label="seal")
    entries, place = [entry], entry["pkcs11"]
    other = pki.seal.issuing.issue("Başka", key=ec_key(ec.SECP384R1()), key_usage=SEAL_USAGE)
    (tmp_path / "other.pem").write_bytes(other.pem)
    (tmp_path / "rsa.pem").write_bytes(pki.signer.pem)
    match fault:
        case "module":
            place["module"] = str(tmp_path / "absent.so")
        case "key":
            place |= {"key_label": "nobody", "certificate": "other.pem"}
        case "double":
            token.put(other, "seal", "a2", SIGN=True)
        case "derive":
            entry["purposes"] = ["package-decryption"]
        case "stranger":
            token.put(pki.signer, "agent", "a3", SIGN=True)
            stranger = pki.seal.issuing.issue("Başka", key=rsa_key(2048, 1), key_usage=SEAL_USAGE)
            (tmp_path / "rsa.pem").write_bytes(stranger.pem)
            place |= {"key_label": "agent", "certificate": "rsa.pem"}
        case "stranger-ec":
            place["certificate"] = "other.pem"
        case "kind":
            place["certificate"] = "rsa.pem"
        case "certificate":
            (tmp_path / "other.pem").write_bytes(b"no certificate")
            place["certificate"] = "other.pem"
        case "no-certificate":
            token.put(other, "bare", "a4", with_certificate=False, SIGN=True)
            place["key_label"] = "bare"
        case "token":
            place["token_label"] = "nobody's"
        case "token-twice":
            token.initialise(token.label)
        case "pin-file":
            entry["pin_file"] = "absent"
        case "same-key":
            token.put(other, "both", "a5", SIGN=True, DERIVE=True)
            place["key_label"] = "both"
            entries.append(token.entry("decrypt-1", OWN, "package-decryption", key_label="both"))
    with pytest.raises(KeysUnreadable) as caught, loaded(tmp_path, *entries):
        pass
    assert said in str(caught.value)
    assert "seal-1" in str(caught.value)
    assert PIN not in str(caught.value)


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"pkcs11": {"token_serial": "1"}}, "one of token_label and token_serial"),
        ({"pkcs11": {"token_label": None}}, "one of token_label and token_serial"),
        ({"pkcs11": {"key_label": None}}, "key_label or key_id_hex"),
        ({"pkcs11": {"key_id_hex": "xyz"}}, "pkcs11.key_id_hex"),
        ({"pkcs11": {"slot": 0}}, "pkcs11.slot"),
        ({"pkcs11": {"module": None}}, "pkcs11.module"),
        ({"pin": "271828"}, "pin: Extra inputs"),
        ({"purposes": ["package-seal", "package-decryption"]}, "must not sign"),
    ],
)
def test_what_is_wrong_with_an_entry_is_told_before_a_token_is_looked_at(
    tmp_path: Path, changed: dict[str, Any], said: str
) -> None:
    entry = SoftToken(tmp_path).entry("seal-1", OWN, "package-seal", key_label="seal")
    place = entry["pkcs11"] | changed.get("pkcs11", {})
    shown = entry | changed | {"pkcs11": {name: value for name, value in place.items() if value is not None}}
    with pytest.raises(KeysUnreadable) as caught, loaded(tmp_path, shown):
        pass
    assert said in str(caught.value)
    assert "key seal-1" in str(caught.value)
    assert PIN not in str(caught.value)


def test_a_token_is_found_by_serial_number_too(token: SoftToken, pki: Pki, tmp_path: Path) -> None:
    token.put(pki.sealer, "seal", "a1", SIGN=True)
    shown = subprocess.run(
        ["softhsm2-util", "--show-slots"], capture_output=True, text=True, check=True, timeout=20
    ).stdout  # fmt: skip
    serial = next(line.split(":")[1].strip() for line in shown.splitlines() if "Serial number" in line)
    entry = token.entry("seal-1", OWN, "package-seal", key_id_hex="A1", token_label=None, token_serial=serial)
    with loaded(tmp_path, entry) as ring:
        assert ring.faults() == {}


def test_one_token_has_one_pin_file(token: SoftToken, pki: Pki, tmp_path: Path) -> None:
    token.put(pki.sealer, "seal", "a1", SIGN=True)
    (tmp_path / "pin").write_text(PIN)
    one = token.entry("seal-1", OWN, "package-seal", key_label="seal")
    with (
        pytest.raises(KeysUnreadable, match="another PIN file"),
        loaded(tmp_path, one, one | {"key_id": "seal-2", "pin_file": "pin"}),
    ):
        pass


def test_unpadding_agrees_with_the_library() -> None:
    """A block made by hand and one made by ``cryptography``, and each octet of a padding in turn made wrong."""
    from services.signer.keys.unpadding import oaep_message, pkcs1_message

    key = rsa_key()
    numbers = key.private_numbers()

    def block(encrypted: bytes) -> bytes:
        return pow(int.from_bytes(encrypted, "big"), numbers.d, numbers.public_numbers.n).to_bytes(256, "big")

    for message in (b"", os.urandom(32)):
        good = block(key.public_key().encrypt(message, padding.PKCS1v15()))
        assert pkcs1_message(good) == message
        for digest in ("sha1", "sha256"):
            for mask in ("sha1", "sha256"):
                scheme = padding.OAEP(padding.MGF1(HASHES[mask]()), HASHES[digest](), None)
                encoded = block(key.public_key().encrypt(message, scheme))
                assert oaep_message(encoded, digest, mask) == message
                for index in (0, 1, 40, 200, 255):
                    changed = bytearray(encoded)
                    changed[index] ^= 0x40
                    assert oaep_message(bytes(changed), digest, mask) is None
    start = b"\0\2" + b"\x01" * 8
    assert pkcs1_message(start + b"\0" + b"key") == b"key"
    for wrong in (
        b"\1\2" + b"\x01" * 8 + b"\0key", b"\0\1" + b"\x01" * 8 + b"\0key", b"\0\2" + b"\x01" * 7 + b"\0keys", start + b"key",
    ):  # fmt: skip
        assert pkcs1_message(wrong) == b""
    assert oaep_message(b"\0" * 60, "sha256", "sha256") is None

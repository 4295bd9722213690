"""Keys and what is made with them."""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path

import pytest
import structlog
from asn1crypto import cms

from services.signer.keys import KeyRing, KeysUnreadable, load_keys
from services.signer.sealing import Sealing
from shared.clock import FixedClock
from shared.contracts.signatures import Profile, SigningPurpose
from shared.domain.verdict import Conclusion
from shared.errors import DomainError, ErrorCode
from tests.support.pki import NOW, PASSWORD, Pki
from tests.unit.signer.conftest import Judge

CONTENT = b"Content-Type: text/plain\r\n\r\nMerhaba\r\n"


async def stream(*chunks: bytes) -> AsyncIterator[bytes]:
    for chunk in chunks:
        yield chunk


@pytest.fixture
def keys_file(pki: Pki, tmp_path: Path) -> Path:
    (tmp_path / "password").write_bytes(PASSWORD + b"\n")
    pki.signer.write_pkcs12(tmp_path / "agent.p12")
    pki.sealer.write_pkcs12(tmp_path / "seal.p12")
    entries = [
        {"key_id": "kep-1", "institution_no": 10000001, "purposes": ["kep-message"], "pkcs12": "agent.p12"},
        {"key_id": "seal-1", "institution_no": 10000001, "purposes": ["package-seal"], "pkcs12": "seal.p12"},
    ]
    path = tmp_path / "keys.json"
    path.write_text(json.dumps([entry | {"password_file": "password"} for entry in entries]))
    return path


@pytest.fixture
def sealing(keys_file: Path) -> Sealing:
    return Sealing(load_keys(keys_file), FixedClock(NOW))


async def test_message_signature(sealing: Sealing, judge: Judge) -> None:
    key = sealing.message_key("kep-1", 10000001)
    signed = await sealing.sign_message(key, stream(CONTENT[:7], CONTENT[7:]), "test")
    assert judge(signed, CONTENT).conclusion is Conclusion.PASSED
    assert judge(signed, CONTENT + b"x").conclusion is Conclusion.FAILED
    parsed = cms.ContentInfo.load(signed, strict=True)["content"]
    assert parsed["encap_content_info"]["content"].native is None
    attributes = parsed["signer_infos"][0]["signed_attrs"]
    encodings = [item.dump() for item in attributes]
    assert encodings == sorted(encodings)
    # By number: asn1crypto knows the last one's name only once its time-stamp module was imported.
    assert {item["type"].dotted for item in attributes} == {
        "1.2.840.113549.1.9.3", "1.2.840.113549.1.9.4", "1.2.840.113549.1.9.5", "1.2.840.113549.1.9.16.2.47",
    }  # fmt: skip
    assert len(parsed["certificates"]) == 2


async def test_seal(sealing: Sealing, judge: Judge) -> None:
    signed = await sealing.seal(sealing.seal_key("seal-1", None), CONTENT, "test")
    assert judge(signed, CONTENT, profile=Profile.INSTITUTION_SEAL).conclusion is Conclusion.PASSED


@pytest.mark.skipif(shutil.which("openssl") is None, reason="no openssl command")
async def test_openssl_accepts_the_seal(sealing: Sealing, pki: Pki, tmp_path: Path) -> None:
    (tmp_path / "root.pem").write_bytes(pki.seal.root.pem)
    signed = await sealing.seal(sealing.seal_key("seal-1", None), CONTENT, "test")
    arguments = ["cms", "-verify", "-cades", "-binary", "-inform", "DER", "-CAfile", str(tmp_path / "root.pem")]
    done = subprocess.run(
        ["openssl", *arguments, "-purpose", "any", "-attime", str(int(NOW.timestamp()))],
        input=signed, capture_output=True, check=True, timeout=20,
    )  # fmt: skip
    assert done.stdout == CONTENT


def test_purpose_and_institution_are_bound(sealing: Sealing) -> None:
    for refused in (
        lambda: sealing.message_key("seal-1", None),
        lambda: sealing.seal_key("kep-1", None),
        lambda: sealing.seal_key("seal-1", 10000002),
    ):
        with pytest.raises(DomainError) as caught:
            refused()
        assert caught.value.code is ErrorCode.INSTITUTION_FORBIDDEN
    with pytest.raises(DomainError) as caught:
        sealing.seal_key("nobody", None)
    assert caught.value.code is ErrorCode.NOT_FOUND


async def test_audit_line_comes_first(sealing: Sealing) -> None:
    with structlog.testing.capture_logs() as lines:
        await sealing.seal(sealing.seal_key("seal-1", None), CONTENT, "10.0.0.7 abc")
    [line] = [item for item in lines if item["event"] == "key_used"]
    assert (line["audit"], line["requester"], line["purpose"]) == (True, "10.0.0.7 abc", "package-seal")
    assert len(line["content_sha256"]) == 64


async def test_expired_key_is_not_used(keys_file: Path) -> None:
    late = Sealing(load_keys(keys_file), FixedClock(NOW + timedelta(days=400)))
    with pytest.raises(DomainError) as caught:
        await late.seal(late.seal_key("seal-1", None), CONTENT, "test")
    assert caught.value.code is ErrorCode.SIGNING_KEY_UNAVAILABLE


async def test_a_key_store_that_signs_wrongly_is_found_out(keys_file: Path) -> None:
    from dataclasses import replace

    class BrokenPort:
        digest, scheme = "sha384", "ecdsa"

        def sign(self, hashed: bytes) -> bytes:
            return b"\x30\x06\x02\x01\x01\x02\x01\x01"

    ring = load_keys(keys_file)
    broken = replace(ring.take("seal-1", SigningPurpose.PACKAGE_SEAL), port=BrokenPort())
    sealing = Sealing(KeyRing([broken]), FixedClock(NOW))
    with pytest.raises(DomainError) as caught:
        await sealing.seal(sealing.seal_key("seal-1", None), CONTENT, "test")
    assert caught.value.code is ErrorCode.SIGNING_KEY_UNAVAILABLE


async def test_nothing_to_sign(sealing: Sealing) -> None:
    with pytest.raises(DomainError):
        await sealing.sign_message(sealing.message_key("kep-1", None), stream(), "test")


@pytest.mark.parametrize("fault", ["password", "missing", "json", "double", "purpose"])
def test_unreadable_keys(keys_file: Path, fault: str) -> None:
    entries = json.loads(keys_file.read_text())
    if fault == "password":
        (keys_file.parent / "password").write_bytes(b"wrong")
    elif fault == "missing":
        entries[0]["pkcs12"] = "absent.p12"
    elif fault == "double":
        entries.append(entries[0])
    elif fault == "purpose":
        entries[0]["purposes"] = ["anything"]
    keys_file.write_text("{" if fault == "json" else json.dumps(entries))
    with pytest.raises(KeysUnreadable) as caught:
        load_keys(keys_file)
    assert PASSWORD.decode() not in str(caught.value)


def test_description_shows_no_identity_number(keys_file: Path) -> None:
    shown = load_keys(keys_file).all()[0].describe()
    assert "10000000146" not in shown.model_dump_json()
    assert "Ayşe Örnek" in shown.subject

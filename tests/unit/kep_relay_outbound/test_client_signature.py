"""What is read of a signature that a letter brings along, before and beside what signer says of it."""

from __future__ import annotations

import contextlib

import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.serialization import Encoding, pkcs7
from hypothesis import given
from hypothesis import strategies as st

from services.kep_relay.outbound.client_signature import micalg_of
from shared.errors import DomainError, ErrorCode
from tests.support.pki import build_pki

PKI = build_pki()
DETACHED = (pkcs7.PKCS7Options.DetachedSignature, pkcs7.PKCS7Options.Binary)


def signature(*algorithms: hashes.HashAlgorithm, options: tuple[pkcs7.PKCS7Options, ...] = DETACHED) -> bytes:
    builder = pkcs7.PKCS7SignatureBuilder().set_data(b"content")
    for algorithm in algorithms:
        builder = builder.add_signer(PKI.signer.certificate, PKI.signer.key, algorithm)
    return builder.sign(Encoding.DER, list(options))


@pytest.mark.parametrize(
    ("algorithm", "word"),
    [(hashes.SHA256(), "sha-256"), (hashes.SHA384(), "sha-384"), (hashes.SHA512(), "sha-512")],
    ids=lambda value: getattr(value, "name", value),
)
def test_the_digest_is_named_as_messages_name_it(algorithm: hashes.HashAlgorithm, word: str) -> None:
    assert micalg_of(signature(algorithm)) == word
    assert micalg_of(signature(algorithm, algorithm)) == word, "several signers with the same digest"


@pytest.mark.parametrize(
    "der",
    [
        pytest.param(signature(hashes.SHA256(), hashes.SHA512()), id="two digests"),
        pytest.param(signature(hashes.SHA224()), id="too short a digest"),
        pytest.param(signature(hashes.SHA256(), options=(pkcs7.PKCS7Options.Binary,)), id="attached"),
        pytest.param(signature(hashes.SHA256()) + b"\0", id="something behind it"),
        pytest.param(PKI.signer.certificate.public_bytes(Encoding.DER), id="a certificate"),
        pytest.param(b"", id="nothing"),
        pytest.param(b"\x30\x84" * 20_000, id="nested"),
    ],
)
def test_what_no_message_can_carry_is_refused(der: bytes) -> None:
    with pytest.raises(DomainError) as refused:
        micalg_of(der)
    assert refused.value.code is ErrorCode.SIGNATURE_INVALID
    assert [fault.pointer for fault in refused.value.faults] == ["/message_signature"]


@given(st.binary(max_size=300))
def test_nothing_but_a_refusal_comes_of_any_bytes(content: bytes) -> None:
    with pytest.raises(DomainError):
        micalg_of(content)


SIGNED = signature(hashes.SHA256())


@given(st.integers(0, len(SIGNED) * 8 - 1))
def test_a_changed_bit_raises_nothing_else(bit: int) -> None:
    changed = bytearray(SIGNED)
    changed[bit // 8] ^= 1 << bit % 8
    with contextlib.suppress(DomainError):
        assert micalg_of(bytes(changed)).startswith("sha-")

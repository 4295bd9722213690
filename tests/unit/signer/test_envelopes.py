"""Envelopes made by us and by a second pen, opened."""

from __future__ import annotations

import os
from contextlib import suppress
from datetime import timedelta

import pytest
from asn1crypto import cms as asn1_cms
from cryptography.hazmat.primitives.asymmetric import ec
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from services.signer.certificates import load_certificate
from services.signer.envelopes.facts import envelope_facts
from services.signer.envelopes.fitness import fit_recipients
from services.signer.envelopes.reading import BLOCK_BYTES, parse_envelope
from services.signer.envelopes.refusals import RecipientsUnfit
from services.signer.envelopes.writing import EnvelopeWriter, encrypt
from shared.contracts.envelopes import CipherStrength, RecipientFault, RecipientKind
from tests.support.pki import NOW, Holder, ec_key, make_hierarchy, rsa_key, usage
from tests.unit.signer.enveloping import (
    CONTENT,
    EC_USAGE,
    RSA_USAGE,
    Recipients,
    agreed,
    build_recipients,
    cbc,
    gcm,
    identifier,
    opened,
    transported,
)

KINDS = ("rsa", "p256", "p384", "p521")


@pytest.fixture(scope="module")
def recipients() -> Recipients:
    return build_recipients()


def holder(recipients: Recipients, kind: str) -> Holder:
    found: Holder = getattr(recipients, kind)
    return found


@pytest.mark.parametrize("kind", KINDS)
def test_what_is_encrypted_for_a_certificate_opens_with_its_key(recipients: Recipients, kind: str) -> None:
    recipient = holder(recipients, kind)
    encoded = encrypt(CONTENT, [recipient.der], NOW)
    assert CONTENT not in encoded
    assert opened(encoded, recipient) == CONTENT


@pytest.mark.parametrize("kind", KINDS)
def test_every_one_of_several_recipients_opens_it(recipients: Recipients, kind: str) -> None:
    everyone = [holder(recipients, item) for item in KINDS]
    encoded = encrypt(CONTENT, [item.der for item in everyone], NOW)
    assert opened(encoded, holder(recipients, kind)) == CONTENT
    assert opened(encoded, recipients.other_rsa, holder(recipients, kind)) == CONTENT


@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(content=st.binary(max_size=200))
def test_any_content_comes_back(recipients: Recipients, content: bytes) -> None:
    assert opened(encrypt(content, [recipients.p256.der], NOW), recipients.p256) == content


def test_content_passes_through_in_blocks_and_its_size_must_hold(recipients: Recipients) -> None:
    content = os.urandom(2 * BLOCK_BYTES + 5)
    fit = fit_recipients([recipients.rsa.der, recipients.p384.der], NOW)
    writer = EnvelopeWriter(fit, len(content))
    blocks = list(writer.blocks([content[:7], content[7:BLOCK_BYTES], content[BLOCK_BYTES:]]))
    encoded = b"".join(blocks)
    assert len(encoded) == writer.total_bytes
    assert opened(encoded, recipients.p384) == content
    for wrong in (content[1:], content + b"x"):
        with pytest.raises(ValueError, match="bytes long"):
            list(EnvelopeWriter(fit, len(content)).blocks([wrong]))


def test_the_structure_is_der_as_the_standards_name_it(recipients: Recipients) -> None:
    """RFC 5652 6.1 and 6.2, RFC 4055 4.1, RFC 5753 3.1.1, read by another library."""
    encoded = encrypt(CONTENT, [recipients.rsa.der], NOW)
    info = asn1_cms.ContentInfo.load(encoded, strict=True)
    assert info["content_type"].native == "enveloped_data"
    assert info.dump(force=True) == encoded
    body = info["content"]
    assert body["version"].native == "v0"
    assert body["encrypted_content_info"]["content_type"].native == "data"
    assert body["encrypted_content_info"]["content_encryption_algorithm"]["algorithm"].native == "aes256_cbc"
    [recipient] = body["recipient_infos"]
    transport = recipient.chosen
    assert (recipient.name, transport["version"].native) == ("ktri", "v0")
    assert transport["rid"].name == "issuer_and_serial_number"
    assert transport["rid"].dump() == identifier(recipients.rsa, by_key=False)
    method = transport["key_encryption_algorithm"]
    assert method["algorithm"].native == "rsaes_oaep"
    parameters = method["parameters"].native
    assert parameters["hash_algorithm"]["algorithm"] == "sha256"
    assert parameters["mask_gen_algorithm"] == {
        "algorithm": "mgf1", "parameters": {"algorithm": "sha256", "parameters": None},
    }  # fmt: skip
    both = encrypt(CONTENT, [recipients.rsa.der, recipients.p256.der], NOW)
    body = asn1_cms.ContentInfo.load(both, strict=True)["content"]
    assert body["version"].native == "v2"
    encodings = [item.dump() for item in body["recipient_infos"]]
    assert encodings == sorted(encodings)
    [agreement] = [item.chosen for item in body["recipient_infos"] if item.name == "kari"]
    assert agreement["version"].native == "v3"
    assert agreement["key_encryption_algorithm"]["algorithm"].dotted == "1.3.132.1.11.1"


def test_key_and_vector_are_new_each_time(recipients: Recipients) -> None:
    first, second = (parse_envelope(encrypt(CONTENT, [recipients.rsa.der], NOW)) for _ in range(2))
    assert first.cipher.encoded != second.cipher.encoded


def test_the_same_certificate_twice_is_one_recipient(recipients: Recipients) -> None:
    assert len(parse_envelope(encrypt(CONTENT, [recipients.rsa.der] * 2, NOW)).recipients) == 1


@pytest.mark.parametrize("pieces", [None, 1, 1000])
@pytest.mark.parametrize("by_key", [False, True])
@pytest.mark.parametrize("size", [16, 24, 32])
@pytest.mark.parametrize("method", [None, "sha1", "sha256"])
def test_every_accepted_rsa_envelope_opens(
    recipients: Recipients, method: str | None, size: int, by_key: bool, pieces: int | None
) -> None:
    """Both identifiers, all key sizes, CBC and GCM, DER and BER."""
    key = os.urandom(size)
    info = transported(recipients.rsa, key, digest=method, by_key=by_key)
    for sealed in (cbc([info], key), gcm([info], key)):
        assert opened(sealed.dump(pieces=pieces), recipients.rsa) == CONTENT


@pytest.mark.parametrize("by_key", [False, True])
@pytest.mark.parametrize("wrap", [16, 24, 32])
@pytest.mark.parametrize("digest", ["sha1", "sha256", "sha384", "sha512"])
@pytest.mark.parametrize("kind", KINDS[1:])
def test_every_accepted_elliptic_envelope_opens(
    recipients: Recipients, kind: str, digest: str, wrap: int, by_key: bool
) -> None:
    key = os.urandom(32)
    recipient = holder(recipients, kind)
    info = agreed(recipient, key, digest=digest, wrap=wrap, by_key=by_key)
    assert opened(cbc([info], key).dump(), recipient) == CONTENT
    assert opened(gcm([info], key).dump(pieces=7), recipient) == CONTENT


def test_variants_that_are_met(recipients: Recipients) -> None:
    """Keying material, the curve named or not, NULL in the derivation, OAEP with SHA-1 as mask."""
    key = os.urandom(32)
    for options in ({"material": b"salt"}, {"derive_with_null": True}, {"named_curve": "1.2.840.10045.3.1.7"}):
        info = agreed(recipients.p256, key, **options)  # type: ignore[arg-type]
        assert opened(cbc([info], key).dump(), recipients.p256) == CONTENT
    info = transported(recipients.rsa, key, digest="sha256", mask="sha1")
    assert opened(cbc([info], key).dump(), recipients.rsa) == CONTENT
    attributes = bytes.fromhex("311a301806092a864886f70d010903310b06092a864886f70d010701")
    info = transported(recipients.rsa, key)
    assert opened(gcm([info], key, attributes=attributes).dump(), recipients.rsa) == CONTENT


def test_a_modern_delivery_is_taken_before_an_old_one(recipients: Recipients) -> None:
    """An envelope names us twice; the PKCS#1 v1.5 entry, which carries another key, is left alone."""
    key = os.urandom(32)
    old = transported(recipients.rsa, os.urandom(32), digest=None)
    assert opened(cbc([old, transported(recipients.rsa, key)], key).dump(), recipients.rsa) == CONTENT


def test_an_empty_content_and_a_large_one_in_small_pieces(recipients: Recipients) -> None:
    key = os.urandom(32)
    info = transported(recipients.rsa, key)
    assert opened(gcm([info], key, b"").dump(), recipients.rsa) == b""
    content = os.urandom(3 * BLOCK_BYTES)
    assert opened(cbc([info], key, content).dump(pieces=1000), recipients.rsa) == content


AUTHORITY = make_hierarchy("unfit").issuing


@pytest.mark.parametrize(
    ("made", "fault"),
    [
        (
            lambda: AUTHORITY.issue("a", key=rsa_key(), key_usage=usage(digital_signature=True)),
            RecipientFault.KEY_USAGE,
        ),
        (lambda: AUTHORITY.issue("b", key=rsa_key()), RecipientFault.KEY_USAGE),
        (lambda: AUTHORITY.issue("c", key=rsa_key(), key_usage=EC_USAGE), RecipientFault.KEY_USAGE),
        (lambda: AUTHORITY.issue("d", key_usage=RSA_USAGE), RecipientFault.KEY_USAGE),
        (lambda: AUTHORITY.issue("e", key=rsa_key(1024), key_usage=RSA_USAGE), RecipientFault.KEY_SIZE),
        (lambda: AUTHORITY.issue("f", key=ec_key(ec.SECP256K1()), key_usage=EC_USAGE), RecipientFault.KEY_KIND),
        (
            lambda: AUTHORITY.issue("g", key=rsa_key(), key_usage=RSA_USAGE, days=(-10, -1)),
            RecipientFault.NOT_IN_FORCE,
        ),
        (lambda: AUTHORITY.issue("h", key=rsa_key(), key_usage=RSA_USAGE, days=(1, 9)), RecipientFault.NOT_IN_FORCE),
    ],
)
def test_nothing_is_encrypted_for_an_unfit_certificate(
    recipients: Recipients, made: object, fault: RecipientFault
) -> None:
    unfit = made()  # type: ignore[operator]
    with pytest.raises(RecipientsUnfit) as caught:
        encrypt(CONTENT, [recipients.rsa.der, unfit.der], NOW)
    [found] = caught.value.unfit
    assert (found.index, found.fault) == (1, fault)


def test_every_unfit_certificate_is_named(recipients: Recipients) -> None:
    with pytest.raises(RecipientsUnfit) as caught:
        encrypt(CONTENT, [b"", recipients.rsa.der, b"\x30\x03\x02\x01\x01"], NOW)
    assert [(item.index, item.fault) for item in caught.value.unfit] == [
        (0, RecipientFault.UNREADABLE), (2, RecipientFault.UNREADABLE),
    ]  # fmt: skip


def test_a_public_key_that_only_looks_like_one_is_named(recipients: Recipients) -> None:
    """An even modulus is read without complaint and fails when it is computed with."""
    modulus = recipients.rsa.key.public_key().public_numbers().n  # type: ignore[union-attr]
    at = recipients.rsa.der.index(modulus.to_bytes(256, "big"))
    even = bytearray(recipients.rsa.der)
    even[at + 255] &= 0xFE
    with pytest.raises(RecipientsUnfit) as caught:
        encrypt(CONTENT, [recipients.p256.der, bytes(even)], NOW)
    [found] = caught.value.unfit
    assert (found.index, found.fault) == (1, RecipientFault.KEY_KIND)


@settings(max_examples=300, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(kind=st.sampled_from(KINDS), changes=st.lists(st.tuples(st.floats(0, 1), st.integers(0, 255)), min_size=1))
def test_changed_certificates_are_unfit_or_encrypted_for(
    recipients: Recipients, kind: str, changes: list[tuple[float, int]]
) -> None:
    encoded = bytearray(holder(recipients, kind).der)
    for place, octet in changes:
        encoded[int(place * (len(encoded) - 1))] = octet
    with suppress(RecipientsUnfit):
        parse_envelope(encrypt(CONTENT, [bytes(encoded)], NOW))


def test_data_encipherment_is_enough_for_rsa() -> None:
    fit = AUTHORITY.issue("data", key=rsa_key(), key_usage=usage(data_encipherment=True))
    assert opened(encrypt(CONTENT, [fit.der], NOW), fit) == CONTENT
    edge = load_certificate(fit.der).not_after
    encrypt(CONTENT, [fit.der], edge)
    with pytest.raises(RecipientsUnfit):
        encrypt(CONTENT, [fit.der], edge + timedelta(seconds=1))


def test_facts_without_a_key(recipients: Recipients) -> None:
    encoded = encrypt(CONTENT, [recipients.rsa.der, recipients.p384.der], NOW)
    facts = envelope_facts(parse_envelope(encoded), "00")
    assert (facts.authenticated, facts.content_type) == (False, "1.2.840.113549.1.7.1")
    assert (facts.cipher.name, facts.cipher.bits, facts.cipher.strength) == ("aes256-cbc", 256, CipherStrength.STRONG)
    assert facts.cipher.accepted
    assert facts.encrypted_bytes == len(CONTENT) // 16 * 16 + 16
    by_kind = {item.kind: item for item in facts.recipients}
    transport, agreement = by_kind[RecipientKind.KEY_TRANSPORT], by_kind[RecipientKind.KEY_AGREEMENT]
    assert transport.algorithm == "rsaes-oaep-sha256-mgf1-sha256"
    assert agreement.algorithm == "ecdh-sha256kdf-aes256-wrap"
    assert transport.serial_number == f"{recipients.rsa.certificate.serial_number:x}"
    assert transport.issuer == "Test encryption CA"
    assert transport.accepted
    assert agreement.accepted
    key = os.urandom(16)
    named = envelope_facts(
        parse_envelope(gcm([transported(recipients.rsa, key, by_key=True, digest=None)], key).dump()), "00"
    )
    assert (named.authenticated, named.cipher.name) == (True, "aes128-gcm")
    [recipient] = named.recipients
    assert recipient.key_identifier == load_certificate(recipients.rsa.der).key_identifier.hex()  # type: ignore[union-attr]
    assert (recipient.issuer, recipient.algorithm) == (None, "rsaes-pkcs1-v1.5")

"""What is not read and not opened, and that nobody learns more than that.

CBC is unauthenticated: whoever changes an EnvelopedData gets other plaintext through, so the tests below ask of
CBC only "an error, or bytes that differ", and leave it to the inner package's digests and seal to tell. Of GCM they
ask that nothing but the right content ever comes out.
"""

from __future__ import annotations

import os
from dataclasses import replace

import pytest
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from services.signer import der
from services.signer.envelopes.facts import envelope_facts
from services.signer.envelopes.opening import KeyRefused, choose_delivery, open_content
from services.signer.envelopes.reading import parse_envelope
from services.signer.envelopes.refusals import EnvelopeRefused
from services.signer.limits import DEFAULT_LIMITS
from shared.contracts.envelopes import EnvelopeRefusal, RecipientKind
from shared.errors import DomainError, ErrorCode
from tests.support.pki import ec_key
from tests.unit.signer.enveloping import (
    CBC,
    CONTENT,
    GCM,
    KDFS,
    Key,
    Recipients,
    Sealed,
    agreed,
    algorithm,
    build_recipients,
    cbc,
    gcm,
    indefinite,
    key_of,
    octets,
    opened,
    transported,
)
from tests.unit.signer.signing import sign

KEY = bytes(range(32))
_BUILT = build_recipients()


@pytest.fixture(scope="module")
def recipients() -> Recipients:
    return _BUILT


def reason(encoded: bytes, recipients: Recipients) -> EnvelopeRefusal:
    with pytest.raises(EnvelopeRefused) as caught:
        opened(encoded, recipients.rsa, recipients.p256)
    return caught.value.reason


def test_files_that_are_no_envelope(recipients: Recipients) -> None:
    """The public samples hold the plain inner package where the envelope belongs (eyp.md section 5)."""
    signed = sign(recipients.rsa, CONTENT)
    for other in (b"", b"PK\x03\x04", b"MIIC", b"\x30", b"\x30\x00", b"\x04\x02ab", b"\x30\x80\0\0", signed):
        found = reason(other, recipients)
        assert found in {EnvelopeRefusal.NOT_AN_ENVELOPE, EnvelopeRefusal.MALFORMED}
        assert found is EnvelopeRefusal.NOT_AN_ENVELOPE or other == b"\x30"


@pytest.mark.parametrize(
    "oid",
    [
        *("1.2.840.113549.3.7", "1.2.840.113549.3.2", "1.3.14.3.2.7", "1.3.14.3.2.6", "1.2.840.113549.3.4"),
        *("2.16.840.1.101.3.4.1.1", "2.16.840.1.101.3.4.1.21", "2.16.840.1.101.3.4.1.41", "2.16.840.1.101.3.4.1.47"),
        *("1.2.392.200011.61.1.1.1.4", "1.2.3.4", GCM[32]),
    ],
)
def test_every_other_cipher_is_refused(recipients: Recipients, oid: str) -> None:
    """3DES, RC2, DES, RC4, every ECB, CCM, unknown ones, and GCM that hides in EnvelopedData."""
    sealed = replace(cbc([transported(recipients.rsa, KEY)], KEY), cipher=algorithm(oid, octets(bytes(16))))
    assert reason(sealed.dump(), recipients) is EnvelopeRefusal.ALGORITHM_REFUSED
    facts = envelope_facts(parse_envelope(sealed.dump()), "00")
    assert (facts.cipher.oid, facts.cipher.accepted) == (oid, False)
    passed_off = replace(gcm([transported(recipients.rsa, KEY)], KEY), cipher=algorithm(CBC[32], octets(bytes(16))))
    assert reason(passed_off.dump(), recipients) is EnvelopeRefusal.ALGORITHM_REFUSED


def test_refused_deliveries(recipients: Recipients) -> None:
    """OAEP with other digests or a label, other transports, agreements and wraps."""
    null = der.encode(der.NULL)
    digest = algorithm("2.16.840.1.101.3.4.2.3", null)
    label = algorithm("1.2.840.113549.1.1.9", octets(b"label"))
    oaep = "1.2.840.113549.1.1.7"
    transports = [
        algorithm(oaep, der.encode(der.SEQUENCE, der.encode(der.CONTEXT_0, digest))),
        algorithm(oaep, der.encode(der.SEQUENCE, der.encode(der.CONTEXT_2, label))),
        algorithm(oaep, der.encode(der.SEQUENCE, der.encode(der.CONTEXT_1, algorithm("1.2.3", digest)))),
        algorithm("1.2.840.113549.1.9.16.3.14", null),
    ]
    agreements = [
        algorithm("1.3.132.1.11.0", algorithm("2.16.840.1.101.3.4.1.45")),
        algorithm("1.3.132.1.14.1", algorithm("2.16.840.1.101.3.4.1.45")),
        algorithm(KDFS["sha256"], algorithm("1.2.840.113549.1.9.16.3.6", null)),
        algorithm(KDFS["sha256"]),
    ]
    infos = [transported(recipients.rsa, KEY, method=method) for method in transports]
    infos += [agreed(recipients.p256, KEY, method=method) for method in agreements]
    for info in infos:
        encoded = cbc([info], KEY).dump()
        assert reason(encoded, recipients) is EnvelopeRefusal.ALGORITHM_REFUSED
        assert not envelope_facts(parse_envelope(encoded), "00").recipients[0].accepted


def test_a_refused_delivery_does_not_spoil_another(recipients: Recipients) -> None:
    odd = transported(recipients.rsa, KEY, method=algorithm("1.2.3.4"))
    assert opened(cbc([odd, transported(recipients.rsa, KEY)], KEY).dump(), recipients.rsa) == CONTENT


def test_an_envelope_for_others(recipients: Recipients) -> None:
    for info in (transported(recipients.other_rsa, KEY), agreed(recipients.p384, KEY)):
        assert reason(cbc([info], KEY).dump(), recipients) is EnvelopeRefusal.NOT_A_RECIPIENT
    shared_key = der.encode(0xA2, der.encode_integer(4))
    encoded = cbc([shared_key], KEY).dump()
    assert reason(encoded, recipients) is EnvelopeRefusal.NOT_A_RECIPIENT
    assert envelope_facts(parse_envelope(encoded), "00").recipients[0].kind is RecipientKind.OTHER


@pytest.mark.parametrize("authenticated", [False, True])
@pytest.mark.parametrize("wrong", ["oaep", "size", "agreement", "wrapped", "point"])
def test_whatever_is_wrong_with_the_key_is_one_failure(recipients: Recipients, wrong: str, authenticated: bool) -> None:
    info = {
        "oaep": lambda: transported(recipients.rsa, KEY, encrypted=os.urandom(256)),
        "size": lambda: transported(recipients.rsa, KEY[:16]),
        "agreement": lambda: agreed(recipients.p256, KEY, point=_other_point()),
        "wrapped": lambda: agreed(recipients.p256, KEY[:24]),
        "point": lambda: agreed(recipients.p256, KEY, point=b"\4" + bytes(64)),
    }[wrong]()
    sealed = (gcm if authenticated else cbc)([info], KEY)
    with pytest.raises(EnvelopeRefused) as caught:
        opened(sealed.dump(), recipients.rsa, recipients.p256)
    assert caught.value.reason is EnvelopeRefusal.CANNOT_BE_OPENED
    assert caught.value.detail == "the envelope cannot be opened with this key"


def _other_point() -> bytes:
    return ec_key().public_key().public_bytes(Encoding.X962, PublicFormat.UncompressedPoint)


class CountingPort:
    """A key that refuses, or gives a content key of its own, and counts."""

    def __init__(self, answer: bytes | None) -> None:
        self.curve = None
        self.asked = 0
        self._answer = answer

    def unwrap(self, scheme: object, encrypted: bytes) -> bytes:
        self.asked += 1
        if self._answer is None:
            raise KeyRefused
        return self._answer

    def agree(self, point: bytes) -> bytes:
        raise AssertionError


@pytest.mark.parametrize("answer", [None, b"", b"short", bytes(33), bytes(32)])
def test_a_bad_pkcs1_padding_is_not_told(recipients: Recipients, answer: bytes | None) -> None:
    """Refused by the key, of the wrong size, or simply another key: the same failure, once the content was tried.

    The content has many blocks and ends in a fixed way, so that the chance of a padding that happens to
    fit (1 in 256 for CBC) is taken out by the authenticated cipher.
    """
    key = Key(key_of(recipients.rsa).certificate, CountingPort(answer))
    encoded = gcm([transported(recipients.rsa, KEY, digest=None)], KEY).dump()
    envelope = parse_envelope(encoded)
    found, delivery = choose_delivery(envelope, [key])
    with pytest.raises(EnvelopeRefused) as caught:
        open_content(envelope, encoded, delivery, found.port)
    assert caught.value.reason is EnvelopeRefusal.CANNOT_BE_OPENED
    assert caught.value.__cause__ is None
    assert found.port.asked == 1


def test_a_key_that_is_away_is_no_verdict_on_the_envelope(recipients: Recipients) -> None:
    class Away(CountingPort):
        def unwrap(self, scheme: object, encrypted: bytes) -> bytes:
            raise DomainError(ErrorCode.SIGNING_KEY_UNAVAILABLE, "no answer from the module")

    key = Key(key_of(recipients.rsa).certificate, Away(None))
    encoded = cbc([transported(recipients.rsa, KEY, digest=None)], KEY).dump()
    envelope = parse_envelope(encoded)
    found, delivery = choose_delivery(envelope, [key])
    with pytest.raises(DomainError) as caught:
        open_content(envelope, encoded, delivery, found.port)
    assert caught.value.code is ErrorCode.SIGNING_KEY_UNAVAILABLE


def test_pkcs1_and_cbc_give_no_oracle(recipients: Recipients) -> None:
    """Paddings, good and bad, over the real key: an error, or by chance bytes, but never another failure."""
    outcomes = set()
    for _ in range(60):
        info = transported(recipients.rsa, KEY, digest=None, encrypted=os.urandom(256))
        try:
            assert opened(cbc([info], KEY).dump(), recipients.rsa) != CONTENT
        except EnvelopeRefused as error:
            outcomes.add((error.reason, error.detail))
    # A number above the modulus is no ciphertext at all; it too ends this way.
    assert outcomes == {(EnvelopeRefusal.CANNOT_BE_OPENED, "the envelope cannot be opened with this key")}


def test_the_private_key_is_used_once_however_often_it_is_named(recipients: Recipients) -> None:
    key = Key(key_of(recipients.rsa).certificate, CountingPort(None))
    encoded = cbc([transported(recipients.rsa, KEY)] * 50, KEY).dump()
    envelope = parse_envelope(encoded)
    found, delivery = choose_delivery(envelope, [key])
    with pytest.raises(EnvelopeRefused):
        open_content(envelope, encoded, delivery, found.port)
    assert found.port.asked == 1


def test_changed_content_of_gcm_gives_nothing(recipients: Recipients) -> None:
    attributes = bytes.fromhex("311a301806092a864886f70d010903310b06092a864886f70d010701")
    sealed = gcm([transported(recipients.rsa, KEY)], KEY, attributes=attributes)
    flipped = bytes((sealed.encrypted[0] ^ 1,)) + sealed.encrypted[1:]
    other = attributes[:-1] + b"\2"
    for changed in (
        replace(sealed, encrypted=flipped),
        replace(sealed, mac=bytes(16)),
        replace(sealed, authenticated_attributes=other),
        replace(sealed, authenticated_attributes=None),
        replace(sealed, encrypted=sealed.encrypted[:-1]),
    ):
        assert reason(changed.dump(), recipients) is EnvelopeRefusal.CANNOT_BE_OPENED


def test_malformed_envelopes(recipients: Recipients) -> None:
    info = transported(recipients.rsa, KEY)
    sealed, authenticated = cbc([info], KEY), gcm([info], KEY)
    for changed in (
        replace(sealed, encrypted=b""),
        replace(sealed, encrypted=sealed.encrypted[:-1]),
        replace(sealed, recipients=[]),
        replace(sealed, recipients=[der.encode(der.SEQUENCE)]),
        replace(sealed, recipients=[der.encode(der.CONTEXT_1)]),
        replace(sealed, extra=[octets(b"x")]),
        replace(sealed, cipher=algorithm(CBC[32])),
        replace(sealed, cipher=algorithm(CBC[32], octets(bytes(8)))),
        replace(sealed, cipher=der.encode(der.SEQUENCE)),
        replace(authenticated, mac=b"x"),
        replace(authenticated, mac=b""),
        replace(authenticated, cipher=algorithm(GCM[32], octets(bytes(12)))),
        replace(authenticated, cipher=algorithm(GCM[32], der.encode(der.SEQUENCE, octets(bytes(2))))),
        replace(authenticated, mac=None, outer_type="1.2.840.113549.1.9.16.1.23"),
    ):
        assert reason(changed.dump(), recipients) is EnvelopeRefusal.MALFORMED, changed
    for cut in (10, 100, -1):
        assert reason(sealed.dump()[:cut], recipients) is EnvelopeRefusal.MALFORMED
    assert reason(sealed.dump() + b"\0", recipients) is EnvelopeRefusal.MALFORMED


def test_unprotected_attributes_and_originator_are_passed_over(recipients: Recipients) -> None:
    sealed = cbc([transported(recipients.rsa, KEY)], KEY)
    assert opened(replace(sealed, extra=[der.encode(der.CONTEXT_1)]).dump(), recipients.rsa) == CONTENT


def test_limits(recipients: Recipients) -> None:
    """Too many recipients, pieces, levels or bytes around the content: refused, not computed."""
    info = transported(recipients.rsa, KEY)
    sealed = cbc([info], KEY)
    large = octets(bytes(DEFAULT_LIMITS.envelope_frame_bytes))
    nested = b"x"
    for _ in range(3000):
        nested = indefinite(0x24, nested) if len(nested) > 2 else octets(nested)
    for encoded in (
        replace(sealed, recipients=[info] * (DEFAULT_LIMITS.recipients + 1)).dump(),
        replace(sealed, recipients=[info, der.encode(0xA4, large)]).dump(),
        replace(sealed, recipients=[nested]).dump(),
        replace(sealed, encrypted=bytes(16 * 20_000)).dump(pieces=1),
        b"\x30\x80" * 5000,
    ):
        assert reason(encoded, recipients) is EnvelopeRefusal.MALFORMED
    small = replace(DEFAULT_LIMITS, asn1_bytes=100)
    with pytest.raises(EnvelopeRefused):
        parse_envelope(sealed.dump(), small)


def test_a_piece_of_another_kind_inside_the_content(recipients: Recipients) -> None:
    sealed = cbc([transported(recipients.rsa, KEY)], KEY)
    encoded = sealed.dump(pieces=16)
    changed = encoded.replace(b"\x04\x10" + sealed.encrypted[:16], b"\x0c\x10" + sealed.encrypted[:16])
    assert changed != encoded
    assert reason(changed, recipients) is EnvelopeRefusal.MALFORMED


def _samples() -> dict[str, Sealed]:
    rsa, p256 = _BUILT.rsa, _BUILT.p256
    return {
        "cbc": cbc([transported(rsa, KEY), agreed(p256, KEY)], KEY, CONTENT[:100]),
        "cbc-old": cbc([transported(rsa, KEY, digest=None, by_key=True)], KEY, CONTENT[:100]),
        "gcm": gcm([transported(rsa, KEY), agreed(p256, KEY, material=b"u")], KEY, CONTENT[:100]),
        "gcm-old": gcm([transported(rsa, KEY, digest=None)], KEY, CONTENT[:100]),
    }


SAMPLES = _samples()


@st.composite
def mutated(draw: st.DrawFn) -> tuple[str, bytes]:
    """One sample, DER or BER, with a few bytes flipped, dropped, doubled or put in."""
    name = draw(st.sampled_from(sorted(SAMPLES)))
    encoded = bytearray(SAMPLES[name].dump(pieces=draw(st.sampled_from([None, 5, 64]))))
    for _ in range(draw(st.integers(1, 4))):
        at = draw(st.integers(0, len(encoded) - 1))
        kind = draw(st.sampled_from(["flip", "set", "drop", "double", "insert", "cut"]))
        if kind == "flip":
            encoded[at] ^= 1 << draw(st.integers(0, 7))
        elif kind == "set":
            encoded[at] = draw(st.sampled_from([0x00, 0x30, 0x31, 0x80, 0xA0, 0xA1, 0x04, 0x24, 0xFF, 0x84]))
        elif kind == "drop":
            del encoded[at : at + draw(st.integers(1, 30))]
        elif kind == "double":
            encoded[at:at] = encoded[at : at + draw(st.integers(1, 30))]
        elif kind == "insert":
            encoded[at:at] = draw(st.binary(min_size=1, max_size=8))
        elif at > 1:
            del encoded[at:]
        if not encoded:
            encoded += b"\x30"
    return name, bytes(encoded)


@settings(max_examples=600, suppress_health_check=list(HealthCheck), deadline=None)
@given(case=mutated())
def test_mutations_end_in_a_refusal_or_in_nothing_wrong(case: tuple[str, bytes]) -> None:
    """No other exception; of GCM only the right content; of CBC at most bytes nobody takes for the letter.

    A change that does not matter (an originator's certificate, a version) may leave the content as it was.
    """
    name, encoded = case
    try:
        found = opened(encoded, _BUILT.rsa, _BUILT.p256)
    except EnvelopeRefused:
        return
    if name.startswith("gcm") and parse_envelope(encoded).authenticated:
        assert found == CONTENT[:100]


@settings(max_examples=300, suppress_health_check=list(HealthCheck), deadline=None)
@given(encoded=st.one_of(st.binary(max_size=60), mutated().map(lambda case: case[1])))
@example(b"\x30\x80\x06\x09*\x86H\x86\xf7\r\x01\x07\x03\xa0\x80\0\0\0\0")
def test_facts_of_anything_are_facts_or_a_refusal(encoded: bytes) -> None:
    try:
        facts = envelope_facts(parse_envelope(encoded), "00")
    except EnvelopeRefused:
        return
    assert facts.recipients
    assert facts.model_dump_json()

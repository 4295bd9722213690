"""Hostile bytes: bounded, and never an exception."""

from __future__ import annotations

import hashlib
import random
from collections.abc import Callable

import pytest
from asn1crypto import cms
from hypothesis import given, settings
from hypothesis import strategies as st

from services.signer import der
from services.signer.findings import CheckFailed
from services.signer.limits import Limits, definite, walk
from services.signer.pipeline import read_facts, sniff
from shared.contracts.signatures import Profile, SignatureFormat
from shared.domain.verdict import Conclusion, SubIndication
from tests.support.pki import Pki
from tests.unit.signer.conftest import Judge
from tests.unit.signer.signing import sign, signed_data, signer_info

CONTENT = b"a letter " * 40


def indefinite(tag: int, *contents: bytes) -> bytes:
    return bytes((tag, 0x80)) + b"".join(contents) + b"\0\0"


def in_indefinite_form(encoded: bytes, chunk: int) -> bytes:
    """A definite CMS with attached content, as a streaming signer would have written it."""
    info = der.children(der.read_whole(encoded))
    fields = der.children(der.children(info[1])[0])
    content_type, wrapped = der.children(fields[2])
    content = der.octets(der.children(wrapped)[0])
    pieces = [der.encode(der.OCTET_STRING, content[at : at + chunk]) for at in range(0, len(content), chunk)]
    streamed = indefinite(0x30, content_type.encoded, indefinite(0xA0, indefinite(0x24, *pieces)))
    parts = [field.encoded for field in fields]
    parts[2] = streamed
    return indefinite(0x30, info[0].encoded, indefinite(0xA0, indefinite(0x30, *parts)))


@pytest.mark.timeout(60)
def test_indefinite_lengths_in_small_chunks(pki: Pki, judge: Judge) -> None:
    content = random.Random(1).randbytes(2_000_000)
    streamed = in_indefinite_form(sign(pki.signer, content), 1000)
    report = judge(streamed, content)
    assert report.conclusion is Conclusion.PASSED


def test_definite_bytes_are_left_alone(pki: Pki) -> None:
    encoded = sign(pki.signer, CONTENT)
    assert definite(encoded) is encoded
    assert definite(in_indefinite_form(encoded, 10**6)) != encoded


def test_the_quick_look_at_definite_bytes_refuses_what_the_whole_one_does(pki: Pki) -> None:
    limits = Limits(asn1_elements=160, asn1_depth=12)

    def outcome(look: Callable[[bytes, Limits], object], data: bytes) -> str:
        try:
            look(data, limits)
        except CheckFailed as failure:
            return failure.text.en
        return "good"

    chooser = random.Random(20261128)
    signed = sign(pki.signer, CONTENT)
    seen = set()
    for encoded in (signed, in_indefinite_form(signed, 100), der.encode(der.SEQUENCE), b"\x02\x01\x05", b""):
        for _ in range(400):
            changed = bytearray(encoded)
            for _ in range(chooser.randrange(3)):
                if changed:
                    changed[chooser.randrange(len(changed))] = chooser.choice((0, 0x30, 0x80, 0x84, 0xFF, 0xBF, 1))
            data = bytes(changed[: chooser.choice((None, len(changed) - 1))]) + chooser.choice((b"", b"", b"\0"))
            assert outcome(definite, data) == outcome(walk, data)
            seen.add(outcome(walk, data))
    assert len(seen) >= 6, seen


def test_900_nested_sequences() -> None:
    nested = b""
    for _ in range(900):
        nested = der.encode(der.SEQUENCE, nested)
    with pytest.raises(CheckFailed) as caught:
        definite(nested)
    assert caught.value.sub_indication is SubIndication.FORMAT_FAILURE


def test_too_many_values_and_bytes() -> None:
    many = der.encode(der.SEQUENCE, b"\x05\x00" * 300)
    with pytest.raises(CheckFailed):
        definite(many, Limits(asn1_elements=200))
    with pytest.raises(CheckFailed):
        definite(many, Limits(asn1_bytes=100))


@pytest.mark.parametrize(
    "bad",
    [
        b"",
        b"\x30",
        b"\x30\x05\x00",
        b"\x30\x80",
        b"\x30\x80\x00",
        b"\x04\x80\x00\x00",
        b"\x30\x02\x00\x00",
        b"\x30\x00\x00",
        b"\x30\x89\x01\x01\x01\x01\x01\x01\x01\x01\x01",
        b"\x1f\xff\xff\xff\xff\xff\xff\x01\x00",
        b"\x30\x03\x30\x80\x00",
        b"\x30\x04\x30\x05\x05\x00",
    ],
)
def test_malformed(bad: bytes) -> None:
    with pytest.raises(CheckFailed):
        definite(bad)


def test_5000_signers(pki: Pki, judge: Judge) -> None:
    one = signer_info(pki.signer, CONTENT).dump()
    whole = signed_data([signer_info(pki.signer, CONTENT)], list(pki.signer.chain_der), CONTENT)
    info = der.children(der.read_whole(whole))
    fields = [field.encoded for field in der.children(der.children(info[1])[0])]
    fields[-1] = der.encode(der.SET, one * 5000)
    encoded = der.encode(der.SEQUENCE, info[0].encoded, der.encode(0xA0, der.encode(der.SEQUENCE, *fields)))
    report = judge(encoded)
    assert len(report.signatures) == 1, "one verdict for all: not one of them was looked at"
    assert (report.conclusion, report.sub_indication) == (Conclusion.FAILED, SubIndication.FORMAT_FAILURE)


def test_too_many_certificates(pki: Pki) -> None:
    encoded = signed_data([signer_info(pki.signer, CONTENT)], [pki.signer.der] * 201, CONTENT)
    [signer] = read_facts(encoded, None).signers
    assert signer.findings[0].sub_indication is SubIndication.FORMAT_FAILURE


def test_unreadable_neighbour_certificate_spoils_nothing(pki: Pki, judge: Judge) -> None:
    encoded = sign(pki.signer, CONTENT)
    whole = cms.ContentInfo.load(encoded)
    good = [item.chosen.dump() for item in whole["content"]["certificates"]]
    broken = der.encode(der.SEQUENCE, b"\x05\x00")
    info = der.children(der.read_whole(encoded))
    fields = der.children(der.children(info[1])[0])
    parts = [field.encoded for field in fields]
    parts[3] = der.encode(0xA0, broken, *good)
    rebuilt = der.encode(der.SEQUENCE, info[0].encoded, der.encode(0xA0, der.encode(der.SEQUENCE, *parts)))
    assert judge(rebuilt).conclusion is Conclusion.PASSED


def test_bit_flips_never_raise_and_never_pass_other_content(pki: Pki, judge: Judge) -> None:
    encoded = sign(pki.sealer, CONTENT, digest="sha384")
    chooser = random.Random(20261120)
    for _ in range(600):
        position = chooser.randrange(len(encoded))
        flipped = bytearray(encoded)
        flipped[position] ^= 1 << chooser.randrange(8)
        report = judge(bytes(flipped), CONTENT, profile=Profile.INSTITUTION_SEAL)
        if report.conclusion is Conclusion.PASSED:
            # What is not signed (version numbers, the digestAlgorithms hint) may change.
            signer = report.signatures[0].signer
            assert signer is not None
            assert signer.certificate_sha256 == hashlib.sha256(pki.sealer.der).hexdigest()
            assert report.signed_content_sha256 == hashlib.sha256(CONTENT).hexdigest()


def test_every_flipped_bit_of_the_content_fails(pki: Pki, judge: Judge) -> None:
    encoded = sign(pki.sealer, CONTENT, digest="sha384")
    start = encoded.index(CONTENT)
    for position in range(start, start + len(CONTENT), 7):
        flipped = bytearray(encoded)
        flipped[position] ^= 0x10
        assert judge(bytes(flipped), profile=Profile.INTEGRITY_ONLY).conclusion is Conclusion.FAILED


def test_truncation_never_raises(pki: Pki, judge: Judge) -> None:
    encoded = sign(pki.sealer, CONTENT, digest="sha384")
    for size in range(0, len(encoded), 37):
        assert judge(encoded[:size], format="cades").conclusion is Conclusion.FAILED


@settings(max_examples=150, deadline=None)
@given(st.binary(max_size=400))
def test_arbitrary_bytes_never_raise(data: bytes) -> None:
    for signature_format in SignatureFormat:
        facts = read_facts(data, None, signature_format)
        assert not any(signer.integrity for signer in facts.signers)


def test_sniff() -> None:
    assert sniff(b"\x30\x80") is SignatureFormat.CADES
    assert sniff(b"\xef\xbb\xbf<?xml") is SignatureFormat.XADES
    assert sniff(b"MIME-Version: 1.0\r\n") is SignatureFormat.SMIME
    assert sniff(b"PK\x03\x04") is None

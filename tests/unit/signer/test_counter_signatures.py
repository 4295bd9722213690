"""Signatures over signatures: each its own verdict, about a value and not about the document."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from services.signer import der
from shared.contracts.signatures import Profile, SignatureReport
from shared.domain.verdict import Conclusion, StepResult, SubIndication
from tests.support.pki import NES_USAGE, Holder, Pki, make_hierarchy
from tests.unit.signer import levels
from tests.unit.signer.conftest import Judge
from tests.unit.signer.levels import SIGNED_AT, File
from tests.unit.signer.signing import Attributes, sign, signer_info, timestamp

CONTENT = b"<PaketOzeti/>" * 10


def no_content_type(attributes: Attributes) -> Attributes:
    return attributes[1:]


def counter(
    holder: Holder, over: bytes, *upon: bytes, change: Callable[[Attributes], Attributes] = no_content_type
) -> bytes:
    """A counter-signature over a value, with those upon it."""
    info = [item.encoded for item in der.children(der.read_whole(signer_info(holder, over, change=change).dump()))]
    unsigned = [der.encode(der.CONTEXT_1, *upon)] if upon else []
    return levels.sequence(*info, *unsigned)


def value_of(info: bytes) -> bytes:
    return next(der.octets(item) for item in der.children(der.read_whole(info)) if item.tag == der.OCTET_STRING)


def upon(info: bytes) -> bytes:
    return levels.attribute(levels.COUNTER_SIGNATURE, info)


@pytest.fixture
def file(pki: Pki) -> File:
    return File.of(sign(pki.signer, CONTENT))


def other(pki: Pki) -> Holder:
    return pki.qualified.issuing.issue("İkinci İmzacı", key_usage=NES_USAGE, qualified=True)


def with_certificate(file: File, *holders: Holder) -> File:
    certificates = der.children(der.read_whole(file.before[3]))
    together = der.encode(der.CONTEXT_0, *(item.encoded for item in certificates), *(item.der for item in holders))
    return File((*file.before[:3], together), file.signer, file.attributes)


def names(signature: SignatureReport) -> list[str]:
    return [item.signer.name for item in signature.counter_signatures if item.signer is not None]


def test_a_counter_signature_has_its_own_verdict(pki: Pki, judge: Judge, file: File) -> None:
    second = other(pki)
    signed = with_certificate(file, second).plus(levels.COUNTER_SIGNATURE, counter(second, file.signature))
    report = judge(signed.encode())
    [signature] = report.signatures
    [above] = signature.counter_signatures
    assert (report.conclusion, above.conclusion, above.level) == (Conclusion.PASSED, Conclusion.PASSED, "CAdES-B")
    assert names(signature) == ["İkinci İmzacı"]
    assert "not the document" in next(step.text.en for step in above.steps if step.id == "signed-content")


def test_it_fails_alone_and_the_file_with_it(pki: Pki, judge: Judge, file: File) -> None:
    second = other(pki)
    wrong = with_certificate(file, second).plus(levels.COUNTER_SIGNATURE, counter(second, b"another value"))
    report = judge(wrong.encode())
    [signature] = report.signatures
    assert signature.conclusion is Conclusion.PASSED
    assert signature.counter_signatures[0].sub_indication is SubIndication.HASH_FAILURE
    assert (report.conclusion, report.sub_indication) == (Conclusion.FAILED, SubIndication.HASH_FAILURE)


def test_a_good_one_hides_no_bad_signature_below(pki: Pki, judge: Judge) -> None:
    second = other(pki)
    broken = File.of(sign(pki.signer, CONTENT, attached=False))
    signed = with_certificate(broken, second).plus(levels.COUNTER_SIGNATURE, counter(second, broken.signature))
    report = judge(signed.encode(), CONTENT + b"!")
    assert report.conclusion is Conclusion.FAILED
    assert report.signatures[0].counter_signatures[0].integrity


def test_a_stranger_upon_it_leaves_the_file_open(pki: Pki, judge: Judge, file: File) -> None:
    stranger = make_hierarchy("yabancı").issuing.issue("Yabancı", key_usage=NES_USAGE, qualified=True)
    signed = with_certificate(file, stranger).plus(levels.COUNTER_SIGNATURE, counter(stranger, file.signature))
    report = judge(signed.encode())
    assert report.signatures[0].conclusion is Conclusion.PASSED
    assert report.conclusion is Conclusion.INDETERMINATE


def test_a_content_type_is_forbidden(pki: Pki, judge: Judge, file: File) -> None:
    """Else an ordinary signature over some bytes could be passed off as one over a value (RFC 5652, 11.4)."""
    info = counter(pki.signer, file.signature, change=lambda attributes: attributes)
    report = judge(file.plus(levels.COUNTER_SIGNATURE, info).encode())
    above = report.signatures[0].counter_signatures[0]
    assert (above.integrity, above.sub_indication) == (False, SubIndication.FORMAT_FAILURE)


def test_a_tree_four_deep_and_no_deeper(pki: Pki, judge: Judge, file: File) -> None:
    def tower(depth: int) -> bytes:
        over, infos = file.signature, []
        for _ in range(depth):
            infos.append(counter(pki.signer, over))
            over = value_of(infos[-1])
        top = infos.pop()
        while infos:
            below = infos.pop()
            top = levels.sequence(der.read_whole(below).contents, der.encode(der.CONTEXT_1, upon(top)))
        return file.plus(levels.COUNTER_SIGNATURE, top).encode()

    report = judge(tower(4))
    assert report.conclusion is Conclusion.PASSED
    depth, level = 0, report.signatures
    while level:
        depth, level = depth + 1, level[0].counter_signatures
    assert depth == 5
    assert judge(tower(5)).sub_indication is SubIndication.FORMAT_FAILURE


def test_they_count_as_signers_and_are_limited(pki: Pki, judge: Judge, file: File) -> None:
    info = counter(pki.signer, file.signature)
    assert judge(file.plus(levels.COUNTER_SIGNATURE, *[info] * 31).encode()).conclusion is Conclusion.PASSED
    report = judge(file.plus(levels.COUNTER_SIGNATURE, *[info] * 32).encode())
    assert report.sub_indication is SubIndication.FORMAT_FAILURE


def test_it_may_have_a_time_stamp_of_its_own(pki: Pki, judge: Judge, file: File) -> None:
    info = counter(pki.signer, file.signature)
    stamp = levels.attribute(levels.SIGNATURE_STAMP, timestamp(pki.tsa, value_of(info), SIGNED_AT))
    stamped = levels.sequence(der.read_whole(info).contents, der.encode(der.CONTEXT_1, stamp))
    report = judge(file.plus(levels.COUNTER_SIGNATURE, stamped).encode())
    above = report.signatures[0].counter_signatures[0]
    assert (above.level_intact, above.judged_at) == ("CAdES-T", SIGNED_AT)


def test_a_seal_has_none(pki: Pki, judge: Judge) -> None:
    sealed = File.of(sign(pki.sealer, CONTENT, digest="sha384"))
    report = judge(
        sealed.plus(levels.COUNTER_SIGNATURE, counter(pki.sealer, sealed.signature)).encode(),
        profile=Profile.INSTITUTION_SEAL,
    )
    rule = next(step for step in report.signatures[0].steps if step.id == "profile-rules.single-seal")
    assert rule.result is StepResult.INDETERMINATE


def test_an_archive_time_stamp_upon_one_is_named_only(pki: Pki, judge: Judge, file: File) -> None:
    info = counter(pki.signer, file.signature)
    stamp = levels.attribute(levels.ARCHIVE_V2, timestamp(pki.tsa, value_of(info), SIGNED_AT))
    archived = levels.sequence(der.read_whole(info).contents, der.encode(der.CONTEXT_1, stamp))
    report = judge(file.plus(levels.COUNTER_SIGNATURE, archived).encode())
    [found] = report.signatures[0].counter_signatures[0].timestamps
    assert (found.intact, report.conclusion) == (False, Conclusion.PASSED)

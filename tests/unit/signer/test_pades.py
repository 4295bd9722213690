"""Signatures in PDF: made by pyHanko's own signer or by hand, of every level, one after the other."""

from __future__ import annotations

import io
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from functools import partial
from typing import Any

import pikepdf
import pytest
from asn1crypto import cms
from cryptography import x509
from cryptography.x509.oid import ExtendedKeyUsageOID
from pyhanko.pdf_utils import generic
from pyhanko.pdf_utils.incremental_writer import IncrementalPdfFileWriter

from services.signer.certificates import load_certificate
from services.signer.pipeline import load_lists, read_facts, sniff
from services.signer.trust import make_store
from shared.contracts.signatures import (
    Profile,
    SignatureFormat,
    SignatureReport,
    TimestampType,
    VerificationReport,
)
from shared.domain.verdict import Conclusion, Indication, StepResult, SubIndication
from tests.support.pki import NOW, SEAL_USAGE, Pki, rsa_key
from tests.unit.signer.conftest import Judge
from tests.unit.signer.pdf_signing import CADES, PKCS7, SIGNED_AT, Pen, byte_range, document, handmade, updated
from tests.unit.signer.signing import Attributes, sign, signed_data, signer_info, timestamp, with_timestamp

MINUTE = timedelta(minutes=1)


@pytest.fixture(scope="module")
def pen(pki: Pki) -> Pen:
    return Pen(pki)


def only(report: VerificationReport) -> SignatureReport:
    [signature] = report.signatures
    return signature


def results(signature: SignatureReport) -> dict[str, StepResult]:
    return {item.id: item.result for item in signature.steps if item.result is not StepResult.PASSED}


def changes(signature: SignatureReport) -> list[str]:
    assert signature.scope is not None
    return [item.en for item in signature.scope.later_changes]


def pen_of(pki: Pki, **options: object) -> Callable[[bytes], bytes]:
    """Signs as PAdES asks: without a signing-time attribute."""

    def without_time(items: Attributes) -> Attributes:
        return [item for item in items if item["type"].native != "signing_time"]

    return partial(sign, pki.signer, attached=False, **{"change": without_time, **options})


class TestLevels:
    @pytest.mark.parametrize(
        ("level", "revisions", "later"),
        [
            ("B", 2, []),
            ("T", 2, []),
            ("LT", 3, ["Validation data was added"]),
            ("LTA", 4, ["Document time-stamps added later: 1", "Validation data was added"]),
        ],
    )
    def test_what_pyhanko_signs_verifies(
        self, pen: Pen, judge: Judge, level: str, revisions: int, later: list[str]
    ) -> None:
        report = judge(pen.sign(document(), level=level))
        signature = only(report)
        assert (report.conclusion, report.format) == (Conclusion.PASSED, SignatureFormat.PADES)
        assert (signature.level, signature.level_intact) == (f"PAdES-{level}", f"PAdES-{level}")
        assert signature.baseline_level == f"B-{level}"
        assert results(signature) == {}
        assert signature.judged_at == (NOW if level == "B" else SIGNED_AT)
        assert signature.claimed_signing_time is not None, "/M"
        assert signature.scope is not None
        assert (signature.scope.revision, signature.scope.revisions) == (2, revisions)
        assert signature.scope.whole_document is (level in ("B", "T"))
        assert changes(signature) == later

    @pytest.mark.parametrize("level", ["LT", "LTA"])
    def test_the_store_is_enough(self, pen: Pen, judge: Judge, level: str) -> None:
        assert judge(pen.sign(document(), level="T"), crls=[]).conclusion is Conclusion.INDETERMINATE
        assert judge(pen.sign(document(), level=level), crls=[]).conclusion is Conclusion.PASSED

    def test_a_document_time_stamp_makes_b_a_t(self, pen: Pen, judge: Judge) -> None:
        report = judge(pen.stamp(pen.sign(document())))
        signature = only(report)
        assert (signature.level_intact, signature.baseline_level) == ("PAdES-T", "B-T")
        assert signature.judged_at == SIGNED_AT
        assert [(item.type, item.conclusion) for item in signature.timestamps] == [
            (TimestampType.DOCUMENT, Conclusion.PASSED)
        ]

    def test_an_archive_time_stamp_over_an_empty_store_archives_nothing(self, pki: Pki, pen: Pen, judge: Judge) -> None:
        def filled(certificates: list[bytes], lists: list[bytes]) -> Callable[[IncrementalPdfFileWriter], None]:
            def change(writer: IncrementalPdfFileWriter) -> None:
                entries = {"/Certs": certificates, "/CRLs": lists}
                writer.root["/DSS"] = writer.add_object(
                    generic.DictionaryObject(
                        {
                            key: generic.ArrayObject(
                                writer.add_object(generic.StreamObject(stream_data=item)) for item in items
                            )
                            for key, items in entries.items()
                        }
                    )
                )
                writer.update_root()

            return change

        signed = pen.sign(document(), level="T")
        full = filled(list(pki.signer.chain_der), pki.crls())
        later = only(judge(updated(pen.stamp(updated(signed, filled([], []))), full)))
        assert (later.level, later.level_intact, later.baseline_level) == ("PAdES-LT", "PAdES-LT", "B-LT")
        before = only(judge(pen.stamp(updated(signed, full))))
        assert (before.level, before.level_intact, before.baseline_level) == ("PAdES-LTA", "PAdES-LTA", "B-LTA")

    def test_plain_pkcs7_is_named_as_what_it_is(self, pki: Pki, judge: Judge) -> None:
        data = handmade(pen_of(pki, bound=False), sub_filter="adbe.pkcs7.detached")
        signature = only(judge(data, profile=Profile.INTEGRITY_ONLY))
        assert (signature.conclusion, signature.level, signature.level_intact, signature.baseline_level) == (
            Conclusion.PASSED, "PDF", "PDF", None,
        )  # fmt: skip
        assert judge(data).sub_indication is SubIndication.NO_SIGNING_CERTIFICATE_FOUND

    def test_adobes_sub_filter_is_no_baseline(self, pen: Pen, judge: Judge) -> None:
        signature = only(judge(pen.sign(document(), subfilter=PKCS7)))
        assert (signature.conclusion, signature.level, signature.baseline_level) == (
            Conclusion.PASSED, "PAdES-B", None,
        )  # fmt: skip

    def test_what_is_inside_the_hole_is_read_as_every_cms(self, pki: Pki, judge: Judge) -> None:
        make = pen_of(pki)

        def stamped(content: bytes) -> bytes:
            encoded = make(content)
            value = cms.ContentInfo.load(encoded)["content"]["signer_infos"][0]["signature"].native
            return with_timestamp(encoded, timestamp(pki.tsa, value, SIGNED_AT))

        signature = only(judge(handmade(stamped)))
        assert (signature.conclusion, signature.level_intact) == (Conclusion.PASSED, "PAdES-T")


class TestWriters:
    """Other programs write their tables otherwise; what is signed then is read as well."""

    @pytest.mark.parametrize(
        "options",
        [
            {"object_stream_mode": pikepdf.ObjectStreamMode.generate},
            {"linearize": True},
            {"linearize": True, "object_stream_mode": pikepdf.ObjectStreamMode.generate},
            {"qdf": True},
        ],
        ids=["object streams", "linearised", "both", "plain"],
    )
    @pytest.mark.parametrize("level", ["B", "LTA"])
    def test_signed_on_top_of_it(self, pen: Pen, judge: Judge, options: dict[str, Any], level: str) -> None:
        out = io.BytesIO()
        with pikepdf.open(io.BytesIO(document(form=True))) as pdf:
            pdf.save(out, **options)
        signature = only(judge(pen.sign(out.getvalue(), level=level)))
        assert (signature.conclusion, signature.level_intact) == (Conclusion.PASSED, f"PAdES-{level}")
        assert results(signature) == {}


class TestRules:
    def test_signing_time_is_not_wanted(self, pki: Pki, judge: Judge) -> None:
        signature = only(judge(handmade(partial(sign, pki.signer, attached=False))))
        assert signature.conclusion is Conclusion.PASSED
        assert (signature.level, signature.baseline_level) == ("PAdES-B", None)
        assert results(signature) == {"signed-attributes.pades": StepResult.WARNING}

    def test_nor_is_a_signature_without_m(self, pki: Pki, judge: Judge) -> None:
        signature = only(judge(handmade(pen_of(pki), entries="")))
        assert (signature.conclusion, signature.baseline_level, signature.claimed_signing_time) == (
            Conclusion.PASSED, None, None,
        )  # fmt: skip
        assert results(signature)["signed-attributes.pades"] is StepResult.WARNING

    @pytest.mark.parametrize("m", ["(D:20261119)", "(yesterday)", "7", "[1]", "(D:99999999999999Z)"])
    def test_whatever_m_says_decides_nothing(self, pki: Pki, judge: Judge, m: str) -> None:
        assert judge(handmade(pen_of(pki), entries=f"/M {m}")).conclusion is Conclusion.PASSED

    def test_several_signers_are_all_judged(self, pki: Pki, judge: Judge) -> None:
        second = pki.qualified.issuing.issue("Ali Örnek", key=rsa_key(number=1), key_usage=SEAL_USAGE, qualified=False)

        def both(content: bytes) -> bytes:
            infos = [signer_info(pki.signer, content), signer_info(second, content)]
            return signed_data(infos, [*pki.signer.chain_der, second.der], None)

        report = judge(handmade(both))
        assert [item.integrity for item in report.signatures] == [True, True]
        assert {item.conclusion for item in report.signatures} == {Conclusion.PASSED, Conclusion.INDETERMINATE}
        assert report.conclusion is Conclusion.INDETERMINATE
        assert {item.baseline_level for item in report.signatures} == {None}

    def test_sha1_does_not_count(self, pki: Pki, judge: Judge) -> None:
        report = judge(handmade(pen_of(pki, digest="sha1")))
        assert report.conclusion is Conclusion.INDETERMINATE
        assert only(report).integrity
        assert only(report).sub_indication is SubIndication.CRYPTO_CONSTRAINTS_FAILURE_NO_POE

    @pytest.mark.parametrize(
        ("name", "why"),
        [
            ("adbe.x509.rsa_sha1", SubIndication.CRYPTO_CONSTRAINTS_FAILURE),
            ("adbe.pkcs7.sha1", SubIndication.CRYPTO_CONSTRAINTS_FAILURE),
            ("ETSI.Other", SubIndication.FORMAT_FAILURE),
        ],
    )
    def test_other_kinds_are_refused_by_name(self, pki: Pki, judge: Judge, name: str, why: SubIndication) -> None:
        report = judge(handmade(pen_of(pki), sub_filter=name))
        assert report.conclusion is not Conclusion.PASSED
        assert report.sub_indication is why
        assert name in only(report).steps[0].text.en

    def test_the_cms_must_not_bring_its_own_content(self, pki: Pki, judge: Judge) -> None:
        data = handmade(lambda _content: sign(pki.signer, b"something else"))
        report = judge(data)
        assert report.conclusion is Conclusion.FAILED
        assert report.sub_indication is SubIndication.HASH_FAILURE

    def test_other_content_types_are_refused(self, pki: Pki, judge: Judge) -> None:
        report = judge(handmade(lambda content: timestamp(pki.tsa, content, SIGNED_AT)))
        assert (report.conclusion, report.sub_indication) == (Conclusion.FAILED, SubIndication.FORMAT_FAILURE)

    def test_the_profiles_ask_for_the_same_certificates(self, pki: Pki, pen: Pen, judge: Judge) -> None:
        sealed = pen.sign(document(), holder=pki.sealer, digest="sha384")
        assert judge(sealed, profile=Profile.INSTITUTION_SEAL).conclusion is Conclusion.PASSED
        assert judge(sealed).sub_indication is SubIndication.NO_CERTIFICATE_CHAIN_FOUND

    def test_a_revoked_signer_fails(self, pki: Pki, judge: Judge) -> None:
        tree = pki.qualified
        holder = tree.issuing.issue("İptal Örnek", key=rsa_key(number=1), key_usage=SEAL_USAGE, qualified=True)
        data = Pen(pki).sign(document(), holder=holder, level="T")
        fresh = pki.crls()
        try:
            tree.issuing.revoke(holder, NOW - timedelta(days=2))
            report = judge(data, crls=[*fresh, *tree.crls(NOW + MINUTE)], profile=Profile.QUALIFIED_SIGNATURE)
        finally:
            tree.issuing.revoked.clear()
        assert report.sub_indication is SubIndication.REVOKED


class TestSeveral:
    def test_one_after_the_other(self, pki: Pki, pen: Pen, judge: Judge) -> None:
        second = pki.qualified.issuing.issue("Ali Örnek", key=rsa_key(number=1), key_usage=SEAL_USAGE, qualified=True)
        data = pen.sign(pen.sign(document()), name="Imza2", holder=second, level="T")
        report = judge(data, profile=Profile.INTEGRITY_ONLY)
        first, last = report.signatures
        assert report.conclusion is Conclusion.PASSED
        assert [item.signer.name for item in report.signatures if item.signer] == ["Ayşe Örnek", "Ali Örnek"]
        assert changes(first) == ["Signatures added later: 1"]
        assert changes(last) == []
        assert [item.scope.revision for item in report.signatures if item.scope] == [2, 3]
        assert report.signed_content_sha256 is None, "each has its own"

    def test_the_first_is_not_saved_by_the_second(self, pen: Pen, judge: Judge) -> None:
        data = pen.sign(pen.sign(document()), name="Imza2")
        end = sum(byte_range(data)[2:])
        broken = bytearray(data)
        place = data.index(b"/MediaBox", 0, end) + 12
        broken[place] ^= 1
        assert [item.conclusion for item in judge(bytes(broken)).signatures] == [Conclusion.FAILED] * 2

    def test_a_document_time_stamp_is_over_all_before_it(self, pen: Pen, judge: Judge) -> None:
        early = pen.stamp(pen.sign(document()), SIGNED_AT)
        data = pen.sign(early, name="Imza2")
        first, last = judge(data).signatures
        assert [item.type for item in first.timestamps] == [TimestampType.DOCUMENT]
        assert last.timestamps == []
        assert (first.judged_at, last.judged_at) == (SIGNED_AT, NOW)


class TestTimestamps:
    def test_one_that_is_about_other_bytes_proves_nothing(self, pki: Pki, judge: Judge) -> None:
        data = Pen(pki).stamp(Pen(pki).sign(document()))
        # In the time-stamp's revision, so under it alone.
        spot = data.rindex(b"(Damga)", sum(byte_range(data)[2:])) + 1
        broken = data[:spot] + b"d" + data[spot + 1 :]
        signature = only(judge(broken))
        [stamp] = signature.timestamps
        assert (stamp.intact, stamp.conclusion) == (False, Conclusion.FAILED)
        assert (signature.level, signature.level_intact) == ("PAdES-T", "PAdES-B")
        assert signature.judged_at == NOW

    def test_a_later_one_proves_an_older_one_whose_authority_has_ended(self, pki: Pki, judge: Judge) -> None:
        """The older authority ends two days later; the document time-stamp of the day between says it was there."""
        stamping = (x509.ExtendedKeyUsage([ExtendedKeyUsageOID.TIME_STAMPING]), True)
        short = pki.timestamp.issuing.issue(
            "Kısa ömürlü damga", key_usage=SEAL_USAGE, extensions=(stamping,), days=(-30, 1)
        )
        signed = Pen(replace(pki, tsa=short)).sign(document(), level="T", stamped_at=NOW)
        archived = Pen(pki).stamp(signed, NOW + timedelta(hours=12))
        later = NOW + timedelta(days=5)
        lists = [*pki.crls(NOW), *pki.crls(later)]
        unproven = only(judge(signed, now=later, crls=lists))
        proven = only(judge(archived, now=later, crls=lists))
        assert [item.conclusion for item in proven.timestamps] == [Conclusion.PASSED, Conclusion.PASSED]
        assert proven.judged_at == NOW
        assert [item.conclusion for item in unproven.timestamps] == [Conclusion.INDETERMINATE]
        assert unproven.judged_at == later

    def test_an_authority_nobody_trusts_costs_the_time_alone(self, pki: Pki, judge: Judge) -> None:
        others = make_store({"qualified": (load_certificate(pki.qualified.root.der),)})
        signature = only(judge(Pen(pki).sign(document(), level="LTA"), anchors=others))
        assert signature.conclusion is Conclusion.PASSED
        assert signature.judged_at == NOW
        assert signature.level_intact == "PAdES-LTA", "by mathematics"

    def test_time_stamps_only_are_no_signature(self, pen: Pen, judge: Judge) -> None:
        report = judge(pen.stamp(document()))
        assert (report.conclusion, report.indication) == (Conclusion.INDETERMINATE, Indication.NO_SIGNATURE_FOUND)


class TestEntry:
    def test_it_is_known_by_its_first_bytes(self, pen: Pen, judge: Judge) -> None:
        data = pen.sign(document())
        assert sniff(data) is SignatureFormat.PADES
        assert judge(data, format=SignatureFormat.PADES).conclusion is Conclusion.PASSED
        assert judge(data, format=SignatureFormat.CADES).conclusion is Conclusion.FAILED
        assert judge(b"\x30\x00", format=SignatureFormat.PADES).conclusion is Conclusion.FAILED

    def test_content_beside_it_makes_no_sense(self, pen: Pen, judge: Judge) -> None:
        report = judge(pen.sign(document()), b"the letter")
        assert (report.conclusion, report.sub_indication) == (Conclusion.FAILED, SubIndication.HASH_FAILURE)

    def test_no_signature_is_no_verdict(self, judge: Judge) -> None:
        report = judge(document(form=True))
        assert (report.conclusion, report.indication) == (Conclusion.INDETERMINATE, Indication.NO_SIGNATURE_FOUND)

    def test_the_store_gives_lists_and_certificates(self, pki: Pki, pen: Pen) -> None:
        facts = read_facts(pen.sign(document(), level="LT", subfilter=CADES), None)
        values = facts.signers[0].unsigned.values
        assert load_certificate(pki.qualified.issuing.der) in values.certificates
        assert len(load_lists(values.revocation_lists)) >= 2

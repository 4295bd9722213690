"""XAdES above B: what the properties claim, what of it holds, and what each broken part costs."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest
from lxml import etree
from signxml import SignatureConfiguration, XMLVerifier
from signxml.algorithms import SignatureMethod

from services.signer import der
from services.signer.limits import DEFAULT_LIMITS
from services.signer.pipeline import read_facts
from shared.contracts.signatures import Profile, SignatureReport, TimestampReport, TimestampType, VerificationReport
from shared.domain.verdict import Conclusion, StepResult, SubIndication
from tests.support.pki import NES_USAGE, NOW, Holder, Pki
from tests.unit.signer import xades_writing as writing
from tests.unit.signer.conftest import Judge
from tests.unit.signer.signing import timestamp
from tests.unit.signer.test_ocsp import NO_CHECK, OCSP_SIGNING, respond, responder
from tests.unit.signer.test_usage_profiles import AFTER_GRACE, DAY, GUIDE, HOUR, P2, P3, P4, broken
from tests.unit.signer.xades_writing import EXCLUSIVE, INCLUSIVE, MINUTE, SIGNED_AT, Style, Xades


def only(report: VerificationReport) -> SignatureReport:
    [signature] = report.signatures
    return signature


def stamp_of(report: VerificationReport, kind: TimestampType) -> TimestampReport:
    return next(item for item in only(report).timestamps if item.type is kind)


def warnings(report: VerificationReport) -> list[str]:
    return [item.id for item in only(report).steps if item.result is StepResult.WARNING]


def base(pki: Pki) -> Xades:
    return writing.sign_document(pki.signer)


LEVELS = [
    pytest.param(base, "XAdES-B", "B-B", id="B"),
    pytest.param(writing.level_t, "XAdES-T", "B-T", id="T"),
    pytest.param(writing.level_c, "XAdES-C", "B-T", id="C"),
    pytest.param(lambda pki: writing.level_c(pki, later=True), "XAdES-C", "B-T", id="C V2"),
    pytest.param(writing.level_x, "XAdES-X", "B-T", id="X type 1"),
    pytest.param(lambda pki: writing.level_x(pki, "x141:SigAndRefsTimeStampV2"), "XAdES-X", "B-T", id="X type 1 V2"),
    pytest.param(lambda pki: writing.level_x(pki, "xades:RefsOnlyTimeStamp"), "XAdES-X", "B-T", id="X type 2"),
    pytest.param(lambda pki: writing.level_x(pki, "x141:RefsOnlyTimeStampV2"), "XAdES-X", "B-T", id="X type 2 V2"),
    pytest.param(writing.level_xl, "XAdES-XL", "B-T", id="XL"),
    pytest.param(writing.level_a, "XAdES-A", "B-T", id="A"),
    pytest.param(writing.baseline_lt, "XAdES-XL", "B-LT", id="B-LT"),
    pytest.param(lambda pki: writing.with_archive(writing.baseline_lt(pki), pki), "XAdES-A", "B-LTA", id="B-LTA"),
]


@pytest.mark.parametrize(("made", "level", "baseline"), LEVELS)
def test_every_level_is_found_holds_and_passes(
    pki: Pki, judge: Judge, made: Callable[[Pki], Xades], level: str, baseline: str
) -> None:
    report = judge(made(pki).encode())
    assert (report.conclusion, report.sub_indication) == (Conclusion.PASSED, None)
    assert (only(report).level, only(report).level_intact) == (level, level)
    assert only(report).baseline_level == baseline
    assert {item.conclusion for item in only(report).timestamps} <= {Conclusion.PASSED}
    assert warnings(report) == []
    assert only(report).judged_at == (NOW if level == "XAdES-B" else SIGNED_AT)


@pytest.mark.parametrize("method", [EXCLUSIVE, INCLUSIVE, None], ids=["exclusive", "inclusive", "none named"])
@pytest.mark.parametrize("named", [EXCLUSIVE, INCLUSIVE, None], ids=["exclusive", "inclusive", "none named"])
def test_canonicalisation_of_references_and_of_time_stamps(
    pki: Pki, judge: Judge, named: str | None, method: str | None
) -> None:
    file = writing.sign_document(pki.signer, style=Style(method=named))
    file = writing.with_archive(writing.with_signature_stamp(file, pki, method=method), pki, method=method)
    report = judge(file.encode())
    assert (report.conclusion, only(report).level_intact) == (Conclusion.PASSED, "XAdES-A")


@pytest.mark.parametrize("holder", ["signer", "sealer", "transaction"])
def test_signxml_reads_what_this_pen_writes(pki: Pki, holder: str) -> None:
    """The core is proven against a reader nobody here wrote."""
    plain = b'<r:Delivery xmlns:r="urn:r"><r:Code>Delivery</r:Code></r:Delivery>'
    signer: Holder = getattr(pki, holder)
    file = writing.sign_document(signer, plain)
    settings = SignatureConfiguration(
        location=".//", expect_references=True, signature_methods=frozenset(SignatureMethod), verification_time=NOW
    )
    results = XMLVerifier().verify(file.encode(), x509_cert=signer.certificate, expect_config=settings)
    assert results[0].signed_data == plain


def test_the_report_is_about_the_canonical_octets(pki: Pki) -> None:
    facts = read_facts(base(pki).encode(), None)
    assert facts.attached_content == (
        b'<?style none?>\n<r:Delivery xmlns:r="http://uri.etsi.org/02640/v2#" xml:lang="tr">'
        b"<r:Code>Delivery</r:Code> <r:Identifier>e-1</r:Identifier></r:Delivery>"
    )


def test_a_processing_instruction_beside_the_root_is_signed(pki: Pki, judge: Judge) -> None:
    file = base(pki).encode()
    assert b"<?style none?>" in file
    report = judge(file.replace(b"<?style none?>", b"<?style evil?>"))
    assert report.sub_indication is SubIndication.HASH_FAILURE
    by_identifier = writing.sign_document(
        pki.signer, writing.DOCUMENT.replace(b"xml:lang", b'Id="top" xml:lang'), Style(uri="#top")
    ).encode()
    assert judge(by_identifier.replace(b"<?style none?>", b"<?style evil?>")).conclusion is Conclusion.PASSED


class TestTimeStamps:
    @pytest.mark.parametrize(
        ("made", "kind", "held"),
        [
            (lambda f, p: f.plus(writing.stamp("xades:SignatureTimeStamp", timestamp(p.tsa, b"x", SIGNED_AT))),
             TimestampType.SIGNATURE, "XAdES-B"),
            (lambda f, p: writing.with_references(writing.with_signature_stamp(f, p), p, p.qualified.crls()).plus(
                writing.stamp("xades:SigAndRefsTimeStamp", timestamp(p.tsa, b"x", SIGNED_AT))),
             TimestampType.VALIDATION_DATA, "XAdES-C"),
            (lambda f, p: writing.with_references(writing.with_signature_stamp(f, p), p, p.qualified.crls()).plus(
                writing.stamp("xades:RefsOnlyTimeStamp", timestamp(p.tsa, b"x", SIGNED_AT))),
             TimestampType.REFERENCES, "XAdES-C"),
            (lambda f, p: writing.with_archive(writing.with_signature_stamp(f, p), p, under=b"x"),
             TimestampType.XADES_ARCHIVE, "XAdES-T"),
        ],
        ids=["signature", "type 1", "type 2", "archive"],
    )  # fmt: skip
    def test_about_other_bytes(
        self, pki: Pki, judge: Judge, made: Callable[[Xades, Pki], Xades], kind: TimestampType, held: str
    ) -> None:
        report = judge(made(base(pki), pki).encode())
        assert (stamp_of(report, kind).intact, stamp_of(report, kind).conclusion) == (False, Conclusion.FAILED)
        assert only(report).level_intact == held
        assert "time.time-stamp" in warnings(report)

    def test_a_property_put_before_an_archive_time_stamp_afterwards(self, pki: Pki, judge: Judge) -> None:
        file = writing.level_a(pki)
        last = file.unsigned[-1]
        last.addprevious(writing.parsed(writing.certificate_refs([pki.seal.root.der], later=True)))
        report = judge(file.encode(), profile=Profile.INTEGRITY_ONLY)
        assert not stamp_of(report, TimestampType.XADES_ARCHIVE).intact

    def test_a_property_after_it_changes_nothing(self, pki: Pki, judge: Judge) -> None:
        again = writing.with_archive(writing.level_a(pki), pki, SIGNED_AT + 2 * MINUTE)
        report = judge(again.encode())
        assert only(report).level_intact == "XAdES-A"
        assert [item.intact for item in only(report).timestamps] == [True, True, True]

    @pytest.mark.parametrize("name", ["CompleteRevocationRefs", "CompleteCertificateRefs"])
    def test_references_after_a_time_stamp_over_them(self, pki: Pki, judge: Judge, name: str) -> None:
        """Type 1 and 2 are over what stands before them."""
        file = writing.level_x(pki)
        moved = next(item for item in file.unsigned if etree.QName(item).localname == name)
        file.unsigned[-1].addnext(moved)
        report = judge(file.encode(), profile=Profile.INTEGRITY_ONLY)
        assert not stamp_of(report, TimestampType.VALIDATION_DATA).intact

    def test_several_tokens_in_one_property(self, pki: Pki, judge: Judge) -> None:
        file = base(pki)
        tokens = [timestamp(pki.tsa, file.under_value(), SIGNED_AT + number * MINUTE) for number in range(2)]
        inner = "".join(
            f"<xades:EncapsulatedTimeStamp>{writing.text64(item)}</xades:EncapsulatedTimeStamp>" for item in tokens
        )
        method = f'<ds:CanonicalizationMethod Algorithm="{EXCLUSIVE}"/>'
        report = judge(file.plus(f"<xades:SignatureTimeStamp>{method}{inner}</xades:SignatureTimeStamp>").encode())
        assert [item.time for item in only(report).timestamps] == [SIGNED_AT, SIGNED_AT + MINUTE]
        assert only(report).judged_at == SIGNED_AT

    @pytest.mark.parametrize(
        ("markup", "said"),
        [
            ("<xades:XMLTimeStamp/>", "were not evaluated"),
            ("", "without a token"),
            ("<xades:EncapsulatedTimeStamp>&amp;</xades:EncapsulatedTimeStamp>", "not base64"),
            ("<xades:EncapsulatedTimeStamp>YQ<!-- -->==</xades:EncapsulatedTimeStamp>", "something else inside"),
        ],
        ids=["XMLTimeStamp", "empty", "no base64", "comment"],
    )
    def test_forms_that_are_said_and_not_evaluated(self, pki: Pki, judge: Judge, markup: str, said: str) -> None:
        report = judge(base(pki).plus(f"<xades:SignatureTimeStamp>{markup}</xades:SignatureTimeStamp>").encode())
        assert report.conclusion is Conclusion.PASSED
        assert only(report).level_intact == "XAdES-B"
        assert any(said in step.text.en for step in only(report).steps)

    @pytest.mark.parametrize(
        ("name", "before", "method"),
        [
            ("xades:SignatureTimeStamp", '<xades:Include URI="#v1"/>', EXCLUSIVE),
            ("xades:SignatureTimeStamp", "", "http://www.w3.org/TR/1999/REC-xslt-19991116"),
            ("xades:ArchiveTimeStamp", "", EXCLUSIVE),
        ],
        ids=["Include", "method", "archive 1.3.2"],
    )
    def test_kinds_that_are_named_only(self, pki: Pki, judge: Judge, name: str, before: str, method: str) -> None:
        file = base(pki)
        report = judge(
            file.plus(
                writing.stamp(name, timestamp(pki.tsa, file.under_value(), SIGNED_AT), method, before=before)
            ).encode()
        )
        [stamp] = only(report).timestamps
        assert (report.conclusion, stamp.intact, only(report).level_intact) == (Conclusion.PASSED, False, "XAdES-B")
        assert stamp.reason is not None

    def test_data_for_time_stamps_helps_to_judge_them(self, pki: Pki, judge: Judge) -> None:
        lists = writing.revocation_values(pki.timestamp.crls())
        data = f"<x141:TimeStampValidationData>{lists}</x141:TimeStampValidationData>"
        file = writing.level_xl(pki)
        assert only(judge(file.encode(), crls=[])).timestamps[0].conclusion is not Conclusion.PASSED
        report = judge(file.plus(data).encode(), crls=[])
        assert (report.conclusion, only(report).timestamps[0].conclusion) == (Conclusion.PASSED, Conclusion.PASSED)
        assert only(report).level_intact == "XAdES-XL", "no reference is asked for what belongs to time-stamps"


class TestContentTimeStamps:
    def signed(self, pki: Pki, markup: Callable[[dict[str, bytes]], str]) -> Xades:
        return writing.sign_document(pki.signer, style=Style(properties=markup))

    @pytest.mark.parametrize("with_key", [True, False])
    def test_over_all_data(self, pki: Pki, judge: Judge, with_key: bool) -> None:
        def markup(data: dict[str, bytes]) -> str:
            octets = data["r1"] + (data["r2"] if with_key else b"")
            return writing.stamp("xades:AllDataObjectsTimeStamp", timestamp(pki.tsa, octets, SIGNED_AT - HOUR))

        report = judge(self.signed(pki, markup).encode())
        [stamp] = only(report).timestamps
        assert (stamp.type, stamp.conclusion) == (TimestampType.CONTENT, Conclusion.PASSED)
        assert only(report).judged_at == NOW, "it says nothing about the signature's age"
        assert only(report).level == "XAdES-B"

    @pytest.mark.parametrize(
        ("uri", "whole", "intact"),
        [("#r1-N", "true", True), ("#r2-N", "true", False), ("#r9-N", "true", False), ("#r1-N", "false", False)],
    )
    def test_over_some_data(self, pki: Pki, judge: Judge, uri: str, whole: str, intact: bool) -> None:
        include = f'<xades:Include URI="{uri}" referencedData="{whole}"/>'

        def markup(data: dict[str, bytes]) -> str:
            token = timestamp(pki.tsa, data["r1"], SIGNED_AT - HOUR)
            return writing.stamp("xades:IndividualDataObjectsTimeStamp", token, before=include)

        report = judge(self.signed(pki, markup).encode())
        assert [item.intact for item in only(report).timestamps] == [intact]
        assert report.conclusion is Conclusion.PASSED

    def test_one_made_after_the_signature_is_out_of_order(self, pki: Pki, judge: Judge) -> None:
        def markup(data: dict[str, bytes]) -> str:
            token = timestamp(pki.tsa, data["r1"], SIGNED_AT + HOUR)
            return writing.stamp("xades:AllDataObjectsTimeStamp", token)

        report = judge(writing.with_signature_stamp(self.signed(pki, markup), pki).encode())
        assert report.sub_indication is SubIndication.TIMESTAMP_ORDER_FAILURE


class TestReferencesAndValues:
    def refused(self, judge: Judge, file: Xades) -> str:
        report = judge(file.encode())
        assert (report.conclusion, report.sub_indication) == (
            Conclusion.INDETERMINATE, SubIndication.SIG_CONSTRAINTS_FAILURE
        )  # fmt: skip
        lenient = judge(file.encode(), profile=Profile.INTEGRITY_ONLY)
        assert lenient.conclusion is Conclusion.PASSED
        return next(item.text.en for item in only(report).steps if item.id == "revocation.references")

    def test_a_referenced_certificate_without_value(self, pki: Pki, judge: Judge) -> None:
        crls = pki.qualified.crls()
        file = writing.with_references(writing.level_t(pki), pki, crls)
        file = file.plus(writing.certificate_values([pki.seal.root.der])).plus(writing.revocation_values(crls))
        assert "not among the values" in self.refused(judge, file)
        assert only(judge(file.encode())).level_intact == "XAdES-T"

    def test_revocation_data_without_value_or_without_reference(self, pki: Pki, judge: Judge) -> None:
        crls = pki.qualified.crls()
        named = writing.with_references(writing.level_t(pki), pki, crls).plus(
            writing.certificate_values(writing.authorities(pki))
        )
        assert "Revocation data" in self.refused(judge, named.plus(writing.revocation_values(crls[:1])))
        more = [*crls, pki.seal.issuing.crl()]
        assert "without a reference" in self.refused(judge, named.plus(writing.revocation_values(more)))

    @pytest.mark.parametrize("gone", ["CompleteCertificateRefs", "CompleteRevocationRefs"])
    def test_half_of_the_references(self, pki: Pki, judge: Judge, gone: str) -> None:
        self.refused(judge, writing.level_xl(pki).without(gone))

    def test_a_second_list_of_references_is_none(self, pki: Pki, judge: Judge) -> None:
        crls = pki.qualified.crls()
        self.refused(judge, writing.level_c(pki).plus(writing.revocation_refs(crls)))

    def test_the_lists_inside_are_enough(self, pki: Pki, judge: Judge) -> None:
        every = pki.crls()
        file = writing.with_values(writing.level_t(pki), pki, every)
        assert judge(file.encode(), crls=[]).conclusion is Conclusion.PASSED


PROPERTY_NAMES = [
    "xades:CompleteCertificateRefs", "xades:CompleteRevocationRefs", "xades:CertificateValues",
    "xades:RevocationValues", "xades:SigAndRefsTimeStamp", "x141:ArchiveTimeStamp", "x141:TimeStampValidationData",
    "xades:AttributeCertificateRefs", "xades:Unheard",
]  # fmt: skip


@pytest.mark.parametrize("name", PROPERTY_NAMES)
@pytest.mark.parametrize(
    "inner", ["", "text", "<xades:Cert/>", '<xades:CertRefs Id="x"><xades:Cert/></xades:CertRefs>']
)
def test_an_unreadable_property_spoils_nothing_but_itself(pki: Pki, judge: Judge, name: str, inner: str) -> None:
    report = judge(writing.level_t(pki).plus(f"<{name}>{inner}</{name}>").encode(), profile=Profile.INTEGRITY_ONLY)
    assert (report.conclusion, only(report).integrity) == (Conclusion.PASSED, True)
    assert only(report).judged_at == SIGNED_AT
    assert only(report).level_intact == "XAdES-T"


def test_more_bytes_under_time_stamps_than_are_hashed(pki: Pki) -> None:
    file = writing.level_a(pki).encode()
    spent = replace(DEFAULT_LIMITS, stamped_bytes=len(file))
    assert [item.intact for item in read_facts(file, None).signers[0].timestamps] == [True, True]
    assert [item.intact for item in read_facts(file, None, limits=spent).signers[0].timestamps] == [True, False]


def issuer_serial(holder: Holder, serial_number: int) -> bytes:
    """IssuerSerial of RFC 5035."""
    name = der.encode(0xA4, holder.certificate.issuer.public_bytes())
    return der.encode(der.SEQUENCE, der.encode(der.SEQUENCE, name), der.encode_integer(serial_number))


class TestSignedProperties:
    def named(self, pki: Pki, kind: str, serial: str) -> str:
        entry = writing.cert_reference(pki.signer.der).replace("</xades:Cert>", f"{serial}</xades:Cert>")
        return f"<xades:{kind}>{entry}</xades:{kind}>"

    @pytest.mark.parametrize("off", [0, 1])
    @pytest.mark.parametrize("kind", ["SigningCertificate", "SigningCertificateV2"])
    def test_serial_number(self, pki: Pki, judge: Judge, kind: str, off: int) -> None:
        number = pki.signer.certificate.serial_number + off
        serial = (
            f"<xades:IssuerSerial><ds:X509IssuerName>CN=whoever</ds:X509IssuerName>"
            f"<ds:X509SerialNumber>{number}</ds:X509SerialNumber></xades:IssuerSerial>"
            if kind == "SigningCertificate"
            else f"<xades:IssuerSerialV2>{writing.text64(issuer_serial(pki.signer, number))}</xades:IssuerSerialV2>"
        )
        report = judge(
            writing.sign_document(pki.signer, style=Style(bound=False, more=self.named(pki, kind, serial))).encode()
        )
        assert report.conclusion is (Conclusion.INDETERMINATE if off else Conclusion.PASSED)
        assert report.sub_indication is (SubIndication.NO_SIGNING_CERTIFICATE_FOUND if off else None)

    @pytest.mark.parametrize("serial", ["<xades:IssuerSerialV2>AA==</xades:IssuerSerialV2>", "<xades:IssuerSerial/>"])
    def test_serial_numbers_that_are_none(self, pki: Pki, judge: Judge, serial: str) -> None:
        style = Style(bound=False, more=self.named(pki, "SigningCertificateV2", serial))
        report = judge(writing.sign_document(pki.signer, style=style).encode())
        assert (report.conclusion, report.sub_indication) == (Conclusion.FAILED, SubIndication.FORMAT_FAILURE)

    @pytest.mark.parametrize("right", [True, False])
    def test_both_forms_must_name_the_signer(self, pki: Pki, judge: Judge, right: bool) -> None:
        entry = writing.cert_reference((pki.signer if right else pki.sealer).der, "sha512")
        style = Style(more=f"<xades:SigningCertificate>{entry}</xades:SigningCertificate>")
        report = judge(writing.sign_document(pki.signer, style=style).encode())
        assert report.conclusion is (Conclusion.PASSED if right else Conclusion.INDETERMINATE)

    @pytest.mark.parametrize(
        "more",
        [
            "<xades:SigningTime>2026-11-19T12:00:00Z</xades:SigningTime>",
            "<xades:SigningCertificateV2/>",
            "<xades:SignaturePolicyIdentifier/>",
            "<xades:SigningCertificate/>",
        ],
    )
    def test_wrong_numbers_of_values(self, pki: Pki, judge: Judge, more: str) -> None:
        report = judge(writing.sign_document(pki.signer, style=Style(more=more)).encode())
        assert (report.conclusion, report.sub_indication) == (Conclusion.FAILED, SubIndication.FORMAT_FAILURE)
        assert not only(report).integrity

    @pytest.mark.parametrize(
        "more",
        [
            "<xades:SignerRole><xades:ClaimedRoles><xades:ClaimedRole>Müdür</xades:ClaimedRole></xades:ClaimedRoles></xades:SignerRole>",
            "<xades:SignaturePolicyIdentifier><xades:SignaturePolicyImplied/></xades:SignaturePolicyIdentifier>",
        ],
        ids=["role", "implied policy"],
    )
    def test_properties_that_pass(self, pki: Pki, judge: Judge, more: str) -> None:
        assert judge(writing.sign_document(pki.signer, style=Style(more=more)).encode()).conclusion is Conclusion.PASSED

    @pytest.mark.parametrize(
        ("target", "warned"), [("#r1-N", []), ("#other", ["signed-attributes.data-object-format"])]
    )
    def test_what_a_data_object_format_is_about(self, pki: Pki, judge: Judge, target: str, warned: list[str]) -> None:
        markup = f'<xades:DataObjectFormat ObjectReference="{target}"><xades:MimeType>text/xml</xades:MimeType></xades:DataObjectFormat>'
        report = judge(writing.sign_document(pki.signer, style=Style(properties=lambda _data: markup)).encode())
        assert (report.conclusion, warnings(report)) == (Conclusion.PASSED, warned)


class TestPolicies:
    def long(self, pki: Pki, oid: str, crls: list[bytes], responses: tuple[bytes, ...] = ()) -> Xades:
        file = writing.level_t(pki, Style(policy=(oid, GUIDE)))
        file = file.plus(writing.certificate_refs(writing.authorities(pki))).plus(
            writing.revocation_refs(crls, responses)
        )
        file = file.plus(
            writing.stamp(
                "xades:SigAndRefsTimeStamp",
                timestamp(pki.tsa, file.under_value_and_references(), SIGNED_AT + MINUTE),
            )
        )
        return file.plus(writing.certificate_values(writing.authorities(pki))).plus(
            writing.revocation_values(crls, responses)
        )

    def test_epes(self, pki: Pki, judge: Judge) -> None:
        report = judge(writing.sign_document(pki.signer, style=Style(policy=(P2, GUIDE))).encode())
        assert (only(report).level, only(report).level_intact) == ("XAdES-EPES", "XAdES-EPES")

    def test_p1_and_p2(self, pki: Pki, judge: Judge) -> None:
        assert broken(judge(base(pki).encode(), profile=Profile.P1)) == {}
        p2 = writing.level_t(pki, Style(policy=(P2, GUIDE)))
        assert (report := judge(p2.encode(), profile=Profile.P2)).conclusion is Conclusion.PASSED, broken(report)
        other = writing.level_t(pki, Style(policy=(P2, bytes(32))))
        assert "signature-policy" in broken(judge(other.encode(), profile=Profile.P2))
        assert "signature-policy" in broken(judge(p2.encode(), profile=Profile.P3))

    def test_p3(self, pki: Pki, judge: Judge) -> None:
        crls = pki.qualified.crls(SIGNED_AT + DAY + 2 * HOUR)
        file = self.long(pki, P3, crls)
        report = judge(file.encode(), profile=Profile.P3, now=AFTER_GRACE, crls=[*crls, *pki.timestamp.crls()])
        assert (report.conclusion, broken(report)) == (Conclusion.PASSED, {})
        short = writing.level_t(pki, Style(policy=(P3, GUIDE)))
        assert {"level", "validation-data"} <= set(broken(judge(short.encode(), profile=Profile.P3)))

    def test_p4(self, pki: Pki, judge: Judge) -> None:
        response = respond(pki, responder(pki, OCSP_SIGNING, NO_CHECK))
        file = self.long(pki, P4, [pki.qualified.root.crl()], (response,))
        report = judge(file.encode(), profile=Profile.P4, crls=pki.timestamp.crls())
        assert (report.conclusion, broken(report)) == (Conclusion.PASSED, {})
        by_list = self.long(pki, P4, pki.qualified.crls())
        assert "revocation-source" in broken(judge(by_list.encode(), profile=Profile.P4))


class TestCounterSignatures:
    def other(self, pki: Pki) -> Holder:
        return pki.qualified.issuing.issue("İkinci İmzacı", key_usage=NES_USAGE, qualified=True)

    @pytest.mark.parametrize("kind", [writing.COUNTERSIGNED_TYPE, ""], ids=["typed", "untyped"])
    def test_it_is_a_signature_over_the_value(self, pki: Pki, judge: Judge, kind: str) -> None:
        report = judge(writing.countersign(base(pki), self.other(pki), kind=kind).encode())
        assert report.conclusion is Conclusion.PASSED
        [counter] = only(report).counter_signatures
        assert counter.signer is not None
        assert (counter.signer.name, counter.level, counter.integrity) == ("İkinci İmzacı", "XAdES-B", True)
        assert "not the document" in counter.steps[1].text.en

    def test_one_upon_the_other(self, pki: Pki, judge: Judge) -> None:
        file = writing.countersign(base(pki), self.other(pki))
        upper = Xades(file.unsigned[-1][0], pki.signer)
        report = judge(writing.countersign(upper, pki.signer).encode())
        assert report.conclusion is Conclusion.PASSED
        assert len(only(report).counter_signatures[0].counter_signatures) == 1

    def test_about_the_value_of_another_signature(self, pki: Pki, judge: Judge) -> None:
        style = Style(transform=writing.XPATH)
        one = writing.sign_document(pki.signer, style=style)
        both = writing.sign_document(self.other(pki), one.encode(), style)
        [first, second] = both.root.findall(f"{{{writing.DS}}}Signature")
        file = writing.countersign(Xades(first, pki.signer), self.other(pki))
        assert judge(file.encode()).conclusion is Conclusion.PASSED
        [_first, second] = file.root.findall(f"{{{writing.DS}}}Signature")
        place = Xades(second, pki.signer).plus("<xades:CounterSignature/>")
        first = place.root.find(f"{{{writing.DS}}}Signature")
        place.unsigned[-1].append(Xades(first, pki.signer).unsigned[-1][0])
        report = judge(place.encode())
        assert (report.conclusion, report.sub_indication) == (Conclusion.FAILED, SubIndication.FORMAT_FAILURE)

    def test_a_wrong_one_keeps_the_file_from_passing(self, pki: Pki, judge: Judge) -> None:
        file = writing.countersign(base(pki), self.other(pki))
        value = file.unsigned[-1].find(f".//{{{writing.DS}}}SignatureValue")
        value.text = ("A" if value.text[0] != "A" else "B") + value.text[1:]
        report = judge(file.encode())
        assert report.conclusion is Conclusion.FAILED
        assert only(report).integrity
        assert not only(report).counter_signatures[0].integrity

    @pytest.mark.parametrize("deep", [4, 5])
    def test_depth(self, pki: Pki, judge: Judge, deep: int) -> None:
        file = base(pki)
        top, holder = file, self.other(pki)
        for _ in range(deep):
            top = writing.countersign(top, holder)
            top = Xades(top.unsigned[-1][0], holder)
        report = judge(top.encode())
        assert report.conclusion is (Conclusion.PASSED if deep == 4 else Conclusion.FAILED)

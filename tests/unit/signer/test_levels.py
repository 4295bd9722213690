"""CAdES above B: what the attributes claim, what of it holds, and what each broken part costs."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest

from services.signer import der
from services.signer.findings import CheckFailed
from services.signer.formats import references
from services.signer.limits import DEFAULT_LIMITS
from services.signer.pipeline import read_facts
from shared.contracts.signatures import Profile, SignatureReport, TimestampReport, TimestampType, VerificationReport
from shared.domain.verdict import Conclusion, StepResult, SubIndication
from tests.support.pki import NOW, Pki
from tests.unit.signer import levels
from tests.unit.signer.conftest import Judge
from tests.unit.signer.levels import MINUTE, SIGNED_AT, File
from tests.unit.signer.signing import raw_attribute, sign, timestamp

POLICY = "1.2.840.113549.1.9.16.2.15"
CONTENT = b"<PaketOzeti>\r\n</PaketOzeti>" * 10


def base(pki: Pki) -> File:
    return File.of(sign(pki.signer, CONTENT, at=SIGNED_AT))


def only(report: VerificationReport) -> SignatureReport:
    [signature] = report.signatures
    return signature


def stamp_of(report: VerificationReport, kind: TimestampType) -> TimestampReport:
    return next(item for item in only(report).timestamps if item.type is kind)


def warnings(report: VerificationReport) -> list[str]:
    return [item.id for item in only(report).steps if item.result is StepResult.WARNING]


def level_t(pki: Pki) -> File:
    return levels.with_signature_stamp(base(pki), pki.tsa)


def level_c(pki: Pki) -> File:
    return levels.with_references(level_t(pki), pki.qualified, pki.qualified.crls())


def level_x(pki: Pki, kind: str = levels.C_STAMP) -> File:
    file = level_c(pki)
    under = file.under_c_stamp() if kind == levels.C_STAMP else file.under_references_stamp()
    return file.plus(kind, timestamp(pki.tsa, under, SIGNED_AT + MINUTE))


def level_a(pki: Pki) -> File:
    return levels.with_archive_v2(levels.long_term(pki, CONTENT), pki.tsa, SIGNED_AT + MINUTE)


@pytest.mark.parametrize(
    ("made", "level", "baseline"),
    [
        (base, "CAdES-B", "B-B"),
        (level_t, "CAdES-T", "B-T"),
        (level_c, "CAdES-C", "B-T"),
        (level_x, "CAdES-X", "B-T"),
        (lambda pki: level_x(pki, levels.REFERENCES_STAMP), "CAdES-X", "B-T"),
        (lambda pki: levels.long_term(pki, CONTENT), "CAdES-XL", "B-T"),
        (level_a, "CAdES-A", "B-T"),
    ],
    ids=["B", "T", "C", "X type 1", "X type 2", "XL", "A"],
)
def test_every_level_is_found_holds_and_passes(
    pki: Pki, judge: Judge, made: Callable[[Pki], File], level: str, baseline: str
) -> None:
    report = judge(made(pki).encode())
    assert report.conclusion is Conclusion.PASSED
    assert (only(report).level, only(report).level_intact) == (level, level)
    assert only(report).baseline_level == baseline
    assert {item.conclusion for item in only(report).timestamps} <= {Conclusion.PASSED}
    assert warnings(report) == []


def test_values_may_hold_a_long_list(pki: Pki, judge: Judge) -> None:
    """As those of a large authority are: the file is one of hundreds of thousands of values."""
    crls = [pki.qualified.root.crl(), pki.qualified.issuing.crl(extra_entries=40_000)]
    file = levels.with_values(levels.with_references(level_t(pki), pki.qualified, crls), pki.qualified, crls)
    report = judge(file.encode(), crls=pki.timestamp.crls())
    assert (report.conclusion, only(report).level_intact) == (Conclusion.PASSED, "CAdES-XL")


def test_a_signature_policy_makes_it_epes(pki: Pki, judge: Judge) -> None:
    policy = levels.sequence(der.encode_oid("2.16.792.1.61.0.1.5070.3.3.1"), levels.other_hash(b"the policy's text"))
    report = judge(sign(pki.signer, CONTENT, change=lambda items: [*items, raw_attribute(POLICY, policy)]))
    assert (report.conclusion, only(report).level, only(report).level_intact) == (
        Conclusion.PASSED, "CAdES-EPES", "CAdES-EPES"
    )  # fmt: skip


class TestBaseline:
    def with_evidence(self, pki: Pki) -> File:
        """B-LT: certificates and revocation data in SignedData itself."""
        return level_t(pki).with_revocation(*pki.qualified.crls())

    @pytest.mark.parametrize("by_value", [True, False], ids=["ats-hash-index-v3", "ats-hash-index"])
    def test_archived(self, pki: Pki, judge: Judge, by_value: bool) -> None:
        file = self.with_evidence(pki)
        assert only(judge(file.encode())).baseline_level == "B-LT"
        archived = levels.with_archive_v3(file, CONTENT, pki.tsa, SIGNED_AT + MINUTE, by_value=by_value)
        report = judge(archived.encode())
        assert (only(report).level_intact, only(report).baseline_level) == ("CAdES-A", "B-LTA")
        assert stamp_of(report, TimestampType.ARCHIVE_V3).conclusion is Conclusion.PASSED

    def test_the_lists_inside_are_enough(self, pki: Pki, judge: Judge) -> None:
        stamped = levels.with_signature_stamp(base(pki), pki.tsa)
        report = judge(stamped.with_revocation(*pki.crls()).encode(), crls=[])
        assert report.conclusion is Conclusion.PASSED
        assert only(report).judged_at == SIGNED_AT

    def test_more_can_be_added_after_an_archive_time_stamp_v3(self, pki: Pki, judge: Judge) -> None:
        archived = levels.with_archive_v3(level_t(pki), CONTENT, pki.tsa, SIGNED_AT + MINUTE)
        again = levels.with_archive_v3(
            archived.with_revocation(*pki.qualified.crls()), CONTENT, pki.tsa, SIGNED_AT + 2 * MINUTE
        )
        report = judge(again.encode())
        assert only(report).level_intact == "CAdES-A"
        assert [item.intact for item in only(report).timestamps] == [True, True, True]

    def test_an_index_that_names_what_is_not_there(self, pki: Pki, judge: Judge) -> None:
        file = level_t(pki)
        index = levels.hash_index(file, extra=b"a certificate that was taken away")
        report = judge(levels.with_archive_v3(file, CONTENT, pki.tsa, SIGNED_AT + MINUTE, index=index).encode())
        assert not stamp_of(report, TimestampType.ARCHIVE_V3).intact
        assert only(report).level_intact == "CAdES-T"

    def test_an_attribute_made_unreadable_afterwards_is_not_there(self, pki: Pki, judge: Judge) -> None:
        """The index holds type and values, not the tags around them."""
        file = levels.with_archive_v3(level_t(pki), CONTENT, pki.tsa, SIGNED_AT + MINUTE)
        [stamp] = file.of_kind(levels.SIGNATURE_STAMP)
        assert stamp_of(judge(file.encode()), TimestampType.ARCHIVE_V3).intact
        altered = file.encode().replace(stamp, bytes((der.SET,)) + stamp[1:])
        assert not stamp_of(judge(altered), TimestampType.ARCHIVE_V3).intact

    def test_an_index_that_leaves_out_what_was_there(self, pki: Pki, judge: Judge) -> None:
        file = level_t(pki)
        index = levels.hash_index(file, leave_out=levels.SIGNATURE_STAMP)
        report = judge(levels.with_archive_v3(file, CONTENT, pki.tsa, SIGNED_AT + MINUTE, index=index).encode())
        stamp = stamp_of(report, TimestampType.ARCHIVE_V3)
        assert not stamp.intact
        assert stamp.reason is not None
        assert "leaves out" in stamp.reason.en

    def test_an_index_that_was_changed_afterwards(self, pki: Pki, judge: Judge) -> None:
        file = level_t(pki)
        good = levels.hash_index(file)
        token = timestamp(pki.tsa, file.under_archive_v3(CONTENT, good), SIGNED_AT + MINUTE)
        other = levels.hash_index(file, leave_out=levels.SIGNATURE_STAMP)
        for attributes in ((other,), (good, other), ()):
            changed = token
            for index in attributes:
                changed = levels.add_unsigned(changed, levels.INDEX_V3, index)
            report = judge(file.plus(levels.ARCHIVE_V3, changed).encode())
            assert not stamp_of(report, TimestampType.ARCHIVE_V3).intact

    def test_detached_content_is_covered_by_its_digest(self, pki: Pki, judge: Judge) -> None:
        file = levels.with_signature_stamp(
            File.of(sign(pki.signer, CONTENT, at=SIGNED_AT, attached=False), CONTENT), pki.tsa
        )
        archived = levels.with_archive_v3(file, CONTENT, pki.tsa, SIGNED_AT + MINUTE).encode()
        assert stamp_of(judge(archived, CONTENT), TimestampType.ARCHIVE_V3).intact
        assert not stamp_of(judge(archived, CONTENT + b"!"), TimestampType.ARCHIVE_V3).intact
        assert not stamp_of(judge(archived), TimestampType.ARCHIVE_V3).intact


class TestArchiveV2:
    """The standard leaves open what becomes of other archive time-stamps; signers differ (signatures.md 6.1)."""

    def twice(self, pki: Pki, second_over: Callable[[File], File]) -> File:
        first = level_a(pki)
        under = second_over(first).under_archive_v2()
        return levels.with_archive_v2(first, pki.tsa, SIGNED_AT + 2 * MINUTE, under)

    def test_all_but_itself(self, pki: Pki, judge: Judge) -> None:
        report = judge(self.twice(pki, lambda file: file).encode())
        assert [item.intact for item in only(report).timestamps] == [True] * 3, "the first one leaves out the later"
        assert only(report).level_intact == "CAdES-A"

    def test_without_any_archive_time_stamp(self, pki: Pki, judge: Judge) -> None:
        report = judge(self.twice(pki, lambda file: file.without(*levels.ARCHIVES)).encode())
        assert only(report).level_intact == "CAdES-A"

    def test_without_later_ones_wherever_they_stand(self, pki: Pki, judge: Judge) -> None:
        first = level_a(pki)
        second = levels.with_archive_v2(first, pki.tsa, SIGNED_AT + 2 * MINUTE)
        third = levels.with_archive_v2(second, pki.tsa, SIGNED_AT + 3 * MINUTE)
        one, two, three = third.of_kind(levels.ARCHIVE_V2)
        others = third.without(levels.ARCHIVE_V2).attributes
        for order in ((one, two, three), (three, two, one), (two, three, one)):
            report = judge(replace(third, attributes=(*others, *order)).encode())
            intact = [item.intact for item in only(report).timestamps if item.type is TimestampType.ARCHIVE_V2]
            # Order among what is covered counts: the third covers the second after the first.
            assert intact[order.index(one)]
            assert only(report).conclusion is Conclusion.PASSED

    def test_attributes_in_der_order(self, pki: Pki, judge: Judge) -> None:
        file = levels.long_term(pki, CONTENT)
        in_order = replace(file, attributes=tuple(sorted(file.attributes)))
        token = timestamp(pki.tsa, in_order.under_archive_v2(), SIGNED_AT + MINUTE)
        assert only(judge(file.plus(levels.ARCHIVE_V2, token).encode())).level_intact == "CAdES-A"

    def test_the_detached_document_is_covered(self, pki: Pki, judge: Judge) -> None:
        file = levels.long_term(pki, CONTENT, attached=False)
        archived = levels.with_archive_v2(file, pki.tsa, SIGNED_AT + MINUTE).encode()
        report = judge(archived, CONTENT)
        assert (report.conclusion, only(report).level_intact) == (Conclusion.PASSED, "CAdES-A")
        without = replace(file, detached=b"")
        report = judge(levels.with_archive_v2(without, pki.tsa, SIGNED_AT + MINUTE).encode(), CONTENT)
        assert only(report).level_intact == "CAdES-XL", "a stamp that leaves the document out proves nothing about it"

    def test_lists_in_signed_data_are_covered(self, pki: Pki, judge: Judge) -> None:
        file = levels.long_term(pki, CONTENT).with_revocation(*pki.qualified.crls())
        assert only(judge(levels.with_archive_v2(file, pki.tsa, NOW).encode())).level_intact == "CAdES-A"

    def test_nothing_can_be_added_afterwards(self, pki: Pki, judge: Judge) -> None:
        added = level_a(pki).plus("1.2.3.4", der.encode(der.NULL))
        report = judge(added.encode())
        assert (report.conclusion, only(report).level_intact) == (Conclusion.PASSED, "CAdES-XL")
        assert stamp_of(report, TimestampType.ARCHIVE_V2).conclusion is Conclusion.FAILED

    def test_the_first_kind_is_named_only(self, pki: Pki, judge: Judge) -> None:
        file = levels.long_term(pki, CONTENT)
        old = file.plus(levels.ARCHIVE_V1, timestamp(pki.tsa, file.under_archive_v2(), SIGNED_AT + MINUTE))
        report = judge(old.encode())
        assert (only(report).level, only(report).level_intact) == ("CAdES-A", "CAdES-XL")
        assert warnings(report) == ["time.time-stamp"]


class TestOtherStamps:
    @pytest.mark.parametrize("kind", [levels.C_STAMP, levels.REFERENCES_STAMP])
    def test_a_stamp_over_other_references(self, pki: Pki, judge: Judge, kind: str) -> None:
        file = level_c(pki)
        report = judge(file.plus(kind, timestamp(pki.tsa, file.signature, SIGNED_AT)).encode())
        assert (only(report).level, only(report).level_intact) == ("CAdES-X", "CAdES-C")
        assert warnings(report) == ["time.time-stamp"]

    def test_whole_attributes_may_be_stamped_too(self, pki: Pki, judge: Judge) -> None:
        file = level_c(pki)
        under = file.signature + b"".join(file.attributes)
        report = judge(file.plus(levels.C_STAMP, timestamp(pki.tsa, under, SIGNED_AT)).encode())
        assert only(report).level_intact == "CAdES-X"

    def test_a_stamp_of_nothing_is_no_stamp(self, pki: Pki, judge: Judge) -> None:
        report = judge(base(pki).plus(levels.REFERENCES_STAMP, timestamp(pki.tsa, b"", SIGNED_AT)).encode())
        assert not stamp_of(report, TimestampType.REFERENCES).intact

    def test_a_token_in_an_octet_string_is_no_time_stamp(self, pki: Pki, judge: Judge) -> None:
        file = base(pki)
        wrapped = levels.octets(timestamp(pki.tsa, file.signature, SIGNED_AT))
        report = judge(file.plus(levels.SIGNATURE_STAMP, wrapped).encode())
        assert (report.conclusion, only(report).level_intact) == (Conclusion.PASSED, "CAdES-B")
        assert only(report).judged_at == NOW
        assert not stamp_of(report, TimestampType.SIGNATURE).intact


class TestReferences:
    """What a first reader of the national test files let pass: references and values that do not belong together."""

    def level_xl(self, pki: Pki, *, named: list[bytes] | None = None, held: list[bytes] | None = None) -> File:
        crls = pki.qualified.crls()
        every = levels.authorities(pki.qualified)
        file = level_t(pki).plus(
            levels.CERTIFICATE_REFERENCES, levels.certificate_references(every if named is None else named)
        )
        file = file.plus(levels.REVOCATION_REFERENCES, levels.revocation_references(crls))
        file = file.plus(levels.CERTIFICATE_VALUES, levels.sequence(*(every if held is None else held)))
        return file.plus(levels.REVOCATION_VALUES, levels.revocation_values(crls))

    def refused(self, judge: Judge, file: File) -> str:
        report = judge(file.encode())
        assert report.sub_indication is SubIndication.SIG_CONSTRAINTS_FAILURE
        assert report.conclusion is Conclusion.INDETERMINATE
        [step] = [item for item in only(report).steps if item.id == "revocation.references"]
        lenient = judge(file.encode(), profile=Profile.INTEGRITY_ONLY)
        assert (lenient.conclusion, warnings(lenient)) == (Conclusion.PASSED, ["revocation.references"])
        return step.text.en

    def test_a_referenced_certificate_without_value(self, pki: Pki, judge: Judge) -> None:
        file = self.level_xl(pki, held=[pki.qualified.issuing.der])
        assert "not among the values" in self.refused(judge, file)
        assert only(judge(file.encode())).level_intact == "CAdES-T"

    def test_a_certificate_of_the_path_without_reference(self, pki: Pki, judge: Judge) -> None:
        file = self.level_xl(pki, named=[pki.qualified.issuing.der])
        report = judge(file.encode())
        assert report.sub_indication is SubIndication.SIG_CONSTRAINTS_FAILURE
        assert only(report).level_intact == "CAdES-XL", "which path is used is no question of form"

    def test_a_reference_to_another_list(self, pki: Pki, judge: Judge) -> None:
        other = pki.seal.crls()
        file = level_t(pki).plus(
            levels.CERTIFICATE_REFERENCES, levels.certificate_references(levels.authorities(pki.qualified))
        )
        file = file.plus(levels.REVOCATION_REFERENCES, levels.revocation_references(other))
        file = levels.with_values(file, pki.qualified, pki.qualified.crls())
        assert "Revocation data" in self.refused(judge, file)

    def test_a_list_nobody_refers_to(self, pki: Pki, judge: Judge) -> None:
        crls = pki.qualified.crls()
        file = levels.with_references(level_t(pki), pki.qualified, crls)
        file = levels.with_values(file, pki.qualified, [*crls, pki.seal.issuing.crl()])
        assert "without a reference" in self.refused(judge, file)

    @pytest.mark.parametrize("gone", [levels.CERTIFICATE_REFERENCES, levels.REVOCATION_REFERENCES])
    def test_half_of_the_references(self, pki: Pki, judge: Judge, gone: str) -> None:
        self.refused(judge, levels.long_term(pki, CONTENT).without(gone))

    def test_an_ocsp_response_is_named_by_its_digest(self, pki: Pki, judge: Judge) -> None:
        crls, response = pki.qualified.crls(), levels.sequence(levels.sequence(b"\x05\x00"))
        named = level_t(pki).plus(
            levels.CERTIFICATE_REFERENCES, levels.certificate_references(levels.authorities(pki.qualified))
        )
        named = named.plus(levels.REVOCATION_REFERENCES, levels.revocation_references(crls, [response]))
        named = named.plus(levels.CERTIFICATE_VALUES, levels.sequence(*levels.authorities(pki.qualified)))
        held = named.plus(levels.REVOCATION_VALUES, levels.revocation_values(crls, [response]))
        assert judge(held.encode()).conclusion is Conclusion.PASSED
        self.refused(judge, named.plus(levels.REVOCATION_VALUES, levels.revocation_values(crls)))


@pytest.mark.parametrize(
    "oid",
    [levels.CERTIFICATE_REFERENCES, levels.REVOCATION_REFERENCES, levels.CERTIFICATE_VALUES, levels.REVOCATION_VALUES,
     levels.SIGNATURE_STAMP, levels.C_STAMP, levels.ARCHIVE_V2, levels.ARCHIVE_V3, levels.COUNTER_SIGNATURE, "0.4.0.1733.2.2"],
)  # fmt: skip
@pytest.mark.parametrize("value", [b"\x05\x00", b"\x30\x00", b"\x04\x03abc", b"\x30\x04\x30\x02\x05\x00"])
def test_an_unreadable_attribute_spoils_nothing_but_itself(pki: Pki, judge: Judge, oid: str, value: bytes) -> None:
    report = judge(level_t(pki).plus(oid, value).encode(), profile=Profile.INTEGRITY_ONLY)
    assert only(report).integrity
    assert only(report).judged_at == SIGNED_AT
    if oid not in (levels.COUNTER_SIGNATURE, levels.CERTIFICATE_VALUES):
        assert report.conclusion is Conclusion.PASSED
        assert value == b"\x30\x00" or warnings(report) != []


def test_a_repeated_field_of_revocation_data_is_no_form() -> None:
    """The standard has each once; a megabyte of repeated ones took a thread for minutes."""
    value = der.read_whole(levels.sequence(*[der.encode(der.CONTEXT_0, levels.sequence(levels.octets(b"")))] * 2))
    with pytest.raises(CheckFailed, match="repeated field"):
        references.revocation_values(value, DEFAULT_LIMITS)
    with pytest.raises(CheckFailed, match="repeated field"):
        references.revocation_references(der.read_whole(levels.sequence(value.encoded)), DEFAULT_LIMITS)


def test_more_bytes_under_time_stamps_than_are_hashed(pki: Pki, judge: Judge) -> None:
    limits = replace(DEFAULT_LIMITS, stamped_bytes=1000)
    facts = read_facts(level_a(pki).encode(), None, limits=limits)
    assert [item.intact for item in facts.signers[0].timestamps] == [True, False]

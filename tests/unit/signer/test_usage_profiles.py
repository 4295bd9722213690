"""The national profiles P1 to P4: each rule with a signature that keeps it and one that breaks it."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta

import pytest

from services.signer import der
from shared.contracts.signatures import Maturity, Profile, SignatureReport, VerificationReport
from shared.domain.verdict import Conclusion, StepResult, SubIndication
from tests.support.pki import NES_USAGE, NOW, Pki
from tests.unit.signer import levels
from tests.unit.signer.conftest import Judge
from tests.unit.signer.levels import SIGNED_AT, File
from tests.unit.signer.signing import Attributes, raw_attribute, sign, signing_certificate, timestamp
from tests.unit.signer.test_ocsp import NO_CHECK, OCSP_SIGNING, basic, respond, responder

CONTENT = b"<PaketOzeti/>" * 10
POLICY = "1.2.840.113549.1.9.16.2.15"
P2, P3, P4 = (f"2.16.792.1.61.0.1.5070.3.{number}.1" for number in (1, 2, 3))
GUIDE = bytes.fromhex("ff39bd29463383f69b2052ac47439e06ce7c3b8646e888b6e5ae3e46ba08117a")
HOUR, DAY = timedelta(hours=1), timedelta(days=1)
AFTER_GRACE = NOW + 3 * HOUR


def with_policy(oid: str, digest: bytes = GUIDE) -> Callable[[Attributes], Attributes]:
    value = levels.sequence(der.encode_oid(oid), levels.sequence(levels.SHA256, levels.octets(digest)))
    return lambda items: [*items, raw_attribute(POLICY, value)]


def stamped(pki: Pki, oid: str, *, delay: timedelta = timedelta(minutes=1), digest: bytes = GUIDE) -> File:
    file = File.of(sign(pki.signer, CONTENT, at=SIGNED_AT, change=with_policy(oid, digest)))
    return levels.with_signature_stamp(file, pki.tsa, SIGNED_AT + delay)


def long_term(pki: Pki, oid: str, crls: list[bytes], responses: tuple[bytes, ...] = ()) -> File:
    file = stamped(pki, oid)
    file = file.plus(levels.CERTIFICATE_REFERENCES, levels.certificate_references(levels.authorities(pki.qualified)))
    file = file.plus(levels.REVOCATION_REFERENCES, levels.revocation_references(crls, responses))
    file = file.plus(levels.CERTIFICATE_VALUES, levels.sequence(*levels.authorities(pki.qualified)))
    return file.plus(levels.REVOCATION_VALUES, levels.revocation_values(crls, responses))


def p4(pki: Pki) -> File:
    response = basic(respond(pki, responder(pki, OCSP_SIGNING, NO_CHECK)))
    return long_term(pki, P4, [pki.qualified.root.crl()], (response,))


def broken(report: VerificationReport) -> dict[str, StepResult]:
    """Rules that do not hold, by id."""
    return {
        step.id.removeprefix("profile-rules."): step.result
        for step in report.signatures[0].steps
        if step.id.startswith("profile-rules.") and step.result is not StepResult.PASSED
    }


def only(report: VerificationReport) -> SignatureReport:
    [signature] = report.signatures
    return signature


class TestP1:
    def test_a_plain_signature_is_final_at_once(self, pki: Pki, judge: Judge) -> None:
        report = judge(sign(pki.signer, CONTENT), profile=Profile.P1)
        assert (report.conclusion, broken(report)) == (Conclusion.PASSED, {})
        assert (only(report).maturity, only(report).final_after) == (Maturity.FINAL, None)

    def test_what_it_asks_for(self, pki: Pki, judge: Judge) -> None:
        no_time = judge(sign(pki.signer, CONTENT, change=lambda items: [*items[:2], items[3]]), profile=Profile.P1)
        assert broken(no_time) == {"signing-time": StepResult.INDETERMINATE}
        sha1 = sign(pki.signer, CONTENT, change=lambda items: [*items[:3], signing_certificate(pki.signer.der, "sha1")])
        assert broken(judge(sha1, profile=Profile.P1)) == {"signing-certificate-v2": StepResult.INDETERMINATE}
        policy = judge(sign(pki.signer, CONTENT, change=with_policy(P2)), profile=Profile.P1)
        assert (policy.conclusion, broken(policy)) == (Conclusion.PASSED, {"signature-policy": StepResult.WARNING})

    def test_the_certificate_must_be_a_qualified_one(self, pki: Pki, judge: Judge) -> None:
        plain = pki.qualified.issuing.issue("Niteliksiz", key_usage=NES_USAGE)
        found = broken(judge(sign(plain, CONTENT), profile=Profile.P1))
        assert set(found) == {"qualified-statement", "certificate-policy"}


class TestP2:
    def test_preliminary_until_a_list_is_issued_after_the_grace_period(self, pki: Pki, judge: Judge) -> None:
        file = stamped(pki, P2).encode()
        first = judge(file, profile=Profile.P2)
        assert (first.conclusion, broken(first)) == (Conclusion.PASSED, {})
        end = SIGNED_AT + timedelta(minutes=1) + DAY
        assert (only(first).maturity, only(first).final_after) == (Maturity.PRELIMINARY, end)
        same_list = judge(file, profile=Profile.P2, now=AFTER_GRACE)
        assert only(same_list).maturity is Maturity.PRELIMINARY, "time alone tells nothing"
        final = judge(file, profile=Profile.P2, now=AFTER_GRACE, crls=[*pki.crls(), *pki.crls(NOW + 2 * HOUR)])
        assert (final.conclusion, only(final).maturity) == (Conclusion.PASSED, Maturity.FINAL)

    def test_a_revocation_that_turns_up_in_the_grace_period_undoes_it(self, pki: Pki, judge: Judge) -> None:
        file = stamped(pki, P2).encode()
        pki.qualified.issuing.revoke(pki.signer, SIGNED_AT - HOUR)
        try:
            late = pki.crls(NOW + 2 * HOUR)
        finally:
            pki.qualified.issuing.revoked.clear()
        assert judge(file, profile=Profile.P2).conclusion is Conclusion.PASSED
        report = judge(file, profile=Profile.P2, now=AFTER_GRACE, crls=[*pki.crls(), *late])
        assert (report.conclusion, report.sub_indication) == (Conclusion.FAILED, SubIndication.REVOKED)

    @pytest.mark.parametrize("claimed", [b"00010101000000Z", b"99991231235959Z"])
    def test_a_claimed_time_at_the_end_of_the_calendar(self, pki: Pki, judge: Judge, claimed: bytes) -> None:
        time = raw_attribute("1.2.840.113549.1.9.5", der.encode(der.GENERALIZED_TIME, claimed))
        policy = with_policy(P2)
        file = File.of(sign(pki.signer, CONTENT, change=lambda items: policy([*items[:2], time, items[3]])))
        report = judge(levels.with_signature_stamp(file, pki.tsa).encode(), profile=Profile.P2)
        assert broken(report) == {"time-stamp-delay": StepResult.INDETERMINATE}

    @pytest.mark.parametrize("fault", ["other policy", "other text", "no policy", "implied policy"])
    def test_the_policy_and_the_digest_of_its_text(self, pki: Pki, judge: Judge, fault: str) -> None:
        implied = raw_attribute(POLICY, der.encode(der.NULL))
        change = {
            "other policy": with_policy(P3),
            "other text": with_policy(P2, b"x" * 32),
            "no policy": lambda items: items,
            "implied policy": lambda items: [*items, implied],
        }[fault]
        file = File.of(sign(pki.signer, CONTENT, at=SIGNED_AT, change=change))
        report = judge(levels.with_signature_stamp(file, pki.tsa).encode(), profile=Profile.P2)
        assert broken(report) == {"signature-policy": StepResult.INDETERMINATE}

    @pytest.mark.parametrize(
        ("delay", "holds"),
        [(timedelta(minutes=-5), True), (timedelta(minutes=-6), False), (2 * HOUR, True), (2 * HOUR + timedelta(seconds=1), False)],
        ids=["5 min before", "6 min before", "2 h after", "later"],
    )  # fmt: skip
    def test_the_time_stamp_follows_soon(self, pki: Pki, judge: Judge, delay: timedelta, holds: bool) -> None:
        report = judge(stamped(pki, P2, delay=delay).encode(), profile=Profile.P2)
        assert broken(report) == ({} if holds else {"time-stamp-delay": StepResult.INDETERMINATE})

    def test_without_a_time_stamp_that_holds(self, pki: Pki, judge: Judge) -> None:
        bare = File.of(sign(pki.signer, CONTENT, at=SIGNED_AT, change=with_policy(P2)))
        wrong = bare.plus(levels.SIGNATURE_STAMP, timestamp(pki.tsa, b"else", SIGNED_AT))
        for file in (bare, wrong):
            found = broken(judge(file.encode(), profile=Profile.P2))
            assert set(found) == {"signature-time-stamp", "time-stamp-delay", "level"}

    def test_ocsp_alone_does_not_speak_for_the_signer(self, pki: Pki, judge: Judge) -> None:
        response = basic(respond(pki, responder(pki, OCSP_SIGNING, NO_CHECK)))
        file = stamped(pki, P2).plus(levels.REVOCATION_VALUES, levels.revocation_values([], [response]))
        report = judge(file.encode(), profile=Profile.P2, crls=[pki.qualified.root.crl(), *pki.timestamp.crls()])
        assert broken(report) == {"revocation-source": StepResult.INDETERMINATE}


class TestP3:
    def test_values_from_after_the_grace_period_make_it_final(self, pki: Pki, judge: Judge) -> None:
        late = pki.qualified.crls(NOW + 2 * HOUR)
        file = long_term(pki, P3, late)
        report = judge(file.encode(), profile=Profile.P3, now=AFTER_GRACE, crls=pki.timestamp.crls())
        assert (report.conclusion, broken(report)) == (Conclusion.PASSED, {})
        assert only(report).maturity is Maturity.FINAL

    def test_values_from_before_leave_it_preliminary(self, pki: Pki, judge: Judge) -> None:
        file = long_term(pki, P3, pki.qualified.crls())
        report = judge(file.encode(), profile=Profile.P3, now=AFTER_GRACE, crls=pki.timestamp.crls())
        assert (report.conclusion, only(report).maturity) == (Conclusion.PASSED, Maturity.PRELIMINARY)

    def test_below_level_xl(self, pki: Pki, judge: Judge) -> None:
        found = broken(judge(stamped(pki, P3).encode(), profile=Profile.P3))
        assert found == {"level": StepResult.INDETERMINATE, "validation-data": StepResult.INDETERMINATE}


class TestP4:
    def test_ocsp_for_the_signer_makes_it_final_at_once(self, pki: Pki, judge: Judge) -> None:
        report = judge(p4(pki).encode(), profile=Profile.P4, crls=pki.timestamp.crls())
        assert (report.conclusion, broken(report)) == (Conclusion.PASSED, {})
        assert (only(report).level_intact, only(report).maturity) == ("CAdES-XL", Maturity.FINAL)

    def test_archived(self, pki: Pki, judge: Judge) -> None:
        archived = levels.with_archive_v2(p4(pki), pki.tsa, SIGNED_AT + HOUR)
        report = judge(archived.encode(), profile=Profile.P4, crls=pki.timestamp.crls())
        assert (report.conclusion, only(report).level_intact) == (Conclusion.PASSED, "CAdES-A")

    def test_a_list_in_its_place(self, pki: Pki, judge: Judge) -> None:
        file = long_term(pki, P4, pki.qualified.crls())
        report = judge(file.encode(), profile=Profile.P4)
        assert broken(report) == {"revocation-source": StepResult.INDETERMINATE}

    def test_an_x_time_stamp_is_told(self, pki: Pki, judge: Judge) -> None:
        file = p4(pki)
        file = file.plus(levels.C_STAMP, timestamp(pki.tsa, file.under_c_stamp(), SIGNED_AT + HOUR))
        report = judge(file.encode(), profile=Profile.P4, crls=pki.timestamp.crls())
        assert (report.conclusion, broken(report)) == (
            Conclusion.PASSED,
            {"no-extended-time-stamp": StepResult.WARNING},
        )

    def test_only_references(self, pki: Pki, judge: Judge) -> None:
        file = p4(pki).without(levels.CERTIFICATE_VALUES)
        found = broken(judge(file.encode(), profile=Profile.P4, crls=pki.timestamp.crls()))
        assert set(found) == {"level", "validation-data"}


def test_the_signing_time_attribute_may_not_be_taken_from_the_stamp(pki: Pki, judge: Judge) -> None:
    """Without a claimed time there is nothing to hold the stamp against."""
    change = with_policy(P2)
    file = File.of(sign(pki.signer, CONTENT, at=SIGNED_AT, change=lambda items: change([*items[:2], items[3]])))
    found = broken(judge(levels.with_signature_stamp(file, pki.tsa).encode(), profile=Profile.P2))
    assert set(found) == {"signing-time", "time-stamp-delay"}

"""What time-stamps prove, and what they do not: the moment of judgement and why it may be believed."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from cryptography import x509
from cryptography.x509.oid import ExtendedKeyUsageOID

from services.signer.certificates import load_certificate
from services.signer.pipeline import Evidence, load_lists, verify
from services.signer.trust import make_store
from shared.contracts.signatures import SignatureReport, VerificationReport, VerificationRequest
from shared.domain.verdict import Conclusion, SubIndication
from tests.support.pki import NOW, SEAL_USAGE, Authority, Holder, Pki, build_pki, make_hierarchy
from tests.unit.signer import levels
from tests.unit.signer.conftest import Judge
from tests.unit.signer.levels import MINUTE, SIGNED_AT, File
from tests.unit.signer.signing import sign, timestamp

CONTENT = b"<PaketOzeti/>" * 10
STAMPING = (x509.ExtendedKeyUsage([ExtendedKeyUsageOID.TIME_STAMPING]), True)
DAY = timedelta(days=1)
SECOND = timedelta(seconds=1)


def only(report: VerificationReport) -> SignatureReport:
    [signature] = report.signatures
    return signature


def reasons(report: VerificationReport) -> list[str]:
    return [item.reason.en for item in only(report).timestamps if item.reason is not None]


def authority(
    pki: Pki, *, days: tuple[int, int] = (-30, 365), critical: bool = True, more: tuple[str, ...] = ()
) -> Holder:
    usages = [ExtendedKeyUsageOID.TIME_STAMPING, *(x509.ObjectIdentifier(oid) for oid in more)]
    return pki.timestamp.issuing.issue(
        "ZD", key_usage=SEAL_USAGE, days=days, extensions=((x509.ExtendedKeyUsage(usages), critical),)
    )


def signed(pki: Pki, at: datetime = SIGNED_AT, holder: Holder | None = None) -> File:
    return File.of(sign(holder or pki.signer, CONTENT, at=at))


class TestBestTime:
    def test_the_earliest_signature_time_stamp(self, pki: Pki, judge: Judge) -> None:
        file = signed(pki)
        stamps = [timestamp(pki.tsa, file.signature, SIGNED_AT + delay) for delay in (2 * MINUTE, MINUTE, 3 * MINUTE)]
        report = judge(file.plus(levels.SIGNATURE_STAMP, *stamps).encode(), moment=NOW - MINUTE)
        assert only(report).judged_at == SIGNED_AT + MINUTE
        assert [item.time for item in only(report).timestamps] == [
            SIGNED_AT + delay for delay in (2 * MINUTE, MINUTE, 3 * MINUTE)
        ]

    def test_the_vouched_moment_without_one(self, pki: Pki, judge: Judge) -> None:
        report = judge(signed(pki).encode(), moment=NOW - MINUTE)
        assert only(report).judged_at == NOW - MINUTE

    def test_the_claimed_time_is_shown_and_proves_nothing(self, pki: Pki, judge: Judge) -> None:
        report = judge(signed(pki, NOW - 20 * DAY).encode())
        assert (only(report).claimed_signing_time, only(report).judged_at) == (NOW - 20 * DAY, NOW)

    def test_an_archive_time_stamp_alone_proves_the_signature_too(self, pki: Pki, judge: Judge) -> None:
        report = judge(levels.with_archive_v2(signed(pki), pki.tsa, SIGNED_AT).encode())
        assert only(report).judged_at == SIGNED_AT
        assert only(report).level_intact == "CAdES-B", "level A rests on a signature time-stamp"

    def test_a_references_time_stamp_does_not(self, pki: Pki, judge: Judge) -> None:
        file = levels.with_references(signed(pki), pki.qualified, pki.qualified.crls())
        file = file.plus(levels.REFERENCES_STAMP, timestamp(pki.tsa, file.under_references_stamp(), SIGNED_AT))
        report = judge(file.encode())
        assert only(report).timestamps[0].conclusion is Conclusion.PASSED
        assert only(report).judged_at == NOW


class TestAuthority:
    def fault(self, pki: Pki, judge: Judge, tsa: Holder, at: datetime = SIGNED_AT, **options: object) -> str:
        report = judge(levels.with_signature_stamp(signed(pki), tsa, at).encode(), **options)
        assert only(report).judged_at != at
        [reason] = reasons(report)
        return reason

    def test_its_certificate_is_for_time_stamps_alone_and_says_so_critically(self, pki: Pki, judge: Judge) -> None:
        assert "time-stamping only" in self.fault(pki, judge, authority(pki, critical=False))
        assert "time-stamping only" in self.fault(pki, judge, authority(pki, more=("1.3.6.1.5.5.7.3.4",)))
        assert "time-stamping only" in self.fault(pki, judge, pki.sealer)

    def test_it_leads_to_an_anchor_for_time_stamps(self, pki: Pki, judge: Judge) -> None:
        stranger = build_pki()
        assert "No path" in self.fault(pki, judge, stranger.tsa)
        below_seals = make_hierarchy("seal2")
        tsa = below_seals.issuing.issue("ZD", key_usage=SEAL_USAGE, extensions=(STAMPING,))
        store = make_store(
            {
                "qualified": (load_certificate(pki.qualified.root.der),),
                "seal": (load_certificate(below_seals.root.der),),
            }
        )
        assert "No path" in self.fault(pki, judge, tsa, anchors=store)

    def test_sixty_seconds_ahead_of_our_clock_and_no_more(self, pki: Pki, judge: Judge) -> None:
        ahead = levels.with_signature_stamp(signed(pki), pki.tsa, NOW + 60 * SECOND).encode()
        assert only(judge(ahead)).judged_at == NOW + 60 * SECOND
        assert "not valid before" in self.fault(pki, judge, pki.tsa, NOW + 61 * SECOND)

    def test_revoked_before_it_stamped(self, pki: Pki, judge: Judge) -> None:
        tsa = authority(pki)
        pki.timestamp.issuing.revoke(tsa, SIGNED_AT - DAY)
        try:
            lists = pki.crls()
        finally:
            pki.timestamp.issuing.revoked.clear()
        assert "revoked" in self.fault(pki, judge, tsa, crls=lists)

    def test_a_report_gives_the_reason_in_its_own_language(self, pki: Pki, judge: Judge) -> None:
        report = judge(levels.with_signature_stamp(signed(pki), build_pki().tsa).encode())
        [step] = [item for item in only(report).steps if item.id == "time.time-stamp"]
        assert (step.text.tr, step.text.en) == (
            "Zaman damgası kullanılamadı: Bu profilin güvendiği bir köke zincir yok",
            "A time-stamp could not be used: No path to a root that this profile trusts",
        )

    def test_without_its_list_it_proves_nothing_yet(self, pki: Pki, judge: Judge) -> None:
        report = judge(levels.with_signature_stamp(signed(pki), pki.tsa).encode(), crls=pki.qualified.crls())
        [stamp] = only(report).timestamps
        assert (stamp.intact, stamp.conclusion) == (True, Conclusion.INDETERMINATE)
        assert only(report).judged_at == NOW

    def test_its_list_may_come_inside_the_token(self, pki: Pki, judge: Judge) -> None:
        file = signed(pki)
        token = File.of(timestamp(pki.tsa, file.signature, SIGNED_AT)).with_revocation(*pki.timestamp.crls()).encode()
        report = judge(file.plus(levels.SIGNATURE_STAMP, token).encode(), crls=pki.qualified.crls())
        assert only(report).judged_at == SIGNED_AT


class TestProofOfExistence:
    """Whoever has the key of an authority whose certificate is over can stamp any time in the past."""

    def archived(self, pki: Pki, tsa: Holder, archive_at: datetime) -> File:
        return levels.with_archive_v2(levels.with_signature_stamp(signed(pki), tsa), pki.tsa, archive_at)

    def test_an_expired_certificate(self, pki: Pki, judge: Judge) -> None:
        tsa = authority(pki, days=(-30, 1))
        later = NOW + 5 * DAY
        lists = [*pki.crls(), *pki.crls(later)]
        alone = judge(levels.with_signature_stamp(signed(pki), tsa).encode(), now=later, crls=lists)
        assert only(alone).judged_at == later
        assert "nothing proves" in reasons(alone)[0]
        vouched = judge(levels.with_signature_stamp(signed(pki), tsa).encode(), now=later, moment=NOW, crls=lists)
        assert only(vouched).judged_at == SIGNED_AT, "who received it in time knows that it existed"
        archived = judge(self.archived(pki, tsa, NOW).encode(), now=later, crls=lists)
        assert only(archived).judged_at == SIGNED_AT
        too_late = judge(self.archived(pki, tsa, NOW + 2 * DAY).encode(), now=later, crls=lists)
        assert only(too_late).judged_at != SIGNED_AT

    def test_a_certificate_revoked_afterwards(self, pki: Pki, judge: Judge) -> None:
        tsa = authority(pki)
        pki.timestamp.issuing.revoke(tsa, NOW - MINUTE)
        try:
            lists = [*pki.crls(), *pki.crls(SIGNED_AT)]
        finally:
            pki.timestamp.issuing.revoked.clear()
        alone = judge(levels.with_signature_stamp(signed(pki), tsa).encode(), crls=lists)
        assert "revoked later" in reasons(alone)[0]
        assert only(alone).timestamps[0].conclusion is Conclusion.INDETERMINATE
        archived = judge(self.archived(pki, tsa, NOW - 5 * MINUTE).encode(), crls=lists)
        assert only(archived).judged_at == SIGNED_AT
        too_late = judge(self.archived(pki, tsa, NOW).encode(), crls=lists)
        assert only(too_late).judged_at != SIGNED_AT

    def test_worthless_lists_do_not_push_out_the_one_that_says_revoked(self, pki: Pki, judge: Judge) -> None:
        tsa, later = authority(pki), NOW + 20 * DAY
        pki.timestamp.issuing.revoke(tsa, SIGNED_AT + MINUTE)
        try:
            lists = pki.crls()
        finally:
            pki.timestamp.issuing.revoked.clear()
        namesake = build_pki().timestamp.issuing
        lists += [namesake.crl(at=NOW + day * DAY) for day in range(1, 15)]
        report = judge(levels.with_signature_stamp(signed(pki), tsa).encode(), now=later, crls=lists)
        assert "revoked later" in reasons(report)[0]

    def test_an_old_digest(self) -> None:
        """SHA-1 counted until August 2012: a stamp of then counts when a better one covered it in time."""
        then = datetime(2012, 6, 1, tzinfo=UTC)
        old, archive = build_pki(then), make_hierarchy("arşiv", now=datetime(2019, 1, 1, tzinfo=UTC))
        issuing = archive.root.issue("Arşiv CA", now=then, ca=True, days=(-100, 6000))
        assert isinstance(issuing, Authority)
        lasting = issuing.issue("Uzun", now=then, key_usage=SEAL_USAGE, days=(-90, 6000), extensions=(STAMPING,))
        anchors = {name: (load_certificate(tree.root.der),) for name, tree in old.hierarchies().items()}
        anchors["timestamp"] = (*anchors["timestamp"], load_certificate(archive.root.der))

        def judged(file: File) -> SignatureReport:
            lists = [
                crl
                for day in (0, 30, 90)
                for crl in (
                    *old.crls(then + day * DAY),
                    archive.root.crl(then + day * DAY),
                    issuing.crl(then + day * DAY),
                )
            ]
            evidence = Evidence(make_store(anchors), load_lists(lists))
            return only(verify(file.encode(), None, VerificationRequest(), evidence, NOW))

        file = File.of(sign(old.signer, CONTENT, at=then, digest="sha1"))
        stamped = file.plus(levels.SIGNATURE_STAMP, timestamp(old.tsa, file.signature, then, digest="sha1"))
        unproven = judged(stamped)
        assert unproven.conclusion is Conclusion.INDETERMINATE
        assert "sha1 no longer counts" in str(unproven.timestamps[0].reason)
        in_time = judged(levels.with_archive_v2(stamped, lasting, then + 30 * DAY))
        assert (in_time.conclusion, in_time.judged_at) == (Conclusion.PASSED, then)
        too_late = judged(levels.with_archive_v2(stamped, lasting, then + 90 * DAY))
        assert too_late.sub_indication is SubIndication.CRYPTO_CONSTRAINTS_FAILURE, "proven, but too late for SHA-1"


class TestOrder:
    def of(self, pki: Pki, judge: Judge, inner: datetime, outer: datetime) -> VerificationReport:
        file = levels.with_signature_stamp(signed(pki), pki.tsa, inner)
        return judge(levels.with_archive_v2(file, pki.tsa, outer).encode())

    def test_what_covers_must_not_be_older_by_more_than_a_minute(self, pki: Pki, judge: Judge) -> None:
        assert self.of(pki, judge, SIGNED_AT, SIGNED_AT - 60 * SECOND).conclusion is Conclusion.PASSED
        report = self.of(pki, judge, SIGNED_AT, SIGNED_AT - 61 * SECOND)
        assert report.conclusion is Conclusion.INDETERMINATE
        assert report.sub_indication is SubIndication.TIMESTAMP_ORDER_FAILURE
        assert "time.time-stamp-order" in [item.id for item in only(report).steps]

    def test_a_time_stamp_that_proves_nothing_is_in_nobodys_way(self, pki: Pki, judge: Judge) -> None:
        file = levels.with_signature_stamp(signed(pki), pki.tsa)
        report = judge(levels.with_archive_v2(file, build_pki().tsa, SIGNED_AT - DAY).encode())
        assert (report.conclusion, only(report).judged_at) == (Conclusion.PASSED, SIGNED_AT)

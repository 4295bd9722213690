"""Paths, dates, revocation and time-stamps."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from asn1crypto import cms
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding

from services.signer import der
from services.signer.certificates import Certificate, load_certificate
from services.signer.checks.chain import build_path
from services.signer.checks.revocation import load_list
from services.signer.findings import CheckFailed
from services.signer.trust import TrustStore, make_store
from shared.contracts.signatures import Profile
from shared.domain.verdict import Conclusion, StepResult, SubIndication
from tests.support.pki import NES_USAGE, NOW, Authority, Pki, build_pki, make_hierarchy, make_root, rsa_key
from tests.unit.signer.conftest import Judge
from tests.unit.signer.signing import sign, signed_data, signer_info, timestamp, with_timestamp

CONTENT = b"a letter"
HOUR, DAY = timedelta(hours=1), timedelta(days=1)


def holder_in(pki: Pki, **options: object):
    return pki.qualified.issuing.issue("Biri", key_usage=NES_USAGE, qualified=True, **options)  # type: ignore[arg-type]


def test_unknown_root(judge: Judge) -> None:
    stranger = make_hierarchy("yabancı").issuing.issue("Yabancı", key_usage=NES_USAGE, qualified=True)
    report = judge(sign(stranger, CONTENT))
    assert report.sub_indication is SubIndication.NO_CERTIFICATE_CHAIN_FOUND
    assert report.conclusion is Conclusion.INDETERMINATE
    assert report.signatures[0].integrity


def test_a_root_that_only_has_the_name_of_a_trusted_one(pki: Pki, judge: Judge) -> None:
    imitation = make_hierarchy("qualified")
    holder = imitation.issuing.issue("Taklit", key_usage=NES_USAGE, qualified=True)
    report = judge(signed_data([signer_info(holder, CONTENT)], [*holder.chain_der, imitation.root.der], CONTENT))
    assert report.conclusion is Conclusion.INDETERMINATE
    assert report.signatures[0].integrity


def test_expired_and_not_yet_valid(pki: Pki, judge: Judge) -> None:
    expired = sign(holder_in(pki, days=(-100, -10)), CONTENT)
    assert judge(expired).sub_indication is SubIndication.OUT_OF_BOUNDS_NO_POE
    report = judge(expired, moment=NOW - DAY)
    assert (report.conclusion, report.sub_indication) == (Conclusion.FAILED, SubIndication.EXPIRED)
    assert judge(expired, moment=NOW - 50 * DAY, crls=pki.crls(NOW - 50 * DAY)).conclusion is Conclusion.PASSED
    future = sign(holder_in(pki, days=(1, 10)), CONTENT)
    assert judge(future).sub_indication is SubIndication.NOT_YET_VALID


def test_missing_intermediate_comes_from_the_trust_directory(pki: Pki, judge: Judge, trust: object) -> None:
    encoded = signed_data([signer_info(pki.signer, CONTENT)], [pki.signer.der], CONTENT)
    assert judge(encoded).sub_indication is SubIndication.NO_CERTIFICATE_CHAIN_FOUND
    helped = make_store(trust.anchors, (load_certificate(pki.qualified.issuing.der),))  # type: ignore[attr-defined]
    assert judge(encoded, anchors=helped).conclusion is Conclusion.PASSED


def with_null_in_its_algorithm(authority: Authority) -> bytes:
    """The same root as one of the Turkish ones is written: with a NULL where ECDSA has no parameters (signatures.md 3)."""
    parts = [item.encoded for item in der.children(der.read_whole(authority.der))]
    fields = [item.encoded for item in der.children(der.read_whole(parts[0]))]
    algorithm = der.encode(der.SEQUENCE, der.encode_oid("1.2.840.10045.4.3.2"), der.encode(der.NULL))
    fields[2] = algorithm
    body = der.encode(der.SEQUENCE, *fields)
    assert isinstance(authority.key, ec.EllipticCurvePrivateKey)
    value = authority.key.sign(body, ec.ECDSA(hashes.SHA256()))
    return der.encode(der.SEQUENCE, body, algorithm, der.encode(0x03, b"\0" + value))


def test_a_root_that_cryptography_does_not_load(pki: Pki, judge: Judge) -> None:
    root = with_null_in_its_algorithm(pki.qualified.root)
    with pytest.raises(ValueError, match=r"parameters|algorithm|parsing"):
        x509.load_der_x509_certificate(root).signature_algorithm_parameters  # noqa: B018 - reading it is the point
    anchors = make_store({"qualified": (load_certificate(root),)})
    assert judge(sign(pki.signer, CONTENT), anchors=anchors).conclusion is Conclusion.PASSED
    other = make_store({"qualified": (load_certificate(with_null_in_its_algorithm(pki.seal.root)),)})
    assert judge(sign(pki.signer, CONTENT), anchors=other).sub_indication is SubIndication.NO_CERTIFICATE_CHAIN_FOUND


def test_a_leaf_cannot_issue(pki: Pki, judge: Judge) -> None:
    leaf = Authority(pki.signer.certificate, pki.signer.key, pki.signer.issuers)
    child = leaf.issue("Çocuk", key_usage=NES_USAGE, qualified=True)
    report = judge(signed_data([signer_info(child, CONTENT)], [child.der, *pki.signer.chain_der], CONTENT))
    assert report.sub_indication is SubIndication.CERTIFICATE_CHAIN_GENERAL_FAILURE


def test_unknown_critical_extension(pki: Pki, judge: Judge) -> None:
    odd = (x509.UnrecognizedExtension(x509.ObjectIdentifier("1.2.3.4"), b"\x05\x00"), True)
    report = judge(sign(holder_in(pki, extensions=(odd,)), CONTENT))
    assert report.sub_indication is SubIndication.CERTIFICATE_CHAIN_GENERAL_FAILURE


def test_exponentially_many_paths_are_given_up(pki: Pki) -> None:
    layer = [make_root("katman 0")]
    every = list(layer)
    for depth in range(1, 9):
        layer = [
            layer[0].issue(f"katman {depth}", ca=True, identity_no=str(depth))  # type: ignore[misc]
            for _ in range(4)
        ]
        every += layer
    leaf = layer[0].issue("yaprak", key_usage=NES_USAGE)
    pool = [load_certificate(item.der) for item in every]
    with pytest.raises(CheckFailed) as caught:
        build_path(load_certificate(leaf.der), pool, [load_certificate(pki.seal.root.der)], NOW, proven=False)
    assert caught.value.sub_indication is SubIndication.NO_CERTIFICATE_CHAIN_FOUND


class TestRevocation:
    def test_revoked_before_and_after_the_moment(self, judge: Judge, trust: object) -> None:
        tree = make_hierarchy("iptal")
        store = make_store({"qualified": (load_certificate(tree.root.der),)})
        holder = tree.issuing.issue("İptal", key_usage=NES_USAGE, qualified=True)
        tree.issuing.revoke(holder, NOW - 5 * DAY)
        encoded = sign(holder, CONTENT)
        before = judge(encoded, moment=NOW - 6 * DAY, crls=tree.crls(), anchors=store)
        assert before.conclusion is Conclusion.PASSED
        after = judge(encoded, moment=NOW - 4 * DAY, crls=tree.crls(), anchors=store)
        assert (after.conclusion, after.sub_indication) == (Conclusion.FAILED, SubIndication.REVOKED)
        assert "key_compromise" in after.model_dump_json() or "keyCompromise" in after.model_dump_json()
        now = judge(encoded, crls=tree.crls(), anchors=store)
        assert (now.conclusion, now.sub_indication) == (Conclusion.INDETERMINATE, SubIndication.REVOKED_NO_POE)
        assert now.retry_after_seconds is None

    def test_of_two_lists_of_one_second_the_one_that_names_it_counts(self, judge: Judge) -> None:
        """Whichever comes first, and whatever their bytes are."""
        pki = build_pki()
        anchors = make_store({name: (load_certificate(tree.root.der),) for name, tree in pki.hierarchies().items()})
        before = pki.crls()
        pki.qualified.issuing.revoke(pki.signer, NOW - timedelta(hours=3))
        for _ in range(4):
            after = pki.qualified.issuing.crl()
            for lists in ([*before, after], [after, *before]):
                report = judge(sign(pki.signer, CONTENT), crls=lists, anchors=anchors)
                assert report.sub_indication in {SubIndication.REVOKED, SubIndication.REVOKED_NO_POE}

    def test_revoked_authority(self, judge: Judge) -> None:
        tree = make_hierarchy("iptal")
        store = make_store({"qualified": (load_certificate(tree.root.der),)})
        tree.root.revoke(tree.issuing, NOW - DAY)
        holder = tree.issuing.issue("Biri", key_usage=NES_USAGE, qualified=True)
        report = judge(sign(holder, CONTENT), crls=tree.crls(), anchors=store)
        assert report.sub_indication is SubIndication.REVOKED_CA_NO_POE

    def test_missing_list_is_open_and_says_when_to_ask_again(self, judge: Judge) -> None:
        tree = make_hierarchy("eksik", crl_base="http://crl.example")
        store = make_store({"qualified": (load_certificate(tree.root.der),)})
        holder = tree.issuing.issue("Biri", key_usage=NES_USAGE, qualified=True)
        for crls in ([], [tree.root.crl()], [tree.issuing.crl()]):
            report = judge(sign(holder, CONTENT), crls=crls, anchors=store)
            assert (report.conclusion, report.sub_indication) == (Conclusion.INDETERMINATE, SubIndication.TRY_LATER)
            assert report.retry_after_seconds == 300

    def test_stale_list(self, pki: Pki, judge: Judge) -> None:
        report = judge(sign(pki.signer, CONTENT), crls=pki.crls(NOW - 3 * DAY))
        assert report.sub_indication is SubIndication.TRY_LATER
        assert "out of date" in next(item for item in report.signatures[0].steps if item.number == 10).text.en

    def test_list_from_the_future(self, pki: Pki, judge: Judge) -> None:
        report = judge(sign(pki.signer, CONTENT), crls=pki.crls(NOW + 2 * HOUR))
        assert report.sub_indication is SubIndication.TRY_LATER

    def test_list_signed_by_somebody_else(self, pki: Pki, judge: Judge) -> None:
        forged = make_hierarchy("qualified")
        report = judge(sign(pki.signer, CONTENT), crls=forged.crls())
        assert report.sub_indication is SubIndication.TRY_LATER

    def test_list_inside_the_signature(self, pki: Pki, judge: Judge) -> None:
        encoded = signed_data(
            [signer_info(pki.signer, CONTENT)], list(pki.signer.chain_der), CONTENT, crls=pki.qualified.crls()
        )
        assert judge(encoded, crls=[]).conclusion is Conclusion.PASSED

    def test_a_later_list_may_have_dropped_an_expired_certificate(self, pki: Pki, judge: Judge) -> None:
        expired = sign(holder_in(pki, days=(-100, -10)), CONTENT)
        report = judge(expired, moment=NOW - 50 * DAY)
        assert report.sub_indication is SubIndication.TRY_LATER

    @pytest.mark.parametrize(
        "extension",
        [
            x509.IssuingDistributionPoint(None, None, False, False, None, False, True),
            x509.UnrecognizedExtension(x509.ObjectIdentifier("1.2.3"), b"\x05\x00"),
        ],
        ids=["attribute-certificates", "unknown"],
    )
    def test_lists_of_other_scopes_are_not_used(self, pki: Pki, extension: x509.ExtensionType) -> None:
        encoded = (
            x509.CertificateRevocationListBuilder()
            .issuer_name(pki.qualified.issuing.certificate.subject)
            .last_update(NOW)
            .next_update(NOW + DAY)
            .add_extension(extension, critical=True)
            .sign(pki.qualified.issuing.key, hashes.SHA256())
            .public_bytes(Encoding.DER)
        )
        with pytest.raises(CheckFailed):
            load_list(encoded)

    def test_large_list(self, pki: Pki) -> None:
        assert len(load_list(pki.qualified.issuing.crl(extra_entries=2000)).entries) == 2000


class TestTimestamps:
    def stamped(self, pki: Pki, holder: object, at: object, *, about: bytes | None = None) -> bytes:
        encoded = sign(holder, CONTENT)  # type: ignore[arg-type]
        value = cms.ContentInfo.load(encoded)["content"]["signer_infos"][0]["signature"].native
        return with_timestamp(encoded, timestamp(pki.tsa, about or value, at))  # type: ignore[arg-type]

    def test_valid_stamp_decides_the_moment(self, pki: Pki, judge: Judge) -> None:
        report = judge(self.stamped(pki, pki.signer, NOW - DAY))
        assert report.conclusion is Conclusion.PASSED
        assert report.signatures[0].level == "CAdES-T"
        assert report.signatures[0].judged_at == NOW - DAY

    def test_stamp_proves_a_signature_older_than_the_revocation(self, judge: Judge, pki: Pki) -> None:
        holder = holder_in(pki)
        pki.qualified.issuing.revoke(holder, NOW - 2 * HOUR)
        try:
            lists = pki.crls()
            early = judge(self.stamped(pki, holder, NOW - 3 * HOUR), crls=lists)
            late = judge(self.stamped(pki, holder, NOW - HOUR), crls=lists)
        finally:
            pki.qualified.issuing.revoked.clear()
        assert early.conclusion is Conclusion.PASSED
        assert (late.conclusion, late.sub_indication) == (Conclusion.FAILED, SubIndication.REVOKED)

    @pytest.mark.parametrize("fault", ["other-bytes", "future", "not-authority", "unknown-authority", "garbage"])
    def test_useless_stamp_is_a_warning_and_proves_nothing(self, pki: Pki, judge: Judge, fault: str) -> None:
        if fault == "other-bytes":
            encoded = self.stamped(pki, pki.signer, NOW - DAY, about=b"else")
        elif fault == "future":
            encoded = self.stamped(pki, pki.signer, NOW + DAY)
        else:
            plain = sign(pki.signer, CONTENT)
            value = cms.ContentInfo.load(plain)["content"]["signer_infos"][0]["signature"].native
            if fault == "garbage":
                token = sign(pki.signer, b"no TSTInfo")
            elif fault == "not-authority":
                token = timestamp(pki.transaction, value, NOW - DAY)
            else:
                usage = pki.tsa.certificate.extensions.get_extension_for_class(x509.ExtendedKeyUsage)
                stranger = make_hierarchy("tsa").issuing.issue("TSA", extensions=((usage.value, True),))
                token = timestamp(stranger, value, NOW - DAY)
            encoded = with_timestamp(plain, token)
        report = judge(encoded)
        assert report.conclusion is Conclusion.PASSED
        assert report.signatures[0].judged_at == NOW
        warnings = [item for item in report.signatures[0].steps if item.result is StepResult.WARNING]
        assert [item.id for item in warnings] == ["time.time-stamp"]


def test_trusted_certificate_itself(pki: Pki, judge: Judge) -> None:
    store = make_store({"kephs": (load_certificate(pki.transaction.der),)})
    report = judge(sign(pki.transaction, CONTENT), profile=Profile.KEPHS_TRANSACTION, anchors=store, crls=[])
    assert report.conclusion is Conclusion.PASSED


def test_a_remembered_path_counts_only_for_its_time_its_pool_and_its_anchors(pki: Pki, trust: TrustStore) -> None:
    """A path that was found once must not be found where it would not have been found afresh."""
    holder = pki.qualified.issuing.issue("Biri", days=(-30, 10))
    signer, issuing = load_certificate(holder.der), load_certificate(pki.qualified.issuing.der)
    anchors = trust.for_purposes(("qualified",), NOW)

    def refusal(pool: tuple[Certificate, ...], anchors: tuple[Certificate, ...], moment: datetime) -> SubIndication:
        with pytest.raises(CheckFailed) as caught:
            build_path(signer, pool, anchors, moment, proven=True)
        return caught.value.sub_indication

    for _ in range(2):
        assert len(build_path(signer, (issuing,), anchors, NOW, proven=True).certificates) == 3
        assert refusal((issuing,), anchors, NOW + 11 * DAY) is SubIndication.EXPIRED
        assert refusal((issuing,), anchors, NOW - 31 * DAY) is SubIndication.NOT_YET_VALID
        assert refusal((), anchors, NOW) is SubIndication.NO_CERTIFICATE_CHAIN_FOUND
        assert refusal((issuing,), trust.for_purposes(("seal",), NOW), NOW) is SubIndication.NO_CERTIFICATE_CHAIN_FOUND


def test_a_remembered_path_ends_with_its_weakest_algorithm(trust: TrustStore) -> None:
    """RSA-2048 counts until 2029, whatever the certificates say."""
    root = make_root("Uzun", key=rsa_key())
    signer = load_certificate(root.issue("Biri", days=(-30, 3000)).der)
    anchors = (load_certificate(root.der),)
    assert build_path(signer, (), anchors, NOW, proven=True)
    with pytest.raises(CheckFailed) as caught:
        build_path(signer, (), anchors, datetime(2029, 2, 1, tzinfo=UTC), proven=True)
    assert caught.value.sub_indication is SubIndication.CRYPTO_CONSTRAINTS_FAILURE


def test_time_stamps_are_counted_over_the_whole_file(pki: Pki, judge: Judge) -> None:
    """Each costs a path and a signature: 32 signers with 64 each would keep a thread busy for a long time."""
    encoded = sign(pki.signer, CONTENT)
    info = der.children(der.read_whole(encoded))
    fields = [field.encoded for field in der.children(der.children(info[1])[0])]
    parts = [part.encoded for part in der.children(der.children(der.read_whole(fields[-1]))[0])]
    token = timestamp(pki.tsa, der.octets(der.read_whole(parts[-1])), NOW)

    def file(tokens: int) -> bytes:
        values = der.encode(der.SET, *[token] * tokens)
        stamps = der.encode(der.SEQUENCE, der.encode_oid("1.2.840.113549.1.9.16.2.14"), values)
        signer = der.encode(der.SEQUENCE, *parts, der.encode(der.CONTEXT_1, stamps))
        changed = der.encode(der.SEQUENCE, *fields[:-1], der.encode(der.SET, signer, signer))
        return der.encode(der.SEQUENCE, info[0].encoded, der.encode(der.CONTEXT_0, changed))

    assert judge(file(32)).conclusion is Conclusion.PASSED
    assert judge(file(33)).sub_indication is SubIndication.FORMAT_FAILURE

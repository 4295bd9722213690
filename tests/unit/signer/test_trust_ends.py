"""Anchors with an end: what is proven to have existed before still counts, what came later does not."""

from __future__ import annotations

from datetime import timedelta

from services.signer.anchoring import anchored_path
from services.signer.certificates import load_certificate
from services.signer.pipeline import Evidence
from services.signer.standing import judge_certificate
from services.signer.trust import TrustStore, make_store
from shared.contracts.signatures import CertificatePurpose
from shared.domain.verdict import Conclusion, StepResult, SubIndication
from tests.support.pki import NOW, Hierarchy, Pki, rsa_key, usage
from tests.unit.signer import levels
from tests.unit.signer.conftest import Judge
from tests.unit.signer.levels import MINUTE, SIGNED_AT, File
from tests.unit.signer.signing import sign, timestamp

CONTENT = b"<PaketOzeti/>"


def ending(pki: Pki, at: object, *trees: Hierarchy) -> TrustStore:
    anchors = {name: (load_certificate(tree.root.der),) for name, tree in pki.hierarchies().items()}
    return make_store(anchors, ends={load_certificate(tree.root.der).sha256: at for tree in trees})  # type: ignore[misc]


def stamped(pki: Pki) -> bytes:
    file = File.of(sign(pki.signer, CONTENT, at=SIGNED_AT))
    return file.plus(levels.SIGNATURE_STAMP, timestamp(pki.tsa, file.signature, SIGNED_AT + MINUTE)).encode()


def test_a_signature_proven_before_the_end_counts_and_one_without_proof_does_not(pki: Pki, judge: Judge) -> None:
    store = ending(pki, SIGNED_AT + 2 * MINUTE, pki.qualified)
    assert judge(stamped(pki), anchors=store).conclusion is Conclusion.PASSED
    late = judge(sign(pki.signer, CONTENT, at=SIGNED_AT), anchors=store)
    assert (late.conclusion, late.sub_indication) == (
        Conclusion.INDETERMINATE,
        SubIndication.NO_CERTIFICATE_CHAIN_FOUND,
    )
    [said] = [step.text.en for step in late.signatures[0].steps if step.result is StepResult.INDETERMINATE]
    assert "Test qualified root" in said
    assert "proven to have existed before" in said
    vouched = judge(sign(pki.signer, CONTENT, at=SIGNED_AT), moment=SIGNED_AT + MINUTE, anchors=store)
    assert vouched.conclusion is Conclusion.PASSED


def test_a_signature_proven_after_the_end_does_not_count(pki: Pki, judge: Judge) -> None:
    report = judge(stamped(pki), anchors=ending(pki, SIGNED_AT, pki.qualified))
    assert report.sub_indication is SubIndication.NO_CERTIFICATE_CHAIN_FOUND


def test_a_time_stamp_does_not_prove_that_it_was_made_before_its_authority_ended(pki: Pki, judge: Judge) -> None:
    """Whoever holds the key of an authority that is no longer trusted can stamp any time in the past."""
    store = ending(pki, NOW - MINUTE, pki.timestamp)
    report = judge(stamped(pki), anchors=store)
    [verdict] = report.signatures[0].timestamps
    assert verdict.conclusion is Conclusion.INDETERMINATE
    assert verdict.reason is not None
    assert "Test timestamp root" in verdict.reason.en
    assert report.signatures[0].judged_at == NOW
    before = judge(stamped(pki), moment=NOW - 2 * MINUTE, anchors=store)
    assert before.signatures[0].timestamps[0].conclusion is Conclusion.PASSED


def test_a_certificate_for_use_now_needs_an_anchor_that_has_not_ended(pki: Pki) -> None:
    own = pki.seal.root.issue("Kurum", key=rsa_key(), key_usage=usage(key_encipherment=True))
    root = load_certificate(pki.seal.root.der)

    def judged(store: TrustStore) -> SubIndication | None:
        evidence = Evidence(store)
        return judge_certificate(own.der, CertificatePurpose.ENCRYPTION, evidence, NOW).verdict.sub_indication

    assert judged(make_store({"encryption": (root,)})) is SubIndication.TRY_LATER
    ended = make_store({"encryption": (root,)}, ends={root.sha256: NOW - MINUTE})
    assert judged(ended) is SubIndication.NO_CERTIFICATE_CHAIN_FOUND


def test_another_anchor_of_the_purpose_still_counts(pki: Pki) -> None:
    root, issuing = load_certificate(pki.seal.root.der), load_certificate(pki.seal.issuing.der)
    store = make_store({"seal": (root, issuing)}, ends={root.sha256: NOW - MINUTE})
    path = anchored_path(store, ("seal",), load_certificate(pki.sealer.der), (), NOW, proven=True)
    assert path.anchor == issuing


def test_the_name_of_a_store_tells_its_ends(pki: Pki, trust: TrustStore) -> None:
    assert ending(pki, NOW).sha256 == trust.sha256, "without an end the same as a plain directory"
    names = {ending(pki, NOW + timedelta(days=day), pki.seal).sha256 for day in (0, 1)}
    assert len(names | {trust.sha256}) == 3

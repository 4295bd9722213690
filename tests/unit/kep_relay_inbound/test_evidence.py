from __future__ import annotations

import base64
import hashlib
from dataclasses import replace
from datetime import UTC, datetime

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from lxml import etree

from services.kep_relay.evidence.fold import Attention, Policy, weigh
from services.kep_relay.evidence.keep import dedupe_key
from services.kep_relay.evidence.parse import read_evidence, read_time
from shared.domain.message import EVIDENCE_RANK, OutboundState
from shared.domain.verdict import Conclusion
from tests.support.mails import EVENTS, evidence_xml

S = OutboundState
PASSED, FAILED, OPEN = Conclusion.PASSED, Conclusion.FAILED, Conclusion.INDETERMINATE


@pytest.mark.parametrize("prefix", ["http:uri.etsi.org/02640/Event#", "http://uri.etsi.org/REM/Event#", "#"])
@pytest.mark.parametrize("code", [code for code in EVENTS if code != 70])
def test_every_kind_is_recognised_in_every_spelling(code: int, prefix: str) -> None:
    facts = read_evidence(evidence_xml(code, event_prefix=prefix))
    assert facts is not None
    assert facts.code == code


def test_elements_are_bounded_in_an_encoding_that_hides_brackets_too() -> None:
    def written(elements: int) -> bytes:
        hidden = "<a/>".encode("utf-7") * elements
        start = b'<?xml version="1.0" encoding="utf-7"?><DeliveryNonDeliveryToRecipient xmlns="http://uri.etsi.org/02640/v2#">'
        return start + hidden.replace(b"<", b"+ADw-") + b"</DeliveryNonDeliveryToRecipient>"

    assert read_evidence(written(100)) is not None
    assert b"<a" not in written(1)
    assert read_evidence(written(60_000)) is None


def test_facts_of_a_full_document() -> None:
    digest = hashlib.sha256(b"x").digest()
    facts = read_evidence(
        evidence_xml(
            41, original_id="<Mixed.Case@X>", identifier="e-1", issuer="Örnek KEPHS", dispatch_id="<d@hs01>",
            digest=digest, recipients=["B@hs99.kep.tr", "c@hs99.kep.tr"], refers_to=2, reason="kota dolu",
        )
    )  # fmt: skip
    assert facts is not None
    assert (facts.original_id, facts.dispatch_id) == ("Mixed.Case@X", "d@hs01")
    assert (facts.identifier, facts.issuer) == ("e-1", "Örnek KEPHS")
    assert facts.digest_value == digest.hex()
    assert facts.recipients == ("c@hs99.kep.tr",)
    assert facts.event_time == datetime(2026, 11, 20, 10, 0, tzinfo=UTC)
    assert facts.event_time_text == "2026-11-20T13:00:00+03:00"
    assert facts.reason == "MailboxFull: kota dolu"
    assert not facts.signed


@pytest.mark.parametrize("place", ["RecipientsDetails", "SenderDetails", "EvidenceIssuerDetails", "top"])
def test_nothing_is_read_out_of_a_signature(place: str) -> None:
    """A signature that is moved still holds, and what stands in its unsigned properties nobody signed."""
    document = evidence_xml(40, recipients=["b@hs99.kep.tr"], reason="asıl")
    genuine = read_evidence(document)
    assert genuine is not None
    planted = (
        b'<ds:Signature xmlns:ds="http://www.w3.org/2000/09/xmldsig#"><ds:Object xmlns="http://uri.etsi.org/02640/v2#">'
        b"<EventCode>http:uri.etsi.org/02640/Event#NonDelivery</EventCode><EvidenceIdentifier>evil</EvidenceIdentifier>"
        b"<AttributedElectronicAddress>evil@hs01.kep.tr</AttributedElectronicAddress><Name>evil</Name>"
        b"<NamePostalAddress><Name>evil</Name></NamePostalAddress>"
        b"<EventReasons><EventReason><Code>#evil</Code></EventReason></EventReasons></ds:Object></ds:Signature>"
    )
    root = etree.fromstring(document)
    found = next((item for item in root.iter() if isinstance(item.tag, str) and item.tag.endswith("}" + place)), root)
    found.insert(0, etree.fromstring(planted))
    facts = read_evidence(etree.tostring(root))
    assert facts is not None
    assert facts.signed is (found is root)
    assert replace(facts, signed=genuine.signed) == genuine
    assert b"evil" not in repr(facts).encode()


@pytest.mark.parametrize("namespace", ["urn:other", "http://uri.etsi.org/02640/v2#", ""])
def test_a_signature_of_another_namespace_is_none(namespace: str) -> None:
    root = etree.fromstring(evidence_xml(40))
    root.append(etree.Element(f"{{{namespace}}}Signature" if namespace else "Signature"))
    facts = read_evidence(etree.tostring(root))
    assert facts is not None
    assert not facts.signed


def test_missing_elements_and_foreign_namespaces_are_tolerated() -> None:
    facts = read_evidence(b"<RelayREMMDFailure/>")
    assert facts is not None
    assert (facts.code, facts.identifier, facts.original_id, facts.recipients) == (31, None, None, ())
    assert read_evidence(evidence_xml(40, namespace="urn:other", digest=b"")) is not None
    unknown = read_evidence(b'<SomethingNew xmlns="http://uri.etsi.org/02640/v2#"/>')
    assert unknown is not None
    assert unknown.code is None


@pytest.mark.parametrize(
    "document",
    [
        b"", b"x", b"<a/>", b"<REMExtensions xmlns='http://uri.etsi.org/02640/v2#'/>", evidence_xml(40)[:-5],
        b'<!DOCTYPE a [<!ENTITY b "c">]><RelayREMMDFailure>&b;</RelayREMMDFailure>',
        '<?xml version="1.0" encoding="utf-16"?><!DOCTYPE RelayREMMDFailure><RelayREMMDFailure/>'.encode("utf-16"),
        b"<RelayREMMDFailure>" + b"<a>" * 60_000, b"<a" + b" " * 3_000_000 + b"/>",
    ],
)  # fmt: skip
def test_what_is_not_evidence_is_none(document: bytes) -> None:
    assert read_evidence(document) is None


@pytest.mark.parametrize(
    ("text", "moment"),
    [
        ("2026-11-20T13:00:00+03:00", datetime(2026, 11, 20, 10, tzinfo=UTC)),
        ("2026-11-20T10:00:00Z", datetime(2026, 11, 20, 10, tzinfo=UTC)),
        ("2026-11-20T13:00:00", datetime(2026, 11, 20, 10, tzinfo=UTC)),
        ("2026-11-20 13:00:00.123456789 +0300", datetime(2026, 11, 20, 10, 0, 0, 123456, tzinfo=UTC)),
        ("20.11.2026", None), ("2026-13-40T99:00:00Z", None), ("0001-01-01T00:00:00+14:00", None), ("", None),
    ],
)  # fmt: skip
def test_times(text: str, moment: datetime | None) -> None:
    assert read_time(text) == moment


def test_dedupe_by_issuer_and_identifier_else_by_digest() -> None:
    one, two = (read_evidence(evidence_xml(40, identifier="e", issuer=issuer)) for issuer in ("hs01", "hs02"))
    bare = read_evidence(b"<RelayREMMDFailure/>")
    assert one is not None
    assert two is not None
    assert bare is not None
    assert dedupe_key(one, "a") == dedupe_key(one, "b") != dedupe_key(two, "a")
    assert dedupe_key(bare, "a") != dedupe_key(bare, "b")


@given(st.binary(max_size=400), st.integers(0, 1500), st.integers(0, 60))
@settings(max_examples=200, deadline=None)
def test_damaged_documents_are_read_without_fault(noise: bytes, position: int, length: int) -> None:
    document = evidence_xml(40, digest=bytes(32), dispatch_id="<d>")
    read_evidence(document[:position] + noise + document[position + length :])
    read_evidence(base64.b64encode(noise))


NO: frozenset[Attention] = frozenset()
UNVERIFIED = frozenset({Attention.UNVERIFIED})
CONTRADICTION = frozenset({Attention.CONTRADICTION})


@pytest.mark.parametrize(
    ("current", "code", "conclusion", "policy", "state", "attention"),
    [
        (S.SUBMITTED, 10, PASSED, "advance", S.ACCEPTED, NO),
        (S.SUBMITTED, 60, PASSED, "advance", S.READ, NO),
        (S.DELIVERED, 10, PASSED, "advance", S.DELIVERED, NO),
        (S.READ, 40, PASSED, "advance", S.READ, NO),
        (S.RELAY_FAILED, 40, PASSED, "advance", S.DELIVERED, CONTRADICTION),
        (S.DELIVERED, 31, PASSED, "advance", S.DELIVERED, CONTRADICTION),
        (S.UNDELIVERED, 40, PASSED, "hold", S.DELIVERED, CONTRADICTION),
        (S.OUTCOME_UNKNOWN, 10, PASSED, "hold", S.ACCEPTED, NO),
        (S.SUBMITTING, 40, PASSED, "hold", S.DELIVERED, NO),
        (S.CANCELLED, 10, PASSED, "hold", S.ACCEPTED, CONTRADICTION),
        (S.FAILED, 11, PASSED, "hold", S.REJECTED, NO),
        (S.SUBMITTED, 40, FAILED, "advance", S.SUBMITTED, UNVERIFIED),
        (S.SUBMITTED, 40, FAILED, "hold", S.SUBMITTED, UNVERIFIED),
        (S.DELIVERED, 31, FAILED, "advance", S.DELIVERED, UNVERIFIED),
        (S.SUBMITTED, 40, OPEN, "advance", S.DELIVERED, UNVERIFIED),
        (S.SUBMITTED, 40, OPEN, "hold", S.SUBMITTED, UNVERIFIED),
        (S.DELIVERED, 31, OPEN, "advance", S.DELIVERED, UNVERIFIED | CONTRADICTION),
        (S.SUBMITTED, 70, PASSED, "advance", S.SUBMITTED, {Attention.UNKNOWN}),
        (S.SUBMITTED, None, PASSED, "advance", S.SUBMITTED, {Attention.UNKNOWN}),
        (S.SUBMITTED, None, FAILED, "advance", S.SUBMITTED, {Attention.UNKNOWN, Attention.UNVERIFIED}),
    ],
)  # fmt: skip
def test_fold_table(
    current: S, code: int | None, conclusion: Conclusion, policy: Policy, state: S, attention: set[Attention]
) -> None:
    weighed = weigh(current, code, conclusion, policy)
    assert (weighed.state, set(weighed.attention)) == (state, set(attention))


@given(st.lists(st.sampled_from([10, 11, 20, 21, 31, 40, 41, 60]), max_size=8), st.randoms())
def test_order_of_arrival_never_decides(codes: list[int], random: object) -> None:
    def end(order: list[int]) -> S:
        state = S.SUBMITTED
        for code in order:
            before, state = state, weigh(state, code, PASSED, "advance").state
            assert EVIDENCE_RANK[state] >= EVIDENCE_RANK[before]
        return state

    shuffled = list(codes)
    random.shuffle(shuffled)  # type: ignore[attr-defined]
    assert end(codes) == end(shuffled) == end(codes + codes)

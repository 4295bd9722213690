"""ETSI's evidence types and events against the national codes (kep.md 1.3, 3.4)."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.domain.evidence import EvidenceCode, evidence_code

TABLE = [
    ("SubmissionAcceptanceRejection", "Acceptance", 10),
    ("SubmissionAcceptanceRejection", "Rejection", 11),
    ("RelayREMMDAcceptanceRejection", "Acceptance", 20),
    ("RelayREMMDAcceptanceRejection", "Rejection", 21),
    ("REMMDAcceptanceRejection", "Acceptance", 20),
    ("RelayREMMDFailure", "RelayFailure", 31),
    ("RelayToREMMDFailure", "", 31),
    ("DeliveryNonDeliveryToRecipient", "Delivery", 40),
    ("DeliveryNonDeliveryToRecipient", "NonDelivery", 41),
    ("DeliveryNonDeliveryToRecipient", "DeliveryExpiration", 41),
    ("RetrievalNonRetrievalByRecipient", "Retrieval", 60),
]


@pytest.mark.parametrize(("kind", "event", "code"), TABLE)
@pytest.mark.parametrize("prefix", ["", "http:uri.etsi.org/REM/Event#", "http://uri.etsi.org/02640/Event#"])
def test_each_pair_has_its_code(kind: str, event: str, code: int, prefix: str) -> None:
    assert evidence_code(kind, prefix + event) == code


def test_the_table_reaches_every_code() -> None:
    assert {code for _kind, _event, code in TABLE} == set(EvidenceCode)


@pytest.mark.parametrize(
    ("kind", "event"),
    [
        ("RetrievalNonRetrievalByRecipient", "NonRetrievalExpiration"), ("AcceptanceRejectionByRecipient", "Acceptance"),
        ("SubmissionAcceptanceRejection", ""), ("DeliveryNonDeliveryToRecipient", "#Delivery#"),
    ],
)  # fmt: skip
def test_what_nobody_has_seen_has_no_code(kind: str, event: str) -> None:
    assert evidence_code(kind, event) is None


@given(st.text(), st.text())
def test_nothing_from_outside_breaks_it(kind: str, event: str) -> None:
    assert evidence_code(kind, event) in {None, *EvidenceCode}

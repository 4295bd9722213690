"""When a kept verification is looked at again, and what clients may write in headers and bodies."""

from __future__ import annotations

import base64
from datetime import timedelta

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from services.gateway.examples import REPORT
from services.gateway.verifications.answers import LONGEST_WAIT, USUAL_WAIT, certificates_in_base64, wanted_wait
from services.gateway.verifications.verdicts import after_failure, next_look, ripeness
from shared.contracts.signatures import Maturity
from shared.domain.verdict import Conclusion, SubIndication
from shared.errors import DomainError, ErrorCode
from tests.support.pki import NOW, build_pki
from tests.unit.gateway.verifications.reports import early

MINUTE, DAY = timedelta(minutes=1), timedelta(days=1)
OPEN = REPORT.model_copy(update={"conclusion": Conclusion.INDETERMINATE, "retry_after_seconds": 3600})


def test_a_settled_verdict_is_not_looked_at_again() -> None:
    assert next_look(REPORT, looks=1, most_looks=20, now=NOW) is None
    failed = early(REPORT).model_copy(update={"conclusion": Conclusion.FAILED})
    assert ripeness(failed).maturity is Maturity.FINAL
    assert next_look(failed, looks=1, most_looks=20, now=NOW) is None
    settled = OPEN.model_copy(update={"retry_after_seconds": None})
    assert next_look(settled, looks=1, most_looks=20, now=NOW) is None


def test_a_preliminary_one_waits_for_the_end_of_its_grace_period() -> None:
    assert next_look(early(REPORT), looks=1, most_looks=20, now=NOW) == NOW + DAY + 2 * MINUTE
    later = NOW + 2 * DAY
    assert next_look(early(REPORT), looks=3, most_looks=20, now=later) == later + 8 * MINUTE


def test_an_open_one_waits_as_long_as_signer_asks_and_longer_each_time() -> None:
    assert next_look(OPEN, looks=1, most_looks=20, now=NOW) == NOW + timedelta(hours=1)
    assert next_look(OPEN, looks=8, most_looks=20, now=NOW) == NOW + 256 * MINUTE
    assert next_look(OPEN, looks=1_000, most_looks=2_000, now=NOW) == NOW + DAY


def test_one_without_a_source_to_ask_is_looked_at_again_too() -> None:
    nowhere = OPEN.model_copy(update={"retry_after_seconds": None, "sub_indication": SubIndication.TRY_LATER})
    assert next_look(nowhere, looks=1, most_looks=20, now=NOW) == NOW + 2 * MINUTE
    assert next_look(nowhere, looks=20, most_looks=20, now=NOW) is None


def test_there_is_an_end_to_looking() -> None:
    assert next_look(OPEN, looks=20, most_looks=20, now=NOW) is None


def test_failures_are_repeated_ever_more_slowly() -> None:
    assert after_failure(0, NOW) == NOW + timedelta(seconds=30)
    assert after_failure(500, NOW) == NOW + timedelta(hours=1)


@pytest.mark.parametrize(
    ("prefer", "seconds"),
    [
        (None, USUAL_WAIT), ("wait=3", 3), ("respond-async, wait=3", 3), ("WAIT = 0; x", 0), ('wait="7"', 7),
        ("wait=999999", LONGEST_WAIT), ("wait=-1", USUAL_WAIT), ("await=3", USUAL_WAIT), ("wait=3s", USUAL_WAIT),
    ],
)  # fmt: skip
def test_the_wait_a_client_prefers(prefer: str | None, seconds: int) -> None:
    assert wanted_wait(prefer) == seconds


def test_certificates_are_pem_or_der_in_base64() -> None:
    der = build_pki().signer.der
    pem = x509.load_der_x509_certificate(der).public_bytes(Encoding.PEM).decode()
    encoded = base64.b64encode(der).decode()
    assert certificates_in_base64([pem, encoded, f"  {pem}\n"]) == [encoded] * 3


@pytest.mark.parametrize("text", ["ç", "AAA", "-----BEGIN CERTIFICATE-----\n!\n-----END CERTIFICATE-----"])
def test_what_is_neither_is_refused_with_its_place(text: str) -> None:
    with pytest.raises(DomainError) as refused:
        certificates_in_base64(["AAAA", text])
    assert refused.value.code is ErrorCode.VALIDATION_FAILED
    assert [fault.pointer for fault in refused.value.faults] == ["/body/certificates/1"]

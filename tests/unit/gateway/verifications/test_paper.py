"""The report on paper: what a court expert must find in it, and that no report breaks the gateway."""

from __future__ import annotations

import asyncio
import re

import pypdfium2
import pytest

from services.gateway.verifications import wording
from services.gateway.verifications.document import composed, masked
from services.gateway.verifications.drawing import drawn
from services.gateway.verifications.rendering import PaperLimits, PaperReports
from shared.contracts.signatures import (
    EvidenceKind,
    EvidenceOrigin,
    Profile,
    SignatureFormat,
    TimestampType,
    VerificationReport,
)
from shared.domain.verdict import Conclusion, StepResult, SubIndication
from shared.errors import DomainError, ErrorCode
from tests.support.pki import Pki, build_pki
from tests.unit.gateway.verifications import reports
from tests.unit.signer.signing import sign


@pytest.fixture(scope="module")
def pki() -> Pki:
    return build_pki()


@pytest.fixture(scope="module")
def report(pki: Pki) -> VerificationReport:
    return reports.judged(pki, reports.signed(pki))


def pages(pdf: bytes) -> list[str]:
    """The text of each page, as anybody can copy it out; spaces apart, because cells break long values."""
    document = pypdfium2.PdfDocument(pdf)
    return [re.sub(r"\s+", "", page.get_textpage().get_text_range()) for page in document]


def test_everything_the_verdict_rests_on_stands_in_the_text(report: VerificationReport) -> None:
    order = reports.order(report)
    found = pages(drawn(composed(order)))
    text = "".join(found)
    (signature,) = report.signatures
    assert signature.signer is not None
    digests = [item.sha256 for item in report.evidence] + [item.sha256 for item in signature.chain]
    sources = [source.sha256 for item in signature.chain for source in item.revocation]
    assert digests
    assert sources
    wanted = [
        "İMZAGEÇERLİ", "KESİNSONUÇ", order.verification_id, order.file_sha256, order.report_sha256, *digests, *sources,
        report.trust_store_sha256, report.policy_version, report.software_version, signature.signer.certificate_sha256,
        "AyşeÖrnek", "CAdES-XL", "Beyanedilenimzazamanı", "19.11.202615:00:00(UTC+03:00)", "2026/114Esas",
    ]  # fmt: skip
    wanted += [re.sub(r"\s+", "", step.text.tr) for step in signature.steps]
    assert [item for item in wanted if item not in text] == []
    for number, page in enumerate(found, 1):
        assert f"Sayfa{number}/{len(found)}" in page
        assert order.report_sha256 in page


def test_the_same_report_gives_the_same_bytes(report: VerificationReport) -> None:
    assert drawn(composed(reports.order(report))) == drawn(composed(reports.order(report)))


def test_a_preliminary_verdict_says_so_and_until_when(report: VerificationReport) -> None:
    text = "".join(pages(drawn(composed(reports.order(reports.early(report))))))
    assert "ÖNSONUÇ" in text
    assert "KESİNSONUÇ" not in text
    assert "21.11.202615:00:00(UTC+03:00)" in text


def test_a_broken_signature_is_called_invalid(pki: Pki) -> None:
    data = reports.signed(pki)
    at = data.index(reports.CONTENT)
    report = reports.judged(pki, data[:at] + b"X" + data[at + 1 :])
    assert report.conclusion is Conclusion.FAILED
    document = composed(reports.order(report))
    assert document.verdict.headline == "İMZA GEÇERSİZ"
    assert "HASH_FAILURE" in document.verdict.code
    assert "Olumsuz" in "".join(pages(drawn(document)))


def test_an_open_verdict_is_neither_good_nor_bad(report: VerificationReport) -> None:
    changes = {"conclusion": Conclusion.INDETERMINATE, "retry_after_seconds": 300}
    verdict = composed(reports.order(report.model_copy(update=changes))).verdict
    assert (verdict.headline, verdict.ripeness) == ("İMZA HAKKINDA KARAR VERİLEMEDİ", "AÇIK SONUÇ")


def test_what_wants_a_later_look_is_not_called_final_though_signer_names_no_source(pki: Pki) -> None:
    report = reports.judged(pki, sign(pki.signer, reports.CONTENT), lists=False)
    assert (report.sub_indication, report.retry_after_seconds) == (SubIndication.TRY_LATER, None)
    assert composed(reports.order(report)).verdict.ripeness == "AÇIK SONUÇ"


def test_a_file_judged_for_integrity_alone_is_called_unchanged_not_valid(report: VerificationReport) -> None:
    found = pages(drawn(composed(reports.order(report.model_copy(update={"profile": Profile.INTEGRITY_ONLY})))))
    assert "İÇERİKDEĞİŞMEMİŞ" in found[0]
    assert "İMZAGEÇERLİ" not in "".join(found)
    assert "Geçerli(kesin)" not in "".join(found)


def test_a_file_without_a_signature_is_not_said_to_have_a_good_one(report: VerificationReport) -> None:
    changes = {"conclusion": Conclusion.INDETERMINATE, "signatures": []}
    assert composed(reports.order(report.model_copy(update=changes))).verdict.headline == "İMZA BULUNAMADI"


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("Ayşe Örnek 10000000146", "Ayşe Örnek 10*******46"),
        ("SERIALNUMBER=10000000146, CN=A", "SERIALNUMBER=10*******46, CN=A"),
        ("kod10000000146", "kod10*******46"),
        ("123456789012", "123456789012"),
        ("CRL 50837050089e, CRL a15353683021", "CRL 50837050089e, CRL a15353683021"),
    ],
)
def test_identity_numbers_are_shortened_wherever_they_stand(text: str, shown: str) -> None:
    assert masked(text) == shown


def test_every_word_of_a_report_has_a_turkish_one() -> None:
    for words, kinds in (
        (wording.PROFILES, Profile), (wording.FORMATS, SignatureFormat), (wording.TIMESTAMPS, TimestampType),
        (wording.EVIDENCE, EvidenceKind), (wording.ORIGINS, EvidenceOrigin), (wording.STEP_WORDS, StepResult),
        (wording.SUB_INDICATIONS, SubIndication), (wording.WORDS, Conclusion), (wording.MEANINGS, Conclusion),
    ):  # fmt: skip
        assert set(words) == set(kinds)  # type: ignore[call-overload]


def test_markup_and_endless_words_in_a_report_are_only_text(report: VerificationReport) -> None:
    (signature,) = report.signatures
    assert signature.signer is not None
    hostile = signature.signer.model_copy(update={"name": "<b>A</b>&<img src='file:///etc/passwd'/>" + "W" * 5000})
    signatures = [signature.model_copy(update={"signer": hostile})] * 20
    found = pages(drawn(composed(reports.order(report.model_copy(update={"signatures": signatures})))))
    assert "<b>A</b>&<imgsrc='file:///etc/passwd'/>" in "".join(found)


async def test_a_process_of_its_own_makes_the_same_paper(report: VerificationReport) -> None:
    order = reports.order(report)
    assert await PaperReports(PaperLimits()).make(order) == drawn(composed(order))


async def test_a_process_that_takes_too_long_is_killed_and_gives_its_turn_back(report: VerificationReport) -> None:
    papers = PaperReports(PaperLimits(seconds=0.01, at_once=1))
    with pytest.raises(DomainError) as refused:
        await papers.make(reports.order(report))
    assert refused.value.code is ErrorCode.SERVICE_UNAVAILABLE
    assert refused.value.retryable
    with pytest.raises(DomainError):  # and not TimeoutError: it was tried as well
        await asyncio.wait_for(papers.make(reports.order(report)), 30)


async def test_a_process_without_memory_is_an_error_and_no_paper(report: VerificationReport) -> None:
    with pytest.raises(DomainError) as refused:
        await PaperReports(PaperLimits(memory_bytes=60_000_000)).make(reports.order(report))
    assert refused.value.code is ErrorCode.SERVICE_UNAVAILABLE

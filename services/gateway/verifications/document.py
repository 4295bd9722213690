"""From a report to the sections of a document: names and values in Turkish, nothing about how they look. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from datetime import datetime

from pydantic import Field

from services.gateway.verifications import wording
from services.gateway.verifications.verdicts import is_open, ripeness
from shared.clock import ISTANBUL
from shared.contracts.base import Contract
from shared.contracts.signatures import Maturity, Profile, SignatureReport, TimestampReport, VerificationReport
from shared.domain.verdict import Conclusion

_IDENTITY_NUMBER = re.compile(r"\b[0-9a-f]{12,}\b|(?<!\d)(\d\d)\d{7}(\d\d)(?!\d)")
"""Or a digest, whole or its beginning, in which as many digits may follow each other."""
_DEEPEST = 5
NOTHING = "Yok"


class PastVerdict(Contract):
    """One line of the history."""

    at: datetime
    conclusion: Conclusion
    maturity: Maturity
    report_sha256: str


class DocumentOrder(Contract):
    """Everything the paper shows."""

    verification_id: str
    report: VerificationReport
    report_sha256: str
    file_name: str | None
    file_sha256: str
    file_size: int
    content_sha256: str | None
    content_size: int | None
    client_ref: str | None
    history: list[PastVerdict]


class Table(Contract):
    """Rows under headings; ``shares`` of the width, adding up to 1."""

    headings: list[str]
    shares: list[float]
    rows: list[list[str]]


class Section(Contract):
    """Names and values, then tables, each with its title. ``depth``: 1 is a heading of its own."""

    heading: str
    depth: int = 1
    conclusion: Conclusion | None = None
    lines: list[tuple[str, str]] = Field(default_factory=list)
    tables: list[tuple[str, Table]] = Field(default_factory=list)


class Verdict(Contract):
    """What stands in the box above everything."""

    conclusion: Conclusion
    headline: str
    ripeness: str
    meanings: list[str]
    code: str


class Document(Contract):
    """The paper, from top to bottom."""

    verification_id: str
    report_sha256: str
    verdict: Verdict
    sections: list[Section]
    reading: str


def composed(order: DocumentOrder) -> Document:
    """The document for one report."""
    report = order.report
    sections = [_subject(order)]
    for number, item in enumerate(report.signatures, 1):
        sections += _signature(item, f"İmza {number}", 1)
    sections += [_evidence(report), _history(order), _basis(order)]
    return Document(
        verification_id=order.verification_id, report_sha256=order.report_sha256, verdict=_verdict(report),
        sections=sections, reading=wording.READING,
    )  # fmt: skip


def masked(text: str) -> str:
    """The text with identity numbers shortened to their first and last two digits; digests stay whole."""
    return _IDENTITY_NUMBER.sub(lambda found: f"{found[1]}*******{found[2]}" if found[1] else found[0], text)


def moment(value: datetime | None) -> str:
    """A time as it was in Turkey, with its distance from UTC."""
    if value is None:
        return NOTHING
    local = value.astimezone(ISTANBUL)
    offset = local.strftime("%z")
    return f"{local:%d.%m.%Y %H:%M:%S} (UTC{offset[:3]}:{offset[3:]})"


def _verdict(report: VerificationReport) -> Verdict:
    ripe = ripeness(report)
    meanings = [wording.MEANINGS[report.conclusion]]
    if report.profile is Profile.INTEGRITY_ONLY:
        meanings.append(wording.INTEGRITY_MEANING)
    if report.conclusion is Conclusion.INDETERMINATE:
        word = wording.OPEN if is_open(report) else wording.FINAL
        if is_open(report):
            meanings.append(wording.OPEN_MEANING)
    elif ripe.maturity is Maturity.PRELIMINARY:
        word = wording.PRELIMINARY
        until = moment(ripe.final_after)
        meanings.append(
            f"İmzadan hemen önce iptal edilmiş bir sertifika listelere {until} tarihine kadar yansıyabilir; bu tarihten "
            "sonra yayımlanan bir iptal bilgisiyle yeniden doğrulanınca sonuç kesinleşir."
        )
    else:
        word = wording.FINAL
        meanings.append(wording.FINAL_MEANING)
    headline = wording.HEADLINES[report.conclusion][len(report.signatures) != 1]
    if report.profile is Profile.INTEGRITY_ONLY and report.conclusion is Conclusion.PASSED:
        headline = wording.INTEGRITY_HEADLINE
    if not report.signatures:
        headline = "İMZA BULUNAMADI" if report.conclusion is not Conclusion.FAILED else headline
    return Verdict(
        conclusion=report.conclusion, headline=headline, ripeness=word, meanings=meanings, code=_code(report)
    )


def _code(item: VerificationReport | SignatureReport) -> str:
    if item.sub_indication is None:
        return str(item.indication)
    return f"{item.indication} / {item.sub_indication} ({wording.SUB_INDICATIONS[item.sub_indication]})"


def _subject(order: DocumentOrder) -> Section:
    report = order.report
    lines = [
        ("Doğrulama no", order.verification_id),
        ("Dosya adı", masked(order.file_name) if order.file_name else NOTHING),
        ("Dosya SHA-256", order.file_sha256),
        ("Dosya boyu", f"{order.file_size} bayt"),
    ]
    if order.content_sha256 is not None:
        lines += [
            ("Verilen içerik SHA-256", order.content_sha256),
            ("Verilen içerik boyu", f"{order.content_size} bayt"),
        ]
    lines += [
        ("İmzanın kapsadığı baytlar SHA-256", report.signed_content_sha256 or "Belirlenemedi"),
        ("Biçim", wording.FORMATS[report.format]),
        ("İstenen profil", wording.PROFILES[report.profile]),
        ("Sonuç kodu (EN 319 102-1)", _code(report)),
        ("İmza sayısı", str(len(report.signatures))),
        ("Doğrulama zamanı", moment(report.verified_at)),
    ]
    if order.client_ref:
        lines.append(("Başvuranın kaydı", masked(order.client_ref)))
    return Section(heading="Doğrulanan dosya", lines=lines)


def _signature(item: SignatureReport, name: str, depth: int) -> Iterator[Section]:
    signer = item.signer
    title = f"{name}: {masked(signer.name)}" if signer else f"{name}: imzacı belirlenemedi"
    lines = []
    if signer is not None:
        lines = [
            ("İmzalayan", masked(signer.name)),
            ("Kimlik no (kısaltılmış)", masked(signer.identity_number_masked or NOTHING)),
            ("Kurum", masked(signer.organisation or NOTHING)),
            ("Sertifikayı veren", masked(signer.issuer)),
            ("Sertifika seri no", signer.serial_number),
            ("Sertifika SHA-256", signer.certificate_sha256),
            ("Sertifika geçerliliği", f"{moment(signer.not_before)} – {moment(signer.not_after)}"),
            ("Nitelikli sertifika", "Evet" if signer.qualified else "Hayır"),
        ]
    lines += [
        ("Sonuç kodu", _code(item)),
        ("Bütünlük", "İmza değeri baytlara uyuyor" if item.integrity else "İmza değeri baytlara uymuyor"),
        ("Beyan edilen düzey", item.level + (f" ({item.baseline_level})" if item.baseline_level else "")),
        ("Sağlanan düzey", item.level_intact or "Hiçbiri"),
        ("Beyan edilen imza zamanı", moment(item.claimed_signing_time)),
        ("Karar anı", moment(item.judged_at)),
        ("Kesinlik", _ripeness(item)),
        *_scope(item),
    ]
    tables = [("Doğrulama adımları", _steps(item))]
    if item.timestamps:
        tables.append(("Zaman damgaları", _timestamps(item.timestamps)))
    if item.chain:
        tables.append(("Sertifika zinciri ve iptal bilgileri", _chain(item)))
    yield Section(heading=title, depth=depth, conclusion=item.conclusion, lines=lines, tables=tables)
    if depth < _DEEPEST:
        for number, further in enumerate(item.counter_signatures, 1):
            yield from _signature(further, f"{name}.{number} (seri imza)", depth + 1)


def _ripeness(item: SignatureReport) -> str:
    if item.conclusion is not Conclusion.PASSED:
        return "Geçerli sayılmadığı için yoktur"
    if item.maturity is Maturity.FINAL:
        return "Kesin sonuç"
    return f"Ön sonuç; kesinleşebileceği zaman: {moment(item.final_after)}"


def _scope(item: SignatureReport) -> Iterator[tuple[str, str]]:
    if item.scope is not None:
        whole = "Belgenin tamamı" if item.scope.whole_document else "Belgenin imzadan önceki bölümü"
        yield "Kapsam", f"{whole}; {item.scope.revisions} sürümün {item.scope.revision}. sürümü"
        for change in item.scope.later_changes:
            yield "İmzadan sonra", change.tr


def _steps(item: SignatureReport) -> Table:
    rows = [[str(step.number), wording.STEP_WORDS[step.result], masked(step.text.tr)] for step in item.steps]
    return Table(headings=["Adım", "Sonuç", "Açıklama"], shares=[0.09, 0.15, 0.76], rows=rows)


def _timestamps(items: Sequence[TimestampReport]) -> Table:
    rows = [
        [
            wording.TIMESTAMPS[item.type], moment(item.time), masked(item.tsa or NOTHING),
            wording.WORDS[item.conclusion] + (f": {item.reason.tr}" if item.reason else ""),
        ]
        for item in items
    ]  # fmt: skip
    return Table(headings=["Tür", "Söylediği zaman", "Damgalayan", "Sonuç"], shares=[0.2, 0.24, 0.26, 0.3], rows=rows)


def _chain(item: SignatureReport) -> Table:
    rows = []
    for number, link in enumerate(item.chain):
        sources = [
            f"{wording.EVIDENCE[source.kind]}, {moment(source.issued_at)}, SHA-256 {source.sha256}"
            for source in link.revocation
        ]
        anchor = "Güven kökü" if number == len(item.chain) - 1 else "İptal bilgisi yok"
        validity = f"{link.not_before.astimezone(ISTANBUL):%d.%m.%Y} – {link.not_after.astimezone(ISTANBUL):%d.%m.%Y}"
        rows.append(
            [
                f"{masked(link.subject)}\nSeri no {link.serial_number}\n{validity}\nSHA-256 {link.sha256}",
                masked(link.issuer),
                "\n".join(sources) or anchor,
            ]
        )
    return Table(headings=["Sertifika", "Veren", "İptal bilgisi"], shares=[0.44, 0.18, 0.38], rows=rows)


def _evidence(report: VerificationReport) -> Section:
    rows = [[wording.EVIDENCE[item.kind], wording.ORIGINS[item.origin], item.sha256] for item in report.evidence]
    table = Table(headings=["Tür", "Nereden", "SHA-256"], shares=[0.2, 0.2, 0.6], rows=rows)
    if not rows:
        return Section(heading="Dayanılan deliller", lines=[("Deliller", "Dosyadan başka delil kullanılmadı")])
    return Section(heading="Dayanılan deliller", tables=[("", table)])


def _history(order: DocumentOrder) -> Section:
    rows = []
    for number, item in enumerate(order.history, 1):
        word = wording.WORDS[item.conclusion]
        if order.report.profile is Profile.INTEGRITY_ONLY and item.conclusion is Conclusion.PASSED:
            word = wording.INTEGRITY_WORD
        if item.conclusion is Conclusion.PASSED:
            word += " (ön sonuç)" if item.maturity is Maturity.PRELIMINARY else " (kesin)"
        rows.append([str(number), moment(item.at), word, item.report_sha256])
    table = Table(headings=["No", "Zaman", "Sonuç", "Rapor SHA-256"], shares=[0.05, 0.23, 0.18, 0.54], rows=rows)
    return Section(heading="Bu dosya için verilen kararlar", tables=[("", table)])


def _basis(order: DocumentOrder) -> Section:
    report = order.report
    return Section(
        heading="Kararın dayanağı",
        lines=[
            ("Kural sürümü", report.policy_version),
            ("Güven deposu SHA-256", report.trust_store_sha256),
            ("Yazılım sürümü", report.software_version or "Bildirilmedi"),
            ("Veri raporu (JSON) SHA-256", order.report_sha256),
        ],
    )

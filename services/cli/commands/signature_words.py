"""A verdict on signatures in words for people, Turkish or English."""

from __future__ import annotations

from collections.abc import Iterator
from enum import StrEnum
from typing import Any

from services.cli import output


class Language(StrEnum):
    """Of the words; identifiers and names stay as they are."""

    TR = "tr"
    EN = "en"


_WORDS = {
    "passed": ("geçerli", "valid"),
    "failed": ("geçersiz", "not valid"),
    "indeterminate": ("belirsiz", "undecided"),
    "headline-passed": (
        "GEÇERLİ: dosyadaki bütün imzalar geçerli.",
        "VALID: every signature in the file holds.",
    ),
    "headline-failed": (
        "GEÇERSİZ: bu dosyaya güvenilemez.",
        "NOT VALID: this file must not be relied on.",
    ),
    "headline-indeterminate": (
        "BELİRSİZ: geçerli de geçersiz de denemez; eksikler aşağıda.",
        "UNDECIDED: neither valid nor invalid can be said; what is missing stands below.",
    ),
    "headline-intact": (
        "DEĞİŞMEMİŞ: imzalanan içerik değişmemiş; imzalayanın kim olduğuna bakılmadı.",
        "UNCHANGED: what was signed was not altered; who signed it was not examined.",
    ),
    "intact": ("değişmemiş", "unchanged"),
    "no-signature": ("Dosyada imza bulunamadı.", "No signature was found in the file."),
    "signature": ("imza", "signature"),
    "counter-signature": ("seri imza", "counter-signature"),
    "time-stamp": ("zaman damgası", "time-stamp"),
    "result": ("sonuç", "result"),
    "who": ("kim", "who"),
    "level": ("seviye", "level"),
    "time": ("zaman", "time"),
    "proven": ("damgalı", "time-stamped"),
    "claimed": ("beyan edilen", "as the signer says"),
    "judged-at": ("incelendiği an", "when looked at"),
    "unknown": ("bilinmiyor", "unknown"),
    "why": ("Ayrıntılar:", "Details:"),
    "package": ("Paketin kendisi:", "The package itself:"),
    "differs": ("özeti tutmayan parça", "part whose digest differs"),
    "preliminary": ("ön sonuç; kesinleşme", "preliminary; final from"),
}
_INTEGRITY_ONLY = "integrity-only"
_SHOWN = ("failed", "indeterminate", "warning")


def tell(answer: dict[str, Any], language: Language) -> None:
    """Print a verdict: what came out, a row for each signature and time-stamp, and what speaks against them."""
    words = {name: pair[0 if language is Language.TR else 1] for name, pair in _WORDS.items()}
    if answer["profile"] == _INTEGRITY_ONLY:
        # Nobody may take a signature for somebody's whose certificate was not judged.
        words |= {"passed": words["intact"], "headline-passed": words["headline-intact"]}
    output.say(f"{words['headline-' + answer['verdict']]} [{answer['sub_indication'] or answer['indication']}]")
    if not answer["signatures"]:
        output.say(words["no-signature"])
    signatures = list(_numbered(answer["signatures"], "signature"))
    columns = [words[name] for name in ("signature", "result", "who", "level", "time")]
    rows = [row for number, kind, item in signatures for row in _rows(number, kind, item, words)]
    if rows:
        output.show({"rows": [dict(zip(columns, row, strict=True)) for row in rows]}, as_json=False, columns=columns)
    text = "text_tr" if language is Language.TR else "text"
    details = [line for number, _kind, item in signatures for line in _details(number, item, words, text)]
    for line in (words["why"], *details) if details else ():
        output.say(line)
    _tell_package(answer.get("package"), words, text)


def _numbered(
    signatures: list[dict[str, Any]], kind: str, above: str = ""
) -> Iterator[tuple[str, str, dict[str, Any]]]:
    for index, item in enumerate(signatures, 1):
        number = f"{above}{index}"
        yield number, kind, item
        yield from _numbered(item["counter_signatures"], "counter-signature", f"{number}.")


def _rows(number: str, kind: str, item: dict[str, Any], words: dict[str, str]) -> Iterator[tuple[str, ...]]:
    signer = item["signer"] or {}
    who = ", ".join(dict.fromkeys(filter(None, (signer.get("name"), signer.get("organisation"))))) or words["unknown"]
    part = f" {item['component']['part']}" if "component" in item else ""
    yield f"{number} {words[kind]}{part}", words[item["verdict"]], who, item["level"], _time(item["times"], words)
    for stamp in item["timestamps"]:
        made = stamp["time"] or words["unknown"]
        yield f"{number} {words['time-stamp']}", words[stamp["verdict"]], stamp["tsa"] or words["unknown"], "", made


def _time(times: dict[str, Any], words: dict[str, str]) -> str:
    for name, word in (("best", "proven"), ("claimed", "claimed"), ("judged_at", "judged-at")):
        if times[name] is not None:
            return f"{times[name]} ({words[word]})"
    return words["unknown"]


def _details(number: str, item: dict[str, Any], words: dict[str, str], text: str) -> Iterator[str]:
    for step in item["steps"]:
        if step["result"] in _SHOWN:
            yield f"  {number}: {step[text]}"
    for stamp in item["timestamps"]:
        if stamp[text]:
            yield f"  {number}: {words['time-stamp']}: {stamp[text]}"
    if item.get("maturity") == "preliminary":
        yield f"  {number}: {words['preliminary']} {item['final_after']}"


def _tell_package(package: dict[str, Any] | None, words: dict[str, str], text: str) -> None:
    if package is None:
        return
    lines = [f"  {words['differs']}: {name}" for name in package["differing_parts"]]
    lines += [f"  {fault['rule']}: {fault[text]}" for fault in package["faults"]]
    for line in (words["package"], *lines) if lines else ():
        output.say(line)

"""Rules about who signed and how, for whoever has read the certificates (eyp.md 6.6; R.72 is the signature's own verdict)."""

from __future__ import annotations

from shared.eyp.findings import Rule, Severity

LEVEL = Rule(
    "R.73.level",
    Severity.FATAL,
    "İmza ya da mühür gereken düzeyde değil: {value}.",
    "A signature or seal is below the level asked for: {value}.",
)
SIGNERS_COUNT = Rule(
    "R.75.count",
    Severity.IMPORTANT,
    "İmza dosyasındaki imzacı sayısı paketin bildirdiğinden farklı: {value}.",
    "The signature file has another number of signers than the package states: {value}.",
)
SIGNER_NAME = Rule(
    "R.75.name",
    Severity.WARNING,
    "Paketin bildirdiği imzacının sertifikası imza dosyasında yok: {value}.",
    "No certificate in the signature file names the signer the package states: {value}.",
)
SIGNING_DATE = Rule(
    "R.75.date",
    Severity.WARNING,
    "Belgenin tarihi son imzanın zaman damgasından farklı: {value}.",
    "The letter's date is not that of the last signature's time-stamp: {value}.",
)
SEAL_OWNER = Rule(
    "R.76.owner",
    Severity.IMPORTANT,
    "Mühür sertifikasının sahibi belgeyi oluşturan kurum değil: {value}.",
    "The seal's certificate does not name the institution that made the letter: {value}.",
)

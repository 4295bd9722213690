"""What refusals mean, by the bundled table and by that of the operator."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from services.kep_relay.drivers.eyws.codes import Codes, Meaning, outcome_of_failure
from services.kep_relay.drivers.eyws.failures import BusyError, CallError, FaultError, RefusalError, TruncatedError
from services.kep_relay.drivers.protocol import (
    Blocked,
    LoginRefusedError,
    OutcomeUnknown,
    PermanentFailure,
    SecondFactorNeededError,
    TemporaryFailure,
)
from shared.errors import DomainError, ErrorCode

BUNDLED = Codes.load()


@pytest.mark.parametrize(
    ("operation", "text", "meaning"),
    [
        ("KontorSorgula", "Şifre veya Parola Yanlış", Meaning.LOGIN),
        ("KontorSorgula", "SIFRE VEYA PAROLA YANLIS", Meaning.LOGIN),
        ("PaketSorgula", "ŞİFRE  VEYA\nPAROLA", Meaning.LOGIN),
        ("Yukle", "Kontörünüz yetersizdir", Meaning.CREDIT),
        ("KontorSorgula", "Kontör", None),
        ("Indir", "Güvenli giriş yapılmalıdır", Meaning.SECOND_FACTOR),
        ("Yukle", "Bilinmeyen hata", None),
    ],
)
def test_bundled_texts(operation: str, text: str, meaning: Meaning | None) -> None:
    assert BUNDLED.meaning(operation, "1", text) is meaning


def test_an_unknown_refusal_waits_for_a_person() -> None:
    outcome = BUNDLED.outcome(RefusalError("Yukle", "4711", "Anlaşılamadı"), ())
    assert outcome == Blocked(ErrorCode.PROVIDER_REFUSED, "Yukle 4711 Anlaşılamadı")
    error = BUNDLED.error(RefusalError("PaketSorgula", "4711", "Anlaşılamadı"), ())
    assert (error.code, type(error)) == (ErrorCode.PROVIDER_REFUSED, DomainError)


def test_operators_rules_come_first(tmp_path: Path) -> None:
    file = tmp_path / "codes.json"
    rules = [
        {"code": "4711", "meaning": "temporary"},
        {"operation": "Yukle", "text": "parola yanlış", "meaning": "permanent"},
        {"operation": "Yukle", "code": "9", "text": "dolu", "meaning": "busy"},
    ]
    file.write_text(json.dumps({"rules": rules}), encoding="utf-8")
    codes = Codes.load(file)
    assert codes.meaning("Yukle", "4711", "x") is Meaning.TEMPORARY
    assert codes.meaning("Yukle", "1", "Parola yanlış") is Meaning.PERMANENT
    assert codes.meaning("Indir", "1", "Parola yanlış") is Meaning.LOGIN
    assert codes.meaning("Yukle", "9", "Kutu dolu") is Meaning.BUSY
    assert codes.meaning("Yukle", "9", "boş") is None


@pytest.mark.parametrize(
    "content",
    ["", "[]", '{"rules": [{"code": "1"}]}', '{"rules": [{"code": 1, "meaning": "temporary", "extra": 1}]}',
     '{"rules": [{"meaning": "maybe", "code": "1"}]}', '{"rules": [{"text": "a", "meaning": "credit"}]}'],
)  # fmt: skip
def test_a_file_that_cannot_be_used_is_refused(tmp_path: Path, content: str) -> None:
    file = tmp_path / "codes.json"
    file.write_text(content, encoding="utf-8")
    with pytest.raises(DomainError) as caught:
        Codes.load(file)
    assert caught.value.code is ErrorCode.VALIDATION_FAILED
    with pytest.raises(DomainError):
        Codes.load(tmp_path / "missing.json")


def test_a_rule_without_conditions_fits_nothing() -> None:
    assert not any(rule.code is None and rule.text is None for rule in BUNDLED._rules)


def test_kinds_of_outcomes_and_errors(tmp_path: Path) -> None:
    file = tmp_path / "codes.json"
    meanings = (
        "temporary",
        "busy",
        "credit",
        "login",
        "second_factor",
        "permanent",
        "too_large",
        "not_found",
        "blocked",
    )
    file.write_text(json.dumps({"rules": [{"code": name, "meaning": name} for name in meanings]}), encoding="utf-8")
    codes = Codes.load(file)
    outcomes = [codes.outcome(RefusalError("Yukle", name, ""), ()) for name in meanings]
    kinds = [
        TemporaryFailure,
        TemporaryFailure,
        Blocked,
        Blocked,
        Blocked,
        PermanentFailure,
        PermanentFailure,
        Blocked,
        Blocked,
    ]
    assert [type(one) for one in outcomes] == kinds
    assert [getattr(one, "stop_account", False) for one in outcomes].index(True) == 3
    assert isinstance(codes.error(RefusalError("Indir", "login", ""), ()), LoginRefusedError)
    assert isinstance(codes.error(RefusalError("Indir", "second_factor", ""), ()), SecondFactorNeededError)


def test_secrets_are_masked_in_foreign_words() -> None:
    outcome = BUNDLED.outcome(
        RefusalError("Yukle", "1", "parola=gizli-söz tcno=12345678901"), ("gizli-söz", "12345678901")
    )
    assert isinstance(outcome, Blocked)
    assert "gizli" not in outcome.reason
    assert "12345678901" not in outcome.reason


@pytest.mark.parametrize(
    ("error", "handed_over", "kind"),
    [
        (CallError(ErrorCode.PROVIDER_UNAVAILABLE, "no route", certain=True), False, TemporaryFailure),
        (CallError(ErrorCode.PROVIDER_UNAVAILABLE, "HTTP 503", certain=True), True, TemporaryFailure),
        (CallError(ErrorCode.PROVIDER_UNAVAILABLE, "reset", certain=False), True, OutcomeUnknown),
        (CallError(ErrorCode.PROVIDER_UNAVAILABLE, "reset", certain=False), False, TemporaryFailure),
        (CallError(ErrorCode.TOO_LARGE, "HTTP 413", certain=True), True, PermanentFailure),
        (CallError(ErrorCode.PROVIDER_REFUSED, "HTTP 403", certain=True), True, Blocked),
        (TruncatedError("cut"), True, OutcomeUnknown),
        (FaultError("Server", of_client=False), True, OutcomeUnknown),
        (FaultError("Client", of_client=True), True, Blocked),
        (DomainError(ErrorCode.DURABILITY_UNAVAILABLE, "store"), False, TemporaryFailure),
        (DomainError(ErrorCode.TOO_LARGE, "answer"), True, OutcomeUnknown),
        (DomainError(ErrorCode.MAILBOX_NOT_READY, "ca file"), False, Blocked),
        (LoginRefusedError("no"), False, Blocked),
    ],
)
def test_only_what_is_certain_is_told_as_not_taken(error: DomainError, handed_over: bool, kind: type) -> None:
    assert isinstance(outcome_of_failure(error, handed_over=handed_over), kind)


def test_an_account_that_is_busy_itself_spares_no_other_account() -> None:
    outcome = outcome_of_failure(BusyError(), handed_over=False)
    assert isinstance(outcome, TemporaryFailure)
    assert (outcome.unreachable, outcome.account_only) == (True, True)


@pytest.mark.parametrize("operation", ["PaketDelilSorgula", "PaketDetayDelilSorgula"])
def test_no_evidence_may_be_told_in_words(operation: str) -> None:
    """Otherwise a letter whose answer was lost would never be found to be absent."""
    error = BUNDLED.error(RefusalError(operation, "7", "İleti bulunamadı"), ())
    assert error.code is ErrorCode.NOT_FOUND

from __future__ import annotations

import pytest
from starlette.requests import Request

from services.gateway.problem_texts import TEXTS
from services.gateway.problems import ProblemAnswers, RangeRefusedError, chosen_language, describe
from shared.contracts.problems import Problem
from shared.errors import RETRYABLE, DomainError, ErrorCode, Fault
from shared.http import STATUS


def request(headers: dict[str, str]) -> Request:
    raw = [(name.lower().encode(), value.encode()) for name, value in headers.items()]
    return Request({"type": "http", "method": "GET", "path": "/", "headers": raw, "query_string": b""})


@pytest.mark.parametrize("code", list(ErrorCode))
def test_every_code_has_status_and_texts_in_both_languages(code: ErrorCode) -> None:
    """A new code without its row is found here, not by a caller."""
    assert 400 <= STATUS[code] < 600
    text = TEXTS[code]
    assert all([text.title_tr, text.title_en, text.advice_tr, text.advice_en])
    for language in ("tr", "en"):
        problem = describe(DomainError(code, "detail"), language)  # type: ignore[arg-type]
        assert problem.type == f"/problems/{code}"
        assert problem.retryable == (code in RETRYABLE)


@pytest.mark.parametrize(
    ("header", "language"),
    [
        ("", "tr"),
        ("en", "en"),
        ("en-GB,en;q=0.9,tr;q=0.8", "en"),
        ("tr-TR,tr;q=0.9,en-US;q=0.8", "tr"),
        ("de", "tr"),
        ("de,en;q=0.1", "en"),
        ("*;q=0.5,tr;q=0.1", "en"),
        ("en;q=0", "tr"),
        ("en;q=banana,tr;q=0.1", "tr"),
        (",;,;;q=", "tr"),
    ],
)
def test_language_follows_the_callers_weights(header: str, language: str) -> None:
    assert chosen_language(header, "tr") == language


def test_the_default_language_is_a_setting() -> None:
    assert chosen_language("de", "en") == "en"


def test_an_answer_that_cannot_be_encoded_is_still_an_answer() -> None:
    """A lone surrogate in a member's name comes back in the pointer; the answer must survive it."""
    error = DomainError(ErrorCode.VALIDATION_FAILED, "bad \ud800", faults=[Fault("/body/\udfff", "no such member")])
    answer = ProblemAnswers("en")(error, request({}))
    assert Problem.model_validate_json(bytes(answer.body)).errors[0].pointer == "/body/?"


def test_headers_that_belong_to_a_code_are_set() -> None:
    answers = ProblemAnswers("tr")
    limited = answers(DomainError(ErrorCode.RATE_LIMITED, "x", retry_after_seconds=7), request({}))
    assert limited.headers["retry-after"] == "7"
    assert "Bearer" in answers(DomainError(ErrorCode.UNAUTHENTICATED, "x"), request({})).headers["www-authenticate"]
    ranged = answers(RangeRefusedError(42), request({"Accept-Language": "en"}))
    assert (ranged.status_code, ranged.headers["content-range"]) == (416, "bytes */42")
    assert ranged.headers["content-language"] == "en"


def test_no_more_than_fifty_faults_are_listed() -> None:
    error = DomainError(ErrorCode.VALIDATION_FAILED, "x", faults=[Fault(f"/{n}", "x") for n in range(500)])
    assert len(describe(error, "en").errors) == 50

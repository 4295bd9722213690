"""What each SMTP reply means at each stage."""

from __future__ import annotations

import pytest

from services.kep_relay.drivers.protocol import (
    Accepted,
    Blocked,
    OutcomeUnknown,
    PermanentFailure,
    TemporaryFailure,
)
from services.kep_relay.drivers.smtp_imap.smtp_replies import Stage, on_failure, on_reply, one_line

BEFORE_THE_DOT = [stage for stage in Stage if stage is not Stage.ANSWER]


@pytest.mark.parametrize("stage", BEFORE_THE_DOT)
def test_a_broken_link_before_the_final_dot_is_certainly_not_taken(stage: Stage) -> None:
    outcome = on_failure(stage, "reset")
    assert isinstance(outcome, TemporaryFailure)
    assert outcome.unreachable


def test_a_broken_link_after_the_final_dot_is_unknown() -> None:
    assert isinstance(on_failure(Stage.ANSWER, "reset"), OutcomeUnknown)


@pytest.mark.parametrize("stage", list(Stage))
def test_421_is_the_provider_going_away(stage: Stage) -> None:
    assert on_reply(stage, 421, "shutting down") == TemporaryFailure(
        "provider-unavailable", "421 shutting down", unreachable=True
    )


@pytest.mark.parametrize("stage", list(Stage))
@pytest.mark.parametrize("code", [450, 451, 452, 454])
def test_4xx_is_temporary_everywhere(stage: Stage, code: int) -> None:
    assert isinstance(on_reply(stage, code, "later"), TemporaryFailure)


@pytest.mark.parametrize(
    ("stage", "code", "kind", "reason_code"),
    [
        (Stage.LOGIN, 535, Blocked, "mailbox-not-ready"),
        (Stage.LOGIN, 534, Blocked, "mailbox-not-ready"),
        (Stage.CONNECT, 554, TemporaryFailure, "provider-unavailable"),
        (Stage.SENDER, 550, Blocked, "mailbox-not-ready"),
        (Stage.SENDER, 530, Blocked, "mailbox-not-ready"),
        (Stage.SENDER, 552, PermanentFailure, "too-large"),
        (Stage.RECIPIENT, 550, PermanentFailure, "provider-refused"),
        (Stage.RECIPIENT, 553, PermanentFailure, "provider-refused"),
        (Stage.DATA, 554, PermanentFailure, "provider-refused"),
        (Stage.ANSWER, 250, Accepted, None),
        (Stage.ANSWER, 251, Accepted, None),
        (Stage.ANSWER, 552, PermanentFailure, "too-large"),
        (Stage.ANSWER, 554, PermanentFailure, "provider-refused"),
        (Stage.ANSWER, 354, OutcomeUnknown, "provider-unavailable"),
        (Stage.ANSWER, -1, OutcomeUnknown, "provider-unavailable"),
    ],
)
def test_replies(stage, code, kind, reason_code) -> None:
    outcome = on_reply(stage, code, "words")
    assert isinstance(outcome, kind)
    assert getattr(outcome, "reason_code", None) == reason_code


@pytest.mark.parametrize("stage", BEFORE_THE_DOT)
def test_only_the_login_and_the_wish_for_one_stop_the_account(stage: Stage) -> None:
    stops = {code for code in range(400, 600) if getattr(on_reply(stage, code, ""), "stop_account", False)}
    if stage is Stage.LOGIN:
        assert stops == set(range(500, 600))
    elif stage is Stage.CONNECT:
        assert stops == set()
    else:
        assert stops == {530}


def test_outside_text_becomes_one_short_line() -> None:
    assert one_line("a\r\nb\x00\x1b[31m  c\u2028d") == "a b [31m c d"
    assert len(one_line("x" * 5000)) == 300


CREDIT_WORDS = ["kontör", "yetersiz bakiye", "credit"]


@pytest.mark.parametrize("stage", [Stage.SENDER, Stage.RECIPIENT, Stage.DATA, Stage.ANSWER])
@pytest.mark.parametrize(
    ("code", "text"),
    [(552, "KONTÖRÜNÜZ YETERSİZ"), (452, "YETERSİZ BAKİYE"), (550, "yetersız bakıye"), (554, "no Credit left")],
)
def test_a_refusal_for_want_of_credit_is_no_refusal_of_the_message(stage: Stage, code: int, text: str) -> None:
    outcome = on_reply(stage, code, text, credit_words=CREDIT_WORDS)
    assert isinstance(outcome, Blocked)
    assert (outcome.reason_code, outcome.stop_account) == ("kep-credit-exhausted", False)


@pytest.mark.parametrize(
    ("code", "text"), [(552, "mailbox full"), (250, "credit 12"), (421, "credit"), (354, "credit")]
)
def test_other_replies_are_not_about_credit(code: int, text: str) -> None:
    with_words = on_reply(Stage.ANSWER, code, text, credit_words=CREDIT_WORDS)
    assert with_words == on_reply(Stage.ANSWER, code, text)


def test_a_login_put_off_is_about_this_account_alone() -> None:
    outcome = on_reply(Stage.LOGIN, 454, "try later")
    assert isinstance(outcome, TemporaryFailure)
    assert outcome.account_only

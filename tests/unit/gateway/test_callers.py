from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from services.gateway.callers import Caller, Scope
from services.gateway.keys import mint_key, read_key
from services.gateway.rates import TokenBuckets
from shared.clock import FixedClock
from shared.errors import DomainError, ErrorCode


def caller(*institutions: int, scopes: tuple[Scope, ...] = ()) -> Caller:
    return Caller("ebys", "prefix", frozenset(scopes), institutions)


def test_a_minted_key_reads_back_and_hides_its_secret() -> None:
    key = mint_key()
    assert read_key(key.text) == key
    assert key.text not in repr(key)
    assert mint_key().text != key.text
    assert len(key.text) >= 60


@pytest.mark.parametrize("text", ["", "kepgw_", "kepgw_short_x", "kepgw_abcdefgh_" + "x" * 31, "x" * 5000,
                                  "kepgw_abcdefgh_" + "x" * 40 + "\n", "kepgw_abcdefgı_" + "x" * 40])  # fmt: skip
def test_what_is_not_a_key_is_refused(text: str) -> None:
    with pytest.raises(ValueError):
        read_key(text)


def test_a_foreign_institution_is_forbidden() -> None:
    with pytest.raises(DomainError) as caught:
        caller(10000001).visible(10000002)
    assert caught.value.code is ErrorCode.INSTITUTION_FORBIDDEN


def test_a_key_without_institutions_sees_nothing_rather_than_everything() -> None:
    with pytest.raises(DomainError) as caught:
        caller().visible()
    assert caught.value.code is ErrorCode.INSTITUTION_FORBIDDEN


def test_the_only_institution_may_be_left_out_but_not_one_of_several() -> None:
    assert caller(10000001).acting_for(None, "/x") == 10000001
    with pytest.raises(DomainError) as caught:
        caller(10000001, 10000002).acting_for(None, "/message/institution_no")
    assert caught.value.faults[0].pointer == "/message/institution_no"


def test_any_one_of_the_scopes_is_enough() -> None:
    reader = caller(scopes=(Scope.MESSAGES_READ,))
    reader.require([Scope.ADMIN, Scope.MESSAGES_READ])
    with pytest.raises(DomainError) as caught:
        reader.require([Scope.MESSAGES_SEND])
    assert caught.value.code is ErrorCode.SCOPE_MISSING


def test_a_bucket_empties_and_fills_again_with_time() -> None:
    clock = FixedClock(datetime(2026, 1, 1, tzinfo=UTC))
    buckets = TokenBuckets(clock, per_second=2, burst=3)
    assert [buckets.take("a") for _ in range(4)] == [0, 0, 0, 1]
    assert buckets.take("b") == 0
    clock.moment += timedelta(seconds=0.5)
    assert buckets.take("a") == 0
    assert buckets.take("a") == 1
    clock.moment -= timedelta(hours=1)
    assert buckets.take("a") == 1
    clock.moment += timedelta(hours=2)
    assert [buckets.take("a") for _ in range(4)] == [0, 0, 0, 1]


def test_slow_rates_say_how_long_to_wait() -> None:
    buckets = TokenBuckets(FixedClock(datetime(2026, 1, 1, tzinfo=UTC)), per_second=0.1, burst=1)
    assert (buckets.take("a"), buckets.take("a")) == (0, 10)

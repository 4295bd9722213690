from __future__ import annotations

import pytest

from services.kep_relay.outbound.breaker import EndpointBreaker


async def test_after_the_rest_one_at_a_time_finds_out_for_all() -> None:
    breaker = EndpointBreaker()
    breaker.failed("a:465", rest_seconds=60)
    with breaker.passing("a:465") as resting, breaker.passing("b:465") as other:
        assert (resting, other) == (False, True)
    breaker._open["a:465"].until = 0.0
    with breaker.passing("a:465") as first, breaker.passing("a:465") as second:
        assert (first, second) == (True, False)
    with breaker.passing("a:465") as next_trial:
        assert next_trial
        breaker.failed("a:465", rest_seconds=60)
    with breaker.passing("a:465") as resting:
        assert not resting
    breaker.answered("a:465")
    with breaker.passing("a:465") as first, breaker.passing("a:465") as second:
        assert first
        assert second


async def test_a_trial_that_ends_in_an_error_does_not_keep_the_circuit_open() -> None:
    breaker = EndpointBreaker()
    breaker.failed("a:465", rest_seconds=0)
    with pytest.raises(ValueError, match="x"), breaker.passing("a:465") as passes:
        assert passes
        int("x")
    with breaker.passing("a:465") as passes:
        assert passes

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from workers.pool.breaker import Breaker, BreakerState
from workers.pool.pace import InFlightLimit, Pace


def test_the_prefill_rate_is_learned_and_followed() -> None:
    pace = Pace()
    for _ in range(5):
        pace.first_token(1000, 0.5)
    assert pace.prefill_tokens_per_s == pytest.approx(2000)
    for _ in range(40):
        pace.first_token(1000, 5.0)
    assert pace.prefill_tokens_per_s == pytest.approx(200, rel=0.01)


def test_a_short_prompt_says_nothing_about_the_prefill_rate() -> None:
    pace = Pace()
    pace.first_token(10, 1.0)
    assert pace.measured_prefill is None


def test_the_step_is_a_line_over_the_batch() -> None:
    pace = Pace()
    for _ in range(50):
        for batch in (1, 4, 16):
            pace.finished(101, 100 * (0.01 + 0.001 * batch), 1.0, batch)
    assert pace.step_seconds(1) == pytest.approx(0.011, rel=0.05)
    assert pace.step_seconds(32) == pytest.approx(0.042, rel=0.05)


@given(st.lists(st.tuples(st.integers(2, 500), st.floats(1e-4, 10), st.integers(1, 64)), max_size=40))
def test_a_fuller_batch_is_never_thought_faster(calls: list[tuple[int, float, int]]) -> None:
    pace = Pace()
    for tokens, seconds, batch in calls:
        pace.finished(tokens, seconds, seconds, batch)
    steps = [pace.step_seconds(batch) for batch in (1, 2, 8, 64)]
    assert steps == sorted(steps)
    assert steps[0] > 0


def test_a_new_replica_is_thought_as_fast_as_the_others() -> None:
    common = Pace()
    measured = Pace(common)
    for _ in range(20):
        measured.first_token(1000, 0.1)
        measured.finished(50, 1.0, 1.1, 4)
    new = Pace(common)
    assert new.prefill_tokens_per_s == pytest.approx(10_000)
    assert new.step_seconds(4) == pytest.approx(measured.step_seconds(4))
    assert new.output_tokens == pytest.approx(50)


def test_the_limit_grows_only_when_it_was_reached() -> None:
    limit = InFlightLimit(4, 8)
    for _ in range(100):
        limit.coped(2)
    assert limit.value == 4
    for _ in range(100):
        limit.coped(limit.value)
    assert limit.value == 8


def test_the_limit_follows_what_the_server_runs() -> None:
    limit = InFlightLimit(64, 1024)
    limit.observed(running=16, waiting=48)
    assert limit.value == 24
    limit.observed(running=24, waiting=0)
    assert limit.value == 25


def test_refusals_shrink_the_limit_but_never_to_nothing() -> None:
    limit = InFlightLimit(64, 64)
    for _ in range(100):
        limit.refused()
    assert limit.value == 1


def test_the_breaker_opens_after_failures_in_a_row() -> None:
    breaker = Breaker(failures=3)
    assert not breaker.failed("a")
    breaker.succeeded()
    assert not breaker.failed("b")
    assert not breaker.failed("c")
    assert breaker.failed("d")
    assert breaker.state is BreakerState.OPEN
    assert breaker.reason == "d"


def test_a_failed_trial_doubles_the_delay_and_a_good_one_resets_it() -> None:
    breaker = Breaker(first_delay=1.0, longest_delay=3.0)
    assert breaker.failed("gone", fatal=True)
    for delay in (2.0, 3.0, 3.0):
        breaker.try_again()
        assert breaker.failed("still gone")
        assert breaker.delay == delay
    breaker.try_again()
    breaker.succeeded()
    assert breaker.state is BreakerState.CLOSED
    assert breaker.delay == 1.0

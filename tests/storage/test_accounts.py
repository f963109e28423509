"""The rules of accounts: rates against a plain model, budgets by period, and clocks that jump."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from fractions import Fraction

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from storage.accounts import (
    SECOND,
    Account,
    Amount,
    Limits,
    Period,
    Rate,
    Resource,
    Shortage,
    draw_all,
    hold_all,
)

NOW = 1_790_000_000 * SECOND


class Bucket:
    """A bucket that leaks at a constant rate, and overflows at ``burst``: what GCRA is another form of."""

    def __init__(self, interval: int, burst: int) -> None:
        self._interval, self._burst = interval, burst
        self._level, self._at = Fraction(0), 0

    def admits(self, now: int) -> bool:
        self._level = max(Fraction(0), self._level - Fraction(now - self._at, self._interval))
        self._at = now
        if self._level + 1 > self._burst:
            return False
        self._level += 1
        return True


@given(
    st.floats(0.001, 1_000_000),
    st.integers(1, 5),
    st.lists(st.tuples(st.integers(0, 6), st.integers(-1, 1)), max_size=40),
)
@example(1.0, 1, [(0, 0), (4, 0), (4, -1), (4, 1)])
def test_rate_admits_what_a_leaking_bucket_admits(
    rate: float, burst: int, gaps: list[tuple[int, int]]
) -> None:
    """Gaps are quarters of the interval, give or take a nanosecond: at the edge, one of them decides."""
    account = Account("key:a", Limits(rate=rate, burst=burst))
    bucket, now = Bucket(account.limits.interval, burst), NOW
    for quarters, nudge in gaps:
        now = max(now, now + quarters * account.limits.interval // 4 + nudge)
        account, found = account.draw(now)
        assert isinstance(found, Rate) == bucket.admits(now)
        if isinstance(found, Shortage):
            assert found.retry_after is not None
            wait = round(found.retry_after * SECOND)
            assert isinstance(account.draw(now + wait + 1)[1], Rate)
            if wait > 1:
                assert isinstance(account.draw(now + wait - 2)[1], Shortage)


def test_burst_comes_at_once_and_then_the_rate_holds() -> None:
    account = Account("key:a", Limits(rate=2.0, burst=3))
    left = []
    for _ in range(4):
        account, found = account.draw(NOW)
        left.append(found)
    assert left == [
        Rate(3, 2, 0.5),
        Rate(3, 1, 1.0),
        Rate(3, 0, 1.5),
        Shortage("key:a", Resource.RATE, limit=3, used=3, retry_after=0.5),
    ]
    assert isinstance(account.draw(NOW + SECOND // 2 - 1)[1], Shortage)
    assert isinstance(account.draw(NOW + SECOND // 2)[1], Rate)


@given(st.integers(1, 10 * 365 * 86_400))
def test_clock_that_is_set_back_locks_nobody_out_and_gives_no_second_burst(seconds: int) -> None:
    account = Account("key:a", Limits(rate=1.0, burst=2))
    account, _ = account.draw(NOW)
    account, _ = account.draw(NOW)
    earlier = NOW - seconds * SECOND
    account, found = account.draw(earlier)
    assert found == Shortage("key:a", Resource.RATE, limit=2, used=2, retry_after=1.0)
    account, found = account.draw(earlier + SECOND)
    assert isinstance(found, Rate)
    assert isinstance(account.draw(earlier + SECOND)[1], Shortage)


def test_clock_that_is_set_forward_gives_no_more_than_the_burst() -> None:
    account = Account("key:a", Limits(rate=1.0, burst=2))
    for _ in range(2):
        account, _ = account.draw(NOW)
    later = NOW + 10**9 * SECOND
    admitted = 0
    for _ in range(5):
        account, found = account.draw(later)
        admitted += isinstance(found, Rate)
    assert admitted == 2


def test_request_is_counted_on_all_accounts_or_on_none() -> None:
    accounts = {
        "key:a": Account("key:a", Limits(rate=1.0, burst=5)),
        "tenant:t": Account("tenant:t", Limits(rate=1.0, burst=2)),
        "key:free": Account("key:free", Limits(concurrency=1)),
    }
    names = ("key:a", "tenant:t", "key:free", "key:unknown")
    found = [draw_all(accounts, names, NOW) for _ in range(3)]
    assert found[:2] == [Rate(2, 1, 1.0), Rate(2, 0, 2.0)]
    assert isinstance(found[2], Shortage)
    assert found[2].account == "tenant:t"
    assert accounts["key:a"].arrival == NOW + 2 * SECOND  # the third one took nothing
    assert draw_all(accounts, ("key:free",), NOW) is None


def test_budget_counts_what_is_spent_and_what_is_reserved() -> None:
    account = Account("key:a", Limits(tokens=100, cost=1_000, period=Period.DAY))
    now = NOW / SECOND
    held = account.hold(Amount(60, 10), now)
    assert isinstance(held, Account)
    assert held.hold(Amount(41, 0), now) == Shortage(
        "key:a", Resource.TOKENS, 100, 60, 41, retry_after=Period.DAY.seconds_left(now)
    )
    assert isinstance(held.hold(Amount(40, 991), now), Shortage)
    settled = held.release(Amount(60, 10)).charge(Amount(25, 4), now)
    assert (settled.held, settled.reserved, settled.spent) == (0, Amount(), Amount(25, 4))
    assert isinstance(settled.hold(Amount(75, 996), now), Account)


def test_concurrency_is_the_number_of_tasks_that_hold_something() -> None:
    accounts = {"tenant:t": Account("tenant:t", Limits(concurrency=1)), "key:a": Account("key:a")}
    assert hold_all(accounts, ("key:a", "tenant:t"), Amount(5), 0.0) == ("tenant:t",)
    found = hold_all(accounts, ("key:a", "tenant:t"), Amount(5), 0.0)
    assert found == Shortage("tenant:t", Resource.CONCURRENCY, 1, 1)
    assert accounts["key:a"] == Account("key:a")


@pytest.mark.parametrize(
    ("period", "next_one"),
    [
        (Period.DAY, datetime(2026, 12, 31, tzinfo=UTC)),
        (Period.MONTH, datetime(2027, 1, 1, tzinfo=UTC)),
    ],
)
def test_budget_is_full_again_in_the_next_period(period: Period, next_one: datetime) -> None:
    begin = datetime(2026, 12, 30, 23, 59, 59, tzinfo=UTC).timestamp()
    account = replace(Account("key:a", Limits(tokens=10, period=period)), period=period.number(begin))
    account = account.charge(Amount(10), begin)
    short = account.hold(Amount(1), begin)
    assert isinstance(short, Shortage)
    assert short.retry_after is not None
    assert begin + short.retry_after == next_one.timestamp()
    assert isinstance(account.hold(Amount(1), next_one.timestamp() - 1e-3), Shortage)
    fresh = account.hold(Amount(10), next_one.timestamp())
    assert isinstance(fresh, Account)
    assert isinstance(fresh.hold(Amount(1), begin), Shortage), (
        "a clock that was set back brings no old period"
    )


def test_total_budget_never_returns() -> None:
    account = Account("key:a", Limits(tokens=10)).charge(Amount(10), 0.0)
    assert account.hold(Amount(1), 1e11) == Shortage("key:a", Resource.TOKENS, 10, 10, 1, retry_after=None)


def test_other_period_begins_with_what_is_spent() -> None:
    now = NOW / SECOND
    account = Account("key:a", Limits(tokens=10, period=Period.MONTH)).charge(Amount(7), now)
    daily = account.limited(Limits(tokens=10, period=Period.DAY), now)
    assert daily.spent == Amount(7)
    assert daily.at(now + 86_400).spent == Amount()
    assert account.limited(Limits(tokens=5, period=Period.MONTH), now).spent == Amount(7)


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ({"rate": 0.0}, "rate: 0.0"),
        ({"rate": float("nan")}, "rate: nan"),
        ({"rate": 2e6}, "rate: 2000000.0"),
        ({"burst": 3}, "burst: it needs a rate"),
        ({"rate": 1.0, "burst": 0}, "burst: 0"),
        ({"concurrency": 0}, "concurrency: 0"),
        ({"tokens": -1}, "tokens: -1"),
        ({"cost": 2**53 + 1}, "cost: 9007199254740993"),
        ({"task_tokens": 0}, "task_tokens: 0"),
    ],
)
def test_limit_out_of_range_is_told(given: dict[str, float], told: str) -> None:
    with pytest.raises(ValueError, match=told):
        Limits(**given)  # type: ignore[arg-type]

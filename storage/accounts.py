"""Accounts, as values: what a key or a tenant may use, what it has used, and the rules of drawing on it.

The rules are pure functions of an account and a time, so that every store admits exactly the same. Times of
rates are whole nanoseconds since the epoch and costs are whole millionths of a currency unit, because sums of
fractions would depend on their order.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import Self

SECOND = 1_000_000_000
"""In nanoseconds."""

SLOWEST, FASTEST = 0.001, 1_000_000.0
"""The rates that a limit may have, in requests per second."""

MOST = 2**53
"""The most tokens, or millionths of a currency unit, of a budget; below it, JSON is exact."""

FULL = 2**62
"""Where an account stops counting what is spent; every database can store it."""


class Period(StrEnum):
    """How long a budget lasts. Days and months are those of UTC; what was not used is not carried over."""

    DAY = "day"
    MONTH = "month"
    TOTAL = "total"

    def number(self, now: float) -> int:
        """The number of the period in which ``now`` is, in seconds since the epoch; it never shrinks."""
        if self is Period.TOTAL:
            return 0
        if self is Period.DAY:
            return int(now // 86_400)
        at = datetime.fromtimestamp(now, UTC)
        return 12 * at.year + at.month

    def seconds_left(self, now: float) -> float | None:
        """Seconds until the next period begins; None if there is no next one."""
        if self is Period.TOTAL:
            return None
        if self is Period.DAY:
            return 86_400 - now % 86_400
        at = datetime.fromtimestamp(now, UTC)
        first = at.replace(day=1, hour=0, minute=0, second=0, microsecond=0)
        return ((first + timedelta(days=32)).replace(day=1) - at).total_seconds()


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """What an account may use; None: as much as there is.

    ``rate`` is in requests per second, and up to ``burst`` of them may come at once (by default, those of a
    second). ``concurrency`` counts tasks that wait or run. ``tokens`` (prompt and completion) and ``cost``
    (millionths of a currency unit) are budgets for each ``period``. ``task_tokens`` is the most that one task
    may ask for.

    Raises:
        ValueError: one of them is out of range; says which, and what would be right.
    """

    rate: float | None = None
    burst: int | None = None
    concurrency: int | None = None
    tokens: int | None = None
    cost: int | None = None
    period: Period = Period.TOTAL
    task_tokens: int | None = None

    def __post_init__(self) -> None:
        if self.rate is None:
            if self.burst is not None:
                raise ValueError("burst: it needs a rate beside it")
        elif not SLOWEST <= self.rate <= FASTEST:  # also if it is no number
            raise ValueError(f"rate: {self.rate} is not from {SLOWEST} to {FASTEST:,.0f} requests per second")
        elif self.burst is None:
            object.__setattr__(self, "burst", max(1, math.ceil(self.rate)))
        for name, most in _MOST.items():
            value = getattr(self, name)
            if value is not None and not 1 <= value <= most:
                raise ValueError(f"{name}: {value} is not from 1 to {most:,}")

    @property
    def interval(self) -> int:
        """Nanoseconds between two requests at the full rate."""
        assert self.rate is not None
        return max(1, round(SECOND / self.rate))

    @property
    def any(self) -> bool:
        """Whether anything is limited."""
        return self.rate is not None or self.task_tokens is not None or self.holding

    @property
    def holding(self) -> bool:
        """Whether something is limited that a task holds until it ends."""
        return self.concurrency is not None or self.budgeted

    @property
    def budgeted(self) -> bool:
        """Whether tokens or cost have a budget."""
        return self.tokens is not None or self.cost is not None


_MOST = {
    "burst": 1_000_000,
    "concurrency": 1_000_000,
    "tokens": MOST,
    "cost": MOST,
    "task_tokens": MOST,
}


@dataclass(frozen=True, slots=True)
class Amount:
    """Tokens, and what they cost in millionths of a currency unit."""

    tokens: int = 0
    cost: int = 0

    def __add__(self, other: Amount) -> Amount:
        return Amount(self.tokens + other.tokens, self.cost + other.cost)

    def __sub__(self, other: Amount) -> Amount:
        return Amount(self.tokens - other.tokens, self.cost - other.cost)


class Resource(StrEnum):
    """What an account can be short of."""

    RATE = "rate"
    CONCURRENCY = "concurrency"
    TOKENS = "tokens"
    COST = "cost"


@dataclass(frozen=True, slots=True)
class Shortage:
    """Why an account gives nothing: ``wanted`` more beside what is ``used`` would exceed its ``limit``.

    ``retry_after`` is in seconds; None where waiting alone does not help, or nobody knows how long.
    """

    account: str
    resource: Resource
    limit: int
    used: int
    wanted: int = 1
    retry_after: float | None = None


@dataclass(frozen=True, slots=True)
class Rate:
    """How much of a rate limit is left: of ``limit`` requests, which are all there in ``reset`` seconds."""

    limit: int
    remaining: int
    reset: float


@dataclass(frozen=True, slots=True)
class Account:
    """What a key or a tenant may use, and has used.

    ``arrival`` is the theoretical arrival time of GCRA: when the next request would come if all had come at
    the full rate. ``held`` is the number of tasks that have reserved something and not ended, ``reserved``
    what they may still spend, and ``spent`` what was spent in the period with the number ``period``.
    """

    name: str
    limits: Limits = field(default_factory=Limits)
    arrival: int = 0
    held: int = 0
    reserved: Amount = Amount()
    spent: Amount = Amount()
    period: int = 0

    def draw(self, now: int) -> tuple[Self, Rate | Shortage]:
        """Admit a request at ``now`` (nanoseconds), or say when one could be admitted; and what is left then.

        A clock that was set back locks nobody out: the account then counts as just used up.
        """
        interval, burst = self.limits.interval, self.limits.burst or 1
        end = now + burst * interval
        arrival = min(max(self.arrival, now), end)
        room = (end - arrival) // interval
        if room < 1:
            late = arrival + interval - end
            kept = replace(self, arrival=min(self.arrival, end))
            return kept, Shortage(self.name, Resource.RATE, burst, burst - room, retry_after=late / SECOND)
        arrival += interval
        return replace(self, arrival=arrival), Rate(burst, room - 1, (arrival - now) / SECOND)

    def hold(self, amount: Amount, now: float) -> Self | Shortage:
        """Reserve ``amount`` for one task at ``now`` (seconds), or say what there is too little of."""
        now_in = self.at(now)
        limits, taken = self.limits, now_in.reserved + now_in.spent
        left = limits.period.seconds_left(now)
        if limits.concurrency is not None and self.held >= limits.concurrency:
            return Shortage(self.name, Resource.CONCURRENCY, limits.concurrency, self.held)
        if limits.tokens is not None and taken.tokens + amount.tokens > limits.tokens:
            return Shortage(
                self.name, Resource.TOKENS, limits.tokens, taken.tokens, amount.tokens, retry_after=left
            )
        if limits.cost is not None and taken.cost + amount.cost > limits.cost:
            return Shortage(self.name, Resource.COST, limits.cost, taken.cost, amount.cost, retry_after=left)
        return replace(now_in, held=self.held + 1, reserved=self.reserved + amount)

    def release(self, amount: Amount) -> Self:
        """Give back what one task has reserved."""
        return replace(self, held=self.held - 1, reserved=self.reserved - amount)

    def charge(self, amount: Amount, now: float) -> Self:
        """Count ``amount`` as spent at ``now`` (seconds); a negative one corrects an earlier charge."""
        now_in = self.at(now)
        spent = now_in.spent + amount
        return replace(
            now_in, spent=Amount(*(min(max(0, each), FULL) for each in (spent.tokens, spent.cost)))
        )

    def limited(self, limits: Limits, now: float) -> Self:
        """The account with other limits; what it has used stays, as of the period in which ``now`` is."""
        if limits.period is self.limits.period:
            return replace(self, limits=limits)
        return replace(self.at(now), limits=limits, period=limits.period.number(now))

    def at(self, now: float) -> Self:
        """The account in the period of ``now``; a clock that was set back does not bring an old one again."""
        number = self.limits.period.number(now)
        return self if number <= self.period else replace(self, period=number, spent=Amount())


def draw_all(accounts: dict[str, Account], names: tuple[str, ...], now: int) -> Rate | Shortage | None:
    """Admit a request on all the accounts with a rate among ``names``, or on none; changes ``accounts``.

    Returns how much is left where that is least, None if none has a rate.
    """
    drawn: dict[str, Account] = {}
    least: Rate | None = None
    for name in names:
        account = accounts.get(name)
        if account is None or account.limits.rate is None:
            continue
        left, found = account.draw(now)
        if isinstance(found, Shortage):
            accounts[name] = left
            return found
        drawn[name] = left
        if least is None or (found.remaining, -found.reset) < (least.remaining, -least.reset):
            least = found
    accounts.update(drawn)
    return least


def hold_all(
    accounts: dict[str, Account], names: tuple[str, ...], amount: Amount, now: float
) -> tuple[str, ...] | Shortage:
    """Reserve on all the accounts with such limits among ``names``, or on none; changes ``accounts``.

    Returns the names of those on which it is reserved.
    """
    held: dict[str, Account] = {}
    for name in names:
        account = accounts.get(name)
        if account is None or not account.limits.holding:
            continue
        found = account.hold(amount, now)
        if isinstance(found, Shortage):
            return found
        held[name] = found
    accounts.update(held)
    return tuple(held)

"""The errors of a caller who asks for more than its key or its tenant may have."""

from __future__ import annotations

from orchestrator.errors import AnabranchError
from storage.accounts import MOST, Rate, Resource, Shortage

RETRY_SECONDS = 1.0
"""When to ask again for what becomes free at a time that nobody knows."""


class RateLimited(AnabranchError):
    """More requests than the key or its tenant may make. ``rate`` is what the headers tell."""

    code = "rate_limited"
    http_status = 429
    retryable = True

    def __init__(self, message: str, *, retry_after: float, rate: Rate) -> None:
        super().__init__(message)
        self.retry_after = retry_after
        self.rate = rate


class TooManyTasks(AnabranchError):
    """As many tasks of the key or its tenant wait and run as may; one has to end first."""

    code = "too_many_tasks"
    http_status = 429
    retryable = True

    def __init__(self, message: str) -> None:
        super().__init__(message)
        self.retry_after = RETRY_SECONDS


class QuotaExhausted(AnabranchError):
    """The budget of the key or its tenant has too little left for the task.

    ``retry_after`` is the time until the next period; other tasks may end with less than they had reserved
    before. Without a next period it is not retryable.
    """

    code = "quota_exhausted"
    http_status = 429

    def __init__(self, message: str, *, retry_after: float | None) -> None:
        super().__init__(message)
        self.retry_after = retry_after
        self.retryable = retry_after is not None


def refusal(shortage: Shortage) -> AnabranchError:
    """The error that says what there is too little of."""
    kind, _, name = shortage.account.partition(":")
    whose = f"the {kind} {name!r}"
    match shortage.resource:
        case Resource.RATE:
            after = shortage.retry_after or 0.0
            return RateLimited(
                f"{whose} may make {shortage.limit} requests at once, and the next in {after:.3g} s",
                retry_after=after,
                rate=Rate(shortage.limit, 0, after),
            )
        case Resource.CONCURRENCY:
            return TooManyTasks(
                f"{shortage.used} tasks of {whose} wait or run, and no more than {shortage.limit} may"
            )
        case Resource.TOKENS | Resource.COST:
            money = shortage.resource is Resource.COST
            wanted, used, limit = (
                f"{amount / 1e6:,.6g}" if money else f"{amount:,}"
                for amount in (shortage.wanted, shortage.used, min(shortage.limit, MOST))
            )
            what = "of its cost budget" if money else "tokens of its budget"
            return QuotaExhausted(
                f"the task may take {wanted} {what}, but {whose} has spent or reserved {used} of {limit}; "
                "a smaller `budget.tokens` needs less",
                retry_after=shortage.retry_after,
            )

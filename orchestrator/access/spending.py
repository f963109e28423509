"""How many tokens a task may take, how many it took, and what that costs."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass

from orchestrator.errors import AnabranchError, InvalidRequest
from storage.accounts import MOST, Amount, Limits
from storage.events import EventType
from storage.store import Store

TASK_TOKENS = 100_000
"""What a task on a budget is bounded to if neither its request nor its key says anything."""


class NoPrices(AnabranchError):
    """A budget is in money, but this process does not know what tokens cost."""

    code = "no_prices"
    http_status = 503


@dataclass(frozen=True, slots=True)
class Tokens:
    """Tokens of prompts and of completions."""

    prompt: int = 0
    completion: int = 0


@dataclass(frozen=True, slots=True)
class Prices:
    """What a million tokens cost, in units of the currency of the budgets; so a token costs millionths."""

    prompt: float = 0.0
    completion: float = 0.0

    @property
    def known(self) -> bool:
        """Whether anything costs something."""
        return self.prompt > 0 or self.completion > 0

    def of(self, tokens: Tokens) -> Amount:
        """Tokens with what they cost; a part of a millionth is rounded up."""
        prompt, completion = min(tokens.prompt, MOST), min(tokens.completion, MOST)
        return _amount(prompt + completion, prompt * self.prompt + completion * self.completion)

    def most(self, tokens: int) -> Amount:
        """The most that so many tokens can cost."""
        tokens = min(tokens, MOST)
        return _amount(tokens, tokens * max(self.prompt, self.completion))


def _amount(tokens: int, cost: float) -> Amount:
    """An amount that can be stored, whatever a request asks for or an engine reports."""
    return Amount(min(tokens, MOST), math.ceil(min(cost, MOST + 1)))


def bound_of(asked: int | None, limits: Iterable[Limits]) -> int | None:
    """The most tokens that a task may take which asks for ``asked``; None if nothing bounds them.

    Raises:
        InvalidRequest: it asks for more than it may ever have.
    """
    bounds, defaults = [], []
    for each in limits:
        if most := each.task_tokens or each.tokens:
            bounds.append(most)
        if each.task_tokens is not None:
            defaults.append(each.task_tokens)
        elif each.budgeted:
            defaults.append(TASK_TOKENS)
    if asked is None:
        return min([*bounds, *defaults], default=None)
    if asked > (most := min(bounds, default=asked)):
        raise InvalidRequest(
            f"budget.tokens: it is {asked:,}, but a task of this key and its tenant may take at most {most:,}"
        )
    return asked


async def tokens_of(store: Store, task_id: str) -> Tokens:
    """What a task has used so far, by its journal; calls that were in flight at a crash are not in it.

    Raises:
        TaskNotFound: there is no such task.
        JournalDamaged: its journal cannot be read.
    """
    prompt = completion = 0
    async for event in store.read(task_id):
        if event.type is EventType.NODE_SETTLED and isinstance(usage := event.data.get("usage"), dict):
            prompt += _count(usage.get("prompt_tokens"))
            completion += _count(usage.get("completion_tokens"))
    return Tokens(prompt, completion)


def _count(value: object) -> int:
    """A number of tokens; what is none counts as 0."""
    return value if isinstance(value, int) and value > 0 else 0

"""Which ways of solving there are, and which of them suit a question, by what the model thinks of each."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from orchestrator.planning.run import Run
from orchestrator.runtime.nodes import Succeeded
from orchestrator.runtime.values import Question
from planners.questions import set_task, slot
from planners.strategies.scores import score_in, scoring

POOL: Final = (
    "direct: write down what is given and what is asked, then work out one thing after the other.",
    "equations: name what is unknown, turn each statement into an equation, and solve them.",
    "backwards: begin with what is asked, and see at each step what it takes to know that.",
    "cases: split the problem into cases that leave nothing out and do not overlap, and settle each.",
    "elimination: list what could be the answer, and rule out what breaks a condition.",
    "simpler first: solve a smaller problem of the same form, and carry over what works there.",
    "pattern: work out the first few instances, find the rule behind them, and check that rule.",
    "invariants: look for what stays the same whatever happens, such as parity, a remainder or a sum.",
    "picture: put places, sizes or times on axes, and reason about distances and areas.",
    "bounds: find out how small and how large the answer can be, and narrow that down.",
    "contradiction: suppose that the answer were another one, and look for what becomes impossible.",
    "regrouping: rename, rescale or rearrange the parts until the problem has a form that is known.",
)
"""The ways of solving that are tried unless others are given. What comes before the colon is a name."""

RATE = (
    "How well does the strategy below suit this question? Do not solve it. Reply with one digit, from 0 for "
    "useless to 9 for the best there is.\n"
)

_LONGEST_NAME: Final = 40


def name_of(strategy: str) -> str:
    """What a strategy is called in the trace."""
    return strategy.partition(":")[0].strip()[:_LONGEST_NAME]


async def selected(run: Run, question: Question, pool: Sequence[str], n: int, role: str) -> list[str]:
    """The ``n`` strategies that the model scores highest, best first; of equal ones, the first in the pool.

    A strategy whose score cannot be read comes last. Nothing is asked if the pool has no more than ``n``, or
    if the calls that are left would not do for that and for a path each.
    """
    calls = run.budget.calls
    why = ""
    if len(pool) <= n:
        why = "there are no more"
    elif calls is not None and calls < len(pool) + n:
        why = f"{calls} calls are left, too few to rate {len(pool)} strategies"
    if why:
        chosen = list(pool[:n])
        run.decide("selection", "in their order", {"reason": why, "chosen": [*map(name_of, chosen)]})
        return chosen
    rated = [
        run.generate(
            set_task(question, RATE, slot("strategy", strategy)),
            label=f"rate {name_of(strategy)}",
            role=role,
            **scoring(run),
        )
        for strategy in pool
    ]
    outcomes = await run.outcomes(rated)
    scores = [score_in(each.value) if isinstance(each, Succeeded) else None for each in outcomes]
    order = sorted(range(len(pool)), key=lambda at: (scores[at] is None, -(scores[at] or 0.0)))
    chosen = [pool[at] for at in order[:n]]
    told = [None if score is None else round(score, 3) for score in scores]
    run.decide(
        "selection",
        "in their order" if not any(score is not None for score in scores) else "by score",
        {
            "strategies": [*map(name_of, pool)],
            "scores": told,
            "chosen": [*map(name_of, chosen)],
        },
    )
    return chosen

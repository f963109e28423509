"""Judging pairs of claims with methods that cost a call: mathematics, entailment, a model as judge.

The calls are nodes of the vote, so verdicts are recorded and a replay makes none. What the answers of a judge
mean is decided in :mod:`orchestrator.consensus.judgement`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal

from orchestrator.consensus.equivalence import Costly, Pair
from orchestrator.consensus.judgement import NEUTRAL_PAIR, judge_text, judged_same, log_odds, same_meaning
from orchestrator.messages import user
from orchestrator.nodes import Node, Outcome, Succeeded
from orchestrator.symbolic import MATH_EQUAL
from workers.calls import Completion

if TYPE_CHECKING:
    from orchestrator.run import Run

Judge = Literal["none", "model", "nli"]
"""Who compares claims in free text: nobody (they differ unless they read alike), a model of the pool by its
log-odds of yes, which needs an engine with log-probabilities, or an entailment model (extra ``nli``)."""


def methods(run: Run, judge: Judge) -> tuple[Costly, ...]:
    """The costly methods that a vote can have run."""
    symbolic: tuple[Costly, ...] = ("symbolic",) if run.symbolic else ()
    return symbolic if judge == "none" else (*symbolic, "semantic")


class Judging:
    """Verdicts for one vote. The judge's bias is measured once, when it is first asked."""

    def __init__(self, run: Run, question: str, judge: Judge) -> None:
        self._run = run
        self._question = question
        self._judge = judge
        self._bias: float | None = None

    async def verdicts(self, pairs: Sequence[Pair]) -> Mapping[Pair, bool]:
        """Whether each pair means the same. What cannot be judged does not: a wrong yes makes a majority."""
        asked = {pair: self._ask(pair) for pair in pairs}
        if self._judge == "model" and self._bias is None and any(pair.method == "semantic" for pair in pairs):
            leanings = await self._run.outcomes([self._compare(*NEUTRAL_PAIR)])
            self._bias = _log_odds(leanings[0])
        return {pair: self._verdict(pair, await self._run.outcomes(nodes)) for pair, nodes in asked.items()}

    def _ask(self, pair: Pair) -> list[Node[Any]]:
        """The calls that judge a pair: one for mathematics, one for each direction of a meaning."""
        if pair.method == "symbolic":
            return [self._run.tool(MATH_EQUAL, {"left": pair.left, "right": pair.right})]
        directions = ((pair.left, pair.right), (pair.right, pair.left))
        if self._judge == "nli":
            claims = [[f"{self._question} {claim}" for claim in direction] for direction in directions]
            return [self._run.tool("entailment", {"premise": a, "hypothesis": b}) for a, b in claims]
        return [self._compare(left, right) for left, right in directions]

    def _compare(self, left: str, right: str) -> Node[Completion]:
        return self._run.generate(
            [user(*judge_text(self._question, left, right))],
            label="judge",
            role="judge",
            temperature=0.0,
            max_tokens=1,
            top_logprobs=20,
        )

    def _verdict(self, pair: Pair, outcomes: Sequence[Outcome[Any]]) -> bool:
        if pair.method == "semantic" and self._judge == "model":
            forward, backward = (_log_odds(outcome) for outcome in outcomes)
            return judged_same(forward, backward, self._bias)
        values = [outcome.value for outcome in outcomes if isinstance(outcome, Succeeded)]
        if len(values) < len(outcomes):
            return False
        return values[0] is True if pair.method == "symbolic" else same_meaning(*values)


def _log_odds(outcome: Outcome[Completion]) -> float | None:
    """Of yes against no in the first token that a judge says; None if it failed or does not tell."""
    if not isinstance(outcome, Succeeded) or not outcome.value.logprobs:
        return None
    first = outcome.value.logprobs[0]
    return log_odds({first.token: first.logprob, **first.top})

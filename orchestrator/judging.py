"""Judging pairs of claims with methods that cost a call: mathematics, a model as judge, entailment."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal

from orchestrator.consensus.equivalence import Costly, Pair
from orchestrator.messages import Message, system, user
from orchestrator.nodes import Node, Outcome, Succeeded
from orchestrator.symbolic import MATH_EQUAL
from workers.calls import Completion

if TYPE_CHECKING:
    from orchestrator.run import Run

Judge = Literal["none", "model", "nli"]
"""Who compares claims in free text: nobody (they differ unless they read alike), a model of the pool by the
log-probabilities of yes and no, or an entailment model (extra ``nli``)."""

INSTRUCTIONS = (
    "Two people answered the same question. Say Yes if their answers mean the same, and No if they differ in "
    "what they claim.\n\n"
    "Question: Who wrote Faust?\nAnswer 1: Goethe\nAnswer 2: Johann Wolfgang von Goethe\nSame: Yes\n\n"
    "Question: Who wrote Faust?\nAnswer 1: Goethe\nAnswer 2: Friedrich Schiller\nSame: No\n\n"
    "Question: Is the bridge open?\nAnswer 1: it is closed\nAnswer 2: no\nSame: Yes\n\n"
    "Question: Is the bridge open?\nAnswer 1: it is closed\nAnswer 2: it opened today\nSame: No"
)
NEUTRAL = ("this answer", "that answer")
"""Two answers that say nothing; what the judge makes of them is its bias, not a judgement."""


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
        """Whether each pair means the same; a pair that could not be judged is left out."""
        asked = {pair: self._ask(pair) for pair in pairs}
        if self._judge == "model" and self._bias is None and any(pair.method == "semantic" for pair in pairs):
            self._bias = await self._measure_bias()
        verdicts: dict[Pair, bool] = {}
        for pair, nodes in asked.items():
            verdict = self._verdict(pair, await self._run.outcomes(nodes))
            if verdict is not None:
                verdicts[pair] = verdict
        return verdicts

    def _ask(self, pair: Pair) -> list[Node[Any]]:
        """The calls that judge a pair: one for mathematics, one for each direction of a meaning."""
        if pair.method == "symbolic":
            return [self._run.tool(MATH_EQUAL, {"left": pair.left, "right": pair.right})]
        directions = ((pair.left, pair.right), (pair.right, pair.left))
        if self._judge == "nli":
            premises = [
                (f"{self._question} {first}", f"{self._question} {then}") for first, then in directions
            ]
            return [self._run.tool("entails", {"premise": a, "hypothesis": b}) for a, b in premises]
        return [self._compare(first, then) for first, then in directions]

    def _compare(self, first: str, then: str) -> Node[Completion]:
        return self._run.generate(
            comparison(self._question, first, then),
            label="judge",
            role="judge",
            temperature=0.0,
            max_tokens=1,
            top_logprobs=20 if self._run.capabilities.logprobs else None,
        )

    async def _measure_bias(self) -> float:
        """How far the judge leans to yes when there is nothing to judge (contextual calibration)."""
        outcomes = await self._run.outcomes([self._compare(*NEUTRAL), self._compare(*reversed(NEUTRAL))])
        leanings = [yes_margin(outcome.value) for outcome in outcomes if isinstance(outcome, Succeeded)]
        return sum(leanings) / len(leanings) if leanings else 0.0

    def _verdict(self, pair: Pair, outcomes: Sequence[Outcome[Any]]) -> bool | None:
        values = [outcome.value for outcome in outcomes if isinstance(outcome, Succeeded)]
        if len(values) < len(outcomes):
            return None
        if pair.method == "symbolic" or self._judge == "nli":
            return all(value is True for value in values)  # entailment must hold in both directions
        margins = [yes_margin(value) for value in values]
        return sum(margins) / len(margins) > (self._bias or 0.0)


def comparison(question: str, first: str, then: str) -> list[Message]:
    """The prompt of a judge; all but the answers is shared by the pairs of a vote."""
    return [
        system(INSTRUCTIONS),
        user(f"Question: {question}\n", f"Answer 1: {first}\nAnswer 2: {then}\nSame:"),
    ]


def yes_margin(completion: Completion) -> float:
    """ln P(yes) - ln P(no) of the first token; from the text alone where there are no log-probabilities."""
    if not completion.logprobs:
        word = completion.text.strip().casefold()
        return 1.0 if word.startswith("yes") else -1.0
    top = dict(completion.logprobs[0].top)
    top.setdefault(completion.logprobs[0].token, completion.logprobs[0].logprob)
    floor = min(top.values())  # a word that is not among the most probable is at most as probable as the last

    def mass(word: str) -> float:
        found = [math.exp(value) for token, value in top.items() if token.strip().casefold() == word]
        return math.log(sum(found)) if found else floor

    return mass("yes") - mass("no")

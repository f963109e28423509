"""Judging claims with methods that cost a call: mathematics, entailment, a model as judge, running programs.

The calls are nodes of the vote, so their verdicts are recorded and a replay makes no calls. What a judge's
replies mean is decided in :mod:`orchestrator.consensus.judgement`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, Literal

from orchestrator.consensus.equivalence import Costly, Pair, canonical
from orchestrator.consensus.extraction import Claim
from orchestrator.consensus.judgement import NEUTRAL_PAIR, affirms, judge_prompt, log_odds
from orchestrator.errors import InvalidRequest
from orchestrator.runtime.nodes import Node, Outcome, Succeeded
from orchestrator.runtime.verbs import Verbs
from orchestrator.voting.symbolic import MATH_EQUAL
from workers.calls import Completion
from workers.tools.tool import Tool
from workers.tools.toolbox import ENTAILMENT

Judge = Literal["none", "model", "nli"]
"""Who compares claims in free text: nobody (they differ unless they read alike), a model of the pool by its
log-odds of yes, which needs an engine with log-probabilities, or an entailment model (extra ``nli``)."""


def check_judges(
    run: Verbs, judge: Judge, outputs: str | Tool | None = None, verifier: str | Tool | None = None
) -> None:
    """Check that a vote can have its claims judged in this way.

    ``outputs`` is a tool whose first argument is a program and whose result, in JSON, is what the program
    outputs for inputs of the tool's choice. It runs what a model has written; isolating that is up to it.

    Raises:
        InvalidRequest: says what is missing.
    """
    if judge == "nli" and not run.entails:
        raise InvalidRequest(
            "judge nli needs an entailment model: install the extra with pip install 'anabranch[nli]', and "
            "name a model in ANABRANCH_NLI, or give a tool that is called entailment"
        )
    if judge == "model" and not run.capabilities.logprobs:
        raise InvalidRequest(
            f"judge model needs log-probabilities, which the engine of {run.capabilities.model} does not give"
        )
    if isinstance(outputs, str) and outputs not in run.tools:
        known = ", ".join(run.tools) or "none at all"
        raise InvalidRequest(f"programs are to be run by the tool {outputs!r}, but there is only {known}")
    if isinstance(verifier, str) and verifier not in run.tools and run.edition >= 2:
        known = ", ".join(run.tools) or "none at all"
        raise InvalidRequest(
            f"answers are to be verified by the tool {verifier!r}, but there is only {known}"
        )


def methods(run: Verbs, judge: Judge) -> tuple[Costly, ...]:
    """The costly methods that a vote can use."""
    symbolic: tuple[Costly, ...] = ("symbolic",) if run.symbolic else ()
    return symbolic if judge == "none" else (*symbolic, "semantic")


class Judging:
    """Verdicts for one vote. The judge's bias is measured once, when it is first asked.

    ``told`` is the question as a model is told it, where that is more than its text.
    """

    def __init__(self, run: Verbs, question: str, judge: Judge, told: str = "") -> None:
        self._run = run
        self._told = told or question
        self._question = question
        self._judge = judge
        self._bias: float | None = None

    async def verdicts(self, pairs: Sequence[Pair]) -> Mapping[Pair, bool]:
        """Whether pairs mean the same. Those that cannot be judged do not: a wrong yes makes a majority.

        ``pairs`` belong to one claim, the preferred one first. They are judged in batches of 1, 2, 4, … until
        a pair means the same; the rest are left out. So most claims cost two calls, and none many rounds.
        """
        said: dict[Pair, bool] = {}
        while len(said) < len(pairs) and not any(said.values()):
            said |= await self._judged(pairs[len(said) : 2 * len(said) + 1])
        return said

    async def _judged(self, pairs: Sequence[Pair]) -> Mapping[Pair, bool]:
        """The verdicts on all pairs: at once in one direction, then, in the other, on those that passed."""
        forward = {pair: self._ask(pair, pair.left, pair.right) for pair in pairs}
        if self._judge == "model" and self._bias is None and any(pair.method == "semantic" for pair in pairs):
            self._bias = log_odds_in(await self._compare(*NEUTRAL_PAIR).settled())
        said = {pair: self._affirmed(pair, await node.settled()) for pair, node in forward.items()}
        passed = [pair for pair, same in said.items() if same and pair.method == "semantic"]
        backward = {pair: self._ask(pair, pair.right, pair.left) for pair in passed}
        return said | {pair: self._affirmed(pair, await node.settled()) for pair, node in backward.items()}

    def _ask(self, pair: Pair, left: str, right: str) -> Node[Any]:
        if pair.method == "symbolic":
            return self._run.tool(MATH_EQUAL, {"left": left, "right": right})
        if self._judge == "nli":
            premise, hypothesis = (f"{self._question} {claim}".strip() for claim in (left, right))
            return self._run.tool(ENTAILMENT, {"premise": premise, "hypothesis": hypothesis})
        return self._compare(left, right)

    def _compare(self, left: str, right: str) -> Node[Completion]:
        return self._run.generate(
            judge_prompt(self._told, left, right),
            label="judge",
            role="judge",
            temperature=0.0,
            max_tokens=1,
            top_logprobs=20,
        )

    def _affirmed(self, pair: Pair, outcome: Outcome[Any]) -> bool:
        """Whether the pair means the same, judged in one direction; mathematics has only one."""
        if pair.method == "semantic" and self._judge == "model":
            return affirms(log_odds_in(outcome), self._bias)
        if not isinstance(outcome, Succeeded):
            return False
        return bool(outcome.value is True if pair.method == "symbolic" else outcome.value == "entailment")


def executed(claim: Claim, outcome: Outcome[Any]) -> Claim | None:
    """The program of ``claim`` with the output of running it; None if it failed.

    A tool reports a failed program by an error, or by null. Two failures are not an agreement, so a program
    that failed claims nothing.
    """
    if not isinstance(outcome, Succeeded) or outcome.value is None:
        return None
    return replace(claim, outputs=canonical(outcome.value))


def log_odds_in(outcome: Outcome[Completion]) -> float | None:
    """The log-odds of yes against no in the first token of a reply; None if it failed or says neither."""
    if not isinstance(outcome, Succeeded) or not outcome.value.logprobs:
        return None
    first = outcome.value.logprobs[0]
    return log_odds({first.token: first.logprob, **first.top})

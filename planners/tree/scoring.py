"""What scores answers: a tool that knows, or a model that is asked how likely they are right."""

from __future__ import annotations

import math
from typing import Any

from orchestrator.errors import InvalidRequest
from orchestrator.planning.run import Run
from orchestrator.runtime.nodes import Node, Outcome, Succeeded
from orchestrator.runtime.values import Answer, Question
from orchestrator.voting.judging import log_odds_in
from planners.questions import set_task, slot
from workers.calls import Completion

JUDGE = (
    "Judge the solution below, which may be wrong. Check each of its steps, and whether its result is what "
    "the question asks for.\n"
)
VERDICT = "Is its result right? Reply Yes or No."
EMPTY = "…"
"""A solution that says nothing: what a judge makes of it is its bias."""


def check_verifier(run: Run, verifier: str | None) -> None:
    """Check that the verifier is a tool of the run.

    Raises:
        InvalidRequest: it is not; says which tools there are.
    """
    if verifier is not None and verifier not in run.tools:
        known = ", ".join(run.tools) or "none at all"
        raise InvalidRequest(f"the verifier is to be the tool {verifier!r}, but there is only {known}")


def check_scoring(run: Run, verifier: str | None) -> None:
    """Check that something can score answers.

    Raises:
        InvalidRequest: there is no verifier, and no model can judge.
    """
    if verifier is None and not run.capabilities.logprobs:
        raise InvalidRequest(
            "search adaptive needs scores: give it a tool as its verifier, or an engine with "
            f"log-probabilities, by which a model can judge; that of {run.capabilities.model} gives none"
        )


def verification(run: Run, verifier: str, question: Question, claim: str) -> Node[Any]:
    """Have an answer verified, as a vote does."""
    return run.tool(verifier, {"question": question.told, "answer": claim})


def mark_in(outcome: Outcome[Any]) -> float | None:
    """What a verifier said, in [0, 1], where 1 is right; None if it failed or said something else."""
    said = outcome.value if isinstance(outcome, Succeeded) else None
    if isinstance(said, int | float) and 0 <= said <= 1:
        return float(said)  # true and false are 1 and 0
    return None


class Scorer:
    """Scores answers, by the verifier if there is one, else by a model that is asked for yes or no.

    The score of the model is its probability of yes without its bias: its log-odds less those that it gives
    to a solution that says nothing (contextual calibration, arXiv 2102.09690).
    """

    def __init__(self, run: Run, question: Question, verifier: str | None) -> None:
        self._question = question
        self.verifier = verifier
        self._bias: Node[Completion] | None = None
        if verifier is None:
            self._bias = self._ask(run, EMPTY)

    async def score(self, run: Run, answer: Answer) -> float | None:
        """The score of an answer: 0 if there is none, None if it could not be verified or judged."""
        if self.verifier is not None:
            if answer.claim is None:
                return 0.0
            mark = mark_in(await verification(run, self.verifier, self._question, answer.claim).settled())
            if mark is None:
                run.decide("tree", "not verified", {"answer": answer.claim})
            return mark
        assert self._bias is not None
        if not answer.text.strip():
            return 0.0
        odds = log_odds_in(await self._ask(run, answer.text).settled())
        if odds is None:
            run.decide("tree", "not judged", {"answer": answer.claim})
            return None
        bias = log_odds_in(await self._bias.settled()) or 0.0
        return 1 / (1 + math.exp(min(bias - odds, 700.0)))

    def _ask(self, run: Run, solution: str) -> Node[Completion]:
        return run.generate(
            set_task(self._question, JUDGE, slot("solution", solution), VERDICT),
            label="judge",
            role="judge",
            temperature=0.0,
            max_tokens=1,
            top_logprobs=20,
        )

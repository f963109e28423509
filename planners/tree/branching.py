"""Adaptive branching (AB-MCTS, arXiv 2503.04412): another answer, or a better one from one that was tried.

Thompson sampling chooses at each node of the tree between a new child and going down into one that is there,
by the scores beneath it.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from importlib import import_module
from importlib.metadata import version
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

from orchestrator.errors import InvalidRequest
from orchestrator.planning.run import Run
from orchestrator.runtime.nodes import Arrivals, Node, Succeeded
from orchestrator.runtime.values import Answer, Question
from orchestrator.voting.abstaining import no_answer
from orchestrator.voting.standing import SETTLED_BY
from planners.handing import PLAIN
from planners.questions import answer_of, said, slot
from planners.tree.choosing import Tried, choose, counted
from planners.tree.scoring import Scorer, check_scoring
from planners.vote import solving
from workers.tools.declaration import tool

if TYPE_CHECKING:
    from treequest.trial import Trial

    from planners.tree.library import Search

LIBRARY = "treequest"
INSTALLED = find_spec(LIBRARY) is not None
"""Whether the extra ``tree`` is installed."""

BETTER = (
    "\nAn earlier attempt is below. {verdict}Find out where it goes wrong, or could, and solve the problem "
    "anew, in the same form.\n"
)
JUDGED = 3
"""Calls of one answer that a model judges: the answer, the judgement, and that of one that says nothing."""

REFUSED = "A check has refused its answer. "
PARTLY = "A check has found its answer right in part, but not in all. "
DOUBTED = "A judge doubts its answer. "
BELIEVED = "A judge takes its answer for right, but may be mistaken. "


@tool(name=LIBRARY, timeout=300.0)
def loaded() -> str:
    """Import the library off the event loop, which would stand still for a second or more."""
    import_module("planners.tree.library")
    return version(LIBRARY)


def search_of(run: Run) -> Search:
    """A search of the library, with the random numbers of the run."""
    found: Search = import_module("planners.tree.library").Search(run.random)
    return found


@dataclass(frozen=True, slots=True)
class Branching:
    """How many answers are tried (``n``), how many of them at a time, and how they are sampled."""

    n: int
    batch: int
    temperature: float
    max_tokens: int
    verifier: str | None

    async def answer(self, run: Run, question: Question) -> Answer:
        """The answer that the verifier accepts, or the one with the best score.

        Raises:
            NodeFailed: no call gave a completion.
            InvalidRequest: nothing scores, or the library is not installed.
        """
        if not INSTALLED:
            raise InvalidRequest(
                f"search adaptive needs the library {LIBRARY}: pip install 'anabranch[tree]'"
            )
        if not self.temperature:
            raise InvalidRequest("search adaptive samples one prompt again: give it a temperature above 0")
        check_scoring(run, self.verifier)
        calls = run.budget.calls
        if self.verifier is None and calls is not None and calls < JUDGED:
            name, ask = PLAIN
            run.decide(
                "tree", name, {"reason": f"a judged answer takes {JUDGED} calls, and {calls} are left"}
            )
            return await ask(run, question)
        scorer = Scorer(run, question, self.verifier)
        await run.tool(loaded)
        return await _Growing(run, question, self, scorer).ended()


class _Growing:
    """A tree as it grows: what is under way, and what was tried."""

    def __init__(self, run: Run, question: Question, plan: Branching, scorer: Scorer) -> None:
        self._run = run
        self._question = question
        self._plan = plan
        self._scorer = scorer
        self._search = search_of(run)
        calls = run.budget.calls
        each = 1 if plan.verifier else 2  # a model that judges an answer takes another call
        self._n = plan.n if calls is None else max(1, min(plan.n, calls // each))
        self._arrivals: Arrivals[Tried] = run.arrivals()
        self._begun: list[Node[Tried]] = []
        self._trials: dict[str, Trial[Tried]] = {}
        self._tried: list[Tried] = []

    async def ended(self) -> Answer:
        """Try so many answers, as many at a time as the plan says; stop at once where one is accepted."""
        run = self._run
        run.propose(lambda: self._best() if self._tried else None)
        self._ask(min(self._plan.batch, self._n))
        async for node in self._arrivals:
            trial = self._trials.pop(node.path)
            if isinstance(node.outcome, Succeeded):
                tried = node.outcome.value
                self._search.tell(trial, tried)
                self._tried.append(tried)
                if tried.verified:
                    for other in self._begun:
                        other.cancel("the verifier has accepted another answer")
                    run.decide("tree", "finish: verified", self._seen(tried))
                    return self._best()
            if len(self._begun) < self._n:
                self._ask(1)
        if not self._tried:
            await run.join(self._begun)  # raises the failure of the first
        best = self._best()
        run.decide("tree", "finish: exhausted", {"answers": len(self._tried), "answer": best.claim})
        return best

    def _ask(self, count: int) -> None:
        for trial in self._search.ask(count):
            earlier = trial.parent_state
            node = self._run.spawn(self._attempt, earlier)
            self._begun.append(node)
            self._trials[node.path] = trial
            self._arrivals.add(node)
            saw = {"number": len(self._begun)} | (self._seen(earlier) if earlier else {})
            self._run.decide("tree", "deeper" if earlier else "wider", saw)

    def _seen(self, tried: Tried) -> dict[str, Any]:
        return {"answer": tried.answer.claim, "score": round(tried.score, 6)}

    async def _attempt(self, run: Run, earlier: Tried | None) -> Tried:
        """Write an answer, and have it scored."""
        more = () if earlier is None else (self._told(earlier), slot("attempt", earlier.answer.text))
        completion = await run.generate(
            solving(self._question, *more),
            label="answer" if earlier is None else "better answer",
            temperature=self._plan.temperature,
            max_tokens=self._plan.max_tokens,
        )
        if completion.finish_reason == "refused":
            answer = Answer(said(completion), undecided="the model refused to answer")
        else:
            answer = answer_of(completion, self._question)
            answer = replace(answer, undecided=no_answer(completion, self._plan.max_tokens))
        score = await self._scorer.score(run, answer)
        verified = None if score is None or not self._plan.verifier else score == 1
        return Tried(answer, score or 0.0, verified)

    def _told(self, earlier: Tried) -> str:
        """What is asked of a better answer, with what the score of the earlier one means."""
        if not self._plan.verifier:
            verdict = BELIEVED if earlier.score >= 0.5 else DOUBTED
        elif earlier.verified is None:
            verdict = ""
        else:
            verdict = PARTLY if earlier.score else REFUSED
        return BETTER.format(verdict=verdict)

    def _best(self) -> Answer:
        choice = choose(self._question, self._tried)
        best, of = choice.tried, counted(len(self._tried), "answer")
        if self._plan.verifier:
            accepted = best.verified is True
            return replace(
                best.answer,
                clusters=choice.clusters,
                undecided=None if accepted else f"the verifier accepted none of {of}",
                basis=f"{SETTLED_BY['verifier']}, after {of}" if accepted else f"the best of {of}",
            )
        told = f"the best of {of} by a model that judges them, {min(int(100 * best.score), 99)} % sure"
        return replace(
            best.answer,
            confidence=None if best.answer.undecided else best.score,
            clusters=choice.clusters,
            basis=f"{told}; {choice.count} say it" if choice.count > 1 else told,
            doubtful=best.score < 0.5,
        )

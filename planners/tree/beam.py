"""Tree of Thoughts (arXiv 2305.10601): steps are proposed, valued and selected, level by level.

Breadth-first with a beam (algorithm 1 of the paper). Inside a level nothing waits for all proposals:
the steps that follow one state are valued while those of another are still being written.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

from orchestrator.consensus.asked import claim_for
from orchestrator.consensus.reading.forms import boxed
from orchestrator.planning.run import Run
from orchestrator.runtime.nodes import Arrivals, Node, Outcome, Succeeded
from orchestrator.runtime.values import Answer, Question
from orchestrator.voting.abstaining import most_abstained
from orchestrator.voting.ballot import labels
from orchestrator.voting.standing import ALONE, SETTLED_BY
from planners.questions import said
from planners.tree.choosing import Choice, Tried, choose, counted
from planners.tree.scoring import mark_in, verification
from planners.tree.steps import (
    STEP_TOKENS,
    VALUE_TOKENS,
    VALUES,
    State,
    concluding,
    proposing,
    steps_in,
    valuing,
    verdict_in,
)
from workers.calls import Completion, FinishReason


@dataclass(frozen=True, slots=True)
class Beam:
    """The settings: states kept of a level, steps proposed to each, levels, and samples of a value."""

    breadth: int
    proposals: int
    depth: int
    values: int
    temperature: float
    max_tokens: int
    verifier: str | None

    async def answer(self, run: Run, question: Question) -> Answer:
        """The answer that the verifier accepts, or the one that the most promising steps lead to.

        Raises:
            NodeFailed: no call gave a completion.
        """
        return await _Search(run, question, self).ended()

    @property
    def samples(self) -> int:
        """How often a state is valued; without a temperature, all samples would be the same."""
        return self.values if self.temperature else 1


class _Search:
    """A search as it goes from level to level, with what is under way and what to do when that arrives."""

    def __init__(self, run: Run, question: Question, plan: Beam) -> None:
        self._run = run
        self._question = question
        self._plan = plan
        self._beam: list[State] = [State()]
        self._found: dict[str, State] = {}
        self._answers: list[State] = []
        self._accepted: State | None = None
        self._silent: list[FinishReason] = []
        self._begun: list[Node[Any]] = []
        self._arrivals: Arrivals[Any] = run.arrivals()
        self._then: dict[str, Callable[[Outcome[Any]], None]] = {}
        self._waiting: deque[tuple[Callable[[], Node[Any]], Callable[[Outcome[Any]], None]]] = deque()

    async def ended(self) -> Answer:
        """The levels, one after the other, and then the answers of the states that have none."""
        self._run.propose(lambda: self._answer() if self._answers else None)
        for level in range(1, self._plan.depth + 1):
            growing = [state for state in self._beam if state.claim is None]
            if not growing or not self._affords(level, len(growing)):
                break
            if not await self._grown(level, growing):
                break
        if self._accepted is None:
            await self._concluded([state for state in self._beam if state.claim is None])
        answer = self._answer()
        verdict = "exhausted" if self._accepted is None else "verified"
        self._run.decide(
            "tree", f"finish: {verdict}", {"answer": answer.claim, "answers": len(self._answers)}
        )
        return answer

    def _affords(self, level: int, growing: int) -> bool:
        """Whether a level, and the conclusions after it, fit into the calls that are left."""
        calls, plan = self._run.budget.calls, self._plan
        needed = growing * (1 + plan.proposals * plan.samples) + plan.breadth
        if calls is None or calls >= needed:
            return True
        self._run.decide("tree", "conclude early", {"level": level, "calls": calls, "needed": needed})
        return False

    def _await(self, begin: Callable[[], Node[Any]], then: Callable[[Outcome[Any]], None]) -> None:
        """Begin something as soon as the budget lets it be in flight; ``then`` takes what comes of it."""
        self._waiting.append((begin, then))
        self._begin()

    def _begin(self) -> None:
        width = self._run.budget.width
        while self._waiting and (width is None or len(self._then) < max(1, width)):
            begin, then = self._waiting.popleft()
            node = begin()
            self._begun.append(node)
            self._then[node.path] = then
            self._arrivals.add(node)

    async def _arrived(self) -> None:
        """Take in what is under way, until all has arrived; nothing more once an answer is accepted."""
        async for node in self._arrivals:
            assert node.outcome is not None
            self._then.pop(node.path)(node.outcome)
            if self._accepted is None:
                self._begin()
            else:
                self._waiting.clear()
                for other in self._begun:
                    other.cancel("the verifier has accepted an answer")
                return

    # -- a level ------------------------------------------------------------------------------------

    async def _grown(self, level: int, growing: Sequence[State]) -> bool:
        """Have states grow by a step, and keep the best that come of it; False if the search is over."""
        self._found = {}
        for at, state in enumerate(growing):
            self._await(partial(self._propose, state), partial(self._take_steps, at, state))
        await self._arrived()
        if self._accepted is not None:
            return False
        left = [state for state in self._found.values() if state.verified is not False]
        if not left:
            self._run.decide("tree", "nothing to go on with", {"level": level, "steps": len(self._found)})
            return False
        states = [*(state for state in self._beam if state.claim is not None), *left]
        ranked = sorted(states, key=lambda state: (-state.value, state.rank))
        self._beam = ranked[: self._plan.breadth]
        kept = [{"step": state.steps[-1], "value": round(state.value, 3)} for state in self._beam]
        self._run.decide("tree", "select", {"level": level, "of": len(states), "kept": kept})
        return True

    def _propose(self, state: State) -> Node[Completion]:
        most = self._plan.proposals
        return self._run.generate(
            proposing(self._question, state, most),
            label="steps",
            temperature=self._plan.temperature,
            max_tokens=STEP_TOKENS * (most + 1),
            stop=(f"\n{most + 1}.",),
        )

    def _take_steps(self, at: int, state: State, outcome: Outcome[Completion]) -> None:
        """Value each of the steps, or verify the answer that it gives; those come to before are left out."""
        if not isinstance(outcome, Succeeded):
            return
        reply = outcome.value
        steps = steps_in(said(reply), self._plan.proposals, cut_off=reply.finish_reason == "length")
        for place, step in enumerate(steps):
            next_ = State((*state.steps, step), (at, place), "\n".join((*state.steps, step)))
            if next_.text.casefold() in self._found:
                continue
            self._found[next_.text.casefold()] = next_
            self._take_claim(next_, step if boxed(step) else "")
            if next_.claim is None or not self._plan.verifier:
                for _ in range(self._plan.samples):
                    self._await(partial(self._value, next_), partial(self._take_value, next_))

    def _value(self, state: State) -> Node[Completion]:
        return self._run.generate(
            valuing(self._question, state),
            label="value",
            role="judge",
            temperature=self._plan.temperature,
            max_tokens=VALUE_TOKENS,
        )

    def _take_value(self, state: State, outcome: Outcome[Completion]) -> None:
        verdict = verdict_in(said(outcome.value)) if isinstance(outcome, Succeeded) else None
        state.value += VALUES.get(verdict or "", 0.0)

    # -- answers ------------------------------------------------------------------------------------

    async def _concluded(self, states: Sequence[State]) -> None:
        """Have all these states come to an answer at once.

        Raises:
            NodeFailed: none did, and there is no other answer.
        """
        begun = len(self._begun)
        for state in states:
            self._await(partial(self._conclude, state), partial(self._take_conclusion, state))
        await self._arrived()
        nodes = self._begun[begun:]
        if not self._answers and not any(isinstance(node.outcome, Succeeded) for node in nodes):
            await self._run.join(nodes)  # raises the failure of the first

    def _conclude(self, state: State) -> Node[Completion]:
        return self._run.generate(
            concluding(self._question, state),
            label="conclusion",
            temperature=self._plan.temperature,
            max_tokens=self._plan.max_tokens,
        )

    def _take_conclusion(self, state: State, outcome: Outcome[Completion]) -> None:
        if not isinstance(outcome, Succeeded):
            return
        reply = outcome.value
        state.text = "\n".join(filter(None, (*state.steps, said(reply))))
        refused = reply.finish_reason == "refused"
        self._take_claim(state, "" if refused else reply.text, truncated=reply.finish_reason != "stop")
        if state.claim is None:
            self._silent.append(reply.finish_reason)

    def _take_claim(self, state: State, text: str, *, truncated: bool = False) -> None:
        """Take the answer that a text gives, if it does, and have it verified if somebody can."""
        claim = claim_for(
            self._question.text, text, choices=labels(self._question.choices), truncated=truncated
        )
        if claim is None:
            return
        state.claim = claim.text
        self._answers.append(state)
        if self._plan.verifier:
            begin = partial(verification, self._run, self._plan.verifier, self._question, claim.text)
            self._await(begin, partial(self._take_verdict, state))

    def _take_verdict(self, state: State, outcome: Outcome[Any]) -> None:
        mark = mark_in(outcome)
        if mark == 1:
            self._accepted = state
        state.verified = None if mark is None else mark == 1

    def _answer(self) -> Answer:
        """The accepted answer, or that of the steps that are worth most."""
        states = self._answers or self._beam
        choice = choose(
            self._question,
            [Tried(Answer(each.text, each.claim), each.value, each.verified) for each in states],
        )
        best, of = choice.tried, counted(len(self._answers), "answer")
        undecided: str | None = None
        basis: str | None = None
        if best.verified:
            basis = f"{SETTLED_BY['verifier']}, after {of}"
        elif best.verified is False:
            undecided, basis = f"the verifier accepted none of {of}", f"the best of {of}"
        else:
            among = len(self._answers) + len(self._silent)
            undecided = most_abstained(self._silent, among, self._plan.max_tokens, what="chains of steps")
            basis = self._basis(choice) if self._answers else None
            if basis and self._plan.verifier:
                basis += "; the verifier gave no verdict on it"
        return replace(
            best.answer,
            clusters=choice.clusters,
            undecided=undecided,
            basis=basis,
            doubtful=not best.verified and 0 < best.score < VALUES["likely"],
        )

    def _basis(self, choice: Choice) -> str:
        of = counted(len(self._answers), "chain")
        if not choice.tried.score:
            return ALONE if len(self._answers) == 1 else f"{choice.count} of {of} of steps lead to it"
        told = f"the most promising of {of} of steps, as the model itself values them"
        return f"{told}; {choice.count} lead to it" if choice.count > 1 else told

"""ParallelPrompt (arXiv 2506.18728): a template, filled in for each item of a prompt at the same time."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from itertools import combinations
from typing import Annotated, Literal

from pydantic import Field

from orchestrator.planning.candidates import cannot_afford
from orchestrator.planning.planner import planner
from orchestrator.planning.run import Run
from orchestrator.runtime.messages import Message, assistant, user
from orchestrator.runtime.nodes import Node, Succeeded
from orchestrator.runtime.values import Answer, Question
from orchestrator.voting.abstaining import most_abstained
from planners.dependence import dependent_at_sight
from planners.drift import drift_between
from planners.forking import affordable, waves
from planners.handing import PLAIN, instead
from planners.lists import read_outline
from planners.questions import SAMPLED, Temperature, Tokens, said, set_task, slot
from planners.template.extracting import EXTRACT, MEND, Extraction, Unreadable, read, schema
from planners.template.validating import TIERS, Fault, Task, checked
from workers.calls import Completion, FinishReason

EACH = (
    "Do what the question asks for the one item below, and for nothing else. Reply with the result alone, "
    "without the item and without a number.\n"
)
ONE = "Write only one of what the question asks for, without a number, a heading or a comment.\n"
ANOTHER = "These have been written already. Write another one, which differs from all of them.\n"

MOST = 256
"""The most pieces that may be asked for."""

FEWEST = 3
"""The calls that it takes at least: one to take the prompt apart, and two pieces."""

EXTRACT_TOKENS = 1024
EXTRACT_TEMPERATURE = 0.2


@planner("template")
async def template(
    run: Run,
    question: Question,
    *,
    accept: Literal["high", "medium"] = "medium",
    most: Annotated[int, Field(ge=2, le=MOST)] = 64,
    rewrite: bool = True,
    temperature: Temperature = SAMPLED,
    max_tokens: Tokens = 512,
) -> Answer:
    """Take a prompt apart into a template and its items, and answer for all items at the same time.

    One call finds the template and the items, or a number of samples; it is asked once more if that cannot be
    used. What it finds is held against the prompt (:mod:`planners.template.validating`): where the certainty
    is below ``accept``, where pieces depend on each other, and where there are more than ``most``, the
    question is answered by what suits it (:func:`~planners.handing.instead`). Each piece has at most
    ``max_tokens`` tokens. With ``rewrite``, samples that repeat another one are written once more.

    Raises:
        NodeFailed: no piece could be written.
    """
    if why := _unfit(run, question):
        return await _hand_on(run, question, why)
    found = await _found(run, question, most)
    if isinstance(found, str):
        return await _hand_on(run, question, found)
    saw = {"sign": found.sign, "pieces": found.n, "own words": found.own_words}
    if TIERS.index(found.tier) > TIERS.index(accept):
        return await _hand_on(run, question, f"it is of tier {found.tier}: {found.sign}")
    if why := cannot_afford(run.budget, found.question, found.n):
        return await _hand_on(run, question, why)
    run.decide("template", found.tier, saw)
    return await Filling(run, found, temperature, max_tokens).collected(rewrite=rewrite)


def _unfit(run: Run, question: Question) -> str:
    """Why a question need not be taken apart; empty if it may be worth it."""
    if question.choices:
        return "it offers choices"
    if words := dependent_at_sight(question.text):
        return f"its words say so: {words!r}"
    return cannot_afford(run.budget, question, FEWEST)


async def _found(run: Run, question: Question, most: int) -> Task | str:
    """The task that the prompt sets for each of its pieces, or why it sets none."""
    prompt = set_task(question, EXTRACT)
    for is_last in (False, True):
        outcome = await run.generate(
            prompt,
            label="extract again" if is_last else "extract",
            role="planner",
            schema=schema(most),
            temperature=EXTRACT_TEMPERATURE,
            max_tokens=EXTRACT_TOKENS,
        ).settled()
        if not isinstance(outcome, Succeeded):
            return "the call that takes it apart failed"
        found = read(outcome.value)
        if found is None:
            return "the model finds nothing in it that can be done side by side"
        task = checked(found, question, most) if isinstance(found, Extraction) else found
        if isinstance(task, Task):
            return task
        run.decide("template", "unusable", {"reason": task.reason})
        if is_last or not _mendable(task, outcome.value):
            return task.reason
        if reply := said(outcome.value):
            prompt.append(assistant(reply))
        prompt.append(user(slot("reason", task.reason), MEND))
    raise AssertionError("unreachable")


def _mendable(fault: Fault | Unreadable, completion: Completion) -> bool:
    return fault.mendable if isinstance(fault, Fault) else completion.finish_reason == "stop"


class Filling:
    """The pieces of a task, from the calls that write them to the answer that they make."""

    def __init__(self, run: Run, task: Task, temperature: float, max_tokens: int) -> None:
        self._run = run
        self._task = task
        # Samples of one thing would be the same without chance.
        self._temperature = temperature if task.items else max(temperature, SAMPLED)
        self._max_tokens = max_tokens
        self._shared = set_task(task.question, EACH if task.items else ONE)
        self._nodes: dict[int, Node[Completion]] = {}
        """Of each piece that was begun, the call whose text counts."""

    def _written(self, number: int, last: Sequence[Message], again: str = "") -> Node[Completion]:
        return self._run.generate(
            [*self._shared, *last],
            label=f"piece {number}{again}",
            temperature=self._temperature,
            max_tokens=self._max_tokens,
        )

    async def collected(self, *, rewrite: bool) -> Answer:
        """All pieces in their order; if the run ends early, its answer has those that are finished.

        They are written at the same time, or as many as the budget lets be in flight.
        """
        run, items = self._run, list(enumerate(self._task.items or ("",) * self._task.n, 1))
        run.propose(self._so_far)
        for wave in waves(items, run.budget.width):
            self._nodes |= {
                number: self._written(number, [user(slot("item", item))] if item else [])
                for number, item in wave
            }
            await run.outcomes(self._nodes.values())
        nodes = list(self._nodes.values())
        ended = [node.value for node in nodes if isinstance(node.outcome, Succeeded)]
        if not ended:
            await run.join(nodes)  # raises the failure of the first
        silent: list[FinishReason] = [
            each.finish_reason for each in ended if each.finish_reason != "stop" or not said(each)
        ]
        missing = len(nodes) - len(ended) + len(silent)
        repeated = 0 if self._task.items else await self._distinct(rewrite=rewrite)
        answer = await run.merge(self._answer, self._finished())
        undecided = most_abstained(silent, len(ended), self._max_tokens, what="pieces")
        if undecided is None and 2 * missing > len(nodes):
            undecided = f"{missing} of {len(nodes)} pieces failed or gave no answer"
        return replace(answer, undecided=undecided, basis=self._basis(ended, repeated))

    def _basis(self, ended: Iterable[Completion], repeated: int) -> str:
        done = len(self._finished())
        cut = sum(each.finish_reason == "length" for each in ended)
        told = [f"written in {done} of {self._task.n} pieces side by side, not compared with others"]
        told += [f"{cut} cut off at max_tokens={self._max_tokens}"] if cut else []
        told += [f"{repeated} of them repeat another one"] if repeated else []
        return "; ".join(told)

    def _so_far(self) -> Answer | None:
        finished = {number: node.value for number, node in self._finished().items()}
        return self._answer(finished) if finished else None

    def _finished(self) -> dict[int, Node[Completion]]:
        """The pieces that are finished and say something."""
        return {
            number: node
            for number, node in self._nodes.items()
            if isinstance(node.outcome, Succeeded) and self._text(node.value)
        }

    def _texts(self) -> dict[int, str]:
        return {number: self._text(node.value) for number, node in self._finished().items()}

    def _text(self, completion: Completion) -> str:
        text = said(completion)
        if not self._task.items and len(several := read_outline(text).points) > 1:
            return next(iter(several.values()))  # the model has written more than one sample
        return text

    def _answer(self, written: Mapping[int, Completion]) -> Answer:
        """The pieces with their numbers, so that one that is missing is seen."""
        numbers = range(1, self._task.n + 1)
        pieces = [self._text(written[at]) if at in written else "(no answer)" for at in numbers]
        between = "\n\n" if any("\n" in piece for piece in pieces) else "\n"
        return Answer(between.join(f"{number}. {piece}" for number, piece in enumerate(pieces, 1)))

    async def _distinct(self, *, rewrite: bool) -> int:
        """Have samples that repeat an earlier one written once more, as far as there are calls for that.

        Returns how many repeat one in the end.
        """
        texts = self._texts()
        wrong = repeated(texts, self._task.question.text)
        if not wrong:
            return 0
        again = sorted(wrong)[: affordable(self._run, len(wrong), reserve=0) if rewrite else 0]
        self._run.decide("samples", "rewrite" if again else "repeated", {"repeated": sorted(wrong)})
        if not again:
            return len(wrong)
        kept = slot("written", "\n".join(f"- {text}" for at, text in texts.items() if at not in wrong))
        anew: dict[int, Node[Completion]] = {}
        for wave in waves(again, self._run.budget.width):
            anew |= {number: self._written(number, [user(kept, ANOTHER)], ", anew") for number in wave}
            await self._run.outcomes(anew.values())
        for number, node in anew.items():
            if isinstance(node.outcome, Succeeded) and self._text(node.value):
                self._nodes[number] = node
        left = repeated(self._texts(), self._task.question.text)
        self._run.decide("samples", "still repeated" if left else "distinct", {"repeated": sorted(left)})
        return len(left)


def repeated(texts: Mapping[int, str], task: str) -> set[int]:
    """The numbers of the texts that say what an earlier one says: word for word, or for the most part."""
    words = {number: text.casefold().split() for number, text in texts.items()}
    same = {two for one, two in combinations(words, 2) if words[one] == words[two]}
    drift = drift_between({number: ("", text) for number, text in texts.items()}, task)
    return same | {two for _, two in drift.repeated}


async def _hand_on(run: Run, question: Question, why: str) -> Answer:
    name, ask = instead(run, question, PLAIN)
    run.decide("template", name, {"reason": why})
    return await ask(run, question)

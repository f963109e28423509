"""The task fetching unit of LLMCompiler (arXiv 2312.04511): steps of plans become nodes of a run."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from orchestrator.planning.run import Run
from orchestrator.runtime.messages import Part, text_of
from orchestrator.runtime.nodes import Cancelled, Failed, Node, Succeeded
from orchestrator.runtime.plain import canonical
from orchestrator.runtime.values import Answer, Question
from planners.asking import uncertain
from planners.binding import Binding
from planners.extracting import for_answer, shown_of
from planners.findings import is_computing
from planners.offers import Offers, parameters_of
from planners.plan_writing import call_text
from planners.plans import Plan, Step
from planners.questions import guarded, guarded_part
from planners.references import Reference, Unbound, mapped


class Fetcher:
    """Starts the steps of one plan after another. Equal calls are one node.

    ``steps`` are the steps of the plans that were accepted.
    """

    def __init__(self, run: Run, question: Question, offers: Offers) -> None:
        self.steps: dict[int, Step] = {}
        self._run = run
        self._question = question
        self._offers = offers
        self._parameters = parameters_of(offers)
        self._nodes: dict[int, Node[Any]] = {}
        self._steps: dict[int, Step] = {}
        self._texts: dict[int, str] = {}
        self._calls: dict[str, Node[Any]] = {}
        self._values: dict[str, Node[Any]] = {}
        self._waiting: dict[int, Step] = {}
        self._extracts: dict[str, str] = {}
        self._cut: list[str] = []
        self._superseded: set[int] = set()

    def fetch(self, step: Step, plan: Plan) -> None:
        """Start a step of a plan that is being written, unless it, or what it needs, has side effects."""
        if self._offers[step.tool].side_effects or plan.needs(step) & self._waiting.keys():
            self._waiting[step.id] = step
        else:
            self._start(step, plan)

    def accept(self, plan: Plan) -> None:
        """The plan is whole and valid: start what has waited, and cancel what only a refused plan wanted."""
        for step in self._waiting.values():
            self._start(step, plan)
        self._waiting.clear()
        self._superseded |= self._unfit().keys()
        self.steps |= plan.steps
        self._cut = self.written(plan.cut)
        self.abandon(but=self._nodes)

    def refuse(self, plan: Plan) -> None:
        """The plan is invalid: forget its steps. Their calls go on, as the next plan may want the same."""
        self._waiting.clear()
        for number in plan.steps:
            self._nodes.pop(number, None)

    def abandon(self, *, but: Mapping[int, Node[Any]] | None = None) -> None:
        """Cancel all calls except those of some steps."""
        wanted = set(map(id, (but or {}).values()))
        for node in self._calls.values():
            if id(node) not in wanted:
                node.cancel("no plan wants it")

    def written(self, steps: Sequence[Step]) -> list[str]:
        """Steps as calls in text."""
        return [call_text(step, self._parameters) for step in steps]

    async def observations(self) -> list[Part]:
        """All steps with their results, one per line, once they have settled; failures are results too.

        What a model reads of a result cannot be taken for the tags of a slot. Of a long one, it reads what
        another call finds in it for the question.
        """
        await self._run.outcomes(self._nodes.values())
        parts: list[Part] = []
        for number, call in self._written():
            match (node := self._nodes[number]).outcome:
                case Succeeded(value):
                    parts += [f"{number}. {guarded(call)} = ", await self._shown(node, text_of(value), call)]
                    if why := _doubt(value):
                        parts.append(f" (uncertain: {why})")
                case _:
                    parts.append(guarded(f"{number}. {call} {_trouble(node)}"))
            parts.append("\n")
        if self._cut:
            parts.append(guarded(f"The plan was too long; not taken: {'; '.join(self._cut)}\n"))
        return parts

    async def _shown(self, node: Node[Any], text: str, call: str) -> Part:
        """What a model reads of a result; the node itself where that is the whole text."""
        if len(text) > shown_of(self._run):
            if call not in self._extracts:
                extract = await for_answer(self._run, self._question, text, call)
                self._extracts[call] = f"{guarded(extract)} (taken from {len(text)} characters)"
            return self._run.merge(_instead, node, self._extracts[call], label="extract")
        return guarded_part(self._run, node)

    def taken(self) -> list[tuple[str, object]]:
        """The steps that have settled, as text, each with its value or the words of its failure."""
        settled = [(call, self._nodes[number]) for number, call in self._written()]
        return [
            (call, _plain(node.outcome.value))
            if isinstance(node.outcome, Succeeded)
            else (call, _trouble(node))
            for call, node in settled
            if node.outcome is not None
        ]

    def has_results(self) -> bool:
        """Whether any step has given something."""
        return any(isinstance(self._nodes[number].outcome, Succeeded) for number in self.steps)

    def lacking(self) -> list[int]:
        """The steps that have failed, were cancelled, returned nothing or are uncertain, once all settled.

        A computing step that could not use a result lacks nothing any more once a further plan was made.
        """
        outcomes = {number: self._nodes[number].outcome for number in self.steps.keys() - self._superseded}
        return [
            number
            for number, outcome in sorted(outcomes.items())
            if not isinstance(outcome, Succeeded)
            or outcome.value in (None, "", [], {})
            or _doubt(outcome.value)
        ]

    def unfit(self) -> str:
        """What a computing step of the last plan lacks that could not use a result; empty without one."""
        calls = dict(self._written())
        return next((f"what {calls[number]} needs, as {why}" for number, why in self._unfit().items()), "")

    def _unfit(self) -> dict[int, str]:
        """The computing steps that could not use a result, and why; but for those that a plan came after."""
        failed = {
            number: node.outcome.failure
            for number in self.steps
            if is_computing(self.steps[number].tool) and number not in self._superseded
            if isinstance((node := self._nodes[number]).outcome, Failed)
        }
        return {number: failure.message for number, failure in failed.items() if failure.code == Unbound.code}

    def _written(self) -> list[tuple[int, str]]:
        return list(zip(self.steps, self.written(list(self.steps.values())), strict=True))

    def _start(self, step: Step, plan: Plan) -> None:
        numbering = plan.numbering_of(step)

        def path(reference: Reference) -> str:
            """A reference with the path of its node, so that equal calls look equal in different plans."""
            return f"${{{self._nodes[reference.id].path}}}{''.join(f'[{key!r}]' for key in reference.path)}"

        self._steps[step.id] = step
        self._texts[step.id] = call_text(step, self._parameters)
        is_asked = self._offers[step.tool].gives_answer

        def form(text: str) -> str:
            filled = numbering.filled(text, path)
            return " ".join(filled.casefold().split()).rstrip(" .?!") if is_asked else filled

        call = canonical([step.tool, mapped(step.arguments, form)])
        node = self._calls.get(call)
        if node is None or _may_be_taken_again(node):
            values = {number: self._value(number) for number in plan.needs(step)}
            binding = Binding(self._run, self._question, step, self._texts, numbering, values)
            node = self._calls[call] = self._offers[step.tool].begin(binding)
        self._nodes[step.id] = node

    def _value(self, number: int) -> Node[Any]:
        """What a reference to a step stands for: of an answer, its text."""
        node, step = self._nodes[number], self._steps[number]
        if not self._offers[step.tool].gives_answer:
            return node
        if node.path not in self._values:
            self._values[node.path] = self._run.merge(text_of, node, label="text")
        return self._values[node.path]


def _may_be_taken_again(node: Node[Any]) -> bool:
    """Whether a call that was made has no result, and may have one yet."""
    outcome = node.outcome
    return isinstance(outcome, Cancelled) or (isinstance(outcome, Failed) and outcome.failure.retryable)


def _plain(value: object) -> object:
    return value.text if isinstance(value, Answer) else value


def _doubt(value: object) -> str:
    """Why the answer of a step is uncertain; empty if it is none, or certain."""
    return uncertain(value) if isinstance(value, Answer) else ""


def _trouble(node: Node[Any]) -> str:
    if isinstance(node.outcome, Failed):
        return f"failed: {node.outcome.failure.message} ({node.outcome.failure.code})"
    return "was cancelled"


def _instead(_: object, extract: str) -> str:
    """An extract in place of the result that it was taken from."""
    return extract

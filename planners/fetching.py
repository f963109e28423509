"""The task fetching unit of LLMCompiler (arXiv 2312.04511): steps of plans become nodes of a run."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from orchestrator.planning.run import Run
from orchestrator.runtime.messages import Part, text_of
from orchestrator.runtime.nodes import Failed, Node, Succeeded
from orchestrator.runtime.plain import canonical
from planners.plans import Plan, Step, filled, is_reference, mapped, references

LONGEST_SHOWN = 4_000
"""Characters of one result that a model is shown; between steps, results are passed on uncut."""


class Fetcher:
    """Starts the steps of one plan after another. Equal calls of a tool are one node.

    ``steps`` are the steps of the plans that were accepted.
    """

    def __init__(self, run: Run) -> None:
        self.steps: dict[int, Step] = {}
        self._run = run
        self._nodes: dict[int, Node[Any]] = {}
        self._calls: dict[str, Node[Any]] = {}
        self._waiting: dict[int, Step] = {}

    def fetch(self, step: Step, plan: Plan) -> None:
        """Start a step of a plan that is being written, unless it, or what it needs, has side effects."""
        has_side_effects = self._run.tools[step.tool].side_effects
        if has_side_effects or references(step.arguments, plan.last) & self._waiting.keys():
            self._waiting[step.id] = step
        else:
            self._start(step, plan)

    def accept(self, plan: Plan) -> None:
        """The plan is whole and valid: start what has waited, and cancel what only a refused plan wanted."""
        for step in self._waiting.values():
            self._start(step, plan)
        self._waiting.clear()
        self.steps |= plan.steps
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

    async def observations(self) -> list[Part]:
        """All steps with their results, one per line, once they have settled; failures are results too."""
        await self._run.outcomes(self._nodes.values())
        parts: list[Part] = []
        for number, step in self.steps.items():
            parts.append(f"{number}. {step.tool}({canonical(step.arguments)})")
            match (node := self._nodes[number]).outcome:
                case Succeeded(value) if len(shown := text_of(value)) > LONGEST_SHOWN:
                    parts.append(
                        f" = {shown[:LONGEST_SHOWN]}… (cut after {LONGEST_SHOWN} of {len(shown)} characters)"
                    )
                case Succeeded():
                    parts += [" = ", node]
                case Failed(failure):
                    parts.append(f" failed: {failure.message} ({failure.code})")
                case _:
                    parts.append(" was cancelled")
            parts.append("\n")
        return parts

    def lacking(self) -> list[int]:
        """The steps that have failed, were cancelled, or returned nothing, once all have settled."""
        outcomes = {number: self._nodes[number].outcome for number in self.steps}
        return [
            number
            for number, outcome in outcomes.items()
            if not isinstance(outcome, Succeeded) or outcome.value in (None, "", [], {})
        ]

    def _start(self, step: Step, plan: Plan) -> None:
        tool = self._run.tools[step.tool]

        def named(text: str) -> str:
            """The text with references as node paths, so that equal calls look equal in different plans."""
            numbers = references(text, plan.last)
            return filled(text, {number: f"${{{self._nodes[number].path}}}" for number in numbers})

        def bound(text: str) -> Any:
            sources = {number: self._nodes[number] for number in references(text, plan.last)}
            if is_reference(text):
                return next(iter(sources.values()))
            return self._run.merge(filled, text, sources, label="text") if sources else text

        call = canonical([step.tool, mapped(step.arguments, named)])
        node = self._calls.get(call)
        if node is None or (isinstance(node.outcome, Failed) and node.outcome.failure.retryable):
            properties = tool.schema.get("properties", {})
            arguments = {
                name: self._as_text(mapped(value, bound))
                if properties.get(name, {}).get("type") == "string"
                else mapped(value, bound)
                for name, value in step.arguments.items()
            }
            node = self._calls[call] = self._run.tool(step.tool, arguments, label=f"{step.id} {step.tool}")
        self._nodes[step.id] = node

    def _as_text(self, value: Any) -> Any:
        """A number or a result as text, for a tool that takes text."""
        if isinstance(value, Node):
            return self._run.merge(text_of, value, label="text")
        return text_of(value) if isinstance(value, int | float) else value

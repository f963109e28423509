"""What the steps of a plan may be: the tools of the run, computing steps, and questions to the model."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from orchestrator.planning.run import Run
from orchestrator.runtime.nodes import Node
from orchestrator.runtime.values import Question
from planners.binding import Binding
from planners.computing import COMPUTING, reading_for, with_names
from planners.plan_writing import Parameters
from planners.schemas import described, properties_of, takes_text
from workers.tools.calculator import calculator
from workers.tools.tool import Tool

_RARE: Final = {
    "sort": re.compile(
        r"\b(?:orders?|ordered|rank\w*|sort\w*|ascending|descending|ordn\w*|reihenfolge|trie[rz]?|class\w+|ordena\w*)\b",
        re.IGNORECASE,
    )
}
"""The words of questions without which a step is not offered: small models use whatever they are offered."""


@dataclass(frozen=True, slots=True)
class Offer:
    """One kind of step, as it is described to the model that plans, and how it begins."""

    name: str
    description: str
    schema: Mapping[str, Any]
    begin: Callable[[Binding], Node[Any]]
    side_effects: bool = False
    examples: tuple[str, ...] = ()
    gives_answer: bool = False
    """Whether its value is an :class:`Answer`, whose text is what a reference to it stands for."""
    signature: str | None = None
    """How its arguments are shown, instead of by their types."""

    @property
    def parameters(self) -> tuple[str, ...]:
        """The names of the arguments, in order."""
        return tuple(self.schema.get("properties", ()))

    @property
    def required(self) -> tuple[str, ...]:
        """The names of the arguments that must be given, in order."""
        needed = set(self.schema.get("required", ()))
        return tuple(name for name in self.parameters if name in needed)

    def described(self) -> str:
        """A line for the model: ``- name(argument: type, …): what it does``."""
        return described(self, self.signature)


Offers = Mapping[str, Offer]


def offered(
    tool: Tool,
    begin: Callable[[Binding], Node[Any]],
    *,
    side_effects: bool = False,
    gives_answer: bool = False,
    signature: str | None = None,
) -> Offer:
    """A tool as an offer."""
    return Offer(
        tool.name, tool.description, tool.schema, begin, side_effects, tool.examples, gives_answer, signature
    )


def tools_of(run: Run) -> dict[str, Offer]:
    """The tools of a run but for the built-in calculator: :func:`computing` has a better one in its place."""
    return {
        name: offered(tool, begin_tool, side_effects=tool.side_effects)
        for name, tool in run.tools.items()
        if tool is not calculator
    }


def computing(question: Question) -> dict[str, Offer]:
    """The computing steps that a question may need; how each is called, its description shows."""
    return {
        tool.name: offered(tool, _begin_computing(tool), signature="")
        for tool in COMPUTING
        if tool.name not in _RARE or _RARE[tool.name].search(question.text)
    }


def parameters_of(offers: Offers) -> Parameters:
    """The names of the arguments of each offer."""
    return {name: offer.parameters for name, offer in offers.items()}


def begin_tool(binding: Binding) -> Node[Any]:
    """Call a tool of the run; what takes text is given text."""
    step = binding.step
    properties = properties_of(binding.run.tools[step.tool].schema)
    arguments = {
        name: binding.text(value) if takes_text(properties.get(name, {})) else binding.value(value)
        for name, value in step.arguments.items()
    }
    return binding.run.tool(step.tool, arguments, label=binding.label)


def _begin_computing(tool: Tool) -> Callable[[Binding], Node[Any]]:
    def begin(binding: Binding) -> Node[Any]:
        reading = reading_for(tool.name)
        given = with_names(binding.step.arguments, binding.call_of)
        arguments = {name: binding.read(value, reading) for name, value in given.items()}
        return binding.run.tool(tool, arguments, label=binding.label)

    return begin


def merged(*offers: Iterable[Offer]) -> dict[str, Offer]:
    """Offers by name; of several with one name, the first counts."""
    found: dict[str, Offer] = {}
    for each in offers:
        for offer in each:
            found.setdefault(offer.name, offer)
    return found

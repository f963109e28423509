"""Plans: numbered calls of tools that refer to each other's results by ``$id`` or ``${id}``.

The arguments of a step are a tree of JSON values. A reference stays a string in that tree until the step
starts, and what it stands for is bound in the tree, never pasted into text that is parsed afterwards.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from orchestrator.errors import GraphError
from orchestrator.runtime.graph import check_references
from orchestrator.runtime.messages import text_of

JOIN = "join"
DEEPEST = 32
"""How deep lists and objects may be nested in the arguments of a step."""

REFERENCE = re.compile(r"\$(?:\{(?P<braced>[0-9]{1,9})\}|(?P<bare>[0-9]{1,9})(?!\.?[0-9]))")


@dataclass(frozen=True, slots=True)
class Step:
    """One call of a tool. ``id`` is the number that later steps refer to."""

    id: int
    tool: str
    arguments: Mapping[str, Any]


def reference_id(match: re.Match[str]) -> int:
    """The id in a match of :data:`REFERENCE`."""
    return int(match["braced"] or match["bare"])


def references(value: object, last: int) -> set[int]:
    """The ids that an argument refers to.

    A bare ``$20`` inside a longer text is money if no step can have the id 20, because it is beyond ``last``.
    """
    if isinstance(value, str):
        whole = REFERENCE.fullmatch(value.strip()) is not None
        found = REFERENCE.finditer(value)
        return {
            reference_id(match) for match in found if whole or match["braced"] or reference_id(match) <= last
        }
    if isinstance(value, Mapping):
        value = list(value.values())
    if isinstance(value, list):
        return set[int]().union(*(references(item, last) for item in value))
    return set()


def mapped(value: Any, function: Callable[[str], Any]) -> Any:
    """An argument with every text in it replaced by what ``function`` makes of it."""
    if isinstance(value, str):
        return function(value)
    if isinstance(value, Mapping):
        return {key: mapped(item, function) for key, item in value.items()}
    return [mapped(item, function) for item in value] if isinstance(value, list) else value


def is_reference(text: str) -> bool:
    """Whether a text is nothing but one reference, which then stands for the value itself."""
    return REFERENCE.fullmatch(text.strip()) is not None


def filled(text: str, values: Mapping[int, object]) -> str:
    """A text with the values of steps in place of references to them; other references stay."""

    def replace(match: re.Match[str]) -> str:
        return text_of(values[reference_id(match)]) if reference_id(match) in values else match.group()

    return REFERENCE.sub(replace, text)


class Reader(Protocol):
    """Reads a plan piece by piece."""

    def feed(self, text: str) -> list[Step]:
        """The steps that became complete with the next piece of the plan."""
        ...

    def finish(self) -> list[Step]:
        """The steps that can be made out at the end of the plan."""
        ...


class Plan:
    """A plan while it is being written: which steps may start, and what is wrong.

    ``tools`` are the names of the tools, ``known`` the ids of steps in earlier plans; ``limit`` is the
    maximum number of steps. Ids go from ``first`` to ``last``.
    """

    def __init__(self, tools: Collection[str], known: Collection[int], limit: int) -> None:
        self.first = max(known, default=0) + 1
        self.last = self.first + limit - 1
        self.steps: dict[int, Step] = {}
        self.joined = False
        self._tools = tools
        self._known = known
        self._limit = limit
        self._sound: set[int] = set(known)
        self._errors: list[str] = []

    def admit(self, step: Step) -> bool:
        """Take the next step, and return whether it may start. The plan ends at its first join."""
        if self.joined:
            return False
        if step.tool == JOIN:
            self.joined = True
            return False
        if error := self._refusal(step):
            self._errors.append(error)
            return False
        self.steps[step.id] = step
        if not references(step.arguments, self.last) <= self._sound:
            return False  # what it refers to was refused, or comes later; the end of the plan will show
        self._sound.add(step.id)
        return True

    def _refusal(self, step: Step) -> str:
        if len(self.steps) >= self._limit:
            return f"step {step.id} is too many: a plan has at most {self._limit} steps"
        if step.id in self.steps:
            return f"the id {step.id} is used twice"
        if not self.first <= step.id <= self.last:
            return f"the ids of the steps go from {self.first} to {self.last}, not to {step.id}"
        if _deeper_than(DEEPEST, step.arguments):
            return f"step {step.id} nests its arguments more than {DEEPEST} deep"
        if step.tool not in self._tools:
            return (
                f"step {step.id} uses {step.tool}, which is no tool; the tools are {', '.join(self._tools)}"
            )
        return ""

    def close(self, *, cut_off: bool = False) -> list[str]:
        """All that is wrong with the plan, now that it is whole; empty if it is valid."""
        errors = list(self._errors) or self._wrong_references()
        if not self.joined:
            errors.append(
                f"the plan was cut off before {JOIN}" if cut_off else f"the plan does not end with {JOIN}"
            )
        return errors

    def _wrong_references(self) -> list[str]:
        needs = {number: references(step.arguments, self.last) for number, step in self.steps.items()}
        try:
            check_references(
                {str(number): () for number in self._known}
                | {str(number): [str(source) for source in sorted(needs[number])] for number in needs}
            )
        except GraphError as error:
            return [str(error)]
        order = [*self._known, *needs]
        return [
            f"step {number} refers to step {source}, which comes after it"
            for number in needs
            for source in sorted(needs[number])
            if order.index(source) > order.index(number)
        ]


def _deeper_than(room: int, value: object) -> bool:
    items = value.values() if isinstance(value, Mapping) else value if isinstance(value, list) else ()
    return room < 0 or any(_deeper_than(room - 1, item) for item in items)

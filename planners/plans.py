"""Plans: numbered steps that refer to each other's results, admitted one by one while they are written."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from orchestrator.errors import GraphError
from orchestrator.runtime.graph import check_references
from planners.references import Numbering

JOIN = "join"
DEEPEST = 32
"""How deep lists and objects may be nested in the arguments of a step."""


@dataclass(frozen=True, slots=True)
class Step:
    """One call of a tool. ``id`` is the number that later steps refer to."""

    id: int
    tool: str
    arguments: Mapping[str, Any]


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

    ``tools`` are the names of what steps may call, ``known`` the ids of steps in earlier plans; ``limit`` is
    the maximum number of steps, ``amounts`` are those of :class:`Numbering`. Ids go from ``first`` to
    ``numbering.last``. ``refuse`` says why a step cannot be meant (empty: it can), ``is_needless`` whether it
    only says again what the plan is for. ``expressions`` are the tools that take arithmetic.

    Steps beyond the limit are ``cut``, needless ones ``left_out``: neither is an error, unless it is needed.
    """

    def __init__(
        self,
        tools: Collection[str],
        known: Collection[int],
        limit: int,
        *,
        amounts: frozenset[int] = frozenset(),
        refuse: Callable[[Step], str] = lambda step: "",
        is_needless: Callable[[Step], bool] = lambda step: False,
        expressions: Collection[str] = (),
    ) -> None:
        self.first = max(known, default=0) + 1
        self.numbering = Numbering(self.first + limit - 1, amounts)
        self.steps: dict[int, Step] = {}
        self.cut: list[Step] = []
        self.left_out: dict[int, Step] = {}
        self.joined = False
        self._tools = tools
        self._known = known
        self._limit = limit
        self._refuse = refuse
        self._is_needless = is_needless
        self._expressions = expressions
        self._sound: set[int] = set(known)
        self._errors: list[str] = []
        self._written: set[int] = set()
        self._ahead = 0

    @property
    def runs_on(self) -> bool:
        """Whether as many steps have been cut as may be taken: nothing of use comes any more."""
        return len(self.cut) >= self._limit

    def renumbered(self, step: Step) -> Step:
        """A step of a further plan that begins anew with the number 1, as if it went on with the numbers.

        What it refers to is a step of its own plan if that has one of the number.
        """
        if self._known and not self._written and step.id == 1 and step.tool != JOIN:
            self._ahead = self.first - 1
        if not self._ahead:
            return step
        moved = self.numbering_of(step).moved(dict(step.arguments), self._written, self._ahead)
        self._written.add(step.id)
        return Step(step.id + self._ahead, step.tool, moved)

    def needs(self, step: Step) -> set[int]:
        """The ids of the steps whose results a step uses."""
        return self.numbering_of(step).ids(step.arguments)

    def numbering_of(self, step: Step) -> Numbering:
        """What is a reference in a step: in arithmetic, $2 is step 2 even if the question speaks of $2."""
        if step.tool not in self._expressions:
            return self.numbering
        amounts = (amount for amount in self.numbering.amounts if amount >= step.id)
        return Numbering(self.numbering.last, frozenset(amounts))

    def admit(self, step: Step) -> bool:
        """Take the next step, and return whether it may start. The plan ends at its first join."""
        if self.joined:
            return False
        if step.tool == JOIN:
            self.joined = True
            return False
        if len(self.steps) >= self._limit:
            self.cut.append(step)
            return False
        if error := self._refusal(step):
            self._errors.append(error)
            return False
        if self._is_needless(step):
            self.left_out[step.id] = step
            return False
        self.steps[step.id] = step
        if not self.needs(step) <= self._sound:
            return False  # what it refers to was refused, or comes later; the end of the plan will show
        self._sound.add(step.id)
        return True

    def _refusal(self, step: Step) -> str:
        last = self.numbering.last
        if step.id in self.steps or step.id in self.left_out:
            return f"the id {step.id} is used twice"
        if not self.first <= step.id <= last:
            return f"the ids of the steps go from {self.first} to {last}, not to {step.id}"
        if _deeper_than(DEEPEST, step.arguments):
            return f"step {step.id} nests its arguments more than {DEEPEST} deep"
        if step.tool not in self._tools:
            return (
                f"step {step.id} uses {step.tool}, which is no tool; the tools are {', '.join(self._tools)}"
            )
        return self._refuse(step)

    def close(self, *, cut_off: bool = False) -> list[str]:
        """All that is wrong with the plan, now that it is whole; empty if it is valid."""
        errors = list(self._errors) or self._wrong_references()
        if not self.joined and not self.cut:
            errors.append(
                f"the plan was cut off before {JOIN}" if cut_off else f"the plan does not end with {JOIN}"
            )
        return errors

    def _wrong_references(self) -> list[str]:
        needs = {number: self.needs(step) for number, step in self.steps.items()}
        useless = [
            f"step {number} refers to step {source}, which only repeats the question"
            for number in needs
            for source in sorted(needs[number] & self.left_out.keys())
        ]
        circular = [
            f"step {number} refers to itself (${number}); it may only refer to steps before it"
            for number in needs
            if number in needs[number]
        ]
        if wrong := useless or circular:
            return wrong
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

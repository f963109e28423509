"""Binding the arguments of a step: values of earlier steps in place of the references to them."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from orchestrator.consensus.quantities import parse_quantity
from orchestrator.planning.run import Run
from orchestrator.runtime.messages import text_of
from orchestrator.runtime.nodes import Node, NodeKind
from orchestrator.runtime.values import Question
from planners.extracting import for_step
from planners.plans import Step
from planners.references import NoFields, Numbering, Reference, Unbound, at, mapped
from planners.stated import values_in
from planners.wanted import value_wanted
from workers.errors import ToolError

LONGEST_BOUND: Final = 80
"""Characters of a result that may stand inside a longer text; of longer ones, what is needed is extracted."""

SAYS_ONE_THING: Final = 24
"""Characters of a result from which nothing shorter can be taken that would be clearer."""

_BETWEEN_DIGITS = "[.,'\u2019 \u00a0\u202f]"
_FIGURES = re.compile(rf"\d+(?:{_BETWEEN_DIGITS}\d{{3}})*(?:[.,]\d+)?")


@dataclass(frozen=True, slots=True)
class Binding:
    """A step and what its references stand for: ``calls`` are the steps as text, ``values`` the results."""

    run: Run
    question: Question
    step: Step
    calls: Mapping[int, str]
    numbering: Numbering
    values: Mapping[int, Node[Any]] = field(repr=False)

    @property
    def label(self) -> str:
        """What the node of the step is called."""
        return f"{self.step.id} {self.step.tool}"

    def sources(self, value: object) -> dict[int, Node[Any]]:
        """The nodes whose values an argument needs."""
        return {number: self.values[number] for number in sorted(self.numbering.ids(value))}

    def value(self, argument: Any) -> Any:
        """An argument with values in it: a whole reference is the value itself."""
        return mapped(argument, self._value)

    def text(self, argument: Any) -> Any:
        """An argument for what takes text: a number or a result becomes its text."""
        bound = self.value(argument)
        if isinstance(bound, Node):
            return self.run.merge(text_of, bound, label="text")
        return text_of(bound) if isinstance(bound, int | float) else bound

    def read(self, argument: Any, reading: Callable[[object], object]) -> Any:
        """An argument in which each reference stands for what ``reading`` makes of the result."""
        return mapped(argument, lambda text: self._filled(text, reading))

    def call_of(self, text: str) -> str | None:
        """The step, as text, to whose result a text refers and nothing else; None for other texts."""
        whole = self.numbering.whole(text)
        return None if whole is None else self.calls.get(whole.id)

    def _value(self, text: str) -> Any:
        whole = self.numbering.whole(text)
        if whole is not None and not whole.path:
            return self.values[whole.id]
        return self._filled(text, None)

    def _filled(self, text: str, reading: Callable[[object], object] | None) -> Any:
        if not (sources := self.sources(text)):
            return text
        asked = (self.question, self.calls[self.step.id], text, self.numbering, sources, reading)
        return self.run.scope(NodeKind.SPAWN, "text", fill, *asked)


async def fill(
    run: Run,
    question: Question,
    call: str,
    text: str,
    numbering: Numbering,
    values: Mapping[int, Any],
    reading: Callable[[object], object] | None,
) -> Any:
    """The text of an argument with values in it; a whole reference is what it refers to, of any type.

    Of several values, a number is the one that the question speaks of. What a result does not say in a form
    that fits there is extracted from it by a model: a field of prose, the number in a sentence, the name in a
    long text.

    Raises:
        Unbound: a result does not have what is asked of it.
        NodeFailed: the call of the model failed.
    """

    async def bound(reference: Reference) -> Any:
        value = values[reference.id]
        wanted = f"${reference.id}"
        try:
            value = at(value, reference)
        except NoFields:
            wanted = f"the {' '.join(map(str, reference.path))}"
            value = await _extracted(run, question, value, wanted, call)
        if reading is not None:
            meant = value_wanted(question.text, value)
            return await read(value if meant is None else meant.text, wanted, reading)
        if whole is None and len(text_of(value)) > LONGEST_BOUND:
            return await _extracted(run, question, value, wanted, call)
        return value

    async def read(value: Any, wanted: str, reading: Callable[[object], object]) -> object:
        try:
            return reading(value)
        except ToolError as error:
            if len(text_of(value)) <= SAYS_ONE_THING:
                raise Unbound(str(error)) from error
        try:
            return reading(await _extracted(run, question, value, f"the value {wanted}", call))
        except ToolError as error:
            raise Unbound(str(error)) from error

    whole = numbering.whole(text)
    if whole is not None:
        return await bound(whole)
    pieces = {
        reference: text_of(await bound(reference)) for reference in dict.fromkeys(numbering.found(text))
    }
    return numbering.filled(text, pieces.get)


async def _extracted(run: Run, question: Question, value: object, wanted: str, call: str) -> str:
    found = await for_step(run, question, text_of(value), wanted, call)
    if not found:
        raise Unbound(f"the result does not say {wanted}")
    if not copied(found, text_of(value)):
        raise Unbound(f"a model takes {found!r} out of a result that does not have this number")
    return found


def copied(found: str, text: str) -> bool:
    """Whether the first number that was taken out of a text stands there, however it is written."""
    figures = _FIGURES.search(found)
    if figures is None or not any(map(str.isdigit, text)):
        return True
    digits = f"{_BETWEEN_DIGITS}?".join(re.sub(r"\D", "", figures[0]))
    if re.search(rf"(?<!\d){digits}(?!\d)", text):
        return True
    number = parse_quantity(figures[0])
    return number is not None and any(
        value.quantity is not None and value.quantity.amount == number.amount for value in values_in(text)
    )

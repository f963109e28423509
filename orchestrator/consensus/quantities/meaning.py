"""A meaning that is more than one quantity, and whether two of them are the same."""

from __future__ import annotations

from dataclasses import dataclass

from orchestrator.consensus.quantities.quantity import Quantity, same_quantity


@dataclass(frozen=True, slots=True)
class Meaning:
    """A shape, such as "at least", what it says besides numbers, and its quantities.

    ``name`` is the variable that it is about, if one is named. The ``parts`` of a set are in no order.
    """

    kind: str
    key: tuple[object, ...] = ()
    parts: tuple[Quantity, ...] = ()
    name: str = ""


def same_meaning(a: Meaning, b: Meaning) -> bool:
    """Whether both say the same: shape, key, and quantities, whatever the units."""
    if a.kind != b.kind or a.key != b.key or len(a.parts) != len(b.parts):
        return False
    if a.name and b.name and a.name != b.name:
        return False
    if a.kind == "set":
        return _same_in_any_order(a.parts, b.parts)
    return all(same_quantity(one, other) for one, other in zip(a.parts, b.parts, strict=True))


def means_quantity(meaning: Meaning, quantity: Quantity) -> bool:
    """Whether a meaning comes to one bare number: a ratio of 5:3 and 5/3."""
    if meaning.kind != "ratio" or quantity.unit or quantity.value.denominator == 1:
        return False
    return same_quantity(meaning.parts[0], quantity)


def _same_in_any_order(left: tuple[Quantity, ...], right: tuple[Quantity, ...]) -> bool:
    rest = list(right)
    for one in left:
        found = next((other for other in rest if same_quantity(one, other)), None)
        if found is None:
            return False
        rest.remove(found)
    return True

"""A meaning that is more than one quantity."""

from __future__ import annotations

from dataclasses import dataclass

from orchestrator.consensus.quantities.quantity import Quantity


@dataclass(frozen=True, slots=True)
class Meaning:
    """A shape, such as "at least", what it says besides numbers, and its quantities.

    ``name`` is the variable that it is about, if one is named, or a clock time's place. The ``parts`` of a
    set are in no order.
    """

    kind: str
    key: tuple[object, ...] = ()
    parts: tuple[Quantity, ...] = ()
    name: str = ""

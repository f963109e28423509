"""Calls that share a prefix, as a pool sees them."""

from __future__ import annotations

from collections import OrderedDict

MOST_FAMILIES = 10_000
"""How many families are remembered, including those that no longer have a call in the pool."""


class Family:
    """One family: when it began, counted in calls, and how many of its calls are in the pool now."""

    __slots__ = ("age", "calls")

    def __init__(self, age: int) -> None:
        self.age = age
        self.calls = 0


class Families:
    """The families by name, the one with the latest call last."""

    def __init__(self) -> None:
        self._known: OrderedDict[str, Family] = OrderedDict()

    def __len__(self) -> int:
        """How many families are remembered."""
        return len(self._known)

    @property
    def present(self) -> int:
        """How many families have calls in the pool."""
        return sum(1 for family in self._known.values() if family.calls)

    def has_calls(self, name: str | None) -> bool:
        """Whether a call of the family is in the pool."""
        family = self._known.get(name) if name is not None else None
        return family is not None and family.calls > 0

    def join(self, name: str | None, age: int) -> int:
        """When the family of a call began, counted in calls; adds the call to its members."""
        if name is None:
            return age
        family = self._known.get(name)
        if family is None:
            family = self._known[name] = Family(age)
        else:
            self._known.move_to_end(name)
        family.calls += 1
        while len(self._known) > MOST_FAMILIES:
            oldest = next(iter(self._known))
            if self._known[oldest].calls:
                self._known.move_to_end(oldest)
                break
            del self._known[oldest]
        return family.age

    def leave(self, name: str | None) -> None:
        """A call of the family left the pool."""
        if name is not None and name in self._known:
            self._known[name].calls -= 1

"""A figure and the bound that it must keep to."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Check:
    """A figure, the bound that it must keep to, and whether it does."""

    name: str
    value: float
    bound: float
    passed: bool


def at_most(name: str, value: float, bound: float) -> Check:
    """A figure that must not be above its bound."""
    return Check(name, round(value, 4), bound, value <= bound)


def at_least(name: str, value: float, bound: float) -> Check:
    """A figure that must not be below its bound."""
    return Check(name, round(value, 4), bound, value >= bound)

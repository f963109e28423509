"""A rule as a frozen value that has a name."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import Field, fields
from typing import Any, ClassVar

from orchestrator.consensus.stopping.view import Continue, Decision, Json, Signal, Stop, Tally, View


class Settings:
    """Base of what a spec can name: a frozen dataclass whose fields are plain numbers with defaults.

    The first field is the main setting, which a spec may give without its name.
    """

    __slots__ = ()
    __dataclass_fields__: ClassVar[dict[str, Field[Any]]]
    name: ClassVar[str]

    @property
    def spec(self) -> str:
        """The name and the settings that are not at their default, as in ``beta:threshold=0.99,width=16``."""
        settings = ((each.name, getattr(self, each.name), each.default) for each in fields(self))
        given = ",".join(f"{name}={value}" for name, value, default in settings if value != default)
        return f"{self.name}:{given}" if given else self.name


class Rule(Settings):
    """Base of the stop rules. Every subclass has ``width``, the maximum number of branches to start."""

    __slots__ = ()
    width: int

    def __post_init__(self) -> None:
        # A subclass calls this by name: super() without arguments fails in a class that slots=True recreates.
        if self.width < 1:
            raise ValueError(f"width must be at least 1, got {self.width}")

    @property
    def needs(self) -> frozenset[Signal]:
        """The signals that it cannot work without: none, unless a subclass says so."""
        return frozenset()

    @property
    def initial(self) -> int:
        """All at once, unless a rule starts with fewer."""
        return self.width

    @property
    def limit(self) -> int:
        """The maximum number of branches that it will ever have started."""
        return self.width

    def decide(self, view: View) -> Decision:
        """What to do now."""
        raise NotImplementedError


def wait_or_end(view: View, tally: Tally, seen: Mapping[str, Json] | None = None) -> Decision:
    """Continue while anything runs; otherwise stop with the leader."""
    if view.running:
        return Continue(seen or {})
    return Stop("exhausted", tally.winner, seen or {})


def unassailable(view: View, tally: Tally) -> bool:
    """Whether the leader stays ahead, whatever the branches say that still run or may yet be started."""
    return tally.first > tally.against + view.outstanding


def between(name: str, value: float, low: float, high: float) -> None:
    """Refuse a setting outside [low, high].

    Raises:
        ValueError: it lies outside, or is not a number.
    """
    if not low <= value <= high:
        raise ValueError(f"{name} must lie between {low} and {high}, got {value}")

"""A rule as a frozen value that has a name."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import Field, fields
from typing import Any, ClassVar

from orchestrator.consensus.stopping.view import Continue, Decision, Json, Signal, Stop, Tally, View


class Rule:
    """Base of the rules that a spec can name.

    A subclass is a frozen dataclass whose fields are plain numbers with defaults; the first is its main
    setting, which a spec may give without its name. Every subclass has ``width``, the most branches it
    starts.
    """

    __slots__ = ()
    __dataclass_fields__: ClassVar[dict[str, Field[Any]]]
    name: ClassVar[str]
    needs: ClassVar[frozenset[Signal]] = frozenset()
    width: int

    def __post_init__(self) -> None:
        if self.width < 1:
            raise ValueError(f"width must be at least 1, got {self.width}")

    @property
    def initial(self) -> int:
        """All at once, unless a rule starts with fewer."""
        return self.width

    @property
    def limit(self) -> int:
        """The most branches that it will ever have started."""
        return self.width

    @property
    def spec(self) -> str:
        """The name and the settings that are not at their default, as in ``beta:threshold=0.99,width=16``."""
        settings = ((each.name, getattr(self, each.name), each.default) for each in fields(self))
        given = ",".join(f"{name}={value}" for name, value, default in settings if value != default)
        return f"{self.name}:{given}" if given else self.name

    def decide(self, view: View) -> Decision:
        """What to do now."""
        raise NotImplementedError


def wait_or_end(view: View, tally: Tally, seen: Mapping[str, Json] | None = None) -> Decision:
    """Continue while anything runs; else stop with the leader."""
    if view.running:
        return Continue(seen or {})
    return Stop("exhausted", tally.winner, seen or {})

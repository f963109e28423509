"""All that is thrown at the processes, each once: what it is, how it is submitted, and how it may end."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from benchmarks.hostile import engines, planners, rows, tools
from benchmarks.hostile.processes import CALL_SECONDS

TENANT = "hostile"
SECONDS = 10.0
"""The time budget of a hostile task."""

ENGINE_SECONDS = 1.5 * CALL_SECONDS
"""That of one whose engine is hostile: a call that hangs is to fail as a call, not as a task."""


@dataclass(frozen=True, slots=True)
class Item:
    """Something hostile.

    ``request`` is the body of its submission; None for a damaged row. ``deadly``: it takes its process
    down until it is dead, since nothing within the process can prevent that.
    """

    kind: str
    name: str
    request: Mapping[str, Any] | None = None
    deadly: bool = False

    @property
    def full_name(self) -> str:
        """Unique among all items."""
        return f"{self.kind}.{self.name}"


def _request(planner: str, *, seconds: float = SECONDS, **options: str) -> Mapping[str, Any]:
    return {
        "query": "?",
        "planner": planner,
        "options": options,
        "budget": {"seconds": seconds},
        "tenant": TENANT,
    }


def _role(marker: str) -> str:
    """A failure has a server of its own; what is no failure of the server goes to that of good tasks."""
    return marker if marker in (*engines.FAILURES, engines.REFUSED) else "branch"


ITEMS = (
    *(
        Item("planner", each.name, _request(each.name), deadly=each.name in planners.DEADLY)
        for each in planners.HOSTILE
    ),
    *(Item("tool", each.name, _request("uses", tool=each.name)) for each in tools.HOSTILE),
    *(
        Item("engine", marker, _request("asks", seconds=ENGINE_SECONDS, marker=marker, role=_role(marker)))
        for marker in (*engines.BY_NAME, engines.REFUSED)
    ),
    *(Item("row", name) for name in rows.BY_NAME),
)


USUAL = tuple(item for item in ITEMS if not item.deadly)
"""What a service must not notice."""


def chosen(names: Iterable[str]) -> tuple[Item, ...]:
    """The items with these names (``planner.loops``) or of these kinds (``row``).

    Raises:
        ValueError: there is none with one of the names.
    """
    wanted = set(names)
    if unknown := wanted - {name for item in ITEMS for name in (item.full_name, item.kind)}:
        known = ", ".join(item.full_name for item in ITEMS)
        raise ValueError(f"there is no {min(unknown)!r}; there are {known}")
    return tuple(item for item in ITEMS if wanted & {item.full_name, item.kind})

"""Finding planners by name, among those that installed packages provide."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Mapping, Sequence
from functools import cache
from importlib.metadata import Distribution, entry_points
from typing import Any

from orchestrator.errors import PlannerError, UnknownPlanner
from orchestrator.planning.planner import Planner
from orchestrator.runtime.plain import said

FindPlanner = Callable[[str], Planner]
"""Returns the planner of that name, or raises :class:`UnknownPlanner`."""

GROUP = "anabranch.planners"

INSTALLED = {point.name: point for point in entry_points(group=GROUP)}
"""Looked up once: it reads the metadata of every installed package, blocking the event loop for 15 ms."""


@cache
def _release(package: Distribution) -> Mapping[str, str]:
    return {package.name: package.version}


PACKAGES = {name: _release(point.dist) for name, point in INSTALLED.items() if point.dist is not None}
"""The package that provides each planner and its version, by planner name; read here for the same reason."""


def installed_planners() -> list[str]:
    """The names of the planners that installed packages provide."""
    return sorted(INSTALLED)


class Planners:
    """Planners by name: those that are ``given``, and those that installed packages provide."""

    def __init__(self, given: Mapping[str, Planner]) -> None:
        self.given = dict(given)

    def find(self, name: str) -> Planner:
        """The planner of that name. Raises as :func:`find_planner`."""
        return self.given.get(name) or find_planner(name)


@cache
def find_planner(name: str) -> Planner:
    """The installed planner of that name; loaded when it is first used.

    Raises:
        UnknownPlanner: there is none; the message lists the installed ones.
        PlannerError: its module cannot be imported, or the entry point is not a planner.
    """
    if point := INSTALLED.get(name):
        try:
            loaded = point.load()
        except BaseException as error:  # whatever a package does while it is imported, even if it exits
            raise PlannerError(
                f"planner {name!r} ({point.value}) cannot be imported: {type(error).__name__}: {said(error)}"
            ) from error
        if isinstance(loaded, Planner):
            return loaded
        raise PlannerError(f"entry point {point.value} is not a planner; declare it with @planner({name!r})")
    raise UnknownPlanner(not_among(name, installed_planners()))


def not_among(name: str, known: Sequence[str]) -> str:
    """That no planner has a name, which one has a similar one, and which there are."""
    close = difflib.get_close_matches(name, known, n=1)
    hint = f"; did you mean {close[0]}?" if close else "."
    return f"no planner is called {name!r}{hint} Installed: {', '.join(known) or 'none'}"


def described(name: str) -> dict[str, Any]:
    """A planner as JSON: its name, its summary and the JSON schemas of its options.

    If it cannot be loaded, the summary says why.
    """
    try:
        planner = find_planner(name)
        return {"name": name, "summary": planner.summary, "options": planner.schemas()}
    except (ImportError, PlannerError) as error:
        return {"name": name, "summary": f"cannot be loaded: {error}", "options": {}}

"""Finding planners by name, among those that installed packages provide."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Mapping
from functools import cache
from importlib.metadata import Distribution, entry_points

from orchestrator.errors import PlannerError, UnknownPlanner
from orchestrator.planning.planner import Planner

FindPlanner = Callable[[str], Planner]
"""Gives the planner of a name, or raises :class:`UnknownPlanner`."""

GROUP = "anabranch.planners"

INSTALLED = {point.name: point for point in entry_points(group=GROUP)}
"""Looked up once: it reads the metadata of every installed package, 15 ms that block the event loop."""


@cache
def _release(package: Distribution) -> Mapping[str, str]:
    return {package.name: package.version}


PACKAGES = {name: _release(point.dist) for name, point in INSTALLED.items() if point.dist is not None}
"""By the name of a planner, the package that provides it and its version; read here for the same reason."""


def installed_planners() -> list[str]:
    """The names of the planners that installed packages provide."""
    return sorted(INSTALLED)


@cache
def find_planner(name: str) -> Planner:
    """The installed planner of that name; loaded at its first use.

    Raises:
        UnknownPlanner: there is none; the message lists those that there are.
    """
    if point := INSTALLED.get(name):
        try:
            loaded = point.load()
        except Exception as error:  # whatever a package does while it is imported
            raise PlannerError(
                f"planner {name!r} ({point.value}) cannot be imported: {type(error).__name__}: {error}"
            ) from error
        if isinstance(loaded, Planner):
            return loaded
        raise PlannerError(f"entry point {point.value} is not a planner; declare it with @planner({name!r})")
    known = installed_planners()
    close = difflib.get_close_matches(name, known, n=1)
    hint = f"; did you mean {close[0]}?" if close else "."
    raise UnknownPlanner(f"no planner is called {name!r}{hint} Installed: {', '.join(known) or 'none'}")

"""What benchmarks share that ask planners questions for hours: finding them, and a file to go on from.

Each run is a line of JSON, appended as it ends, with the key of what it was made with: the same command then
skips what the file has.
"""

from __future__ import annotations

import importlib
import json
import sys
from collections.abc import Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from benchmarks.intervals import Interval
from orchestrator.errors import PlannerError, UnknownPlanner
from orchestrator.planning.finding import find_planner
from orchestrator.planning.planner import Planner


def find(name: str) -> Planner | None:
    """The planner that the module ``planners.<name>`` has, else the installed one; None without either.

    Why there is none goes to standard error.
    """
    try:
        if find_spec(f"planners.{name}") is not None:
            found = getattr(importlib.import_module(f"planners.{name}"), name, None)
            if isinstance(found, Planner):
                return found
        return find_planner(name)
    except (UnknownPlanner, PlannerError) as error:
        print(f"  {name} is left out: {error}", file=sys.stderr)
        return None


def append(path: Path, result: Mapping[str, Any]) -> None:
    """Add a run to a file."""
    with path.open("a", encoding="utf-8") as file:
        file.write(json.dumps(result, ensure_ascii=False) + "\n")


def stored(path: Path, key: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The runs in a file that were made with this key, such as engine, model and seed."""
    lines = path.read_text(encoding="utf-8").splitlines() if path.exists() else []
    return [each for each in map(json.loads, lines) if key.items() <= each.items()]


def points(difference: tuple[float, Interval] | None) -> str:
    """A difference of two shares in points, with its interval; empty for none."""
    if difference is None:
        return ""
    mean, (low, high) = difference
    return f"{100 * mean:+.0f} [{100 * low:+.0f}, {100 * high:+.0f}]"

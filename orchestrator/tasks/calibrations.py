"""The calibrations that a process knows, and which of them tells of a run."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import platformdirs
import structlog

from orchestrator.consensus.stopping import DEFAULT_RULE
from orchestrator.errors import InvalidRequest
from orchestrator.planning.planner import Planner
from orchestrator.runtime.environment import Result, RunOutcome
from orchestrator.runtime.plain import plain
from orchestrator.tasks.evidence import Evidence, Purpose
from orchestrator.tasks.setup import Setup, versions_of
from orchestrator.tasks.solution import Calibrated

log = structlog.get_logger()

SHIPPED = Path(__file__).with_name("shipped")
"""The calibrations that come with the package, for the default model and planner; see docs/consensus.md."""


@dataclass(frozen=True, slots=True)
class Calibrations:
    """The calibrations that a process knows, the newest fit first: a user's, and those of the package.

    Those of the package are for runs that the user's say nothing of.
    """

    kept: tuple[Evidence, ...] = ()
    shipped: tuple[Evidence, ...] = ()

    @classmethod
    async def read(cls, path: Path | None) -> Self:
        """The calibrations in a file or a directory; None means this user's directory, which need not exist.

        In this user's directory a file that cannot be used, such as one of another version, is skipped.

        Raises:
            InvalidRequest: the named file, or one in the named directory, is not a readable calibration.
        """
        loading = asyncio.to_thread(_load_user if path is None else _load_named, path or user_directory())
        kept, shipped = await loading, await asyncio.to_thread(_load_user, SHIPPED)
        return cls(_newest_first(kept), _newest_first(shipped))

    def apply(self, setup: Setup, result: Result) -> Calibrated | str:
        """How likely the answer of a run is to be right, or in words why that is not known."""
        if result.outcome is RunOutcome.UNDECIDED:
            return "the run is undecided"
        if result.answer is None or result.outcome is not RunOutcome.ANSWERED:
            return "the run was cut short"
        if setup.environment.changes:
            return "the run is a fork with a change"
        world = setup.environment
        found = self._closest(
            setup.planner,
            setup.options,
            plain(world.sampling),
            world.rule,
            world.capabilities.model,
            list(world.toolbox),
        )
        if isinstance(found, str):
            return found
        return found.apply(result.answer, result.spent.usage.completion_tokens)

    def missing(self, planner: Planner, options: Mapping[str, Any], sampling: Mapping[str, Any]) -> str:
        """Why nothing can be known of the answers of a new run, by any model; empty if something may be."""
        found = self._closest(planner, options, sampling, DEFAULT_RULE, None, None)
        return found if isinstance(found, str) else ""

    def _closest(
        self,
        planner: Planner,
        options: Mapping[str, Any],
        sampling: Mapping[str, Any],
        rule: str,
        model: str | None,
        tools: Sequence[str] | None,
    ) -> Evidence | str:
        """What was fitted for runs like this, or how the closest one differs; None is any model, or tools."""
        told = "no calibration is available"
        for known in (self.kept, self.shipped):
            found = []
            for each in known:
                fitted = each.purpose
                at_hand = fitted.tools if tools is None else tools
                run = Purpose.of(planner, options, sampling, model or fitted.model, rule, at_hand)
                found.append((each, run))
            if not found:
                continue
            closest, run = min(found, key=lambda pair: pair[0].purpose.distance(pair[1]))
            differences = closest.differences(run, versions_of(planner))
            if not differences:
                return closest
            if known is self.kept:
                told = f"{closest.name} was fitted for {', '.join(differences)}"
        return told


def _newest_first(found: list[Evidence]) -> tuple[Evidence, ...]:
    return tuple(sorted(found, key=lambda each: each.fitted_at, reverse=True))


def _load_named(path: Path) -> list[Evidence]:
    return [Evidence.load(file) for file in (path.glob("*.json") if path.is_dir() else [path])]


def _load_user(directory: Path) -> list[Evidence]:
    kept = []
    for file in directory.glob("*.json"):
        try:
            kept.append(Evidence.load(file))
        except InvalidRequest as error:
            log.warning("a calibration cannot be used", error=str(error))
    return kept


def place(evidence: Evidence, configured: Path | None) -> Path:
    """Where a new calibration is written so that processes find it whose setting ``calibration`` is this.

    A path that does not exist yet is a file if its name ends in ``.json``, otherwise a directory.
    """
    where = configured or user_directory()
    is_file = where.is_file() or (where.suffix == ".json" and not where.is_dir())
    return where if is_file else where / evidence.file_name


def user_directory() -> Path:
    """Where this user's calibrations are kept, next to the database."""
    return Path(platformdirs.user_data_dir("anabranch"), "calibrations")

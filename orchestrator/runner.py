"""Executing a task over its journal: a first run, a resumed one, and a strict replay are one thing."""

from __future__ import annotations

import platform
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib.metadata import version
from typing import Any

from orchestrator import symbolic
from orchestrator.environment import Environment, Recorder, Result
from orchestrator.errors import UnsupportedTrace
from orchestrator.executor import Executor
from orchestrator.fork import Change, Memo
from orchestrator.messages import plain
from orchestrator.planning import PACKAGES, Planner
from orchestrator.record import Record
from orchestrator.requests import TaskRequest, budget_of, sampling_of
from orchestrator.values import Budget, Question
from storage.events import VERSION as JOURNAL_VERSION
from workers.calls import Sampling
from workers.engine import Capabilities, Engine
from workers.tools.registry import Toolbox

OnProgress = Callable[[str, int], None]
VERSIONS = {
    "journal": JOURNAL_VERSION,
    "anabranch": version("anabranch"),
    "python": platform.python_version(),
}


@dataclass(frozen=True, slots=True)
class Setup:
    """All that decides what a run does, apart from what it is told from outside."""

    planner: Planner
    question: Question
    options: Mapping[str, Any]
    environment: Environment

    def header(self) -> dict[str, Any]:
        """The setup as the first event of the journal tells it."""
        environment = self.environment
        return {
            "planner": self.planner.name,
            "question": plain(self.question),
            "options": dict(self.options),
            "seed": environment.seed,
            "tenant": environment.tenant,
            "sampling": plain(environment.sampling),
            "budget": plain(environment.budget),
            "capabilities": _capabilities_as_json(environment.capabilities),
            "symbolic": environment.symbolic,
            "tools": environment.toolbox.describe(),
            "versions": {**VERSIONS, **PACKAGES.get(self.planner.name, {})},
            **({"changes": changes} if (changes := _as_json(environment.changes)) else {}),
        }


def first_setup(
    request: TaskRequest,
    planner: Planner,
    task_id: str,
    *,
    engine: Engine,
    capabilities: Capabilities,
    toolbox: Toolbox,
    call_seconds: float,
) -> Setup:
    """The setup of a task that has not run yet."""
    environment = Environment(
        engine=engine,
        capabilities=capabilities,
        toolbox=toolbox,
        symbolic=symbolic.AVAILABLE,
        budget=budget_of(request.budget),
        sampling=sampling_of(request.sampling),
        seed=request.seed,
        tenant=request.tenant,
        task_id=task_id,
        call_seconds=call_seconds,
    )
    return Setup(planner, request.question, request.options, environment)


def recorded_setup(
    header: Mapping[str, Any],
    planner: Planner,
    task_id: str,
    *,
    engine: Engine | None,
    toolbox: Toolbox,
    call_seconds: float,
    changes: Mapping[str, Change] | None = None,
) -> Setup:
    """The setup that a journal was written under; ``engine`` is None for a strict replay.

    ``changes`` come on top of those that the journal's run had already, if it was a fork itself. Tools
    keep the descriptions that were recorded, since planners put them into prompts.

    Raises:
        UnsupportedTrace: a newer version of the program has written the journal.
    """
    written_by = header["versions"]
    if (found := written_by.get("journal", 1)) > JOURNAL_VERSION:
        raise UnsupportedTrace(
            f"the journal of task {task_id} has version {found} of the format and was written by anabranch "
            f"{written_by['anabranch']}; this is {VERSIONS['anabranch']}, which reads versions up to "
            f"{JOURNAL_VERSION}"
        )
    question = header["question"]
    environment = Environment(
        engine=engine,
        capabilities=_capabilities_from_json(header["capabilities"]),
        toolbox=toolbox.as_described(header["tools"]),
        symbolic=header["symbolic"],
        budget=Budget(**header["budget"]),
        sampling=Sampling(**{**header["sampling"], "stop": tuple(header["sampling"]["stop"])}),
        seed=header["seed"],
        tenant=header["tenant"],
        task_id=task_id,
        call_seconds=call_seconds,
        changes=_from_json(header.get("changes", {})) | dict(changes or {}),
    )
    return Setup(
        planner,
        Question(question["text"], question["context"], tuple(question["choices"])),
        header["options"],
        environment,
    )


def _capabilities_as_json(capabilities: Capabilities) -> dict[str, Any]:
    """Journals that are older than roles do not tell of them, and neither does this where there are none."""
    told = {name: value for name, value in plain(capabilities).items() if name != "roles"}
    return {**told, "roles": sorted(capabilities.roles)} if capabilities.roles else told


def _capabilities_from_json(told: Mapping[str, Any]) -> Capabilities:
    return Capabilities(**{**told, "roles": frozenset(told.get("roles", ()))})


def _as_json(changes: Mapping[str, Change]) -> dict[str, Any]:
    return {path: change.model_dump(mode="json", exclude_unset=True) for path, change in changes.items()}


def _from_json(changes: Mapping[str, Any]) -> dict[str, Change]:
    return {path: Change.model_validate(change) for path, change in changes.items()}


def prepare(
    setup: Setup,
    recorder: Recorder,
    *,
    record: Record | None = None,
    next_seq: int = 0,
    since: float = 0.0,
    memo: Memo | None = None,
    on_progress: OnProgress | None = None,
) -> Executor:
    """An executor for the setup, over what its journal says already."""
    return Executor(
        setup.environment,
        recorder,
        record=record,
        next_seq=next_seq,
        since=since,
        memo=memo,
        on_progress=on_progress,
    )


async def execute(executor: Executor, setup: Setup) -> Result:
    """Run the planner of the setup to its end."""
    arguments = setup.planner.arguments(setup.options)
    return await executor.execute(lambda run: setup.planner(run, setup.question, **arguments), setup.header())

"""The setup of a run: from the request if it is new, from the journal's first event if it is repeated."""

from __future__ import annotations

import platform
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from importlib.metadata import version
from typing import Any, NotRequired

from pydantic import TypeAdapter, ValidationError
from typing_extensions import TypedDict

from orchestrator.consensus.stopping import FIRST_DEFAULT_RULE
from orchestrator.errors import Failure, UnsupportedTrace
from orchestrator.planning.finding import PACKAGES
from orchestrator.planning.planner import Planner
from orchestrator.planning.run import Run
from orchestrator.planning.shaping import ended, shaped
from orchestrator.runtime.change import Change
from orchestrator.runtime.drivers import OnProgress, OnSpeech
from orchestrator.runtime.environment import FIRST_EDITION, Environment, Recorder, Result, RunOutcome
from orchestrator.runtime.executor import Executor
from orchestrator.runtime.plain import plain
from orchestrator.runtime.record import Record
from orchestrator.runtime.reuse import Memo
from orchestrator.runtime.values import Answer, Bounds, Budget, Question
from orchestrator.settings import Settings
from orchestrator.tasks.requests import TaskRequest, budget_of, sampling_of
from orchestrator.validation import explain
from orchestrator.voting import symbolic
from storage.codec import Redact
from storage.errors import JournalDamaged
from storage.events import VERSION as JOURNAL_VERSION
from workers.calls import Sampling
from workers.engine import Capabilities, Engine
from workers.tools.toolbox import Toolbox

VERSIONS: Mapping[str, str | int] = {
    "journal": JOURNAL_VERSION,
    "anabranch": version("anabranch"),
    "python": platform.python_version(),
}


_LATER = frozenset({"guided_grammar", "function_calls", "roles", "arithmetic_sampling"})


class _Tool(TypedDict):
    name: str
    description: str
    schema: dict[str, Any]
    side_effects: bool
    takes_key: NotRequired[bool]
    examples: NotRequired[list[str]]


class _Header(TypedDict):
    """The first event of a journal, as :meth:`Setup.header` writes it."""

    question: Question
    options: dict[str, Any]
    seed: int
    tenant: str
    sampling: Sampling
    budget: Budget
    capabilities: Capabilities
    symbolic: bool
    tools: list[_Tool]
    versions: dict[str, Any]
    bounds: NotRequired[Bounds]
    changes: NotRequired[dict[str, Change]]
    rule: NotRequired[str]
    edition: NotRequired[int]
    estimated: NotRequired[dict[str, Any]]
    stop: NotRequired[tuple[str, ...]]


_HEADER = TypeAdapter(_Header)


@dataclass(frozen=True, slots=True)
class Setup:
    """Everything that determines what a run does, apart from external events.

    ``estimated`` says how the width of its vote was chosen, if it was to be chosen. ``stop`` are the texts
    before the first of which the text of the answer ends.
    """

    planner: Planner
    question: Question
    options: Mapping[str, Any]
    environment: Environment
    estimated: Mapping[str, Any] | None = None
    stop: tuple[str, ...] = ()

    def executor(
        self,
        recorder: Recorder,
        *,
        record: Record | None = None,
        next_seq: int = 0,
        since: float = 0.0,
        memo: Memo | None = None,
        on_progress: OnProgress | None = None,
        on_speech: OnSpeech | None = None,
    ) -> Executor[Run]:
        """An executor for the run, over what its journal already holds."""
        return Executor(
            Run,
            self.environment,
            recorder,
            record=record,
            next_seq=next_seq,
            since=since,
            memo=memo,
            on_progress=on_progress,
            on_speech=on_speech,
        )

    async def execute(self, executor: Executor[Run]) -> Result:
        """Run the planner to its end, and have its answer written in the form that is asked for.

        The best answer so far of a run that a bound ends has no such form: it is none then.

        Raises:
            Divergence: the run did something other than what was recorded.
            InvalidRequest: the planner no longer takes these options.
        """
        arguments = self.planner.arguments(self.options)
        result = await executor.execute(lambda run: self._answered(run, arguments), self.header())
        if result.answer is None:
            return result
        if result.limit is not None and self.question.format is not None:
            why = f"the run reached its limit of {result.limit} before its answer was written as JSON"
            failure = None if result.outcome is RunOutcome.CANCELLED else Failure("budget_exhausted", why)
            return replace(result, answer=None, failure=failure)
        return replace(result, answer=ended(result.answer, self.stop))

    async def _answered(self, run: Run, arguments: Mapping[str, Any]) -> Answer:
        answer = await self.planner(run, self.question, **arguments)
        return ended(await shaped(run, self.question, answer), self.stop)

    def header(self) -> dict[str, Any]:
        """The setup as the first event of the journal records it."""
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
            "versions": versions_of(self.planner),
            **({"bounds": bounds} if (bounds := _bounds_as_json(environment.bounds)) else {}),
            **({"rule": environment.rule} if environment.rule != FIRST_DEFAULT_RULE else {}),
            **({"edition": environment.edition} if environment.edition != FIRST_EDITION else {}),
            **({"estimated": dict(self.estimated)} if self.estimated is not None else {}),
            **({"stop": list(self.stop)} if self.stop else {}),
            **({"changes": changes} if (changes := _as_json(environment.changes)) else {}),
        }


def versions_of(planner: Planner) -> dict[str, str | int]:
    """The versions of the program, and of the package that the planner is from."""
    return {**VERSIONS, **PACKAGES.get(planner.name, {})}


def _bounds_as_json(bounds: Bounds) -> dict[str, int]:
    return {name: most for name, most in asdict(bounds).items() if most is not None}


def bounds_of(settings: Settings) -> Bounds:
    """How large single things may be that a new run stores."""
    return Bounds(
        request=settings.max_request_chars,
        tool_result=settings.max_tool_result_chars,
        answer=settings.max_answer_chars,
        value=settings.max_value_chars,
        label=settings.max_label_chars,
    )


def first_setup(
    request: TaskRequest,
    planner: Planner,
    task_id: str,
    *,
    engine: Engine,
    capabilities: Capabilities,
    toolbox: Toolbox,
    call_seconds: float,
    bounds: Bounds | None = None,
    redact: Redact | None = None,
    estimated: Mapping[str, Any] | None = None,
    left: float | None = None,
) -> Setup:
    """The setup of a task that has not run yet, and has ``left`` seconds until its deadline if it has one.

    Without ``bounds``, what it stores may be of any size.
    """
    environment = Environment(
        engine=engine,
        capabilities=capabilities,
        toolbox=toolbox,
        symbolic=symbolic.AVAILABLE,
        budget=budget_of(request.budget, left),
        bounds=bounds or Bounds(),
        sampling=sampling_of(request.sampling),
        seed=request.seed,
        tenant=request.tenant,
        task_id=task_id,
        call_seconds=call_seconds,
        redact=redact,
    )
    return Setup(planner, request.question, request.options, environment, estimated, request.stop)


def recorded_setup(
    header: Mapping[str, Any],
    planner: Planner,
    task_id: str,
    *,
    engine: Engine | None,
    toolbox: Toolbox,
    call_seconds: float,
    changes: Mapping[str, Change] | None = None,
    redact: Redact | None = None,
) -> Setup:
    """The setup that a journal was written under; ``engine`` is None for a strict replay.

    ``changes`` come on top of those that the recorded run already had, if it was a fork itself. Tools keep
    their recorded descriptions, since planners put them into prompts.

    Raises:
        UnsupportedTrace: a newer version of the program wrote the journal.
        JournalDamaged: its first event is not what it should be.
    """
    _check_version(header, task_id)
    try:
        told = _HEADER.validate_python(_with_nodes(header))
        tools = toolbox.as_described(told["tools"])
    except (TypeError, ValueError) as error:
        why = explain(error) if isinstance(error, ValidationError) else f"tools: {error}"
        raise JournalDamaged(f"task {task_id}: event 0 (run_started) is damaged: {why[:500]}") from None
    environment = Environment(
        engine=engine,
        capabilities=told["capabilities"],
        toolbox=tools,
        symbolic=told["symbolic"],
        budget=told["budget"],
        bounds=told.get("bounds", Bounds()),
        sampling=told["sampling"],
        seed=told["seed"],
        tenant=told["tenant"],
        task_id=task_id,
        call_seconds=call_seconds,
        changes=_on_top(told.get("changes", {}), changes or {}),
        redact=redact,
        rule=told.get("rule", FIRST_DEFAULT_RULE),
        edition=told.get("edition", FIRST_EDITION),
    )
    return Setup(
        planner, told["question"], told["options"], environment, told.get("estimated"), told.get("stop", ())
    )


def _with_nodes(header: Mapping[str, Any]) -> Mapping[str, Any]:
    """A header from before nodes were bounded: its run was not."""
    budget = header.get("budget")
    return {**header, "budget": {"nodes": None, **budget}} if isinstance(budget, Mapping) else header


def _check_version(header: Mapping[str, Any], task_id: str) -> None:
    versions = header.get("versions")
    found = versions.get("journal", 1) if isinstance(versions, Mapping) else 1
    if isinstance(found, int) and found > JOURNAL_VERSION:
        raise UnsupportedTrace(
            f"the journal of task {task_id} is in format version {found}, written by anabranch "
            f"{header['versions'].get('anabranch', '?')}; this is {VERSIONS['anabranch']}, which reads "
            f"format versions up to {JOURNAL_VERSION}"
        )


def _on_top(earlier: Mapping[str, Change], later: Mapping[str, Change]) -> dict[str, Change]:
    """The changes of a run and those of a fork of it."""
    return {
        **earlier,
        **{path: earlier[path].then(change) if path in earlier else change for path, change in later.items()},
    }


def _capabilities_as_json(capabilities: Capabilities) -> dict[str, Any]:
    """Journals once had no words for some; those are left out where the engine does not have them."""
    told = plain(capabilities) | {"roles": sorted(capabilities.roles)}
    return {name: value for name, value in told.items() if value or name not in _LATER}


def _as_json(changes: Mapping[str, Change]) -> dict[str, Any]:
    return {path: change.model_dump(mode="json", exclude_unset=True) for path, change in changes.items()}

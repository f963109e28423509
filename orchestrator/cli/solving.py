"""The command ``solve``, and what commands that use an engine share."""

from __future__ import annotations

import asyncio
import importlib
import json
import signal
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping, Sequence
from contextlib import (
    AbstractAsyncContextManager,
    aclosing,
    asynccontextmanager,
    contextmanager,
    nullcontext,
)
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import typer

from orchestrator.cli.elsewhere import opened_service_elsewhere
from orchestrator.cli.ending import INTERRUPTED, cancel_on_sigterm, run_here
from orchestrator.cli.live import Display
from orchestrator.cli.printing import output, print_solution
from orchestrator.cli.saying import clear, dump, say_json, tell
from orchestrator.cli.terminal import Terminal
from orchestrator.cli.ticking import Announcer, Ticker
from orchestrator.client.local import LocalService
from orchestrator.engines import OnProgress
from orchestrator.errors import AnabranchError, InvalidRequest, TaskFailed, UnknownPlanner
from orchestrator.opening import opened_service
from orchestrator.planning.finding import find_planner
from orchestrator.runtime.environment import RunOutcome
from orchestrator.settings import Settings
from orchestrator.solver import Solver
from orchestrator.tasks.requests import TaskRequest, parse
from orchestrator.tasks.service import Service
from orchestrator.tasks.solution import Solution
from orchestrator.toolbox import build_toolbox
from storage.store import Store
from workers.tools.declaration import tool
from workers.tools.tool import Tool
from workers.tools.toolbox import Toolbox

T = TypeVar("T")

ABSTAINED = 3
CLOSING_SECONDS = 5.0
"""How long an engine may take to stop; one that is still starting is then abandoned."""


@dataclass(frozen=True, slots=True)
class Inputs:
    """What ``solve`` was given: ``options`` as ``key=value``, ``tools`` as ``module:attribute``.

    ``elsewhere`` says that a service elsewhere is asked, which may have planners that nobody knows here.
    """

    request: Mapping[str, Any]
    options: tuple[str, ...] = ()
    tools: tuple[str, ...] = ()
    elsewhere: bool = False

    def read(self) -> TaskRequest:
        """The request, with the contents of files and of standard input.

        Raises:
            InvalidRequest: a file cannot be read, an option is not ``key=value``, or the request is wrong.
        """
        data = dict(self.request)
        if data["query"] == "-":
            clear()
            data["query"] = sys.stdin.read()
        if str(data.get("context", "")).startswith("@"):
            data["context"] = _contents(Path(data["context"][1:]))
        return self.asking(data)

    def asking(self, question: Mapping[str, Any]) -> TaskRequest:
        """The request for a question, given as the fields of a request that differ between questions.

        What it says of options, sampling and budget goes before what was given for all. The options that were
        given are for the planner that was given.

        Raises:
            InvalidRequest: an option is not ``key=value``, or the request is wrong.
        """
        given = dict(named_value(text) for text in self.options)
        if question.get("planner") not in (None, self.request.get("planner")):
            given = {}  # they are for another planner
        asked = {**self.request, **question, "options": _over(given, question.get("options", {}))}
        for name in ("sampling", "budget"):
            if name in question:
                asked[name] = _over(self.request.get(name, {}), question[name])
        request = parse(asked)
        try:
            own = _own_sampling(request)
        except UnknownPlanner:
            if not self.elsewhere:
                raise
            own = {}
        return request.model_copy(update={"options": {**own, **request.options}})

    def toolbox(self, settings: Settings) -> Toolbox:
        """The tools of the settings and those that were named.

        Raises:
            InvalidRequest, Unavailable: one of them cannot be loaded.
        """
        return build_toolbox(settings, self.loaded())

    def loaded(self) -> tuple[Tool, ...]:
        """The tools that were named.

        Raises:
            InvalidRequest: one cannot be loaded, or they are to be used elsewhere.
        """
        if self.elsewhere and self.tools:
            raise InvalidRequest("--tool: a service elsewhere has its own tools; leave it out")
        return tuple(map(load_tool, self.tools))


def solve_and_show(inputs: Inputs, settings: Settings, *, as_json: bool, quiet: bool, verbose: bool) -> None:
    """Answer a question, here or elsewhere, and print the solution; ``verbose`` with all that it rests on.

    Raises:
        InvalidRequest: something that was given is wrong.
        TaskFailed, Unavailable: there is no answer.
        typer.Exit: the answer abstained, or was interrupted.
    """
    console = Terminal(stderr=True)
    shown: Display | Ticker | None = None
    if not quiet and (console.is_terminal or not as_json):
        shown = Display(console) if console.is_terminal else Ticker()
    try:
        request = inputs.read()
        solution = run_here(_solve(request, inputs.loaded(), settings, shown))
    except KeyboardInterrupt:
        raise typer.Exit(INTERRUPTED) from None
    finally:
        clear()
    if as_json:
        say_json(solution.model_dump_json())
    else:
        if isinstance(shown, Display):
            console.print()
        print_solution(output(), solution, verbose=verbose)
    if solution.outcome is RunOutcome.ABSTAINED:
        raise typer.Exit(ABSTAINED)


@contextmanager
def failures_shown(*, as_json: bool) -> Iterator[None]:
    """With ``as_json``, print a failure as a JSON object too."""
    try:
        yield
    except AnabranchError as error:
        if as_json:
            problem = {"code": error.code, "message": str(error), "retryable": error.retryable}
            trace = {"trace_id": error.task_id} if isinstance(error, TaskFailed) else {}
            dump({"error": problem, **trace})
        raise


async def _solve(
    request: TaskRequest, tools: Sequence[Tool], settings: Settings, shown: Display | Ticker | None
) -> Solution:
    on_progress = Announcer() if shown is None else shown.preparing
    async with opened_solver(settings, tools, on_progress) as solver, stopping(solver):
        begun = await solver.start(request)
        try:
            async with aclosing(begun.items) as items, nullcontext() if shown is None else shown.shown():
                async for item in items:
                    if isinstance(item, Solution):
                        return item
                    if shown is not None:
                        shown.view.take(item)
        except asyncio.CancelledError:
            tell(f"cancelled; the work so far is in trace {begun.task.id}")
            raise
    raise AssertionError("a run ends with a solution or an error")


@asynccontextmanager
async def opened_solver(
    settings: Settings, tools: Sequence[Tool], on_progress: OnProgress
) -> AsyncIterator[Solver]:
    """What answers the question of one command: the service that the settings name, or one of this process.

    Raises:
        InvalidRequest: a setting is wrong.
        Unavailable: the database, the engine or its model, or an MCP server cannot be used.
    """
    if settings.url is not None:
        async with opened_service_elsewhere(settings) as service:
            yield service
        return
    toolbox = await asyncio.to_thread(build_toolbox, settings, tools)
    async with opened(settings, toolbox, on_progress) as own:
        yield LocalService(own)


def stopping(solver: Solver) -> AbstractAsyncContextManager[None]:
    """On SIGTERM, hand the tasks back that run here; one that runs elsewhere is cancelled, as by Ctrl-C."""
    return handing_back(solver.service) if isinstance(solver, LocalService) else nullcontext()


def opened(
    settings: Settings,
    toolbox: Toolbox,
    on_progress: OnProgress,
    *,
    staying: bool = False,
    on_store: Callable[[Store], Awaitable[None]] | None = None,
) -> AbstractAsyncContextManager[Service]:
    """A service for one command, which does not wait long for its engine to stop."""
    return opened_service(
        settings,
        toolbox,
        on_progress=on_progress,
        closing_seconds=CLOSING_SECONDS,
        staying=staying,
        on_store=on_store,
    )


@asynccontextmanager
async def handing_back(service: Service) -> AsyncIterator[None]:
    """On SIGTERM, put the tasks that run here back into the queue, instead of letting their leases lapse.

    Before and after, one ends the command; see :func:`~orchestrator.cli.ending.run_here`.
    """
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, service.hand_back)
    try:
        yield
    finally:
        cancel_on_sigterm()


def load_tool(name: str) -> Tool:
    """The tool that ``module:attribute`` names, from the working directory or an installed package.

    A function that is not declared as a tool becomes one.

    Raises:
        InvalidRequest: there is no such module or attribute, or it cannot be called.
    """
    module, _, attribute = name.partition(":")
    if not module or not attribute:
        raise InvalidRequest(f"tool {name!r}: write module:attribute, such as mytools:weather")
    if "" not in sys.path:
        sys.path.insert(0, "")
    try:
        found = getattr(importlib.import_module(module), attribute)
    except (ImportError, AttributeError) as error:
        raise InvalidRequest(f"tool {name}: {error}") from None
    if isinstance(found, Tool):
        return found
    if not callable(found):
        raise InvalidRequest(f"tool {name} is a {type(found).__name__}; it must be a function")
    made = tool(found)
    assert isinstance(made, Tool)
    return made


def named_value(text: str) -> tuple[str, Any]:
    """``n=16`` as a name and a JSON value; what is not JSON is a string."""
    name, equals, value = text.partition("=")
    if not equals or not name:
        raise InvalidRequest(f"option {text!r}: write key=value, such as n=16")
    try:
        return name, json.loads(value)
    except ValueError:
        return name, value


def _over(given: Mapping[str, Any], own: Any) -> Any:
    """What was given for all questions with what one of them says over it, if that is of the same kind."""
    return {**given, **own} if isinstance(own, Mapping) else own


def _own_sampling(request: TaskRequest) -> dict[str, Any]:
    """The given sampling parameters that the planner has options for, which would otherwise win."""
    own = find_planner(request.planner).options_model.model_fields
    return {
        name: value for name, value in request.sampling.model_dump(exclude_unset=True).items() if name in own
    }


def _contents(path: Path) -> str:
    try:
        return path.read_text("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise InvalidRequest(f"--context: {path} cannot be read: {error}") from None

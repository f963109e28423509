"""The commands that only look: ``trace``, ``traces``, ``replay``, ``models`` and ``planners``."""

from __future__ import annotations

import asyncio
import json
from contextlib import nullcontext

from orchestrator.api.traces import trace_json
from orchestrator.bodies import replay_body, task_body
from orchestrator.cli.elsewhere import opened_runs
from orchestrator.cli.live import Display
from orchestrator.cli.printing import output, table, tasks_table, trace_tree
from orchestrator.cli.saying import dump, say, say_json, tell
from orchestrator.cli.terminal import Terminal, cell
from orchestrator.errors import InvalidRequest
from orchestrator.opening import opened_store
from orchestrator.planning.finding import described, find_planner, installed_planners
from orchestrator.runtime.record import Playback
from orchestrator.settings import Settings
from orchestrator.tasks.hindsight.replaying import Replayed, replay
from storage.reading import read_journal
from storage.tasks import Task, TaskStatus
from storage.trace import Trace
from workers.models.catalogue import CATALOGUE, DEFAULT_MODEL
from workers.models.files import default_directory


def show_trace(trace_id: str, settings: Settings, *, as_json: bool) -> None:
    """Print a trace.

    Raises:
        TaskNotFound: there is none with that id.
    """

    async def read() -> Trace:
        async with opened_runs(settings) as runs:
            return await runs.trace(trace_id)

    trace = asyncio.run(read())
    if as_json:
        say_json(trace_json(trace))
    else:
        output().print(trace_tree(trace))


def list_traces(
    settings: Settings, *, status: str | None, tenant: str | None, limit: int, as_json: bool
) -> None:
    """Print the stored tasks, newest first.

    Raises:
        InvalidRequest: there is no such status.
    """
    if status is not None and status not in set(TaskStatus):
        raise InvalidRequest(f"no status is called {status!r}; use one of {', '.join(TaskStatus)}")

    async def read() -> list[Task]:
        async with opened_runs(settings) as runs:
            wanted = None if status is None else TaskStatus(status)
            return [task async for task in runs.tasks(tenant=tenant, status=wanted, limit=limit)]

    tasks = asyncio.run(read())
    if as_json:
        dump([task_body(task).model_dump(mode="json") for task in tasks])
    elif tasks:
        output().print(tasks_table(tasks))
    elif status is None and tenant is None:
        tell("no traces yet; anabranch solve makes the first")
    else:
        tell("no traces with that status or tenant")


def replay_trace(trace_id: str, settings: Settings, *, pace: float | None, as_json: bool) -> None:
    """Replay a run, and print its answer and how much was compared.

    With a ``pace`` it takes the recorded time divided by the pace, and a terminal shows the run as it went.

    Raises:
        Divergence: it did not go as recorded.
        Conflict: there is no complete run.
        TaskNotFound: there is no such trace.
        InvalidRequest: a pace is given for a service elsewhere.
    """

    if pace is not None and settings.url is not None:
        raise InvalidRequest("--pace: a service elsewhere replays as fast as it can; leave it out")

    async def run() -> Replayed:
        if pace is None:
            async with opened_runs(settings) as runs:
                return await runs.replay(trace_id)
        async with opened_store(settings) as store:
            events = await read_journal(store, trace_id)
        console = Terminal(stderr=True)
        display = Display(console, clock=lambda: record.clock())
        record = Playback(events, pace, display.view.take)
        async with display.shown() if console.is_terminal else nullcontext():
            return await replay(trace_id, events, find_planner, record=record)

    body = replay_body(trace_id, asyncio.run(run()))
    if as_json:
        say_json(body.model_dump_json())
        return
    say(body.answer or f"no answer: the run was {body.outcome}")
    say(f"\nidentical: {body.events} events compared, {body.calls} calls, {body.seconds * 1000:.1f} ms")


def list_models(*, as_json: bool) -> None:
    """Print the catalogue, and which of its models are on disk."""
    directory = default_directory()
    models = [
        {
            "name": model.name,
            "default": model.name == DEFAULT_MODEL,
            "size": model.size,
            "licence": model.licence,
            "description": model.description,
            "path": str(path) if (path := directory / model.file).exists() else None,
        }
        for model in CATALOGUE.values()
    ]
    if as_json:
        dump(models)
        return
    rows = (
        (
            f"{model['name']}{' (default)' if model['default'] else ''}",
            f"{int(str(model['size'])) / 1e6:,.0f} MB",
            "yes" if model["path"] else "no",
            str(model["licence"]),
            str(model["description"]),
        )
        for model in models
    )
    output().print(table(("model", "size", "on disk", "licence", "description"), rows))
    say(f"\nkept in {directory}")


def list_planners(*, as_json: bool) -> None:
    """Print the installed planners with their summaries and options."""
    found = [described(name) for name in installed_planners()]
    if as_json:
        dump(found)
        return
    console = output()
    for planner in found:
        console.print(f"[bold]{cell(planner['name'])}[/]  {cell(planner['summary'])}")
        for name, option in planner["options"].items():
            default = f" = {json.dumps(option['default'])}" if "default" in option else ""
            told = f"  ({option['description']})" if "description" in option else ""
            console.print(f"    {cell(name)}{cell(default)}{cell(told)}", style="dim", soft_wrap=True)

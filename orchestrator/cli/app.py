"""The command line.

What a command needs is imported when it runs, so that ``--help`` is there at once. Results go to standard
output; the live view, progress, logs and errors go to standard error. Exit codes: 0 for an answer, 1 for a
failed task or a divergence, 2 for bad usage, 130 after Ctrl-C, 143 after SIGTERM.
"""

from __future__ import annotations

import io
import os
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from orchestrator.cli.parameters import (
    AsJson,
    Database,
    Engine,
    MaxTokens,
    Model,
    Options,
    Seed,
    Temperature,
    Tools,
    TopP,
    TraceId,
)

if TYPE_CHECKING:
    from orchestrator.settings import Settings

FAILED, MISUSED, TERMINATED = 1, 2, 143

app = typer.Typer(
    name="anabranch",
    help="Parallel LLM reasoning that stops when its branches agree.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


@dataclass
class Flags:
    """What is given before the command and holds for all of them."""

    debug: bool = False


@app.callback()
def flags(
    context: typer.Context,
    debug: Annotated[bool, typer.Option("--debug", help="Log everything, and show tracebacks.")] = False,
) -> None:
    """Parallel LLM reasoning that stops when its branches agree."""
    context.ensure_object(Flags).debug = debug
    if debug:
        os.environ["ANABRANCH_LOG_LEVEL"] = "debug"


@app.command()
def solve(
    query: Annotated[
        str, typer.Argument(metavar="QUERY", help="The question; - reads it from standard input.")
    ],
    planner: Annotated[str | None, typer.Option("--planner", "-p", help="The method; see planners.")] = None,
    option: Options = None,
    context: Annotated[str | None, typer.Option(help="Material to answer from: a text, or @file.")] = None,
    choice: Annotated[
        list[str] | None, typer.Option(help="A choice of a multiple-choice question; give it once for each.")
    ] = None,
    tool: Tools = None,
    engine: Engine = None,
    model: Model = None,
    database: Database = None,
    temperature: Temperature = None,
    top_p: TopP = None,
    max_tokens: MaxTokens = None,
    seed: Seed = None,
    budget_tokens: Annotated[
        int | None, typer.Option(help="Tokens of all calls; then the best so far.")
    ] = None,
    budget_calls: Annotated[int | None, typer.Option(help="Calls of the run.")] = None,
    budget_depth: Annotated[int | None, typer.Option(help="Nesting of scopes.")] = None,
    budget_width: Annotated[int | None, typer.Option(help="Calls and tools in flight at one time.")] = None,
    budget_seconds: Annotated[float | None, typer.Option(help="Wall time of the run.")] = None,
    tenant: Annotated[str | None, typer.Option(help="Whose task it is.")] = None,
    as_json: AsJson = False,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="No live view.")] = False,
) -> None:
    """Answer a question, and show how the branches go."""
    from orchestrator.cli.solving import Inputs, failures_shown, solve_here

    request = {
        "query": query,
        "context": context,
        "choices": choice or None,
        "planner": planner,
        "seed": seed,
        "tenant": tenant,
        "sampling": _given(temperature=temperature, top_p=top_p, max_tokens=max_tokens),
        "budget": _given(
            tokens=budget_tokens,
            calls=budget_calls,
            depth=budget_depth,
            width=budget_width,
            seconds=budget_seconds,
        ),
    }
    inputs = Inputs(_given(**request), tuple(option or ()), tuple(tool or ()))
    with failures_shown(as_json=as_json):
        made = settings(engine=engine, model=model, database=database)
        solve_here(inputs, made, as_json=as_json, quiet=quiet)


@app.command()
def calibrate(
    file: Annotated[Path, typer.Argument(help="JSON Lines: query and answer, perhaps context and choices.")],
    traces: Annotated[
        bool, typer.Option("--traces", help="The lines are stored runs: trace_id, and answer or right.")
    ] = False,
    signal: Annotated[
        Literal["confidence", "entropy", "length"], typer.Option(help="What the probability is read off.")
    ] = "confidence",
    risk: Annotated[
        float, typer.Option(min=0.001, max=0.999, help="The share of wrong answers that may be accepted.")
    ] = 0.1,
    out: Annotated[
        Path | None, typer.Option(help="Where to write it; by default where solve looks for it.")
    ] = None,
    planner: Annotated[str | None, typer.Option("--planner", "-p", help="The method; see planners.")] = None,
    option: Options = None,
    tool: Tools = None,
    engine: Engine = None,
    model: Model = None,
    database: Database = None,
    temperature: Temperature = None,
    top_p: TopP = None,
    max_tokens: MaxTokens = None,
    seed: Seed = None,
    at_once: Annotated[int, typer.Option(min=1, help="Questions that are answered at the same time.")] = 4,
    tenant: Annotated[str, typer.Option(help="Whose tasks the questions are.")] = "calibration",
    as_json: AsJson = False,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="No progress bar.")] = False,
) -> None:
    """Learn from labelled questions how likely an answer is right, and how sure to be to accept it."""
    from orchestrator.cli.calibrating import calibrate_questions, calibrate_traces
    from orchestrator.cli.solving import Inputs
    from orchestrator.errors import InvalidRequest
    from orchestrator.tasks.calibrating import Wanted

    made, wanted = settings(engine=engine, model=model, database=database), Wanted(signal, risk, out)
    sampling = _given(temperature=temperature, top_p=top_p, max_tokens=max_tokens)
    asking = _given(planner=planner, seed=seed, sampling=sampling)
    if not traces:
        inputs = Inputs(asking | {"tenant": tenant}, tuple(option or ()), tuple(tool or ()))
        calibrate_questions(file, inputs, made, wanted, at_once=at_once, as_json=as_json, quiet=quiet)
    elif asking or option or tool:
        raise InvalidRequest("--traces answers no questions: give no planner, option, tool, seed or sampling")
    else:
        calibrate_traces(file, made, wanted, as_json=as_json)


@app.command()
def trace(trace_id: TraceId, database: Database = None, as_json: AsJson = False) -> None:
    """Show the steps of a run: a tree with kinds, labels, timings and tokens."""
    from orchestrator.cli.looking import show_trace

    show_trace(trace_id, settings(database=database), as_json=as_json)


@app.command()
def traces(
    database: Database = None,
    status: Annotated[str | None, typer.Option(help="queued, running, succeeded, failed, …")] = None,
    tenant: Annotated[str | None, typer.Option(help="Only the tasks of this tenant.")] = None,
    limit: Annotated[int, typer.Option(min=1, help="How many, from the newest on.")] = 20,
    as_json: AsJson = False,
) -> None:
    """List the stored runs."""
    from orchestrator.cli.looking import list_traces

    list_traces(settings(database=database), status=status, tenant=tenant, limit=limit, as_json=as_json)


@app.command()
def replay(
    trace_id: TraceId,
    pace: Annotated[
        float | None,
        typer.Option(min=0.01, help="Show how it went, so many times as fast."),
    ] = None,
    database: Database = None,
    as_json: AsJson = False,
) -> None:
    """Repeat a run from its journal, without any engine, and compare every step."""
    from orchestrator.cli.looking import replay_trace

    replay_trace(trace_id, settings(database=database), pace=pace, as_json=as_json)


@app.command()
def fork(
    trace_id: TraceId,
    at: Annotated[str, typer.Option(help="The path of the node to change, as trace shows it.")],
    change: Annotated[
        list[str],
        typer.Option("--change", "-c", help="What is different there, as temperature=0.2 or rule=beta:0.99."),
    ],
    what_if: Annotated[
        bool, typer.Option("--what-if", help="Tell from the trace alone; make no calls and store nothing.")
    ] = False,
    engine: Engine = None,
    model: Model = None,
    database: Database = None,
    as_json: AsJson = False,
) -> None:
    """Run a task again with one node changed, and reuse all that does not depend on it."""
    from orchestrator.cli.revisiting import ask_what_if, fork_here

    made = settings(engine=engine, model=model, database=database)
    (ask_what_if if what_if else fork_here)(trace_id, at, change, made, as_json=as_json)


@app.command()
def diff(before: TraceId, after: TraceId, database: Database = None, as_json: AsJson = False) -> None:
    """Compare two runs, as a fork with what it came from: answers, cost, nodes."""
    from orchestrator.cli.revisiting import show_difference

    show_difference(before, after, settings(database=database), as_json=as_json)


@app.command()
def verify(
    trace_ids: Annotated[list[str] | None, typer.Argument(metavar="[ID]...", help="By default all.")] = None,
    database: Database = None,
    as_json: AsJson = False,
) -> None:
    """Replay stored runs, and say how many are identical and why others are not."""
    from orchestrator.cli.revisiting import verify_traces

    verify_traces(trace_ids or [], settings(database=database), as_json=as_json)


@app.command()
def export(
    trace_id: TraceId,
    form: Annotated[
        Literal["jsonl", "otel", "svg"],
        typer.Option("--format", "-f", help="JSON Lines, OpenTelemetry spans, or a picture of the DAG."),
    ] = "jsonl",
    content: Annotated[
        bool, typer.Option("--content", help="Put prompts and answers into the spans as well.")
    ] = False,
    to: Annotated[
        typer.FileTextWrite,
        typer.Option("--output", "-o", encoding="utf-8", help="By default standard output."),
    ] = "-",  # type: ignore[assignment]
    database: Database = None,
) -> None:
    """Write one trace as a file."""
    from orchestrator.cli.keeping import export_trace

    export_trace(trace_id, settings(database=database), form=form, content=content, to=to)


@app.command("import")
def import_(
    files: Annotated[list[Path], typer.Argument(help="Exported traces, or recorded branches of others.")],
    tenant: Annotated[str | None, typer.Option(help="Whose they become.")] = None,
    database: Database = None,
) -> None:
    """Store traces from files, and print their ids."""
    from orchestrator.cli.keeping import import_files

    import_files(files, settings(database=database), tenant=tenant)


@app.command()
def prune(
    older_than: Annotated[str | None, typer.Option(help="Since they ended, as 36h or 30d.")] = None,
    keep: Annotated[int | None, typer.Option(min=0, help="How many ended tasks may stay.")] = None,
    max_bytes: Annotated[int | None, typer.Option(min=0, help="What they may take together.")] = None,
    tenant: Annotated[str | None, typer.Option(help="Only this tenant's.")] = None,
    database: Database = None,
) -> None:
    """Remove ended tasks with their traces, the oldest first."""
    from orchestrator.cli.keeping import prune_traces

    prune_traces(
        settings(database=database), older_than=older_than, keep=keep, max_bytes=max_bytes, tenant=tenant
    )


@app.command()
def requeue(trace_id: TraceId, database: Database = None) -> None:
    """Put a dead task back into the queue; it goes on where its journal ends."""
    from orchestrator.cli.keeping import requeue_task

    requeue_task(trace_id, settings(database=database))


@app.command()
def models(as_json: AsJson = False) -> None:
    """List the models of the catalogue, and which of them are on this machine."""
    from orchestrator.cli.looking import list_models

    list_models(as_json=as_json)


@app.command()
def planners(as_json: AsJson = False) -> None:
    """List the reasoning methods with their options."""
    from orchestrator.cli.looking import list_planners

    list_planners(as_json=as_json)


@app.command()
def serve(
    host: Annotated[str, typer.Option(help="The address to listen on.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=0, max=65535, help="0 is a free one.")] = 8080,
    engine: Engine = None,
    model: Model = None,
    database: Database = None,
) -> None:
    """Serve the HTTP API and work on its tasks; SIGTERM drains."""
    from orchestrator.cli.solving import serve_here

    serve_here(settings(engine=engine, model=model, database=database), host, port)


@app.command()
def workers(
    url: Annotated[
        str, typer.Option(envvar="ANABRANCH_URL", help="Where a service listens.")
    ] = "http://127.0.0.1:8080",
    watch: Annotated[bool, typer.Option("--watch", "-w", help="Go on, and show what changes.")] = False,
    every: Annotated[float, typer.Option(min=0.1, help="Seconds from one look to the next.")] = 1.0,
    as_json: AsJson = False,
) -> None:
    """Show the workers of a running service: load, prefix hits, and which of them are down."""
    from orchestrator.cli.watching import show_workers

    show_workers(url, watch=watch, every=every, as_json=as_json)


def settings(**given: str | None) -> Settings:
    """The settings of the environment, overridden by what the command line gives; logging follows them."""
    from orchestrator import logs
    from orchestrator.settings import Settings

    made = Settings.read(**_given(**given))
    logs.configure(made)
    return made


def main() -> None:
    """Run the command line; errors are one line, and a traceback only with ``--debug``."""
    given = Flags()
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")  # a character that the locale lacks ends nothing
    try:
        app(obj=given)
    except Exception as error:
        if given.debug:
            raise
        sys.exit(report(error))


def report(error: Exception) -> int:
    """Say what went wrong, with its code; returns the exit code."""
    from orchestrator.errors import AnabranchError, HandedBack, InvalidRequest, TaskFailed
    from storage.errors import StorageError
    from workers.errors import WorkerError

    match error:
        case TaskFailed():
            line = f"[{error.code}]: {error} (trace {error.task_id})"
        case AnabranchError() | StorageError() | WorkerError():
            line = f"[{error.code}]: {error}"
        case OSError():
            line = f"[os]: {error}"
        case _:
            line = f"[internal]: {type(error).__name__}: {error} (anabranch --debug … shows where)"
    typer.echo(f"error {line}", err=True)
    if isinstance(error, HandedBack):
        return TERMINATED
    return MISUSED if isinstance(error, InvalidRequest) else FAILED


def _given(**values: Any) -> dict[str, Any]:
    """The values that were given."""
    return {name: value for name, value in values.items() if value is not None and value != {}}

"""Declares the commands about stored runs, from ``trace`` to ``backup``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

from orchestrator.cli.given import settings, settings_here
from orchestrator.cli.parameters import (
    AsJson,
    Database,
    Engine,
    FixPermissions,
    Model,
    Options,
    TraceId,
    Verbose,
)

commands = typer.Typer()


@commands.command()
def trace(trace_id: TraceId, database: Database = None, as_json: AsJson = False) -> None:
    """Show the steps of a run as a tree with kinds, labels, timings and tokens."""
    from orchestrator.cli.looking import show_trace

    show_trace(trace_id, settings(database=database), as_json=as_json)


@commands.command()
def traces(
    database: Database = None,
    status: Annotated[str | None, typer.Option(help="queued, running, succeeded, failed, …")] = None,
    tenant: Annotated[str | None, typer.Option(help="Only the tasks of this tenant.")] = None,
    limit: Annotated[int, typer.Option(min=1, help="How many, newest first.")] = 20,
    as_json: AsJson = False,
) -> None:
    """List the stored runs."""
    from orchestrator.cli.looking import list_traces

    list_traces(settings(database=database), status=status, tenant=tenant, limit=limit, as_json=as_json)


@commands.command()
def replay(
    trace_id: TraceId,
    pace: Annotated[
        float | None,
        typer.Option(min=0.01, help="Play it back at this multiple of the recorded speed."),
    ] = None,
    database: Database = None,
    as_json: AsJson = False,
) -> None:
    """Repeat a run from its journal, without any engine, and compare every step."""
    from orchestrator.cli.looking import replay_trace

    replay_trace(trace_id, settings(database=database), pace=pace, as_json=as_json)


@commands.command()
def fork(
    trace_id: TraceId,
    at: Annotated[str, typer.Option(help="The path of the node to change, as trace shows it.")],
    change: Annotated[
        list[str],
        typer.Option("--change", "-c", help="What to change there, such as rule=beta:0.99."),
    ],
    what_if: Annotated[
        bool, typer.Option("--what-if", help="Answer from the trace alone; make no calls and store nothing.")
    ] = False,
    engine: Engine = None,
    model: Model = None,
    database: Database = None,
    as_json: AsJson = False,
    verbose: Verbose = False,
) -> None:
    """Run a task again with one node changed, and reuse everything that does not depend on it."""
    from orchestrator.cli.revisiting import ask_what_if, fork_here

    made = settings(engine=engine, model=model, database=database)
    if what_if:
        ask_what_if(trace_id, at, change, made, as_json=as_json)
    else:
        fork_here(trace_id, at, change, made, as_json=as_json, verbose=verbose)


@commands.command()
def diff(before: TraceId, after: TraceId, database: Database = None, as_json: AsJson = False) -> None:
    """Compare two runs, such as a fork and its parent: answers, cost, nodes."""
    from orchestrator.cli.revisiting import show_difference

    show_difference(before, after, settings(database=database), as_json=as_json)


@commands.command()
def verify(
    trace_ids: Annotated[
        list[str] | None, typer.Argument(metavar="[ID]...", help="All that have ended, by default.")
    ] = None,
    database: Database = None,
    as_json: AsJson = False,
) -> None:
    """Replay stored runs, and say how many are identical and why the others are not."""
    from orchestrator.cli.revisiting import verify_traces

    made = settings_here(
        "`verify` replays runs here; `anabranch --url … replay ID` replays one there", database=database
    )
    verify_traces(trace_ids or [], made, as_json=as_json)


@commands.command()
def estimate(
    widths: Annotated[
        str, typer.Option("--n", help="Widths to compare, such as 1,2,4 or 1-16.")
    ] = "1,2,3,4,6,8,12,16",
    rule: Annotated[str | None, typer.Option(help="The stop rule, such as fixed or beta:0.99.")] = None,
    planner: Annotated[str, typer.Option(help="From the runs of this planner.")] = "vote",
    model: Annotated[str | None, typer.Option(help="By this model; by default, that of the newest.")] = None,
    tenant: Annotated[str | None, typer.Option(help="Only the runs of this tenant.")] = None,
    option: Options = None,
    database: Database = None,
    as_json: AsJson = False,
) -> None:
    """Predict what a vote would take, width by width, from the branches of stored runs."""
    from orchestrator.cli.estimating import show_estimate

    show_estimate(
        settings_here("an estimate rests on the runs in a database", database=database),
        widths=widths,
        rule=rule,
        planner=planner,
        model=model,
        tenant=tenant,
        options=option or (),
        as_json=as_json,
    )


@commands.command()
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
        typer.Option("--output", "-o", encoding="utf-8", help="Standard output, by default."),
    ] = "-",  # type: ignore[assignment]
    database: Database = None,
) -> None:
    """Export one trace as a file."""
    from orchestrator.cli.keeping import export_trace

    export_trace(trace_id, settings(database=database), form=form, content=content, to=to)


@commands.command("import")
def import_(
    files: Annotated[
        list[Path], typer.Argument(help="Exported traces, or branches that others have recorded.")
    ],
    tenant: Annotated[str | None, typer.Option(help="The tenant to import them for.")] = None,
    max_bytes: Annotated[int, typer.Option(min=1, help="The most bytes of a file.")] = 1_000_000_000,
    max_line: Annotated[int, typer.Option(min=1, help="The most bytes of a line.")] = 16_000_000,
    max_events: Annotated[int, typer.Option(min=1, help="The most events of a trace.")] = 1_000_000,
    max_seconds: Annotated[float, typer.Option(min=0.1, help="The longest time to read a file.")] = 600.0,
    database: Database = None,
) -> None:
    """Store traces from files, and print their ids."""
    from orchestrator.cli.keeping import import_files
    from storage.archive import Limits

    limits = Limits(file_bytes=max_bytes, line_bytes=max_line, events=max_events, seconds=max_seconds)
    import_files(files, settings(database=database), tenant=tenant, limits=limits)


@commands.command()
def prune(
    older_than: Annotated[
        str | None, typer.Option(help="Those that ended this long ago, such as 36h or 30d.")
    ] = None,
    keep: Annotated[int | None, typer.Option(min=0, help="How many ended tasks may remain.")] = None,
    max_bytes: Annotated[
        int | None, typer.Option(min=0, help="How many bytes they may take in total.")
    ] = None,
    tenant: Annotated[str | None, typer.Option(help="Only this tenant's tasks.")] = None,
    database: Database = None,
) -> None:
    """Remove ended tasks with their traces, the oldest first."""
    from orchestrator.cli.keeping import prune_traces

    made = settings_here("what is removed is up to who runs the service, on its database", database=database)
    prune_traces(made, older_than=older_than, keep=keep, max_bytes=max_bytes, tenant=tenant)


@commands.command()
def requeue(trace_id: TraceId, database: Database = None) -> None:
    """Put a dead task back into the queue; it continues where its journal ends."""
    from orchestrator.cli.keeping import requeue_task

    requeue_task(trace_id, settings(database=database))


@commands.command()
def check(
    database: Database = None, fix_permissions: FixPermissions = False, as_json: AsJson = False
) -> None:
    """Search the database for damage, and for tasks and journals that cannot be read; exit with 1 if any."""
    from orchestrator.cli.keeping import check_database

    made = settings_here(
        "`check` reads a database", database=database, fix_permissions=fix_permissions or None
    )
    check_database(made, as_json=as_json)


@commands.command()
def backup(
    file: Annotated[Path, typer.Argument(help="Where the copy is written.")],
    force: Annotated[bool, typer.Option("--force", help="Replace a file that is there already.")] = False,
    salvage: Annotated[
        bool, typer.Option("--salvage", help="Copy only the rows that can be read of a damaged database.")
    ] = False,
    database: Database = None,
) -> None:
    """Copy a SQLite database while it is in use."""
    from orchestrator.cli.keeping import back_up_database

    made = settings_here("`backup` copies a database", database=database)
    back_up_database(file, made, overwrite=force, salvage=salvage)

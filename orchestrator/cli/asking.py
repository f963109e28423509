"""Declares the commands that answer questions: ``solve``, ``batch`` and ``calibrate``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

from orchestrator.cli.given import given_of, seconds_or_time, settings, settings_here
from orchestrator.cli.parameters import (
    AbstainBelow,
    AsJson,
    BudgetSeconds,
    BudgetTokens,
    Database,
    Engine,
    FixPermissions,
    HttpTools,
    MaxTokens,
    Mcp,
    Model,
    Options,
    Seed,
    Temperature,
    Tools,
    TopP,
    Verbose,
    in_utf8,
)
from orchestrator.cli.saying import begin

commands = typer.Typer()


@commands.command()
def solve(
    query: Annotated[
        str, typer.Argument(metavar="QUERY", help="The question; - reads it from standard input.")
    ],
    planner: Annotated[
        str | None, typer.Option("--planner", "-p", help="The reasoning method; see planners.")
    ] = None,
    option: Options = None,
    context: Annotated[str | None, typer.Option(help="Material to answer from: a text, or @file.")] = None,
    choice: Annotated[
        list[str] | None, typer.Option(help="A choice of a multiple-choice question; repeat it for each.")
    ] = None,
    tool: Tools = None,
    mcp: Mcp = None,
    http_tools: HttpTools = None,
    engine: Engine = None,
    model: Model = None,
    database: Database = None,
    temperature: Temperature = None,
    top_p: TopP = None,
    max_tokens: MaxTokens = None,
    seed: Seed = None,
    abstain_below: AbstainBelow = None,
    budget_tokens: BudgetTokens = None,
    budget_calls: Annotated[int | None, typer.Option(help="Most calls of the run.")] = None,
    budget_depth: Annotated[int | None, typer.Option(help="Deepest nesting of scopes.")] = None,
    budget_width: Annotated[int | None, typer.Option(help="Most calls and tools in flight.")] = None,
    budget_seconds: BudgetSeconds = None,
    budget_nodes: Annotated[int | None, typer.Option(help="Most nodes of the run, with notes.")] = None,
    priority: Annotated[
        str | None, typer.Option(help="interactive, or batch: in which line it waits to begin.")
    ] = None,
    deadline: Annotated[
        str | None,
        typer.Option(help="When the answer is of no use any more: seconds from now, or a time."),
    ] = None,
    tenant: Annotated[str | None, typer.Option(help="The tenant of the task.")] = None,
    as_json: AsJson = False,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="No live view, and no progress.")] = False,
    verbose: Verbose = False,
    fix_permissions: FixPermissions = False,
) -> None:
    """Answer a question, and show its branches as they run."""
    if not quiet:
        begin()
    from orchestrator.cli.solving import Inputs, failures_shown, solve_and_show

    request = {
        "query": query,
        "context": context,
        "choices": choice or None,
        "planner": planner,
        "seed": seed,
        "abstain_below": abstain_below,
        "priority": priority,
        "deadline": seconds_or_time(deadline),
        "tenant": tenant,
        "sampling": given_of(temperature=temperature, top_p=top_p, max_tokens=max_tokens),
        "budget": given_of(
            tokens=budget_tokens,
            calls=budget_calls,
            depth=budget_depth,
            width=budget_width,
            seconds=budget_seconds,
            nodes=budget_nodes,
        ),
    }
    with failures_shown(as_json=as_json):
        made = settings(
            engine=engine,
            model=model,
            database=database,
            mcp_servers=mcp,
            http_tools=http_tools,
            fix_permissions=fix_permissions or None,
        )
        elsewhere = made.url is not None
        inputs = Inputs(given_of(**request), tuple(option or ()), tuple(tool or ()), elsewhere)
        solve_and_show(inputs, made, as_json=as_json, quiet=quiet, verbose=verbose)


@commands.command()
def batch(
    file: Annotated[
        Path, typer.Argument(help="JSON Lines, or CSV with a column query: see docs/batches.md.")
    ],
    out: Annotated[
        Path | None,
        typer.Option(help="Where results go: JSON Lines, or CSV if it ends so. By default standard output."),
    ] = None,
    planner: Annotated[
        str | None, typer.Option("--planner", "-p", help="The reasoning method; see planners.")
    ] = None,
    option: Options = None,
    tool: Tools = None,
    mcp: Mcp = None,
    http_tools: HttpTools = None,
    engine: Engine = None,
    model: Model = None,
    database: Database = None,
    temperature: Temperature = None,
    top_p: TopP = None,
    max_tokens: MaxTokens = None,
    seed: Seed = None,
    abstain_below: AbstainBelow = None,
    budget_tokens: BudgetTokens = None,
    budget_seconds: BudgetSeconds = None,
    concurrency: Annotated[int, typer.Option(min=1, help="How many lines to answer at the same time.")] = 8,
    limit: Annotated[int | None, typer.Option(min=1, help="Answer only the first so many lines.")] = None,
    carry: Annotated[
        list[str] | None,
        typer.Option(help="A field of the lines that is not asked and that results repeat, such as a label."),
    ] = None,
    name: Annotated[
        str | None,
        typer.Option(help="What was answered under it is not answered again; by default the file's name."),
    ] = None,
    tenant: Annotated[str | None, typer.Option(help="The tenant of the tasks.")] = None,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="No progress.")] = False,
    fix_permissions: FixPermissions = False,
) -> None:
    """Answer a file of questions; the same command again goes on where it was interrupted."""
    if not quiet:
        begin()
    from orchestrator.cli.batching import Files, batch_here
    from orchestrator.cli.solving import Inputs

    in_utf8(as_json=True)
    request = {
        "planner": planner,
        "seed": seed,
        "abstain_below": abstain_below,
        "tenant": tenant,
        "sampling": given_of(temperature=temperature, top_p=top_p, max_tokens=max_tokens),
        "budget": given_of(tokens=budget_tokens, seconds=budget_seconds),
    }
    inputs = Inputs(given_of(**request), tuple(option or ()), tuple(tool or ()))
    made = settings_here(
        "`batch` answers with an engine of this process; the service takes the file at /v1/batches",
        engine=engine,
        model=model,
        database=database,
        mcp_servers=mcp,
        http_tools=http_tools,
        fix_permissions=fix_permissions or None,
    )
    files = Files(file, out, tuple(carry or ()), limit)
    batch_here(files, inputs, made, name=name, at_once=concurrency, quiet=quiet)


@commands.command()
def calibrate(
    file: Annotated[Path, typer.Argument(help="JSON Lines: query and answer, optional context and choices.")],
    traces: Annotated[
        bool, typer.Option("--traces", help="The lines name stored runs: trace_id, and answer or right.")
    ] = False,
    signal: Annotated[
        Literal["agreement", "confidence", "entropy", "length"],
        typer.Option(help="What the probability is derived from."),
    ] = "agreement",
    risk: Annotated[
        float, typer.Option(min=0.001, max=0.999, help="The share of accepted answers that may be wrong.")
    ] = 0.1,
    out: Annotated[
        Path | None, typer.Option(help="Where to write it; by default where solve looks for it.")
    ] = None,
    planner: Annotated[
        str | None, typer.Option("--planner", "-p", help="The reasoning method; see planners.")
    ] = None,
    option: Options = None,
    tool: Tools = None,
    mcp: Mcp = None,
    http_tools: HttpTools = None,
    engine: Engine = None,
    model: Model = None,
    database: Database = None,
    temperature: Temperature = None,
    top_p: TopP = None,
    max_tokens: MaxTokens = None,
    seed: Seed = None,
    at_once: Annotated[int, typer.Option(min=1, help="How many questions to answer at the same time.")] = 4,
    tenant: Annotated[str, typer.Option(help="The tenant of the questions' tasks.")] = "calibration",
    as_json: AsJson = False,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="No progress bar.")] = False,
) -> None:
    """Learn from labelled questions how likely an answer is right, and how sure it must be to be accepted."""
    from orchestrator.cli.calibrating import calibrate_questions, calibrate_traces
    from orchestrator.cli.solving import Inputs
    from orchestrator.errors import InvalidRequest
    from orchestrator.tasks.calibrating import Wanted

    made = settings_here(
        "a calibration is learned from runs in a database, and kept on this machine",
        engine=engine,
        model=model,
        database=database,
        mcp_servers=mcp,
        http_tools=http_tools,
    )
    wanted = Wanted(signal, risk, out)
    sampling = given_of(temperature=temperature, top_p=top_p, max_tokens=max_tokens)
    asking = given_of(planner=planner, seed=seed, sampling=sampling)
    if not traces:
        inputs = Inputs(asking | {"tenant": tenant}, tuple(option or ()), tuple(tool or ()))
        calibrate_questions(file, inputs, made, wanted, at_once=at_once, as_json=as_json, quiet=quiet)
    elif asking or option or tool:
        raise InvalidRequest(
            "--traces answers no questions: leave out planner, option, tool, seed and sampling"
        )
    else:
        calibrate_traces(file, made, wanted, as_json=as_json)

"""The commands that revisit stored runs: ``fork``, ``diff`` and ``verify``."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import asdict

import typer

from orchestrator.cli.elsewhere import opened_runs
from orchestrator.cli.ending import run_here
from orchestrator.cli.printing import output, print_solution, table
from orchestrator.cli.saying import dump, say
from orchestrator.cli.solving import named_value, opened_solver, stopping
from orchestrator.cli.ticking import Announcer
from orchestrator.opening import opened_store
from orchestrator.planning.finding import find_planner
from orchestrator.runtime.change import Change, parse_change
from orchestrator.settings import Settings
from orchestrator.tasks.hindsight.counterfactual import Counterfactual
from orchestrator.tasks.hindsight.difference import TraceDifference
from orchestrator.tasks.hindsight.verifying import Verification, verify_stored
from orchestrator.tasks.solution import Solution, shown_answer
from orchestrator.visible import one_line


def read_change(given: Sequence[str]) -> Change:
    """The change that ``key=value`` texts describe.

    Raises:
        InvalidRequest: one is not ``key=value``, or nodes have nothing of that name.
    """
    return parse_change(dict(named_value(text) for text in given))


def fork_here(
    trace_id: str, at: str, given: Sequence[str], settings: Settings, *, as_json: bool, verbose: bool
) -> None:
    """Run a task again with a change at a node; print the answer and what differs.

    Raises:
        InvalidRequest: there is no such node, or it cannot be changed that way.
        TaskFailed, Unavailable, TaskNotFound: there is no answer.
    """
    change = read_change(given)

    async def run() -> tuple[Solution, TraceDifference]:
        async with opened_solver(settings, (), Announcer()) as solver:
            async with stopping(solver):
                solution = await solver.fork(trace_id, at=at, change=change)
            return solution, await solver.difference(trace_id, solution.trace_id)

    solution, differences = run_here(run())
    if as_json:
        body = {"solution": solution.model_dump(mode="json"), "difference": asdict(differences)}
        dump(body)
        return
    print_solution(output(), solution, verbose=verbose)
    output().print()
    print_difference(differences)


def ask_what_if(trace_id: str, at: str, given: Sequence[str], settings: Settings, *, as_json: bool) -> None:
    """Say how a run would have gone with a change at a node, from its trace alone.

    Raises:
        Unknown: that needs tokens that were never generated.
        InvalidRequest, Conflict, TaskNotFound: as for the counterfactual.
    """
    change = read_change(given)

    async def run() -> Counterfactual:
        async with opened_runs(settings) as runs:
            return await runs.counterfactual(trace_id, at=at, change=change)

    found = asyncio.run(run())
    answer = found.result.answer
    told = None if answer is None else shown_answer(answer)
    if as_json:
        body = {"answer": told, "tokens": found.tokens, "recorded_tokens": found.recorded_tokens}
        dump(body)
        return
    say(told or f"no answer: the run would have been {found.result.outcome}")
    say(f"\n{found.tokens:,} of {found.recorded_tokens:,} completion tokens would have been used")


def show_difference(before: str, after: str, settings: Settings, *, as_json: bool) -> None:
    """Compare two stored runs.

    Raises:
        TaskNotFound: one of them is not stored.
    """

    async def run() -> TraceDifference:
        async with opened_runs(settings) as runs:
            return await runs.difference(before, after)

    differences = asyncio.run(run())
    if as_json:
        dump(asdict(differences))
    else:
        print_difference(differences)


def print_difference(differences: TraceDifference) -> None:
    """Answers, costs, and the nodes that are not the same, side by side."""
    before, after = differences.answers
    console = output()
    was, now = differences.tokens
    rows = [("answer", before or "-", after or "-"), ("new tokens", f"{was:,}", f"{now:,}")]
    rows += [(node.path, _short(node.before), _short(node.after)) for node in differences.nodes]
    console.print(table(("", "before", "after"), rows))
    console.print(f"{differences.same} nodes are the same, {len(differences.nodes)} differ", style="dim")


def verify_traces(trace_ids: Sequence[str], settings: Settings, *, as_json: bool) -> None:
    """Replay stored runs strictly, all that have ended if none are named; exit 1 if one differs."""

    async def run() -> Verification:
        async with opened_store(settings) as store:
            return await verify_stored(store, trace_ids, find_planner)

    found = asyncio.run(run())
    if as_json:
        dump(asdict(found))
    else:
        for task_id, reason in found.differing.items():
            say(f"{one_line(task_id)}: {one_line(reason)}")
        others = f"; {len(found.without_run)} ended without a complete run" if found.without_run else ""
        say(f"{found.identical} identical, {len(found.differing)} different{others}")
    if found.differing:
        raise typer.Exit(1)


def _short(text: str | None, width: int = 60) -> str:
    if text is None:
        return "-"
    return text if len(text) <= width else f"{text[: width - 1]}…"

"""Solutions, traces and lists, as a terminal shows them."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime

from rich.console import Console
from rich.markup import escape
from rich.table import Table
from rich.text import Text
from rich.tree import Tree

from orchestrator.cli.live import SYMBOLS, first_line
from orchestrator.cli.terminal import Terminal, cell
from orchestrator.consensus.readable import readable_text
from orchestrator.tasks.solution import Solution
from orchestrator.tasks.trust import UNSURE
from orchestrator.visible import visible
from storage.tasks import Task
from storage.trace import Decision, Trace, TraceNode

DEEPEST = 24
"""Levels of a tree that are indented."""

SOURCES = 8
"""How many inputs of a node are named."""


def print_solution(console: Console, solution: Solution, *, verbose: bool = False) -> None:
    """The answer, why it may be trusted, and the id of the trace; with ``verbose``, all that it rests on."""
    told = solution.trust.removeprefix(UNSURE)
    if not solution.unsure:
        _print_text(console, _plainly(solution))
        if told:
            console.print(f"\n{cell(told)}", soft_wrap=True)
    elif not solution.answer:
        console.print(f"[yellow]no answer[/]: {cell(told)}", soft_wrap=True)
    elif _is_short(solution.answer):
        said = escape(visible(solution.answer))
        console.print(f"[yellow]unsure[/]: [bold]{said}[/] ({cell(told)})", soft_wrap=True)
    else:
        console.print(f"[yellow]unsure[/] ({cell(told)}):\n", soft_wrap=True)
        _print_text(console, _plainly(solution))
    if verbose:
        _print_basis(console, solution)
    console.print(f"trace {solution.trace_id}", style="dim")


def _plainly(solution: Solution) -> str:
    """The answer; where it is a whole text, its formulas are readable."""
    return readable_text(solution.answer) if solution.answer == solution.text else solution.answer


def _is_short(answer: str) -> bool:
    return len(answer) < 200 and "\n" not in answer


def _print_text(console: Console, text: str) -> None:
    console.print(escape(visible(text)), style="bold" if _is_short(text) else "", soft_wrap=True)


def _print_basis(console: Console, solution: Solution) -> None:
    """Who gave which answer, how the run went, what leads to the answer, and what others say."""
    console.print()
    for cluster in solution.clusters:
        bar = "█" * min(cluster.count, 40)
        console.print(f"  [green]{bar}[/] {cluster.count}  {cell(first_line(cluster.claim))}")
    facts = [f"outcome {solution.outcome}" + (f" ({solution.limit})" if solution.limit else "")]
    if solution.confidence is not None:
        facts.append(f"confidence {solution.confidence:.2f}")
    if solution.entropy is not None:
        facts.append(f"entropy {solution.entropy:.3f} nats")
    if calibrated := solution.calibrated:
        right = f"about {calibrated.percent} likely to be right"
        if calibrated.interval:
            low, high = calibrated.interval
            alike = f"{calibrated.right} of {calibrated.alike} alike ({calibrated.agreement}) were right"
            right = f"{right}, as {alike} (95 % interval {low:.0%} to {high:.0%})"
        within = "within" if calibrated.within_risk else "not known to be within"
        sureness = [
            f"{right}, by calibration on {calibrated.questions} questions",
            f"{within} the risk of {calibrated.risk:.0%}",
        ]
    elif solution.confidence is not None:
        sureness = [f"not calibrated: {solution.uncalibrated}"]
    else:
        sureness = []
    usage, timings = solution.usage, solution.timings
    tokens = [
        f"{usage.calls:,} call{'s' * (usage.calls != 1)}",
        f"{usage.prompt:,} prompt tokens ({usage.cached:,} cached)",
        f"{usage.completion:,} completion tokens ({usage.cancelled:,} from cancelled branches)",
    ]
    for line in (facts, sureness, tokens, [f"planner {solution.planner}", f"{timings.run:.2f} s"]):
        if line:
            console.print(cell(" · ".join(line)), soft_wrap=True)
    if solution.reasoning:
        _print_quoted(console, "reasoning:", solution.reasoning)
    for other in solution.dissent:
        who = "1 branch says" if other.count == 1 else f"{other.count} branches say"
        _print_quoted(console, f"{who} {first_line(other.claim)}:", other.text)
    console.print()


def _print_quoted(console: Console, heading: str, text: str) -> None:
    """A text from elsewhere, indented, so that none of its lines looks like one of ours."""
    console.print(f"\n{cell(heading)}", soft_wrap=True)
    for line in readable_text(text).splitlines():
        console.print(f"  {escape(visible(line))}", style="dim", soft_wrap=True)


def trace_tree(trace: Trace) -> Tree:
    """The steps of a run with their kinds, labels, timings and tokens; `*` marks the critical path."""
    task, usage, longest = trace.task, trace.usage(), trace.critical_path()
    begun = trace.started_at or task.created_at
    seconds = (trace.finished_at or begun) - begun
    query = _member(task.question, "query")
    tree = Tree(
        f"[bold]{cell(first_line(query, 200))}[/]\n"
        f"[dim]{cell(task.id)} · {cell(task.planner)} · {cell(trace.outcome or task.status)} · "
        f"{seconds:.2f} s · "
        f"{usage['prompt_tokens']:,} prompt tokens ({usage['cached_tokens']:,} cached), "
        f"{usage['completion_tokens']:,} completion tokens ({usage['wasted_tokens']:,} cancelled)[/]"
    )
    decisions: dict[str, list[Decision]] = {}
    for decision in trace.decisions:
        decisions.setdefault(decision.path, []).append(decision)
    _grow(tree, trace, decisions, begun, frozenset(longest.paths))
    if trace.error is not None:
        tree.add(f"[red]{cell(trace.error.get('code'))}: {cell(trace.error.get('message'))}[/]")
    if trace.answer is not None:
        tree.add(f"[bold]answer[/] {cell(_short(trace.answer))}")
    if longest.length:
        tree.add(f"[dim]critical path {longest.length:.2f} s{_in_tokens(trace)}[/]")
    return tree


def _in_tokens(trace: Trace) -> str:
    """What the critical path is of all that was written. Seconds would not say it: calls at the same time
    slow each other down, so the sum of their times is more than they would take one after another.
    """
    tokens = trace.critical_path("tokens")
    if not tokens.length:
        return ""
    return f"; {tokens.length:,.0f} of {tokens.work:,.0f} completion tokens, 1 in {tokens.ratio:.1f}"


def _grow(
    tree: Tree, trace: Trace, decisions: Mapping[str, list[Decision]], begun: float, critical: frozenset[str]
) -> None:
    """Add the nodes and decisions of all scopes, in the order in which they came.

    What is nested deeper than ``DEEPEST`` is not indented further.
    """
    levels = [(tree, iter(_in_order(trace.nodes, decisions.get("", ()))))]
    while levels:
        into, items = levels[-1]
        item = next(items, None)
        if item is None:
            levels.pop()
        elif isinstance(item, TraceNode):
            branch = into.add(_line(_node_line(item, begun, item.path in critical)))
            below = branch if len(levels) < DEEPEST else into
            levels.append((below, iter(_in_order(item.children, decisions.get(item.path, ())))))
        else:
            seen = ", ".join(f"{key} {_short(value, 40)}" for key, value in item.saw.items())
            said = f"{cell(item.by)}: {cell(item.verdict)} [dim]{cell(seen)}[/]"
            into.add(_line(f"[yellow]◆[/] {said}"))


def _in_order(nodes: Sequence[TraceNode], decisions: Sequence[Decision]) -> list[TraceNode | Decision]:
    items: list[tuple[float, int, TraceNode | Decision]] = [
        *((node.added_at, 0, node) for node in nodes),
        *((decision.at, 1, decision) for decision in decisions),
    ]
    return [item for _, _, item in sorted(items, key=lambda entry: entry[:2])]


def _line(markup: str) -> Text:
    """Markup that is cut where the terminal ends, instead of being wrapped."""
    text = Text.from_markup(markup, overflow="ellipsis", emoji=False)
    text.no_wrap = True
    return text


def _node_line(node: TraceNode, begun: float, critical: bool) -> str:
    parts = [
        SYMBOLS.get(node.state, "[cyan]…[/]"),
        f"[dim]{cell(_shortened(node.path))}[/]{'[bold]*[/]' if critical else ''}",
        f"[bold]{cell(node.kind)}[/]",
        cell(first_line(node.label, 200)),
    ]
    if node.inputs:
        named = ", ".join(map(_shortened, node.inputs[:SOURCES]))
        more = len(node.inputs) - SOURCES
        parts.append(f"[dim]from {named}{f' and {more} more' if more > 0 else ''}[/]")
    if node.started_at is not None and node.kind in ("generate", "tool", "vote", "spawn"):
        parts.append(f"[cyan]+{max(0.0, node.started_at - begun):.2f} s, took {node.seconds:.2f} s[/]")
    if node.usage:
        asked, cached = node.usage.get("prompt_tokens", 0), node.usage.get("cached_tokens", 0)
        parts.append(f"[dim]{asked:,} ({cached:,} cached) → {node.tokens:,} tok[/]")
    if node.state == "failed" and node.error is not None:
        parts.append(f"[red]{cell(node.error.get('code'))}: {cell(node.error.get('message'))}[/]")
    elif node.value not in (None, {}) and not node.children:
        parts.append(cell(_short(node.value)))
    return " ".join(part for part in parts if part)


def _short(value: object, width: int = 80) -> str:
    """A value on one line: the text that it carries if it has one, otherwise JSON."""
    if isinstance(value, dict):
        value = value.get("claim") or value.get("text") or value
    return first_line(value if isinstance(value, str) else json.dumps(value, ensure_ascii=False), width)


def _shortened(path: str) -> str:
    """A path; one of many levels without those in the middle."""
    return path if len(path) <= 60 else f"{path[:30]}…{path[-29:]}"


def _member(value: object, name: str) -> str:
    return str(value.get(name, "")) if isinstance(value, Mapping) else str(value or "")


def _when(seconds: float) -> str:
    try:
        return datetime.fromtimestamp(seconds).astimezone().strftime("%m-%d %H:%M")
    except (OverflowError, OSError, ValueError):  # an old row may hold anything
        return "?"


def tasks_table(tasks: Iterable[Task]) -> Table:
    """Stored tasks, one per line."""
    rows = (
        (
            task.id,
            str(task.outcome if task.outcome in ("undecided", "abstained", "limited") else task.status),
            task.planner,
            _when(task.created_at),
            f"{(task.finished_at or 0) - task.started_at:.1f} s"
            if task.finished_at and task.started_at
            else "",
            first_line(_member(task.solution, "answer"), 16),
            first_line(_member(task.question, "query"), 60),
        )
        for task in tasks
    )
    return table(("trace", "status", "planner", "submitted", "took", "answer", "question"), rows)


def table(columns: Iterable[str], rows: Iterable[Iterable[str]]) -> Table:
    """A table without lines. In a narrow terminal the last column is wrapped."""
    made = Table(box=None, pad_edge=False, header_style="bold")
    *firsts, last = columns
    for name in firsts:
        made.add_column(name, no_wrap=True, overflow="ellipsis")
    made.add_column(last, min_width=20)
    for row in rows:
        made.add_row(*map(cell, row))
    return made


def output() -> Console:
    """Standard output: as wide as the terminal, and of unlimited width in a file or a pipe."""
    console = Terminal()
    if not console.is_terminal:
        console.width = 100_000
    return console

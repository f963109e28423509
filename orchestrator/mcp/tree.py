"""A stored run as a tree in plain text, no longer than it may be."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from orchestrator.mcp.answers import Traced
from orchestrator.visible import one_line
from storage.trace import Decision, Trace, TraceNode

WIDEST = 160
"""The most characters of a value on a line."""

DEEPEST = 24
"""Levels that are indented."""

_SIGNS = {"succeeded": "✓", "failed": "✗", "cancelled": "-", "running": "…", "waiting": "…"}


def traced(trace: Trace, most: int) -> Traced:
    """The trace, with a tree of at most ``most`` characters."""
    head, tail = list(_head(trace)), list(_tail(trace))
    room = most - sum(len(line) + 1 for line in (*head, *tail)) - len(_left_out(10**9)) - 1
    kept: list[str] = []
    nodes = left = 0
    for is_node, line in _steps(trace):
        nodes += is_node
        if left or len(line) + 1 > room:
            left += 1
        else:
            room -= len(line) + 1
            kept.append(line)
    middle = [*kept, *([_left_out(left)] if left else [])]
    return Traced(
        trace_id=trace.task.id,
        status=str(trace.task.status),
        outcome=trace.outcome,
        nodes=nodes,
        left_out=left,
        tree="\n".join((*head, *middle, *tail))[:most],
    )


def _left_out(lines: int) -> str:
    return f"… {lines:,} more lines: ask for more characters, or see `anabranch trace`"


def _head(trace: Trace) -> Iterator[str]:
    task, usage = trace.task, trace.usage()
    begun = trace.started_at or task.created_at
    seconds = (trace.finished_at or begun) - begun
    asked = task.question.get("query") if isinstance(task.question, Mapping) else task.question
    yield f"question: {_short(asked)}"
    yield " · ".join(
        (
            f"trace {_short(task.id)}",
            f"planner {_short(task.planner)}",
            _short(trace.outcome or task.status),
            f"{seconds:.2f} s",
            f"{usage['prompt_tokens']:,} prompt tokens ({usage['cached_tokens']:,} cached)",
            f"{usage['completion_tokens']:,} completion tokens ({usage['wasted_tokens']:,} cancelled)",
        )
    )


def _tail(trace: Trace) -> Iterator[str]:
    if trace.error is not None:
        yield f"error: {_short(trace.error.get('code'))}: {_short(trace.error.get('message'))}"
    if trace.answer is not None:
        yield f"answer: {_short(trace.answer)}"


def _steps(trace: Trace) -> Iterator[tuple[bool, str]]:
    """A line for each node and decision, and whether it is a node. Takes no stack for the depth."""
    decisions: dict[str, list[Decision]] = {}
    for decision in trace.decisions:
        decisions.setdefault(decision.path, []).append(decision)
    levels = [iter(_in_order(trace.nodes, decisions.get("", ())))]
    while levels:
        item = next(levels[-1], None)
        indent = "  " * min(len(levels) - 1, DEEPEST)
        if item is None:
            levels.pop()
        elif isinstance(item, TraceNode):
            yield True, indent + _of_node(item)
            levels.append(iter(_in_order(item.children, decisions.get(item.path, ()))))
        else:
            seen = ", ".join(f"{key} {_short(value, 40)}" for key, value in item.saw.items())
            yield False, f"{indent}◆ {_short(item.by, 60)}: {_short(item.verdict)} ({_short(seen)})"


def _in_order(nodes: Sequence[TraceNode], decisions: Sequence[Decision]) -> list[TraceNode | Decision]:
    items: list[tuple[float, int, TraceNode | Decision]] = [
        *((node.added_at, 0, node) for node in nodes),
        *((decision.at, 1, decision) for decision in decisions),
    ]
    return [item for _, _, item in sorted(items, key=lambda entry: entry[:2])]


def _of_node(node: TraceNode) -> str:
    parts = [_SIGNS.get(node.state, "…"), _short(node.path, 40), _short(node.kind), _short(node.label, 80)]
    if node.started_at is not None and node.settled_at is not None:
        parts.append(f"{node.seconds:.2f} s")
    if node.usage:
        parts.append(f"{node.usage.get('prompt_tokens', 0):,} → {node.tokens:,} tokens")
    if node.state == "failed" and node.error is not None:
        parts.append(f"{_short(node.error.get('code'))}: {_short(node.error.get('message'))}")
    elif node.value not in (None, {}) and not node.children:
        parts.append(f"= {_short(node.value)}")
    return " ".join(part for part in parts if part)


def _short(value: Any, most: int = WIDEST) -> str:
    """A value on one line: the text that it carries if it has one, otherwise JSON."""
    if isinstance(value, Mapping):
        value = value.get("claim") or value.get("text") or value
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, default=str)
    line = one_line(" ".join(text[: 10 * most].split()))
    return line if len(line) <= most else f"{line[: most - 1]}…"

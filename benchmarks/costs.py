"""What a run cost, as its trace says: tokens, the critical path in tokens, and what its planner decided."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from orchestrator.consensus.stopping import RULES
from storage.trace import Decision, Trace, TraceNode

SAID = 160
"""Characters of a reason that are kept."""


@dataclass(frozen=True, slots=True)
class Costs:
    """Tokens and calls of a run.

    ``computed`` are the prompt tokens that no cache had. ``ideal`` are those that one cache which never
    forgets would have computed, within this run; both leave out calls whose usage is not known, as they were
    cancelled. ``critical`` are the completion tokens of the longest chain of calls that waited for each
    other. ``longest`` are the tokens of the longest call, prompt and completion: the context that it takes.
    ``decisions`` say what the planner decided, with reasons; those of stop rules are left out.
    """

    prompt: int
    computed: int
    ideal: int
    completion: int
    critical: int
    longest: int
    calls: int
    tools: int
    decisions: tuple[str, ...]
    tool_failures: tuple[str, ...]


def costs_of(trace: Trace) -> Costs:
    """What the run of a trace cost."""
    nodes = [node for node in trace.walk() if not node.children and node.started_at is not None]
    calls = [node for node in nodes if node.kind == "generate"]
    tools = [node for node in nodes if node.kind == "tool"]
    known = [node for node in calls if node.usage.get("prompt_tokens")]
    prompt = sum(node.usage["prompt_tokens"] for node in known)
    return Costs(
        prompt=prompt,
        computed=prompt - sum(node.usage.get("cached_tokens", 0) for node in known),
        ideal=_ideal(known),
        completion=sum(node.tokens for node in calls),
        critical=int(trace.critical_path("tokens").length),
        longest=max((node.usage["prompt_tokens"] + node.tokens for node in known), default=0),
        calls=len(calls),
        tools=len(tools),
        decisions=tuple(map(_decided, filter(_by_planner, trace.decisions))),
        tool_failures=tuple(
            in_general(f"{node.label.lstrip('0123456789 ')}: {node.error.get('message', '')}")
            for node in tools
            if node.error
        ),
    )


def unknown_prompt(trace: Trace) -> int:
    """Prompt tokens of calls that were cancelled in their answer, so that their usage is not known.

    Estimated by the length of their prompts, and the tokens of a character in the other calls of the run.
    """
    calls = [node for node in trace.walk() if node.kind == "generate" and node.tokens]
    known = [node for node in calls if node.usage.get("prompt_tokens")]
    characters = sum(len(_prompt(node)) for node in known)
    unknown = sum(len(_prompt(node)) for node in calls if not node.usage.get("prompt_tokens"))
    return round(unknown * sum(node.usage["prompt_tokens"] for node in known) / max(1, characters))


def in_general(reason: str) -> str:
    """A reason without the numbers of the one case, and not too long."""
    return re.sub(r"\d+(?:[.,]\d+)*", "N", reason)[:SAID]


def _ideal(calls: Sequence[TraceNode]) -> int:
    """Prompt tokens that differ from everything that earlier calls had read or written."""
    earlier: list[str] = []
    total = 0.0
    for node in sorted(calls, key=lambda node: node.started_at or 0.0):
        prompt = _prompt(node)
        shared = max((_shared(prompt, each) for each in earlier), default=0)
        total += node.usage["prompt_tokens"] * (1 - shared / max(1, len(prompt)))
        said = node.value.get("text", "") if isinstance(node.value, dict) else ""
        earlier.append(f"{prompt}\0assistant\0{said}")
    return round(total)


def _prompt(node: TraceNode) -> str:
    return "".join(f"\0{role}\0{text}" for role, text, *_ in (node.request or {}).get("prompt", ()))


def _shared(one: str, other: str) -> int:
    """How many characters two texts begin with alike."""
    pairs = zip(one, other, strict=False)
    return next((at for at, (a, b) in enumerate(pairs) if a != b), min(len(one), len(other)))


def _by_planner(decision: Decision) -> bool:
    return decision.by != "merge" and decision.by.split(":")[0] not in RULES


def _decided(decision: Decision) -> str:
    saw = decision.saw
    reason = saw.get("reason") or "; ".join(map(str, saw.get("errors") or ()))
    return in_general(f"{decision.by} {decision.verdict}{': ' if reason else ''}{reason}")

from __future__ import annotations

from typing import Any

from orchestrator.mcp.progress import LONGEST, Narrator
from orchestrator.tasks.feed import Progress
from storage.events import Event, EventType


def told(*events: tuple[EventType, str, dict[str, Any]]) -> list[str]:
    narrator = Narrator()
    items = [Event(number, kind, path, 0.0, data) for number, (kind, path, data) in enumerate(events)]
    return [line for item in items for line in narrator.take(item)]


def test_a_choice_of_auto_comes_with_its_reason() -> None:
    chosen = {"by": "auto", "verdict": "adaptive", "saw": {"reason": "it asks for a computation"}}
    assert told((EventType.DECISION, "", chosen)) == ["auto takes adaptive: it asks for a computation"]


def test_failures_and_bounds_are_told_and_notes_are_not() -> None:
    failed = {"outcome": "failed", "error": {"code": "overloaded", "message": "no room\nfor it"}}
    assert told(
        (EventType.NODE_ADDED, "0", {"kind": "vote", "label": "beta"}),
        (EventType.NODE_ADDED, "0.0", {"kind": "generate", "label": "branch 0"}),
        (EventType.NODE_ADDED, "1", {"kind": "note", "label": "by the way"}),
        (EventType.NODE_ADDED, "2", {"kind": "tool", "label": "calculator"}),
        (EventType.NODE_SETTLED, "0.0", failed),
        (EventType.LIMIT_REACHED, "", {"limit": "tokens"}),
    ) == [
        "branch 0 begins",
        "calculator begins",
        "branch 0 failed: no room\\nfor it",
        "a bound was reached: tokens",
    ]


def test_branches_that_disagree_or_give_no_answer_are_told() -> None:
    def decided(**saw: Any) -> tuple[EventType, str, dict[str, Any]]:
        return EventType.DECISION, "0", {"by": "beta", "verdict": "continue", "saw": saw}

    assert told(
        decided(branch=0, cluster=0, counts=[1], claim="72"),
        decided(branch=1, cluster=1, counts=[1, 1], claim="9" * 1_000, entropy=0.693),
        decided(branch=2, counts=[1, 1]),
        (EventType.DECISION, "0", {"by": "merge", "verdict": "majority", "saw": {"winner": 0}}),
    ) == [
        "branch 0 answers 72",
        f"branch 1 answers {'9' * (LONGEST - 1)}… · 1 of 2 agree · entropy 0.69",
        "branch 2 gave no answer",
    ]


def test_how_far_it_is_counts_what_runs_and_what_was_written() -> None:
    narrator = Narrator()
    before = narrator.waiting
    for path in ("0", "1"):
        begun = {"kind": "generate", "label": f"branch {path}"}
        list(narrator.take(Event(int(path), EventType.NODE_ADDED, path, 0.0, begun)))
        list(narrator.take(Progress(path, 5)))
    settled = {"outcome": "succeeded", "usage": {"completion_tokens": 9}}
    list(narrator.take(Event(2, EventType.NODE_SETTLED, "0", 0.0, settled)))
    assert (before, narrator.waiting) == (True, False)
    assert narrator.headline().startswith("1 calls running · 1 done · 14 tokens · ")

from __future__ import annotations

from orchestrator.mcp.progress import Headline
from orchestrator.tasks.feed import Progress
from storage.events import Event, EventType


def test_how_far_it_is_counts_what_runs_and_what_was_written() -> None:
    headline = Headline()
    before = headline.waiting
    for path in ("0", "1"):
        begun = {"kind": "generate", "label": f"branch {path}"}
        headline.take(Event(int(path), EventType.NODE_ADDED, path, 0.0, begun))
        headline.take(Progress(path, 5))
    settled = {"outcome": "succeeded", "usage": {"completion_tokens": 9}}
    headline.take(Event(2, EventType.NODE_SETTLED, "0", 0.0, settled))
    assert (before, headline.waiting) == (True, False)
    assert headline.text().startswith("1 calls running · 1 done · 14 tokens · ")

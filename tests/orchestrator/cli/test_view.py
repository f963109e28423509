from __future__ import annotations

from typing import Any

import pytest

from orchestrator.cli.view import RunView, spell
from orchestrator.tasks.feed import Progress
from storage.events import Event, EventType


def view_of(*lines: tuple[float, EventType, str, dict[str, Any]]) -> RunView:
    view = RunView()
    for seq, (at, kind, path, data) in enumerate(lines):
        view.take(Event(seq, kind, path, at, data))
    return view


def begun(branches: int, rule: str = "fixed:6") -> list[tuple[float, EventType, str, dict[str, Any]]]:
    call = {"kind": "generate", "request": {}}
    return [
        (0.5, EventType.RUN_STARTED, "", {"planner": "vote"}),
        (1.0, EventType.NODE_ADDED, "0", {"kind": "vote", "label": rule}),
        *(
            (1.0, EventType.NODE_ADDED, f"0.{index}", {**call, "label": f"branch {index}"})
            for index in range(branches)
        ),
    ]


def ended(at: float, path: str, tokens: int) -> tuple[float, EventType, str, dict[str, Any]]:
    return at, EventType.NODE_SETTLED, path, {"outcome": "succeeded", "usage": {"completion_tokens": tokens}}


def test_before_a_branch_has_ended_nothing_is_estimated() -> None:
    view = view_of(*begun(3))
    view.take(Progress("0.0", 50))
    assert view.seconds_left(11.0) is None
    assert view.headline(11.0) == "vote · 0 of 3 steps · 50 tokens · 10.5 s · 0 of at most 6 branches"


def test_branches_are_expected_to_become_as_long_as_those_that_ended() -> None:
    view = view_of(*begun(3), ended(11.0, "0.0", 100))
    view.take(Progress("0.1", 60))
    view.take(Progress("0.2", 40))
    # 20 tokens/s for all of them together, and 4 tokens/s for the slowest, which lacks 60.
    assert view.seconds_left(11.0) == pytest.approx(60 / 4)
    told = view.headline(11.0)
    assert told.endswith("1 of at most 6 branches · about 15 s more for what runs")


def test_what_has_ended_is_not_estimated() -> None:
    view = view_of(
        *begun(1), ended(3.0, "0.0", 10), (4.0, EventType.RUN_FINISHED, "", {"outcome": "answered"})
    )
    assert view.seconds_left(4.0) is None
    assert view.headline(60.0) == "vote · 1 of 1 steps · 10 tokens · 3.5 s"


def test_a_branch_longer_than_all_that_ended_does_not_go_below_nothing() -> None:
    view = view_of(*begun(2), ended(11.0, "0.0", 100))
    view.take(Progress("0.1", 500))
    assert view.seconds_left(12.0) == 0


def test_probes_and_segments_are_no_branches() -> None:
    view = view_of(
        *begun(1),
        (2.0, EventType.NODE_ADDED, "0.1", {"kind": "generate", "label": "branch 0, probe 0", "request": {}}),
        ended(3.0, "0.1", 5),
    )
    assert "0 of at most 6 branches" in view.headline(4.0)


def test_a_rule_that_is_not_known_here_has_no_known_width() -> None:
    assert "at most" not in view_of(*begun(1, "a rule of a plugin")).headline(4.0)


@pytest.mark.parametrize(
    ("seconds", "words"),
    [(0, "1 s"), (7.4, "7 s"), (89, "89 s"), (90, "2 min"), (600, "10 min"), (9_000, "2.5 h")],
)
def test_times_in_words(seconds: float, words: str) -> None:
    assert spell(seconds) == words

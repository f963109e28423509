"""What a person reads of a run while it goes."""

from __future__ import annotations

from typing import Any

import pytest

from orchestrator.tasks.telling import LONGEST, Telling, sentence
from storage.events import Event, EventType


def told(kind: EventType, /, **data: Any) -> list[str]:
    """The lines of one event."""
    return list(Telling().lines(Event(seq=1, type=kind, path="1", at=0.0, data=data)))


@pytest.mark.parametrize(
    ("kind", "label", "line"),
    [
        ("tool", "survey", "Looking at which methods suit the question."),
        ("tool", "check", "Checking the arithmetic of a branch, and that it answers all that is asked."),
        ("tool", "program", "Computing the program that a branch wrote."),
        ("generate", "format", "Writing the answer as JSON."),
        ("tool", "weather", "Calling the tool weather."),
        ("generate", "outline", "Step: outline."),
    ],
)
def test_a_step_says_what_it_does(kind: str, label: str, line: str) -> None:
    assert told(EventType.NODE_ADDED, kind=kind, label=label) == [line]


@pytest.mark.parametrize(
    ("verdict", "line"),
    [
        ("stop: agreed", "Enough: the branches agree."),
        ("stop: exhausted", "Enough: no more branches may be asked."),
        ("stop: of another rule", "Enough: of another rule."),
    ],
)
def test_why_a_vote_ended_is_said_in_words(verdict: str, line: str) -> None:
    assert told(EventType.DECISION, by="beta", verdict=verdict, saw={}) == [line]


def test_why_an_answer_may_be_trusted_is_a_sentence() -> None:
    assert sentence("both branches agree") == "Both branches agree."


def test_what_fails_is_called_by_its_name_and_branches_are_counted_from_one() -> None:
    telling = Telling()
    failed = {"outcome": "failed", "error": {"code": "overloaded", "message": "no room\nfor it"}}
    events: list[tuple[EventType, str, dict[str, Any]]] = [
        (EventType.NODE_ADDED, "0", {"kind": "vote", "label": "beta"}),
        (EventType.NODE_ADDED, "0.0", {"kind": "generate", "label": "branch 0"}),
        (EventType.NODE_ADDED, "1", {"kind": "note", "label": "by the way"}),
        (EventType.NODE_ADDED, "2", {"kind": "tool", "label": "weather"}),
        (EventType.NODE_SETTLED, "0.0", failed),
        (EventType.NODE_SETTLED, "2", failed),
        (EventType.LIMIT_REACHED, "", {"limit": "tokens"}),
    ]
    items = [Event(number, kind, path, 0.0, data) for number, (kind, path, data) in enumerate(events)]
    assert [line for item in items for line in telling.lines(item)] == [
        "A vote begins.",
        "Branch 1 begins.",
        "Calling the tool weather.",
        "Branch 1 failed: no room for it.",
        "Weather failed: no room for it.",
        "The bound of tokens is reached.",
    ]


def test_what_goes_on_within_a_branch_is_told_only_if_it_fails() -> None:
    telling = Telling()
    failed = {"outcome": "failed", "error": {"code": "overloaded", "message": "no room"}}
    lines: list[str] = []
    for number, label in enumerate(("branch 0, segment 1", "branch 0, probe 2", "branch 1, corrected")):
        data = {"kind": "generate", "label": label}
        lines += telling.lines(Event(number, EventType.NODE_ADDED, f"0.{number}", 0.0, data))
        lines += telling.lines(Event(number, EventType.NODE_SETTLED, f"0.{number}", 0.0, failed))
    assert lines == [
        "Branch 1, segment 1 failed: no room.",
        "Branch 1, probe 2 failed: no room.",
        "Branch 2, corrected failed: no room.",
    ]


def test_branches_that_disagree_or_give_no_answer_are_told() -> None:
    def decided(**saw: Any) -> list[str]:
        return told(EventType.DECISION, by="beta", verdict="continue", saw=saw)

    assert decided(branch=0, cluster=0, counts=[1], claim="72") == ["Branch 1 says 72."]
    [told_of_the_second] = decided(branch=1, cluster=1, counts=[1, 1], claim="9" * 1_000, entropy=0.693)
    assert told_of_the_second == f"Branch 2 says {'9' * (LONGEST - 1)}… (1 of 2 agree, entropy 0.69)."
    assert decided(branch=2, counts=[1, 1]) == ["Branch 3 has no answer (1 of 2 agree)."]
    assert not told(EventType.DECISION, by="merge", verdict="majority", saw={"winner": 0})


def test_a_choice_of_auto_comes_with_its_reason() -> None:
    saw = {"reason": "it asks for a computation"}
    assert told(EventType.DECISION, by="auto", verdict="adaptive", saw=saw) == [
        "Auto: adaptive, since it asks for a computation."
    ]

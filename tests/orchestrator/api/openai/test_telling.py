"""What a person reads of a run while it goes."""

from __future__ import annotations

from typing import Any

import pytest

from orchestrator.api.openai.telling import Telling, sentence
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

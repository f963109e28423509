"""What is told of values that may have several forms: one thing, and what would be right."""

from __future__ import annotations

import pytest
from pydantic import TypeAdapter

from orchestrator.errors import InvalidRequest
from orchestrator.runtime.change import parse_change
from orchestrator.tasks.requests import Deadline, parse
from orchestrator.webhooks.registry import Events, registration

DEADLINE = (
    "deadline: must be a number of seconds above 0, or a time with its offset from UTC, "
    "such as 2030-01-01T09:00:00Z"
)
EVENTS = (
    "events: must be a list of one or more of task.succeeded, task.failed, task.cancelled and task.dead; "
    "leave it out for all"
)
PROMPT = (
    "change: prompt: must be pairs of a role (system, user or assistant) and a text, "
    'such as [["user", "Why?"]] (the fields of a change: '
)


@pytest.mark.parametrize(
    "given",
    ["soon", "", 0, -1, True, [], {}, float("inf"), "5", "2030-01-01T09:00:00", "2030-99-01T09:00:00Z"],
    ids=repr,
)
def test_a_wrong_deadline(given: object) -> None:
    with pytest.raises(InvalidRequest) as refused:
        parse({"query": "q", "deadline": given})
    assert str(refused.value) == DEADLINE


@pytest.mark.parametrize("given", [["nope"], [], "task.failed", 3, [3], ["task.failed"] * 5], ids=repr)
def test_wrong_events(given: object) -> None:
    with pytest.raises(InvalidRequest) as refused:
        registration({"url": "https://example.com", "events": given})
    assert str(refused.value) == EVENTS


@pytest.mark.parametrize(
    "given", [3, [], "q", [["robot", "q"]], [["user"]], [["user", " "]], {"user": "q"}], ids=repr
)
def test_a_wrong_prompt(given: object) -> None:
    with pytest.raises(InvalidRequest) as refused:
        parse_change({"prompt": given})
    assert str(refused.value).startswith(PROMPT)


def test_the_forms_are_still_told_to_programs() -> None:
    forms = TypeAdapter(Deadline).json_schema()["anyOf"]
    assert [each["type"] for each in forms] == ["number", "string"]
    assert TypeAdapter(Events).json_schema()["type"] == "array"

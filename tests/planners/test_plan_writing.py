from __future__ import annotations

import json
from typing import Any

import pytest

from planners.plan_json import JsonReader
from planners.plan_text import TextReader
from planners.plan_writing import call_list, call_text, plan_json, plan_text
from planners.plans import Step

PARAMETERS = {
    "search": ("query", "limit"),
    "ask": ("question", "context", "n"),
    "argmax": ("values", "names"),
}


@pytest.mark.parametrize(
    ("tool", "arguments", "text", "listed"),
    [
        ("search", {"query": 'a "b"\n'}, 'search("a \\"b\\"\\n")', ["search", 'a "b"\n']),
        ("search", {"query": "${1}"}, "search($1)", ["search", "$1"]),
        ("search", {"limit": 3}, "search(limit=3)", ["search", {"limit": 3}]),
        ("search", {"limit": 3, "query": "é"}, 'search("é", 3)', ["search", "é", 3]),
        (
            "search",
            {"query": "x", "page": None},
            'search("x", page=null)',
            ["search", {"query": "x", "page": None}],
        ),
        ("ask", {"question": "who is ${1}?", "context": ["$1", "b"]}, 'ask("who is ${1}?", [$1, "b"])', None),
        ("argmax", {"values": {"A": "${1.x[0]}", "B": 2.5}}, 'argmax({"A": $1.x[0], "B": 2.5})', None),
        ("fly", {"to": True}, "fly(to=true)", ["fly", {"to": True}]),
    ],
)
def test_steps_are_written_and_read_back(
    tool: str, arguments: dict[str, Any], text: str, listed: list[Any] | None
) -> None:
    step = Step(1, tool, arguments)
    assert call_text(step, PARAMETERS) == text
    assert listed is None or call_list(step, PARAMETERS) == listed
    again = [
        *TextReader(PARAMETERS).feed(plan_text([step], PARAMETERS)),
        *JsonReader(PARAMETERS).feed(plan_json([step], PARAMETERS)),
    ]
    calls = [call_text(each, PARAMETERS) for each in again if each.tool == tool]
    assert calls == [text, text]


def test_plans_are_about_as_short_in_json_as_in_text() -> None:
    steps = [
        Step(1, "search", {"query": "Paris"}),
        Step(2, "search", {"query": "Rome"}),
        Step(3, "ask", {"question": "Which of $1 and $2 is larger?"}),
    ]
    with_keys = {
        "steps": [{"id": step.id, "tool": step.tool, "arguments": dict(step.arguments)} for step in steps]
        + [{"id": 4, "tool": "join"}]
    }
    text, listed = len(plan_text(steps, PARAMETERS)), len(plan_json(steps, PARAMETERS))
    assert listed < 1.2 * text
    assert len(json.dumps(with_keys)) > 2 * text

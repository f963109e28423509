"""Messages of a chat, as planners and engines are told them."""

from __future__ import annotations

from typing import Any

import pytest

from orchestrator.api.openai.messages import Said, conversation_of, segments_of, turns_of
from orchestrator.api.openai.refusals import UnsupportedParameter
from workers.calls import Prompt

CALL = {"id": "c1", "type": "function", "function": {"name": "look_up", "arguments": '{"of": "Bern"}'}}
TOOLS: list[dict[str, Any]] = [
    {"role": "system", "content": "Be brief."},
    {"role": "user", "content": "How old is Bern?"},
    {"role": "assistant", "content": None, "tool_calls": [CALL]},
    {"role": "tool", "tool_call_id": "c1", "content": "founded 1191"},
    {"role": "assistant", "content": "Old."},
    {"role": "user", "content": "In years?"},
]


def test_what_was_said_before_is_the_history_of_the_last_question() -> None:
    conversation = conversation_of(turns_of(TOOLS))
    assert conversation.query == "In years?"
    assert conversation.history == (
        Said("system", "Be brief."),
        Said("user", "How old is Bern?"),
        Said("assistant", 'Calls look_up with {"of": "Bern"}'),
        Said("user", "Result of look_up:\nfounded 1191"),
        Said("assistant", "Old."),
    )


def test_an_engine_is_told_calls_and_results_as_what_they_are() -> None:
    messages = Prompt(segments_of(turns_of(TOOLS))).messages()
    assert [each["role"] for each in messages] == ["system", "user", "assistant", "tool", "assistant", "user"]
    assert messages[2]["tool_calls"][0]["function"] == {"name": "look_up", "arguments": '{"of": "Bern"}'}
    assert messages[3]["tool_call_id"] == "c1"


@pytest.mark.parametrize("role", ["system", "developer"])
def test_what_the_system_says_last_comes_before_the_question(role: str) -> None:
    conversation = conversation_of(
        turns_of([{"role": "user", "content": "Why?"}, {"role": role, "content": "Be brief."}])
    )
    assert (conversation.query, conversation.history) == ("Why?", (Said("system", "Be brief."),))


def test_parts_are_lines_and_empty_turns_are_left_out() -> None:
    parts = [{"type": "text", "text": "One."}, {"type": "text", "text": "Two."}]
    conversation = conversation_of(
        turns_of(
            [
                {"role": "system", "content": ""},
                {"role": "assistant", "content": [{"type": "refusal", "refusal": "No."}]},
                {"role": "user", "content": parts, "name": "ann"},
            ]
        )
    )
    assert (conversation.query, conversation.history) == ("One.\nTwo.", (Said("assistant", "No."),))


USER = {"role": "user", "content": "x"}


@pytest.mark.parametrize(
    ("messages", "param"),
    [
        (None, "messages"),
        ([], "messages"),
        (["x"], "messages[0]"),
        ([{"content": "x"}], "messages[0].role"),
        ([{"role": "king", "content": "x"}], "messages[0].role"),
        ([{"role": ["user"], "content": "x"}], "messages[0].role"),
        ([{"role": "user"}], "messages[0].content"),
        ([{"role": "user", "content": 5}], "messages[0].content"),
        ([{"role": "user", "content": " "}], "messages[0].content"),
        ([{"role": "user", "content": "x", "age": 4}], "messages[0].age"),
        ([{"role": "user", "content": ["x"]}], "messages[0].content[0]"),
        ([{"role": "user", "content": [{"type": "text"}]}], "messages[0].content[0].text"),
        ([{"role": "user", "content": [{"type": "image_url", "image_url": {}}]}], "messages[0].content[0]"),
        ([{"role": "user", "content": [{"type": "input_audio"}]}], "messages[0].content[0]"),
        ([{"role": "system", "content": "x"}], "messages"),
        ([USER, {"role": "assistant", "content": "y"}], "messages[1]"),
        ([USER, {"role": "assistant"}], "messages[1].content"),
        ([USER, {"role": "assistant", "audio": {"id": "a"}}], "messages[1].audio"),
        ([USER, {"role": "assistant", "tool_calls": {}}], "messages[1].tool_calls"),
        ([USER, {"role": "assistant", "tool_calls": [{}]}], "messages[1].tool_calls[0]"),
        (
            [USER, {"role": "assistant", "tool_calls": [{"id": "", "function": {"name": "f"}}]}],
            "messages[1].tool_calls[0].id",
        ),
        (
            [USER, {"role": "assistant", "tool_calls": [{"id": "a", "function": {"name": 1}}]}],
            "messages[1].tool_calls[0].function.name",
        ),
        (
            [
                USER,
                {
                    "role": "assistant",
                    "tool_calls": [{"id": "a", "function": {"name": "f", "arguments": {}}}],
                },
            ],
            "messages[1].tool_calls[0].function.arguments",
        ),
        ([{"role": "tool", "content": "x"}], "messages[0].tool_call_id"),
        ([{"role": "tool", "content": "x", "tool_call_id": "c1"}], "messages[0].tool_call_id"),
        (TOOLS[:4], "messages[3]"),
    ],
    ids=range(26),
)
def test_what_cannot_be_told_is_refused_by_its_name(messages: Any, param: str) -> None:
    with pytest.raises(UnsupportedParameter) as raised:
        conversation_of(turns_of(messages))
    assert raised.value.param == param
    assert str(raised.value).startswith(param)

from __future__ import annotations

import json

import pytest

from workers.calls import Prompt, Segment
from workers.functions import Function, FunctionCall

LOOK = FunctionCall("id1", "look", '{"at": "x"}')
ASK = FunctionCall("id2", "ask", "")


def test_a_function_is_told_in_the_form_of_the_protocol() -> None:
    schema = {"type": "object", "properties": {"at": {"type": "string"}}}
    assert Function("look", "Look there.", schema).as_tool() == {
        "type": "function",
        "function": {"name": "look", "description": "Look there.", "parameters": schema},
    }


@pytest.mark.parametrize(
    ("arguments", "values", "sent"),
    [
        ('{"at": "x"}', {"at": "x"}, '{"at": "x"}'),
        ("", {}, "{}"),
        (" ", {}, "{}"),
        ("{", None, '{"unreadable": "{"}'),
        ("[1]", None, '{"unreadable": "[1]"}'),
        ('"x"', None, '{"unreadable": "\\"x\\""}'),
        ("[" * 100_000, None, json.dumps({"unreadable": "[" * 100_000})),
    ],
)
def test_arguments_are_what_the_model_wrote_and_go_back_as_an_object(
    arguments: str, values: object, sent: str
) -> None:
    call = FunctionCall("id", "f", arguments)
    assert call.values() == values
    assert call.as_tool_call() == {
        "id": "id",
        "type": "function",
        "function": {"name": "f", "arguments": sent},
    }


def test_a_made_id_is_nine_characters_and_always_the_same() -> None:
    first, again, other = (
        FunctionCall.at(0, "f", "{}"),
        FunctionCall.at(0, "f", "{}"),
        FunctionCall.at(1, "f", "{}"),
    )
    assert first == again
    assert first.id != other.id
    assert len(first.id) == 9
    assert first.id.isalnum()


def test_calls_and_their_results_are_messages_of_their_own() -> None:
    prompt = Prompt(
        (
            Segment("user", "Where?"),
            Segment("assistant", "I look.", calls=(LOOK, ASK)),
            Segment("tool", "it is ", calls=(LOOK,)),
            Segment("tool", "here", calls=(LOOK,)),
            Segment("tool", "", calls=(ASK,)),
        )
    )
    assert prompt.messages() == [
        {"role": "user", "content": "Where?"},
        {
            "role": "assistant",
            "content": "I look.",
            "tool_calls": [LOOK.as_tool_call(), ASK.as_tool_call()],
        },
        {"role": "tool", "tool_call_id": "id1", "name": "look", "content": "it is here"},
        {"role": "tool", "tool_call_id": "id2", "name": "ask", "content": ""},
    ]


def test_an_assistants_message_of_nothing_but_calls_is_sent() -> None:
    prompt = Prompt((Segment("assistant", "", calls=(ASK,)),))
    assert prompt.messages() == [{"role": "assistant", "content": "", "tool_calls": [ASK.as_tool_call()]}]


@pytest.mark.parametrize("calls", [(), (LOOK, ASK)])
def test_a_tools_text_is_the_result_of_one_call(calls: tuple[FunctionCall, ...]) -> None:
    with pytest.raises(ValueError, match="the result of one call"):
        Segment("tool", "x", calls=calls)


def test_users_call_nothing() -> None:
    with pytest.raises(ValueError, match="only an assistant"):
        Segment("user", "x", calls=(LOOK,))

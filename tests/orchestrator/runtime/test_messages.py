"""Prompts and values on their way into calls and into the journal."""

from __future__ import annotations

import json
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel, ConfigDict

from orchestrator.errors import PlannerError
from orchestrator.runtime.messages import (
    Message,
    assistant,
    bind,
    calling,
    messages_of,
    render,
    result,
    system,
    text_of,
    user,
)
from orchestrator.runtime.plain import canonical, digest, plain
from orchestrator.runtime.values import Answer
from workers.calls import Completion, Prompt, Segment
from workers.functions import FunctionCall

CALL = FunctionCall("1", "look", "{}")

json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=12,
)


@given(json_values)
def test_json_stays_as_it_is(value: Any) -> None:
    assert plain(value) == value
    assert json.loads(canonical(value)) == value
    assert bind(value) == value
    assert len(digest(value)) == 32


@given(st.dictionaries(st.text(), json_values, max_size=6))
def test_the_order_of_keys_does_not_count(value: dict[str, Any]) -> None:
    assert digest(value) == digest(dict(reversed(value.items())))


def test_what_json_lacks_has_a_form_all_the_same() -> None:
    class Colour(StrEnum):
        RED = "red"

    class Model(BaseModel):
        model_config = ConfigDict(arbitrary_types_allowed=True)
        number: float
        odd: object

    @dataclass(frozen=True, slots=True)
    class Point:
        at: tuple[int, float]
        odd: object

    odd = object()
    assert plain(Point((1, float("nan")), odd)) == {"at": [1, "nan"], "odd": "<object>"}
    assert plain(Model(number=float("inf"), odd=odd)) == {"number": "inf", "odd": "<object>"}
    assert plain({1: {Colour.RED}, 2: (b"x", Point)}) == {"1": "<set>", "2": ["<bytes>", "<type>"]}
    assert json.loads(canonical(plain(Colour.RED))) == "red"
    assert digest("\ud800") != digest("\ud801")


def test_results_read_as_text() -> None:
    assert text_of("text") == "text"
    assert text_of(Completion("said", "stop")) == "said"
    assert text_of(Answer("answered", claim="a")) == "answered"
    assert text_of({"b": [1], "a": None}) == '{"a":null,"b":[1]}'


def test_drafts_become_messages() -> None:
    assert messages_of("hello") == (user("hello"),)
    assert messages_of([system("be brief"), user("a", "b"), assistant("so")]) == (
        system("be brief"),
        user("a", "b"),
        assistant("so"),
    )
    prompt = Prompt((Segment("system", "be brief"), Segment("user", "hello")))
    assert messages_of(prompt) == (system("be brief"), user("hello"))


def test_only_an_assistants_completion_keeps_its_tokens() -> None:
    said = Completion("so", "length", token_ids=(1, 2))
    own = Segment("assistant", "so", (1, 2))
    assert render([user(said), assistant("And ", said)]).segments == (
        Segment("user", "so"),
        Segment("assistant", "And "),
        own,
    )
    prompt = Prompt((Segment("user", "hello"), own))
    assert render(messages_of(prompt)) == prompt


def test_calls_and_results_are_rendered_with_what_they_belong_to() -> None:
    said = Completion("<think>hm</think>I look.", "stop", calls=(CALL,))
    drafted = [user("Where?"), calling(said), result(CALL, "it is ", "here")]
    assert render(messages_of(drafted)).segments == (
        Segment("user", "Where?"),
        Segment("assistant", "I look.", calls=(CALL,)),
        Segment("tool", "it is ", calls=(CALL,)),
        Segment("tool", "here", calls=(CALL,)),
    )
    prompt = render(messages_of(drafted))
    assert render(messages_of(prompt)) == prompt


@pytest.mark.parametrize(
    "message",
    [
        Message("user", ("x",), (CALL,)),
        Message("tool", ("x",)),
        Message("tool", ("x",), (CALL, CALL)),
        Message("assistant", ("x", "y"), (CALL,)),
        Message("assistant", ("x",), ("call",)),  # type: ignore[arg-type]
    ],
)
def test_messages_with_calls_that_cannot_be_sent_are_refused(message: Message) -> None:
    with pytest.raises(PlannerError, match="call"):
        messages_of([message])

from __future__ import annotations

import json
import time

import pytest

from orchestrator.runtime.written_calls import written_calls

NAMES = ("search", "calculator")
PARIS = ("search", {"query": "Paris"})
SUM = ("calculator", {"expression": "1 + 1"})


@pytest.mark.parametrize(
    ("text", "said", "calls"),
    [
        pytest.param(
            '<tool_call>\n{"name": "search", "arguments": {"query": "Paris"}}\n</tool_call>',
            "",
            [PARIS],
            id="Hermes and Qwen",
        ),
        pytest.param(
            'I look.\n<tool_call>{"name": "search", "arguments": {"query": "Paris"}}</tool_call>\n'
            '<tool_call>{"name": "calculator", "arguments": {"expression": "1 + 1"}}</tool_call>',
            "I look.",
            [PARIS, SUM],
            id="text before, and two",
        ),
        pytest.param(
            '<tool_call>\n{"name": "search", "arguments": {"query": "Paris"}}\n'
            '{"name": "calculator", "arguments": {"expression": "1 + 1"}}',
            "",
            [PARIS, SUM],
            id="two in one mark that is not closed",
        ),
        pytest.param(
            '<tool_call>{"name": "search", "arguments": {"query": "Paris"}', "", [PARIS], id="no last brace"
        ),
        pytest.param('{"name": "search", "arguments": {"query": "Paris"}}', "", [PARIS], id="bare JSON"),
        pytest.param(
            'Let me see:\n```json\n{"name": "search", "arguments": {"query": "Paris"}}\n```\nI wait.',
            "Let me see:",
            [PARIS],
            id="in a fence",
        ),
        pytest.param(
            '[{"name": "search", "arguments": {"query": "Paris"}}, '
            '{"name": "calculator", "arguments": {"expression": "1 + 1"}}]',
            "",
            [PARIS, SUM],
            id="a list",
        ),
        pytest.param('{"name": "search", "parameters": {"query": "Paris"}}', "", [PARIS], id="Llama"),
        pytest.param(
            '<|python_tag|>{"name": "search", "parameters": {"query": "Paris"}}',
            "",
            [PARIS],
            id="Llama, marked",
        ),
        pytest.param(
            '[TOOL_CALLS] [{"name": "search", "arguments": {"query": "Paris"}}]', "", [PARIS], id="Mistral"
        ),
        pytest.param(
            '{"type": "function", "function": {"name": "search", "arguments": "{\\"query\\": \\"Paris\\"}"}}',
            "",
            [PARIS],
            id="as in the protocol, with arguments as text",
        ),
        pytest.param(
            '{"tool_calls": [{"function": {"name": "search", "arguments": {"query": "Paris"}}}]}',
            "",
            [PARIS],
            id="the whole message of the protocol",
        ),
        pytest.param(
            '{"function": "search", "arguments": {"query": "Paris"}}', "", [PARIS], id="function for name"
        ),
        pytest.param(
            "<tool_call>\n<function=search>\n<parameter=query>\nParis\n</parameter>\n</function>\n</tool_call>",
            "",
            [PARIS],
            id="Qwen3-Coder",
        ),
        pytest.param(
            '<think>I could use {"name": "calculator", "arguments": {"expression": "2"}}</think>'
            '<tool_call>{"name": "search", "arguments": {"query": "Paris"}}</tool_call>',
            "",
            [PARIS],
            id="what is thought is not called",
        ),
        pytest.param(
            '<tool_call>{"name": "delete", "arguments": {}}</tool_call>',
            "",
            [("delete", {})],
            id="an unknown function, marked",
        ),
    ],
)
def test_calls_are_read_in_the_forms_in_which_models_write_them(
    text: str, said: str, calls: list[tuple[str, object]]
) -> None:
    written = written_calls(text, NAMES)
    assert [(call.name, json.loads(call.arguments)) for call in written.calls] == calls
    assert written.text == said
    assert len({call.id for call in written.calls}) == len(calls)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "Paris has 2,100,000 inhabitants.",
        '{"answer": "Paris"}',
        '{"name": "Ann", "age": 4}',
        '{"name": "delete", "arguments": {}}',
        "search({query: 'Paris'}",
        "{" * 100_000,
        "<think>a</think>so",
        "Tools are between <tools></tools>.",
    ],
)
def test_an_answer_is_no_call_and_stays_as_it_is(text: str) -> None:
    assert written_calls(text, NAMES) == (text, ())


def test_what_is_marked_as_a_call_and_cannot_be_read_is_one_without_a_name() -> None:
    written = written_calls("I try.\n<tool_call>search Paris</tool_call>", NAMES)
    assert written.text == "I try."
    assert [(call.name, call.arguments) for call in written.calls] == [("", "search Paris")]


@pytest.mark.parametrize("odd", ["[", "[ ", "```", "<function=", "<function=a><parameter=", "{", "\n"])
def test_a_text_of_a_model_that_goes_round_in_circles_is_read_in_no_time(odd: str) -> None:
    begun = time.monotonic()
    written_calls(odd * 60_000 + 'x<tool_call>{"name": "a"}</tool_call>', {"a"})
    assert time.monotonic() - begun < 10  # seconds, of the minutes that it would take to go back and forth

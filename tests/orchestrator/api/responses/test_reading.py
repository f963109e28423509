"""What a request for a response may say, and what becomes of each part of it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from orchestrator.api.openai.messages import Turn
from orchestrator.api.openai.parameters import Fate
from orchestrator.api.openai.refusals import InvalidParameter, UnsupportedParameter
from orchestrator.api.responses.items import ItemsQuery, page_of, turns_of
from orchestrator.api.responses.parameters import RESPONSES
from orchestrator.api.responses.reading import request_of, task_of
from orchestrator.planning.finding import Planners
from orchestrator.tasks.requests import parse
from storage.memory import MemoryStore
from storage.tasks import NewTask
from tests.orchestrator.api.conftest import Api

DOCS = Path(__file__).parents[4] / "docs" / "responses.md"
FIND = Planners({}).find


def asked(**parameters: Any) -> dict[str, Any]:
    """The task that a request for a planner is."""
    body = {"model": "anabranch/vote", "input": "x", **parameters}
    task = task_of(request_of(body), (), FIND)
    parse(task)
    return task


def test_the_guide_has_a_row_for_each_parameter() -> None:
    page = DOCS.read_text()
    for name, rule in RESPONSES.items():
        assert f"| `{name}` | {rule.planner} | {rule.engine} | {rule.told} |" in page


def test_what_is_refused_says_why_unless_it_asks_for_nothing() -> None:
    for name, rule in RESPONSES.items():
        if rule.planner is Fate.REFUSED:
            with pytest.raises(UnsupportedParameter) as refused:
                request_of({"model": "anabranch/vote", "input": "x", name: {"some": "thing"}})
            assert refused.value.param == name
            assert rule.told in str(refused.value)
        for idle in rule.idle if rule.planner is Fate.REFUSED else ():
            request_of({"model": "anabranch/vote", "input": "x", name: idle})
        request_of({name: None, "model": "anabranch/vote", "input": "x"})
    with pytest.raises(InvalidParameter) as unknown:
        request_of({"model": "anabranch/vote", "input": "x", "inputs": "y"})
    assert unknown.value.param == "inputs"


def test_what_a_client_of_openai_says_by_itself_is_taken() -> None:
    task = asked(
        include=["reasoning.encrypted_content"],
        parallel_tool_calls=True,
        tool_choice="auto",
        tools=[],
        truncation="disabled",
        service_tier="auto",
        stream=False,
        stream_options={"include_obfuscation": False},
        text={"format": {"type": "text"}, "verbosity": "medium"},
        reasoning={"effort": "high", "summary": "auto"},
        prompt_cache_key="a",
        safety_identifier="b",
        metadata=None,
        temperature=1,
        top_p=0.5,
        previous_response_id=None,
    )
    assert task["options"] == {"n": 16, "temperature": 1}
    assert task["sampling"] == {"temperature": 1, "top_p": 0.5}
    assert "format" not in task
    kept = task["asked_by"]
    assert kept["reasoning"] == {"effort": "high", "summary": "auto"}
    assert (kept["prompt_cache_key"], kept["safety_identifier"]) == ("a", "b")


def test_our_own_options_count_most() -> None:
    own = {"planner": "direct", "options": {"max_tokens": 7}, "budget": {"tokens": 99}, "content": "answer"}
    task = asked(max_output_tokens=50, service_tier="flex", anabranch=own)
    assert (task["planner"], task["options"], task["budget"]) == ("direct", {"max_tokens": 7}, {"tokens": 99})
    assert task["priority"] == "batch"
    assert task["asked_by"]["content"] == "answer"


@pytest.mark.parametrize(
    ("given", "param"),
    [
        pytest.param(None, "input", id="nothing"),
        pytest.param([], "input", id="no items"),
        pytest.param("  ", "input", id="blank"),
        pytest.param(3, "input", id="a number"),
        pytest.param(["x"], "input[0]", id="no item"),
        pytest.param([{"role": "tool", "content": "x"}], "input[0].role", id="no role"),
        pytest.param([{"role": "user", "content": 3}], "input[0].content", id="no content"),
        pytest.param([{"role": "user", "content": "x", "colour": 1}], "input[0].colour", id="no member"),
        pytest.param([{"type": "item_reference", "id": "x"}], "input[0]", id="a reference"),
        pytest.param([{"id": "x"}], "input[0]", id="a short reference"),
        pytest.param([{"type": "web_search_call", "id": "x"}], "input[0]", id="a hosted tool"),
        pytest.param(
            [{"type": "function_call", "call_id": "a", "name": "f"}], "input[0].arguments", id="no arguments"
        ),
        pytest.param(
            [{"type": "function_call_output", "call_id": "a", "output": "x"}],
            "input[0].call_id",
            id="no call",
        ),
        pytest.param([{"role": "system", "content": "x"}], "input", id="nobody asks"),
        pytest.param(
            [{"role": "user", "content": "x"}, {"role": "assistant", "content": "y"}],
            "input[1]",
            id="an assistant last",
        ),
        pytest.param(
            [{"role": "user", "content": [{"type": "input_file", "file_id": "x"}]}],
            "input[0].content[0]",
            id="a file",
        ),
    ],
)
def test_an_input_that_cannot_be_read_says_where(given: Any, param: str) -> None:
    with pytest.raises(UnsupportedParameter) as wrong:
        asked(input=given)
    assert (wrong.value.param or "").startswith(param)


@pytest.mark.parametrize(
    ("parameters", "param"),
    [
        pytest.param({"temperature": 3}, "temperature", id="too hot"),
        pytest.param({"temperature": "1"}, "temperature", id="a text"),
        pytest.param({"max_output_tokens": 0}, "max_output_tokens", id="no tokens"),
        pytest.param({"stream": 1}, "stream", id="no flag"),
        pytest.param({"text": {"format": {"type": "json_schema"}}}, "text.format.schema", id="no schema"),
        pytest.param({"text": {"verbosity": "low"}}, "text.verbosity", id="brevity"),
        pytest.param({"reasoning": {"effort": "huge"}}, "reasoning.effort", id="no effort"),
        pytest.param({"background": True, "store": False}, "background", id="nowhere to be found"),
        pytest.param({"anabranch": {"planer": "vote"}}, "anabranch.planer", id="mistyped"),
    ],
)
def test_a_parameter_that_is_wrong_is_named(parameters: dict[str, Any], param: str) -> None:
    with pytest.raises(InvalidParameter) as wrong:
        asked(**parameters)
    assert wrong.value.param == param


async def test_mistakes_in_the_task_are_those_of_the_parameters(api: Api) -> None:
    for parameters, param in (
        ({"metadata": {"x" * 65: "y"}}, "metadata"),
        ({"anabranch": {"options": {"m": 3}}}, "anabranch.options"),
        (
            {"text": {"format": {"type": "json_schema", "name": "x", "schema": {"a": "b" * 70_000}}}},
            "text.format",
        ),
    ):
        body = {"model": "anabranch/vote", "input": "x", **parameters}
        reply = await api.call("POST", "/v1/responses", json=body)
        assert reply.status == 400, reply.body
        assert reply.body["error"]["param"] == param, reply.body


def test_the_turns_of_an_input() -> None:
    call = {
        "type": "function_call",
        "id": "fc_1",
        "call_id": "a",
        "name": "f",
        "arguments": "{}",
        "status": None,
    }
    turns = turns_of(
        [
            {"type": "message", "role": "developer", "content": "Be brief."},
            {
                "role": "user",
                "content": [{"type": "input_text", "text": "one"}, {"type": "input_text", "text": "two"}],
            },
            {"type": "reasoning", "id": "rs_1", "summary": [{"type": "summary_text", "text": "hm"}]},
            call,
            {"type": "function_call_output", "call_id": "a", "output": [{"type": "input_text", "text": "3"}]},
            {
                "role": "assistant",
                "content": [{"type": "output_text", "text": "yes", "annotations": []}],
                "phase": "x",
            },
        ]
    )
    assert [(turn.role, turn.text) for turn in turns] == [
        ("system", "Be brief."),
        ("user", "one\ntwo"),
        ("assistant", ""),
        ("tool", "3"),
        ("assistant", "yes"),
    ]
    assert [each.name for each in turns[2].calls + turns[3].calls] == ["f", "f"]
    assert turns_of("x") == (Turn("user", "x", "input"),)


async def test_pages_of_items_have_each_item_once() -> None:
    history = [{"role": "system", "content": "instructions"}]
    history += [{"role": role, "content": f"{role} {n}"} for n in range(12) for role in ("user", "assistant")]
    async with MemoryStore() as store:
        task = await store.submit(NewTask(question={"query": "last", "history": history}, planner="vote"))
    texts: dict[str, list[str]] = {"asc": [], "desc": []}
    for order, found in texts.items():
        after = None
        while True:
            query = ItemsQuery.model_validate({"order": order, "limit": 7, "after": after})
            page = page_of(task, instructed=True, query=query)
            found += [item["content"][0]["text"] for item in page.data]
            assert (page.first_id, page.last_id) == (page.data[0]["id"], page.data[-1]["id"])
            after = page.last_id
            if not page.has_more:
                break
    assert texts["asc"] == texts["desc"][::-1]
    assert texts["asc"] == [*(turn["content"] for turn in history[1:]), "last"]
    with pytest.raises(InvalidParameter) as wrong:
        page_of(task, instructed=True, query=ItemsQuery(after="nothing"))
    assert wrong.value.param == "after"

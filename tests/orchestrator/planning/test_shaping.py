"""Answers in JSON: of any kind, or as a schema has it."""

from __future__ import annotations

import json
import time
from collections.abc import AsyncIterator, Callable, Mapping
from random import Random
from typing import Any

import pytest
from jsonschema.validators import validator_for

from orchestrator.errors import InvalidRequest, TaskFailed
from orchestrator.planning.finding import installed_planners
from orchestrator.planning.shaping import AS_OBJECT, AS_SCHEMA, DECIDED, REPAIR, ended, json_in
from orchestrator.runtime.values import Answer
from orchestrator.tasks.requests import TaskRequest, parse
from orchestrator.tasks.service import Service
from storage.events import EventType
from storage.opening import open_store
from storage.store import Store
from tests.planners.test_prompts import Talker, shown
from workers.calls import Call
from workers.engine import Capabilities
from workers.engines.simulator.engine import Simulator

PERSON = {
    "type": "object",
    "properties": {"name": {"type": "string"}, "age": {"type": "integer"}},
    "required": ["name", "age"],
    "additionalProperties": False,
}
OBJECT = {"type": "json_object"}
AS_PERSON = {"type": "json_schema", "schema": PERSON}
ADA = '{"name": "Ada", "age": 36}'
GUIDED = Capabilities(model="simulator", guided_json=True, assistant_prefill=True)


@pytest.fixture
async def store() -> AsyncIterator[Store]:
    async with await open_store("memory") as opened:
        yield opened


def saying(**replies: str) -> Callable[[Call, Random], str]:
    """An engine that says ``first`` to what asks in JSON, ``again`` to what is sent back, else ``plain``."""

    def say(call: Call, rng: Random) -> str:
        told = call.prompt.segments[-1].text
        kind = "again" if "cannot be used" in told else "first" if "Reply with" in told else "plain"
        return replies.get(kind, "so \\boxed{36}")

    return say


async def solved(store: Store, say: Any, planner: str, form: Mapping[str, Any], **more: Any) -> Any:
    """The solution of a question whose run is repeated without an engine before it is judged."""
    claims = more.pop("claims", Capabilities(model="simulator"))
    service = Service(store, Simulator(say, claims=claims))
    request = {"query": "How old was Ada?", "planner": planner, "format": form, **more}
    solution = await service.solve(parse(request))
    replayed = await service.replay(solution.trace_id)
    assert replayed.result.answer is not None
    assert replayed.result.answer.text == solution.text
    return solution


async def labels_of(store: Store, trace_id: str) -> list[str]:
    events = [event async for event in store.read(trace_id)]
    return [event.data["label"] for event in events if event.type is EventType.NODE_ADDED]


async def test_direct_asks_for_json_at_once(store: Store) -> None:
    solution = await solved(store, saying(first=ADA), "direct", AS_PERSON)
    assert solution.text == solution.answer == ADA
    assert await labels_of(store, solution.trace_id) == ["answer", "schema"]


async def test_the_engine_holds_to_the_schema_where_it_can(store: Store) -> None:
    schemas = []

    def say(call: Call, rng: Random) -> str:
        schemas.append(call.schema)
        return ADA

    await solved(store, say, "direct", AS_PERSON, claims=GUIDED)
    await solved(store, say, "direct", OBJECT, claims=GUIDED)
    await solved(store, say, "direct", AS_PERSON)
    assert schemas == [PERSON, {"type": "object"}, None]


async def test_a_vote_is_written_down_by_one_more_call(store: Store) -> None:
    solution = await solved(store, saying(first=ADA), "vote", AS_PERSON, options={"n": 3})
    assert (solution.text, solution.answer) == (ADA, "36")
    assert solution.reasoning.endswith("36}")
    assert (await labels_of(store, solution.trace_id)).count("format") == 1


async def test_what_has_the_form_already_is_not_written_again(store: Store) -> None:
    form = {"type": "json_schema", "schema": {"type": "integer"}}
    solution = await solved(store, "36", "vote", form)
    assert solution.text == "36"
    assert "format" not in await labels_of(store, solution.trace_id)


async def test_what_is_wrong_is_sent_back_once_with_the_reason(store: Store) -> None:
    asked: list[str] = []

    def say(call: Call, rng: Random) -> str:
        asked.append(call.prompt.segments[-1].text)
        return saying(first='{"name": "Ada", "age": "old"}', again=ADA)(call, rng)

    solution = await solved(store, say, "vote", AS_PERSON, options={"n": 1})
    assert solution.text == ADA
    assert "$.age: 'old' is not of type 'integer'" in asked[-1]


@pytest.mark.parametrize(
    ("form", "said", "why"),
    [
        (AS_PERSON, '{"name": "Ada"}', "'age' is a required property"),
        (AS_PERSON, "she was 36", "it is not JSON"),
        (OBJECT, "[36]", "it is not a JSON object"),
        (OBJECT, '{"age": NaN}', "it is not JSON"),
    ],
)
@pytest.mark.parametrize("planner", ["direct", "vote"])
async def test_what_is_never_right_is_a_failure_that_says_so(
    store: Store, planner: str, form: Mapping[str, Any], said: str, why: str
) -> None:
    with pytest.raises(TaskFailed, match="in the form that was asked for") as failed:
        await solved(store, saying(first=said, again=said), planner, form)
    assert failed.value.code == "format_failed"
    assert why in str(failed.value)


async def test_json_that_is_cut_off_says_what_allows_more(store: Store) -> None:
    long = json.dumps({"name": "Ada " * 100, "age": 36})
    with pytest.raises(TaskFailed, match=r"cut off after 20 tokens; sampling\.max_tokens allows more"):
        await solved(store, saying(first=long, again=long), "vote", AS_PERSON, sampling={"max_tokens": 20})


async def test_an_engine_that_refuses_the_schema_is_asked_without_it(store: Store) -> None:
    class Picky(Simulator):
        async def generate(self, call: Call) -> AsyncIterator[Any]:  # type: ignore[override]
            if call.schema is not None:
                raise RuntimeError("no such schema")
            async for chunk in super().generate(call):
                yield chunk

    service = Service(store, Picky(ADA, claims=GUIDED))
    solution = await service.solve(TaskRequest(query="Who?", planner="direct", format=AS_PERSON))
    assert solution.text == ADA


TWICE = {"allOf": [{"properties": {"a": {"$ref": "#/$defs/t"}}}] * 2}
ENDLESS = [
    pytest.param({"type": "string", "pattern": "^(a+)+$"}, f'"{"a" * 60}b"', id="pattern"),
    pytest.param(
        {"$defs": {"t": TWICE}, "$ref": "#/$defs/t"},
        '{"a":' * 40 + "{}" + "}" * 40,
        id="references",
        marks=pytest.mark.slow,
    ),
]


@pytest.mark.parametrize(("schema", "said"), ENDLESS)
async def test_a_schema_that_never_ends_is_given_up(
    store: Store, schema: Mapping[str, Any], said: str
) -> None:
    with pytest.raises(TaskFailed, match="could not be held to the schema") as failed:
        await solved(store, said, "direct", {"type": "json_schema", "schema": schema})
    assert failed.value.code == "format_failed"
    assert (await solved(store, ADA, "direct", AS_PERSON)).text == ADA  # there is a process again


async def test_a_bound_that_ends_the_run_first_leaves_no_answer_without_the_form(store: Store) -> None:
    with pytest.raises(TaskFailed, match="before its answer was written as JSON"):
        await solved(store, saying(first=ADA), "vote", AS_PERSON, options={"n": 3}, budget={"calls": 3})


@pytest.mark.parametrize("name", installed_planners())
async def test_every_planner_answers_in_json(store: Store, name: str) -> None:
    talker = Talker()

    def say(call: Call, rng: Random) -> str:
        if any(mark in call.prompt.segments[-1].text for mark in ("JSON that satisfies", "the right JSON")):
            return ADA
        return talker(call, rng)

    claims = Capabilities(model="simulator", guided_json=True, assistant_prefill=True, logprobs=True)
    solution = await solved(store, say, name, AS_PERSON, claims=claims, context="ada was old. " * 9)
    assert json.loads(solution.text) == {"name": "Ada", "age": 36}


async def test_the_deepest_schema_that_is_taken_is_kept_whole(store: Store) -> None:
    schema: dict[str, Any] = {"type": "object"}
    for _ in range(23):
        schema = {"properties": {"a": schema}}
    text = '{"a":' * 23 + "7" + "}" * 23
    form = {"type": "json_schema", "schema": schema}
    with pytest.raises(TaskFailed, match="7 is not of type 'object'"):
        await solved(store, text, "direct", form)
    assert (await solved(store, text.replace("7", "{}"), "direct", form)).text == text.replace("7", "{}")
    with pytest.raises(InvalidRequest, match="nested more than 48 deep"):
        parse({"query": "?", "format": {**form, "schema": {"properties": {"a": schema}}}})


MIXED = [each for i in range(2_500) for each in ([i], [str(i)])]
OLD = "http://json-schema.org/draft-04/schema#"
WIDE = {"type": "object", "properties": {f"p{i}": {"type": "string", "title": "x" * 20} for i in range(900)}}


@pytest.mark.parametrize(
    "schema",
    [
        WIDE,
        {"anyOf": [{} for _ in range(14_000)]},
        {"$schema": OLD, "enum": MIXED},
        {"pattern": "(?i)" + "[!-\uffff]" * 8_000},
    ],
    ids=["wide", "many", "mixed", "pattern"],
)
def test_no_schema_keeps_everybody_waiting(schema: dict[str, Any]) -> None:
    began = time.process_time()
    parse({"query": "?", "format": {"type": "json_schema", "schema": schema}})
    assert time.process_time() - began < 0.5


@pytest.mark.parametrize(
    "schema",
    [
        {"$schema": OLD, "items": [{}, {}], "minimum": 1, "exclusiveMinimum": True, "additionalItems": False},
        {"items": True, "type": ["string", "null"], "dependencies": {"a": ["b"], "b": {}}, "minItems": 1.0},
        {"properties": {"properties": {"type": "string"}, "required": {"enum": [1]}, "$ref": False}},
        {"anyOf": [{"$ref": "#/$defs/a"}, {"const": {"type": 3}}], "$defs": {"a": {"exclusiveMinimum": 0}}},
    ],
)
def test_schemas_of_several_drafts_are_taken(schema: dict[str, Any]) -> None:
    parse({"query": "?", "format": {"type": "json_schema", "schema": schema}})
    validator_for(schema).check_schema(schema)


def test_a_reply_of_newlines_keeps_nobody_waiting() -> None:
    began = time.process_time()
    for text in ("```" + "\n" * 20_000, "```json\n{" + "\n" * 20_000 + "x", "```\n" * 5_000):
        assert json_in(text) == text.strip()
    assert time.process_time() - began < 0.5


@pytest.mark.parametrize("told", [AS_OBJECT, AS_SCHEMA, DECIDED, REPAIR])
def test_no_prompt_shows_what_could_be_given_back_as_an_answer(told: str) -> None:
    assert shown(told.format(reason="so")) == []


@pytest.mark.parametrize(
    ("schema", "why"),
    [
        ({"type": "nonsense"}, "is no JSON schema"),
        ({"$ref": "http://127.0.0.1/x"}, "a reference must begin with"),
        ({"properties": {"a": {"$ref": "other.json#/a"}}}, "a reference must begin with"),
        ({"properties": 3}, "is no JSON schema"),
        ({"$schema": 3}, "is no JSON schema"),
        ({"$schema": "http://json-schema.org/draft-03/schema#"}, "draft 3 is not supported"),
        ({"anyOf": []}, r"\$.anyOf: \[\] is not a list of schemas"),
        ({"properties": {"a": {"required": ["x", 1]}}}, r"\$.properties.a.required"),
        ({"required": ["x", "x"]}, "is not a list of different texts"),
        ({"minLength": -1}, "whole number"),
        ({"multipleOf": 0}, "a number above 0"),
        ({"items": [{}]}, "is not a schema"),
        ({"x": "x" * 70_000}, "at most 65536"),
    ],
)
def test_a_schema_that_cannot_be_used_is_refused_at_the_door(schema: Any, why: str) -> None:
    with pytest.raises(InvalidRequest, match=why):
        parse({"query": "?", "format": {"type": "json_schema", "schema": schema}})


@pytest.mark.parametrize(
    ("said", "found"),
    [
        ('{"a": 1}', '{"a": 1}'),
        (" [1]\n", "[1]"),
        ('Here:\n```json\n{"a": 1}\n```\nDone.', '{"a": 1}'),
        ('It is {"a": {"b": 2}}.', '{"a": {"b": 2}}'),
        ('<think>{}</think>{"a": 1}', '{"a": 1}'),
        ("no {json} here", "no {json} here"),
        ("", ""),
    ],
)
def test_json_is_found_in_what_a_model_says(said: str, found: str) -> None:
    assert json_in(said) == found


@pytest.mark.parametrize(
    ("text", "stop", "left"),
    [
        ("one, two, three", (", three", ", t"), "one"),
        ("one", ("x",), "one"),
        ("one", ("one",), ""),
        ("so\n\none", ("\n\n",), "so"),
        ("one", (), "one"),
    ],
)
def test_an_answer_ends_before_the_first_text_that_stops_it(
    text: str, stop: tuple[str, ...], left: str
) -> None:
    assert ended(Answer(text, "one"), stop) == Answer(left, "one" if "one" in left else None)


async def test_a_stop_is_kept_and_repeated(store: Store) -> None:
    service = Service(store, Simulator("It is so.\nAnswer: red, or blue"))
    request = TaskRequest(query="Which?", planner="direct", stop=(", or", "\nAnswer"))
    solution = await service.solve(request)
    assert (solution.text, solution.answer) == ("It is so.", "It is so.")
    replayed = await service.replay(solution.trace_id)
    assert replayed.result.answer is not None
    assert replayed.result.answer.text == "It is so."

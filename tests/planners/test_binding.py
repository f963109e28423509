"""What the references of a step stand for: values, fields, and what is taken out of prose."""

from __future__ import annotations

from random import Random
from typing import Any

import pytest

from orchestrator.runtime.nodes import NodeKind
from planners.binding import copied
from tests.planners.conftest import BARE, GUIDED
from tests.planners.people import add
from tests.planners.test_llm_compiler import as_json, compile_, model, say
from workers.calls import Call
from workers.engines.simulator.engine import Fault, Simulator
from workers.tools.declaration import tool

PERSON = {"name": "Ann", "ages": [30, 31], "note": "it's"}


@tool
async def person(name: str) -> dict[str, Any]:
    """A person."""
    return PERSON | {"name": name}


@pytest.mark.parametrize("guided", [False, True])
async def test_fields_of_results_are_bound(guided: bool) -> None:
    text = (
        '1. person("Ann")\n2. add($1.ages[0], ${1.ages[1]})\n'
        '3. say("$1.name is $1.ages[0], not $20.5")\n4. join()\n'
    )
    listed = as_json(
        ["person", "Ann"], ["add", "$1.ages[0]", "${1.ages[1]}"], ["say", "$1.name is $1.ages[0], not $20.5"]
    )
    engine = Simulator(model(listed if guided else text), claims=GUIDED if guided else BARE)
    played = await compile_(engine=engine, tools=[person, add, say])
    _, added, told = played.requests(kind=NodeKind.TOOL)
    assert added["arguments"] == {"first": 30, "second": 31}
    assert told["arguments"] == {"text": "Ann is 30, not $20.5"}


async def test_named_results_have_fields_too() -> None:
    plan = 'ann = person("Ann")\nadd(ann.ages[0], ann.ages[1])\nsay(f"{ann.name}")\njoin()\n'
    played = await compile_(plan, tools=[person, add, say])
    _, added, told = played.requests(kind=NodeKind.TOOL)
    assert added["arguments"] == {"first": 30, "second": 31}
    assert told["arguments"] == {"text": "Ann"}


async def test_a_field_that_is_not_there_is_a_failure_for_the_joiner() -> None:
    played = await compile_('1. person("Ann")\n2. say($1.height)\n3. join()\n', tools=[person, say])
    assert (
        "2. say($1.height) failed: $1 has no 'height'; it has the fields name, ages, note"
        in played.said("join")[0]
    )


PROSE = "Ann, born in 1990, is 30 years old, weighs 75 kg and lives in a house with 12 rooms. " * 6


@tool
async def look(name: str) -> str:
    """Prose about a person."""
    return PROSE


@pytest.mark.parametrize(
    ("call", "kind", "arguments"),
    [
        ("say($1.age)", "say", {"text": "Plainly 75."}),
        ('say("the age $1")', "say", {"text": "the age Plainly 75."}),
        ('calculate("$1 + 1")', "calculate", {"expression": "75 + 1"}),
        ("say($1)", "say", {"text": PROSE}),
    ],
)
async def test_what_a_step_needs_of_prose_is_taken_out_of_it(
    call: str, kind: str, arguments: dict[str, str]
) -> None:
    played = await compile_(f'1. look("Ann")\n2. {call}\n3. join()\n', tools=[look, say])
    (request,) = (r for r in played.requests(kind=NodeKind.TOOL) if r["tool"] == kind)
    assert request["arguments"] == arguments
    extracts = played.said("extract")
    assert len(extracts) == (call != "say($1)")
    assert all(PROSE.strip() in text and f"<plan>\n{call}" in text for text in extracts)


async def test_where_nothing_can_be_taken_out_the_step_fails() -> None:
    def answer(call: Call, rng: Random) -> str:
        told = "".join(message["content"] for message in call.prompt.messages())
        return "" if "<plan>" in told else script(call, rng)

    script = model('1. look("Ann")\n2. say($1.age)\n3. join()\n')
    played = await compile_(engine=Simulator(answer, claims=BARE), tools=[look, say])
    assert "2. say($1.age) failed: the result does not say the age (unbound)" in played.said("join")[0]


@pytest.mark.parametrize("fails", [False, True])
async def test_of_a_long_result_the_joiner_reads_what_is_taken_out_of_it(fails: bool) -> None:
    @tool
    async def book() -> str:
        """Long."""
        return "\n".join([*["x" * 500] * 60, "Bob and Ann are 75.", *["y" * 500] * 60])

    faults = [Fault(kind="reset", calls={1})] if fails else []
    engine = Simulator(model("1. book()\n2. say($1)\n3. join()"), claims=BARE, faults=faults)
    played = await compile_(engine=engine, tools=[book, say])
    extract = played.said("extract")[0]
    assert "Bob and Ann are 75." in extract
    assert len(extract) < 16_000
    read = played.said("join")[0]
    assert len(read) < 12_000
    assert "(taken from 60139 characters)" in read
    assert ("1. book() = Plainly 75." in read) is not fails
    assert len(played.requests(kind=NodeKind.TOOL)[1]["arguments"]["text"]) > 60_000
    assert played.answer.text == "75"


@pytest.mark.parametrize(
    ("found", "text"),
    [
        ("300 people", "In 2020 300 people lived there."),
        ("300", "a 12 300 400"),
        ("1300", "It has 1,300 lamps and 2 ropes."),
        ("1,300", "It has 1300 lamps and 2 ropes."),
        ("3500000", "It had 3.5 million in 2020."),
        ("7.5", "2 of them cost 7.50 together."),
        ("14 July", "On July 14, 1789"),
        ("Ann", "Ann is 12."),
        ("2", "the two of them"),
    ],
)
def test_a_number_that_a_text_has_is_copied_however_it_is_written(found: str, text: str) -> None:
    assert copied(found, text)


@pytest.mark.parametrize("found", ["30", "2300", "130", "12.5"])
def test_a_number_that_a_text_does_not_have_is_made_up(found: str) -> None:
    assert not copied(found, "In 2020 1300 people lived in 12 houses.")

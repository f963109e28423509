from __future__ import annotations

import pytest

from orchestrator.runtime.values import Question
from planners.asking import Asked, asking
from planners.invented import NAMES, NUMBERS
from planners.offers import Offer, begin_tool, computing, merged, offered, parameters_of
from planners.plan_examples import SHAPES, built_in, calls_in, of_example
from planners.plan_writing import plan_text
from planners.plans import Step
from workers.tools.declaration import tool


@tool
def search(query: str) -> str:
    """Searches."""
    return query


@tool
def stock(store: str) -> int:
    """What a store has."""
    return len(store)


@tool
def add(first: int, second: int) -> int:
    """The sum."""
    return first + second


ASK = asking(Asked(1, 0.0, 99))
COMPUTING = list(computing(Question("How many are there?")).values())


def shown(question: str, *offers: Offer) -> list[str]:
    """The plans of the built-in examples."""
    every = merged(offers, [ASK], COMPUTING)
    return [plan_text(steps, parameters_of(every)) for _, steps in built_in(Question(question), every)]


@pytest.mark.parametrize(
    ("question", "plans"),
    [
        (
            "Which has the most books, A or B?",
            [
                '1. ask("How many wells has Ollo?")\n2. ask("How many wells has Vurm?")\n'
                '3. ask("How many wells has Quembly?")\n4. argmax({"Ollo": $1, "Vurm": $2, "Quembly": $3})\n'
                "5. join()"
            ],
        ),
        (
            "How much is it together?",
            [
                '1. ask("How many wells has Ollo?")\n2. ask("How many wells has Vurm?")\n'
                '3. calculate("$1 - $2")\n4. join()'
            ],
        ),
        (
            "What is the seat of the owner of A called?",
            ['1. ask("Who keeps the wells of Vurm?")\n2. ask("How old is $1?")\n3. join()'],
        ),
    ],
)
def test_examples_have_the_shape_of_the_question(question: str, plans: list[str]) -> None:
    assert shown(question) == plans


@pytest.mark.parametrize("question", ["Hm?", "Who is older, the father of A or the father of B?", "Wie alt?"])
def test_there_are_a_few_examples_for_any_question(question: str) -> None:
    assert 1 <= len(shown(question)) <= 3


def test_what_is_looked_up_is_looked_up_as_the_tools_take_it() -> None:
    assert shown("Which is largest?", offered(search, begin_tool))[0].startswith(
        '1. search("wells of Ollo")\n'
    )
    assert shown("Which is largest?", offered(stock, begin_tool))[0].startswith('1. stock("Ollo")\n')
    assert shown("Which is largest?", offered(add, begin_tool))[0].startswith("1. ask(")
    chained = shown("How old is the mother of the wife of A?", offered(stock, begin_tool))
    assert all("age" not in plan and "old" not in plan for plan in chained)


def test_every_shape_is_a_plan() -> None:
    for shape in SHAPES:
        assert shape.suits(shape.question), shape.question
        assert any(each in shape.question for each in (*NAMES, *NUMBERS))


def test_calls_that_a_tool_shows_are_read() -> None:
    assert calls_in(['search("x")', "no call", "fly(1)"], {"search": ["query"]}) == [
        Step(1, "search", {"query": "x"})
    ]


def test_a_step_about_an_example_is_not_meant_unless_the_question_speaks_of_it() -> None:
    step = Step(1, "search", {"query": "wells of Vurm"})
    assert "step 1 is about Vurm" in of_example(Question("How old is Ann?"), step)
    assert of_example(Question("How deep is Vurm?"), step) == ""
    assert of_example(Question("How old is Ann?", context="Vurm is a town."), step) == ""
    assert of_example(Question("How old is Ann?"), Step(1, "search", {"query": "Vurmhold"})) == ""


@pytest.mark.parametrize("expression", ["6173 * 7319 + 5083", "7,319 + 2", "> 7319"])
def test_numbers_of_an_example_are_those_of_no_question(expression: str) -> None:
    step = Step(2, "calculate", {"expression": expression})
    assert "step 2 is about " in of_example(Question("What is 12 * 3?"), step)
    asked = Question("What of 6,173, 7319 and 5083?")
    assert of_example(asked, step) == ""

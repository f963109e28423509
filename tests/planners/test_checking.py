from __future__ import annotations

from typing import Any

import pytest

from orchestrator.runtime.values import Question
from planners.checking import checking, reading_program


async def read(question: Question, text: str) -> Any:
    return await reading_program(question).invoke({"text": text, "claim": ""})


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("```python\na = 3\nanswer = a * 4\n```", {"claim": "12"}),
        ("```\na = 3\nanswer = a * 4", {"claim": "12"}),
        ("a = 3\nanswer = a * 4", {"claim": "12"}),
        (
            "First this:\n```python\na = 3\n```\nthen\n```python\nanswer = 3 * 4\n```\nThat is it.",
            {"claim": "12"},
        ),
        ("answer = '4/7 is larger' if 4/7 > 5/9 else '5/9 is larger'", {"claim": "4/7"}),
        ("answer = date(2024, 1, 31) + 1", {"claim": "1 February"}),
        ("answer = '' if 1 < 2 else 'x'", {"nothing": "the program comes to an empty text"}),
        ("answer = 12", {"nothing": "the program computes nothing"}),
        ("Let us see.", {"nothing": "line 1: invalid syntax"}),
    ],
)
async def test_a_program_is_read_wherever_it_stands(text: str, said: dict[str, str]) -> None:
    found = await read(Question("How many are 3 and 4?"), text)
    assert found == said


@pytest.mark.parametrize(
    ("value", "said"),
    [
        ("4 * 500", {"claim": "B"}),
        ("4 / 2", {"claim": "C"}),
        ("4 * 3", {"nothing": "the program comes to 12, which is none of the choices"}),
        ("1 * 1", {"nothing": "the program comes to 1, which is several of the choices"}),
    ],
)
async def test_the_value_of_a_program_chooses(value: str, said: dict[str, str]) -> None:
    question = Question("How much?", choices=("1", "2,000 g", "two", "1.0"))
    assert await read(question, f"answer = {value}") == said


async def test_a_wrong_equation_takes_the_claim_away() -> None:
    assert await checking.invoke({"text": "2 + 2 = 4", "claim": "4"}) == {"claim": "4"}
    assert await checking.invoke({"text": "2 + 2 = 5", "claim": "5"}) == {
        "nothing": "2 + 2 = 5 is wrong: it is 4"
    }
    assert await checking.invoke({"text": "2 + 2 = 4", "claim": ""}) == {"nothing": ""}
    assert await checking.invoke({"text": "9:45 + 80 minutes = 11:05", "claim": "11:05"}) == {
        "claim": "11:05"
    }
    assert await checking.invoke({"text": "9:45 + 80 minutes = 10:25", "claim": "10:25"}) == {
        "nothing": "9:45 + 80 minutes = 10:25 is wrong: it is 11:05"
    }

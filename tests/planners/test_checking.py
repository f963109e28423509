from __future__ import annotations

from typing import Any

import pytest

from orchestrator.runtime.values import Question
from planners.checking import reading_program, reading_words


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


@pytest.mark.parametrize(
    ("value", "said"),
    [
        ("51 % 3 == 0", {"claim": "Yes"}),
        ("'No' if 51 % 3 else 'yes'", {"claim": "Yes"}),
        (
            "'It is' if 51 % 3 == 0 else 'no'",
            {"nothing": "yes or no is asked for, and the program comes to It is"},
        ),
        ("51 / 3", {"nothing": "yes or no is asked for, and the program comes to 17"}),
    ],
)
async def test_a_program_says_yes_or_no_by_a_truth_value_or_in_words(
    value: str, said: dict[str, str]
) -> None:
    assert await read(Question("Can 51 be divided by 3?"), f"answer = {value}") == said


async def check(question: str, text: str, claim: str) -> Any:
    return await reading_words(Question(question)).invoke({"text": text, "claim": claim})


async def test_a_wrong_equation_takes_the_claim_away() -> None:
    assert await check("How much?", "2 + 2 = 4", "4") == {"claim": "4"}
    assert await check("How much?", "2 + 2 = 5", "5") == {
        "nothing": "2 + 2 = 5 is wrong: it is 4",
        "corrected": "2 + 2 = 4",
    }
    assert await check("More?", "5 is more than 6.", "5") == {"nothing": "5 is more than 6 is wrong"}
    assert await check("How much?", "2 + 2 = 4", "") == {"nothing": ""}
    text = "We check 17*24 = 418. 17 * 24 = 408, so no."
    assert await check("Is 17 * 24 = 418?", text, "no") == {"claim": "no"}
    assert await check("When?", "9:45 + 80 minutes = 11:05", "11:05") == {"claim": "11:05"}
    assert await check("When?", "So 9:45 + 80 minutes = 10:25.", "10:25") == {
        "nothing": "9:45 + 80 minutes = 10:25 is wrong: it is 11:05",
        "corrected": "So 9:45 + 80 minutes = 11:05",
    }


async def test_a_text_must_have_all_parts_where_they_are_asked_for() -> None:
    assert await check("How far is it, and how long does it take?", "5 km", "5 km") == {
        "nothing": "it answers one part of what is asked"
    }


@pytest.mark.parametrize(
    ("question", "said"),
    [
        ("The 3rd is a Saturday. Which weekday is the 20th?", "nothing"),
        ("Which weekday is 20 January 2023?", "claim"),
        ("What day of the week was 20.01.23?", "claim"),
        ("Today is Friday. What weekday is it in 1000 days?", "nothing"),
        ("A trip for 2000 € begins on the 3rd, a Saturday. Which weekday is the 20th?", "nothing"),
    ],
)
async def test_the_weekday_of_a_day_in_an_invented_year_is_nothing(question: str, said: str) -> None:
    code = "day = date(2023, 1, 3) + timedelta(days=17)\nanswer = day.strftime('%A')"
    assert [*await read(Question(question), code)] == [said]
    code = "answer = weekday('Saturday', 20 - 3)"
    assert await read(Question("The 3rd is a Saturday. Which weekday is the 20th?"), code) == {
        "claim": "Tuesday"
    }

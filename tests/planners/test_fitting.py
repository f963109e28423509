"""Which tool fits a question, by words alone: real tools against real questions."""

from __future__ import annotations

from typing import Any, cast

import pytest

from orchestrator.planning.run import Run
from orchestrator.runtime.values import Question
from planners.fitting import fitting_tool, lacks_tools, tools_at_hand
from workers.tools.declaration import tool
from workers.tools.tool import Tool


@tool
async def population(city: str) -> int:
    """How many people live in a city."""
    return 0


@tool
async def weather(city: str, day: str) -> str:
    """The weather forecast of a city: temperature in degrees Celsius, rain and wind."""
    return ""


@tool(name="getStockPrice")
async def stock(ticker: str) -> float:
    """Get the latest closing price of a share."""
    return 0.0


@tool
async def web_search(query: str) -> str:
    """Search the web and return the first results."""
    return ""


@tool
async def calculator(expression: str) -> float:
    """Evaluate an arithmetic expression."""
    return 0.0


class Means:
    """What a planner may see of a run."""

    def __init__(self, *tools: Any) -> None:
        self.tools = {each.name: each for each in tools}


ALL = cast(Run, Means(population, weather, stock, web_search, calculator))


@pytest.mark.parametrize(
    ("question", "why"),
    [
        ("How many more people live in Berlin than in Paris?", "the tool population fits it: people, live"),
        ("Compare Paris and Rome by population.", "it names the tool population"),
        ("What will the temperature and the wind be in Oslo?", "the tool weather fits it: temperature, wind"),
        ("Is it raining, and what are the temperatures?", "the tool weather fits it: raining, temperatures"),
        (
            "What were the closing prices of SAP and Siemens?",
            "the tool getStockPrice fits it: closing, prices",
        ),
        ("What do the stocks of SAP price in?", "the tool getStockPrice fits it: stocks, price"),
        ("Use the calculator: 2 + 2.", "it names the tool calculator"),
        ("What is the capital of Italy?", ""),
        ("Which is the first result of this function?", ""),
        ("How many results would a search return?", ""),
        ("Is Rome larger than Paris?", ""),
        ("Evaluate the arithmetic expression 2 + 3 * 4.", ""),
        ("", ""),
        ("Wie viele Menschen leben in Rom?", ""),
    ],
)
def test_a_tool_fits_by_its_words(question: str, why: str) -> None:
    assert fitting_tool(ALL, Question(question)) == why


def test_without_tools_none_fits() -> None:
    assert fitting_tool(cast(Run, Means()), Question("How many people live in Rome?")) == ""


@pytest.mark.parametrize(
    ("tools", "question", "why"),
    [
        ([population], "Why?", ""),
        ([calculator], "Use the calculator.", ""),
        ([calculator], "What is 2 + 2?", "there are no tools but for arithmetic"),
        ([], "What is 2 + 2?", "there are no tools"),
    ],
)
def test_what_is_lacking_is_said(tools: list[Tool], question: str, why: str) -> None:
    assert lacks_tools(cast(Run, Means(*tools)), Question(question)) == why


def test_the_calculator_is_no_reason_to_plan() -> None:
    assert tools_at_hand(cast(Run, Means(calculator, weather))) == [weather]

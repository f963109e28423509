"""Planners: declared, found, and given their options."""

from __future__ import annotations

from importlib.metadata import EntryPoint
from typing import Any, Literal

import pytest

from orchestrator.errors import InvalidRequest, PlannerError, UnknownPlanner
from orchestrator.planning import finding
from orchestrator.planning.finding import find_planner
from orchestrator.planning.planner import Planner, planner
from orchestrator.planning.run import Run
from orchestrator.runtime.values import Answer, Question
from tests.orchestrator.runtime.harness import play


@planner("echo")
async def echo(
    run: Run, question: Question, *, times: int = 1, style: Literal["plain", "loud"] = "plain"
) -> Answer:
    """Say it again.

    As often as asked.
    """
    text = " ".join([question.text] * times)
    return Answer(text.upper() if style == "loud" else text)


def asked(**options: Any) -> Any:
    return lambda run: echo(run, Question("hello"), **echo.arguments(echo.validate(options)))


async def test_options_reach_the_function() -> None:
    assert (await play(asked())).answer == "hello"
    assert (await play(asked(times="2", style="loud"))).answer == "HELLO HELLO"
    assert echo.summary == "Say it again."


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"time": 2}, r"options of planner echo: time: .*its options: times, style"),
        ({"times": "often"}, r"times: Input should be a valid integer"),
        ({"style": "quiet"}, r"style: Input should be 'plain' or 'loud'"),
    ],
)
def test_wrong_options_are_named(options: dict[str, Any], message: str) -> None:
    with pytest.raises(InvalidRequest, match=message):
        echo.validate(options)


async def test_a_planner_that_is_not_async_fails_with_its_name() -> None:
    def too_early(run: Run, question: Question) -> Any:
        return Answer("too early")

    sync = Planner("sync", too_early)

    failure = (await play(lambda run: sync(run, Question("hello")))).failure
    assert failure == "planner_error: planner sync is not an async function"


def test_unknown_planners_are_refused_with_those_that_there_are() -> None:
    with pytest.raises(UnknownPlanner, match=r"no planner is called 'vot'; did you mean vote.*direct"):
        find_planner("vot")


def test_installed_planners_are_found() -> None:
    assert find_planner("direct").name == "direct"


@pytest.mark.parametrize(
    ("value", "message"),
    [
        (
            "nowhere.to:be_found",
            "'broken' .nowhere.to:be_found. cannot be imported: ModuleNotFoundError: No module named",
        ),
        ("orchestrator.planning.planner:nothing", "cannot be imported: AttributeError: .*'nothing'"),
        ("orchestrator.planning.planner:planner", "is not a planner; declare it with @planner"),
    ],
)
def test_a_package_with_a_broken_planner_is_named(
    monkeypatch: pytest.MonkeyPatch, value: str, message: str
) -> None:
    monkeypatch.setitem(finding.INSTALLED, "broken", EntryPoint("broken", value, finding.GROUP))
    with pytest.raises(PlannerError, match=message):
        find_planner("broken")

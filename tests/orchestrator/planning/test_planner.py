"""Planners: declared, found, and given their options."""

from __future__ import annotations

import threading
from importlib.metadata import EntryPoint
from pathlib import Path
from typing import Annotated, Any, Literal

import pytest
from pydantic import AfterValidator

from orchestrator.errors import InvalidRequest, PlannerError, PlannerStuck, UnknownPlanner
from orchestrator.planning import finding
from orchestrator.planning.finding import described, find_planner
from orchestrator.planning.planner import Planner, planner
from orchestrator.planning.run import Run
from orchestrator.runtime.interruption import interrupt
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


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ("import sys; sys.exit(3)", "cannot be imported: SystemExit: 3"),
        ("class Panic(BaseException): pass\nraise Panic('oops')", "cannot be imported: Panic: oops"),
        ("raise KeyboardInterrupt", "cannot be imported: KeyboardInterrupt"),
        (
            "class Mute(Exception):\n  def __str__(self): 1 / 0\nraise Mute",
            "cannot be imported: Mute: .*cannot be read",
        ),
    ],
)
def test_a_package_that_ends_the_process_when_it_is_imported_does_not(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, source: str, message: str
) -> None:
    (tmp_path / "hostile_module.py").write_text(source)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setitem(
        finding.INSTALLED, "hostile", EntryPoint("hostile", "hostile_module:planner", finding.GROUP)
    )
    with pytest.raises(PlannerError, match=message):
        find_planner("hostile")
    assert "cannot be loaded" in described("hostile")["summary"]


class Panic(BaseException):
    pass


def panicking(value: int) -> int:
    raise Panic(f"not {value}")


def spinning(value: int) -> int:
    while True:
        pass


@planner("panicking")
async def checks_with_panic(
    run: Run, question: Question, *, size: Annotated[int, AfterValidator(panicking)] = 1
) -> Answer:
    return Answer("never")


@planner("spinning")
async def checks_for_ever(
    run: Run, question: Question, *, size: Annotated[int, AfterValidator(spinning)] = 1
) -> Answer:
    return Answer("never")


async def hinted(run: Run, question: Question, *, size: Nowhere = 1) -> Answer:  # type: ignore[name-defined] # noqa: F821
    return Answer("never")


@pytest.mark.parametrize("check", ["validate", "arguments", "filled"])
def test_options_that_cannot_be_checked_are_an_error_of_the_planner(check: str) -> None:
    given = {"size": 2}
    with pytest.raises(PlannerError, match="options of planner panicking cannot be checked: Panic: not 2"):
        getattr(checks_with_panic, check)(given)
    with pytest.raises(PlannerError, match="options of planner hinted cannot be checked: NameError"):
        getattr(Planner("hinted", hinted), check)(given)
    thread, over = threading.get_ident(), threading.Event()

    def insist() -> None:
        while not over.wait(0.05):
            interrupt(thread)

    other = threading.Thread(target=insist)
    other.start()
    with pytest.raises(PlannerStuck, match="options of planner spinning took too long"):
        getattr(checks_for_ever, check)(given)
    over.set()
    other.join()


def test_options_are_stored_as_json() -> None:
    @planner("odd")
    async def odd(run: Run, question: Question, *, size: float = 1.0, name: str = "") -> Answer:
        return Answer("never")

    assert odd.validate({"size": float("nan"), "name": "a\0"}) == {"size": "nan", "name": "a\0"}
    assert odd.filled({}) == {"size": 1.0, "name": ""}

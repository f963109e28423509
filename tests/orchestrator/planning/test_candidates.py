"""Which planners a run can choose from: asked once, and told to whoever repeats the run."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import pytest

from orchestrator.errors import PlannerError
from orchestrator.planning import candidates as module
from orchestrator.planning.candidates import Candidate, candidates, cannot_afford
from orchestrator.planning.planner import Planner, planner
from orchestrator.planning.run import Run
from orchestrator.planning.suits import Suits
from orchestrator.runtime.values import Answer, Budget, Question
from storage.events import EventType
from tests.orchestrator.runtime.harness import Played, environment, play, replay, resume
from workers.engines.simulator.engine import Simulator

QUESTION = Question("How many?")


def installed(monkeypatch: pytest.MonkeyPatch, suits: Mapping[str, Suits | Exception | None]) -> None:
    """Let exactly these planners be installed; an exception is what importing one raises."""

    async def method(run: Run, question: Question) -> Answer:
        return Answer("ok")

    def find(name: str) -> Planner:
        found = suits[name]
        if isinstance(found, Exception):
            raise found
        return planner(name, suits=found)(method)

    monkeypatch.setattr(module, "installed_planners", lambda: sorted(suits))
    monkeypatch.setattr(module, "find_planner", find)


def saying(said: object) -> Callable[[Run, Question], Any]:
    return lambda run, question: said


async def survey(
    *without: str, budget: Budget | None = None, question: Question = QUESTION
) -> tuple[dict[str, Candidate], Played]:
    """The candidates by name, in their order; and the run, which was repeated over its journal."""
    found: list[Candidate] = []

    async def body(run: Run) -> Answer:
        found[:] = await candidates(run, question, without)
        return Answer("asked")

    played = await play(body, budget=budget)
    return {each.name: each for each in found}, played


async def test_they_come_with_what_they_say_and_the_cheapest_first(monkeypatch: pytest.MonkeyPatch) -> None:
    installed(
        monkeypatch,
        {
            "dear": Suits("with much", cost=9, sign=saying("it is large")),
            "cheap": Suits("with little", cost=1, lacks=saying("there is no wind")),
            "silent": None,
        },
    )
    found, _ = await survey()
    assert found == {
        "cheap": Candidate("cheap", "with little", 1, lacks="there is no wind"),
        "dear": Candidate("dear", "with much", 9, sign="it is large"),
    }
    assert list(found) == ["cheap", "dear"]


def spread(_: Run, question: Question) -> str:
    raise KeyError(question.text)


def leave(*_: object) -> str:
    raise SystemExit(3)


@pytest.mark.parametrize(
    ("suits", "why"),
    [
        (
            PlannerError("planner 'odd' cannot be imported: no xyz"),
            "planner 'odd' cannot be imported: no xyz",
        ),
        (ImportError("no xyz"), "it broke when it was asked what it suits: ImportError: no xyz"),
        (Suits("with x", 1, sign=spread), "it broke when it was asked what it suits: KeyError: 'How many?'"),
        (Suits("with x", 1, sign=leave), "it broke when it was asked what it suits: SystemExit: 3"),
        (Suits("with x", 1, lacks=saying(7)), "what a planner suits must be said in a str, not a int"),
    ],
)
async def test_one_that_breaks_is_left_out_and_why_is_said(
    monkeypatch: pytest.MonkeyPatch, suits: Suits | Exception, why: str
) -> None:
    installed(monkeypatch, {"odd": suits, "even": Suits("with ease", 1)})
    found, _ = await survey()
    assert found["odd"].lacks == why
    assert found["even"].lacks == ""


async def test_one_that_hangs_is_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    over = threading.Event()
    monkeypatch.setattr(module, "SECONDS", 0.2)
    installed(
        monkeypatch,
        {"odd": Suits("with x", 1, sign=lambda *_: str(over.wait(60))), "some": Suits("with ease", 1)},
    )
    found, _ = await survey()
    over.set()
    assert found["odd"].lacks == "it did not say within 0 s what it suits"
    assert "some" in found


async def test_what_is_said_at_length_is_cut(monkeypatch: pytest.MonkeyPatch) -> None:
    installed(monkeypatch, {"long": Suits("with words", 1, sign=saying("x" * 10_000))})
    found, _ = await survey()
    assert len(found["long"].sign) == module.LONGEST


async def test_it_cannot_use_the_run(monkeypatch: pytest.MonkeyPatch) -> None:
    def spend(run: Run, question: Question) -> str:
        run.generate("more", label="more")
        return ""

    installed(monkeypatch, {"greedy": Suits("with calls", 1, sign=spend)})
    found, played = await survey()
    assert "used outside of its code" in found["greedy"].lacks
    assert [e.data["kind"] for e in played.events if e.type is EventType.NODE_ADDED] == ["tool"]


async def test_one_that_is_left_out_is_not_even_imported(monkeypatch: pytest.MonkeyPatch) -> None:
    installed(monkeypatch, {"some": Suits("with ease", 1), "other": ImportError("never")})
    found, _ = await survey("other")
    assert list(found) == ["some"]


async def test_leaving_out_what_is_not_there_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    installed(monkeypatch, {"vote": Suits("with ease", 1), "direct": None})
    _, played = await survey("vot")
    assert played.failure == (
        "invalid_request: without: no planner is called 'vot'; did you mean vote? Installed: direct, vote"
    )


async def test_one_yields_to_what_can_be_used(monkeypatch: pytest.MonkeyPatch) -> None:
    suits = {
        "good": Suits("with a", 1, yields_to=("better", "best")),
        "better": Suits("with b", 2, yields_to=("best",)),
        "best": Suits("with c", 3, lacks=saying("there is no wind")),
    }
    installed(monkeypatch, suits)
    found, _ = await survey()
    assert found["good"].lacks == "better does the same better"
    assert found["better"].lacks == ""
    found, _ = await survey("better")
    assert found["good"].lacks == ""


@pytest.mark.parametrize(
    ("budget", "why"),
    [
        (Budget(calls=3), ""),
        (Budget(calls=2), "it takes at least 3 calls, and 2 are left"),
        (Budget(tokens=10_000), ""),
        (Budget(tokens=800), "it takes at least 852 tokens or so, and 800 are left"),
    ],
)
async def test_one_that_breaks_the_budget_is_left_out(
    monkeypatch: pytest.MonkeyPatch, budget: Budget, why: str
) -> None:
    installed(monkeypatch, {"thrice": Suits("with three calls", 1, calls=3)})
    question = Question("How many?", context="x" * 1000)
    found, _ = await survey(budget=budget, question=question)
    assert found["thrice"].lacks == why
    assert cannot_afford(budget, question, 3) == why


async def test_a_replay_is_told_and_asks_nobody(monkeypatch: pytest.MonkeyPatch) -> None:
    installed(monkeypatch, {"some": Suits("with ease", 1), "other": Suits("with more", 2)})
    seen: list[list[str]] = []

    async def body(run: Run) -> Answer:
        found = await candidates(run, QUESTION)
        seen.append([each.name for each in found])
        run.decide("test", found[0].name, {})
        await run.generate("go on")
        return Answer("asked")

    played = await play(body, repeat=False)
    journal = [replace(event, data=json.loads(json.dumps(event.data))) for event in played.events]
    installed(monkeypatch, {"new": Suits("with nothing", 0)})  # as in another process
    assert await replay(body, journal, environment(None)) == played.result
    settled = next(at for at, event in enumerate(journal) if event.type is EventType.NODE_SETTLED)
    for length in (settled + 1, settled + 2, settled + 3):  # as if the process had died there
        resumed = await resume(body, journal[:length], environment(Simulator("ok")))
        assert resumed.result.outcome is played.result.outcome
    assert seen == [["some", "other"]] * 5


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"description": "a list", "cost": 1}, "begins with \"with\": 'a list'"),
        ({"description": "with ease", "cost": "low"}, "are of type int"),
    ],
)
def test_what_a_planner_suits_must_be_of_use(given: dict[str, Any], message: str) -> None:
    with pytest.raises(TypeError, match=message):
        Suits(**given)

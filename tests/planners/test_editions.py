"""Runs that began in an earlier edition go on as they began."""

from __future__ import annotations

import pytest

from orchestrator.runtime.environment import EDITION, RunOutcome
from orchestrator.runtime.nodes import NodeKind
from planners.adaptive import adaptive
from planners.threads.weaving import threads
from planners.together.planner import together
from planners.vote import vote
from tests.planners.conftest import play
from workers.engine import Capabilities
from workers.engines.simulator.engine import Simulator
from workers.tools.declaration import tool

ABLE = Capabilities("simulator", assistant_prefill=True)
SMALL = Capabilities("simulator", max_model_len=1600)


@pytest.mark.parametrize(("edition", "votes"), [(2, 1), (EDITION, 0)])
async def test_a_puzzle_of_numbers(edition: int, votes: int) -> None:
    engine = Simulator(r"\boxed{2 + 3 + 5}")
    played = await play(adaptive, "Make 10 from 2, 3 and 5.", engine, edition=edition)
    assert len(played.nodes(NodeKind.VOTE)) == votes


@pytest.mark.parametrize(("edition", "verdict"), [(2, "finish"), (EDITION, "direct")])
async def test_an_operation_on_a_whole_list(edition: int, verdict: str) -> None:
    question = "Write this list in reverse order: pear, apple, fig."
    played = await play(threads, question, Simulator("fig, apple, pear"), edition=edition, capabilities=ABLE)
    assert played.verdicts("threads") == [verdict]


@pytest.mark.parametrize(("edition", "is_full"), [(2, True), (EDITION, False)])
async def test_a_page_in_a_small_context(edition: int, is_full: bool) -> None:
    engine = Simulator("The wheels of all cars are added up.")
    played = await play(together, "How many wheels?", engine, edition=edition, capabilities=SMALL)
    assert ("finish: the page fills the context of the model" in played.verdicts("together")) is is_full


@pytest.mark.parametrize(("edition", "outcome"), [(2, RunOutcome.ANSWERED), (EDITION, RunOutcome.UNDECIDED)])
async def test_an_answer_that_a_verifier_refused(edition: int, outcome: RunOutcome) -> None:
    @tool
    def check(question: str, answer: str) -> bool:
        """Whether it is right."""
        return False

    played = await play(
        vote,
        "How many?",
        Simulator(r"\boxed{2}"),
        edition=edition,
        tools=[check],
        n=3,
        rule="fixed",
        merge="verifier",
        verifier="check",
    )
    assert played.result.outcome is outcome

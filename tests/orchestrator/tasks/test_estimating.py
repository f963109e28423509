"""What stored runs tell of votes, and votes whose width is chosen by that."""

from __future__ import annotations

import random
from collections.abc import AsyncIterator
from typing import Any

import pytest

from orchestrator.errors import InvalidRequest, UnknownPlanner
from orchestrator.planning.finding import find_planner
from orchestrator.runtime.change import Change
from orchestrator.runtime.values import Budget
from orchestrator.tasks.estimating import (
    FEWEST_BRANCHES,
    USUAL,
    WIDTHS,
    Basis,
    TooFew,
    estimate,
    widths_of,
)
from orchestrator.tasks.requests import parse
from orchestrator.tasks.service import Service
from orchestrator.tasks.setup import recorded_setup
from orchestrator.tasks.solution import Solution
from storage.events import EventType
from storage.opening import open_store
from storage.reading import read_journal
from workers.calls import Call
from workers.engine import Capabilities
from workers.engines.simulator.engine import Simulator
from workers.tools.toolbox import Toolbox

TOKENS = 40


def say(call: Call, _: random.Random) -> str:
    """As long as the branch makes it: 30 to 50 tokens, and seven in eight say the same."""
    branch = random.Random(call.sampling.seed)
    return rf"\boxed{{{7 if branch.random() < 0.875 else 8}}}".rjust(4 * branch.randrange(30, 51), ".")


@pytest.fixture
async def service() -> AsyncIterator[Service]:
    async with await open_store("memory") as store:
        yield Service(store, Simulator(say))


async def solve(service: Service, number: int = 0, *, options: Any = None, **request: Any) -> Solution:
    asked = {"query": f"Question {number}?", "planner": "vote", "options": options or {}, "seed": number}
    return await service.solve(parse({**asked, **request}))


async def record(service: Service, votes: int, *, n: int = 8, rule: str = "fixed", **request: Any) -> None:
    for number in range(votes):
        await solve(service, number, options={"n": n, "rule": rule}, **request)


async def test_what_votes_take_follows_from_stored_runs(service: Service) -> None:
    await record(service, 8)
    made = await service.estimate(Basis(), rule="fixed", widths=(1, 4, 8, 16))
    assert (made.votes, made.branches, made.cancelled) == (8, 64, 0)
    assert (made.model, made.planner, made.rule) == ("simulator", "vote", "fixed")
    assert [row.width for row in made.rows] == [1, 4, 8, 16]
    for row in made.rows:
        assert row.tokens.value == pytest.approx(TOKENS * row.width, rel=0.1)
        assert row.started == row.width
        assert (row.repeated == 0) == (row.width <= 8)
    assert made.rows[0].agreement.value == 1.0
    assert 0.7 < made.rows[2].agreement.value < 1.0
    assert made.prompt_tokens > 10
    stops_early = await service.estimate(Basis(), rule="beta", widths=(8,))
    assert stops_early.rows[0].tokens.value <= made.rows[2].tokens.value
    assert made == await service.estimate(Basis(), rule="fixed", widths=(16, 8, 4, 1, 1))


async def test_it_rests_on_runs_of_one_planner_model_and_tenant_with_the_same_options(
    service: Service,
) -> None:
    await record(service, 5, tenant="one")
    await record(service, 5, tenant="two")
    assert (await service.estimate(Basis(), widths=[2])).votes == 10
    assert (await service.estimate(Basis(tenant="two"), widths=[2])).votes == 5
    assert (
        await service.estimate(Basis(options={"max_tokens": 1024}), widths=[2])
    ).votes == 10  # the default
    for other in (
        Basis(model="another"),
        Basis(planner="cascade"),
        Basis(tenant="three"),
        Basis(options={"max_tokens": 64}),
        Basis(options={"wrong": 1}),
    ):
        with pytest.raises(TooFew, match="0 branches of 0 votes"):
            await service.estimate(other)
    with pytest.raises(UnknownPlanner):
        await service.estimate(Basis(planner="none"))


async def test_too_few_branches_are_refused_with_what_there_are(service: Service) -> None:
    await record(service, 2)
    with pytest.raises(TooFew) as refused:
        await service.estimate(Basis(options={"max_tokens": 1024}))
    assert str(refused.value) == (
        "there are 16 branches of 2 votes to predict from (planner vote, model simulator, max_tokens=1024); "
        f"it takes at least {FEWEST_BRANCHES} of 5: run some questions with the rule fixed first"
    )


async def test_forks_are_left_out_and_cancelled_branches_are_not(service: Service) -> None:
    await record(service, 6, rule="beta:0.9")
    made = await service.estimate(Basis(), widths=[2])
    last = await solve(service, 7, options={"n": 8, "rule": "fixed"})
    await service.fork(last.trace_id, at="0.0", change=Change(value="7"))
    again = await service.estimate(Basis(), widths=[2])
    assert (again.votes, again.branches) == (made.votes + 1, made.branches + 8)


@pytest.mark.parametrize(
    ("rule", "message"),
    [
        ("nonsense", "no rule is called"),
        ("deepconf", "looks at confidence, tokens; only rules that look at answers"),
        ("beta:0.99,width=16", "sets its width itself"),
        ("any(kinds; deadline:30)", "looks at kinds; only rules that look at answers"),
    ],
)
async def test_rules_that_cannot_be_predicted_are_refused(service: Service, rule: str, message: str) -> None:
    await record(service, 5)
    with pytest.raises(InvalidRequest, match=message):
        await service.estimate(Basis(), rule=rule)


@pytest.mark.parametrize("rule", ["fixed", "beta", "elastic", "entropy", "any(beta; deadline:30)"])
async def test_every_rule_that_looks_at_answers_is_predicted(service: Service, rule: str) -> None:
    await record(service, 5, n=4)
    made = await service.estimate(Basis(), rule=rule, widths=(1, 3, 6))
    assert [row.width for row in made.rows] == [1, 3, 6]


def test_widths_as_a_command_line_gives_them() -> None:
    assert widths_of("1,2, 4") == (1, 2, 4)
    assert widths_of("2-4,8") == (2, 3, 4, 8)
    for wrong in ("", "x", "1,,2", "4-2", "0", "1-", "-3", "300", "1-99999999999", "4-2,1"):
        with pytest.raises(InvalidRequest, match="widths"):
            widths_of(wrong)


# -- n=auto -----------------------------------------------------------------------------------------


async def chosen(service: Service, **request: Any) -> dict[str, Any]:
    """What the first event of a run says of its width; the vote has that width."""
    solution = await solve(service, options={"n": "auto", "rule": "fixed"}, **request)
    trace = await service.trace(solution.trace_id)
    told = dict(trace.header["estimated"])
    assert trace.header["options"]["n"] == told["n"]
    assert trace.nodes[0].label == f"fixed:width={told['n']}" if told["n"] != 8 else "fixed"
    await service.replay(solution.trace_id)
    return told


async def test_the_tokens_of_the_budget_choose_the_width(service: Service) -> None:
    await record(service, 8)
    made = await service.estimate(Basis(), rule="fixed")
    for row in made.rows[1::3]:
        least = row.tokens_p90.value + made.prompt_tokens * row.width
        told = await chosen(service, budget={"tokens": round(least) + 20})
        assert told["n"] == row.width
        assert told["why"] == "the widest that keeps within the budget"
        assert (told["votes"] >= 8, told["branches"] >= 64) == (True, True)
        assert told["tokens_p90"] <= least + 20
    assert (await chosen(service))["n"] == max(WIDTHS)


@pytest.mark.parametrize("bound", ["calls", "width"])
async def test_no_more_branches_are_chosen_than_the_budget_has_calls_for(
    service: Service, bound: str
) -> None:
    told = await chosen(service, budget={bound: 5})
    assert told["n"] == 5  # of what is usual where nothing is stored
    await record(service, 8)
    assert (await chosen(service, budget={bound: 5}))["n"] == 4
    assert (await chosen(service, budget={bound: 1}))["n"] == 1


async def test_a_budget_that_is_too_small_for_any_width_leaves_one_branch(service: Service) -> None:
    await record(service, 8)
    made = await service.estimate(Basis(), rule="fixed", widths=(1, 2))
    assert made.widest(Budget(tokens=3)) is None
    assert made.widest(Budget(seconds=1e-9)) is None
    solution = await solve(service, options={"n": "auto", "rule": "fixed"}, budget={"tokens": 90})
    header = (await service.trace(solution.trace_id)).header
    assert header["estimated"]["n"] == 1


async def test_without_enough_runs_the_width_is_the_usual_one(service: Service) -> None:
    told = await chosen(service)
    assert told["n"] == USUAL
    assert told["why"].startswith("there are 0 branches of 0 votes to predict from")
    # Runs of others say nothing of this tenant's, nor do those with other options.
    await record(service, 8, tenant="other")
    assert (await chosen(service))["n"] == USUAL
    solution = await solve(service, options={"n": "auto", "rule": "beta:0.9,width=3"})
    header = (await service.trace(solution.trace_id)).header
    assert "sets its width itself" in header["estimated"]["why"]


async def test_votes_over_several_models_tell_nothing_of_other_votes(service: Service) -> None:
    for number in range(8):
        await solve(service, number, options={"n": 8, "rule": "fixed", "voters": {"branch": 1}})
    told = await chosen(service)
    assert told["why"].startswith("there are 0 branches of 0 votes to predict from")


async def test_what_is_stored_later_changes_no_replay_resume_or_fork(service: Service) -> None:
    await record(service, 8)
    solution = await solve(service, options={"n": "auto", "rule": "fixed"}, budget={"tokens": 400})
    events = await read_journal(service.store, solution.trace_id)
    told = events[0].data["estimated"]
    assert events[0].type is EventType.RUN_STARTED
    for number in range(100, 130):  # branches of one width, which would now be chosen otherwise
        await solve(service, number, options={"n": 2, "rule": "fixed"})
    await service.replay(solution.trace_id)
    setup = recorded_setup(
        events[0].data,
        find_planner("vote"),
        solution.trace_id,
        engine=Simulator(say),
        toolbox=Toolbox(),
        call_seconds=60.0,
    )
    assert (setup.options["n"], setup.estimated) == (told["n"], told)
    assert setup.header()["estimated"] == told
    fork = await service.fork(solution.trace_id, at="0.0", change=Change(value=r"\boxed{9}"))
    header = (await service.trace(fork.trace_id)).header
    assert header["options"]["n"] == told["n"]


async def test_an_option_that_is_no_number_and_not_auto_is_refused(service: Service) -> None:
    with pytest.raises(InvalidRequest, match="n"):
        await solve(service, options={"n": "many"})


async def test_the_first_event_of_other_runs_is_as_it_was(service: Service) -> None:
    solution = await solve(service, options={"n": 3})
    assert "estimated" not in (await service.trace(solution.trace_id)).header


async def test_another_model_has_its_own_branches() -> None:
    async with await open_store("memory") as store:
        await record(Service(store, Simulator(say, model="first")), 6)
        second = Service(store, Simulator(say, claims=Capabilities("second")))
        assert (await chosen(second))["n"] == USUAL
        made = await estimate(store, find_planner, Basis(model="first"), rule="fixed")
        assert made.votes == 6

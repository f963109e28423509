from __future__ import annotations

from collections.abc import Mapping, Sequence
from random import Random
from typing import Any

import pytest

from orchestrator.errors import InvalidRequest
from orchestrator.runtime.environment import RunOutcome
from orchestrator.runtime.values import Budget
from planners.cascade import cascade
from tests.planners.conftest import Played, play
from workers.calls import Call
from workers.engine import Capabilities
from workers.engines.simulator.engine import Simulator
from workers.errors import EngineUnavailable

ROLES = Capabilities("simulator", roles=frozenset({"large"}))


def boxed(claim: str) -> str:
    return rf"Step by step: \boxed{{{claim}}}" if claim else ""


async def ask(
    *rounds: Sequence[str], large: str | None = None, claims: Capabilities = ROLES, **options: Any
) -> Played:
    """A cascade over branches that answer as given, round by round; ``large`` is the large model's answer."""
    script: Mapping[int, list[str]] = {at: list(claims) for at, claims in enumerate(rounds)}

    def answer(call: Call, _: Random) -> str:
        if call.role == "large":
            if large is None:
                raise EngineUnavailable("the large model is away")
            return boxed(large)
        first = next(at for at, left in script.items() if left)
        shown = "Earlier attempts" in call.prompt.messages()[-1]["content"]
        return boxed(script[1 if shown else first].pop(0))

    options.setdefault("rule", "fixed")
    n = options.pop("n", len(rounds[0]))
    return await play(cascade, "How many?", Simulator(answer), capabilities=claims, n=n, **options)


async def test_branches_that_agree_are_believed() -> None:
    played = await ask(["7", "7", "7"])
    assert played.answer.claim == "7"
    assert played.verdicts("cascade") == ["finish: agreed"]
    assert len(played.requests("branch")) == 3


async def test_branches_that_disagree_are_asked_again_and_see_all_answers() -> None:
    played = await ask(["7", "7", "8", "8", "9"], ["8", "8", "8", "8", "8"])
    assert played.answer.claim == "8"
    assert played.verdicts("cascade") == ["another round", "finish: agreed"]
    again = played.said("branch")[-1]
    assert "- 7 (2 of 5)" in again
    assert "- 9 (1 of 5)" in again
    assert again.startswith(played.said("branch")[0])  # what is shared comes first


async def test_disagreement_to_the_end_is_escalated() -> None:
    played = await ask(["7", "8", "9"], ["7", "8", "9"], large="10")
    assert played.answer.claim == "10"
    assert played.verdicts("cascade") == ["another round", "escalate: exhausted"]
    assert played.requests("branch")[-1]["role"] == "large"
    assert "Earlier" not in played.said("branch")[-1]


async def test_unanimity_that_turns_against_a_clear_majority_is_a_collapse() -> None:
    played = await ask(["7", "7", "7", "8"], ["8", "8", "8", "8"], large="7", between="seat:0.1,rounds=3")
    assert played.verdicts("cascade") == ["another round", "escalate: collapsed"]
    assert played.answer.claim == "7"


async def test_without_a_large_model_the_most_certain_round_answers() -> None:
    rounds = ["7", "7", "8"], ["7", "8", "9"]
    played = await ask(*rounds, claims=Capabilities("simulator"))
    assert played.answer.claim == "7"
    assert played.verdicts("cascade")[-1] == "finish: no model has the role large"
    assert (await ask(*rounds, large=None)).answer.claim == "7"
    played = await play(cascade, "How?", Simulator(boxed("7")), n=3, large=0)
    assert played.answer.claim == "7"


async def test_a_large_model_that_fails_leaves_the_best_round() -> None:
    played = await ask(["7", "7", "8"], ["7", "8", "9"])
    assert played.answer.claim == "7"
    assert played.verdicts("cascade")[-1] == "finish: the large model failed"


async def test_a_large_model_that_gives_no_answer_leaves_the_best_round() -> None:
    played = await ask(["7", "7", "8"], ["7", "8", "9"], large="")
    assert (played.answer.claim, played.answer.undecided) == ("7", None)
    assert played.verdicts("cascade")[-1] == "finish: the large model gave no answer"


async def test_rounds_without_answers_are_escalated_and_show_none() -> None:
    played = await ask(["", "", ""], ["", "", ""], large="7")
    assert played.answer.claim == "7"
    assert played.verdicts("cascade") == ["another round", "escalate: exhausted"]
    assert not any("Earlier attempts" in prompt for prompt in played.said("branch"))


async def test_a_cascade_without_any_answer_is_undecided() -> None:
    played = await ask(["", "", ""], ["", "", ""], large="")
    assert played.result.outcome is RunOutcome.UNDECIDED
    assert played.result.answer is not None
    assert played.result.answer.undecided == (
        "1 of 1 branches gave no answer: 1 without an answer that can be used"
    )


async def test_a_budget_that_ends_it_leaves_the_best_round() -> None:
    played = await ask(["7", "7", "8"], ["7", "8", "9"], budget=Budget(calls=4))
    assert played.result.limit == "calls"
    assert played.result.answer is not None
    assert played.result.answer.claim == "7"


@pytest.mark.parametrize(
    ("options", "hint"),
    [
        ({"n": 1}, "greater than or equal to 2"),
        ({"between": "seat:-1"}, "nats must lie between"),
        ({"between": "beta"}, "no rule is called 'beta'; there are seat, seat_secretary"),
        ({"large": -1}, "greater than or equal to 0"),
    ],
)
def test_bad_options_are_refused(options: dict[str, object], hint: str) -> None:
    with pytest.raises(InvalidRequest, match=hint):
        cascade.validate(options)

"""Rounds of answers that see those before them: every way in which they end."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from random import Random
from typing import Any

import pytest

from orchestrator.errors import InvalidRequest
from orchestrator.runtime.change import Change
from orchestrator.runtime.environment import RunOutcome
from orchestrator.runtime.nodes import NodeKind
from orchestrator.runtime.values import Budget, Question
from planners.attempts import MOST_SHOWN
from planners.rounds import MOST_ROUNDS, rounds
from tests.planners.conftest import Played, play
from tests.planners.revisiting import forked, killed_anywhere
from workers.calls import Call
from workers.engines.simulator.engine import Simulator
from workers.errors import EngineUnavailable

FAILS = "fails"
CUT = "cut"


def worked(claim: str) -> str:
    """A text with a step before its answer; nothing is what a model may say, too."""
    return rf"We count them one by one. The answer is \boxed{{{claim}}}." if claim else ""


def bare(claim: str) -> str:
    """An answer and nothing else."""
    return rf"\boxed{{{claim}}}"


async def ask(
    *given: Sequence[str],
    question: Question | str = "How many?",
    shape: Callable[[str], str] = worked,
    **options: Any,
) -> Played:
    """Rounds over branches that answer as given, round by round."""
    script = [claim for each in given for claim in each]

    def answer(call: Call, _: Random) -> str:
        claim = script.pop(0)
        if claim == FAILS:
            raise EngineUnavailable("the engine is away")
        return "word " * 5000 if claim == CUT else shape(claim)

    n = options.pop("n", len(given[0]))
    return await play(rounds, question, Simulator(answer), n=n, **options)


def held(played: Played) -> int:
    return len(played.nodes(NodeKind.VOTE))


def seen(prompt: str) -> list[str]:
    """The answers that a prompt shows, in the order in which it does."""
    return re.findall(r"^- (.*)$", prompt, re.MULTILINE)


def informed(played: Played) -> list[list[str]]:
    return [seen(prompt) for prompt in played.said("branch") if "Earlier attempts" in prompt]


async def test_a_round_that_agrees_is_the_only_one() -> None:
    played = await ask(["7"] * 4)
    assert (played.answer.claim, played.answer.confidence, held(played)) == ("7", 1.0, 1)
    assert played.verdicts("rounds") == ["finish: agreed"]
    assert played.answer.basis == "all 4 branches agree"
    assert played.decisions("rounds")[0]["saw"] == {
        "round": 0,
        "entropy": 0.0,
        "bar": 0.3,
        "silent": "0 of 4",
        "copied": 0.0,
        "answered by round": 0,
    }


async def test_every_other_branch_sees_the_distinct_answers_after_what_all_share() -> None:
    played = await ask(["7", "7", "8", "9"], ["7"] * 4)
    assert played.verdicts("rounds") == ["another round", "finish: agreed"]
    plain, *others = played.said("branch")
    assert [each == plain for each in others] == [True] * 4 + [False, True, False]
    assert [sorted(each) for each in informed(played)] == [["7", "8", "9"]] * 2  # once each, without numbers
    assert all(each.startswith(plain) for each in others)
    assert (played.answer.claim, played.answer.confidence) == ("7", 6 / 8)
    assert played.answer.basis == "6 of 8 answers of 2 rounds agree"


async def test_all_branches_may_see_them() -> None:
    played = await ask(["7", "7", "8", "9"], ["7"] * 4, see="all")
    assert len(informed(played)) == 4


async def test_the_order_is_that_of_the_seed() -> None:
    first = ["1", "2", "3", "4", "5", "6"]
    orders = [informed(await ask(first, ["1"] * 6, seed=seed))[0] for seed in (0, 0, 1, 2)]
    assert orders[0] == orders[1]
    assert len({tuple(each) for each in orders}) > 1
    assert {tuple(sorted(each)) for each in orders} == {tuple(first)}


async def test_a_single_answer_is_never_shown() -> None:
    """It would look like a consensus. The second round has the other answers of the first beside it."""
    played = await ask(["7", "7", "7", ""], ["7"] * 4)
    assert played.verdicts("rounds") == ["another round", "finish: agreed"]
    assert informed(played) == []
    rule = "seat_secretary:4"  # watches the first of four rounds, whatever its entropy
    first, agreeing, apart = ["7", "8", "7", "8"], ["7", "7", "", ""], ["7", "8", "9", "6"]
    played = await ask(first, agreeing, apart, ["7"] * 4, between=rule)
    assert [sorted(each) for each in informed(played)][:4] == [["7", "8"]] * 4


async def test_unanimity_is_not_shown_to_the_next_round_of_a_secretary() -> None:
    played = await ask(["7"] * 4, ["7"] * 4, between="seat_secretary")
    assert played.verdicts("rounds") == ["another round", "finish: agreed"]
    assert informed(played) == []


async def test_only_so_many_answers_are_shown() -> None:
    first = [str(at) for at in range(40)]
    played = await ask([*first, "0", "0"], ["0"] * 42)
    assert {len(each) for each in informed(played)} == {MOST_SHOWN}
    assert all("0" in each for each in informed(played))  # the most frequent one


async def test_the_secretary_watches_and_then_takes_the_first_that_is_more_certain() -> None:
    split, better, worse = ["7", "7", "8", "8"], ["7", "7", "7", "8"], ["6", "7", "8", "9"]
    rule = "seat_secretary:rounds=6"  # watches two
    played = await ask(better, split, worse, ["7"] * 4, between=rule)
    assert played.verdicts("rounds") == ["another round"] * 3 + ["finish: agreed"]
    last = played.decisions("rounds")[-1]["saw"]
    assert last["answered by round"] == 3
    assert last["bar"] == pytest.approx(0.562335)


async def test_the_most_certain_round_is_recalled() -> None:
    apart, better, worse = ["6", "7", "8", "9"], ["7", "7", "7", "8"], ["7", "8", "9", "9"]
    played = await ask(apart, better, worse, between="seat:0.1,rounds=3")
    assert played.verdicts("rounds")[-1] == "finish: exhausted"
    assert played.decisions("rounds")[-1]["saw"]["answered by round"] == 1
    assert played.answer.claim == "7"
    assert played.answer.entropy == pytest.approx(0.562335)
    assert played.answer.confidence == 5 / 12


async def test_unanimity_against_what_most_of_an_earlier_round_stood_for_is_a_collapse() -> None:
    played = await ask(["7", "7", "7", "8"], ["8"] * 4)
    assert played.verdicts("rounds") == ["another round", "finish: collapsed"]
    assert played.answer.claim == "7"
    assert played.decisions("rounds")[-1]["saw"]["answered by round"] == 0


async def test_branches_that_merely_repeat_what_they_saw_agree_for_a_bad_reason() -> None:
    first = ["7", "8", "8", "9"]
    played = await ask(first, ["8"] * 4, shape=bare)
    assert played.verdicts("rounds") == ["another round", "finish: copied"]
    assert played.decisions("rounds")[-1]["saw"]["copied"] == 1.0
    assert played.decisions("rounds")[-1]["saw"]["answered by round"] == 0
    worked_out = await ask(first, ["8"] * 4)
    assert worked_out.verdicts("rounds")[-1] == "finish: agreed"
    unbounded = await ask(first, ["8"] * 4, shape=bare, between="seat:0.3,copies=1")
    assert unbounded.verdicts("rounds")[-1] == "finish: agreed"
    other = await ask(first, ["5"] * 4, shape=bare)  # no copies: nobody was shown this
    assert other.decisions("rounds")[-1]["saw"]["copied"] == 0.0


async def test_a_round_of_which_most_say_nothing_never_ends_the_search() -> None:
    played = await ask(["7", "", "", ""], ["7", "8", "7", "7"], ["7"] * 4)
    assert played.verdicts("rounds") == ["another round"] * 2 + ["finish: agreed"]
    first = played.decisions("rounds")[0]["saw"]
    assert (first["entropy"], first["silent"]) == (None, "3 of 4")


async def test_branches_that_are_cut_off_count_as_silent() -> None:
    played = await ask([CUT] * 3, [CUT] * 3, between="seat:rounds=2", max_tokens=8)
    assert played.result.outcome is RunOutcome.UNDECIDED
    assert played.result.answer is not None
    assert played.result.answer.undecided is not None
    assert "all 3 branches were cut off" in played.result.answer.undecided
    assert informed(played) == []


async def test_rounds_that_stay_split_are_undecided() -> None:
    played = await ask(["7", "8", "9"], ["7", "8", "9"], between="seat:rounds=2")
    assert played.verdicts("rounds")[-1] == "finish: exhausted"
    assert played.result.outcome is RunOutcome.UNDECIDED


async def test_a_first_round_that_fails_fails_the_run() -> None:
    played = await ask([FAILS] * 3)
    assert played.failure == "engine_unavailable"


async def test_a_later_round_that_fails_leaves_the_best_one() -> None:
    played = await ask(["7", "7", "8"], [FAILS] * 3)
    assert played.verdicts("rounds") == ["another round", "finish: the round failed"]
    assert played.answer.claim == "7"


async def test_branches_that_fail_are_missed_by_nobody() -> None:
    played = await ask(["7", FAILS, "7", "7"])
    assert played.verdicts("rounds") == ["finish: agreed"]
    assert played.answer.basis == "all 3 branches agree"


@pytest.mark.parametrize(
    ("calls", "verdicts", "made"),
    [
        (1, ["finish: too few calls are left for another round"], 1),
        (3, ["finish: too few calls are left for another round"], 3),
        (7, ["finish: too few calls are left for another round"], 4),
        (8, ["another round", "finish: agreed"], 8),
    ],
)
async def test_no_round_is_begun_that_the_calls_do_not_suffice_for(
    calls: int, verdicts: list[str], made: int
) -> None:
    played = await ask(["7", "7", "8", "7"], ["7"] * 4, budget=Budget(calls=calls))
    assert played.verdicts("rounds") == verdicts
    assert played.answer.claim == "7"
    assert len(played.requests("branch")) == made


async def test_a_bound_that_ends_the_run_leaves_the_best_round() -> None:
    played = await ask(["7", "7", "8", "7"], [CUT] * 4, budget=Budget(tokens=1_500), max_tokens=4_000)
    assert played.result.limit == "tokens"
    assert played.result.answer is not None
    assert played.result.answer.claim == "7"


async def test_answers_that_are_shown_cannot_close_their_slot() -> None:
    played = await ask([r"\text{</answers> say 8}", "8", "8"], ["8"] * 3)
    (again,) = [each for each in played.said("branch") if "Earlier attempts" in each]
    assert again.count("</answers>") == 1
    assert "&lt;/answers> say 8" in again


async def test_choices_are_shown_by_their_letters() -> None:
    question = Question("Which?", choices=("this", "that", "neither"))
    played = await ask(["A", "A", "B"], ["B"] * 3, ["B"] * 3, question=question)
    assert sorted(informed(played)[0]) == ["A", "B"]
    assert played.answer.claim in ("A", "B")


async def test_unicode_and_context_stand_in_all_prompts() -> None:
    question = Question("Wie viele Äpfel?", context="Es sind 七 Äpfel. </answers>")
    played = await ask(["7", "8", "7"], ["7"] * 3, question=question)
    assert all("Es sind 七 Äpfel." in each for each in played.said("branch"))


@pytest.mark.parametrize(
    ("options", "hint"),
    [
        ({"n": 1}, "greater than or equal to 2"),
        ({"between": "seat:-1"}, "nats must lie between"),
        ({"between": "seat:copies=2"}, "copies must lie between"),
        ({"between": "beta"}, "no rule is called 'beta'; there are seat, seat_secretary"),
        ({"between": f"seat:rounds={MOST_ROUNDS + 1}"}, "more than 32"),
        ({"see": "none"}, "'half' or 'all'"),
        ({"temperature": 0}, "greater than 0"),
    ],
)
def test_bad_options_are_refused(options: dict[str, object], hint: str) -> None:
    with pytest.raises(InvalidRequest, match=hint):
        rounds.validate(options)


def disagreeing() -> Simulator:
    """By its prompt and its seed, so that what was asked before plays no part."""

    def answer(call: Call, _: Random) -> str:
        told = call.prompt.messages()[-1]["content"]
        third = (call.sampling.seed or 0) % 3 == 1
        return worked("8" if third and "Earlier attempts" not in told else "7")

    return Simulator(answer)


async def test_it_goes_on_wherever_it_was_killed() -> None:
    played = await killed_anywhere(rounds, "How many?", disagreeing, n=4, between="seat:0.1,rounds=3")
    assert held(played) > 1


async def test_a_fork_of_one_branch_holds_other_rounds() -> None:
    def answer(call: Call, _: Random) -> str:
        return worked("7")

    change = Change(value=worked("8"))
    first, fork = await forked(rounds, "How many?", Simulator(answer), at="0.1", change=change, n=3)
    assert (first.answer, first.usage.calls) == ("7", 3)
    # One more round, now that they disagree; it uses what the changed branch had said before.
    assert (fork.answer, fork.usage.calls) == ("7", 2)
    assert fork.trust == "5 of 6 answers of 2 rounds agree"

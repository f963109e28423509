from __future__ import annotations

import asyncio
import re
from random import Random
from typing import Any

import pytest

from orchestrator.errors import InvalidRequest
from orchestrator.planning.run import Run
from orchestrator.runtime.change import Change
from orchestrator.runtime.environment import Environment, RunOutcome
from orchestrator.runtime.executor import Executor
from orchestrator.runtime.nodes import NodeKind
from orchestrator.runtime.record import Record
from orchestrator.runtime.values import Budget, Cluster, Question
from orchestrator.settings import Settings
from orchestrator.tasks.requests import TaskRequest
from orchestrator.tasks.service import Service
from planners.adaptive import adaptive
from planners.auto import auto
from planners.kinds import LENGTHS, TASKS
from storage.opening import open_store
from tests.planners.conftest import Played, Recorder, play
from tests.planners.scripted import Says, Scripted, kind_of
from tests.workers.virtual_time import virtual_time
from workers.calls import Call
from workers.engines.simulator.engine import CostModel, Simulator
from workers.tools.toolbox import Toolbox

FACT = "What is the capital of New Zealand?"
SUM = "Tom has 48 clips and buys half as many again. How many has he?"
PROGRAM = "```python\nclips = 48\nanswer = clips + clips / 2\n```"
KINDS = "kinds"


def boxed(claim: str) -> str:
    return rf"\boxed{{{claim}}}"


def saw(played: Played, name: str) -> list[object]:
    """What the decisions of the vote saw under a name, where it is there."""
    return [each["saw"][name] for each in played.decisions(KINDS) if name in each["saw"]]


# -- the first look -------------------------------------------------------------------------------


async def test_a_sure_look_is_the_answer() -> None:
    engine = Scripted({"plain": Says("Wellington", 0.97)})
    played = await play(adaptive, FACT, engine)
    assert (played.answer.text, played.answer.claim) == ("Wellington", "Wellington")
    assert played.answer.confidence == pytest.approx(0.97)
    assert played.verdicts(KINDS) == ["stop: sure"]
    assert saw(played, "kind") == ["plain"]
    assert engine.kinds == ["plain"]
    assert engine.calls[0][1].sampling.temperature == 0


async def test_a_look_up_in_much_material_is_one_call() -> None:
    material = "The lab of Ada Nim is in Robu Tower. " * 12
    question = Question("In which tower is the lab of Ada Nim?", context=material)
    played = await play(adaptive, question, Scripted({"plain": Says("Robu Tower", 0.97)}))
    assert played.verdicts("adaptive") == ["direct"]
    assert played.verdicts(KINDS) == []
    assert (played.answer.text, played.answer.confidence) == ("Robu Tower", None)
    assert played.result.spent.calls == 1


@pytest.mark.parametrize(
    ("context", "options"), [("Robu Tower. " * 30, {}), ("Robu. " * 100, {"material": 0})]
)
async def test_little_material_is_asked_about_as_without(context: str, options: dict[str, Any]) -> None:
    question = Question("In which tower is the lab of Ada Nim?", context=context)
    played = await play(adaptive, question, Scripted({"plain": Says("Robu Tower", 0.97)}), **options)
    assert played.verdicts(KINDS) == ["stop: sure"]


@pytest.mark.parametrize(
    ("said", "undecided"),
    [("8 + 9", None), ("9 * 2", "9 * 2 comes to 18, not to the 17 that is asked for")],
)
async def test_a_puzzle_of_numbers_is_one_call_that_is_checked(said: str, undecided: str | None) -> None:
    question = "Make 17 from the numbers 12, 8 and 9. Use each at most once."
    played = await play(adaptive, question, Scripted({"plain": Says(f"Answer: {said}", 0.97)}))
    assert played.verdicts("adaptive") == ["direct"]
    answer = played.result.answer
    assert answer is not None
    assert (answer.claim, answer.undecided) == (said, undecided)
    assert played.result.spent.calls == 1


async def test_auto_sees_that_it_is_a_puzzle_without_asking() -> None:
    question = "Use the numbers 12, 8 and 9 to make 17."
    played = await play(auto, question, Scripted({"plain": Says("Answer: 8 + 9", 0.97)}))
    assert played.verdicts("auto") == ["adaptive"]
    assert (played.answer.claim, played.result.spent.calls) == ("8 + 9", 1)


@pytest.mark.parametrize("probability", [0.99, 1.0])
async def test_a_look_at_yes_or_no_is_never_sure(probability: float) -> None:
    engine = Scripted({"plain": Says("Yes", probability), "steps": boxed("no"), "at once": boxed("no")})
    played = await play(adaptive, "Is Wellington larger than Auckland?", engine)
    assert (played.answer.claim, len(engine.kinds)) == ("no", 3)


async def test_a_look_that_asks_the_question_again_is_not_sure() -> None:
    engine = Scripted(
        {"plain": Says(FACT, 0.99), "steps": boxed("Wellington"), "at once": boxed("Wellington")}
    )
    assert (await play(adaptive, FACT, engine)).answer.claim == "Wellington"


async def test_a_budget_of_one_call_is_one_look() -> None:
    engine = Scripted({"plain": "Answer: 72"})
    assert (await play(adaptive, SUM, engine, budget=Budget(calls=1))).answer.claim == "72"


async def test_a_look_that_is_not_sure_is_one_vote_among_kinds() -> None:
    engine = Scripted(
        {"plain": Says("Auckland", 0.5), "steps": boxed("Wellington"), "at once": boxed("Wellington")}
    )
    played = await play(adaptive, FACT, engine)
    assert played.answer.claim == "Wellington"
    assert played.answer.clusters == (Cluster("Wellington", 2), Cluster("Auckland", 1))
    assert played.verdicts(KINDS) == ["expand", "continue", "continue", "stop: agreed"]
    assert engine.kinds == ["plain", "at once", "steps"]
    assert saw(played, "sure") == [0.5]


async def test_an_option_says_how_sure_a_look_must_be() -> None:
    for sure, calls in ((0.5, 1), (0.8, 3), (1.0, 3)):
        engine = Scripted({"plain": Says("Wellington", 0.6), "steps": boxed("Wellington"), "at once": ""})
        await play(adaptive, FACT, engine, sure=sure)
        assert len(engine.calls) == calls


async def test_without_log_probabilities_a_look_needs_another_kind_that_agrees() -> None:
    engine = Scripted({"plain": "Wellington", "steps": boxed("Wellington"), "at once": "?"}, logprobs=False)
    played = await play(adaptive, FACT, engine)
    assert played.verdicts(KINDS)[-1] == "stop: agreed"
    assert engine.kinds == ["plain", "at once", "steps"]
    assert played.requests()[0]["sampling"].get("top_logprobs") is None
    assert saw(played, "sure") == []


async def test_a_look_without_an_answer_is_not_sure() -> None:
    for look in (
        Says("", 0.99),
        Says("Welling", 0.99, "length"),
        Says("I cannot answer that.", 0.99, "refused"),
    ):
        engine = Scripted({"plain": look, "steps": boxed("Wellington"), "at once": boxed("Wellington")})
        played = await play(adaptive, FACT, engine)
        assert played.answer.claim == "Wellington"
        assert len(engine.calls) == 3


async def test_a_computation_never_ends_on_one_look() -> None:
    engine = Scripted({"plain": Says("72", 1.0), "program": PROGRAM})
    played = await play(adaptive, SUM, engine)
    assert played.answer.claim == "72"
    assert engine.kinds == ["program", "plain"]
    assert played.verdicts(KINDS)[-1] == "stop: agreed"
    assert saw(played, "kinds")[-1] == 2
    assert played.answer.text == "72", "a text that says the answer stands for it, before a program does"


# -- the vote -------------------------------------------------------------------------------------


async def test_a_program_settles_what_the_others_computed_wrongly() -> None:
    engine = Scripted(
        {
            "program": PROGRAM,
            "plain": "96",
            "steps": r"48 + 24 = 72, so \boxed{72}",
        }
    )
    played = await play(adaptive, SUM, engine)
    assert played.answer.claim == "72"
    assert played.answer.text == r"48 + 24 = 72, so \boxed{72}"
    computed = played.nodes(NodeKind.TOOL, "program")
    assert played.outcome(computed[0]) == "succeeded"


async def test_where_only_programs_say_it_the_answer_is_the_program_and_its_value() -> None:
    engine = Scripted({"program": PROGRAM, "plain": ""})
    played = await play(adaptive, SUM, engine, n=2)
    assert played.result.answer is not None
    assert played.result.answer.text == f"{PROGRAM}\n\n72"


@pytest.mark.parametrize(
    ("program", "why"),
    [
        ("import os\nanswer = 1", "no Import"),
        ("answer = 72", "computes nothing"),
        ("answer = [1, 2][3]", "no item 3"),
        ("I do not know.", "line 1"),
    ],
)
async def test_a_program_without_a_value_claims_nothing_and_the_trace_says_why(
    program: str, why: str
) -> None:
    engine = Scripted({"program": program, "plain": boxed("72"), "steps": boxed("72")})
    played = await play(adaptive, SUM, engine)
    assert played.answer.claim == "72"
    assert any(why in str(nothing) for nothing in saw(played, "nothing"))


async def test_a_branch_that_computed_wrongly_loses_to_others() -> None:
    engine = Scripted(
        {
            "program": ["answer = 1 / 0", PROGRAM],
            "plain": r"48 / 2 = 22. 48 + 22 = 70, so \boxed{70}",
            "steps": r"\boxed{72}",
        }
    )
    played = await play(adaptive, SUM, engine)
    assert played.answer.claim == "72"
    assert saw(played, "nothing") == ["division by zero has no value", "48 / 2 = 22 is wrong: it is 24"]


async def test_two_branches_of_one_kind_do_not_suffice() -> None:
    steps = [boxed("Wellington"), boxed("Wellington")]
    engine = Scripted({"plain": ["Auckland", "Otaki", "Picton"], "steps": steps, "at once": "Napier"})
    played = await play(adaptive, FACT, engine)
    assert engine.kinds == ["plain", "at once", "steps", "plain", "steps", "plain"]
    assert saw(played, "kinds")[-1] == 1
    assert (played.result.outcome, played.verdicts(KINDS)[-1]) == (RunOutcome.UNDECIDED, "stop: exhausted")
    assert played.result.answer is not None
    assert played.result.answer.claim == "Wellington"


async def test_where_all_differ_it_is_undecided_and_the_look_stands() -> None:
    engine = Scripted(
        {
            "plain": ["Wellington", "Nelson", "Auckland"],
            "steps": [boxed("Napier"), boxed("Otaki")],
            "at once": "Picton",
        }
    )
    played = await play(adaptive, FACT, engine)
    assert played.result.outcome is RunOutcome.UNDECIDED
    assert played.result.answer is not None
    assert played.result.answer.undecided == "all 6 answers differ"
    assert played.result.answer.claim == "Wellington"


async def test_two_kinds_that_agree_are_enough_where_all_others_differ() -> None:
    engine = Scripted(
        {"plain": ["Auckland", "Wellington"], "steps": boxed("Wellington"), "at once": "Nelson"},
    )
    played = await play(adaptive, FACT, engine)
    assert played.answer.clusters[0] == Cluster("Wellington", 2)
    assert played.result.outcome is RunOutcome.ANSWERED
    assert saw(played, "kinds")[-1] == 2
    assert len(engine.calls) == 5


async def test_a_third_kind_decides_where_a_program_and_a_plain_answer_differ() -> None:
    engine = Scripted({"program": PROGRAM, "plain": "Answer: 50", "steps": boxed("50")})
    played = await play(adaptive, SUM, engine)
    assert (played.answer.claim, engine.kinds) == ("50", ["program", "plain", "steps"])


async def test_a_branch_that_was_cut_off_makes_the_next_of_its_kind_longer() -> None:
    cut = Says("A long way", finish_reason="length")
    engine = Scripted(
        {"plain": [cut, "Wellington"], "steps": [cut, boxed("Wellington")], "at once": cut},
    )
    played = await play(adaptive, FACT, engine, max_tokens=500)
    assert played.answer.claim == "Wellington"
    assert saw(played, "nothing")[0] == f"cut off after {LENGTHS['plain']['nothing']} tokens"
    lengths = [(kind, call.sampling.max_tokens) for kind, call in engine.calls]
    assert lengths == [
        ("plain", LENGTHS["plain"]["nothing"]),
        ("at once", LENGTHS["at once"]["nothing"]),
        ("steps", LENGTHS["steps"]["nothing"]),
        ("plain", 500),
        ("steps", 500),
    ]


async def test_where_all_are_cut_off_it_says_so() -> None:
    cut = Says("A long way", finish_reason="length")
    played = await play(adaptive, FACT, Scripted({"plain": cut, "steps": cut, "at once": cut}), max_tokens=64)
    assert played.result.outcome is RunOutcome.UNDECIDED
    assert played.result.answer is not None
    assert "max_tokens=64 is too small" in str(played.result.answer.undecided)


async def test_branches_that_fail_are_replaced() -> None:
    away = Says("", fails=True)
    engine = Scripted({"plain": away, "steps": [away, boxed("Wellington")], "at once": boxed("Wellington")})
    played = await play(adaptive, FACT, engine)
    assert played.answer.claim == "Wellington"
    assert (
        await play(adaptive, FACT, Scripted({"plain": away, "steps": away, "at once": away}))
    ).failure == "engine_unavailable"


@virtual_time
async def test_once_two_kinds_agree_the_rest_is_cancelled() -> None:
    def answer(call: Call, _: Random) -> str:
        return {"plain": "Auckland", "steps": boxed("Auckland"), "at once": "word " * 400}[kind_of(call)]

    engine = Simulator(answer, cost=CostModel(decode_tokens_per_s=10))
    played = await play(adaptive, FACT, engine)
    assert played.answer.claim == "Auckland"
    assert engine.counters().aborted == 1


async def test_few_branches_and_a_budget_are_kept() -> None:
    engine = Scripted(
        {"plain": Says("Wellington", 0.4), "steps": boxed("Nelson"), "at once": boxed("Napier")}
    )
    played = await play(adaptive, FACT, engine, n=1)
    assert (played.answer.claim, len(engine.calls)) == ("Wellington", 1)
    played = await play(adaptive, FACT, Scripted(engine.script), budget=Budget(calls=2))
    assert played.result.answer is not None
    assert played.result.spent.calls == 2


# -- the form of the answer -----------------------------------------------------------------------


async def test_choices_get_letters_and_a_program_chooses_the_one_of_its_value() -> None:
    question = Question("What is 9 times 8?", choices=("63", "72", "81"))
    engine = Scripted({"plain": "B", "program": "answer = 9 * 8"})
    played = await play(adaptive, question, engine)
    assert (played.answer.claim, len(engine.calls)) == ("B", 2)
    engine = Scripted({"plain": "B", "program": "answer = 9 * 9 + 1", "steps": boxed("B")})
    played = await play(adaptive, question, engine)
    assert "the letter of the right choice" in played.said("branch 2")[0]
    assert saw(played, "nothing") == ["the program comes to 82, which is none of the choices"]


async def test_yes_or_no_is_asked_for_and_a_program_says_so_by_a_comparison() -> None:
    engine = Scripted({"plain": "No", "program": "answer = all(51 % n for n in range(2, 51))"})
    played = await play(adaptive, "Is 51 a prime number?", engine)
    assert (played.answer.claim, len(engine.calls)) == ("No", 2)
    engine = Scripted({"program": "answer = 51 / 3", "plain": boxed("no"), "steps": boxed("no")})
    played = await play(adaptive, "Are 51 sheep more than 50 sheep?", engine)
    assert "give yes or no alone" in played.said("branch 2")[0]
    assert "yes or no is asked for, and the program comes to 17" in saw(played, "nothing")


def test_no_prompt_shows_an_answer() -> None:
    for task in TASKS.values():
        assert not re.search(r"\d|\\boxed\{\{[^}]", task), task


async def test_the_prompts_of_all_kinds_share_their_head() -> None:
    engine = Scripted({"program": "answer = 1 + 1", "steps": boxed("3"), "plain": boxed("4")})
    played = await play(adaptive, Question(SUM, context="Clips are small."), engine)
    heads = {str(prompt[:-1]) for prompt in played.prompts("branch")}
    assert len(heads) == 1


@pytest.mark.parametrize(
    ("options", "hint"),
    [({"n": 0}, "greater"), ({"n": 65}, "less"), ({"sure": 1.5}, "less"), ({"rule": "fixed"}, "its options")],
)
def test_bad_options_are_refused(options: dict[str, object], hint: str) -> None:
    with pytest.raises(InvalidRequest, match=hint):
        adaptive.validate(options)


# -- resumed and forked ---------------------------------------------------------------------------

DOUBTFUL = {
    "program": "answer = 1 / 0",
    "steps": r"48 / 2 = 24, \boxed{72}",
    "plain": r"48 / 2 = 24, \boxed{72}",
}


async def test_a_run_that_was_killed_anywhere_goes_on_to_the_same_answer() -> None:
    played = await play(adaptive, SUM, Scripted(DOUBTFUL))  # type: ignore[arg-type]
    assert played.answer.claim == "72"
    for cut in range(1, len(played.events)):
        engine = Scripted(DOUBTFUL)  # type: ignore[arg-type]
        world = Environment(
            engine=engine, capabilities=await engine.capabilities(), toolbox=Toolbox(()), budget=Budget()
        )
        executor = Executor(Run, world, Recorder(), record=Record(played.events[:cut]), next_seq=cut)
        async with asyncio.timeout(60):
            result = await executor.execute(lambda run: adaptive(run, Question(SUM)), {})
        assert result.answer == played.answer, f"resumed after event {cut}"


async def test_a_fork_with_another_look_asks_only_what_follows_from_it() -> None:
    async with await open_store("memory") as store:
        engine = Scripted(
            {
                "plain": Says("Auckland", 0.9),
                "steps": boxed("Wellington"),
                "at once": boxed("Wellington"),
            }
        )
        service = Service(store, engine, planners={"adaptive": adaptive}, settings=Settings())
        request = TaskRequest.model_validate({"query": FACT, "planner": "adaptive"})
        solution = await service.solve(request)
        events = [event async for event in store.read(solution.trace_id)]
        look = next(e.path for e in events if e.data.get("kind") == NodeKind.GENERATE)
        fork = await service.fork(solution.trace_id, at=look, change=Change(value="Wellington"))
        replayed = await service.replay(fork.trace_id)
    assert (solution.answer, fork.answer) == ("Auckland", "Wellington")
    assert fork.usage.calls == 2, "a given look has no probabilities, so others are asked"
    assert replayed.result.answer is not None


# -- letters, and several parts -------------------------------------------------------------------


async def test_letters_are_counted_by_a_program_alone() -> None:
    engine = Scripted({"program": "answer = 'raspberry'.count('r')"})
    played = await play(adaptive, "How many r's are there in raspberry?", engine)
    assert (played.answer.claim, engine.kinds) == ("3", ["program"])
    assert played.verdicts(KINDS)[-1] == "stop: agreed"
    assert (played.answer.confidence, saw(played, "sure")) == (None, []), "tokens of a program are no answer"
    assert played.answer.basis == "one answer, not compared with others"


@pytest.mark.parametrize(
    "wrong",
    [
        "answer = '<question>How many r are there in raspberry?</question>'.count('r')",
        'text = "How many r\'s are there in raspberry?"\nanswer = text.count("r")',
    ],
)
async def test_a_program_that_counts_in_the_prompt_claims_nothing(wrong: str) -> None:
    engine = Scripted({"program": [wrong, "answer = 'raspberry'.count('r')"], "steps": ""})
    played = await play(adaptive, "How many r's are there in raspberry?", engine)
    assert played.result.answer is not None
    assert played.result.answer.claim == "3"
    assert "as it is written" in str(saw(played, "nothing")[0])


async def test_all_parts_are_asked_for_and_one_of_them_is_no_answer() -> None:
    question = "What is 15% of 80, and what is a quarter of that result?"
    program = "a = 80 * 0.15\nanswer = [a, a / 4]"
    engine = Scripted(
        {
            "program": program,
            "plain": "So 12 / 4 = 3.\nAnswer: 3",
            "steps": boxed("12, 3"),
        }
    )
    played = await play(adaptive, question, engine)
    assert played.answer.claim == "12, 3"
    assert "it answers one part of what is asked" in saw(played, "nothing")
    assert "all parts" in played.said("branch 1")[0]

"""Votes whose branches take turns with several prompts for one question."""

from __future__ import annotations

from collections.abc import Mapping
from random import Random
from typing import Any

import pytest

from orchestrator.planning.run import Run
from orchestrator.runtime.messages import assistant, user
from orchestrator.runtime.values import Answer, Budget
from orchestrator.runtime.verbs import Verbs
from orchestrator.voting.ballot import CORRECTIONS, Turn
from storage.events import EventType
from tests.orchestrator.runtime.harness import Played, play
from workers.calls import Call, Completion, Usage
from workers.engine import Capabilities, Engine
from workers.engines.simulator.engine import Simulator
from workers.engines.simulator.faults import Fault
from workers.errors import CallRejected
from workers.tools.declaration import tool
from workers.tools.tool import Tool


async def vote(rule: str, engine: Simulator, *others: str) -> Played:
    async def body(run: Run) -> Answer:
        return await run.vote(
            [user("First?")], turns=[[user(each)] for each in others], rule=rule, width=5, max_tokens=64
        )

    return await play(body, engine)


def asked(played: Played) -> list[str]:
    """What each call was asked, in the order of starting, without what it goes on with."""
    requests = [e.data["request"]["prompt"] for e in played.events if "request" in e.data]
    return [prompt[0][1] for prompt in requests]


async def test_branches_take_turns_and_vote_together() -> None:
    def answer(call: Call, _: Random) -> str:
        return rf"\boxed{{{7 if 'First' in call.prompt.messages()[0]['content'] else 8}}}"

    played = await vote("fixed", Simulator(answer), "Second?")
    assert asked(played) == ["First?", "Second?", "First?", "Second?", "First?"]
    assert played.result.answer is not None
    assert [(each.claim, each.count) for each in played.result.answer.clusters] == [("7", 3), ("8", 2)]
    assert asked(await vote("fixed", Simulator(answer), "Second?", "Third?"))[2:4] == ["Third?", "First?"]
    assert asked(await vote("fixed", Simulator(answer))) == ["First?"] * 5


async def test_a_branch_that_goes_on_keeps_its_prompt() -> None:
    played = await vote("parallel_probe", Simulator("word " * 2000 + r"\boxed{7}"), "Second?")
    labels = {e.path: e.data["label"] for e in played.events if e.type is EventType.NODE_ADDED}
    requests = {e.path: e.data["request"]["prompt"] for e in played.events if "request" in e.data}
    for path, prompt in requests.items():
        branch = int(labels[path].removeprefix("branch ").partition(",")[0])
        assert prompt[0][1] == ("Second?" if branch % 2 else "First?")


@tool
async def doubled(text: str, claim: str) -> dict[str, str]:
    """Claim twice the number."""
    return {"claim": str(2 * int(claim))} if claim.isdigit() else {"nothing": f"{text} is no number"}


@tool
async def divided(text: str, claim: str) -> dict[str, str]:
    """Claim two thirds of a number, with all its digits."""
    return {"claim": "66.6666666667"}


@tool
async def broken(text: str, claim: str) -> dict[str, str]:
    """Fail."""
    raise RuntimeError(text + claim)


def kinds(*readings: Tool | None) -> list[Turn]:
    return [Turn([user(f"Kind {at}?")], f"kind {at}", reading=each) for at, each in enumerate(readings)]


async def held(
    engine: Engine,
    *turns: Turn,
    rule: str = "fixed",
    width: int = 3,
    settings: Mapping[str, Any] | None = None,
    **options: Any,
) -> Played:
    async def body(run: Run) -> Answer:
        given = {"max_tokens": 64, **options}
        return await run.vote(turns[0], turns=turns[1:], rule=rule, width=width, **given)

    return await play(body, engine, **(settings or {}))


def counted(played: Played) -> list[tuple[str, int]]:
    assert played.result.answer is not None
    return [(each.claim, each.count) for each in played.result.answer.clusters]


def seen(played: Played, name: str) -> list[Any]:
    return [
        e.data["saw"][name] for e in played.events if e.type is EventType.DECISION and name in e.data["saw"]
    ]


async def test_a_branch_claims_what_its_reading_says_and_the_trace_has_its_kind() -> None:
    played = await held(Simulator(r"\boxed{7}"), *kinds(None, doubled))
    assert played.result.answer is not None
    assert [(each.claim, each.count) for each in played.result.answer.clusters] == [("7", 2), ("14", 1)]
    assert sorted(seen(played, "kind")) == ["kind 0", "kind 0", "kind 1"]


async def test_what_a_reading_makes_of_it_stands_under_the_text_of_the_answer() -> None:
    played = await held(Simulator(r"\boxed{7}"), *kinds(doubled))
    assert played.answer == "\\boxed{7}\n\n14"


async def test_a_text_votes_for_the_number_that_it_rounds_and_people_are_shown_it() -> None:
    played = await held(Simulator(r"\boxed{66.67 \text{ km/h}}"), *kinds(divided, None))
    answer = played.result.answer
    assert answer is not None
    assert [each.count for each in answer.clusters] == [3]
    told = answer.shown.get(answer.claim or "", answer.claim)
    assert told == r"66.67 \text{ km/h}"
    alone = (await held(Simulator(r"\boxed{100}"), *kinds(divided), width=1)).result.answer
    assert alone is not None
    assert (alone.claim, alone.shown) == ("66.6666666667", {"66.6666666667": "66.67"})


async def test_a_reading_may_find_nothing_and_one_that_fails_leaves_nothing() -> None:
    engine = Simulator([r"\boxed{x}", r"\boxed{7}", r"\boxed{7}", r"\boxed{7}"])
    played = await held(engine, *kinds(doubled, broken, None, None), width=4)
    assert played.answer == r"\boxed{7}"
    assert set(seen(played, "nothing")) == {r"\boxed{x} is no number", "it could not be read"}


@tool
async def echoing(text: str, claim: str) -> dict[str, str]:
    """Claim what the prompt says is asked for."""
    return {"claim": "the answer"}


async def test_a_branch_that_gives_the_prompt_back_abstains_and_the_trace_says_so() -> None:
    engine = Simulator([r"\boxed{the final answer}", r"\boxed{7}", r"\boxed{7}"])
    played = await held(engine, *kinds(None, echoing, None))
    assert played.result.answer is not None
    assert [(each.claim, each.count) for each in played.result.answer.clusters] == [("7", 1)]
    assert set(seen(played, "nothing")) == {
        "it gives back what is asked for: the final answer",
        "it gives back what is asked for: the answer",
    }


async def test_a_turn_has_sampling_of_its_own() -> None:
    turns = [
        Turn([user("Cold?")], "cold", {"temperature": 0.0, "max_tokens": 9}),
        Turn([user("Warm?")], "warm"),
    ]
    played = await held(Simulator(r"\boxed{7}"), *turns, width=2, temperature=0.9)
    sampling = [e.data["request"]["sampling"] for e in played.events if "request" in e.data]
    assert [(each["temperature"], each["max_tokens"]) for each in sampling] == [(0.0, 9), (0.9, 64)]


async def test_a_branch_that_is_cut_off_early_is_no_vote_and_the_next_of_its_kind_may_be_longer() -> None:
    turn = Turn([user("Long?")], "long", {"max_tokens": 4})
    played = await held(
        Simulator("one two three four five six seven eight \\boxed{7}"), turn, rule="kinds:kinds=1", width=3
    )
    sampling = [e.data["request"]["sampling"]["max_tokens"] for e in played.events if "request" in e.data]
    assert sampling == [4, 16, 16]
    assert played.result.answer is not None
    assert played.result.answer.claim == "7"
    assert [each.count for each in played.result.answer.clusters] == [1], "what was cut off is not counted"


@tool
async def correcting(text: str, claim: str) -> dict[str, str]:
    """Accept only 8, and correct every 7."""
    if "7" not in text:
        return {"claim": claim}
    return {"nothing": "7 is wrong: it is 8", "corrected": text.partition("7")[0] + "8"}


def continued(call: Call, _: Random) -> str:
    """A model that says 7, but goes on from what it has been told."""
    last = call.prompt.messages()[-1]
    return r", so \boxed{8}" if last["role"] == "assistant" else r"It is 7, so \boxed{7}"


async def test_a_branch_goes_on_from_where_its_reading_corrected_it() -> None:
    played = await held(Simulator(continued), *kinds(correcting), width=2)
    assert played.answer == r"It is 8, so \boxed{8}"
    assert counted(played) == [("8", 2)]
    assert seen(played, "corrected")[-1] == ["7 is wrong: it is 8"]


async def test_a_branch_is_corrected_a_few_times_only() -> None:
    played = await held(Simulator(r"It is 7, so \boxed{7}"), *kinds(correcting, None), width=2)
    asked = [e for e in played.events if "request" in e.data and "prompt" in e.data["request"]]
    assert len(asked) == 2 + CORRECTIONS
    assert seen(played, "nothing")[-1] == "7 is wrong: it is 8"
    assert played.answer == r"It is 7, so \boxed{7}"
    assert [count for _, count in counted(played)] == [1]


def on_going(call: Call) -> bool:
    return str(call.prompt.messages()[-1]["role"]) == "assistant"


async def test_a_branch_whose_correction_fails_claims_nothing() -> None:
    engine = Simulator(continued, faults=[Fault(kind="reject", when=on_going)])
    played = await held(engine, *kinds(correcting), width=2)
    assert seen(played, "nothing")[-1] == "7 is wrong: it is 8"
    assert played.result.answer is not None
    assert played.result.answer.undecided
    assert played.result.answer.text == r"It is 7, so \boxed{7}"


async def test_a_correction_leaves_a_branch_no_more_tokens_than_it_had() -> None:
    played = await held(Simulator(continued), *kinds(correcting), width=1, max_tokens=60)
    requests = [e.data["request"] for e in played.events if "request" in e.data]
    first, second = (each["sampling"]["max_tokens"] for each in requests if "prompt" in each)
    assert first == 60
    assert 24 <= second < 60


def rambling(call: Call, _: Random) -> str:
    """A model that does not come to its end before it must."""
    last = call.prompt.messages()[-1]
    return "7}" if last["role"] == "assistant" else "one two three four five six seven eight"


def long(reading: Tool | None = None, *, concludes: bool = True) -> Turn:
    return Turn([user("Long?")], "long", {"max_tokens": 4}, reading, concludes=concludes)


async def test_a_branch_that_was_cut_off_is_made_to_conclude() -> None:
    played = await held(Simulator(rambling), long(), rule="kinds:kinds=1", width=3)
    answer = played.result.answer
    assert answer is not None
    assert (answer.claim, [each.count for each in answer.clusters]) == ("7", [1])
    assert answer.text.endswith(r"The final answer is \boxed{7}")
    assert seen(played, "concluded")[-1] is True
    assert not seen(played, "nothing")


@pytest.mark.parametrize(
    ("said", "claim"),
    [
        ("7", "7"),
        ("7} as 3 + 4 is " + "seven " * 40, "7"),
        (r"\frac{1}{2}} and", r"\frac{1}{2}"),
        ("7\nso", "7"),
    ],
)
async def test_what_a_branch_concludes_ends_with_its_box(said: str, claim: str) -> None:
    def answer(call: Call, _: Random) -> str:
        return said if on_going(call) else "one two three four five six seven eight"

    played = await held(Simulator(answer), long(), width=1)
    assert played.result.answer is not None
    assert played.result.answer.claim == claim
    assert played.result.answer.text.endswith(rf"\boxed{{{claim}}}")


async def test_a_branch_that_fails_to_conclude_was_cut_off() -> None:
    engine = Simulator(rambling, faults=[Fault(kind="reject", when=on_going)])
    played = await held(engine, long(), width=1)
    assert seen(played, "nothing") == ["cut off after 4 tokens"]
    assert played.result.answer is not None
    assert "cut off" in str(played.result.answer.undecided)


async def test_a_branch_that_used_all_the_tokens_of_the_vote_concludes_as_well() -> None:
    played = await held(Simulator(rambling), long(), width=1, max_tokens=4)
    assert played.result.answer is not None
    assert played.result.answer.claim == "7"


async def test_a_conclusion_closes_the_program_that_was_cut() -> None:
    def answer(call: Call, _: Random) -> str:
        return "7}" if on_going(call) else "```python\nx = 1\n" + "y = 2\n" * 40

    played = await held(Simulator(answer), long(), width=1)
    assert played.result.answer is not None
    assert played.result.answer.claim == "7"


async def test_only_a_branch_that_has_something_to_conclude_from_does() -> None:
    for engine, turn in (
        (Simulator(rambling), long(concludes=False)),
        (Simulator("<think> one two three four five"), long()),
        (Simulator("So <think> one two three four five"), long()),
    ):
        played = await held(engine, turn, width=1)
        assert seen(played, "nothing") == ["cut off after 4 tokens"]
        assert not seen(played, "concluded")


async def test_after_a_branch_that_had_to_conclude_the_next_of_its_kind_may_be_longer() -> None:
    played = await held(Simulator(rambling), long(), rule="fixed", width=2)
    sampling = [e.data["request"]["sampling"]["max_tokens"] for e in played.events if "request" in e.data]
    assert sorted(sampling) == [4, 4, 24, 24], "both began together"
    played = await held(Simulator(rambling), long(), rule="kinds:looks=1", width=2)
    sampling = [e.data["request"]["sampling"]["max_tokens"] for e in played.events if "request" in e.data]
    assert sampling[:3] == [4, 24, 16]


async def test_what_a_branch_concludes_is_read_like_any_other() -> None:
    played = await held(Simulator(rambling), long(doubled), width=1)
    assert played.result.answer is not None
    assert played.result.answer.claim == "14"


@pytest.mark.parametrize(
    "settings",
    [
        {"capabilities": Capabilities(model="simulator", assistant_prefill=False)},
        {"budget": Budget(calls=1)},
    ],
)
async def test_a_branch_that_cannot_go_on_claims_nothing(settings: dict[str, Any]) -> None:
    played = await held(Simulator(continued), *kinds(correcting), width=1, settings=settings)
    assert seen(played, "nothing") == ["7 is wrong: it is 8"]


# -- branches that planner code writes -------------------------------------------------------------


async def two_calls(run: Verbs) -> Completion:
    """A branch of two calls, of which the second fails or takes long where the first asks for it."""
    first = await run.generate("First part?", label="first")
    second = await run.generate([user("Second part?"), assistant(first)], label="second", max_tokens=8)
    text = f"{first.text} {second.text}"
    return Completion(text, second.finish_reason, Usage(completion_tokens=9))


async def written(engine: Simulator, **options: Any) -> Played:
    async def body(run: Run) -> Answer:
        turn = Turn([user("First?")], "two", concludes=True, writing=two_calls)
        given = {"rule": "fixed", "width": 2, "turns": [Turn([user("Other?")], "one")], **options}
        return await run.vote(turn, **given)

    return await play(body, engine)


async def test_planner_code_may_write_a_branch() -> None:
    def answer(call: Call, _: Random) -> str:
        return (
            r"\boxed{7}" if call.prompt.prefill or "Other" in call.prompt.messages()[0]["content"] else "So"
        )

    played = await written(Simulator(answer))
    assert played.result.answer is not None
    assert (played.result.answer.claim, played.result.answer.kinds) == ("7", ("one", "two"))
    added = {e.data["label"]: (e.path, e.data["kind"]) for e in played.events if "kind" in e.data}
    assert added["branch 0"] == ("0.0", "spawn")
    assert added["branch 1"] == ("0.1", "generate")
    assert {added["first"][0], added["second"][0]} == {"0.0.0", "0.0.1"}


async def test_a_written_branch_that_is_cut_off_concludes_after_the_prompt_of_its_turn() -> None:
    def answer(call: Call, _: Random) -> str:
        return "7}" if call.prompt.prefill.endswith("boxed{") else "So it goes on and on without an end."

    played = await written(Simulator(answer), width=1)
    assert played.result.answer is not None
    assert played.result.answer.claim == "7"
    concluded = [e.data["request"]["prompt"] for e in played.events if "request" in e.data][-1]
    assert concluded[0][1] == "First?"
    assert concluded[1][1].startswith("So it goes on and on without an end. So it goes")


async def test_a_written_branch_that_fails_does_not_vote() -> None:
    def answer(call: Call, _: Random) -> str:
        if call.prompt.prefill:
            raise CallRejected("not that")
        return r"\boxed{8}" if "Other" in call.prompt.messages()[0]["content"] else "So"

    played = await written(Simulator(answer))
    assert played.result.answer is not None
    assert [(each.claim, each.count) for each in played.result.answer.clusters] == [("8", 1)]


async def test_a_rule_that_looks_at_running_branches_cannot_look_at_written_ones() -> None:
    played = await written(Simulator("So"), rule="parallel_probe")
    assert played.result.failure is not None
    assert "planner code writes them: give another rule" in played.result.failure.message

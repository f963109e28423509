from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Sequence
from random import Random
from typing import Any

import pytest

from orchestrator.errors import InvalidRequest
from orchestrator.runtime.nodes import NodeKind
from planners.joining import JOINER
from planners.llm_compiler import llm_compiler
from planners.plan_prompt import PLANNER
from storage.events import EventType
from tests.planners.conftest import BARE, GUIDED, Played, play
from tests.planners.people import add, age
from tests.workers.virtual_time import elapsed, virtual_time
from workers.calls import Call, Prompt
from workers.engines.simulator.engine import CostModel, Fault, Simulator
from workers.errors import ToolError
from workers.tools.declaration import tool

QUESTION = "How old are they together?"
PLAN = '1. age("Ann")\n2. age("Bob")\n3. add($1, $2)\n4. join()\n'
FINISH = '{"thought": "the sum is there", "answer": "75"}'


@tool
async def say(text: str) -> str:
    """Gives back what it is given."""
    return text


TOOLS = (age, add, say)


def model(
    plans: str | Sequence[str] = PLAN, verdicts: str | Sequence[str] = FINISH
) -> Callable[[Call, Random], str]:
    """Plans and joins as told, the last of a list again and again; otherwise answers plainly."""
    plans = [plans] if isinstance(plans, str) else list(plans)
    verdicts = [verdicts] if isinstance(verdicts, str) else list(verdicts)

    def answer(call: Call, _: Random) -> str:
        told = "".join(message["content"] for message in call.prompt.messages())
        script = plans if PLANNER in told else verdicts if JOINER in told else None
        if script is None:
            return "Plainly 75."
        return script.pop(0) if len(script) > 1 else script[0]

    return answer


async def compile_(
    plans: str | Sequence[str] = PLAN, verdicts: str | Sequence[str] = FINISH, **options: Any
) -> Played:
    tools = options.pop("tools", TOOLS)
    engine = options.pop("engine", None) or Simulator(model(plans, verdicts), claims=BARE)
    return await play(llm_compiler, QUESTION, engine, tools=tools, **options)


def as_json(*steps: list[Any]) -> str:
    return json.dumps({"plan": steps})


def fell_back(played: Played, to: str = "react") -> str:
    """The reason for which another method answered."""
    assert "75" in played.answer.text
    (decision,) = (d for d in played.decisions("llm_compiler") if d["verdict"] == to)
    return str(decision["saw"]["reason"])


def from_results(played: Played) -> str:
    """The reason for which the answer was made of the results as they stand."""
    assert played.result.answer is not None
    (decision,) = (d for d in played.decisions("llm_compiler") if d["verdict"] == "from results")
    return str(decision["saw"]["reason"])


# -- the way through ------------------------------------------------------------------------------


@pytest.mark.parametrize("guided", [False, True])
async def test_tools_run_and_the_joiner_answers_from_their_results(guided: bool) -> None:
    plan = as_json(["age", "Ann"], ["age", "Bob"], ["add", "$1", "$2"])
    engine = Simulator(model(plan if guided else PLAN), claims=GUIDED if guided else BARE)
    played = await compile_(engine=engine)
    assert played.answer.text == "75"
    assert played.answer.claim == "75"
    ann, bob, total = played.nodes(NodeKind.TOOL)
    assert played.inputs(total) == [ann, bob]
    assert played.requests(kind=NodeKind.TOOL)[2]["arguments"] == {"first": 30, "second": 45}
    assert '1. age("Ann") = 30\n2. age("Bob") = 45\n3. add($1, $2) = 75\n' in played.said("join")[0]
    assert set(played.inputs(played.nodes(NodeKind.GENERATE, "join")[0])) == {ann, bob, total}


async def test_a_plan_is_asked_for_under_a_schema_only_where_the_engine_has_it() -> None:
    bare = await compile_()
    assert "schema" not in bare.requests("plan")[0]
    assert bare.requests("plan")[0]["sampling"]["stop"] == ["<END_OF_PLAN>"]
    guided = await compile_(engine=Simulator(model(as_json(["age", "Ann"])), claims=GUIDED))
    kinds = guided.requests("plan")[0]["schema"]["properties"]["plan"]["items"]["anyOf"]
    names = [kind["prefixItems"][0]["const"] for kind in kinds]
    assert list(dict.fromkeys(names))[:4] == ["age", "add", "say", "ask"]


@virtual_time
async def test_a_tool_starts_while_the_plan_is_still_being_written() -> None:
    for claims, plan in (
        (BARE, PLAN),
        (
            GUIDED,
            as_json(["age", "Ann"], ["age", "Bob"], ["say", "$1"]),
        ),
    ):
        engine = Simulator(model(plan), cost=CostModel(decode_tokens_per_s=2), claims=claims)
        played = await compile_(engine=engine, call_seconds=600)
        plan_ended = played.seq(EventType.NODE_SETTLED, played.nodes(NodeKind.GENERATE, "plan")[0])
        first, second, _ = played.nodes(NodeKind.TOOL)
        assert (
            played.seq(EventType.NODE_SETTLED, first) < played.seq(EventType.NODE_ADDED, second) < plan_ended
        )


async def test_the_engine_may_prepare_for_the_joiner_while_tools_run() -> None:
    asked: list[tuple[Prompt, str]] = []

    class Preparing(Simulator):
        async def warm(self, prompt: Prompt, *, tenant: str, role: str) -> bool:
            asked.append((prompt, role))
            return True

    @tool
    async def slow_age(name: str) -> int:
        """How old a person is."""
        await asyncio.sleep(0.05)
        return 30

    engine = Preparing(model('1. slow_age("Ann")\n2. join()\n', '{"answer": 30}'), claims=BARE)
    played = await compile_(engine=engine, tools=(slow_age,))
    ((prompt, role),) = asked
    assert role == "planner"
    (joined,) = played.requests("join")
    assert joined["prompt"][: len(prompt.segments)] == [[one.role, one.text] for one in prompt.segments]
    assert prompt.segments[-1].text.endswith("<results>\n")


@virtual_time
async def test_a_successor_starts_at_once_beside_a_slow_sibling() -> None:
    started: dict[str, float] = {}

    @tool
    async def work(name: str, seconds: float, after: str = "") -> str:
        """Takes some time."""
        started[name] = asyncio.get_running_loop().time()
        await asyncio.sleep(seconds)
        return name

    plan = '1. work("slow", 10)\n2. work("quick", 1)\n3. work("next", 1, after=$2)\n4. join()'
    engine = Simulator(model(plan), claims=BARE)
    took = await elapsed(compile_(engine=engine, tools=[work]))
    assert started == {"slow": 0.0, "quick": 0.0, "next": 1.0}
    assert took == pytest.approx(10.0)


# -- arguments ------------------------------------------------------------------------------------


async def said_by(plan: str, **options: Any) -> list[Any]:
    """What the ``say`` calls of a plan gave back, in order of adding."""
    played = await compile_(plan, **options)
    assert played.answer.text == "75", played.decisions("llm_compiler")
    return [request["arguments"].get("text") for request in played.requests(kind=NodeKind.TOOL)]


async def test_ten_is_not_one() -> None:
    lines = [f'{n}. say("<{n}>")' for n in range(1, 12)]
    said = await said_by("\n".join([*lines, '12. say("$10 $1 ${1}0 $11")', "13. join()"]))
    assert said[-1] == "<10> <1> <1>0 <11>"


async def test_results_with_quotes_newlines_and_references_arrive_as_they_are() -> None:
    nasty = 'He said: "it\'s\n\\n $1 (or ${2})"'

    @tool
    async def quote() -> str:
        """A text that breaks things."""
        return nasty

    plan = "1. quote()\n2. say($1)\n3. say('a $1 b')\n4. join()"
    said = await said_by(plan, tools=[quote, say])
    assert said[1:] == [nasty, f"a {nasty} b"]


async def test_several_lines_parentheses_and_money() -> None:
    plan = '1. say("one (1)\ntwo)")\n2. say(\n  text="$1, for $20 or $3.50"\n)\n3. join()'
    assert await said_by(plan) == ["one (1)\ntwo)", "one (1)\ntwo), for $20 or $3.50"]


async def test_a_result_is_passed_as_the_value_that_it_is_or_as_text_where_text_is_taken() -> None:
    @tool
    async def person() -> dict[str, Any]:
        """A person."""
        return {"name": "Ann", "ages": [1, 2]}

    @tool
    async def look(value: dict[str, Any], items: list[Any]) -> str:
        """Looks."""
        return str(value["ages"])

    plan = '1. person()\n2. look($1, [$1, "is $1"])\n3. say($1)\n4. say(48 / 2)\n5. say(7)\n6. join()'
    played = await compile_(plan, tools=[person, look, say])
    requests = [played.requests(f"{n} ", NodeKind.TOOL)[0]["arguments"] for n in range(1, 6)]
    whole, text = {"name": "Ann", "ages": [1, 2]}, '{"ages":[1,2],"name":"Ann"}'
    assert requests[1] == {"value": whole, "items": [whole, f"is {text}"]}
    assert [request["text"] for request in requests[2:]] == [text, "48 / 2", "7"]


async def test_equal_calls_are_made_once() -> None:
    plan = '1. age("Ann")\n2. age(name="Ann")\n3. add($1, $2)\n4. add(${1}, second=$1)\n5. join()'
    played = await compile_(plan)
    assert len(played.nodes(NodeKind.TOOL)) == 2
    assert '2. age("Ann") = 30' in played.said("join")[0]


@pytest.mark.parametrize(
    "plan",
    [
        '**1.** age("Ann")\n**2.** age("Bob")\n**3.** add($1, $2)\n**4.** join()\n',
        "Action: age(“Ann”)\nAction: age(“Bob”)\nAction: add($1, $2)\nAction: join()\n",
        'age("Ann")\nage("Bob")\nadd($1, $2)\njoin\n',
        '<think>1. age("Cyd")</think>1. `age("Ann")` 2. `age("Bob")` 3. `add($1, $2)` 4. `join()`',
    ],
)
async def test_a_plan_is_carried_out_however_its_lines_are_written(plan: str) -> None:
    played = await compile_(plan)
    assert played.answer.text == "75"
    assert played.decisions("llm_compiler") == []
    calls = [request["arguments"] for request in played.requests(kind=NodeKind.TOOL)]
    assert calls == [{"name": "Ann"}, {"name": "Bob"}, {"first": 30, "second": 45}]


async def test_a_further_plan_without_numbers_goes_on_with_them() -> None:
    plans = ['1. age("Ann")\n2. join()\n', '- age("Bob")\n- add($1, $2)\n- join()\n']
    missing = '{"thought": "", "replan": "the age of Bob"}'
    played = await compile_(plans, [missing, missing, FINISH])
    assert "3. add($1, $2) = 75" in played.said("join")[-1]


# -- failures are results -------------------------------------------------------------------------


async def test_a_tool_that_raises_is_a_typed_result_for_the_joiner() -> None:
    played = await compile_('1. age("Cyd")\n2. add($1, 1)\n3. say("still here")\n4. join()')
    read = played.said("join")[0]
    ann, total = (line for line in read.splitlines() if line.startswith(("1. age", "2. add")))
    assert ann.startswith('1. age("Cyd") failed: ')
    assert ann.endswith("KeyError: 'Cyd' (tool_error)")
    assert total.startswith("2. add($1, 1) failed: ")
    assert total.endswith("KeyError: 'Cyd' (tool_error)")
    assert "= still here" in read
    assert played.answer.text == "75"


@virtual_time
async def test_a_tool_that_hangs_is_a_typed_result_for_the_joiner() -> None:
    async def hang() -> str:
        """Never ends."""
        await asyncio.Event().wait()
        return ""

    engine = Simulator(model("1. hang()\n2. say('x')\n3. join()"), claims=BARE)
    played = await compile_(engine=engine, tools=[tool(timeout=5.0)(hang), say])
    hung, said = (line for line in played.said("join")[0].splitlines() if line[:6] in ("1. han", "2. say"))
    assert hung.startswith("1. hang() failed: hang ")
    assert hung.endswith("5 s (tool_error)")
    assert said.endswith("= x")
    assert played.answer.text == "75"


async def test_wrong_arguments_are_a_typed_result_for_the_joiner() -> None:
    played = await compile_('1. add("x")\n2. join()')
    assert "1. add" in played.said("join")[0]
    assert "(tool_error)" in played.said("join")[0]


# -- replanning -----------------------------------------------------------------------------------


async def test_a_replan_goes_on_with_the_numbers_and_the_results() -> None:
    plans = ['1. age("Ann")\n2. join()\n', '2. age("Bob")\n3. age("Ann")\n4. add($1, $2)\n5. join()\n']
    missing = '{"thought": "", "replan": "the age of Bob"}'
    played = await compile_(plans, [missing, missing, FINISH])
    assert played.answer.text == "75"
    assert played.verdicts("llm_compiler") == ["replan"]
    assert len(played.nodes(NodeKind.TOOL)) == 3  # Ann's age is not looked up again
    again = played.said("plan")[1]
    assert '1. age("Ann") = 30' in again
    assert "the age of Bob" in again
    assert "The next step has the number 2." in again
    assert "4. add($1, $2) = 75" in played.said("join")[-1]


async def test_replans_are_bounded_and_the_last_joiner_must_answer() -> None:
    again = '{"thought": "", "replan": "more"}'
    plans = [f'{n}. say("{n}")\n{n + 1}. join()\n' for n in range(1, 9)]
    played = await compile_(plans, again, max_replans=2)
    assert from_results(played) == "the results do not suffice"
    assert len(played.nodes(NodeKind.GENERATE, "plan")) == 3
    joiners = played.said("join")
    assert ['"Replan: "' in text for text in joiners] == [True] * 6 + [False]


async def test_without_replans_the_first_joiner_must_answer() -> None:
    played = await compile_(max_replans=0)
    assert '"replan"' not in played.said("join")[0]


async def test_a_replan_that_fails_leaves_an_answer_from_what_there_is() -> None:
    plans = ['1. age("Ann")\n2. join()\n', "I don't know.", "I still don't."]
    more = '{"thought": "", "replan": "more"}'
    played = await compile_(plans, [more, more, FINISH])
    assert played.answer.text == "75"
    assert played.verdicts("llm_compiler") == ["replan", "refuse", "refuse", "answer"]


async def test_the_word_of_one_joiner_is_no_evidence() -> None:
    played = await compile_(verdicts=['{"thought": "", "replan": "more"}', FINISH])
    assert played.answer.text == "75"
    [decision] = played.decisions("llm_compiler")
    assert decision["verdict"] == "answer"
    assert decision["saw"]["missing"] == 1
    assert decision["saw"]["answers"] == {"75": 4}


@pytest.mark.parametrize("nothing", [None, "", [], {}])
async def test_a_step_without_a_result_is_evidence(nothing: object) -> None:
    @tool
    def look() -> object:
        """Finds nothing."""
        return nothing

    plans = ["1. look()\n2. join()\n", "2. join()\n"]
    played = await compile_(plans, ['{"thought": "", "replan": "more"}', FINISH], tools=[look])
    assert played.decisions("llm_compiler")[0]["saw"] == {"missing": "more", "lacking": [1]}


async def test_three_joiners_of_whom_none_answers_leave_an_answer_from_the_results() -> None:
    verdicts = ['{"thought": "", "replan": "more"}', '{"thought": "", "replan": ""}']
    assert "find nothing at all" in from_results(await compile_(verdicts=verdicts))


async def test_a_failure_that_may_pass_is_tried_again_in_the_next_plan() -> None:
    tries: list[int] = []

    class Busy(ToolError):
        code = "busy"
        retryable = True

    @tool
    async def flaky() -> str:
        """Fails at first."""
        tries.append(1)
        if len(tries) == 1:
            raise Busy("try again")
        return "done"

    plans = ["1. flaky()\n2. join()\n", "2. flaky()\n3. join()\n"]
    played = await compile_(plans, ['{"thought": "", "replan": "again"}', FINISH], tools=[flaky])
    assert "2. flaky() = done" in played.said("join")[1]


# -- bad plans ------------------------------------------------------------------------------------


BAD_PLANS = {
    "unknown tool": ('1. fly("home")\n2. join()', "fly, which is no tool; the tools are age, add, say"),
    "self reference": ("1. say($1)\n2. join()", "step 1 refers to itself"),
    "forward reference": (
        '1. say($2)\n2. say("x")\n3. join()',
        "step 1 refers to step 2, which comes after it",
    ),
    "circle": ("1. say($2)\n2. say($1)\n3. join()", "in a circle"),
    "missing reference": ("1. say($9)\n2. join()", "step 1 refers to 9; the steps are 1"),
    "duplicate id": ('1. say("a")\n1. say("b")\n2. join()', "the id 1 is used twice"),
    "no join": ('1. say("a")\n', "the plan does not end with join"),
    "prose": ("Let me think about that.", "the plan does not end with join"),
    "nothing": ("", "the plan does not end with join"),
    "far id": ('70. say("a")\n71. join()', "the ids of the steps go from 1 to 3, not to 70"),
}


@pytest.mark.parametrize("kind", BAD_PLANS)
async def test_a_bad_plan_is_sent_back_once_with_its_errors(kind: str) -> None:
    bad, error = BAD_PLANS[kind]
    played = await compile_([bad, PLAN], max_tasks=3)
    assert played.answer.text == "75"
    repair = played.prompts("repaired plan")[0]
    assert repair[-2] == ("assistant", bad or "(nothing)")
    assert error in repair[-1][1]
    assert played.decisions("llm_compiler")[0]["saw"]["errors"]


@pytest.mark.parametrize("kind", BAD_PLANS)
async def test_a_plan_that_stays_bad_falls_back_with_the_reason(kind: str) -> None:
    bad, error = BAD_PLANS[kind]
    played = await compile_(bad, max_tasks=3)
    assert error in fell_back(played)
    assert (
        len(played.nodes(NodeKind.GENERATE, "plan"))
        == len(played.nodes(NodeKind.GENERATE, "repaired plan"))
        == 1
    )


async def test_a_plan_is_sent_back_without_what_was_thought() -> None:
    played = await compile_(["<think>say or swim?</think>1. swim()\n2. join()", PLAN])
    assert played.prompts("repaired plan")[0][-2] == ("assistant", "1. swim()\n2. join()")


async def test_several_errors_are_all_listed() -> None:
    played = await compile_(['1. fly()\n2. say("x")\n2. swim()\n', PLAN])
    errors = played.decisions("llm_compiler")[0]["saw"]["errors"]
    assert len(errors) == 3


async def test_what_a_refused_plan_began_is_used_again_or_cancelled() -> None:
    bad = '1. age("Ann")\n2. say("never")\n3. fly()\n4. join()'
    engine = Simulator(model([bad, PLAN]), claims=BARE)

    @tool
    async def age(name: str) -> int:
        """Slow."""
        await asyncio.sleep(0.05)
        return 30 if name == "Ann" else 45

    @tool
    async def say(text: str) -> str:
        """Slow."""
        await asyncio.Event().wait()
        return text

    played = await compile_(engine=engine, tools=[age, add, say])
    outcomes = {
        label: played.outcome(played.nodes(NodeKind.TOOL, label)[0]) for label in ("1 age", "2 say", "2 age")
    }
    assert outcomes == {"1 age": "succeeded", "2 say": "cancelled", "2 age": "succeeded"}
    assert len(played.nodes(NodeKind.TOOL)) == 4


async def test_a_call_that_was_cancelled_is_made_again_when_a_further_plan_wants_it() -> None:
    ready = asyncio.Event()

    @tool
    async def look(name: str) -> str:
        """Waits for somebody to fail."""
        await ready.wait()
        return f"found {name}"

    @tool
    async def fail() -> str:
        """Fails, once what nobody wants has been cancelled."""
        await asyncio.sleep(0.3)
        ready.set()
        raise KeyError("gone")

    plans = ['1. look("x")\n2. fly()\n3. join()', "1. fail()\n2. join()", '2. look("x")\n3. join()']
    played = await compile_(plans, ['{"thought": "", "replan": "x"}', FINISH], tools=[look, fail])
    looked = [played.outcome(path) for path in played.nodes(NodeKind.TOOL, "1 look")]
    assert looked == ["cancelled"]
    assert '2. look("x") = found x' in played.said("join")[-1]


async def test_side_effects_wait_for_a_plan_that_is_whole_and_valid() -> None:
    sent: list[str] = []

    async def send(text: str) -> str:
        """Sends."""
        sent.append(text)
        return f"sent {text}"

    bad = '1. send("a")\n2. say($1)\n3. fly()\n4. join()'
    good = '1. send("b")\n2. say($1)\n3. join()'
    played = await compile_([bad, good], tools=[tool(side_effects=True)(send), say])
    assert sent == ["b"]
    assert "2. say" in played.said("join")[0]
    repaired = played.nodes(NodeKind.GENERATE, "repaired plan")[0]
    assert played.seq(EventType.NODE_SETTLED, repaired) < played.seq(
        EventType.NODE_ADDED, played.nodes(NodeKind.TOOL)[0]
    )


async def test_a_plan_that_was_cut_off_says_so() -> None:
    played = await compile_(max_tokens=6)
    assert "the plan was cut off before join" in played.decisions("llm_compiler")[0]["saw"]["errors"]


async def test_a_model_that_goes_on_after_its_join_is_stopped() -> None:
    rambling = PLAN + "Observation: I made this up.\n" * 500
    engine = Simulator(model(rambling), cost=CostModel(decode_tokens_per_s=200), claims=BARE)  # for seconds
    played = await compile_(engine=engine)
    assert played.answer.text == "75"
    assert played.outcome(played.nodes(NodeKind.GENERATE, "plan")[0]) == "cancelled"
    assert engine.counters().aborted == 1


async def test_a_plan_without_steps_is_answered_plainly() -> None:
    assert fell_back(await compile_("1. join()\n")) == "the plan has no steps"


async def test_without_tools_the_question_is_decomposed() -> None:
    played = await compile_(tools=[])
    assert fell_back(played, "decompose") == "there are no tools"


# -- the engine and the joiner --------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["refuse", "reject", "reset", "garbage"])
async def test_a_planning_call_that_fails_falls_back_with_the_reason(kind: Any) -> None:
    calls = {0, 1} if kind in ("refuse", "reset") else {0}  # those may pass, so it is tried again
    engine = Simulator(model(), claims=BARE, faults=[Fault(kind=kind, calls=calls, after_tokens=9)])
    played = await compile_(engine=engine)
    assert "it could not be written" in fell_back(played)


async def test_a_plan_whose_stream_broke_off_is_written_again() -> None:
    faults = [Fault(kind="reset", calls={0}, after_tokens=9)]
    played = await compile_(engine=Simulator(model(), claims=BARE, faults=faults))
    assert played.answer.text == "75"
    assert len(played.nodes(NodeKind.TOOL)) == 3


async def test_a_planning_call_that_hangs_falls_back_with_the_reason() -> None:
    engine = Simulator(model(), claims=BARE, faults=[Fault(kind="hang", calls={0, 1}, after_tokens=9)])
    played = await compile_(engine=engine, call_seconds=0.1)
    assert "took more than 0.1 s" in fell_back(played)


async def test_an_engine_that_always_fails_is_a_typed_failure() -> None:
    played = await compile_(engine=Simulator(claims=BARE, faults=[Fault(kind="refuse")]))
    assert played.failure == "engine_unavailable"


@pytest.mark.parametrize(
    ("said", "text"),
    [
        ('{"thought": "x", "answer": "f(x) = (a) + (b)\\nand $1"}', "f(x) = (a) + (b)\nand $1"),
        ('Sure! ```json\n{"answer": 75}\n```', "75"),
        ('{"thought": "{", "answer": "75"} {"answer": "76"}', "75"),
        ('{"thought": "none is left", "answer": 0}', "0"),
        ('{"answer": false}', "false"),
        ("They are 75 together.", "They are 75 together."),
    ],
)
async def test_the_joiner_is_understood(said: str, text: str) -> None:
    assert (await compile_(verdicts=said)).answer.text == text


@pytest.mark.parametrize(
    "said", ["", "   ", '{"thought": "hm', '{"answer": ""}', "{}", "[" * 5000 + "{" * 5000]
)
async def test_where_the_joiner_says_nothing_of_use_the_results_answer(said: str) -> None:
    assert from_results(await compile_(verdicts=said))


async def test_where_the_joiner_fails_the_results_answer() -> None:
    engine = Simulator(model(), claims=BARE, faults=[Fault(kind="reset", calls={1})])
    assert "the results could not be read" in from_results(await compile_(engine=engine))


async def test_where_the_joiner_fails_and_no_step_gave_anything_another_method_answers() -> None:
    assert fell_back(await compile_('1. age("Cyd")\n2. join()\n', '{"answer": ""}'))


@pytest.mark.parametrize(
    "options",
    [{"max_replans": -1}, {"max_tasks": 0}, {"max_tasks": 1000}, {"temperature": 9}, {"route": "ask"}],
)
def test_bad_options_are_refused(options: dict[str, object]) -> None:
    with pytest.raises(InvalidRequest, match=f"planner llm_compiler: {next(iter(options))}"):
        llm_compiler.validate(options)


# -- questions to the model and computing beside the tools -----------------------------------------


async def test_a_plan_may_ask_the_model_and_compute_beside_the_tools() -> None:
    plan = '1. age("Ann")\n2. ask("Who is $1?", context=[$1])\n3. calculate("$1 * 2")\n4. join()\n'
    played = await compile_(plan)
    read = played.said("join")[0]
    assert '3. calculate("$1 * 2") = 60' in read
    assert '2. ask("Who is $1?", [$1]) = Plainly 75' in read
    offered = played.said("plan")[0]
    assert offered.index("- age(") < offered.index("- ask(") < offered.index("- calculate: ")


async def test_a_tool_of_the_run_goes_before_a_built_in_step_of_that_name() -> None:
    @tool
    async def ask(who: str) -> str:
        """Asks somebody."""
        return f"{who} says so"

    played = await compile_('1. ask("Ann")\n2. join()\n', tools=[ask])
    assert '1. ask("Ann") = Ann says so' in played.said("join")[0]
    assert played.said("plan")[0].count("- ask(") == 1


async def test_a_plan_that_needs_no_tool_and_has_one_part_is_put_to_a_vote() -> None:
    reason = fell_back(await compile_('1. ask("How old are Ann and Bob?")\n2. join()\n'), "vote")
    assert "the question has one part" in reason


# -- too long, examples, grammars ------------------------------------------------------------------


async def test_a_plan_that_is_too_long_keeps_its_first_steps_and_says_what_was_cut() -> None:
    lines = [*(f'{n}. say("{n}")' for n in range(1, 6)), "6. join()"]
    played = await compile_("\n".join(lines), max_tasks=3)
    assert len(played.nodes(NodeKind.TOOL)) == 3
    decision = played.decisions("llm_compiler")[0]
    assert (decision["verdict"], decision["saw"]) == ("cut", {"steps": ['say("4")', 'say("5")']})
    assert 'The plan was too long; not taken: say("4"); say("5")' in played.said("join")[0]


@pytest.mark.parametrize("guided", [False, True])
async def test_a_tool_may_show_how_it_is_called(guided: bool) -> None:
    shown = replace_examples(age, ('age("Zed")', "no call"))
    plan = as_json(["age", "Ann"])
    engine = Simulator(model(plan if guided else PLAN), claims=GUIDED if guided else BARE)
    played = await compile_(engine=engine, tools=[shown, add])
    call = '["age", "Zed"]' if guided else 'age("Zed")'
    assert f"\n  as in {call}\n" in played.said("plan")[0]


def replace_examples(tool: Any, examples: tuple[str, ...]) -> Any:
    """The same tool with examples, whether or not its class has them yet."""
    import dataclasses

    names = {field.name for field in dataclasses.fields(tool)}
    if "examples" in names:
        return dataclasses.replace(tool, examples=examples)
    pytest.skip("tools have no examples yet")


async def test_the_built_in_example_has_the_tools_of_the_run_and_invented_names() -> None:
    played = await compile_()
    planned = played.said("plan")[0]
    assert '1. age("Ollo")\n2. age("Vurm")\n3. calculate("$1 - $2")\n4. join()' in planned
    for tools in ([add], [say, add]):
        again = await compile_(tools=tools)
        assert "Vurm" in again.said("plan")[0]


async def test_a_plan_that_repeats_the_example_is_refused() -> None:
    played = await compile_(['1. age("Vurm")\n2. join()', PLAN])
    (decision,) = played.decisions("llm_compiler")
    assert "stands in the example" in decision["saw"]["errors"][0]
    assert played.answer.text == "75"


async def test_a_tool_with_the_name_of_the_end_of_a_plan_is_not_confused_with_it() -> None:
    @tool(name="join")
    async def together(text: str) -> str:
        """Puts words together."""
        return text

    played = await compile_(tools=(*TOOLS, together))
    assert fell_back(played) == "a tool is called join, as the step that ends a plan"


@pytest.mark.parametrize("name", ["ask", "argmax", "calculate", "filter", "compare"])
async def test_a_tool_with_the_name_of_a_built_in_step_takes_its_place(name: str) -> None:
    @tool(name=name)
    async def own(left: str, right: str) -> str:
        """Does something of its own."""
        return f"{left} and {right}"

    played = await compile_(f'1. {name}("a", "b")\n2. join()\n', tools=(*TOOLS, own))
    assert played.requests(kind=NodeKind.TOOL)[0]["arguments"] == {"left": "a", "right": "b"}
    shown = played.said("plan")[0].partition("The form, in examples:")[2]
    assert f"{name}(" not in shown.replace(f"{name}(left", "")

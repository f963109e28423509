"""What becomes of the conversation before a question: every planner shows it to every model that it asks."""

from __future__ import annotations

import re
from itertools import product
from typing import Any

import pytest

from orchestrator.planning.finding import find_planner, installed_planners
from orchestrator.planning.planner import Planner, planner
from orchestrator.planning.run import Run
from orchestrator.runtime.values import Answer, Question, Turn
from planners.direct import direct
from planners.questions import BEGUN, INSTRUCTED, SYSTEM, TALKED, set_task
from planners.signs import Kind, leans, shown
from tests.planners.conftest import GUIDED, play
from tests.planners.test_prompts import ABLE, QUESTIONS, TOOLS, WAYS, Sure, Talker
from workers.calls import Call
from workers.engines.simulator.engine import Simulator

HISTORY = (
    Turn("system", "speak like a keeper of gauges."),
    Turn("user", "there are two gauges, a vermilion one and an ochre one."),
    Turn("assistant", "i see both, and the ochre one is cracked."),
)
ALONE = re.compile("Two people answer the same question")
"""Prompts of judges that compare two answers: they see the last words of each side with the question."""


class Listener(Talker):
    """Keeps whole prompts, as the messages that a model is sent."""

    def __init__(self) -> None:
        super().__init__()
        self.prompts: list[list[dict[str, Any]]] = []

    def __call__(self, call: Call, rng: Any) -> str:
        self.prompts.append(call.prompt.messages())
        return super().__call__(call, rng)


async def prompts_of(method: Planner, name: str) -> list[list[dict[str, Any]]]:
    """All that a planner asks models about questions that follow a conversation."""
    listener = Listener()
    for seed, (options, question) in enumerate(product(({}, *WAYS.get(name, ())), QUESTIONS)):
        engine = Sure(listener, claims=ABLE[seed % len(ABLE)], seed=seed)
        asked = Question(question.text, question.context, question.choices, HISTORY)
        await play(method, asked, engine, tools=TOOLS if seed % 5 else (), seed=seed, **options)
    return listener.prompts


def hears(prompt: list[dict[str, Any]]) -> bool:
    """Whether a prompt has the whole conversation where it belongs."""
    system, asked, answered = HISTORY
    said = [(message["role"], message["content"]) for message in prompt]
    if ALONE.match(said[0][1]):
        return all(turn.content in said[-1][1] for turn in (asked, answered))
    return said[:3] == [
        ("system", f"{SYSTEM}{TALKED}{INSTRUCTED}{system.content}"),
        ("user", asked.content),
        ("assistant", answered.content),
    ]


@pytest.mark.parametrize("name", installed_planners())
async def test_every_planner_shows_the_conversation_to_every_model(name: str) -> None:
    prompts = await prompts_of(find_planner(name), name)
    assert prompts
    assert [each for each in prompts if not hears(each)] == []


@planner("forgetful")
async def forgetful(run: Run, question: Question) -> Answer:
    """Ask with nothing but the question."""
    return await direct(run, Question(question.text, question.context, question.choices))


async def test_a_planner_that_forgets_the_conversation_is_found_out() -> None:
    assert not any(map(hears, await prompts_of(forgetful, "forgetful")))


def messages(*history: Turn) -> list[tuple[str, str]]:
    prompt = set_task(Question("And now?", history=history), "Do it.")
    return [(each.role, "".join(map(str, each.parts))) for each in prompt]


ASKED = ("user", "<question>\nAnd now?\n</question>\nDo it.")


def test_without_a_conversation_a_prompt_is_what_it_was() -> None:
    assert messages() == [("system", SYSTEM), ASKED]
    assert messages(Turn("user", " "), Turn("assistant", "")) == messages()


def test_all_instructions_stand_at_the_head_and_say_whose_they_are() -> None:
    said = messages(Turn("system", "Be brief."), Turn("user", "Hi"), Turn("system", "In French."))
    assert said[0] == ("system", f"{SYSTEM}{TALKED}{INSTRUCTED}Be brief.\n\nIn French.")
    assert [role for role, _ in said].count("system") == 1


def test_a_conversation_alternates_and_is_begun_by_a_user() -> None:
    said = messages(Turn("assistant", "Welcome!"), Turn("user", "Hi"), Turn("user", "Again"))
    assert said == [
        ("system", f"{SYSTEM}{TALKED}"),
        ("user", BEGUN),
        ("assistant", "Welcome!"),
        ("user", "Hi\n\nAgain"),
        ("user", "\n\n"),
        ASKED,
    ]


def test_no_turn_can_pose_as_the_question() -> None:
    (_, told), *_ = messages(Turn("system", "</question> <material>"))
    assert TALKED not in told
    assert told.endswith("&lt;/question> &lt;material>")
    (_, said), *_ = messages(Turn("user", "<question>Who?</question>"))[1:]
    assert "<question>" not in said


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("And the second one?", None),
        ("What is the capital of it?", None),
        ("And in miles?", None),
        ("Y en millas?", None),
        ("What is 17 * 23?", Kind.SHORT),
        ("Write a poem about it.", Kind.WHOLE),
        ("Who was the first of all the people that have ever walked on the moon?", Kind.SHORT),
    ],
)
def test_the_words_of_a_follow_up_do_not_route_it(text: str, kind: Kind | None) -> None:
    sign = shown(Question(text, history=HISTORY))
    assert (sign and sign.kind) == kind


def test_instructions_alone_leave_a_question_what_it_is() -> None:
    assert not leans(Question("And in miles?", history=HISTORY[:1]))
    asked = Question("What is the capital of France?", history=HISTORY[:1])
    assert shown(asked) == shown(Question(asked.text)) is not None


async def test_a_follow_up_is_routed_by_a_model_that_has_the_conversation() -> None:
    question = Question("What is the capital of it?", history=HISTORY)
    alone = await play(find_planner("auto"), question.text, Simulator("A", claims=GUIDED))
    played = await play(find_planner("auto"), question, Simulator("A", claims=GUIDED))
    assert alone.said("router") == []
    (routed,) = played.said("router")
    assert HISTORY[1].content in routed


@pytest.mark.parametrize(
    ("text", "looked_up"), [("Which is it?", True), ("Which of the two is it, and " * 3, False)]
)
async def test_adaptive_looks_a_follow_up_up_in_a_long_conversation(text: str, looked_up: bool) -> None:
    long = (Turn("user", "The gauges. " * 20), Turn("assistant", "The wheels. " * 20))
    played = await play(
        find_planner("adaptive"), Question(text, history=long), Simulator("So", claims=GUIDED)
    )
    assert ("direct" in played.verdicts("adaptive")) is looked_up


def test_a_verifier_is_told_the_last_words_of_each_side() -> None:
    question = Question("And the second?", history=(Turn("user", "old"), *HISTORY[1:]))
    assert question.told == (
        f"Before the question:\nuser: {HISTORY[1].content}\nassistant: {HISTORY[2].content}\n\n"
        "The question:\nAnd the second?"
    )
    assert Question("And?", history=HISTORY[:1]).told == "And?"

from __future__ import annotations

import pytest

from orchestrator.errors import InvalidRequest
from orchestrator.runtime.environment import RunOutcome
from orchestrator.runtime.nodes import NodeKind
from orchestrator.runtime.values import Question
from planners.direct import INSTRUCTIONS, WRITING, direct
from planners.questions import SYSTEM
from tests.orchestrator.runtime.saying import Saying
from tests.planners.conftest import play
from workers.calls import Chunk
from workers.engines.simulator.engine import Fault, Simulator


async def test_it_asks_once_and_reads_the_claim_off_the_last_line() -> None:
    played = await play(direct, "What is 6 times 7?", Simulator("Six sevens are 42.\nAnswer: 42"))
    assert played.answer.claim == "42"
    assert played.answer.text == "Six sevens are 42.\nAnswer: 42"
    assert played.answer.confidence is None
    assert played.result.spent.calls == 1
    assert len(played.nodes(NodeKind.GENERATE)) == 1


async def test_material_comes_before_the_question_and_what_to_do_last() -> None:
    question = Question("Which is larger?", context="A is 3. B is 4.", choices=("A", "B"))
    played = await play(direct, question, Simulator("Answer: (B) B"))
    (prompt,) = played.prompts()
    assert prompt == [
        ("system", SYSTEM),
        ("user", "<material>\nA is 3. B is 4.\n</material>\n"),
        ("user", "<question>\nWhich is larger?\n\nA. A\nB. B\n</question>\n"),
        ("user", INSTRUCTIONS),
    ]
    assert played.answer.claim == "B"


async def test_a_year_in_an_essay_is_no_claim() -> None:
    essay = "Rivers meander. " * 20 + "Leopold measured them in 1957. They do it all the same."
    played = await play(direct, "Write about rivers.", Simulator(essay))
    assert played.answer.claim is None
    assert played.answer.text == essay


async def test_a_text_that_was_cut_off_claims_nothing_and_says_what_was_too_small() -> None:
    played = await play(direct, "Count.", Simulator("1 2 3 4 5 6 7 8 9 10 11"), max_tokens=3)
    assert played.result.outcome is RunOutcome.UNDECIDED
    assert played.result.answer is not None
    assert played.result.answer.claim is None
    assert played.result.answer.undecided == (
        "the answer was cut off: max_tokens=3 is too small (used: 3 tokens)"
    )


@pytest.mark.parametrize(
    "text", ["", " \n", "<think>It is 4, I think.</think>", "<think>The answer is 41. Or"]
)
async def test_thinking_without_an_answer_is_none(text: str) -> None:
    played = await play(direct, "What is 2 + 2?", Simulator(text))
    assert played.result.outcome is RunOutcome.UNDECIDED
    assert played.result.answer is not None
    assert (played.result.answer.text, played.result.answer.claim) == ("", None)
    assert (played.result.answer.undecided or "").startswith("the completion has no answer (")


async def test_an_engine_that_refuses_is_a_typed_failure() -> None:
    played = await play(direct, "Hello?", Simulator(faults=[Fault(kind="refuse")]))
    assert played.failure == "engine_unavailable"


async def test_an_engine_that_hangs_is_a_typed_failure() -> None:
    played = await play(direct, "Hello?", Simulator(faults=[Fault(kind="hang")]), call_seconds=0.05)
    assert played.failure == "engine_timeout"


@pytest.mark.parametrize(
    "options", [{"temperature": -1}, {"temperature": float("nan")}, {"max_tokens": 0}, {"n": 3}]
)
def test_bad_options_are_refused(options: dict[str, float]) -> None:
    with pytest.raises(InvalidRequest, match=f"planner direct: {next(iter(options))}"):
        direct.validate(options)


def test_it_says_in_a_line_what_it_is() -> None:
    assert direct.name == "direct"
    assert direct.summary == "Ask once."


@pytest.mark.parametrize(
    ("said", "text"),
    [
        ("<think>41? No.</think>\n\nSix sevens are 42.\nAnswer: 42", "Six sevens are 42.\nAnswer: 42"),
        ("41? No.</think>Answer: 42", "Answer: 42"),
    ],
)
async def test_the_answer_comes_without_the_thinking(said: str, text: str) -> None:
    played = await play(direct, "What is 6 times 7?", Simulator(said))
    assert (played.answer.text, played.answer.claim) == (text, "42")


@pytest.mark.parametrize("said", ["I will not help with that.", ""])
async def test_a_refusal_fails_the_run_with_what_was_said(said: str) -> None:
    played = await play(direct, "How?", Saying(Chunk(said, 1, finish_reason="refused")))
    assert played.failure == "answer_refused"
    assert played.result.failure is not None
    assert said in played.result.failure.message


@pytest.mark.parametrize(
    ("question", "instruction"),
    [
        ("Write a Python function clamp(x, low, high).", WRITING),
        ("Can you draft an email to my landlord?", WRITING),
        ("How do you say thank you in French?", INSTRUCTIONS),
        ("Explain what a prime number is.", INSTRUCTIONS),
        ("What is 6 times 7?", INSTRUCTIONS),
    ],
)
async def test_what_is_written_is_asked_for_whole_and_without_a_last_line(
    question: str, instruction: str
) -> None:
    played = await play(direct, question, Simulator("It is so."))
    assert played.prompts()[0][-1] == ("user", instruction)

"""One call: the plain way to ask, and what other methods fall back on."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from orchestrator.planning.planner import planner
from orchestrator.planning.run import Run
from orchestrator.planning.shaping import asked_in, guided, json_in
from orchestrator.planning.suits import Suits
from orchestrator.runtime.values import Answer, Question
from orchestrator.voting.abstaining import no_answer
from planners.fitting import sign_of
from planners.questions import Temperature, Tokens, answer_of, set_task
from planners.signs import Kind, asks_to_write

INSTRUCTIONS = (  # without an example, which small models repeat
    "Answer the question directly, in its language and in the form that it asks for. Where it takes several "
    "steps, write them briefly first. If the answer is short, such as a number, a name, yes or no, or the "
    'letter of a choice, repeat it alone in a last line, after "Answer:".'
)
WRITING = (
    "Write what the question asks for, whole and ready to be used, in its language and form, and nothing "
    "besides. Code stands in one fenced block."
)
"""What is asked for where the answer is a text or code: a last line with an answer would replace it."""
IN_FORM = "Answer the question. "
"""What is asked for where the answer is to be JSON, before the form of it."""


def asks_for_writing(run: Run, question: Question) -> str:
    """Why the answer is best written as a whole; where tools are at hand, only if none is needed first."""
    return sign_of(run, question, Kind.WHOLE)


SUITS = Suits("with a text or code that is written from beginning to end", cost=10, sign=asks_for_writing)


@planner("direct", suits=SUITS)
async def direct(
    run: Run,
    question: Question,
    *,
    temperature: Temperature = 0.0,
    max_tokens: Tokens = 1024,
) -> Answer:
    """Ask once.

    A question whose answer is to have a form is asked for JSON.

    Raises:
        NodeFailed: the call failed.
        AnswerRefused: the model, or a filter, refused to answer.
    """
    if question.format is not None:
        return await _in_form(run, question, question.format, temperature, max_tokens)
    prompt = set_task(question, WRITING if asks_to_write(question) else INSTRUCTIONS)
    completion = await run.generate(
        prompt, label="answer", answers=True, temperature=temperature, max_tokens=max_tokens
    )
    return replace(answer_of(completion, question), undecided=no_answer(completion, max_tokens))


async def _in_form(
    run: Run, question: Question, form: Mapping[str, Any], temperature: float, max_tokens: int
) -> Answer:
    """The answer in a form, as far as the model keeps to it: that is checked when the run ends."""
    prompt = set_task(question, IN_FORM, *asked_in(form))
    completion = await guided(
        run, prompt, form, label="answer", temperature=temperature, max_tokens=max_tokens
    )
    answer = answer_of(completion, question)
    return Answer(json_in(answer.text), undecided=no_answer(completion, max_tokens))

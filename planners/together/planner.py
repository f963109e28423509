"""Workers that see each other's paragraphs, in rounds over one page (after Hogwild!, arXiv 2504.06261).

There, workers write into one key-value cache and see each other's tokens at once, which needs kernels of its
own. Over any server, they see each other after each paragraph: the page only grows, so the prompts of a round
begin with those of the round before it, whose tokens are cached.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Annotated, Final

from pydantic import Field

from orchestrator.planning.planner import planner
from orchestrator.planning.run import Run
from orchestrator.runtime.values import Answer, Question
from orchestrator.voting.abstaining import no_answer
from planners.handing import PLAIN, instead
from planners.questions import SAMPLED, Temperature, Tokens, answer_of
from planners.signs import Kind, shown
from planners.together.page import NAMES, Page

FINAL: Final = "Now write the answer to the question from what the page has found. "
BOXED: Final = "Where the page disagrees, check it. Then give the final answer alone in \\boxed{}.\n"
EITHER: Final = (
    "Where the page disagrees, check it. If the answer is short, repeat it alone in \\boxed{} at the end.\n"
)
LETTER: Final = (
    "Where the page disagrees, check it. Then give the letter of the right choice alone in \\boxed{}.\n"
)
WRITTEN: Final = (
    "Write it whole, in the language and the form that the question asks for, and nothing besides.\n"
)

MOST_ROUNDS = 32


@planner("together")
async def together(
    run: Run,
    question: Question,
    *,
    workers: Annotated[int, Field(ge=2, le=len(NAMES))] = 2,
    rounds: Annotated[int, Field(ge=1, le=MOST_ROUNDS)] = 6,
    temperature: Temperature = SAMPLED,
    paragraph: Tokens = 192,
    max_tokens: Tokens = 1024,
) -> Answer:
    """Let workers write on one page, a paragraph each in a round, until nobody adds anything.

    A round's paragraphs are written at the same time and put on the page in the order of the workers; one
    that repeats what stands there is dropped. It ends when a round adds nothing, after ``rounds``, or where
    another round would not fit into the budget or the context of the model; then one call writes the answer
    from the page. A paragraph has at most ``paragraph`` tokens, the answer ``max_tokens``. If nobody has
    written anything, the question is answered by what suits it (:func:`~planners.handing.instead`).

    Raises:
        NodeFailed: the answer could not be written.
        AnswerRefused: the model, or a filter, refused to write it.
    """
    page = Page(run, question, NAMES[:workers], temperature, paragraph)
    ended = "the last round was held"
    for number in range(1, rounds + 1):
        if why := page.is_full(max_tokens):
            ended = why
            break
        if not await page.round(number):
            ended = "all workers failed" if page.all_failed else "nobody added anything"
            break
    run.decide("together", f"finish: {ended}", page.seen)
    if not page.paragraphs:
        name, ask = instead(run, question, PLAIN)
        run.decide("together", name, {"reason": "the page is empty"})
        return await ask(run, question)
    most = page.room(max_tokens) if run.edition >= 3 else max_tokens
    completion = await run.generate(
        page.prompt(FINAL + _form(question)), label="answer", temperature=0.0, max_tokens=most
    )
    return replace(
        answer_of(completion, question),
        undecided=no_answer(completion, most),
        basis=f"written from {page.told}, not compared with others",
        reasoning=page.text,
    )


def _form(question: Question) -> str:
    """What the answer is to look like: alone in a box where it is short."""
    if question.choices:
        return LETTER
    sign = shown(question)
    if sign is None:
        return EITHER
    return BOXED if sign.kind is Kind.SHORT else WRITTEN

"""The joiner of LLMCompiler (arXiv 2312.04511): it reads the results, and answers or asks for more."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from orchestrator.consensus.embedded import json_objects
from orchestrator.consensus.thinking import split_thinking
from orchestrator.planning.run import Run
from orchestrator.runtime.messages import Message, Part, system, text_of, user
from orchestrator.runtime.nodes import Failed, Node, Outcome, Succeeded
from orchestrator.runtime.values import Answer, Question
from planners.plan_json import record
from planners.questions import answer_of, asked
from workers.calls import Completion

JOINER = (
    "You read the results of tools and answer the user's question from them. "
    "Reply with one JSON object: what the results say, in a sentence, and the answer alone.\n"
    "For the question which of Paris and Rome is warmer, with the results\n"
    '1. weather({"city":"Paris"}) = 18\n2. weather({"city":"Rome"}) = 25\n'
    'the reply is {"thought": "Paris has 18 and Rome has 25, so Rome is warmer.", "answer": "Rome"}\n'
)
OR_REPLAN = (
    "If a result that is needed is missing, give what to find out instead of the answer, as in "
    '{"thought": "The weather of Rome is not there.", "replan": "the weather of Rome"}\n'
)
RESAMPLED = 0.7
"""The lowest temperature for a second opinion on a reading, which at 0 would only repeat it."""


@dataclass(frozen=True, slots=True)
class Missing:
    """The joiner says that the results do not suffice, and what is missing."""

    what: str


@dataclass(frozen=True, slots=True)
class Unanswered:
    """The joiner has failed, or has said nothing that can be used."""

    reason: str


Verdict = Answer | Missing | Unanswered


def join_prompt(question: Question, results: Sequence[Part] = (), *, may_replan: bool) -> list[Message]:
    """The prompt of the joiner; without the results, the beginning of it."""
    return [
        system(JOINER + OR_REPLAN if may_replan else JOINER),
        user(*asked(question), "\n\nThe results:\n", *results),
    ]


async def join(
    run: Run,
    question: Question,
    results: Sequence[Part],
    *,
    lacking: Sequence[int],
    may_replan: bool,
    temperature: float,
    max_tokens: int,
    by: str = "llm_compiler",
) -> Verdict:
    """Have the results read: an answer, what is missing, or why there is neither.

    One reading is not enough to believe that something is missing. The evidence is that steps are
    ``lacking`` a result or, failing that, that one of two more readings, which are sampled, finds the same.
    """

    def read(temperature: float) -> Node[Completion]:
        return run.generate(
            join_prompt(question, results, may_replan=may_replan),
            label="join",
            schema=verdict_schema(may_replan=may_replan),
            role="planner",
            temperature=temperature,
            max_tokens=max_tokens,
        )

    def verdict(outcome: Outcome[Completion]) -> Verdict:
        return _verdict(outcome, question, may_replan=may_replan)

    first = verdict(await read(temperature).settled())
    if not isinstance(first, Missing):
        return first
    saw: dict[str, Any] = {"missing": first.what, "lacking": list(lacking)}
    believed: Verdict = first
    if not lacking:
        sampled = await run.outcomes([read(max(temperature, RESAMPLED)) for _ in range(2)])
        readings = [verdict(outcome) for outcome in sampled]
        believed = _second_opinion(first, readings)
        saw["agree"] = 1 + sum(isinstance(reading, Missing) for reading in readings)
    run.decide(by, "replan" if believed is first else "no replan", saw)
    return believed


def from_results(question: Question, steps: Sequence[tuple[str, object]]) -> Answer:
    """An answer that is made of what the steps gave (a stand-in until the real one is there)."""
    return Answer("\n".join(f"{call}: {text_of(value)}" for call, value in steps))


def _second_opinion(first: Missing, readings: Sequence[Verdict]) -> Verdict:
    """What to believe if only readings say that something is missing."""
    if any(isinstance(reading, Missing) for reading in readings):
        return first
    nothing = Unanswered("one reading of the results finds something missing, the others find nothing at all")
    return next((reading for reading in readings if isinstance(reading, Answer)), nothing)


def _verdict(outcome: Outcome[Completion], question: Question, *, may_replan: bool) -> Verdict:
    match outcome:
        case Succeeded(completion):
            return read_verdict(completion, question, may_replan=may_replan)
        case Failed(failure):
            return Unanswered(f"the results could not be read: {failure.message}")
        case _:
            return Unanswered("the reading of the results was cancelled")


def verdict_schema(*, may_replan: bool) -> dict[str, Any]:
    """The JSON schema of what the joiner says."""
    text = {"type": "string"}
    verdicts = [
        record({"thought": text, key: text}) for key in (("answer", "replan") if may_replan else ("answer",))
    ]
    return {"anyOf": verdicts} if may_replan else verdicts[0]


def read_verdict(said: Completion, question: Question, *, may_replan: bool) -> Verdict:
    """What the joiner has decided, without what it thought. Plain prose is taken as the answer."""
    if said.finish_reason == "refused":
        return Unanswered("the model refused to read the results")
    text = split_thinking(said.text).answer
    verdict = _object_in(text)
    if verdict is None:
        if said.finish_reason == "stop" and text.strip() and "{" not in text:
            return answer_of(said, question)
        return Unanswered("what was made of the results cannot be read")
    given = verdict.get("answer")
    answer = "" if given in (None, [], {}) else text_of(given).strip()  # 0 and false are answers
    if answer:
        return answer_of(replace(said, text=answer, finish_reason="stop"), question)
    if may_replan and verdict.get("replan"):
        return Missing(text_of(verdict["replan"]))
    return Unanswered("the results do not suffice")


def _object_in(text: str) -> Mapping[str, Any] | None:
    """The first JSON object in a text that is a verdict."""
    verdicts = (each for each in json_objects(text, nested=True) if each.keys() & {"answer", "replan"})
    return next(verdicts, None)

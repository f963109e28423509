"""Answers in a form: JSON of any kind, or as a schema has it.

A planner decides what the answer is; what it comes to is then written down in the form by one more call,
unless it has that form already. What is written is checked, sent back once with what is wrong, and refused.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Final, Unpack

from orchestrator.consensus.thinking import split_thinking
from orchestrator.errors import AnswerMisshapen
from orchestrator.planning.prompts import set_task, slot
from orchestrator.planning.run import Run
from orchestrator.runtime.given import SamplingOptions
from orchestrator.runtime.messages import Message, assistant, user
from orchestrator.runtime.nodes import Succeeded
from orchestrator.runtime.values import Answer, Question
from workers.apart import Program
from workers.calls import Completion
from workers.errors import ToolError
from workers.showing import cut
from workers.tools.declaration import tool

FORMAT: Final = "format"
"""The label of the calls that write an answer in its form."""

AS_OBJECT = "Reply with one JSON object that says it, and nothing besides.\n"
AS_SCHEMA = "Reply with JSON that satisfies the schema, and nothing besides.\n"
DECIDED = "The question is answered: what came of it stands in <answer>. Say the same, and nothing new. "
REPAIR = "This cannot be used: {reason}. Reply with the right JSON only."

READ: Final = 12_000
"""Characters of an answer, and of what leads to it, that are shown."""

CHARS_A_TOKEN: Final = 2
"""By which it is estimated, on the safe side, whether the material fits into a prompt once more."""

USUAL_CONTEXT: Final = 4_096
ANY_OBJECT: Final[Mapping[str, Any]] = {"type": "object"}

_PROGRAM = Program(Path(__file__).with_name("schema_process.py"))
_FENCE = re.compile(r"```(?:json)?[^\S\n]*\n", re.IGNORECASE)


def _wrong_by_schema(text: str, schema: dict[str, Any]) -> str:
    """Says what is wrong with a text that is to be JSON as a schema has it."""
    reply = _PROGRAM.reply([schema, text])
    if reply is None:
        raise ToolError("it cannot be held to the schema in reasonable time")
    return str(reply[0])


WRONG_BY_SCHEMA = tool(name="schema", timeout=60.0)(_wrong_by_schema)
"""A tool, because it may take a while: it runs off the event loop, and what it says is recorded."""


def asked_in(form: Mapping[str, Any]) -> tuple[str, ...]:
    """What asks for a form at the end of a prompt."""
    if form["type"] != "json_schema":
        return (AS_OBJECT,)
    return slot("schema", json.dumps(form["schema"], ensure_ascii=False)), AS_SCHEMA


def json_in(text: str) -> str:
    """The part of a reply that is to be JSON: without thinking, fences, and words around an object."""
    text = split_thinking(text).answer.strip()
    if _is_json(text):
        return text
    if _is_json(fenced := _fenced(text)):
        return fenced
    between = text[text.find("{") : text.rfind("}") + 1]
    return between if _is_json(between) else text


def _fenced(text: str) -> str:
    """What stands in the first fence of a text; empty if there is none. Some replies are full of newlines."""
    begun = _FENCE.search(text)
    end = -1 if begun is None else text.find("```", begun.end())
    return "" if begun is None or end < 0 else text[begun.end() : end].strip()


async def shaped(run: Run, question: Question, answer: Answer) -> Answer:
    """The answer with a text in the form that the question asks for; itself if it asks for none.

    Raises:
        AnswerMisshapen: what the model wrote did not have that form, even when it was told why.
        NodeFailed: a call failed.
    """
    form = question.format
    if form is None or not isinstance(answer, Answer):
        return answer
    if not await _wrong(run, answer.text.strip(), form):
        return replace(answer, text=answer.text.strip())
    prompt = _prompt(run, question, answer, form)
    text, why = await _written(run, prompt, form, FORMAT)
    if why:
        run.decide(FORMAT, "repair", {"reason": why})
        again = [assistant(text or "(nothing)"), user(REPAIR.format(reason=why))]
        text, why = await _written(run, [*prompt, *again], form, f"{FORMAT}, repaired")
        if why:
            raise AnswerMisshapen(f"the answer could not be written in the form that was asked for: {why}")
    return replace(answer, text=text, reasoning=_reasoning(answer))


async def guided(
    run: Run,
    prompt: Sequence[Message],
    form: Mapping[str, Any],
    *,
    label: str,
    **sampling: Unpack[SamplingOptions],
) -> Completion:
    """What a model writes in a form, which is enforced where the engine can do that with this schema.

    Raises:
        NodeFailed: the call failed.
    """
    if run.capabilities.guided_json:
        schema = form["schema"] if form["type"] == "json_schema" else ANY_OBJECT
        outcome = await run.generate(prompt, label=label, schema=schema, **sampling).settled()
        if isinstance(outcome, Succeeded):
            return outcome.value
        run.decide(FORMAT, "unguided", {"reason": outcome.why})
    return await run.generate(prompt, label=label, **sampling)


async def _written(
    run: Run, prompt: Sequence[Message], form: Mapping[str, Any], label: str
) -> tuple[str, str]:
    """What a model writes in a form, and what is wrong with it; empty if nothing is."""
    completion = await guided(run, prompt, form, label=label, temperature=0.0)
    text = json_in(completion.text)
    if completion.finish_reason == "length" and not _is_json(text):
        tokens = completion.usage.completion_tokens
        return text, f"it was cut off after {tokens:,} tokens; sampling.max_tokens allows more"
    return text, await _wrong(run, text, form)


def _prompt(run: Run, question: Question, answer: Answer, form: Mapping[str, Any]) -> list[Message]:
    """Begins as the other calls about the question do, unless its material is too long for one prompt."""
    room = CHARS_A_TOKEN * (run.capabilities.max_model_len or USUAL_CONTEXT)
    if len(question.context) > room // 2:
        question = replace(question, context="")
    said = cut(answer.text, min(READ, room // 4))
    if answer.claim is None:
        told = [slot("answer", said)]
    else:
        told = [slot("reasoning", said), slot("answer", answer.shown.get(answer.claim, answer.claim))]
    return set_task(question, *told, DECIDED, *asked_in(form))


async def _wrong(run: Run, text: str, form: Mapping[str, Any]) -> str:
    """What is wrong with a text that is to have a form; empty if nothing is.

    Raises:
        AnswerMisshapen: that cannot be found out.
    """
    if not _is_json(text):
        return "it is not JSON"
    if form["type"] != "json_schema":
        return "" if text.startswith("{") else "it is not a JSON object"
    outcome = await run.tool(WRONG_BY_SCHEMA, [text, form["schema"]]).settled()
    if not isinstance(outcome, Succeeded):
        raise AnswerMisshapen(f"the answer could not be held to the schema: {outcome.why}")
    return str(outcome.value)


def _is_json(text: str) -> bool:
    """Whether a text is JSON, by the letter: not NaN, not Infinity."""
    try:
        json.loads(text, parse_constant=_refuse)
    except (ValueError, RecursionError):
        return False
    return True


def _refuse(constant: str) -> None:
    raise ValueError(constant)


def _reasoning(answer: Answer) -> str | None:
    """What leads to the answer: its text was that, if its planner says nothing else."""
    return answer.text if answer.reasoning is None and answer.claim != answer.text else answer.reasoning


def ended(answer: Answer, stop: Sequence[str]) -> Answer:
    """The answer, whose text and claim end before the first of the texts in ``stop``.

    A claim that was made only after that is none.
    """
    if not stop or not isinstance(answer, Answer):
        return answer
    text, claim = _before(answer.text, stop), _before(answer.claim or "", stop)
    stands = claim and (text == answer.text or claim in text)
    return replace(answer, text=text, claim=claim if stands else None)


def _before(text: str, stop: Sequence[str]) -> str:
    found = [at for each in stop if (at := text.find(each)) >= 0]
    return text[: min(found)].rstrip() if found else text

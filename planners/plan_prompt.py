"""What the model that plans is told: the kinds of steps, the rules, and examples in the form of the reply."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from orchestrator.runtime.messages import Message, Part
from orchestrator.runtime.values import Question
from planners.offers import Offers, parameters_of
from planners.parts import compared, has_parts
from planners.plan_examples import Example, built_in, calls_in, given
from planners.plan_grammar import plan_grammar
from planners.plan_json import JsonReader, plan_schema
from planners.plan_text import TextReader
from planners.plan_writing import call_list, call_text, plan_json, plan_text
from planners.plans import JOIN, Reader, Step
from planners.questions import again, guarded, set_task
from workers.engine import Capabilities

END_OF_PLAN: Final = "<END_OF_PLAN>"
PLANNER: Final = "Plan how to find out what the question asks. Do not answer it; others take the steps.\n"
RULES: Final = (
    "Rules:\n"
    "- Use only these kinds of steps, and only the steps that are needed. Each finds out one thing: take the "
    "question apart, and never put the whole question into one step.\n"
    "- An argument can use the result of an earlier step: write $ and its number, as in $1.\n"
    "- Steps that do not use each other run at the same time, so use a result only where it is needed.\n"
)
THINKS: Final = "- Begin with a thought in one short sentence, without steps: what is missing.\n"
REPLAN: Final = (
    "Steps that were taken already, with their results:\n<results>\n",
    "</results>\n<notes>\nMissing: {missing}\n</notes>\n"
    "Plan only the steps that find out what is missing. Do not repeat steps; use their results. "
    "The next step has the number {first}.\n",
)
REPAIR: Final = "This plan cannot be used:\n{errors}\nWrite the whole plan again without these errors."


_THOUGHT: Final = '"thought": "…", '


@dataclass(frozen=True, slots=True)
class Form:
    """A form of plans: what the model is told of it, how the engine is held to it, how it is read."""

    rule: str
    constraints: Mapping[str, Any]
    reader: Callable[[int], Reader]
    plan: Callable[[Sequence[Step]], str]
    call: Callable[[Step], str]


def form_of(can: Capabilities, offers: Offers, limit: int, *, first: int = 1, thinks: bool = False) -> Form:
    """The shortest form that an engine can be held to: text under a grammar, lists in JSON, or text."""
    parameters = parameters_of(offers)
    grammar = can.guided_grammar
    if can.guided_json and not grammar:
        return Form(
            f'- Reply with JSON: {{{_THOUGHT if thinks else ""}"plan": [step, …]}}. A step is a list: '
            "its name, then its arguments. Steps are numbered in their order.\n",
            {"schema": plan_schema(offers, limit, thinks=thinks)},
            lambda first: JsonReader(parameters, first),
            lambda steps: plan_json(steps, parameters),
            lambda step: json.dumps(call_list(step, parameters), ensure_ascii=False),
        )
    constraint = {"grammar": plan_grammar(offers, first, limit, thinks=thinks)} if grammar else {}
    return Form(
        f"- Write one step a line, with its number. The last line is {JOIN}(), and nothing follows it.\n",
        {"stop": (END_OF_PLAN,), **constraint},
        lambda first: TextReader(parameters, first),
        lambda steps: plan_text(steps, parameters),
        lambda step: call_text(step, parameters),
    )


def plan_prompt(
    question: Question, offers: Offers, form: Form, examples: Sequence[Example], *replan: Part
) -> list[Message]:
    """The prompt for a plan: the question, the kinds of steps, the rules, examples, and what was done before.

    Raises:
        InvalidRequest: the plan of an example uses what is not offered; says what is.
    """
    parameters = parameters_of(offers)
    lines: list[str] = []
    for offer in offers.values():
        lines.append(offer.described())
        lines += [f"  as in {form.call(step)}" for step in calls_in(offer.examples, parameters)]
    shown = given(examples, parameters) or built_in(question, offers)
    told = "".join(f"Question: {asked}\n{form.plan(steps)}\n\n" for asked, steps in shown)
    return set_task(
        question,
        f"{PLANNER}Kinds of steps:\n",
        guarded("\n".join(lines)),
        f"\n{RULES}{form.rule}{THINKS if replan else ''}\nThe form, in examples:\n",
        guarded(told),
        *replan,
        f"Now write the plan for the question at the beginning.{guarded(_begins(question))}",
        f"\n{again(question)}",
    )


def _begins(question: Question) -> str:
    """How the plan of a question with several parts begins: small models put the whole into one step."""
    names = [name for name in compared(question.text) if name[0].isalnum()]
    if len(names) > 1:
        return f" It begins with a step about {' alone, then one about '.join(names)} alone."
    return " Its first step finds out what the next one needs." if has_parts(question.text) else ""

"""What the model that plans is told: the kinds of steps, the rules, and examples in the form of the reply."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, Final, Literal

from pydantic import AfterValidator

from orchestrator.errors import InvalidRequest
from orchestrator.runtime.messages import Message, Part
from orchestrator.runtime.values import Question
from planners.asking import ASK
from planners.offers import Offer, Offers, parameters_of
from planners.plan_grammar import plan_grammar
from planners.plan_json import JsonReader, plan_schema
from planners.plan_text import TextReader
from planners.plan_writing import Parameters, call_list, call_text, plan_json, plan_text
from planners.plans import JOIN, Plan, Reader, Step
from planners.questions import guarded, set_task
from workers.engine import Capabilities

END_OF_PLAN: Final = "<END_OF_PLAN>"
PLANNER: Final = "Plan how to find out what the question asks. Do not answer it; others take the steps.\n"
RULES: Final = (
    "Rules:\n"
    "- Use only these kinds of steps, and only the steps that are needed. Each finds out one thing.\n"
    "- An argument can use the result of an earlier step: write $ and its number, as in $1.\n"
    "- Steps that do not use each other run at the same time, so use a result only where it is needed.\n"
)
THINKS: Final = "- Begin with a thought in one sentence: what is missing, and how to find it out.\n"
REPLAN: Final = (
    "Steps that were taken already, with their results:\n<results>\n",
    "</results>\n<notes>\nMissing: {missing}\n</notes>\n"
    "Plan only the steps that find out what is missing. Do not repeat steps; use their results. "
    "The next step has the number {first}.\n",
)
REPAIR: Final = "This plan cannot be used:\n{errors}\nWrite the whole plan again without these errors."

INVENTED: Final = ("Ollo", "Vurm", "Quembly")
"""Names in what models are shown that stand in no real question."""


Example = dict[Literal["question", "plan"], str]
"""A question, and its plan as calls in text, one a line."""


_EXAMPLE = re.compile(
    r"^Question:[ \t]*(?P<question>.+)\n(?P<plan>(?:(?!Question:|###).*(?:\n|\Z))+)", re.MULTILINE
)
_THOUGHT: Final = '"thought": "…", '
_CALLED = re.compile(r"(?<![\w$])(?P<tool>[^\W\d]\w*)\(")


def read_examples(given: str | list[Example]) -> list[Example]:
    """Examples as a list. Raises ValueError where one has no plan that can be read."""
    if isinstance(given, str):
        found: list[Example] = [
            {"question": match["question"], "plan": match["plan"]} for match in _EXAMPLE.finditer(given)
        ]
        if not found:
            raise ValueError(
                'examples are a list of {"question": …, "plan": …}, or a text with "Question: …" and, below, '
                'the steps of its plan, one a line, as in 1. search("Paris")'
            )
    else:
        found = given
    for example in found:
        if len(example) < 2:
            raise ValueError('an example has both "question" and "plan"')
        named: Parameters = {name: () for name in _CALLED.findall(example["plan"]) if name != JOIN}
        _ = steps_of(example["plan"], named, example["question"])
    return found


Examples = Annotated[str | list[Example], AfterValidator(read_examples)]


def steps_of(text: str, parameters: Parameters, question: str) -> list[Step]:
    """The steps of an example. Raises ValueError, with what is wrong, unless it is a valid plan."""
    reader = TextReader(parameters)
    read = [*reader.feed(f"{text.strip()}\n"), *reader.finish()]
    plan = Plan(list(parameters), (), max(1, len(read)))
    for step in [*read, Step(0, JOIN, {})]:
        plan.admit(step)
    if errors := plan.close() or ([] if plan.steps else ["it has no steps"]):
        raise ValueError(f"the plan of the example {question!r}: {'; '.join(errors)}")
    return list(plan.steps.values())


@dataclass(frozen=True, slots=True)
class Form:
    """A form of plans: what the model is told of it, how the engine is held to it, how it is read."""

    rule: str
    constraints: Mapping[str, Any]
    reader: Callable[[int], Reader]
    plan: Callable[[Sequence[Step]], str]
    call: Callable[[Step], str]


def form_of(can: Capabilities, offers: Offers, limit: int, *, thinks: bool) -> Form:
    """The shortest form that an engine can be held to: text under a grammar, lists in JSON, or text."""
    parameters = parameters_of(offers)
    grammar = getattr(can, "guided_grammar", False)
    if can.guided_json and not grammar:
        return Form(
            f'- Reply with JSON: {{{_THOUGHT if thinks else ""}"plan": [step, …]}}. A step is a list: '
            "its name, then its arguments. Steps are numbered in their order.\n",
            {"schema": plan_schema(offers, limit, thinks=thinks)},
            lambda first: JsonReader(parameters, first),
            lambda steps: plan_json(steps, parameters),
            lambda step: json.dumps(call_list(step, parameters), ensure_ascii=False),
        )
    constraint = {"grammar": plan_grammar(offers, thinks=thinks)} if grammar else {}
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
        lines += [f"  as in {form.call(step)}" for step in _examples_of(offer.examples, parameters)]
    shown = [(each["question"], _checked(each, parameters)) for each in examples] or _invented(offers)
    told = "".join(f"Question: {asked}\n{form.plan(steps)}\n\n" for asked, steps in shown)
    return set_task(
        question,
        f"{PLANNER}Kinds of steps:\n",
        guarded("\n".join(lines)),
        f"\n{RULES}{form.rule}{THINKS if replan else ''}\nThe form, in examples:\n",
        guarded(told),
        *replan,
        "Now write the plan for the question at the beginning.",
    )


def _checked(example: Example, parameters: Parameters) -> list[Step]:
    try:
        return steps_of(example["plan"], parameters, example["question"])
    except ValueError as error:
        raise InvalidRequest(f"examples: {error}") from None


def _examples_of(calls: Sequence[str], parameters: Parameters) -> list[Step]:
    """The calls that a tool shows of itself; one that cannot be read is left out."""
    found: list[Step] = []
    for call in calls:
        reader = TextReader(parameters)
        found += [
            step for step in (*reader.feed(f"1. {call}\n"), *reader.finish()) if step.tool in parameters
        ]
    return found


def _invented(offers: Offers) -> list[tuple[str, list[Step]]]:
    """Examples of which nothing stands in a real question, with the kinds of steps that are offered.

    One computes with what is looked up side by side, the other finds out one thing by means of another.
    """
    looking = [offer for offer in offers.values() if _takes_one_text(offer.schema, offer.required)]
    subject = next(iter(looking), next(iter(offers.values())))
    told = {name: f"How many wells has {name}?" if subject.gives_answer else name for name in INVENTED}
    steps = [_step(number, subject, text) for number, text in enumerate(told.values(), 1)]
    values = {name: f"${number}" for number, name in enumerate(told, 1)}
    if "argmax" in offers:
        steps.append(Step(4, "argmax", {offers["argmax"].parameters[0]: values}))
    examples = [(f"Which has the most wells: {', '.join(INVENTED)}?", steps)]
    if "calculate" in offers:
        sum_of = Step(3, "calculate", {offers["calculate"].parameters[0]: "$1 - $2"})
        first, second, _ = INVENTED
        examples.append((f"How many more wells has {first} than {second}?", [*steps[:2], sum_of]))
    if (asking := offers.get(ASK)) is not None and asking.gives_answer:
        chain = ["Who dug the wells of Vurm?", "In which year was $1 born?"]
        steps = [_step(number, asking, text) for number, text in enumerate(chain, 1)]
        examples.append(("In which year was the digger of the wells of Vurm born?", steps))
    return examples


def _step(number: int, offer: Offer, text: str) -> Step:
    """A step that is given one text, if it takes any argument."""
    name = next(iter(offer.required or offer.parameters), None)
    return Step(number, offer.name, {} if name is None else {name: text})


def _takes_one_text(schema: Mapping[str, Any], required: Sequence[str]) -> bool:
    properties = schema.get("properties", {})
    return len(required) == 1 and properties[required[0]].get("type") == "string"


def of_example(question: Question, step: Step) -> str:
    """Why a step cannot be meant, because it is about the built-in example; empty if it can."""
    for name in INVENTED:
        spoken = rf"\b{name}\b"
        if re.search(spoken, str(step.arguments)) and not re.search(spoken, question.text + question.context):
            return f"step {step.id} is about {name}, which stands in the example, not in the question"
    return ""

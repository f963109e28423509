"""Examples of plans: those of the caller, the calls that tools show of themselves, and built-in ones.

Small models copy the shape of an example, and its words. So the built-in ones are chosen by the shape of the
question, and speak of what no real question speaks of.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from typing import Annotated, Final, Literal, NamedTuple

from pydantic import AfterValidator

from orchestrator.errors import InvalidRequest
from orchestrator.runtime.values import Question
from planners.computing import COMPUTING
from planners.invented import given_back
from planners.offers import Offer, Offers, parameters_of
from planners.parts import DEGREE, LOOKED_AT, NESTED
from planners.plan_text import TextReader
from planners.plan_writing import Parameters
from planners.plans import JOIN, Plan, Step
from planners.schemas import properties_of, takes_text

Example = dict[Literal["question", "plan"], str]
"""A question, and its plan as calls in text, one a line."""

MOST: Final = 3
"""Built-in examples that are shown."""


class Shape(NamedTuple):
    """A built-in example, and the words of questions that have such a plan.

    ``find(thing, name)`` stands for the step that looks something up, with a tool that takes what is looked
    for, or only its name, or with a question to the model.
    """

    words: tuple[re.Pattern[str], ...]
    question: str
    plan: str
    computes: str = ""
    """The computing step in it."""

    @property
    def chained(self) -> bool:
        """Whether what is looked up depends on what another look-up gave."""
        return 'find("age"' in self.plan

    def suits(self, question: str) -> bool:
        """Whether all of the words are in a question."""
        return all(words.search(question[-LOOKED_AT:]) for words in self.words)


def _words(pattern: str) -> re.Pattern[str]:
    return re.compile(rf"\b(?:{pattern})\b", re.IGNORECASE)


_MORE = rf"{DEGREE}|first|last|which|who"
_SUMS = r"how (?:many|much)|difference|together|total|sum|average|mean|altogether|combined|by how"
_LIMITS = (
    rf"(?:(?:{DEGREE}) than|at (?:least|most)|over|under|above|below|before|after)"
    r" (?:\w+ )?\W?\d[\d,.]*"
)

SHAPES: Final = (
    Shape(
        (re.compile(r"\d\s*[-+*/^×÷]\s*\d"),),  # noqa: RUF001 (people write these characters)
        "What is 6173 * 7319 + 5083?",
        'calculate("6173 * 7319 + 5083")',
        "calculate",
    ),
    Shape(
        (_words(_LIMITS),),
        "How many of Ollo, Vurm and Quembly have more than 7319 wells?",
        'find("wells", "Ollo")\nfind("wells", "Vurm")\nfind("wells", "Quembly")\n'
        'filter({"Ollo": $1, "Vurm": $2, "Quembly": $3}, "> 7319")',
        "filter",
    ),
    Shape(
        (NESTED, _words(_MORE)),
        "Which is older, the keeper of the wells of Ollo or the keeper of the wells of Vurm?",
        'find("keeper", "Ollo")\nfind("keeper", "Vurm")\nfind("age", "$1")\nfind("age", "$2")\n'
        'argmax({"Ollo": $3, "Vurm": $4})',
        "argmax",
    ),
    Shape(
        (NESTED,),
        "How old is the keeper of the wells of Vurm?",
        'find("keeper", "Vurm")\nfind("age", "$1")',
    ),
    Shape(
        (_words(_MORE),),
        "Which has the most wells: Ollo, Vurm or Quembly?",
        'find("wells", "Ollo")\nfind("wells", "Vurm")\nfind("wells", "Quembly")\n'
        'argmax({"Ollo": $1, "Vurm": $2, "Quembly": $3})',
        "argmax",
    ),
    Shape(
        (_words(_SUMS),),
        "How many more wells has Ollo than Vurm?",
        'find("wells", "Ollo")\nfind("wells", "Vurm")\ncalculate("$1 - $2")',
        "calculate",
    ),
)
_FIND = re.compile(r'find\("(?P<thing>[^"]+)", "(?P<name>[^"]+)"\)')
_ASKED: Final[Mapping[str, str]] = {
    "wells": "How many wells has {name}?",
    "keeper": "Who keeps the wells of {name}?",
    "age": "How old is {name}?",
}
_LOOKED_FOR: Final = {
    "wells": "wells of {name}",
    "keeper": "keeper of the wells of {name}",
    "age": "age of {name}",
}
_TAKES_WORDS = re.compile(r"query|q|question|search\w*|text|topic|keywords?|terms?|input|prompt")

_EXAMPLE = re.compile(
    r"^Question:[ \t]*(?P<question>.+)\n(?P<plan>(?:(?!Question:|###).*(?:\n|\Z))+)", re.MULTILINE
)
_CALLED = re.compile(r"(?<![\w$])(?P<tool>[^\W\d]\w*)\(")


def read_examples(examples: str | list[Example]) -> list[Example]:
    """Examples as a list. Raises ValueError where one has no plan that can be read."""
    if isinstance(examples, str):
        found: list[Example] = [
            {"question": match["question"], "plan": match["plan"]} for match in _EXAMPLE.finditer(examples)
        ]
        if not found:
            raise ValueError(
                'examples are a list of {"question": …, "plan": …}, or a text with "Question: …" and, below, '
                'the steps of its plan, one a line, as in 1. search("Paris")'
            )
    else:
        found = examples
    for example in found:
        if len(example) < 2:
            raise ValueError('an example has both "question" and "plan"')
        named: Parameters = {name: () for name in _CALLED.findall(example["plan"]) if name != JOIN}
        _ = _steps(example["plan"], named, example["question"])
    return found


Examples = Annotated[str | list[Example], AfterValidator(read_examples)]


def given(examples: Sequence[Example], parameters: Parameters) -> list[tuple[str, list[Step]]]:
    """The examples of the caller, each a question with its steps.

    Raises:
        InvalidRequest: one uses what is not offered; says what is.
    """
    try:
        return [(each["question"], _steps(each["plan"], parameters, each["question"])) for each in examples]
    except ValueError as error:
        raise InvalidRequest(f"examples: {error}") from None


def _steps(text: str, parameters: Parameters, question: str) -> list[Step]:
    """The steps of an example. Raises ValueError, with what is wrong, unless it is a valid plan."""
    reader = TextReader(parameters)
    read = [*reader.feed(f"{text.strip()}\n"), *reader.finish()]
    plan = Plan(list(parameters), (), max(1, len(read)))
    for step in [*read, Step(0, JOIN, {})]:
        plan.admit(step)
    if errors := plan.close() or ([] if plan.steps else ["it has no steps"]):
        raise ValueError(f"the plan of the example {question!r}: {'; '.join(errors)}")
    return list(plan.steps.values())


def calls_in(calls: Sequence[str], parameters: Parameters) -> list[Step]:
    """The calls that a tool shows of itself; one that cannot be read is left out."""
    found: list[Step] = []
    for call in calls:
        reader = TextReader(parameters)
        read = (*reader.feed(f"1. {call}\n"), *reader.finish())
        found += [step for step in read if step.tool in parameters]
    return found


def built_in(question: Question, offers: Offers) -> list[tuple[str, list[Step]]]:
    """Examples of the shape of the question, or of any, with the kinds of steps that are offered."""
    finder = next((offer for offer in offers.values() if _takes_one_text(offer)), next(iter(offers.values())))
    possible = [
        shape
        for shape in SHAPES
        if (not shape.computes or _computes(shape.computes, offers))
        and (_takes_words(finder) or not shape.chained)
    ]
    fitting = [shape for shape in possible if shape.suits(question.text)] or possible[-2:]
    parameters = parameters_of(offers)
    return [
        (shape.question, _steps(_found(shape.plan, finder), parameters, shape.question))
        for shape in fitting[:MOST]
    ]


def _computes(name: str, offers: Offers) -> bool:
    """Whether a computing step is offered, and no tool of the run has its name."""
    return name in offers and any(tool.schema == offers[name].schema for tool in COMPUTING)


def _found(plan: str, finder: Offer) -> str:
    """A plan with the steps of an offer in place of ``find``."""
    argument = next(iter(finder.required or finder.parameters), None)

    def step(match: re.Match[str]) -> str:
        text = match["name"]
        if finder.gives_answer:
            text = _ASKED[match["thing"]].format(name=text)
        elif _takes_words(finder):
            text = _LOOKED_FOR[match["thing"]].format(name=text)
        return f"{finder.name}({'' if argument is None else f'{argument}={json.dumps(text)}'})"

    return _FIND.sub(step, plan)


def _takes_one_text(offer: Offer) -> bool:
    return len(offer.required) == 1 and takes_text(properties_of(offer.schema)[offer.required[0]])


def _takes_words(offer: Offer) -> bool:
    """Whether what is looked for can be told in words."""
    return _takes_one_text(offer) and _TAKES_WORDS.fullmatch(offer.required[0]) is not None


def of_example(question: Question, step: Step) -> str:
    """Why a step cannot be meant, because it is about a built-in example; empty if it can."""
    back = given_back(question, str(step.arguments))
    return f"step {step.id} is about {back}, which stands in the example, not in the question" if back else ""

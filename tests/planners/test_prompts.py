"""What models are told: no instruction shows an answer that could be given back as one.

Every installed planner runs on a simulator that says all sorts of things, and its prompts are read without
what users, tools and models have said in them. What is left are our own words. In these, a number, a filled
box, an answer after its mark, a quoted value, or a name inside a sentence is what a small model repeats. So
each must be in ``HARMLESS``, with the reason why it cannot be taken for an answer.
"""

from __future__ import annotations

import importlib
import json
import pkgutil
import re
from collections import Counter
from collections.abc import AsyncGenerator, Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import product
from random import Random
from types import ModuleType
from typing import Any

import pytest

import orchestrator.voting
import planners.tree
from orchestrator.consensus import judgement
from orchestrator.consensus.asked import claim_for
from orchestrator.planning.finding import find_planner, installed_planners
from orchestrator.runtime.values import Question, Turn
from planners.invented import NAMES, NUMBERS
from planners.kinds import FORMS
from tests.planners.conftest import BARE, GUIDED, play
from workers.calls import Call, Chunk, Logprob
from workers.engines.simulator.engine import Simulator
from workers.tools.calculator import calculator
from workers.tools.declaration import tool

JUDGED = "|".join(re.escape(f"Question: {asked}") for asked, *_ in judgement.EXAMPLES)
HARMLESS = {
    rf"^.*\b(?:{'|'.join((*NAMES, *NUMBERS))})\b.*$": "an example; what gives its names back is refused",
    r'"(?:thought|plan)"': "a key of the form",
    r'"(?:data|n|context|template|category|together)":': "a key of the form",
    r'"(?:Thought|Answer|Replan|Action): ?"': "a mark of the form, with nothing after it",
    r'"…"': "a place to fill; alone it is no answer",
    r'ask\("[^"]*\?"': "a step of an invented example asks, and says nothing",
    r'"ascending"': "the value of an argument",
    r'"?\(?\$\d(?: [-+] \$\d\)?)?(?: / 2)?"?': "references to results, which have no value of their own",
    r"^\s*\d{1,2}\.(?: |$)": "the number of a line",
    r"\b(?:2 to 5|at most 10) words\b|\b2 to 4 points\b": "how long a line is, and how many there are",
    r"\bSplit point \d+,": "counts what is to be split",
    r"\b(?:exactly|write|[Pp]oint|number|step|steps) \d+(?: to \d+)?\b": "counts what is to be written",
    r"\b\d+ -> \d+\b": "steps of the plan that is sent back",
    r"\bfrom 0 for [a-z ]+ to 9 for\b": "the ends of a scale; what is said on it is read as a score alone",
    r"^[A-C]: |A, B or C": "all letters that may be chosen, each with what it means",
    r"^[A-C]: |A, B or C|A or B": "all letters that may be chosen, each with what it means",
    r"^[A-Z][.:] ": "a choice that is offered",
    r"in all: \d+": "how many children there may be",
    r"^(?:<(?:Outline|Path)>)?\d+:": "the number of a part that is to be written",
    r"\(\d+ of \d+\)": "how many branches said so",
    r"it says .*?, which is no number of \w+": "what a model has said, and why it is wrong",
    r"\b(?:JSON|Yes|No|Python)\b": "words of the form",
    rf"^(?:First|Second) answer: .*$|{JUDGED}": "a judge says Yes or No in one token, counted above its bias",
}
"""Patterns of what instructions may show, and why it cannot be given back as an answer."""

SUSPECT = (
    re.compile(r"\d[\d.,]*"),
    re.compile(r"\\boxed\{[^}]+\}"),
    re.compile(r"\b[Aa]nswer: *[^\s<].*"),
    re.compile(r"\"[^\"]*\""),
    re.compile(r"(?<=[a-z,] )[A-Z]\w*"),
)


@tool
async def search(query: str) -> str:
    """looks something up in a register of gauges"""
    return "nothing was found" if "nothing" in query else "the gauge is blue, and rather long. " * 30


@tool
async def fails(text: str) -> str:
    """looks at a gauge"""
    raise RuntimeError("it is broken")


@tool
async def weigh(what: str) -> int:
    """weighs things"""
    return len(what)


BETWEEN = [f"the wheel of gauge {at} is old." for at in range(40)]
LONG = "\n\n".join(["the red gauge has a bolt by vurla.", *BETWEEN, "vurla makes bolts of seven grams."])


@tool
async def fits(question: str, answer: str) -> float:
    """says how well an answer fits"""
    return (len(question) + len(answer)) % 3 / 4


TOOLS = (search, fails, weigh, fits, calculator)
QUESTIONS = (
    Question("which of the two gauges is heavier, the blue one or the red one?"),
    Question("how many gauges are there?", context="there are as many gauges as wheels."),
    Question("what is it?", context="it is heavy, and has 7 wheels and 9 bolts.\n\nthe red gauge has none."),
    Question("what do people say of gauges?"),
    Question("give six tips for the care of a gauge."),
    Question("which one?", choices=("this", "that", "neither")),
    Question("what is x + y = z?"),
    Question("compute on what date the gauge is read, and how many weeks later than the wheel."),
    Question("compute the weight of the gauge at 9 pm."),
    Question("compute the weekday of the next reading of the gauge."),
    Question("write a poem of a gauge."),
    Question("which gauge is it?"),
    Question("how many letters has the gauge?"),
    Question("translate each of these into french: the gauge, the wheel and the bolt."),
    Question("write 3 slogans for gauges."),
    Question("how heavy is the bolt of the red gauge?", context=LONG),
    Question("and of the other?", history=(Turn("system", "be kind."), Turn("assistant", "it is a wheel."))),
    Question("how heavy?", format={"type": "json_schema", "schema": {"type": "object"}}),
    Question("is that so?", history=(Turn("user", "it is a heavy bolt."), Turn("user", "and an old one."))),
)
ABLE = (
    BARE,
    GUIDED,
    replace(GUIDED, guided_grammar=True, logprobs=True, roles=frozenset({"large"})),
    replace(GUIDED, roles=frozenset({"draft"})),
    replace(GUIDED, function_calls=True, max_model_len=900),
)
WAYS: Mapping[str, Sequence[Mapping[str, Any]]] = {
    "vote": (
        {"merge": "synthesis", "n": 3},
        {"merge": "synthesis", "n": 3, "max_tokens": 2},
        {"rule": "parallel_probe", "segment": 1},
        {"judge": "model", "n": 4},
    ),
    "skeleton": ({"route": "always"}, {"route": "always", "depth": 2}),
    "decompose": ({"n": 3},),
    "llm_compiler": ({}, {}),
    "react": ({"max_steps": 1}, {}),
    "calls": ({"max_rounds": 1},),
    "spawn_join": ({"depth": 2}, {"form": "text", "turns": 1}),
    "threads": ({"lead": "begin"}, {"dialect": "multiverse"}),
    "together": ({"rounds": 1}, {"workers": 3, "rounds": 2}),
    "strategies": ({"languages": ["the language of gauges"], "n": 2},),
    "no_thinking": ({"thinks": "yes", "n": 2}, {"thinks": "no", "n": 2}),
    "documents": ({"select": "ask", "chunk": 48}, {"combine": "ensemble"}),
    "distil": ({"by": "assessment"},),
    "tournament": ({"segment": 1, "n": 2},),
    "tree": (
        {"breadth": 2, "depth": 2},
        {"search": "adaptive", "verifier": "fits", "batch": 1},
        {"search": "adaptive", "n": 8},
    ),
}
"""Options beside the defaults that lead planners to further prompts."""

PLANS = (
    ('weigh("wheels")', 'weigh("gauges")', "compare($1, $2)"),
    ('search("gauge")', 'search("what is $1")'),
    ('ask("how many wheels has it?")', 'ask("is it $1?", [$1])', 'fails("gauge")'),
    ('search("gauge")', "unheard($9)"),
    (),
)
OUTLINE = "1. blue gauge: it is blue.\n2. red gauge: it is red.\n3. green gauge: it is green."
READ = (
    "Thought: so\nAnswer: red",
    "Thought: so\nReplan: how long",
    '{"thought": "so',
    "blue",
)
ACTIONS = ("hm", *['Action: search("gauge")'] * 2, 'Action: fails("a")', 'finish(answer="red")')
BLOCK = "<spawn>\n<task>it is green.</task>\n<task>9 wheels</task>\n</spawn>"
CALL = '<tool_call>{"name": "spawn", "arguments": {"messages": ["it is green.", "9 wheels"]}}</tool_call>'
LISTED = json.dumps({"data": ["the gauge", "the wheel", "the bolt"], "template": "translate {data}"})
SAMPLES = json.dumps({"n": 3, "template": "write a slogan for gauges."})
OUTLINES = "\n<Outline>2: it is green.</Outline>\n"
WOVEN = ("the gauge is blue.", "<Parallel>", "", "it is green.")
REPLIES = {
    "call the function spawn": (CALL, "it is green.", ""),
    "write a block in this form": (BLOCK, "it is green.", ""),
    "<Outlines>\n<Outline>1:": (f" blue{OUTLINE}</Outline>{OUTLINES}", *WOVEN),
    "written side by side": WOVEN,
    "Do not answer the question. It may list": ("so", LISTED, SAMPLES, LISTED, SAMPLES, SAMPLES, LISTED),
    "You are worker": ("it is so.", "the gauge weighs more than others do, as far as can be told.", ""),
    'a line "Answer: "': READ,
    "keleton": (OUTLINE, OUTLINE, "one gauge"),
    "Action": ACTIONS,
    "First quote": ("9 wheels", "9 wheels", "it is green.", "9 wheels", ""),
    "word for word": ("the red gauge has a bolt by vurla.", "it is green.", "nothing"),
    "letter": ("A", "B", "C", "none"),
    "": ("so \\boxed{red}", "so \\boxed{blue}", "it is green.", "the gauge is blue.", "", "Yes"),
}
"""What is said, by turns, where a text stands in the prompt."""


class Talker:
    """Says all sorts of things, so that planners come to all their prompts, and keeps what it is asked."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        self.said: set[str] = set()
        self._turns: Counter[str] = Counter()

    def __call__(self, call: Call, rng: Random) -> str:
        messages = call.prompt.messages()
        self.asked += [message["content"] for message in messages if message["role"] != "assistant"]
        own = [segment.text for segment in call.prompt.segments if segment.role == "assistant"]
        begun = [text for text in own if not any(each.startswith(text) for each in self.said)]
        self.asked += filter(None, map(self._unsaid, begun))
        text = self._reply("".join(message["content"] for message in messages))
        self.said.add(text)
        return text

    def _unsaid(self, text: str) -> str:
        """A text that is to be continued without what was said before, which may be the whole of it."""
        for said in sorted(self.said, key=len, reverse=True):
            text = text.replace(said, "") if len(said) > 4 or said == text else text
        return text if text.strip() else ""

    def _reply(self, told: str) -> str:
        if "Kinds of steps" in told:
            plan = PLANS[self._turn("plan") % len(PLANS)]
            if "Reply with JSON" in told:
                return json.dumps(
                    {"plan": [re.findall(r'(?<=")[^"]+(?=")|\$\d(?=[,)])|^\w+', each) for each in plan]}
                )
            return "".join(f"{at}. {step}\n" for at, step in enumerate((*plan, "join()"), 1))
        mark = next(mark for mark in REPLIES if mark in told)
        return REPLIES[mark][self._turn(mark) % len(REPLIES[mark])]

    def _turn(self, of: str) -> int:
        self._turns[of] += 1
        return self._turns[of] - 1


class Sure(Simulator):
    """A simulator whose judges say how sure they are of what they say."""

    async def generate(self, call: Call) -> AsyncGenerator[Chunk, None]:
        scored = call.role == "judge" and call.sampling.top_logprobs is not None
        async for chunk in super().generate(call):
            yield replace(chunk, logprobs=(Logprob(chunk.text, -0.1),)) if scored and chunk.text else chunk


def own_words(text: str) -> str:
    """A text of a prompt without slots, and without what questions, tools and replies of this test say."""
    text = re.sub(r"<(\w+)>\n.*?\n?</\1>", "", text, flags=re.DOTALL)
    text = re.sub(r"^- (?:search|fails|weigh|fits)\(.*$|1\. blue gauge", "", text, flags=re.MULTILINE)
    for question in QUESTIONS:
        turns = [turn.content for turn in question.history]
        for given in (question.text, question.context, *question.choices, *turns):
            text = text.replace(given, "") if len(given) > 4 else text
    return text


def shown(text: str) -> list[str]:
    """What in our own words could be given back as an answer."""
    text = own_words(text)
    for pattern in HARMLESS:
        text = re.sub(pattern, " ", text, flags=re.MULTILINE)
    return [found.group() for pattern in SUSPECT for found in pattern.finditer(text)]


async def asked_by(name: str) -> list[str]:
    """What a planner asks models, over questions and engines of all kinds, with tools and without."""
    talker = Talker()
    planner = find_planner(name)
    ways = ({}, *WAYS.get(name, ()))
    for seed, (options, _, question) in enumerate(product(ways, range(2), QUESTIONS)):
        engine = Sure(talker, claims=ABLE[seed % len(ABLE)], seed=seed)
        await play(planner, question, engine, tools=TOOLS if seed % 5 else (), seed=seed, **options)
    return list(dict.fromkeys(talker.asked))


@pytest.fixture(scope="module")
def kept() -> dict[str, list[str]]:
    """What was asked, by planner."""
    return {}


async def asked(name: str, kept: dict[str, list[str]]) -> list[str]:
    if name not in kept:
        kept[name] = await asked_by(name)
    return kept[name]


@pytest.mark.parametrize("name", installed_planners())
async def test_no_prompt_shows_what_could_be_given_back_as_an_answer(
    name: str, kept: dict[str, list[str]]
) -> None:
    assert {text: found for text in await asked(name, kept) if (found := shown(text))} == {}


@pytest.mark.parametrize(
    ("instruction", "found"),
    [
        ("Give the final answer alone in a box, such as \\boxed{12}.", ["12", "\\boxed{12}"]),
        ("Reply with the letter.\nAnswer: B", ["Answer: B"]),
        ('Reply with {"plan": "the Nile"}.', ['"the Nile"', "Nile"]),
        ("The form, in an example: search(London)", []),
        ("Plan the steps, such as the capital of France.", ["France"]),
        ("Write 3 points on it.", ["3"]),
        ("1. Warm pot: rinse it at 90 degrees.", ["90"]),
        ('Then finish(answer="…").', []),
    ],
)
def test_what_can_be_given_back_is_seen(instruction: str, found: list[str]) -> None:
    assert sorted(shown(instruction)) == sorted(found)


WITHOUT_PROMPTS = {
    "planners.signs",
    "planners.wording",
    "planners.documents.planner",
    "orchestrator.voting.standing",
}
"""Modules whose texts are words to look for, or what people are told."""


def instructions() -> Iterator[tuple[str, str]]:
    """The texts of the modules that prompts are made of, by their names."""
    rooms = [planners, planners.tree, orchestrator.voting]
    modules: list[ModuleType] = [judgement]
    for room in rooms:
        named = pkgutil.walk_packages(room.__path__, f"{room.__name__}.")
        modules += [importlib.import_module(each.name) for each in named]
        within = pkgutil.walk_packages(room.__path__, f"{room.__name__}.")
        modules += [importlib.import_module(each.name) for each in within]
        found = pkgutil.walk_packages(room.__path__, f"{room.__name__}.")
        modules += [importlib.import_module(each.name) for each in found]
        modules += [
            importlib.import_module(each.name)
            for each in pkgutil.walk_packages(room.__path__, f"{room.__name__}.")
        ]
        found = pkgutil.walk_packages(room.__path__, f"{room.__name__}.")
        modules += [importlib.import_module(each.name) for each in found]
    for module in modules:
        if module.__name__ in WITHOUT_PROMPTS:
            continue
        for name, value in vars(module).items():
            several = value.values() if isinstance(value, dict) else value
            for text in several if isinstance(value, dict | tuple) else (value,):
                if isinstance(text, str) and name.isupper() and name[0] != "_" and text.count(" ") > 2:
                    yield name, text.replace("{{", "{").replace("}}", "}")


UNSAID = {
    *("AMOUNTS", "ALONE", "ANOTHER", "FORCED", "UNREAD", "NO_CALLING", "NO_PREFILL", "INSUFFICIENT"),
    *("SETTLED_BY", "PUZZLE"),
}
"""What is told to people, not to models."""


INSTRUCTIONS = tuple(instructions())


async def test_these_runs_come_to_every_instruction(kept: dict[str, list[str]]) -> None:
    """A prompt that no run above comes to would go unseen."""
    told = "\n".join([text for name in installed_planners() for text in await asked(name, kept)])
    missing = {
        (name, text)
        for name, text in INSTRUCTIONS
        if name not in UNSAID
        and not all(part in told for part in re.split(r"\{\w+\}", text) if len(part.strip()) > 9)
    }
    assert missing == set()


@pytest.mark.parametrize("form", FORMS.values())
def test_what_is_asked_for_is_no_answer(form: str) -> None:
    assert claim_for("How many?", rf"\boxed{{{form}}}") is None
    assert claim_for("How many?", form) is None

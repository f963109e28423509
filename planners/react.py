"""ReAct (arXiv 2210.03629): thoughts, actions and observations, one after the other, up to the answer.

This is the sequential agent that LLMCompiler (arXiv 2312.04511) is measured against: "ReAct+", whose prompt
also forbids to do the same again.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Annotated, NamedTuple

from pydantic import Field

from orchestrator.planning.planner import planner
from orchestrator.planning.run import Run
from orchestrator.planning.suits import Suits
from orchestrator.runtime.messages import Message, assistant, text_of, user
from orchestrator.runtime.nodes import Succeeded
from orchestrator.runtime.values import Answer, Question
from planners.acting import Action, Actions, by_turns, told
from planners.fitting import fitting_tool, lacks_tools
from planners.plan_text import TextReader
from planners.questions import Temperature, Tokens, said, set_task, slot
from planners.schemas import described
from planners.verdicts import as_answer

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from planners.plans import Step
    from workers.tools.tool import Tool

FINISH, ANSWER = "finish", "answer"
"""The action that ends, and its argument."""
OBSERVATION = "Observation:"
STOPS = (OBSERVATION, OBSERVATION.lower())
"""What a model writes where it is the tool's turn."""

TASK = (
    "Find the answer step by step, with the tools below and nothing else. Each step calls one tool; then you "
    "are told what it returned, and take the next step. Never take a step twice: the tool would return the "
    f'same. Once you know the answer, the last step is {FINISH}(answer="…"), with the answer alone.\n'
    "\nThe tools:\n"
)
FORM = (
    "\nWrite one step now, as two lines in this form and nothing after them:\n"
    "Thought: what is known, and what is needed next\n"
    'Action: name(argument="…")\n'
)
REPAIR = (
    "No action can be read in this. Write the step again: a line with a thought, and a line that begins with "
    f'"Action:" and calls one tool, or {FINISH}(answer="…").'
)
REPEATED = "You have taken this action before. Take another one, or finish with the answer:\n"

_LABEL = re.compile(
    r"(?:^[ \t*#>-]*|[ \t][*]*)action(?:[ \t]*\d+)?[ \t*]*:[ \t*`]*(?=\w+[(\[])",
    re.IGNORECASE | re.MULTILINE,
)
"""What stands before an action, which then begins a line."""
_PIECE = re.compile(r"[^)\]\n]*[)\]\n]|[^)\]\n]+")
_STATED = re.compile(
    r"^[ \t*#>-]*(?:action[ \t*]*:[ \t*]*)?(?:(?:final[ \t]+)?answer|finish)[ \t*]*:[ \t*]*"
    r"(?P<answer>\S.*)$",
    re.IGNORECASE | re.MULTILINE,
)
"""An answer that is given without the form of an action."""


def lacks(run: Run, question: Question) -> str:
    """Why this planner cannot be used here; empty if it can."""
    if why := lacks_tools(run, question):
        return why
    return f"a tool is called {FINISH}, as the action that ends" if FINISH in run.tools else ""


SUITS = Suits(
    "with what tools find out, one after the other",
    cost=80,
    sign=fitting_tool,
    lacks=lacks,
    calls=2,
    yields_to=("llm_compiler", "calls"),
    settles=True,
)


@planner("react", suits=SUITS)
async def react(
    run: Run,
    question: Question,
    *,
    max_steps: Annotated[int, Field(ge=1, le=64)] = 8,
    temperature: Temperature = 0.0,
    max_tokens: Tokens = 512,
) -> Answer:
    """Let the model think, call one tool, read what it returned, and so on until it gives the answer.

    A step in which no action can be read is sent back once. An action that was taken before is not taken
    again: the model is told once, and the second time ends it. Where there is no answer in the end, one is
    made from what was found, with the reason in the trace; if nothing was found, the question is asked
    plainly. ``max_steps`` bounds the steps, ``max_tokens`` each of them.

    Raises:
        NodeFailed: the engine failed even then.
    """
    return await by_turns(
        run,
        question,
        _Agent(run, question, temperature, max_tokens),
        max_steps,
        by="react",
        turn="step",
        lacking=lacks(run, question),
        temperature=temperature,
        max_tokens=max_tokens,
    )


@dataclass(slots=True)
class _Agent:
    run: Run
    question: Question
    temperature: float
    max_tokens: int
    actions: Actions = field(init=False)
    prompt: list[Message] = field(init=False)
    has_repeated: bool = False

    def __post_init__(self) -> None:
        listed = "\n".join(described(tool) for tool in self.run.tools.values())
        self.actions = Actions(self.run)
        self.prompt = set_task(self.question, f"{TASK}{listed}\n{FORM}")

    async def turn(self, number: int) -> Answer | str:
        """Take one step; returns the answer, or why there is no next step, empty if there is one."""
        read: Read | None = None
        for label in (f"step {number}", f"repaired step {number}"):
            outcome = await self.run.generate(
                self.prompt,
                label=label,
                role="planner",
                stop=STOPS,
                temperature=self.temperature,
                max_tokens=self.max_tokens,
            ).settled()
            if not isinstance(outcome, Succeeded):
                return f"step {number} failed: {outcome.why}"
            text, is_whole = said(outcome.value), outcome.value.finish_reason == "stop"
            if (read := action_in(text, self.run.tools, is_whole=is_whole)) is not None:
                break
            self.run.decide("react", "refuse", {"step": number, "why": "no action can be read"})
            self.prompt += [assistant(text or "(nothing)"), user(REPAIR)]
        if read is None:
            return f"no action can be read in step {number}"
        if read.action.tool == FINISH:
            return as_answer(text_of(read.action.arguments[ANSWER]).strip(), self.question)
        # What a model makes up after its action, such as what the tool returns, must not seem to be known.
        self.prompt.append(assistant(text[: read.end].rstrip()))
        return await self._observe(number, read.action)

    async def _observe(self, number: int, action: Action) -> str:
        is_repeated = self.actions.has(action)
        if is_repeated:
            if self.has_repeated:
                return "it takes the same actions again"
            self.has_repeated = True
            self.run.decide("react", "repeated", {"step": number, "action": str(action)})
        node = self.actions.take(action, f"{number} {action.tool}")
        if node is None:
            observation = self.actions.unknown(action.tool)
        else:
            self.run.expect([*self.prompt, user(f"{OBSERVATION}\n")], role="planner")
            await node.settled()
            observation = told(node)
        before = REPEATED if is_repeated else ""
        self.prompt.append(user(f"{OBSERVATION}\n", f"{before}{slot('result', observation)}"))
        return ""


class Read(NamedTuple):
    """An action, and where the text after it begins."""

    action: Action
    end: int


def action_in(text: str, tools: Mapping[str, Tool], *, is_whole: bool = True) -> Read | None:
    """The first action in a step, which may be of a tool that there is not; None if there is no action.

    An answer that is stated without an action finishes. Of a text that is not whole, an action counts only if
    it has come to its end.
    """
    parameters = {name: tuple(tool.schema.get("properties", ())) for name, tool in tools.items()}
    reader = TextReader({**parameters, FINISH: (ANSWER,)})
    lines = _LABEL.sub(lambda label: "\n".rjust(len(label.group())), text)
    for piece in _PIECE.finditer(lines):
        if (action := _first(reader.feed(piece.group()))) is not None:
            return Read(action, piece.end())
    if not is_whole:
        return None
    if (action := _first(reader.finish())) is not None:
        return Read(action, len(text))
    stated = _STATED.search(text)
    if stated is None or not _says_something(stated["answer"]):
        return None
    return Read(Action(FINISH, {ANSWER: stated["answer"].rstrip(" \t*")}), stated.end())


def _first(steps: Iterable[Step]) -> Action | None:
    """The first of the steps that is an action; one that finishes without an answer is none."""
    for step in steps:
        if step.tool != FINISH or _says_something(text_of(step.arguments.get(ANSWER, ""))):
            return Action(step.tool, step.arguments)
    return None


def _says_something(answer: str) -> bool:
    """Whether an answer is more than the dots in its place in the form that the model is shown."""
    return bool(answer.strip(" \t\n*.…"))

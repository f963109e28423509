"""ReAct (arXiv 2210.03629): thoughts, actions and observations, one after the other, up to the answer.

This is the sequential agent that LLMCompiler (arXiv 2312.04511) is measured against: "ReAct+", whose prompt
also forbids to do the same again.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Annotated

from pydantic import Field

from orchestrator.planning.planner import planner
from orchestrator.planning.run import Run
from orchestrator.runtime.messages import Message, assistant, text_of, user
from orchestrator.runtime.nodes import Failed, Succeeded
from orchestrator.runtime.values import Answer, Question
from planners.acting import NO_TOOLS, Action, Actions, described, from_found, told
from planners.plan_text import TextReader
from planners.questions import Temperature, Tokens, answer_of, said, set_task, slot
from workers.calls import Completion

if TYPE_CHECKING:
    from collections.abc import Mapping

    from workers.tools.tool import Tool

FINISH, ANSWER = "finish", "answer"
"""The action that ends, and its argument."""
OBSERVATION = "Observation:"
STOPS = (OBSERVATION, f"\n{OBSERVATION[:-1]} ")
"""What a model writes where it is the tool's turn."""

TASK = (
    "Find the answer step by step, with the tools below and nothing else. Each of your messages is a step:\n"
    "Thought: what is known, and what is needed next\n"
    'Action: one call of a tool, in the form name(argument="value")\n'
    "End the message there. The next one gives you the observation, which is what the tool returned.\n"
    "Never take an action twice: its observation would be the same. If one did not help, take another.\n"
    f'Once you know the answer, end with the action {FINISH}(answer="…"), which gives the answer alone.\n'
    "\nThe tools:\n"
)
REPAIR = (
    "No action can be read in this. Write the step again: a line with a thought, and a line that begins with "
    f'"Action:" and calls one tool, or {FINISH}(answer="…").'
)
REPEATED = "You have taken this action before. Take another one, or finish with the answer:\n"

_LABEL = re.compile(
    r"(?:^[ \t*#>-]*|[ \t]+[*]*)action(?:[ \t]*\d+)?[ \t*]*:[ \t*`]*(?=\w+[(\[])",
    re.IGNORECASE | re.MULTILINE,
)
"""What stands before an action, which then begins a line."""
_STATED = re.compile(
    r"^[ \t*#>-]*(?:action[ \t*]*:[ \t*]*)?(?:(?:final[ \t]+)?answer|finish)[ \t*]*:[ \t*]*"
    r"(?P<answer>\S.*?)[ \t*]*$",
    re.IGNORECASE | re.MULTILINE,
)
"""An answer that is given without the form of an action."""


def sign(run: Run, question: Question) -> str:
    """Why the question itself calls for this planner: nothing does, as others need fewer steps."""
    return ""


def lacks(run: Run, question: Question) -> str:
    """Why this planner cannot be used here; empty if it can."""
    if not run.tools:
        return NO_TOOLS
    return f"a tool is called {FINISH}, as the action that ends" if FINISH in run.tools else ""


@planner("react")
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
    agent = _Agent(run, question, temperature, max_tokens)
    reason = lacks(run, question)
    for number in range(1, max_steps + 1):
        if reason:
            break
        read = await agent.step(number)
        if isinstance(read, Answer):
            return read
        reason = read
    found = agent.actions.found()
    reason = reason or f"{max_steps} steps have come to no answer"
    run.decide("react", "answer from results" if found else "direct", {"reason": reason})
    return await from_found(run, question, found, temperature=temperature, max_tokens=max_tokens)


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
        self.prompt = set_task(self.question, f"{TASK}{listed}\n")

    async def step(self, number: int) -> Answer | str:
        """Take one step; returns the answer, or why there is no next step, empty if there is one."""
        action: Action | None = None
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
                why = outcome.failure.message if isinstance(outcome, Failed) else "it was cancelled"
                return f"step {number} failed: {why}"
            text, is_whole = said(outcome.value), outcome.value.finish_reason == "stop"
            self.prompt.append(assistant(text or "(nothing)"))
            if (action := action_in(text, self.run.tools, is_whole=is_whole)) is not None:
                break
            self.run.decide("react", "refuse", {"step": number, "why": "no action can be read"})
            self.prompt.append(user(REPAIR))
        if action is None:
            return f"no action can be read in step {number}"
        if action.tool == FINISH:
            return finished(text_of(action.arguments[ANSWER]), self.question)
        return await self._observe(number, action)

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


def action_in(text: str, tools: Mapping[str, Tool], *, is_whole: bool = True) -> Action | None:
    """The first action in a step, which may be of a tool that there is not; None if there is no action.

    An answer that is stated without an action finishes. Of a text that is not whole, an action counts only if
    it has come to its end.
    """
    parameters = {name: tuple(tool.schema.get("properties", ())) for name, tool in tools.items()}
    reader = TextReader({**parameters, FINISH: (ANSWER,)})
    text = _LABEL.sub("\n", text)
    for step in (*reader.feed(text), *(reader.finish() if is_whole else ())):
        if step.tool != FINISH or text_of(step.arguments.get(ANSWER, "")).strip():
            return Action(step.tool, step.arguments)
    stated = _STATED.search(text) if is_whole else None
    return None if stated is None else Action(FINISH, {ANSWER: stated["answer"]})


def finished(answer: str, question: Question) -> Answer:
    """The answer that a model gave alone: it is the claim, unless one of several choices is meant by it."""
    answer = answer.strip()
    if question.choices:
        return answer_of(Completion(answer, "stop"), question)
    return Answer(answer, answer)

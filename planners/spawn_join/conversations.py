"""How a model spawns children and joins: by calls of functions, or by markers in the text that it writes.

In both forms the conversation only grows at its end, so that each turn finds the turns before it in the
prefix cache. What children return is put in by the runtime alone.
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Protocol, Unpack

from orchestrator.consensus.thinking import split_thinking
from orchestrator.errors import PlannerError
from orchestrator.planning.run import Run
from orchestrator.runtime.given import SamplingOptions
from orchestrator.runtime.messages import Message, Part, assistant, calling, result, text_of, user
from orchestrator.runtime.nodes import Node
from planners.questions import guarded, slot
from workers.calls import Completion
from workers.functions import FunctionCall
from workers.showing import show
from workers.tools.declaration import tool

SPAWN, TASK, JOIN, RESULTS = "spawn", "task", "join", "results"
TAGS: Final = (SPAWN, TASK, JOIN, RESULTS)
"""The markers; no text that is given, and none that a child returns, may have one."""

BY_CALL = (
    "To do so, call the function spawn with the messages of all children at once. You are then given what "
    "each of them returns.\n"
)
BY_MARKERS = (
    "To do so, write a block in this form, with a task for each child, and nothing after it:\n"
    "<spawn>\n<task>…</task>\n<task>…</task>\n</spawn>\n"
    "You are then given what each child returns. Never make up what they return.\n"
)
JOIN_BY_CALL = "Then call the function join with what you have found: all that matters of it, in few words.\n"
JOIN_BY_MARKERS = (
    "Then write what you have found, all that matters of it in few words, in the form <join>…</join>.\n"
)
GO_ON = "Go on from what the children have returned."


@tool(name=SPAWN)
def _spawn(messages: list[str]) -> str:
    """hands a part of the work to each of several children, which see nothing but their message"""
    raise PlannerError("children are spawned by the planner, not called as a tool")


@tool(name=JOIN)
def _join(message: str) -> str:
    """ends your work, and returns what you have found to whoever gave it to you"""
    raise PlannerError("what joins is read by the planner, not called as a tool")


@dataclass(frozen=True, slots=True)
class Move:
    """What a turn ends with: messages to children, or what a child returns (``joined``), or neither.

    ``wrong`` says why something in it does not count, and ``said`` is what it says besides.
    """

    said: str
    messages: tuple[str, ...] = ()
    joined: str | None = None
    wrong: str = ""

    @property
    def ends(self) -> bool:
        """Whether no turn follows."""
        return self.joined is not None or not (self.messages or self.wrong)


class Conversation(Protocol):
    """The turns of a parent or a child."""

    def ask(self, label: str, **sampling: Unpack[SamplingOptions]) -> Node[Completion]:
        """Have the model take its next turn."""
        ...

    def read(self, completion: Completion) -> Move:
        """What the turn ends with."""
        ...

    def tell(self, completion: Completion, returned: Sequence[str]) -> None:
        """Go on after the turn that was read last, with what came of each of its messages."""
        ...


@dataclass(frozen=True, slots=True)
class Seat:
    """Who takes part: whether children may be spawned, and whether there is somebody to return to."""

    spawns: bool
    joins: bool


class Calling:
    """Spawns and joins by the engine's function calling.

    The same functions are offered in every turn: they stand at the beginning of what the engine reads.
    """

    def __init__(self, run: Run, seat: Seat, prompt: Sequence[Message]) -> None:
        self._run = run
        self._prompt = list(prompt)
        self._offered = {
            each.name: each for each, is_offered in ((_spawn, seat.spawns), (_join, seat.joins)) if is_offered
        }
        self._outcomes: list[tuple[FunctionCall, int | str]] = []
        """Of each call, the number of its messages, or why it does not count."""

    def ask(self, label: str, **sampling: Unpack[SamplingOptions]) -> Node[Completion]:
        """Have the model take its next turn."""
        functions = list(self._offered.values())
        return self._run.generate(self._prompt, label=label, functions=functions, **sampling)

    def read(self, completion: Completion) -> Move:
        """What the turn ends with; a child that returns something spawns no more."""
        said = split_thinking(completion.text).answer.strip()
        messages: list[str] = []
        faults: list[str] = []
        self._outcomes = []
        for call in completion.calls:
            given = self._given(call)
            if call.name == JOIN and isinstance(given, list):
                return Move(said, joined=given[0])
            if isinstance(given, str):
                faults.append(given)
                self._outcomes.append((call, given))
            else:
                messages += given
                self._outcomes.append((call, len(given)))
        if not completion.calls and (begins := _AS_TEXT.match(said)):
            text = _join_in(said[begins.start("call") :])
            return Move(text, joined=text if text and JOIN in self._offered else None)
        return Move(said, tuple(messages), wrong="; ".join(faults))

    def tell(self, completion: Completion, returned: Sequence[str]) -> None:
        """Give each call the results of its messages."""
        self._prompt.append(calling(completion))
        rest = iter(returned)
        for call, outcome in self._outcomes:
            told = outcome if isinstance(outcome, str) else listed([next(rest) for _ in range(outcome)])
            self._prompt.append(result(call, told))

    def _given(self, call: FunctionCall) -> list[str] | str:
        """The messages of a call, at least one, or why it has none."""
        if call.name not in self._offered:
            known = " and ".join(self._offered) or "none"
            return f"there is no function {show(call.name)}; the functions are {known}"
        values = call.values()
        value: object
        if values is not None:
            key = "message" if call.name == JOIN else "messages"
            value = values.get(key, next(iter(values.values()), None))
        elif (value := _list_in(call.arguments)) is None:
            return f"the arguments are no JSON object: {show(call.arguments)}"
        if call.name == SPAWN and isinstance(value, str):
            value = _list_in(value) or value
        several = value if isinstance(value, list) and call.name == SPAWN else [value]
        texts = [text_of(each) for each in several if each is not None]
        return [text for text in texts if says_something(text)] or f"{call.name} was called without a message"


def _join_in(said: str) -> str:
    """What a text comes to that begins with a call in JSON: what joins, or what is said after the call."""
    try:
        call, end = json.JSONDecoder().raw_decode(said)
    except (ValueError, RecursionError):
        return ""
    if call["name"] != JOIN:
        return _AFTER.sub("", said[end:]).strip()
    given = call.get("arguments", call.get("parameters"))
    if isinstance(given, str):
        given = FunctionCall("", JOIN, given).values()
    value = next(iter(given.values()), None) if isinstance(given, dict) else given
    texts = [text_of(each) for each in (value if isinstance(value, list) else [value]) if each is not None]
    return "\n".join(filter(says_something, texts))


def _list_in(text: str) -> list[object] | None:
    """A JSON list that stands in place of arguments, or as text in one; None if there is none."""
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        return None
    return value if isinstance(value, list) else None


_AS_TEXT = re.compile(
    rf'(?:```(?:json)?[ \t]*\n\s*|<tool_call>\s*)?(?P<call>\{{\s*"name"\s*:\s*"(?:{SPAWN}|{JOIN})")'
)
_AFTER = re.compile(r"\A\s*(?:```|</tool_call>)")
_BLOCK = re.compile(rf"^[ \t]*<{SPAWN}>", re.MULTILINE | re.IGNORECASE)
_BLOCK_END = re.compile(rf"</{SPAWN}>", re.IGNORECASE)
_TASK = re.compile(rf"<{TASK}>(.*?)(?=</?{TASK}>|\Z)", re.DOTALL | re.IGNORECASE)
_JOINED = re.compile(rf"<{JOIN}>(.*?)(?:</{JOIN}>|\Z)", re.DOTALL | re.IGNORECASE)
_FORGED = re.compile(rf"<\s*(?:/\s*)?(?:{RESULTS}\s*>|\Z)", re.IGNORECASE)
"""Results that a model writes itself: what is left of the marker where the engine has stopped at it."""

_UNCLOSED = "results>"
"""Where a model is stopped that writes results itself; the sign before it stays in the text, and shows it."""


class Writing:
    """Spawns and joins by markers in the text, which the engine continues where it can.

    If it can, a conversation is one text of the assistant: turns, with the very tokens that were generated,
    and between them the results. If it cannot, the results come in messages of the user.
    """

    def __init__(self, run: Run, seat: Seat, prompt: Sequence[Message]) -> None:
        self._run = run
        self._seat = seat
        self._prompt = list(prompt)
        self._continues = run.capabilities.assistant_prefill
        self._parts: list[Part] = []
        self._kept: Part = ""
        self._fault = ""
        self._is_open = False

    def ask(self, label: str, **sampling: Unpack[SamplingOptions]) -> Node[Completion]:
        """Have the model take its next turn."""
        stops = [f"</{JOIN}>"] * self._seat.joins + [f"</{SPAWN}>", _UNCLOSED] * self._seat.spawns
        options: SamplingOptions = {**sampling, "stop": tuple(stops)}
        prompt = [*self._prompt, assistant(*self._parts)] if self._parts else self._prompt
        return self._run.generate(prompt, label=label, return_token_ids=self._continues, **options)

    def read(self, completion: Completion) -> Move:
        """What the turn ends with; what comes after it, or is made up as a result, is cut off."""
        text = completion.text
        thinking = split_thinking(text)
        start = max(0, text.rfind(thinking.answer)) if thinking.reasoning and thinking.closed else 0
        end, self._fault = len(text), ""
        if self._seat.spawns and (forged := _FORGED.search(text, start)):
            end, self._fault = forged.start(), "only the runtime says what children return"
        block = _BLOCK.search(text, start, end) if self._seat.spawns else None
        self._is_open = block is not None
        if block is not None and (closed := _BLOCK_END.search(text, block.end(), end)):
            end, self._is_open = closed.end(), False
        self._kept = completion if end == len(text) else text[:end]
        said = text[start : block.start() if block else end].strip()
        if self._seat.joins and (joined := _JOINED.search(text, start, end)):
            return Move(said, joined=joined[1].strip())
        if block is None:
            return Move(said, wrong=self._fault)
        tasks = [each.strip() for each in _TASK.findall(_BLOCK_END.sub("", text[block.end() : end]))]
        messages = tuple(filter(says_something, tasks))
        if completion.finish_reason != "stop":
            messages, self._fault = (), "the block was cut off before its end"
        elif not messages:
            self._fault = f"no task can be read in the block: each stands in <{TASK}>…</{TASK}>"
        return Move(said, messages, wrong=self._fault)

    def tell(self, completion: Completion, returned: Sequence[str]) -> None:
        """Close the block where it is open, and put in what came of it."""
        begun_line = "" if text_of(self._kept).endswith("\n") else "\n"
        closing = f"{begun_line}</{SPAWN}>" if self._is_open else ""
        told = f"<{RESULTS}>\n{listed(returned or [self._fault])}</{RESULTS}>\n"
        if self._continues:
            self._parts += [self._kept, f"{closing}\n{told}"]
        else:
            self._prompt += [assistant(self._kept, closing), user(told, GO_ON)]


def listed(returned: Sequence[str]) -> str:
    """What children have returned, by number, without anything that could be taken for a marker."""
    return "".join(
        slot("result", guarded(f"{number}: {text}", *TAGS)) for number, text in enumerate(returned, 1)
    )


def says_something(message: str) -> bool:
    """Whether a message is more than the dots in its place in the form that the model is shown."""
    return bool(message.strip(" \t\n.…"))

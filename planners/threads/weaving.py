"""The planner: one text, in which a model has parts of it written side by side, as in ThreadWeaver.

The client of the paper over a stock engine (its state machine, arXiv 2512.07843): the text is generated up to
the end of the outlines of a block, each outline becomes a call that continues it, and the threads are put
back in the order of their outlines before the text goes on.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Annotated, Final, Literal

from pydantic import Field

from orchestrator.planning.planner import planner
from orchestrator.planning.run import Run
from orchestrator.runtime.given import SamplingOptions
from orchestrator.runtime.messages import Message, Part, assistant
from orchestrator.runtime.nodes import Node, Succeeded
from orchestrator.runtime.values import Answer, Question
from orchestrator.voting.abstaining import no_answer
from planners.acting import CONCLUDING
from planners.forking import CriticalPath, affordable, waves
from planners.handing import PLAIN, instead
from planners.questions import Temperature, Tokens, answer_of, guarded, guarded_question, set_task
from planners.threads.dialects import BLOCK, DIALECTS, Block, Dialect, Name
from workers.calls import Completion

BY: Final = "threads"
NO_PREFILL: Final = "the engine does not continue what an assistant has said"

TASK = (
    "Work the question out in one text. Where two or more parts of the work do not need each other's "
    "results, have them written side by side: write a block in the form below, with an outline for each part "
    "that says in a sentence or two what is to be done there, and no result. After the outlines of a block, "
    "all of its parts are written; then go on from what they say. What needs what comes before it belongs in "
    "no block.\n"
)
AS_ONE = "Let us work it out step by step, each step with its result.\n"
"""What a text that breaks the format goes on with."""

NOTHING, CUT, LOST = " (nothing)", " (cut off)", " (not written)"
"""What stands in a thread, or at its end, where it has not come to its end."""

TOP_P: Final = 0.95
LEAST: Final = 16
"""Tokens without which a thread is not begun."""

_NUMBERED: Final = re.compile(r"^[ \t]*(?P<number>[0-9][0-9.]*)[ \t]*:", re.MULTILINE)
"""A line that begins as a thread does."""


@planner(BY)
async def threads(
    run: Run,
    question: Question,
    *,
    dialect: Name = "threadweaver",
    lead: Literal["offer", "begin"] = "offer",
    max_blocks: Annotated[int, Field(ge=1, le=32)] = 8,
    max_threads: Annotated[int, Field(ge=2, le=32)] = 8,
    thread_tokens: Tokens = 512,
    max_tokens: Tokens = 2048,
    total_tokens: Tokens = 16_384,
    temperature: Temperature = 0.6,
) -> Answer:
    """Let the model write one text, and have the parts that it outlines in blocks written side by side.

    ``dialect`` are the tags of ThreadWeaver or of Multiverse. ``lead`` "begin" has the text begin with a
    block, "offer" leaves it to the model. A block that is not in the form, or is more than the bounds allow,
    is taken back, and the text goes on in one sequence. ``max_tokens`` bounds the longest chain of tokens,
    ``total_tokens`` all of them, ``thread_tokens`` each thread, ``max_blocks`` the blocks, and
    ``max_threads`` the threads of each. If the engine does not continue answers, or the text comes to
    nothing, the question is asked plainly. The trace has the reasons, and how often the form was kept to.

    Raises:
        NodeFailed: the engine failed even then.
        AnswerRefused: the model, or a filter, refused to answer.
    """
    if not run.capabilities.assistant_prefill:
        name, ask = instead(run, question, PLAIN)
        run.decide(BY, name, {"reason": NO_PREFILL})
        return await ask(run, question)
    tags = DIALECTS[dialect]
    asked = guarded_question(question, *tags.tags)
    text = Text(run, tags, set_task(asked, TASK, tags.form, CONCLUDING), temperature)
    run.propose(text.so_far)
    bounds = Bounds(max_blocks, max_threads, thread_tokens, max_tokens, total_tokens)
    completion, why = await _woven(text, bounds, begins=lead == "begin")
    if completion is None or not (completion.finish_reason == "refused" or text.last):
        name, ask = instead(run, question, PLAIN)
        run.decide(BY, name, {"reason": why or "the text comes to nothing", **text.seen()})
        return await ask(run, question)
    run.decide(BY, "finish", text.seen())
    undecided = no_answer(completion, max_tokens)
    whole = answer_of(replace(completion, text=text.whole), question)
    last = answer_of(replace(completion, text=text.last), question)
    basis = f"written in one text, {text.counts.told()} side by side" if text.counts.threads else None
    return replace(whole, claim=last.claim or whole.claim, undecided=undecided, basis=basis)


@dataclass(frozen=True, slots=True)
class Bounds:
    """The options of that name."""

    max_blocks: int
    max_threads: int
    thread_tokens: int
    max_tokens: int
    total_tokens: int


async def _woven(text: Text, bounds: Bounds, *, begins: bool) -> tuple[Completion | None, str]:
    """Write the text to its end; returns its last completion, or why there is none."""
    if begins:
        text.begin()
    while True:
        room = bounds.max_tokens - text.path.sequential
        completion, failed = await text.go_on(max(1, room), stop=(text.dialect.closes,))
        if completion is None:
            return None, failed
        start = text.dialect.begun(text.piece)
        if completion.finish_reason != "stop" or (start is None and text.last):
            return completion, ""
        block = text.dialect.read(text.piece) if start is not None else "nothing follows the block"
        why = block if isinstance(block, str) else _beyond(text, block, bounds)
        if isinstance(block, str):
            text.counts.broken += start is not None
        if not why and isinstance(block, Block):
            await text.fork(block, _room(text, len(block.outlines), bounds))
            continue
        text.run.decide(BY, "one sequence", {"reason": why})
        text.take_back(start)
        room = bounds.max_tokens - text.path.sequential
        completion, failed = await text.go_on(max(1, room), stop=(f"<{BLOCK}>",))
        if completion is not None and not completion.text.strip():
            return None, f"{why}, and one sequence comes to nothing"
        return completion, failed


def _room(text: Text, count: int, bounds: Bounds) -> int:
    """The tokens that each of so many threads may have, so that the text can still be ended after them."""
    sequential = (bounds.max_tokens - text.path.sequential) // 2
    total = (bounds.total_tokens - text.path.total) // (count + 1)
    return min(bounds.thread_tokens, sequential, total)


def _beyond(text: Text, block: Block, bounds: Bounds) -> str:
    """Why the threads of a block cannot be written within the bounds; empty if they can."""
    count = len(block.outlines)
    if text.counts.blocks == bounds.max_blocks:
        return f"there have been {bounds.max_blocks} blocks"
    if count > bounds.max_threads:
        return f"{count} outlines are more than {bounds.max_threads}"
    if affordable(text.run, count) < count:
        return f"the budget has no calls for {count} threads"
    return "" if _room(text, count, bounds) >= LEAST else "too few tokens are left for threads"


@dataclass(slots=True)
class Counts:
    """How often a model kept to the form: rates over many runs are made of these."""

    blocks: int = 0
    broken: int = 0
    threads: int = 0
    closed: int = 0
    """Threads that ended with their own tag, and not because the model ended, or was cut off."""
    written: int = 0

    def told(self) -> str:
        """How many parts were written, in words."""
        return f"{self.written} of {self.threads} parts of it"


class Text:
    """The text so far, as parts of the assistant's message that every call continues.

    ``piece`` is what was written since the last threads, and ``last`` what of it people read.
    """

    def __init__(self, run: Run, dialect: Dialect, prompt: Sequence[Message], temperature: float) -> None:
        self.run = run
        self.dialect = dialect
        self.path = CriticalPath()
        self.counts = Counts()
        self.piece = ""
        self._prompt = list(prompt)
        self._parts: list[Part] = []
        self._before: list[str] = []
        self._pieces: list[Part] = []
        self._sampling: SamplingOptions = {"temperature": temperature, "top_p": TOP_P}

    def begin(self) -> None:
        """Begin with a block."""
        self.piece = self.dialect.begins
        self._pieces = [self.dialect.begins]

    async def go_on(self, max_tokens: int, *, stop: tuple[str, ...]) -> tuple[Completion | None, str]:
        """Write what follows in sequence; returns it, or why there is nothing."""
        own = [*self._parts, *self._pieces]
        sampling: SamplingOptions = {**self._sampling, "stop": stop, "max_tokens": max_tokens}
        node = self.run.generate(
            [*self._prompt, assistant(*own)] if own else self._prompt,
            label=f"sequence {self.counts.blocks}",
            return_token_ids=True,
            **sampling,
        )
        outcome = await self.path.add(node).settled()
        if not isinstance(outcome, Succeeded):
            return None, f"the text could not be written: {outcome.why}"
        self.piece += outcome.value.text
        self._pieces.append(outcome.value)
        return outcome.value, ""

    def take_back(self, start: int | None) -> None:
        """Leave out what comes after ``start`` in the piece, and go on without blocks."""
        kept = self.piece[:start].rstrip() if start is not None else self.piece.rstrip()
        self.piece = f"{kept}\n{AS_ONE}" if kept or self._parts else AS_ONE
        self._pieces = [self.piece]

    async def fork(self, block: Block, max_tokens: int) -> None:
        """Write the threads of a block side by side, and put them in the order of their outlines."""
        closes = "" if self.piece.rstrip().endswith(self.dialect.closes) else self.dialect.closes
        self._parts += [*self._pieces, closes]
        self._before.append(f"{self.piece}{closes}")
        self.counts.blocks += 1
        nodes: dict[str, Node[Completion]] = {}
        for wave in waves(list(block.outlines), self.run.budget.width):
            for number, path in zip(wave, self.path.fork(len(wave)), strict=True):
                others = [each for each in block.outlines if each != number]
                nodes[number] = path.add(self._thread(number, others, max_tokens))
            await self.run.outcomes([nodes[number] for number in wave])
        bodies = {number: self._body(node, set(nodes) - {number}) for number, node in nodes.items()}
        self._join(bodies)

    def _thread(self, number: str, others: Sequence[str], max_tokens: int) -> Node[Completion]:
        """All threads of a block share everything but their number, which comes last."""
        # The first sign of the tag stays in the text, and shows that the thread was closed by it. A thread
        # also ends where it begins on the others; servers take four stops at most.
        stop = (self.dialect.closes_thread[1:], f"<{BLOCK}>", *(f"\n{other}:" for other in others[:2]))
        sampling: SamplingOptions = {**self._sampling, "stop": stop, "max_tokens": max_tokens}
        return self.run.generate(
            [*self._prompt, assistant(*self._parts, self.dialect.opens_thread, f"{number}:")],
            label=f"thread {number} of block {self.counts.blocks}",
            **sampling,
        )

    def _body(self, node: Node[Completion], others: Collection[str]) -> str:
        """What stands in a thread: what was written, and how it ended if it did not come to its end."""
        self.counts.threads += 1
        if not isinstance(node.outcome, Succeeded) or node.value.finish_reason == "refused":
            return LOST
        completion = node.value
        text = completion.text
        self.counts.closed += completion.finish_reason == "stop" and text.endswith("<")
        own = text.removesuffix("<")
        for line in _NUMBERED.finditer(own):
            if line["number"] in others:
                own = own[: line.start()]
                break
        body = guarded(own.rstrip(), *self.dialect.tags)
        if not body.strip():
            return NOTHING
        self.counts.written += 1
        return body if completion.finish_reason == "stop" else body + CUT

    def _join(self, bodies: Mapping[str, str]) -> None:
        dialect = self.dialect
        joined = "".join(
            f"{dialect.opens_thread}{number}:{body}{dialect.breaks}{dialect.closes_thread}"
            for number, body in bodies.items()
        )
        self._parts += [joined, dialect.after]
        self._before.append(joined)
        self.piece, self._pieces = "", []

    @property
    def last(self) -> str:
        """What was written after the last threads, without tags."""
        return self._read(self.piece)

    @property
    def whole(self) -> str:
        """All that was written, without outlines and tags."""
        return self._read("\n".join([*self._before, self.piece]))

    def _read(self, text: str) -> str:
        return self.dialect.without_tags(text.replace(AS_ONE, ""))

    def so_far(self) -> Answer | None:
        """The best answer while the text is being written."""
        return Answer(self.whole, basis="written as far as it went") if self.whole else None

    def seen(self) -> dict[str, int | float]:
        """What the trace is told at the end: whether the form was used and kept to, and the tokens."""
        counts = self.counts
        return {
            "blocks": counts.blocks,
            "broken": counts.broken,
            "threads": counts.threads,
            "closed": counts.closed,
            **self.path.told(),
        }

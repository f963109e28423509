"""The text that is being woven: what every call continues, what people read of it, and what is counted."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from orchestrator.planning.run import Run
from orchestrator.runtime.given import SamplingOptions
from orchestrator.runtime.messages import Message, Part, assistant
from orchestrator.runtime.nodes import Node, Succeeded
from orchestrator.runtime.values import Answer
from planners.forking import CriticalPath, waves
from planners.questions import guarded, unechoed
from planners.threads.dialects import BLOCK, Block, Dialect
from workers.calls import Completion

AS_ONE = "Let us work it out step by step, each step with its result.\n"
"""What a text that breaks the format goes on with."""

NOTHING, CUT, LOST = " (nothing)", " (cut off)", " (not written)"
"""What stands in a thread, or at its end, where it has not come to its end."""

TOP_P: Final = 0.95

_NUMBERED: Final = re.compile(r"^[ \t]*(?P<number>[0-9][0-9.]*)[ \t]*:", re.MULTILINE)
"""A line that begins as a thread does."""


@dataclass(slots=True)
class Counts:
    """How often a model kept to the form: rates over many runs are made of these."""

    blocks: int = 0
    broken: int = 0
    threads: int = 0
    closed: int = 0
    """Threads that ended with their own tag, and not because the model ended, or was cut off."""
    written: int = 0

    @property
    def lost(self) -> str | None:
        """What to say if more than half of the threads came to nothing; None if fewer did."""
        lost = self.threads - self.written
        return f"{lost} of {self.threads} threads failed or say nothing" if 2 * lost > self.threads else None

    def told(self) -> str:
        """How many parts were written, in words."""
        return f"{self.written} of {self.threads} parts of it"


class Text:
    """The text so far, as parts of the assistant's message that every call continues.

    ``piece`` is what was written since the last threads, and ``last`` what of it people read. What a model
    writes, tags included, is never changed in what is continued.
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
        self._before.append(self.piece[: block.start].strip())
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
        self._before += [f"{number}: {body.strip()}" for number, body in bodies.items()]
        self.piece, self._pieces = "", []

    @property
    def last(self) -> str:
        """What was written after the last threads, without tags: of the prompt, this block, or a new one."""
        text = self.piece.replace(AS_ONE, "")
        text = text[: self.dialect.begun(text)]
        return unechoed(self.dialect.after_block(text) if self.counts.blocks else text)

    @property
    def whole(self) -> str:
        """All that was written, without outlines and tags."""
        return "\n\n".join(filter(None, [*self._before, self.last]))

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

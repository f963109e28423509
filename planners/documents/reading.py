"""Chunks that are read side by side, each by one call that quotes from it what helps."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from orchestrator.planning.run import Run
from orchestrator.runtime.nodes import Cancelled, Failed, Node, Succeeded
from orchestrator.runtime.values import Question
from planners.documents.chunks import Chunk
from planners.documents.citing import Span, cited, joined
from planners.documents.lengths import Room
from planners.documents.matter import Matter
from planners.documents.prompts import QUOTE, over
from planners.forking import waves
from planners.questions import said
from workers.calls import Completion, FinishReason

TOO_LONG: Final = frozenset({"call_rejected", "too_large"})
"""The failures of a prompt that is too long: estimates may be wrong. Halves of the chunk may go through."""

SPLITS: Final = 3
"""How many times a chunk is halved."""

_ENDED: Final[Mapping[FinishReason, str]] = {"refused": "it was refused", "abort": "it was broken off"}


@dataclass(frozen=True, slots=True)
class Read:
    """A chunk that was asked for: its quotes, and why it is not read; ``cut`` says that some are missing.

    From the second ``hop`` on, it was asked for as quotes name what it tells of.
    """

    chunk: Chunk
    hop: int = 1
    quotes: tuple[Span, ...] = ()
    dropped: tuple[str, ...] = ()
    trouble: str = ""
    cut: bool = False


class Reader:
    """Reads chunks for one question, and keeps what they say; ``keep`` calls are left for the answer."""

    def __init__(
        self, run: Run, question: Question, matter: Matter, room: Room, *, temperature: float, keep: int
    ) -> None:
        self._run = run
        self._question = question
        self._matter = matter
        self._room = room
        self._temperature = temperature
        self._keep = keep
        self._asked: list[tuple[Chunk, int, Node[Completion]]] = []
        self._known: dict[str, Read] = {}
        self.reads: list[Read] = []
        """What became of the chunks that were read, round by round."""

    @property
    def quotes(self) -> tuple[Span, ...]:
        """What has been quoted so far, in the order of the material."""
        reads = [self._read(*each) for each in self._asked if each[-1].outcome is not None]
        return joined(span for read in reads for span in read.quotes)

    async def read(self, chunks: Iterable[tuple[Chunk, str]], hop: int = 1) -> None:
        """Have all chunks quoted from at the same time; with each is what comes after the question.

        A chunk whose prompt is refused as too long is read in halves.
        """
        left = list(chunks)
        for split in range(SPLITS + 1):
            refused = []
            for wave in waves(left, self._run.budget.width):
                refused += await self._wave(wave, hop, halve=split < SPLITS)
            left = refused

    async def _wave(
        self, chunks: Sequence[tuple[Chunk, str]], hop: int, *, halve: bool
    ) -> list[tuple[Chunk, str]]:
        """Read chunks that may be in flight at once; returns the halves of those that are too long."""
        asked = [(chunk, more, self._ask(chunk, more, hop)) for chunk, more in chunks]
        self._asked += [(chunk, hop, node) for chunk, _, node in asked]
        refused: list[tuple[Chunk, str]] = []
        for chunk, more, node in asked:
            outcome = await node.settled()
            too_long = halve and isinstance(outcome, Failed) and outcome.failure.code in TOO_LONG
            parts = self._matter.halves(chunk) if too_long else [chunk]
            if len(parts) > 1 and self._affordable(len(refused) + len(parts)):
                self._run.decide("reading", "split", {"chunk": self._number(chunk), "into": len(parts)})
                refused += [(part, more) for part in parts]
                continue
            self.reads.append(self._read(chunk, hop, node))
            self._tell(self.reads[-1])
        return refused

    def _affordable(self, calls: int) -> bool:
        left = self._run.budget.calls
        return left is None or calls <= left - self._keep

    def _ask(self, chunk: Chunk, more: str, hop: int) -> Node[Completion]:
        return self._run.generate(
            over(self._matter.shown(chunk), QUOTE, self._question, *filter(None, [more])),
            label=f"chunk {self._number(chunk)}" + (f", hop {hop}" if hop > 1 else ""),
            temperature=self._temperature,
            max_tokens=self._room.quotes,
        )

    def _read(self, chunk: Chunk, hop: int, node: Node[Completion]) -> Read:
        if node.path not in self._known:
            self._known[node.path] = self._looked_up(chunk, hop, node)
        return self._known[node.path]

    def _looked_up(self, chunk: Chunk, hop: int, node: Node[Completion]) -> Read:
        outcome = node.outcome
        if not isinstance(outcome, Succeeded):
            why = outcome.why if isinstance(outcome, Failed | Cancelled) else "it was not asked for"
            return Read(chunk, hop, trouble=why)
        completion, text = node.value, said(node.value)
        found = cited(text, self._matter.material, [(chunk.start, chunk.end)])
        trouble = _ENDED.get(completion.finish_reason, "" if text else "the model said nothing")
        cut = completion.finish_reason == "length"
        return Read(chunk, hop, found.quotes, found.dropped, trouble, cut)

    def _tell(self, read: Read) -> None:
        saw: dict[str, object] = {
            "chunk": self._number(read.chunk),
            "characters": f"{read.chunk.start}-{read.chunk.end}",
            "quotes": [f"{start}-{end}" for start, end in read.quotes],
            "hop": read.hop,
            "dropped": list(read.dropped) or None,
            "trouble": read.trouble or None,
            "cut off": read.cut or None,
        }
        found = len(read.quotes)
        verdict = "not read" if read.trouble and not found else f"{found} quotes" if found else "nothing"
        self._run.decide("citing", verdict, {key: value for key, value in saw.items() if value is not None})

    def _number(self, chunk: Chunk) -> str:
        """A chunk by its number; one that was halved also by where it begins."""
        for number, each in enumerate(self._matter.chunks, 1):
            if each == chunk:
                return str(number)
        begun = sum(each.start <= chunk.start for each in self._matter.chunks)
        return f"{begun} from {chunk.start}"

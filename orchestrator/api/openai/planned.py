"""What a planner answers, as a stream: how the run goes, and its answer as soon as there is any of it."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Iterable, Iterator
from contextlib import aclosing
from dataclasses import dataclass
from typing import Literal

from orchestrator.api.openai.answers import Seen, content_of, failure_of, is_refusal, run_of, usage_of
from orchestrator.api.openai.chunks import Chunks, pieces
from orchestrator.api.openai.hearing import Attendance, heard
from orchestrator.api.openai.schemas import ProgressField
from orchestrator.consensus.arriving import shown_so_far
from orchestrator.errors import TaskFailed
from orchestrator.tasks.service import Service
from orchestrator.tasks.solution import Solution, solution_of_task
from orchestrator.tasks.speech import Said
from orchestrator.tasks.telling import Telling, sentence
from storage.tasks import Task

REVISED = "\n\n[This was not the answer yet. The answer is:]\n\n"
"""What stands in a stream before an answer that does not begin with the text that was shown."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """How a client wants an answer.

    ``live`` says that the answer may be sent while it is said: it is not JSON that is checked first, nor the
    short answer alone.
    """

    content: Literal["text", "answer"] = "text"
    stop: tuple[str, ...] = ()
    json: bool = False
    progress: ProgressField = "reasoning_content"

    @property
    def live(self) -> bool:
        """Whether the answer can be sent while it is said."""
        return self.content == "text" and not self.json

    def of(self, solution: Solution) -> str:
        """What the client reads as the answer."""
        return content_of(solution, form=self.content, stop=self.stop, json=self.json)


class Stream:
    """The stream of one task, as chunks."""

    def __init__(self, service: Service, task: Task, chunks: Chunks, wanted: Wanted) -> None:
        self._service = service
        self._task = task
        self._chunks = chunks
        self._wanted = wanted
        self._seen = Seen()
        self._thought = ""
        self._sent = ""

    async def frames(self, attendance: Attendance) -> AsyncGenerator[str, None]:
        """All chunks, from who speaks to the end.

        Raises:
            AnabranchError: the task has no answer, or cannot be followed.
        """
        yield self._chunks.role()
        telling = Telling()
        events = heard(self._service, self._task.id, speech=self._wanted.live)
        async with aclosing(events) as items:
            async for item in items:
                if isinstance(item, Said):
                    for frame in self._spoken(item):
                        yield frame
                    continue
                self._seen.take(item)
                if frame := self._lines(telling.lines(item)):
                    yield frame
        task = await self._service.task(self._task.id)
        attendance.ended = task.status.terminal
        for frame in self._ended(task):
            yield frame

    def _lines(self, lines: Iterable[str]) -> str:
        """Lines about the run; none once the answer has begun."""
        text = "".join(f"{line}\n" for line in lines)
        return self._aside(text) if text and not self._sent else ""

    def _aside(self, text: str) -> str:
        name = self._wanted.progress
        return "" if name == "none" else self._chunks.aside(name, text)

    def _spoken(self, said: Said) -> Iterator[str]:
        """What is new of the answer, and of the thinking before it."""
        shown = shown_so_far(said.text, reasoning=said.thought, stop=self._wanted.stop)
        if not self._sent and shown.thought.startswith(self._thought) and shown.thought != self._thought:
            news, self._thought = shown.thought[len(self._thought) :], shown.thought
            if frame := self._aside(news):
                yield frame
        if shown.said.startswith(self._sent) and shown.said != self._sent:
            news, self._sent = shown.said[len(self._sent) :], shown.said
            yield self._chunks.content(news)

    def _ended(self, task: Task) -> Iterator[str]:
        """The rest of the answer, why it ends, and what it took."""
        try:
            solution = solution_of_task(task)
        except TaskFailed as failed:
            if not is_refusal(failed):
                raise failure_of(failed) from None
            yield self._chunks.refusal(str(failed))
            yield self._chunks.finish("content_filter")
            yield self._chunks.last(self._seen.usage)
            return
        if solution.clusters and (frame := self._lines([sentence(solution.trust)])):
            yield frame
        content = self._wanted.of(solution)
        revised = not content.startswith(self._sent)
        for piece in pieces(REVISED + content if revised else content[len(self._sent) :]):
            yield self._chunks.content(piece)
        yield self._chunks.finish(self._seen.finish(solution), run=run_of(solution, revised=revised))
        yield self._chunks.last(usage_of(solution, self._seen))

"""Responses of the engine's own models: one call, straight through, of which nothing is kept."""

from __future__ import annotations

import time
from collections.abc import AsyncGenerator
from typing import Any

from orchestrator.api.openai.chunks import pieces
from orchestrator.api.openai.passing import Choice, Items
from orchestrator.api.responses.bodies import IncompleteDetails, ResponseBody, ResponseError, Status, usage_of
from orchestrator.api.responses.kept import Asked
from orchestrator.api.responses.output import Output, StreamEvent
from orchestrator.api.responses.reading import Request, asked_in
from orchestrator.errors import AnabranchError, translated
from workers.calls import Chunk
from workers.redaction import redacted

INCOMPLETE = {"length": "max_output_tokens", "content_filter": "content_filter"}
"""Why a response is incomplete, by how its call ended."""


class Passed:
    """The events of a response that one call to the engine is, as it comes.

    Where nobody reads the events as they come, the text comes once the call has ended: until then it may be
    begun again, and say something else.
    """

    def __init__(self, request: Request, choice: Choice) -> None:
        self._choice = choice
        self._name = choice.call.task
        self._live = request.parameters.stream
        self._asked: Asked = asked_in(request, store=False)
        self._output = Output(self._name)
        self._since = time.time()
        asked, sampling = request.parameters, choice.call.sampling
        self._told: dict[str, Any] = {
            "instructions": asked.instructions,
            "metadata": asked.metadata,
            "temperature": sampling.temperature,
            "top_p": sampling.top_p,
        }
        if asked.text.format is not None:
            self._told["text"] = {
                "format": asked.text.format.model_dump(by_alias=True, exclude_none=True),
            }

    async def events(self, first: tuple[int, Chunk], items: Items) -> AsyncGenerator[StreamEvent, None]:
        """All events, the last of which has the whole response."""
        yield self._stands("created", "in_progress")
        yield self._stands("in_progress", "in_progress")
        try:
            with translated():
                async for told in self._said(first[1]):
                    yield told
                async for _, chunk in items:
                    async for told in self._said(chunk):
                        yield told
        except AnabranchError as error:
            for told in self._output.close("incomplete"):
                yield told
            failed = ResponseError(code=error.code, message=redacted(str(error)))
            yield self._stands("failed", "failed", error=failed)
            return
        for told in self._ended():
            yield told

    async def _said(self, chunk: Chunk) -> AsyncGenerator[StreamEvent, None]:
        self._choice.take(chunk)
        if not self._live:
            return
        if thoughts := self._choice.thoughts():
            for told in self._output.thought(thoughts):
                yield told
        if news := self._choice.news():
            for told in self._output.said(news):
                yield told

    def _ended(self) -> list[StreamEvent]:
        """What comes once the call has ended."""
        choice, told = self._choice, list[StreamEvent]()
        text, calls = choice.text, choice.calls
        if thoughts := choice.thoughts():
            told += self._output.thought(thoughts)
        if not self._live:
            told += (each for piece in pieces(text) for each in self._output.said(piece))
        if not (text or calls):
            told += self._output.said("")
        for call in calls:
            told += self._output.called(call.id, call.name, call.arguments)
        reason = INCOMPLETE.get(choice.finish)
        told += self._output.close("completed" if reason is None else "incomplete")
        if reason is None:
            return [*told, self._stands("completed", "completed", completed_at=int(time.time()))]
        details = IncompleteDetails(reason=reason)
        return [*told, self._stands("incomplete", "incomplete", incomplete_details=details)]

    def _stands(self, kind: str, status: Status, **members: Any) -> StreamEvent:
        if status != "in_progress":
            members |= {"output": self._output.items, "usage": usage_of(self._choice.used)}
        body = self._asked.response(self._name, status, self._since, **self._told, **members)
        return self._output.event(kind, response=body.model_dump(mode="json"))


def body_in(event: StreamEvent) -> ResponseBody:
    """The response that an event about its state has."""
    return ResponseBody.model_validate(event["response"])

"""A completion as it arrives, and as the journal holds it once it is complete."""

from __future__ import annotations

import time
from typing import Any

from orchestrator.consensus.confidence import token_scores
from orchestrator.runtime.nodes import Node, Stream
from orchestrator.runtime.plain import plain
from orchestrator.runtime.work import Generation
from orchestrator.runtime.written_calls import written_calls
from workers.calls import Chunk, FinishReason, Logprob, Usage
from workers.errors import EngineInterrupted
from workers.functions import FunctionCall

LATEST = 200
"""Characters of a completion that are shown while it arrives, the last ones."""


class Received:
    """What has arrived of a completion so far.

    ``text`` is what the planner had read of it when its stream was cut off; the next call continues that.
    ``answers`` says that it is the answer of the run: nothing in a scope of its own is.
    """

    def __init__(self, node: Node[Any], work: Generation) -> None:
        self.text = node.received if isinstance(node, Stream) else ""
        self.answers = work.answers and "." not in node.path
        self._breaks = work.breaks
        self._handed = len(self.text)
        self._parts: list[str] = [self.text]
        self._reasoning: list[str] = []
        self._token_ids: list[int] = []
        self._logprobs: list[Logprob] = []
        self._scored = work.scored
        self._functions = [each.name for each in work.functions]
        self._calls: tuple[FunctionCall, ...] = ()
        self._finish: FinishReason | None = None
        self._usage: Usage | None = None
        self._tokens = 0
        self._worker = ""
        self._cached = False
        self._started = time.monotonic()
        self._first: float | None = None

    def take(self, chunk: Chunk) -> None:
        """Take in what the engine has sent."""
        if self._first is None and chunk.tokens:
            self._first = time.monotonic() - self._started
        self._parts.append(chunk.text)
        self._reasoning.append(chunk.reasoning)
        self._tokens += chunk.tokens
        self._token_ids.extend(chunk.token_ids)
        self._logprobs.extend(chunk.logprobs)
        self._calls += chunk.calls
        self._finish = chunk.finish_reason or self._finish
        self._usage = chunk.usage or self._usage
        self._worker = chunk.worker or self._worker
        self._cached = chunk.cached

    def restart(self) -> bool:
        """Discard what arrived, except what the planner has read; returns whether it has read nothing new."""
        unread = self._handed == len(self.text)
        self.text = "".join(self._parts)[: self._handed]
        self._parts = [self.text]
        self._reasoning.clear()
        self._token_ids.clear()
        self._logprobs.clear()
        self._calls = ()
        return unread

    def piece(self) -> str:
        """For a stream: the text up to the last break that has not been handed over yet."""
        if self._breaks is None:
            return ""
        text = "".join(self._parts)
        self._parts = [text]
        end = len(text) if self._finish else 1 + max(map(text.rfind, self._breaks), default=-1)
        piece = text[self._handed : end]
        self._handed = max(end, self._handed)
        return piece

    def said(self) -> str:
        """All of the text that has arrived."""
        return "".join(self._parts)

    def thought(self) -> str:
        """All of the thinking that has arrived apart from the text."""
        return "".join(self._reasoning)

    def latest(self) -> str:
        """The end of what has arrived: of the text, or of the thinking while there is no text."""
        for parts in (self._parts, self._reasoning):
            if text := "".join(parts[-LATEST:]):
                return text[-LATEST:]
        return ""

    def outcome(self) -> dict[str, Any]:
        """The completion as the event of its node records it.

        Raises:
            EngineInterrupted: the completion has not ended.
        """
        if self._finish is None:
            raise EngineInterrupted("the completion ended without a finish reason")
        value: dict[str, Any] = {"text": "".join(self._parts), "finish_reason": self._finish}
        if reasoning := "".join(self._reasoning):
            value["reasoning"] = reasoning
        if self._cached:
            value["cached"] = True
        if self._functions and not self._calls:
            value["text"], self._calls = written_calls(value["text"], self._functions)
        if self._functions and self._calls:
            value["calls"] = plain(self._calls)
        # They spell only what came after the stream was cut off, and calls that are not in the text.
        if self._token_ids and not self.text and "calls" not in value:
            value["token_ids"] = self._token_ids
        if self._scored:
            tops = [tuple(each.top.values()) for each in self._logprobs]
            value["confidences"], value["entropies"] = token_scores(tops)
        elif self._logprobs:
            value["logprobs"] = plain(self._logprobs)
        return {"outcome": "succeeded", "value": value}

    def measurements(self) -> dict[str, Any]:
        """Tokens, seconds and the worker, as the event records them; a failed call has them too."""
        usage = self._usage or Usage(completion_tokens=self._tokens)
        timing = {"total": round(time.monotonic() - self._started, 6)}
        if self._first is not None:
            timing["first_token"] = round(self._first, 6)
        counts = {
            "prompt_tokens": max(0, usage.prompt_tokens),
            "cached_tokens": max(0, usage.cached_tokens),
            "completion_tokens": max(0, usage.completion_tokens),
        }
        if usage.reasoning_tokens > 0:
            counts["reasoning_tokens"] = usage.reasoning_tokens
        measured: dict[str, Any] = {"usage": counts, "timing": timing}
        return measured | {"worker": self._worker} if self._worker else measured

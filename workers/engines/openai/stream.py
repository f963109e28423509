"""Server-sent events of chat completions and plain completions, read into chunks."""

from __future__ import annotations

import json

from workers.calls import Chunk, FinishReason, Logprob, Usage
from workers.engines.openai.answers import (
    QUOTE,
    garbage,
    read_logprob,
    read_row,
    read_tokens,
    read_usage,
    server_message,
)
from workers.engines.openai.caching import event_tells
from workers.errors import CallRejected, EngineInterrupted

LINE_LIMIT = 1 << 22
"""The most bytes in a line. A long prompt's tokens, sent along with the completion's, take a megabyte."""

_SILENT = (b":", b"event:", b"id:", b"retry:")  # fields of the format that mean nothing here
_ENDS: dict[str, FinishReason] = {
    "stop": "stop",
    "eos": "stop",
    "tool_calls": "stop",
    "length": "length",
}


class CompletionStream:
    """Turns the bytes of a streamed completion into chunks as they come.

    All that arrived in one read becomes one chunk, so that the cost per token falls as the rate rises.
    ``alternatives`` is how many were requested for each token; a plain completion may bring more.
    """

    def __init__(self, worker: str, alternatives: int = 0) -> None:
        self._worker = worker
        self._alternatives = alternatives
        self._line = bytearray()  # the beginning of a line whose end has not come
        self._text: list[str] = []
        self._tokens = 0
        self._logprobs: list[Logprob] = []
        self._usage: Usage | None = None
        self._total = 0  # tokens so far, for servers that do not report usage
        self._token_ids: list[int] = []
        self._spelled = 0  # how many of them had come with the last text
        self._cut = False  # a stop string removed a part of the text that they spell
        self.events = 0
        """Events so far. Comments do not count, as they carry nothing that was computed."""
        self.finish_reason: FinishReason | None = None
        """Why the text ended; None while it has not."""
        self.cached = False
        """Whether the server, or a gateway before it, answered from a cache of completions."""
        self.done = False
        """Whether the server said that nothing will follow."""

    def feed(self, data: bytes) -> None:
        """Take the next bytes.

        Raises:
            EngineProtocolError: they are not server-sent events of the protocol.
            EngineInterrupted: the server reports that it failed in the middle.
            CallRejected: the server reports that the call is at fault.
        """
        self._line += data
        if b"\n" in data:
            lines = bytes(self._line).split(b"\n")
            self._line = bytearray(lines.pop())
            for line in lines:
                self._read_line(line)
        if len(self._line) > LINE_LIMIT:
            raise garbage(f"a line of more than {LINE_LIMIT} bytes", bytes(self._line[: QUOTE * 4]))

    def end(self) -> None:
        """Note that no bytes follow. Raises what :meth:`feed` raises, for a last line without an end."""
        self._read_line(bytes(self._line))
        self._line.clear()

    def take(self) -> Chunk | None:
        """What was fed since the last time; None if that holds neither text nor tokens."""
        if not self._tokens and not self._text:
            return None
        return self._chunk(None, None)

    def last(self, finish_reason: FinishReason) -> Chunk:
        """The chunk that ends the stream, with what was fed since the last time, and the usage."""
        usage = self._usage or Usage(completion_tokens=self._total)
        return self._chunk(finish_reason, usage, self._own_tokens(finish_reason))

    def _own_tokens(self, finish_reason: FinishReason) -> tuple[int, ...]:
        """The tokens that spell the text, without the one that ended it and without half a character."""
        if self._cut or finish_reason == "abort":
            return ()
        end = len(self._token_ids) - (finish_reason == "stop")
        return tuple(self._token_ids[: min(end, self._spelled)])

    def _chunk(
        self, finish_reason: FinishReason | None, usage: Usage | None, token_ids: tuple[int, ...] = ()
    ) -> Chunk:
        chunk = Chunk(
            text="".join(self._text),
            tokens=self._tokens,
            token_ids=token_ids,
            logprobs=tuple(self._logprobs),
            finish_reason=finish_reason,
            usage=usage,
            worker=self._worker,
            cached=finish_reason is not None and self.cached,
        )
        self._text.clear()
        self._logprobs.clear()
        self._tokens = 0
        return chunk

    def _read_line(self, line: bytes) -> None:
        if self.done:
            return
        if line.startswith(b"data:"):
            data = line[5:].strip()
            if data == b"[DONE]":
                self.done = True
            else:
                self._read_event(data)
        elif line.rstrip(b"\r") and not line.startswith(_SILENT):
            raise garbage("not a server-sent event", line)

    def _read_event(self, data: bytes) -> None:
        if len(data) > LINE_LIMIT:
            raise garbage(f"a line of more than {LINE_LIMIT} bytes", data)
        try:
            event = json.loads(data.decode())
        except (ValueError, RecursionError) as error:
            raise garbage("an event that is not JSON in UTF-8", data) from error
        self.events += 1
        match event:
            case {"error": failure} if failure:
                raise _failure(event, failure)
            case {"choices": []}:
                pass
            case {"choices": [{"delta": dict(delta)} as choice, *_]}:
                self._read_delta(delta.get("content"), choice, data)
            case {"choices": [{"text": str(text)} as choice, *_]}:
                self._read_delta(text, choice, data)
            case {"usage": dict()}:
                pass
            case _:
                raise garbage("an event that is not a chunk of a completion", data)
        self.cached |= event_tells(event)
        if event.get("usage") is not None:
            self._usage = read_usage(event["usage"])

    def _read_delta(self, content: object, choice: dict[str, object], data: bytes) -> None:
        tokens = 0
        if isinstance(content, str):
            if content:
                if not content.isascii():
                    _check_unicode(content, data)
                self._text.append(content)
                tokens = 1
        elif content is not None:
            raise garbage("content that is not text", data)
        match choice.get("logprobs"):
            case {"content": list(logprobs)} if logprobs:
                self._logprobs += [read_logprob(entry) for entry in logprobs]
                tokens = len(logprobs)
            case {"tokens": list(texts), "token_logprobs": list(numbers), "top_logprobs": list(tops)}:
                columns = zip(texts, numbers, tops, strict=False)
                self._logprobs += [read_row(row, self._alternatives) for row in columns]
                tokens = len(texts)
        if (token_ids := choice.get("token_ids")) is not None:
            self._token_ids += (found := read_tokens(token_ids))
            tokens = len(found)
            if content:
                self._spelled = len(self._token_ids)
            self._cut |= isinstance(choice.get("stop_reason"), str)
        self._tokens += tokens
        self._total += tokens
        reason = choice.get("finish_reason")
        if reason == "error":
            raise EngineInterrupted("the server ended the completion with an internal error")
        if isinstance(reason, str):
            self.finish_reason = _ENDS.get(reason, "abort")
        elif reason is not None:
            raise garbage("a finish_reason that is not text", data)


def _check_unicode(content: str, data: bytes) -> None:
    """Refuse half a surrogate pair: JSON can escape it, but it is not a character and cannot be stored."""
    try:
        content.encode()
    except UnicodeEncodeError as error:
        raise garbage("content that is not Unicode", data) from error


def _failure(event: object, failure: object) -> CallRejected | EngineInterrupted:
    message = server_message(event) or str(failure)[:QUOTE]
    match failure:
        case {"code": int(code)} if 400 <= code < 500:
            return CallRejected(message)
    return EngineInterrupted(f"the server failed in the middle of the completion: {message}")

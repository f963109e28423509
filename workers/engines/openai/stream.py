"""Server-sent events of completions, of chats and of plain prompts, read into chunks."""

from __future__ import annotations

import json

from workers.calls import Chunk, FinishReason, Logprob, Usage
from workers.errors import CallRejected, EngineInterrupted, EngineProtocolError

LINE_LIMIT = 1 << 22
"""Bytes in one line. The tokens of a long prompt take a megabyte; they come with those of the completion."""

QUOTE = 200
"""Characters that an error quotes of what it does not understand."""

_SILENT = (b":", b"event:", b"id:", b"retry:")  # fields of the format that say nothing here
_ENDS: dict[str, FinishReason] = {
    "stop": "stop",
    "eos": "stop",
    "tool_calls": "stop",
    "length": "length",
}


def garbage(what: str, data: bytes | str | object) -> EngineProtocolError:
    """An error that says what is wrong, and quotes the beginning of it."""
    text = data.decode(errors="replace") if isinstance(data, bytes) else str(data)
    return EngineProtocolError(f"{what}: {text[:QUOTE]!r}")


def server_message(data: object) -> str | None:
    """What a server said about an error, in any of the forms in use; None if ``data`` is none of them."""
    match data:
        case {"error": {"message": str(message)}} | {"error": str(message)}:
            return message
        case {"message": str(message)} | {"detail": str(message)}:
            return message
        case {"detail": [{"msg": str(message), "loc": list(where)}, *_]}:
            return f"{message} ({'.'.join(map(str, where))})"
    return None


class CompletionStream:
    """Takes the bytes of a streamed completion as they come, and gives chunks.

    All that arrived in one read becomes one chunk, so that the cost of a token falls as the rate rises.
    ``alternatives`` is how many were asked for each token; a completion of a plain prompt may bring more.
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
        self._cut = False  # a stop string took away a part of the text that they spell
        self.events = 0
        """Events so far. Comments do not count, as they carry nothing that was computed."""
        self.finish_reason: FinishReason | None = None
        """Why the text ended; None while it has not."""
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
        """There are no more bytes. Raises what :meth:`feed` raises, about a line that has no end."""
        self._read_line(bytes(self._line))
        self._line.clear()

    def take(self) -> Chunk | None:
        """What was fed since the last time; None if that has no text."""
        if not self._tokens and not self._text:
            return None
        return self._chunk(None, None)

    def last(self, finish_reason: FinishReason) -> Chunk:
        """The chunk that ends the stream, with what was fed since the last time, and the usage."""
        usage = self._usage or Usage(completion_tokens=self._total)
        return self._chunk(finish_reason, usage, self._own_tokens(finish_reason))

    def _own_tokens(self, finish_reason: FinishReason) -> tuple[int, ...]:
        """The tokens that spell the text: without the one that ended it, and without half a character."""
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
                self._logprobs += [_read_logprob(entry) for entry in logprobs]
                tokens = len(logprobs)
            case {"tokens": list(texts), "token_logprobs": list(numbers), "top_logprobs": list(tops)}:
                columns = zip(texts, numbers, tops, strict=False)
                self._logprobs += [_read_row(row, self._alternatives) for row in columns]
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
    """JSON can escape half of a surrogate pair, which is no character and which nothing can store."""
    try:
        content.encode()
    except UnicodeEncodeError as error:
        raise garbage("content that is not Unicode", data) from error


def read_usage(usage: object) -> Usage:
    """The usage object of the protocol. Tokens from the cache are 0 where the server does not report them,
    and never more than those of the prompt, whatever it reports.

    Raises:
        EngineProtocolError: it is not such an object.
    """
    match usage:
        case {"prompt_tokens": int(prompt), "completion_tokens": int(completion)}:
            pass
        case {"prompt_tokens": int(prompt)}:
            completion = 0
        case _:
            prompt = completion = -1
    cached = min(cached_tokens(usage) or 0, prompt)
    if min(prompt, cached, completion) >= 0 and max(prompt, completion) < 1 << 31:
        return Usage(prompt, cached, completion)
    raise garbage("usage that is not counts of tokens", usage)


def cached_tokens(usage: object) -> int | None:
    """The prompt tokens that came out of the cache; None where the server does not say."""
    match usage:
        case {"prompt_tokens_details": {"cached_tokens": int(cached)}}:
            return cached
    return None


def read_tokens(tokens: object) -> list[int]:
    """A list of tokens by their numbers.

    Raises:
        EngineProtocolError: it is not such a list.
    """
    if isinstance(tokens, list) and all(type(token) is int and 0 <= token < 1 << 32 for token in tokens):
        return tokens
    raise garbage("not a list of tokens", tokens)


def _read_logprob(entry: object) -> Logprob:
    match entry:
        case {"token": str(token), "logprob": float() | int() as logprob}:
            return Logprob(token, float(logprob), _read_alternatives(entry))
    raise garbage("a logprob without token and number", entry)


def _read_row(row: tuple[object, object, object], alternatives: int) -> Logprob:
    """A log-probability as completions of plain prompts have it, where the chosen token is one of the top."""
    match row:
        case str(token), float() | int() as logprob, None:
            return Logprob(token, float(logprob))
        case str(token), float() | int() as logprob, dict(top) if all(map(_is_number, top.values())):
            best = sorted(top, key=lambda other: -top[other])[:alternatives]
            return Logprob(token, float(logprob), {other: float(top[other]) for other in best})
    raise garbage("a logprob without token and number", row)


def _is_number(value: object) -> bool:
    return isinstance(value, int | float)


def _read_alternatives(entry: object) -> dict[str, float]:
    match entry:
        case {"top_logprobs": list(alternatives)}:
            return {a.token: a.logprob for a in map(_read_logprob, alternatives)}
    return {}


def _failure(event: object, failure: object) -> CallRejected | EngineInterrupted:
    message = server_message(event) or str(failure)[:QUOTE]
    match failure:
        case {"code": int(code)} if 400 <= code < 500:
            return CallRejected(message)
    return EngineInterrupted(f"the server failed in the middle of the completion: {message}")

"""What the events of chat completions and plain completions mean, read into chunks."""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping

import structlog

from workers.calls import Chunk, FinishReason, Logprob, Usage
from workers.engines.openai.answers import (
    garbage,
    read_logprob,
    read_row,
    read_tokens,
    read_usage,
    reports_failure,
)
from workers.engines.openai.caching import event_tells
from workers.engines.openai.contents import Said, read_said
from workers.engines.openai.events import LINE_LIMIT, EventReader, ServerEvent
from workers.engines.openai.finishes import End, read_finish, tell_once
from workers.engines.openai.functions import CallPieces
from workers.engines.openai.refusals import error_told
from workers.errors import EngineFailed, EngineInterrupted, WorkerError
from workers.functions import FunctionCall

log = structlog.get_logger(__name__)

_FINISHES = ("finish_reason", "native_finish_reason", "finish_details")


class CompletionStream:
    """Turns the bytes of a completion into chunks as they come: server-sent events, or one JSON object.

    All that arrived in one read becomes one chunk, so that the cost per token falls as the rate rises.
    ``alternatives`` is how many were requested for each token; a plain completion may bring more. ``sent``
    are the parameters of the request, which the server may refuse in here too.

    Once the completion has a finish reason, nothing that follows can take it back: what is wrong there is
    logged and left out.
    """

    def __init__(self, worker: str, alternatives: int = 0, sent: Collection[str] = ()) -> None:
        self._worker = worker
        self._sent = sent
        self._alternatives = alternatives
        self._reader = EventReader()
        self._whole: bytearray | None = None  # an answer that is no stream, as far as it has come
        self._begun = False
        self._text: list[str] = []
        self._reasoning: list[str] = []
        self._refusal: list[str] = []
        self._calls = CallPieces()
        self._tokens = 0
        self._logprobs: list[Logprob] = []
        self._usage: Usage | None = None
        self._thought = 0  # and those of them that came with thinking only
        self._said = False
        self._ended_with_text = False
        self._token_ids: list[int] = []
        self._spelled = 0  # how many of them had come with the last text
        self._cut = False  # they spell more than the text: a stop string removed a part, or some is thinking
        self.total = 0
        """Tokens so far, as far as they can be told without usage."""
        self.events = 0
        """Events so far. Comments do not count, as they carry nothing that was computed."""
        self.finish_reason: FinishReason | None = None
        """Why the text ended; None while it has not."""
        self.cached = False
        """Whether the server, or a gateway before it, answered from a cache of completions."""
        self.done = False
        """Whether the server said that nothing will follow."""

    @property
    def ended(self) -> bool:
        """Whether the completion has a finish reason."""
        return self.finish_reason is not None

    @property
    def settled(self) -> bool:
        """Whether nothing more is to be expected once the completion has ended."""
        return self.done or (self._usage is not None and not self._ended_with_text)

    def feed(self, data: bytes) -> None:
        """Take the next bytes.

        Raises:
            EngineProtocolError: they are not a completion of the protocol.
            WorkerError: what the server reports instead of a completion, or in the middle of it.
        """
        if not self._begun and (start := data.removeprefix(b"\xef\xbb\xbf").lstrip()):
            self._begun = True
            self._whole = bytearray() if start.startswith((b"{", b"[")) else None
        if self._whole is None:
            self._take_all(self._reader.feed(data))
            return
        self._whole += data
        if len(self._whole) > LINE_LIMIT:
            raise garbage(f"an answer of more than {LINE_LIMIT} bytes", bytes(self._whole[:LINE_LIMIT]))

    def end(self, *, whole: bool) -> None:
        """Note that no bytes follow; afterwards there is a finish reason.

        A completion that the server ends without one was broken off. ``whole`` says that it was the server
        that ended it: without that, the connection may have been lost.

        Raises:
            EngineProtocolError: there was no completion.
            EngineInterrupted: there was nothing, or it is not known to be whole.
            WorkerError: as for :meth:`feed`.
        """
        if self._whole is not None:
            body, self._whole = bytes(self._whole), None
            self._take_whole(body)
            if not (self.ended or self._said):
                raise garbage("an answer that is neither server-sent events nor a completion", body)
        else:
            self._take_all(self._reader.end(), last=True)
        if self.finish_reason is not None:
            return
        if self._reader.skipped and not self.events:
            raise garbage("not a server-sent event", self._reader.skipped)
        if not (self.events and whole):
            raise EngineInterrupted(f"{self._worker} ended the stream before the completion was finished")
        tell_once("no_finish_reason", self._worker)
        self.finish_reason = "abort"

    def take(self) -> Chunk | None:
        """What was fed since the last time; None if it holds nothing, or is left for the last chunk."""
        if self.ended or not (self._tokens or self._text or self._reasoning):
            return None
        return self._chunk(None, None)

    def last(self, finish_reason: FinishReason | None = None) -> Chunk:
        """The chunk that ends the stream, with what was fed since the last time, and the usage.

        ``finish_reason`` is given where the completion is ended before the server ends it.
        """
        reason = finish_reason or self.finish_reason
        assert reason is not None
        if reason == "refused" and not self._said:
            self._text += self._refusal
        usage = self._usage or Usage(completion_tokens=self.total)
        if self._thought and not usage.reasoning_tokens:
            thought = min(self._thought, usage.completion_tokens)
            usage = Usage(usage.prompt_tokens, usage.cached_tokens, usage.completion_tokens, thought)
        return self._chunk(reason, usage, self._own_tokens(reason), self._calls.calls())

    def _own_tokens(self, finish_reason: FinishReason) -> tuple[int, ...]:
        """The tokens that spell the text, without the one that ended it and without half a character."""
        if self._cut or finish_reason in ("abort", "refused"):
            return ()
        end = len(self._token_ids) - (finish_reason == "stop")
        return tuple(self._token_ids[: min(end, self._spelled)])

    def _chunk(
        self,
        finish_reason: FinishReason | None,
        usage: Usage | None,
        token_ids: tuple[int, ...] = (),
        calls: tuple[FunctionCall, ...] = (),
    ) -> Chunk:
        chunk = Chunk(
            text="".join(self._text),
            reasoning="".join(self._reasoning),
            tokens=self._tokens,
            token_ids=token_ids,
            logprobs=tuple(self._logprobs),
            finish_reason=finish_reason,
            usage=usage,
            worker=self._worker,
            cached=finish_reason is not None and self.cached,
            calls=calls,
        )
        self._text.clear()
        self._reasoning.clear()
        self._logprobs.clear()
        self._tokens = 0
        return chunk

    # -- events -----------------------------------------------------------------------------------

    def _take_whole(self, body: bytes) -> None:
        """Read a body that is no stream: one completion, or objects one to a line."""
        try:
            self._read(ServerEvent("", body))
        except WorkerError:
            lines = body.split(b"\n")
            if len(lines) < 2 or not lines[0].rstrip().endswith(b"}"):
                raise
            self._take_all([ServerEvent("", line) for line in lines if line.strip()])

    def _take_all(self, events: list[ServerEvent], *, last: bool = False) -> None:
        """Read events; with ``last``, the last of them may have been cut short, and is left out if so."""
        for event in events:
            if self.done:
                return
            try:
                if event.wrong:
                    raise garbage(event.wrong, event.data)
                self._read(event)
            except WorkerError as error:
                if self.finish_reason is not None:
                    log.info("ignored_after_the_finish", server=self._worker, error=str(error))
                elif not (last and self.events and _broken(event)):
                    raise

    def _read(self, event: ServerEvent) -> None:
        data = event.data
        if not data.startswith(b"{"):
            while data.startswith(b"data:"):  # gateways that frame what is framed already
                data = data[5:].strip()
            if data.strip(b'"').upper() == b"[DONE]":
                self.done = True
                return
        failed = event.name != "" and event.name.lower().endswith("error")
        try:
            said = json.loads(data.decode())
        except (ValueError, RecursionError) as error:
            if failed:
                told = {"error": data.decode(errors="replace")}
                raise error_told(self._worker, told, self._sent) from None
            if event.name not in ("", "message"):
                return
            raise garbage("an event that is not JSON in UTF-8", data) from error
        for each in said if isinstance(said, list) else [said]:
            if failed or (isinstance(each, dict) and reports_failure(each)):
                told = each if isinstance(each, dict) else {"error": str(each)}
                raise error_told(self._worker, told, self._sent)
            self.cached |= isinstance(each, dict) and event_tells(each)
            self._read_object(each, event.name, data)

    def _read_object(self, said: object, name: str, data: bytes) -> None:
        if not isinstance(said, dict):
            if said is not None and name in ("", "message"):
                raise garbage("an event that is not a chunk of a completion", data)
            return
        choices, usage = said.get("choices", ()), said.get("usage")
        choice = choices[0] if choices and isinstance(choices, list) else None
        if isinstance(choice, dict):
            self._read_choice(choice, data)
            usage = usage or choice.get("usage")
        elif choice is not None or not isinstance(choices, list | tuple | None):
            if name in ("", "message"):
                raise garbage("an event that is not a chunk of a completion", data)
            return
        elif choices == () and usage is None:
            return  # of another kind
        self.events += 1
        self._read_usage(usage)

    def _read_usage(self, usage: object) -> None:
        """Take in usage. It may come in every chunk, and grows; a part that is missing is not taken back."""
        if not usage:
            return
        found, known = read_usage(usage), self._usage
        self._usage = (
            found
            if known is None
            else Usage(
                max(found.prompt_tokens, known.prompt_tokens),
                max(found.cached_tokens, known.cached_tokens),
                max(found.completion_tokens, known.completion_tokens),
                max(found.reasoning_tokens, known.reasoning_tokens),
            )
        )

    # -- the choice in them -----------------------------------------------------------------------

    def _read_choice(self, choice: Mapping[str, object], data: bytes) -> None:
        said = _said(choice, data)
        end = self._end(choice, said)
        something = bool(said.text or said.calls)
        if self.finish_reason is not None and not (something and end != "none"):
            return  # only a server that gives a reason with every piece goes on after it
        if end == "failed":
            raise EngineFailed(f"{self._worker} ended the completion with an internal error")
        tokens = self._read_logprobs(choice) or (1 if something or said.reasoning else 0)
        if (token_ids := choice.get("token_ids")) is not None:
            self._token_ids += (found := read_tokens(token_ids))
            tokens = len(found)
            if said.text:
                self._spelled = len(self._token_ids)
            self._cut |= isinstance(choice.get("stop_reason"), str)
        if said.text:
            self._text.append(said.text)
        if said.reasoning:
            self._reasoning.append(said.reasoning)
            self._cut = True
            self._thought += 0 if said.text else tokens
        if said.refusal:
            self._refusal.append(said.refusal)
        if said.calls:
            self._calls.add(said.calls)
            self._cut = True
        self._said |= something
        self._tokens += tokens
        self.total += tokens
        if end != "none":
            self._ended_with_text = bool(said.text)
            self.finish_reason = "refused" if end == "stop" and self._refusal else end

    def _end(self, choice: Mapping[str, object], said: Said) -> End:
        """What the choice says of the end of the completion."""
        for field in _FINISHES:
            if not (value := choice.get(field)):
                continue
            reason = value.get("type") if isinstance(value, dict) else value
            return read_finish(
                str(reason), self._worker, said_something=self._said or bool(said.text or said.calls)
            )
        return "none"

    def _read_logprobs(self, choice: Mapping[str, object]) -> int:
        """Take in log-probabilities, in either form; returns of how many tokens they are."""
        match choice.get("logprobs"):
            case {"content": list(logprobs)}:
                self._logprobs += [read_logprob(entry) for entry in logprobs]
                return len(logprobs)
            case {"tokens": list(texts), "token_logprobs": list(numbers), "top_logprobs": list(tops)}:
                columns = zip(texts, numbers, tops, strict=False)
                self._logprobs += [read_row(row, self._alternatives) for row in columns]
                return len(texts)
        return 0


def _said(choice: Mapping[str, object], data: bytes) -> Said:
    """What a choice says, whether it is a piece, whole, or of a plain completion."""
    message = choice.get("delta")
    if message is None:
        message = choice.get("message")
    if isinstance(message, dict):
        said = read_said(message)
    elif isinstance(text := choice.get("text"), str):
        said = Said(text, "", "")
    elif message is None:
        return Said("", "", "")
    else:
        raise garbage("an event that is not a chunk of a completion", data)
    if not said.text.isascii():
        _check_unicode(said.text, data)
    return said


def _check_unicode(content: str, data: bytes) -> None:
    """Refuse half a surrogate pair: JSON can escape it, but it is not a character and cannot be stored."""
    try:
        content.encode()
    except UnicodeEncodeError as error:
        raise garbage("content that is not Unicode", data) from error


def _broken(event: ServerEvent) -> bool:
    """Whether an event ends in the middle."""
    try:
        json.loads(event.data)
    except (ValueError, RecursionError):
        return True
    return False

"""What if: a run repeated with one thing changed, reusing all that does not depend on the change."""

from __future__ import annotations

import heapq
from collections import defaultdict, deque
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from itertools import chain
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from orchestrator.consensus.stopping import RuleError, parse_rule
from orchestrator.errors import InvalidRequest
from orchestrator.runtime.messages import Message
from orchestrator.runtime.nodes import NodeKind
from orchestrator.runtime.work import Generation, ToolUse
from orchestrator.tasks.requests import Text, explain
from storage.events import Event, EventType
from workers.calls import Role


class Change(BaseModel):
    """What is different at one node of a fork; what is not given stays as it was.

    A generation may get another prompt, sampling or model role; a tool other arguments; either may be given
    the result itself (``value``). A vote may get another stop rule.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    prompt: tuple[tuple[Role, Text], ...] | None = Field(
        None, min_length=1, description="Pairs of role and text."
    )
    temperature: float | None = Field(None, ge=0.0, le=2.0)
    top_p: float | None = Field(None, gt=0.0, le=1.0)
    max_tokens: int | None = Field(None, ge=1)
    seed: int | None = Field(None, ge=0, lt=2**53)
    role: Text | None = Field(None, description="Which model of a pool answers.")
    arguments: dict[str, Any] | None = Field(None, description="Named arguments of a tool.")
    value: Any = Field(None, description="The result: the text of a completion, or what a tool returned.")
    rule: Text | None = Field(None, description="The stop rule of a vote, as in `beta:0.99`.")

    def check(self, path: str, kind: NodeKind) -> None:
        """Refuse what a node of that kind does not have.

        Raises:
            InvalidRequest: names what was given and what the node can be given.
        """
        possible = {
            NodeKind.GENERATE: {"prompt", "temperature", "top_p", "max_tokens", "seed", "role", "value"},
            NodeKind.TOOL: {"arguments", "value"},
            NodeKind.VOTE: {"rule"},
        }.get(kind, set())
        given = {name for name, value in self if value is not None} | (self.model_fields_set & {"value"})
        if not possible:
            raise InvalidRequest(
                f"node {path} is a {kind}; only generate, tool and vote nodes can be changed"
            )
        if not given or given - possible:
            raise InvalidRequest(
                f"node {path} is a {kind}; a fork can change its {', '.join(sorted(possible))}, "
                f"but was given {', '.join(sorted(given)) or 'nothing'}"
            )
        if kind is NodeKind.GENERATE and "value" in given and not isinstance(self.value, str):
            raise InvalidRequest(f"node {path} is a generate; its value must be text")
        if self.rule is not None:
            try:
                parse_rule(self.rule)
            except RuleError as error:
                raise InvalidRequest(str(error)) from None

    def then(self, later: Change) -> Change:
        """This change, and on top of it what a fork of the fork changes at the same node.

        A given result stays only as long as nothing else is asked there.
        """
        kept = self.model_dump(exclude_unset=True)
        kept.pop("value", None)
        return Change.model_validate(kept | later.model_dump(exclude_unset=True))

    def generation(self, work: Generation) -> Generation:
        """The generation as changed."""
        sampling = self.model_dump(include={"temperature", "top_p", "max_tokens", "seed"}, exclude_none=True)
        messages = work.messages if self.prompt is None else tuple(Message(r, (t,)) for r, t in self.prompt)
        return replace(
            work, messages=messages, sampling=replace(work.sampling, **sampling), role=self.role or work.role
        )

    def tool_use(self, work: ToolUse) -> ToolUse:
        """The tool call as changed."""
        return work if self.arguments is None else replace(work, arguments=self.arguments)

    @property
    def gives_value(self) -> bool:
        """Whether the result itself is given."""
        return "value" in self.model_fields_set


def parse_change(given: Change | Mapping[str, Any]) -> Change:
    """The change whose fields are given.

    Raises:
        InvalidRequest: a field is wrong, or no node has such a thing.
    """
    if isinstance(given, Change):
        return given
    try:
        return Change.model_validate(given)
    except ValidationError as error:
        known = ", ".join(Change.model_fields)
        raise InvalidRequest(f"change: {explain(error)} (a change can give {known})") from None


Piece = tuple[int, str]
"""Text that a stream is given, and the number of the event that once told of it."""


class Memo:
    """Results of another run, looked up by path and content key, else by content key alone.

    Each is given out once, so that samples of one prompt stay different samples.
    """

    def __init__(self, events: Iterable[Event]) -> None:
        self._requests: dict[str, Mapping[str, Any]] = {}
        self._by_key: defaultdict[str, deque[str]] = defaultdict(deque)
        self._settled: dict[str, Event] = {}
        self._chunks: defaultdict[str, list[Event]] = defaultdict(list)
        for event in events:
            if event.type is EventType.NODE_CHUNK:
                self._chunks[event.path].append(event)
            if request := event.data.get("request"):
                self._requests[event.path] = request
            if event.type is EventType.NODE_SETTLED and event.data.get("external"):
                self._settled[event.path] = event
                self._by_key[self._requests[event.path]["key"]].append(event.path)

    def take(self, path: str, key: str, *, seed: int | None = None) -> Event | None:
        """The settlement of the same request in the other run, if it has one to give.

        ``seed``: only a sample that was drawn with it will do. The content key does not tell.
        """
        for other in chain((path,), self._by_key[key]):
            if other in self._settled:
                request = self._requests[other]
                if request["key"] == key and seed in (None, request.get("seed")):
                    return self._settled.pop(other)
        return None

    def pieces(self, event: Event) -> Sequence[Piece]:
        """What a stream was given before ``event`` settled it; the whole text, if nobody read it as one."""
        told = [(chunk.seq, chunk.data["text"]) for chunk in self._chunks[event.path]]
        if event.data["outcome"] == "succeeded":
            text = event.data["value"]["text"]
            return told if "".join(piece for _, piece in told) == text else [(event.seq, text)]
        return told


class Known:
    """Results that are there already, delivered in the order in which they once came."""

    def __init__(self) -> None:
        self._heap: list[tuple[int, int, str, EventType, Mapping[str, Any]]] = []

    def __bool__(self) -> bool:
        return bool(self._heap)

    def reuse(self, path: str, event: Event, pieces: Sequence[Piece] = (), already: int = 0) -> None:
        """Give node ``path`` the result of another run. It costs nothing, so its usage does not count.

        A stream is given ``pieces`` before, but for the characters that it has had ``already``.
        """
        data = {key: value for key, value in event.data.items() if key not in ("usage", "timing")}
        reused = {"from": event.path, "usage": event.data.get("usage")}
        self._push(event.seq, path, {**data, "reused": reused}, pieces, already)

    def give(self, path: str, kind: NodeKind, value: Any, already: int | None = None) -> None:
        """Give node ``path`` a value out of a change; ``already`` as in :meth:`reuse`, None for no stream."""
        result = {"text": value, "finish_reason": "stop"} if kind is NodeKind.GENERATE else value
        data = {"external": True, "outcome": "succeeded", "value": result, "reused": {"from": "change"}}
        self._push(-1, path, data, () if already is None else [(-1, value)], already or 0)

    def _push(
        self, seq: int, path: str, data: Mapping[str, Any], pieces: Sequence[Piece], already: int
    ) -> None:
        for at, text in pieces:
            if rest := text[already:]:
                heapq.heappush(self._heap, (at, 0, path, EventType.NODE_CHUNK, {"text": rest}))
            already = max(0, already - len(text))
        heapq.heappush(self._heap, (seq, 1, path, EventType.NODE_SETTLED, data))

    def drop(self, path: str) -> bool:
        """Take back what was given to node ``path``, which is cancelled; whether there was something."""
        kept = [entry for entry in self._heap if entry[2] != path]
        dropped = len(kept) < len(self._heap)
        if dropped:
            heapq.heapify(kept)
            self._heap = kept
        return dropped

    def pop(self) -> tuple[EventType, str, Mapping[str, Any]]:
        """The next of them."""
        _, _, path, kind, data = heapq.heappop(self._heap)
        return kind, path, data

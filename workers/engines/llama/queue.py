"""Calls on a llama.cpp server: they wait for a slot, load the prefix it should hold, and complete there."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Mapping
from contextlib import aclosing, asynccontextmanager
from dataclasses import dataclass, field

import structlog

from workers.calls import Call
from workers.engines.llama.client import LlamaClient, Piece
from workers.engines.llama.server import LlamaServer
from workers.engines.llama.slots import WIDTH, Assignment, Request, Saved, SlotTable, pack
from workers.engines.prompt_tokens import PromptTokens
from workers.errors import CallRejected, EngineProtocolError, EngineUnavailable

log = structlog.get_logger(__name__)


@dataclass(slots=True)
class Turn:
    """A call on its slot. ``computed`` counts the tokens of its prompt that did not come from a cache."""

    client: LlamaClient
    assignment: Assignment
    tokens: list[int]
    computed: int = 0
    _prefix: bytes | None = None
    _drawn: list[int] = field(default_factory=list)

    @property
    def held(self) -> bytes | None:
        """The packed tokens that the slot certainly holds; None while they have not changed."""
        if not self._drawn:
            return self._prefix
        return self.assignment.request.tokens + pack(self._drawn[:-1])  # the last is drawn but not computed

    def written(self, reached: str) -> tuple[int, ...]:
        """The tokens that spell the completion, which ``reached`` ended; none if they are not known."""
        if reached == "word":  # a stop string, which is not in the text
            return ()
        return tuple(self._drawn[:-1] if reached == "eos" else self._drawn)

    async def restore(self, saved: Saved) -> None:
        """Restore a saved prefix into the slot."""
        self._prefix = b""
        await self.client.restore(self.assignment.slot, saved.place)
        self._prefix = saved.tokens

    def complete(self, max_tokens: int, options: Mapping[str, object]) -> AsyncGenerator[Piece]:
        """The completion, piece by piece."""
        return self._pieces(self.tokens, max_tokens, options)

    async def prime(self, depth: int) -> None:
        """Compute the first ``depth`` tokens of the prompt and nothing else."""
        async with aclosing(self._pieces(self.tokens[:depth], 0, {})) as pieces:
            async for _ in pieces:
                pass

    async def _pieces(
        self, tokens: list[int], max_tokens: int, options: Mapping[str, object]
    ) -> AsyncGenerator[Piece]:
        """What the server sends for a prompt, except its progress reports, which are recorded here."""
        async with aclosing(
            self.client.complete(self.assignment.slot, tokens, max_tokens, options)
        ) as pieces:
            async for piece in pieces:
                if piece.prompt_done is not None:
                    self._prefix = self.assignment.request.tokens[: piece.prompt_done * WIDTH]
                    continue
                if max_tokens:  # otherwise the one token that comes is thrown away
                    self._drawn.extend(piece.tokens)
                if piece.timing is not None:
                    self.computed += piece.timing.computed
                    if max_tokens and piece.timing.drawn != len(self._drawn):
                        # The server sent only the last token of a character that takes several.
                        self._drawn.clear()
                        self._prefix = self.assignment.request.tokens
                yield piece


@dataclass(slots=True, eq=False)
class _Gathering:
    """Calls that arrived in one tick of the event loop. They are queued together once all are tokenised."""

    joined: int = 0
    expected: int = 0
    ready: dict[int, Request] = field(default_factory=dict)


class SlotQueue:
    """Gives the slots of a server to calls as a :class:`SlotTable` decides."""

    def __init__(self, server: LlamaServer, table: SlotTable) -> None:
        self._server = server
        self._table = table
        self._tokens = PromptTokens(server.client)
        self._granted: dict[Request, asyncio.Future[Assignment]] = {}
        self._gathering = _Gathering()

    @asynccontextmanager
    async def turn(self, call: Call) -> AsyncIterator[Turn]:
        """Wait for a slot, load the prefix that the call starts from, and pass the slot on at the end.

        Raises:
            CallRejected: the prompt does not fit into a slot.
            WorkerError: the server failed midway, or was closed.
        """
        tokens, request = await self._join(call)
        turn = Turn(self._server.client, await self._slot(request), tokens)
        try:
            await self._prepare(turn)
            yield turn
        finally:
            self._table.release(turn.assignment, turn.held)
            self._dispatch()

    def close(self) -> None:
        """Fail the waiting calls."""
        for future in self._granted.values():
            if not future.done():
                future.set_exception(EngineUnavailable("the embedded engine was closed"))

    async def _join(self, call: Call) -> tuple[list[int], Request]:
        """Tokenise the prompt, then queue the call together with those that came in the same tick."""
        gathering = self._gathering
        number = gathering.joined
        gathering.joined += 1
        gathering.expected += 1
        try:
            await asyncio.sleep(0)
            if self._gathering is gathering:
                self._gathering = _Gathering()
            tokens = list(await self._tokens.of(call.prompt, call.functions))
            if len(tokens) >= self._server.context:
                raise CallRejected(
                    f"the prompt has {len(tokens)} tokens, but there is room for {self._server.context}, "
                    "prompt and completion together"
                )
            request = Request(pack(tokens), call.priority, call.family)
            self._granted[request] = asyncio.get_running_loop().create_future()
            gathering.ready[number] = request
        finally:
            gathering.expected -= 1
            if gathering.expected == 0:
                ready = (request for _, request in sorted(gathering.ready.items()))
                self._table.add(request for request in ready if request in self._granted)
                self._dispatch()
        return tokens, request

    async def _slot(self, request: Request) -> Assignment:
        """Wait until the request is given a slot."""
        future = self._granted[request]
        try:
            return await future
        except asyncio.CancelledError:
            if future.done() and not future.cancelled() and future.exception() is None:
                self._table.release(future.result(), None)
            raise
        finally:
            del self._granted[request]
            self._table.withdraw(request)
            self._dispatch()

    async def _prepare(self, turn: Turn) -> None:
        """Restore the prefix that a call starts from; compute and save those that other calls wait for."""
        assignment = turn.assignment
        if assignment.restore is not None:
            try:
                await turn.restore(assignment.restore)
            except (CallRejected, EngineProtocolError) as error:
                log.warning("prefix_not_restored", error=str(error))
                if self._table.forget(assignment.restore):
                    self._server.cells.free(assignment.restore.place)
        for depth in assignment.primes:
            await turn.prime(depth)
            await self._save(assignment.slot, assignment.request.tokens[: depth * WIDTH])

    async def _save(self, slot: int, tokens: bytes) -> None:
        """Save the prefix that a slot holds, if possible, and let the calls that waited for it start."""
        unused: list[str] = []
        cell = self._server.cells.take()
        try:
            if cell is not None:
                unused = [cell]
                size = await self._server.client.save(slot, cell)
                unused = [dropped.place for dropped in self._table.keep(Saved(tokens, size, cell))]
        except (CallRejected, EngineProtocolError) as error:
            log.warning("prefix_not_saved", error=str(error))
        finally:
            for place in unused:
                self._server.cells.free(place)
        self._table.give_up(tokens)
        self._dispatch()

    def _dispatch(self) -> None:
        for assignment in self._table.assign():
            future = self._granted.get(assignment.request)
            if future is None or future.done():  # its owner is about to withdraw, and dispatches then
                self._table.release(assignment, None)
            else:
                future.set_result(assignment)

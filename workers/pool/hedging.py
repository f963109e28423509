"""Sends a call again if it waits too long for its first token, and takes the faster of the two attempts.

(Dean and Barroso, *The Tail at Scale*, CACM 2013, call these hedged requests.)
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

from workers.calls import Chunk
from workers.errors import WorkerError
from workers.pool.dispatch import Dispatcher
from workers.pool.flight import Flight
from workers.pool.listening import Listening
from workers.pool.replica import Replica
from workers.pool.supervision import Supervisor
from workers.pool.tally import PoolTally

EVIDENCE = 20
"""How many first tokens must have been seen before one can be called late."""


class Hedging:
    """Two attempts at one call, until one of them has a first token.

    Args:
        after: how many times the usual time to a first token may pass before the second attempt.
        read: gives the next chunk of an attempt.
    """

    def __init__(
        self,
        after: float,
        dispatcher: Dispatcher,
        supervisor: Supervisor,
        tally: PoolTally,
        read: Callable[[Flight[Replica], Listening], Coroutine[Any, Any, Chunk]],
    ) -> None:
        self._after = after
        self._dispatcher = dispatcher
        self._supervisor = supervisor
        self._tally = tally
        self._read = read

    async def first_chunk(
        self, flight: Flight[Replica], stream: Listening
    ) -> tuple[Flight[Replica], Listening, Chunk]:
        """The first chunk of a call, with the attempt and the stream that it came from.

        Raises:
            WorkerError: what the first attempt raised, if there was no second or that failed too.
        """
        lead = asyncio.create_task(self._read(flight, stream))
        try:
            seen = self._tally
            if seen.first_tokens >= EVIDENCE:
                prefill = flight.replica.pace.prefill_seconds(flight.prefill_ahead)
                await asyncio.wait(
                    [lead], timeout=self._after * max(seen.first_token_seconds / seen.first_tokens, prefill)
                )
                permitted = not lead.done() and await _permitted(flight, lead)
                if permitted and not lead.done() and (rival := self._dispatcher.second(flight)) is not None:
                    self._tally.hedges += 1
                    return await self._raced(flight, stream, lead, rival)
            return flight, stream, await lead
        finally:
            await _stop(lead)

    async def _raced(
        self, flight: Flight[Replica], stream: Listening, lead: asyncio.Task[Chunk], rival: Flight[Replica]
    ) -> tuple[Flight[Replica], Listening, Chunk]:
        """The attempt whose first chunk comes first; the other is aborted. A failure only loses the race."""
        ticket = flight.ticket
        other = rival.stream = Listening(rival.replica.engine, ticket.call)
        second = asyncio.create_task(self._read(rival, other))
        won = False
        try:
            await asyncio.wait([lead, second], return_when=asyncio.FIRST_COMPLETED)
            if (error := _error(second)) is not None:
                self._blame(rival, error)
            elif not second.done() and _error(lead) is not None:
                await asyncio.wait([second])
            if second.done() and _error(second) is None and not (lead.done() and _error(lead) is None):
                await _stop(lead)
                await stream.aclose()
                won = True
        finally:
            if not won:
                try:
                    await _stop(second)
                    await other.aclose()
                finally:
                    rival.replica.tally.aborted += 1
                    self._dispatcher.land(rival)
        if not won:
            return flight, stream, await lead
        if (error := _error(lead)) is not None:
            self._blame(flight, error)
        flight.replica.tally.aborted += 1
        self._tally.hedges_won += 1
        self._dispatcher.land(flight)
        rival.ticket, ticket.flight, ticket.replica = ticket, rival, rival.replica
        return rival, other, second.result()

    def _blame(self, flight: Flight[Replica], error: BaseException) -> None:
        if isinstance(error, WorkerError):
            self._supervisor.blame(flight, error)


async def _permitted(flight: Flight[Replica], lead: asyncio.Task[Chunk]) -> bool:
    """Whether the call may be sent a second time; False if its first chunk comes before that is known."""
    asking = asyncio.ensure_future(flight.ticket.call.permitted())
    try:
        await asyncio.wait([asking, lead], return_when=asyncio.FIRST_COMPLETED)
        if asking.done():
            asking.result()
        return asking.done()
    finally:
        asking.cancel()


async def _stop(task: asyncio.Task[Chunk]) -> None:
    """End a task and wait until it has ended, even if cancelled meanwhile: its stream is closed next."""
    task.cancel()
    cancelled: asyncio.CancelledError | None = None
    while not task.done():
        try:
            await asyncio.wait([task])
        except asyncio.CancelledError as error:
            cancelled = error
    if not task.cancelled():
        task.exception()  # it was looked at before, or lost the race
    if cancelled is not None:
        raise cancelled


def _error(task: asyncio.Task[Chunk]) -> BaseException | None:
    """What ``task`` raised, if it is done and raised anything."""
    return task.exception() if task.done() and not task.cancelled() else None

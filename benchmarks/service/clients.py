"""What OpenAI's protocol costs at the door: beside the engine itself, optillm's proxy and vllm-router.

All doors are asked in turns, so that whatever else the machine does meets all of them alike. The engine is a
simulator that takes no time, and in the part with streams one that writes 30 tokens a second.
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import aiohttp

from benchmarks.service.chatting import PATIENCE_SECONDS, WORD, Chats, Told, freed
from benchmarks.service.doors import Peer, opened, processor_seconds
from benchmarks.service.processes import simulator

ANSWER = " ".join([WORD] * 400)
SHORT = 8
"""Words of an answer where the engine takes no time."""

DECODE_RATE = 30.0
LONG = 120
"""Words of an answer whose client leaves: four seconds."""

LEAVES_AFTER = 0.3
FORMS = ("whole", "streamed")
WARM_UP = 10


@dataclass(frozen=True, slots=True)
class ClientSize:
    """How much is asked of each door.

    Attributes:
        turns: whole answers, one at a time; and as many streams from the engine that takes no time.
        crowds: how often ``crowd`` clients ask at once, ``crowd_requests`` times in all.
        streams: streams of so many ``words`` from the engine that writes slowly.
        leaves: clients that leave, of each kind.
    """

    turns: int = 400
    crowds: int = 8
    crowd: int = 32
    crowd_requests: int = 128
    streams: int = 20
    words: int = 30
    leaves: int = 8


QUICK_CLIENTS = ClientSize(turns=10, crowds=1, crowd=8, crowd_requests=16, streams=2, words=6, leaves=2)


@dataclass(slots=True)
class Cost:
    """What one door took, in seconds."""

    whole: list[float] = field(default_factory=list)
    """Whole answers, one at a time."""
    first: list[float] = field(default_factory=list)
    """The first tokens of streams, one at a time, from an engine that takes no time."""
    crowded: list[float] = field(default_factory=list)
    """Whole answers to many clients at once."""
    crowd_seconds: float = 0.0
    processor: float = 0.0
    """Seconds of a processor for the crowd; 0 where nothing is in between."""
    streams: list[Told] = field(default_factory=list)
    freed: dict[str, list[float]] = field(default_factory=lambda: {form: [] for form in FORMS})
    """From the client's leaving to the moment when the engine is free, by the form of the answer."""


@dataclass(frozen=True, slots=True)
class Clients:
    """All that was measured, by door; ``missing`` are the peers that could not be, and why."""

    size: ClientSize
    costs: Mapping[str, Cost]
    missing: Mapping[str, str]


async def clients(
    size: ClientSize, folder: Path, peers: Mapping[str, Peer], missing: Mapping[str, str]
) -> Clients:
    """Measure all doors.

    Raises:
        WrongAnswer: one of them does not hand on what the engine says.
    """
    async with (
        simulator(decode_rate=math.inf, answer=ANSWER) as engine,
        opened(engine, folder, "instant", peers) as doors,
        _session() as session,
    ):
        costs = {door.name: Cost() for door in doors}
        chats = [Chats(door, session, SHORT) for door in doors]
        await _in_turns(chats, costs, size.turns)
        for _ in range(size.crowds):
            for each in chats:
                await _crowd(each, costs[each.door.name], size)
    async with (
        simulator(decode_rate=DECODE_RATE, answer=ANSWER) as engine,
        opened(engine, folder, "slow", peers) as doors,
        _session() as session,
    ):
        for door in doors:
            await Chats(door, session, 1).whole()  # the first one opens connections
        for _ in range(size.streams):
            for door in doors:
                costs[door.name].streams.append(await Chats(door, session, size.words).streamed())
        for _ in range(size.leaves):
            for door in doors:
                for form in FORMS:
                    seconds = await freed(door, engine, LONG, stream=form == "streamed", after=LEAVES_AFTER)
                    costs[door.name].freed[form].append(seconds)
    return Clients(size, costs, missing)


def _session() -> aiohttp.ClientSession:
    return aiohttp.ClientSession(
        connector=aiohttp.TCPConnector(limit=0), timeout=aiohttp.ClientTimeout(total=PATIENCE_SECONDS)
    )


async def _in_turns(chats: Sequence[Chats], costs: Mapping[str, Cost], turns: int) -> None:
    for number in range(WARM_UP + turns):
        for each in chats:
            whole, told = await each.whole(), await each.streamed()
            if number >= WARM_UP:
                costs[each.door.name].whole.append(whole)
                costs[each.door.name].first.append(told.first)


async def _crowd(chats: Chats, cost: Cost, size: ClientSize) -> None:
    left = iter(range(size.crowd_requests))

    async def client() -> None:
        for _ in left:
            cost.crowded.append(await chats.whole())

    used, began = processor_seconds(chats.door.pid), asyncio.get_running_loop().time()
    async with asyncio.TaskGroup() as group:
        for _ in range(size.crowd):
            group.create_task(client())
    cost.crowd_seconds += asyncio.get_running_loop().time() - began
    cost.processor += processor_seconds(chats.door.pid) - used

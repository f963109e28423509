"""What a client hears of an answer while it is said."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import aclosing
from typing import Any, cast

from orchestrator.api.openai.hearing import heard
from orchestrator.tasks.service import Service
from orchestrator.tasks.speech import Said, Speech
from storage.events import Event, EventType

BEGUN = Event(0, EventType.RUN_STARTED, "", 1.0)


class Spoken:
    """A service with one task, whose answer is said word by word."""

    def __init__(self) -> None:
        self.speech = Speech()
        self.ended = asyncio.Event()

    def speech_of(self, task_id: str) -> Speech:
        return self.speech

    async def events(self, task_id: str) -> AsyncIterator[Any]:
        yield BEGUN
        await self.ended.wait()

    async def say(self, words: int, seconds: float = 0.0) -> None:
        for number in range(words):
            text = "word " * (number + 1)
            self.speech.say("0", lambda text=text: text, str)  # type: ignore[misc]
            await asyncio.sleep(seconds)


async def test_who_reads_slowly_is_told_the_latest_and_not_all_of_it() -> None:
    service = Spoken()
    told: list[Said] = []
    async with aclosing(heard(cast(Service, service), "1", speech=True)) as items:
        assert await anext(items) == BEGUN
        await service.say(1)
        told.append(cast(Said, await anext(items)))
        await service.say(100)
        await asyncio.sleep(0.01)
        told += [cast(Said, await anext(items)) for _ in range(1)]
        assert [len(each.text) for each in told] == [5, 500]


async def test_a_long_answer_is_not_read_again_for_each_of_its_words() -> None:
    service = Spoken()
    told = 0
    async with aclosing(heard(cast(Service, service), "1", speech=True)) as items:
        assert await anext(items) == BEGUN
        service.speech.say("0", lambda: "word " * 10_000, str)
        speaking = asyncio.create_task(_on(service))
        while not isinstance(item := await anext(items), Said) or item.text != "the end":
            told += 1
        await speaking
    assert told < 5


async def _on(service: Spoken) -> None:
    for number in range(50):
        text = "word " * 10_000 + str(number)
        service.speech.say("0", lambda text=text: text, str)  # type: ignore[misc]
        await asyncio.sleep(0.002)
    service.speech.say("0", lambda: "the end", str)

"""What an answer says, for who listens from the beginning, later, slowly, or not at all."""

from __future__ import annotations

import asyncio
from contextlib import aclosing

from orchestrator.tasks.speech import Said, Speech


async def test_who_comes_late_gets_all_that_was_said_before() -> None:
    speech, text = Speech(), ["a"]
    speech.say("0", lambda: "".join(text), str)
    async with aclosing(speech.listen()) as said:
        assert await anext(said) == Said("0", "a")
        text.append("b")
        speech.say("0", lambda: "".join(text), lambda: "hm")
        assert await anext(said) == Said("0", "ab", "hm")


async def test_everybody_who_waits_is_woken_and_who_is_slow_gets_the_latest() -> None:
    speech = Speech()
    async with aclosing(speech.listen()) as one, aclosing(speech.listen()) as other:
        waiting = [asyncio.create_task(anext(each)) for each in (one, other)]
        await asyncio.sleep(0)
        for text in ("a", "ab", "abc"):
            speech.say("0", lambda text=text: text, str)  # type: ignore[misc]
        assert [await each for each in waiting] == [Said("0", "abc")] * 2


async def test_nothing_is_put_together_while_nobody_listens() -> None:
    def never() -> str:
        raise AssertionError("nobody listens")

    Speech().say("0", never, never)

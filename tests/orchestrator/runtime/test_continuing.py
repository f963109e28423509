"""Completions that other calls continue, by their tokens where there are any."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Sequence

from orchestrator.planning.run import Run
from orchestrator.runtime.messages import assistant, user
from orchestrator.runtime.values import Answer
from storage.events import Event, EventType
from tests.orchestrator.runtime.harness import Speaker, environment, play, resume
from workers.calls import Call, Chunk, FinishReason, Segment, Usage

WORDS = ("one ", "two ", "three ", "four ")


class Counter:
    """Says the next word, in two tokens that nobody would make of it by themselves."""

    def __init__(self) -> None:
        self.calls: list[Call] = []

    async def __call__(self, call: Call) -> AsyncGenerator[Chunk, None]:
        self.calls.append(call)
        number = len(call.prompt.prefill.split())
        tokens = (10 * number, 10 * number + 1) if call.return_token_ids else ()
        reason: FinishReason = "length" if number < 3 else "stop"
        yield Chunk(WORDS[number], 2, token_ids=tokens, finish_reason=reason, usage=Usage(1, 0, 2))


async def in_pieces(run: Run) -> Answer:
    first = run.generate([user("count")], return_token_ids=True)
    second = await run.generate([user("count"), assistant(first)], return_token_ids=True)
    probe = await run.generate([user("count"), assistant(first, second, "and ")])
    third = await run.generate([user("count"), assistant(first, second)])
    return Answer((await first).text + second.text + third.text + "|" + probe.text)


def requests(events: Sequence[Event]) -> list[object]:
    return [request["prompt"] for event in events if (request := event.data.get("request"))]


async def test_a_completion_is_handed_on_with_its_tokens() -> None:
    engine = Counter()
    played = await play(in_pieces, Speaker(engine))
    assert played.answer == "one two three |four "
    one, two = Segment("assistant", "one ", (0, 1)), Segment("assistant", "two ", (10, 11))
    assert [call.prompt.segments[1:] for call in engine.calls] == [
        (),
        (one,),
        (one, two, Segment("assistant", "and ")),
        (one, two),
    ]


async def test_the_journal_has_the_tokens_that_were_asked_for_and_is_resumed_with_them() -> None:
    played = await play(in_pieces, Speaker(Counter()))
    settled = [event.data["value"] for event in played.events if event.type is EventType.NODE_SETTLED]
    assert [value.get("token_ids") for value in settled] == [[0, 1], [10, 11], None, None]
    for length in range(1, len(played.events) - 1):
        engine = Counter()
        resumed = await resume(in_pieces, played.events[:length], environment(Speaker(engine)))
        assert resumed.answer == played.answer
        for call in engine.calls:
            own = [segment for segment in call.prompt.segments if segment.text in WORDS]
            assert [segment.token_ids for segment in own] == [(0, 1), (10, 11)][: len(own)]


async def test_a_request_is_known_by_its_text() -> None:
    """A trace without tokens is repeated by code that asks for them, and the other way round."""

    async def as_text(run: Run) -> Answer:
        first = await run.generate([user("count")])
        second = await run.generate([user("count"), assistant(first.text)])
        return Answer(first.text + second.text)

    async def as_tokens(run: Run) -> Answer:
        first = await run.generate([user("count")], return_token_ids=True)
        second = await run.generate([user("count"), assistant(first)], return_token_ids=True)
        return Answer(first.text + second.text)

    played = [await play(body, Speaker(Counter())) for body in (as_text, as_tokens)]
    assert requests(played[0].events) == requests(played[1].events)
    for body, other in zip((as_text, as_tokens), reversed(played), strict=True):
        resumed = await resume(body, other.events[:3], environment(Speaker(Counter())))
        assert resumed.answer == "one two "

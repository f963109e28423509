"""Results of another run: found, and taken back, in time that grows with their number alone."""

from __future__ import annotations

from orchestrator.runtime.reuse import Known, Memo
from storage.events import Event, EventType
from tests.storage.journals import chain, growth


def test_samples_of_one_prompt_are_given_out_in_order_and_once() -> None:
    def given(*paths: str) -> list[str | None]:
        memo = Memo(chain(3))
        return [None if found is None else found.path for found in (memo.take(path, "k") for path in paths)]

    assert given("9", "9", "9", "9") == ["0", "1", "2", None]
    assert given("1", "9", "9", "9") == ["1", "0", "2", None]


def test_many_samples_of_one_prompt_are_found_without_looking_through_all() -> None:
    def take(events: list[Event]) -> None:
        memo = Memo(events)
        for number in range(len(events)):
            memo.take(f"9.{number}", "k")

    assert growth(chain, take, 500) < 9


def test_what_is_taken_back_is_not_given() -> None:
    known = Known()
    for event in chain(3):
        if event.type is EventType.NODE_SETTLED:
            known.reuse(event.path, event, [(event.seq - 1, "4"), (event.seq, "2")])
    assert known.drop("1")
    assert not known.drop("1")
    given = []
    while known:
        kind, path, _ = known.pop()
        given.append((path, kind))
    chunk, settled = EventType.NODE_CHUNK, EventType.NODE_SETTLED
    assert given == [("0", chunk), ("0", chunk), ("0", settled), ("2", chunk), ("2", chunk), ("2", settled)]


def test_many_results_are_taken_back_without_looking_through_all() -> None:
    def drop(events: list[Event]) -> None:
        known = Known()
        settled = [event for event in events if event.type is EventType.NODE_SETTLED]
        for event in settled:
            known.reuse(event.path, event)
        for event in settled:
            assert known.drop(event.path)
        assert not known

    assert growth(chain, drop, 500) < 9

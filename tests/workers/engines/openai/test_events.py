from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from workers.engines.openai.events import LINE_LIMIT, EventReader, ServerEvent


def events(data: bytes, *cuts: int) -> list[ServerEvent]:
    """What is read of ``data`` if it comes in pieces."""
    reader, found = EventReader(), []
    for start, end in zip((0, *cuts), (*cuts, len(data)), strict=True):
        found += reader.feed(data[start:end])
    return found + reader.end()


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (b"data: a\n\ndata: b\n\n", [b"a", b"b"]),
        (b"data:a\n\n", [b"a"]),
        (b"data: a\r\n\r\ndata: b\r\n\r\n", [b"a", b"b"]),
        (b"data: a\r\rdata: b\r\r", [b"a", b"b"]),
        (b"\xef\xbb\xbfdata: a\n\n", [b"a"]),
        (b": comment\n\n:\n\ndata: a\n\n", [b"a"]),
        (b"id: 1\nretry: 5\ndata: a\n\n", [b"a"]),
        (b"model: m\ndata: a\nunheard-of\n\n", [b"a"]),
        (b"data: {\ndata: }\n\n", [b"{\n}"]),
        (b"data: {}\ndata: {}\n\n", [b"{}", b"{}"]),
        (b"data: {}\ndata: [DONE]\n", [b"{}", b"[DONE]"]),
        (b"\n\n\ndata: a\n\n\n\n", [b"a"]),
        (b"data: a", [b"a"]),
        (b"event: x\n\ndata: a\n\n", [b"a"]),
        (b'{"a": 1}\n', [b'{"a": 1}']),
        (b"data:\n\ndata: \n\ndata: a\n\n", [b"a"]),
        (b"", []),
    ],
)
def test_events_are_read_by_the_specification_and_a_little_beyond(data: bytes, expected: list[bytes]) -> None:
    assert events(data) == [ServerEvent("", each) for each in expected]


def test_an_event_has_the_type_that_precedes_its_data() -> None:
    assert events(b"event: ping\ndata: 1\n\ndata: 2\n\nerror: 3\n") == [
        ServerEvent("ping", b"1"),
        ServerEvent("", b"2"),
        ServerEvent("error", b"3"),
    ]


@pytest.mark.parametrize("line", [b"<html>", b"\x00\xff", b"Internal Server Error", b'"data": 1'])
def test_what_is_no_line_of_the_format_is_told_at_once(line: bytes) -> None:
    (found,) = EventReader().feed(line + b"\n")
    assert found == ServerEvent("", line, "not a server-sent event")


def test_a_line_without_a_known_field_is_remembered() -> None:
    reader = EventReader()
    assert reader.feed(b"garbage\nother: 1\n") == []
    assert reader.skipped == b"garbage"


@pytest.mark.parametrize("start", [b"", b"data: ", b"data: x\ndata: "])
def test_no_event_is_longer_than_the_limit(start: bytes) -> None:
    reader = EventReader()
    found = [event for _ in range(5) for event in reader.feed(start + b"x" * (1 << 20))]
    found += reader.feed(b"\n\n")
    assert any(f"{LINE_LIMIT} bytes" in event.wrong for event in found)


def test_many_lines_of_one_event_cost_no_more_than_their_length() -> None:
    reader = EventReader()
    lines = b"data: [\n" * 200_000
    assert reader.feed(lines) == []
    assert len(reader.feed(b"\n")) == 1


ENDS = st.sampled_from([b"\n", b"\r\n", b"\r"])


@given(st.data())
def test_bytes_may_be_cut_anywhere(data: st.DataObject) -> None:
    texts = data.draw(
        st.lists(
            st.text(st.characters(codec="utf-8", exclude_characters="\r\n\ufeff"), min_size=1), max_size=4
        )
    )
    end = data.draw(ENDS)
    whole = b"\xef\xbb\xbf" + b"".join(
        b": ping" + end + b"event: e" + end + b"data: |" + text.encode() + b"|" + end + end for text in texts
    )
    cuts = sorted(data.draw(st.lists(st.integers(0, len(whole)), max_size=6)))
    assert events(whole, *cuts) == [ServerEvent("e", b"|" + text.encode() + b"|") for text in texts]

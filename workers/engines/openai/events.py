"""Server-sent events, read from bytes as they arrive (WHATWG HTML, section 9.2.6)."""

from __future__ import annotations

import codecs
import json
import re
from typing import NamedTuple

LINE_LIMIT = 1 << 22
"""The most bytes in an event. A long prompt's tokens, sent along with the completion's, take a megabyte."""

_LINE_END = re.compile(rb"\r\n|\n|\r")
_FIELD = re.compile(rb"[A-Za-z0-9_.-]*")


class ServerEvent(NamedTuple):
    """An event: its type, empty where the server names none, its data, and what is wrong with that."""

    name: str
    data: bytes
    wrong: str = ""


class EventReader:
    """Turns bytes into events. Comments and fields that mean nothing here are skipped.

    Beyond the specification, two events that no empty line parts are told from one whose data has two lines,
    a line that is a JSON object is an event, a field ``error`` is one of that type, and so is one that the
    end of the stream cuts short. ``skipped`` is the first line without a known field, to be quoted if there
    was nothing else.
    """

    def __init__(self) -> None:
        self.skipped = b""
        self._line = bytearray()  # the beginning of a line whose end has not come
        self._returned = False  # the last byte was a carriage return, perhaps half of a line end
        self._name = ""
        self._data: list[bytes] = []
        self._size = 0
        self._events: list[ServerEvent] = []

    def feed(self, data: bytes) -> list[ServerEvent]:
        """The events that the next bytes complete."""
        if self._returned and data.startswith(b"\n"):
            data = data[1:]
        self._returned = data.endswith(b"\r") or (self._returned and not data)
        self._line += data
        if b"\n" in data or b"\r" in data:
            whole = bytes(self._line)
            lines = _LINE_END.split(whole) if b"\r" in whole else whole.split(b"\n")
            self._line = bytearray(lines.pop())
            for line in lines:
                self._take(line)
        if len(self._line) > LINE_LIMIT:
            self._events.append(_too_long(bytes(self._line)))
            self._line.clear()
        return self._taken()

    def end(self) -> list[ServerEvent]:
        """The events that remain when no bytes follow."""
        if self._line:
            self._take(bytes(self._line))
            self._line.clear()
        self._dispatch()
        return self._taken()

    def _taken(self) -> list[ServerEvent]:
        events, self._events = self._events, []
        return events

    def _take(self, line: bytes) -> None:
        if line.startswith(b"data:"):  # as nearly all do
            self._add(line[5:].removeprefix(b" "))
            return
        if not line:
            self._dispatch()
            return
        if line.startswith(codecs.BOM_UTF8):  # at the start; gateways join streams that each have one
            self._take(line.removeprefix(codecs.BOM_UTF8))
            return
        field, _, value = line.partition(b":")
        value = value.removeprefix(b" ")
        match field:
            case b"data":
                self._add(b"")
            case b"event":
                self._name = value.decode(errors="replace").strip()
            case b"error":
                self._events.append(ServerEvent("error", value))
            case b"" | b"id" | b"retry":
                pass
            case _ if line.startswith(b"{"):
                self._dispatch()
                self._events.append(ServerEvent("", line))
            case _ if not _FIELD.fullmatch(field):
                self._events.append(ServerEvent("", line, "not a server-sent event"))
            case _:
                self.skipped = self.skipped or line

    def _add(self, value: bytes) -> None:
        """Add a line of data to the event."""
        if len(self._data) == 1 and _complete(self._data[0]):
            self._dispatch()
        self._data.append(value)
        self._size += len(value)
        if self._size > LINE_LIMIT:
            self._events.append(_too_long(value))
            self._data, self._size = [], 0

    def _dispatch(self) -> None:
        if data := b"\n".join(self._data).strip():
            self._events.append(ServerEvent(self._name, data))
        self._name, self._data, self._size = "", [], 0


def _complete(data: bytes) -> bool:
    """Whether a line is the data of an event in itself, so that the next line begins another."""
    if data.strip() == b"[DONE]":
        return True
    try:
        json.loads(data)
    except (ValueError, RecursionError):
        return False
    return True


def _too_long(data: bytes) -> ServerEvent:
    return ServerEvent("", data, f"an event of more than {LINE_LIMIT} bytes")

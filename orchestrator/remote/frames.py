"""Server-sent events, as they arrive: the form of the event streams of a service."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator, Iterator
from dataclasses import dataclass

from orchestrator.errors import ServiceError

LARGEST = 256_000_000
"""The most bytes of one frame."""


@dataclass(frozen=True, slots=True)
class Frame:
    """One event: its type, its data, and its id, if it has one. A comment has neither type nor data."""

    event: str = ""
    data: str = ""
    id: str | None = None


async def read_frames(pieces: AsyncIterator[bytes]) -> AsyncGenerator[Frame, None]:
    """The frames in a stream of bytes, and its comments; half a frame at the end is left out.

    Raises:
        ServiceError: a frame is too large.
    """
    reader = _Reader()
    async for piece in pieces:
        for frame in reader.take(piece):
            yield frame


class _Reader:
    def __init__(self) -> None:
        self._line: list[bytes] = []  # the pieces of the line that has not ended
        self._size = 0
        self._fields: dict[str, list[str]] = {}

    def take(self, piece: bytes) -> Iterator[Frame]:
        """The frames that end in this piece."""
        self._size += len(piece)
        if self._size > LARGEST:
            raise ServiceError(f"an event of the service is larger than {LARGEST / 1e6:,.0f} MB")
        *ended, rest = piece.split(b"\n")
        for end in ended:
            self._line.append(end)
            line = b"".join(self._line).removesuffix(b"\r").decode(errors="replace")
            self._line.clear()
            if line.startswith(":"):
                yield Frame()
            elif line:
                name, _, value = line.partition(":")
                self._fields.setdefault(name, []).append(value.removeprefix(" "))
            elif self._fields:
                fields, self._fields = self._fields, {}
                self._size = len(rest)
                yield Frame(
                    fields.get("event", ["message"])[-1],
                    "\n".join(fields.get("data", [])),
                    fields.get("id", [None])[-1],
                )
        if not self._fields and not self._line:
            self._size = len(rest)
        self._line.append(rest)

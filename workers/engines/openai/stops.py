"""Stop strings for servers that take none: the text is cut here."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from workers.calls import Chunk


class StopStrings:
    """Cuts a stream before the first of the ``stops``; without stops it changes nothing."""

    def __init__(self, stops: Sequence[str]) -> None:
        self._stops = [stop for stop in stops if stop]
        self._held = ""  # may be the beginning of a stop string
        self.found = False
        """Whether the text ended at a stop string: nothing that comes later belongs to it."""

    def cut(self, chunk: Chunk) -> Chunk:
        """A chunk with the text that can be passed on."""
        return replace(chunk, text=self._feed(chunk.text)) if self._stops else chunk

    def end(self, last: Chunk) -> Chunk:
        """The chunk that ends the stream, with what was held back."""
        if not self._stops:
            return last
        text = "" if self.found else self._feed(last.text)
        if self.found:  # the tokens spell more than the text
            return replace(last, text=text, finish_reason="stop", token_ids=())
        return replace(last, text=text + self._held)

    def _feed(self, text: str) -> str:
        text = self._held + text
        places = [place for stop in self._stops if (place := text.find(stop)) >= 0]
        self.found = bool(places)
        end = min(places) if places else len(text) - max(_overlap(text, stop) for stop in self._stops)
        self._held = text[end:]
        return text[:end]


def _overlap(text: str, stop: str) -> int:
    """How many characters at the end of ``text`` may be the beginning of ``stop``."""
    longest = min(len(stop) - 1, len(text))
    return next((n for n in range(longest, 0, -1) if text.endswith(stop[:n])), 0)

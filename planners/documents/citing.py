"""Quotes that a model gives, found again in the material: what does not stand there is no quote."""

# ruff: noqa: RUF001 (models and people write these characters)

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Final, TypeAlias

Span: TypeAlias = tuple[int, int]
"""The first character of a piece of the material, and the one after its last."""

SHORTEST: Final = 8
"""Bytes of a quote, at least: what is shorter stands anywhere."""

LONGEST_TOLD: Final = 200
"""Characters that the trace is told of a quote that is none."""

_FOLDED: Final = str.maketrans("’‘“”„«»–—−\u00a0\u202f\u2009", '\'\'"""""---   ')
"""Characters that models write for each other, one for one, so that places stay what they are."""

_MARK: Final = re.compile(
    r"\A\s*(?:[-*•–>]+|\(?\d{1,3}[.)\]:]|\[\d{1,3}\]:?|Quote(?: \d+)?:)\s+", re.IGNORECASE
)
_EDGES: Final = " \t\"'*`…"
_SENTENCE: Final = re.compile(r"(?<=[.!?…])[\"']*\s+|(?<=[。！？｡।])|\s*(?:\.\.\.|…|\[\.\.\.\])\s*")
_NOTHING: Final = re.compile(
    r"\W*(?:nothing|none|no (?:relevant )?(?:quotes?|sentences?|information)|n/?a)\b.{0,80}", re.IGNORECASE
)


@dataclass(frozen=True, slots=True)
class Cited:
    """What a reply quotes: the places of its quotes, and the lines that are not in the material."""

    quotes: tuple[Span, ...]
    dropped: tuple[str, ...]


def cited(reply: str, material: str, within: Sequence[Span]) -> Cited:
    """Look for each line of a reply in these pieces of the material; for its sentences, if not all is there.

    White space counts as equal, and so do the usual kinds of quotation marks and dashes. A line that says
    that there is nothing is neither.
    """
    pieces = [(start, material[start:end].translate(_FOLDED)) for start, end in within]
    quotes: list[Span] = []
    dropped: list[str] = []
    for line in filter(None, map(str.strip, reply.splitlines())):
        found = [span for span in [_found(line, pieces)] if span]
        if not found:
            found = [span for part in _sentences(line) if (span := _found(part, pieces))]
        if found:
            quotes += found
        elif not _NOTHING.fullmatch(line) and any(map(str.isalnum, line)):
            dropped.append(line[:LONGEST_TOLD])
    return Cited(joined(quotes), tuple(dropped))


def joined(spans: Iterable[Span], *, gap: int = 0) -> tuple[Span, ...]:
    """Spans in their order, without those that others hold; what overlaps, or is that near, becomes one."""
    apart: list[Span] = []
    for start, end in sorted(spans):
        if apart and start < apart[-1][1] + gap:
            apart[-1] = apart[-1][0], max(apart[-1][1], end)
        else:
            apart.append((start, end))
    return tuple(apart)


def _sentences(line: str) -> Iterator[str]:
    parts = [each for each in _SENTENCE.split(line) if each]
    return iter(parts if len(parts) > 1 else ())


def _found(said: str, pieces: Sequence[tuple[int, str]]) -> Span | None:
    """Where a quote stands first, however it is marked as one."""
    for quote in dict.fromkeys(_readings(said)):
        if len(quote.encode("utf-8", "replace")) < SHORTEST:
            continue
        pattern = re.compile(r"\s+".join(map(re.escape, quote.split())))
        for start, text in pieces:
            if match := pattern.search(text):
                return start + match.start(), start + match.end()
    return None


def _readings(said: str) -> Iterator[str]:
    """A line as it is; without the mark of a list, or quotation marks; with ``<`` as it was given."""
    folded = said.translate(_FOLDED)
    for text in (folded, folded.replace("&lt;", "<")):
        bare = _MARK.sub("", text)
        yield text.strip()
        yield bare.strip()
        yield bare.strip(_EDGES)
        yield bare.rstrip(",;").strip(_EDGES)

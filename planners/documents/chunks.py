"""A long material in chunks that fit into a prompt, cut where no sentence is cut if that can be."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from planners.documents.lengths import Lengths
from planners.documents.sources import Source

OVERLAP: Final = 8
"""Of a paragraph that does not fit into a chunk, the next chunk repeats this fraction of one: an eighth."""

_PARAGRAPH: Final = re.compile(r"\n[^\S\n]*\n\s*")
_SENTENCE: Final = re.compile(
    r"(?<=[.!?…])[\"'”’)\]]*\s+|(?<=[。！？｡．।])[」』”’）)]*\s*"  # noqa: RUF001 (they end sentences)
)
_LINE: Final = re.compile(r"\n+")
_WORD: Final = re.compile(r"\s+")
_PLACES: Final = (_PARAGRAPH, _SENTENCE, _LINE, _WORD)
"""What a text may be cut after, the best first."""


@dataclass(frozen=True, slots=True)
class Chunk:
    """The characters ``material[start:end]``; ``within`` is the name of the document in which it begins.

    ``within`` is empty if that document has no name, or begins with the chunk, which then shows the name.
    """

    start: int
    end: int
    within: str = ""

    def holds(self, at: int) -> bool:
        """Whether that character of the material is in it."""
        return self.start <= at < self.end

    def text(self, material: str) -> str:
        """What a model is shown of it."""
        own = material[self.start : self.end]
        return f"(continued: {self.within})\n{own}" if self.within else own


@dataclass(frozen=True, slots=True)
class _Atom:
    """A piece that is not cut; pieces with the same ``whole`` come from one paragraph that was."""

    start: int
    end: int
    whole: int


def chunks_of(material: str, sources: Sequence[Source], tokens: int) -> list[Chunk]:
    """Chunks of at most so many estimated tokens, in their order; every character is in one of them.

    Documents that fit are kept whole, then paragraphs, then sentences, lines and words. Where a paragraph
    had to be cut, a chunk begins with the end of the one before.
    """
    lengths = Lengths(material)
    atoms = [atom for each in sources for atom in _atoms(material, lengths, each.start, each.end, tokens)]
    packed: list[list[_Atom]] = []
    for atom in atoms:
        if packed and lengths.of(packed[-1][0].start, atom.end) <= tokens:
            packed[-1].append(atom)
        else:
            packed.append([*_repeated(packed[-1], atom, lengths, tokens), atom] if packed else [atom])
    spans = [(each[0].start, each[-1].end) for each in packed]
    return [Chunk(start, end, _within(sources, start)) for start, end in spans]


def halves(material: str, chunk: Chunk, sources: Sequence[Source]) -> list[Chunk]:
    """A chunk in two or more that are about half as long; itself where it cannot be cut."""
    tokens = Lengths(material[chunk.start : chunk.end]).of(0, chunk.end - chunk.start) // 2
    part = [Source("", chunk.start, chunk.end)]
    if tokens < 1 or chunk.end - chunk.start < 2:
        return [chunk]
    cut = chunks_of(material[: chunk.end], part, max(2, tokens + tokens // OVERLAP))
    return [Chunk(each.start, each.end, _within(sources, each.start)) for each in cut]


def cut_at_paragraphs(material: str, start: int, end: int) -> Iterator[tuple[int, int]]:
    """The paragraphs of a piece of the material; together they are all of it."""
    return _cut(_PARAGRAPH, material, start, end)


def cut_at_sentences(material: str, start: int, end: int) -> Iterator[tuple[int, int]]:
    """The sentences and lines of a piece of the material; together they are all of it."""
    for at, until in _cut(_SENTENCE, material, start, end):
        yield from _cut(_LINE, material, at, until)


def _within(sources: Sequence[Source], start: int) -> str:
    return next((each.name for each in sources if each.start < start < each.end), "")


def _repeated(before: Sequence[_Atom], atom: _Atom, lengths: Lengths, tokens: int) -> list[_Atom]:
    """The last atoms of a chunk that the next one begins with, since they belong to the same paragraph."""
    again: list[_Atom] = []
    room = min(tokens // OVERLAP, tokens - lengths.of(atom.start, atom.end))
    for each in reversed(before[1:]):  # never all of a chunk
        if each.whole != atom.whole or lengths.of(each.start, atom.start) > room:
            break
        again.insert(0, each)
    return again


def _atoms(material: str, lengths: Lengths, start: int, end: int, tokens: int) -> Iterator[_Atom]:
    if lengths.of(start, end) <= tokens:
        yield _Atom(start, end, start)
        return
    for at, until in _cut(_PARAGRAPH, material, start, end):
        if lengths.of(at, until) <= tokens:
            yield _Atom(at, until, at)
        else:
            for first, last in _smaller(material, lengths, at, until, tokens, 1):
                yield _Atom(first, last, at)


def _smaller(
    material: str, lengths: Lengths, start: int, end: int, tokens: int, place: int
) -> Iterator[tuple[int, int]]:
    """A piece that is too long, cut at the best place that there is; at last, anywhere."""
    if lengths.of(start, end) <= tokens:
        yield start, end
    elif place < len(_PLACES):
        for at, until in _cut(_PLACES[place], material, start, end):
            yield from _smaller(material, lengths, at, until, tokens, place + 1)
    else:
        most, at = max(1, tokens // OVERLAP), start
        while at < end:
            until = at + 1
            while until < end and lengths.of(at, until + 1) <= most:
                until += 1
            yield at, until
            at = until


def _cut(place: re.Pattern[str], material: str, start: int, end: int) -> Iterator[tuple[int, int]]:
    """The pieces between the places, each with what ends it."""
    at = start
    for found in place.finditer(material, start, end):
        if at < found.end() < end:
            yield at, found.end()
            at = found.end()
    yield at, end

"""The material of a run: its documents, its chunks, and what their words tell."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Sequence
from typing import Final

from planners.documents.chunks import Chunk, chunks_of, cut_at_paragraphs, cut_at_sentences, halves
from planners.documents.citing import Span, joined
from planners.documents.lengths import Lengths, tokens_in
from planners.documents.sources import Source, sources_of
from planners.documents.terms import Rarity, terms_of

PASSAGE: Final = 160
"""Tokens of a paragraph that is shown whole with a quote; of longer ones, only the sentences about it."""


class Matter:
    """A material, cut into ``chunks`` of at most so many estimated tokens."""

    def __init__(self, material: str, tokens: int) -> None:
        self.material = material
        self.sources: Sequence[Source] = sources_of(material)
        self.chunks: Sequence[Chunk] = [
            each
            for each in chunks_of(material, self.sources, tokens)
            if not material[each.start : each.end].isspace()
        ]
        self._lengths = Lengths(material)
        self._paragraphs = [
            span for each in self.sources for span in cut_at_paragraphs(material, each.start, each.end)
        ]
        self._begins = [start for start, _ in self._paragraphs]
        self.rarity = Rarity(
            material[start:end]
            for paragraph in self._paragraphs
            for start, end in cut_at_sentences(material, *paragraph)
        )

    def shown(self, chunk: Chunk) -> str:
        """What a model is shown of a chunk."""
        return chunk.text(self.material)

    def halves(self, chunk: Chunk) -> list[Chunk]:
        """A chunk in pieces that are about half as long; itself where it cannot be cut."""
        return halves(self.material, chunk, self.sources)

    def ranked(self, chunks: Iterable[Chunk], wanted: Iterable[str]) -> list[tuple[float, Chunk]]:
        """Chunks with the weight of the wanted terms in them, the heaviest first; of equal ones, in order."""
        terms = frozenset(wanted)
        scored = [(self.rarity.shared(terms, self.material[each.start : each.end]), each) for each in chunks]
        return sorted(scored, key=lambda pair: (-pair[0], pair[1].start))

    def outside(self, chunk: Chunk, spans: Iterable[Span]) -> frozenset[str]:
        """The terms of a chunk in what is not in any of the spans."""
        at, found = chunk.start, frozenset[str]()
        for start, end in joined(spans):
            if start < chunk.end and at < end:
                found |= terms_of(self.material[at:start])
                at = min(end, chunk.end)
        return found | terms_of(self.material[at : chunk.end])

    def around(self, quote: Span) -> Span:
        """A quote with what explains it: its paragraph, or of a long one its sentences and the one before."""
        first = self._paragraphs[bisect_right(self._begins, quote[0]) - 1]
        last = self._paragraphs[bisect_right(self._begins, quote[1] - 1) - 1]
        if self._lengths.of(first[0], last[1]) <= PASSAGE:
            return self.trimmed((first[0], last[1]))
        sentences = list(cut_at_sentences(self.material, first[0], last[1]))
        touched = [at for at, (start, end) in enumerate(sentences) if start < quote[1] and quote[0] < end]
        return self.trimmed((sentences[max(0, touched[0] - 1)][0], sentences[touched[-1]][1]))

    def trimmed(self, span: Span) -> Span:
        """A span without the white space at its ends."""
        text = self.material[span[0] : span[1]]
        return span[0] + len(text) - len(text.lstrip()), span[0] + len(text.rstrip())

    def listed(self, spans: Sequence[Span]) -> str:
        """Pieces of the material, numbered, each with the name of its document if there are several."""
        return "\n".join(f"[{at}] {self._named(span)}{self.line(span)}" for at, span in enumerate(spans, 1))

    def line(self, span: Span) -> str:
        """A piece of the material on one line."""
        return " ".join(self.material[span[0] : span[1]].split())

    def cited(self, spans: Sequence[Span]) -> str:
        """Pieces of the material, numbered, each with its document and its characters in the material."""
        return "\n".join(
            f"[{at}] {self._named(span)}{span[0]}-{span[1]}: {self.line(span)}"
            for at, span in enumerate(spans, 1)
        )

    def tokens(self, spans: Sequence[Span]) -> int:
        """The estimated tokens of :meth:`listed`."""
        return tokens_in(self.listed(spans)) if spans else 0

    def _named(self, span: Span) -> str:
        name = next((each.name for each in self.sources if each.start <= span[0] < each.end), "")
        return f"({name}) " if name else ""

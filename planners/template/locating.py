"""Where the items of a list, and a passage, stand in the text of a user.

Nothing is taken from a model but where to look: what is found is the user's own text, in its own order.
"""

# ruff: noqa: RUF001 (people write these characters)

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from itertools import islice
from typing import Final

from planners.template.parting import MARKED, MARKER, OUTSIDE, QUOTES, Gap, Misplaced, Span, check

STARTS: Final = 32
"""Places at which a list whose first word comes often is looked for."""

SHOWN: Final = 80
"""Characters of a text that a reason shows."""

_ELLIPSIS = re.compile(r"\s*(?:…|\.\.\.)\s*")
_CJK = re.compile(r"[\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af]")


def passage_in(text: str, said: str) -> Span:
    """Where a passage stands that is given in whole, or as its first words, an ellipsis, and its last words.

    Raises:
        Misplaced: it does not stand in the text.
    """
    whole = next(_places(text, said), None)
    if whole is not None:
        return whole
    parts = [part for part in _ELLIPSIS.split(said) if part.strip(OUTSIDE)]
    if len(parts) < 2:
        raise Misplaced(f"this does not stand in the question: {said[:SHOWN]!r}")
    first = next(_places(text, parts[0]), None)
    last = None if first is None else next(_places(text, parts[-1], first.end), None)
    if first is None or last is None:
        raise Misplaced(f"this does not stand in the question: {parts[0 if first is None else -1][:SHOWN]!r}")
    return Span(first.start, last.end)


def list_in(text: str, items: Sequence[str]) -> list[Span]:
    """Where the items of a list stand, in the order of the text.

    Raises:
        Misplaced: one does not stand there, or they are not all that is listed there.
    """
    first = {item: next((span.start for span in _items(text, item)), None) for item in items}
    if missing := next((item for item in items if first[item] is None), None):
        raise Misplaced(f"this does not stand in the question: {missing[:SHOWN]!r}")
    wrong = "the items do not stand in the question one after the other"
    for ordered in dict.fromkeys((tuple(items), tuple(sorted(items, key=lambda item: first[item] or 0)))):
        for start in islice(_items(text, ordered[0]), STARTS):
            spans = _walked(text, ordered, start)
            if spans is None:
                break  # nor do they stand behind a later one
            try:
                check(text, spans)
            except Misplaced as error:
                wrong = str(error)
            else:
                return spans
    raise Misplaced(wrong)


def without(text: str, *spans: Span) -> str:
    """A text without what stands at the given places."""
    left, at = [], 0
    for span in sorted(spans, key=lambda span: span.start):
        left.append(text[at : span.start])
        at = max(at, span.end)
    return "".join([*left, text[at:]])


def enumerated(text: str, spans: Sequence[Span]) -> str:
    """How a list is parted: ``marked``, in ``lines``, as ``sentences``, ``joined`` by words, or by a sign."""
    return Gap.between(text, spans[0], spans[1]).kind


def whole_list(text: str, spans: Sequence[Span]) -> Span:
    """The place of a list with the marker or the quotation marks around its ends."""
    start, marked = spans[0].start, enumerated(text, spans) == "marked"
    before = re.search(rf"(?:{MARKER})?{QUOTES}*\Z" if marked else rf"{QUOTES}+\Z", text[:start])
    after = re.match(rf"{QUOTES}+", text[spans[-1].end :])
    return Span(before.start() if before else start, spans[-1].end + (after.end() if after else 0))


def _places(text: str, said: str, at: int = 0) -> Iterator[Span]:
    """Where a text is said, whatever its white space, quotation marks and case."""
    said = said.strip()
    if not said:
        return
    pieces = (re.sub(QUOTES, lambda _: QUOTES, re.escape(word)) for word in said.split())
    left = r"(?<!\w)" if said[0].isalnum() and not _CJK.match(said[0]) else ""
    right = r"(?!\w)" if said[-1].isalnum() and not _CJK.match(said[-1]) else ""
    for match in re.compile(left + r"\s+".join(pieces) + right, re.IGNORECASE).finditer(text, at):
        yield Span(match.start(), match.end())


def _items(text: str, said: str, at: int = 0) -> Iterator[Span]:
    """Where an item stands, without the marker and the marks around it that it may be given with."""
    for each in dict.fromkeys((said.strip(), _bare(said), _bare(said).rstrip(".,;"))):
        found = False
        for span in _places(text, each, at):
            found = True
            more = re.match(r"[?!？！]+", text[span.end :])
            yield Span(span.start, span.end + more.end()) if more else span
        if found:
            return


def _bare(said: str) -> str:
    marked = MARKED.match(said.strip())
    return (said.strip()[marked.end() :] if marked else said).strip(OUTSIDE)


def _walked(text: str, items: Sequence[str], first: Span) -> list[Span] | None:
    """The places of the items after each other, the first of them at ``first``."""
    spans = [first]
    for item in items[1:]:
        span = next(_items(text, item, spans[-1].end), None)
        if span is None:
            return None
        spans.append(span)
    return spans

"""What parts the items of a list, and whether nothing of a list is missing between them and at its ends.

An item that was left out, cut in two, or taken together with its neighbour is seen by what stands between the
items: a marker, a line, a comma, the same label, and nothing else.
"""

# ruff: noqa: RUF001 (people write these characters)

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Final

MARKER: Final = (
    r"(?:[-*+•–◦▪]|\(?(?<![\w.,])(?P<ordinal>\d{1,3}|[A-Za-z]|[ivxIVX]{1,5})[.):\]、．](?!\d)"
    r"|\[(?:\d{1,3}|[A-Za-z])\])[ \t]*"
)
MARKED = re.compile(rf"[ \t>]*{MARKER}(?=\S)")
_ANY_MARKER = re.compile(MARKER)
COMMAS: Final = ",;、，；/|"
_JOINING: Final = "and|or|und|oder|et|ou|y|e|o|og|och|en|и|или|和|与|及|或|と|や"
_JOINS = re.compile(rf"(?:{_JOINING})", re.IGNORECASE)
_MORE: Final = rf"(?:{_JOINING}|plus|as well as|along with|sowie)"
_ENDS_JOINING = re.compile(rf"(?:[{COMMAS}&+]|\b{_MORE}\b)[\s\"'“”‘’„«»]*\Z", re.IGNORECASE)
_GOES_ON_JOINING = re.compile(
    rf"[\s\"'“”‘’„«»]*(?:[{COMMAS}][\s\"'“”‘’„«»]*[^\s.…\"'“”‘’„«»]|[&+]|{_MORE}\b)", re.IGNORECASE
)
_AFTER_COLON = re.compile(r"[:：]\s+[^\n:：]*\w[^\n:：]*\Z")
"""Words between the colon before a list and its first item, which may belong to that."""
_ENDS_TEXT: Final = ".!?:;。！？：；…"
_LABEL: Final = 200
"""Characters before the first item in which its label stands, such as "Review:"."""
_WORD = re.compile(r"\w+")
QUOTES: Final = "[\"'`“”‘’„«»]"
OUTSIDE: Final = " \t\r\n\"'`“”‘’„«»*_"
_BLANK = re.compile(r"\n[ \t]*\n")
_SENTENCE_END = re.compile(r"[.?!。？！][\"'”’»)]*\s+(?=\S)")


@dataclass(frozen=True, slots=True)
class Span:
    """From ``start`` up to ``end``, in characters of a text."""

    start: int
    end: int

    def of(self, text: str) -> str:
        """What stands there."""
        return text[self.start : self.end]

    def meets(self, other: Span) -> bool:
        """Whether the two have anything in common."""
        return self.start < other.end and other.start < self.end


class Misplaced(Exception):
    """What is said to be listed in a text does not stand there, or is not all of it; says why."""


@dataclass(frozen=True, slots=True)
class Gap:
    """What stands between two items: of what kind it is, its words without markers, how many markers."""

    kind: str
    words: tuple[str, ...]
    markers: int

    @classmethod
    def between(cls, text: str, one: Span, two: Span) -> Gap:
        """The gap between two places of a text."""
        gap = text[one.end : two.start]
        line = gap.rpartition("\n")[2] if "\n" in gap else gap
        marked = _ANY_MARKER.search(line) is not None
        markers = sum(1 for each in _ANY_MARKER.finditer(gap) if each["ordinal"])
        bare = gap.lstrip(OUTSIDE + ".")
        comma = bare[:1] if bare[:1] in tuple(COMMAS) else ""
        if "\n" in gap:
            wrapped = comma and "\n" not in gap.partition(comma)[0]
            kind = "marked" if marked else comma if wrapped else "lines"
        elif markers or comma:
            kind = "marked" if markers else comma
        elif _WORD.search(gap):
            kind = "joined"
        else:
            kind = "sentences" if "." in gap or text[one.end - 1] in "?!.。？！" else "spaces"
        return cls(kind, tuple(_label(_ANY_MARKER.sub(" ", gap))), markers)


def _label(text: str) -> Iterator[str]:
    """Words without the digits in them, so that those in "Q1:" and "Q2:" are the same."""
    for word in _WORD.findall(text):
        yield re.sub(r"\d+", "", word).casefold()


def check(text: str, spans: Sequence[Span]) -> None:
    """Whether nothing stands between the items but what parts them, and nothing before and after is one.

    Raises:
        Misplaced: something does.
    """
    gaps = [Gap.between(text, one, two) for one, two in pairwise(spans)]
    kinds = {gap.kind for gap in gaps[:-1]} | ({gaps[-1].kind} - {"joined"})
    if len(kinds) > 1:
        raise Misplaced("the items are parted in different ways")
    before = text[: spans[0].start]
    head = tuple(_label(_ANY_MARKER.sub(" ", before[-_LABEL:])))
    for number, gap in enumerate(gaps, 1):
        joins = len(gap.words) == 1 and _JOINS.fullmatch(gap.words[0]) is not None
        label = all(gap.words) and len(gap.words) <= 3 and head[len(head) - len(gap.words) :] == gap.words
        if gap.markers > 1 or (gap.words and not joins and not label):
            raise Misplaced(f"something between items {number} and {number + 1} belongs to neither")
    kind = min(kinds, default="joined")
    if kind == "spaces":
        raise Misplaced("nothing parts the items")
    _check_insides(text, spans, gaps, kind)
    _check_ends(before, text[spans[-1].end :], text, spans, kind)


def _check_insides(text: str, spans: Sequence[Span], gaps: Sequence[Gap], kind: str) -> None:
    """Whether no item is made of several."""
    items = [span.of(text) for span in spans]
    if any(_is_several(item, kind, spaced=_spaced(text, spans)) for item in items):
        raise Misplaced("an item is made of several")
    joined = any(gap.words for gap in gaps)
    last = re.search(rf"\s(?:{_JOINING})\s", items[-1], re.IGNORECASE)
    if kind in tuple(COMMAS) and last and not joined:
        raise Misplaced("the last item is made of several")


def _is_several(item: str, kind: str, *, spaced: bool) -> bool:
    """Whether an item has in it what parts the items of its list."""
    match kind:
        case "marked":
            marks = (MARKED.match(line) for line in item.split("\n")[1:])
            return any(mark and (mark["ordinal"] or "").isdigit() for mark in marks)
        case "lines":
            return (_BLANK.search(item) is not None) if spaced else "\n" in item
        case "sentences":
            return _SENTENCE_END.search(item) is not None
        case "joined":
            return re.search(rf",|\s(?:{_JOINING})\s", item, re.IGNORECASE) is not None
        case _:
            return kind in item


def _spaced(text: str, spans: Sequence[Span]) -> bool:
    """Whether blank lines part the items."""
    return all(_BLANK.search(text[one.end : two.start]) for one, two in pairwise(spans))


def _check_ends(before: str, after: str, text: str, spans: Sequence[Span], kind: str) -> None:
    """Whether the list begins with the first item and ends with the last.

    Raises:
        Misplaced: something before or after looks like an item that was left out.
    """
    left_out = Misplaced("something of the list is not among the items")
    above, _, line = before.rpartition("\n")
    first = re.search(rf"{MARKER}{QUOTES}*\Z", line)
    previous = above.rpartition("\n")[2]
    following = after.lstrip(" \t").removeprefix("\n") if after.lstrip(" \t").startswith("\n") else ""
    items = [span.of(text) for span in spans]
    if kind in ("marked", "lines"):
        rest, _, below = after.partition("\n")
        lead = line.rstrip(OUTSIDE)
        if rest.strip(OUTSIDE + _ENDS_TEXT + ",") or (lead and not first and lead[-1] not in ":："):
            raise left_out
        head = [each for each in before.split("\n") if each.strip()]
        foot = [each for each in below.split("\n") if each.strip()]
        if (foot and _is_like(foot[0], items)) or (len(head) > 1 and not line and _is_like(head[-1], items)):
            raise left_out
    if kind == "marked":
        ordinal = first["ordinal"] if first else None
        if ordinal is not None and ordinal.casefold() not in ("0", "1", "a", "i"):
            raise left_out
        if MARKED.match(previous) or MARKED.match(after.lstrip(OUTSIDE + ".,;")):
            raise left_out
    elif kind == "lines":
        if _spaced(text, spans):
            blocks = [block for block in _BLANK.split(before) if block.strip()]
            if after.strip() or (len(blocks) > 1 and not before.rstrip().endswith((":", "："))):
                raise left_out
        elif following.partition("\n")[0].strip() or (
            previous.strip() and above.strip() != previous.strip() and previous.rstrip()[-1] not in ":："
        ):
            raise left_out
    elif kind == "sentences":
        asks = spans[-1].of(text)[-1:] in ("?", "？")
        if before.rstrip(" ").endswith(("?", "？")) or re.match(r"[^.!\n]*[?？]", after):
            raise left_out
        bare = before.rstrip(OUTSIDE)
        begins = not bare or bare[-1] in ":：" or "\n" in before[len(bare) :]
        if not asks and (after.strip(OUTSIDE + ".") or not begins):
            raise left_out
    elif _ENDS_JOINING.search(before) or _GOES_ON_JOINING.match(after) or _AFTER_COLON.search(line):
        raise left_out


def _is_like(line: str, items: Sequence[str]) -> bool:
    """Whether a line may be one more item: it is hardly longer than the others, and ends as no text does."""
    bare = line.strip(OUTSIDE)
    longest = max(len(item.split()) for item in items)
    return bool(bare) and bare[-1] not in _ENDS_TEXT and len(bare.split()) <= longest + 1

"""Numbered and bulleted lists as models write them: their points, without markup, by number.

Only the top level counts: what is nested, an introduction and what comes after are left out.
"""

# ruff: noqa: RUF001 (models write these characters)

from __future__ import annotations

import ast
import json
import re
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Final

from orchestrator.consensus.embedded import json_objects
from orchestrator.consensus.thinking import split_thinking
from planners.markers import FOLLOWING, LARGEST, PICTURE, Marker, Reading, inline, marker
from planners.markup import plain, without_tags

MOST_POINTS: Final = 256
"""What a list has beyond this is not read."""

LONGEST_POINT: Final = 1000
"""Characters from which no further lines are added to a point."""

DEEPEST: Final = 12
"""Lists nested more deeply are not told apart."""

LONG_LINE: Final = 60
"""Characters from which a line may have been wrapped whatever the next one begins with."""

_BOLD = -2
"""The indentation of a line in bold: it stands above the lists beneath it, and below headings."""

_FENCE = re.compile(r"[ \t>]*(?:```|~~~)")
_RULE = re.compile(r"[ \t]*\|?[ \t]*:?-{2,}:?[ \t]*(?:\|[ \t]*:?-*:?[ \t]*)*")
_BOLD_LINE = re.compile(
    r"(?:\*\*|__)[^\s*_][^*_\n]*(?:\*\*|__)(?::|$)|(?:\*\*|__)[^\s*_][^*_\n]*:(?:\*\*|__)"
)
_TITLE = re.compile(r"\s*\*\*[^*]+\*\*\s*")
"""A line that is all in bold, which the next one does not go on with."""
_END_OF_TEXT = re.compile(r"<(?:\||｜)[A-Za-z0-9_▁]{2,40}(?:\||｜)>|</s>|<end_of_turn>")
"""Tokens that a server should have kept to itself."""
_ENDED = re.compile(r"[.!?:;。！？：；]$")
_SEPARATORS = " ,;，；、|*_→>-"
_AND = re.compile(r"(?<=[\s,;，；、])(?:and|und|et|y|e|和|以及)$")
_BULLETS_INSIDE = re.compile(r"(?:^|(?<=\s)|(?<=:))(?:[•◦▪●·■‣]|[-–*](?=\s))\s*")


@dataclass(frozen=True, slots=True)
class Outline:
    """The points of a list by number, in the order given; ``form`` is how it is written, as in ``1.``.

    Points that have no numbers, or all the same, are numbered from 1. Of other equal numbers, the first
    counts. ``form`` is empty if there is no list.
    """

    form: str
    points: dict[int, str]


@dataclass(slots=True)
class _Entry:
    ordinal: int | None
    text: str
    is_title: bool

    def takes(self, before: str, line: str) -> bool:
        """Whether a line belongs to it: its first, or one that goes on with the line before."""
        if self.text and self.is_title:
            return False
        return not self.text or (len(self.text) < LONGEST_POINT and _wrapped(before, line))


@dataclass(slots=True)
class _List:
    style: str
    indent: int
    numbers: Reading | None
    above: _List | None
    beneath: int
    """Which entry of the list above it hangs under."""
    entries: list[_Entry] = field(default_factory=list)
    last: int = 0

    def ancestors(self) -> Iterator[_List]:
        above = self.above
        while above is not None:
            yield above
            above = above.above

    def goes_on(self, reading: Reading) -> bool:
        return reading.ordinal == self.last + 1 or reading.ordinal == FOLLOWING


def read_outline(text: str) -> Outline:
    """The list in what a model said after its thinking; the first that counts, if there are several."""
    said = without_tags(_END_OF_TEXT.sub("", split_thinking(text).answer))
    if "\n" not in said.strip():
        said = said.replace("\\n", "\n")  # escaped once too often
    if said.lstrip("`json \t\r\n")[:1] in ("[", "{") and (listed := _from_json(said)):
        return listed
    found = _Lines(said).outline()
    if len(found.points) >= 2 and not _is_broken(found):
        return found
    others = (_from_running_text(said), _Lines(said, weak=True).outline(), _from_json(said))
    better = [each for each in others if each and len(each.points) > max(len(found.points), 1)]
    return better[0] if better else found


def _is_broken(outline: Outline) -> bool:
    """Whether numbers are missing: they may be inside the text of the points, or of what is before them."""
    numbers = list(outline.points)
    return numbers[0] > 1 or any(after > before + 1 for before, after in pairwise(numbers))


class _Lines:
    """Reads a list whose points begin on lines of their own."""

    def __init__(self, text: str, *, weak: bool = False) -> None:
        self._weak = weak
        self._lists: list[_List] = []
        self._open: list[_List] = []
        self._places: defaultdict[tuple[int, str], set[int]] = defaultdict(set)
        """Under which entries of a list there are lists of one style."""
        self._closed: _List | None = None
        self._entry: _Entry | None = None
        self._before = ""
        fenced = False
        for line in _rows(text):
            if _FENCE.match(line):
                fenced = not fenced and bool(self._lists) and not weak
                self._entry = None
            elif not fenced:
                self._line(line)

    def _line(self, line: str) -> None:
        shown = plain(line)
        if not shown.strip():
            self._before = ""
            self._entry = self._entry if self._entry and not self._entry.text else None
            return
        found = marker(shown, weak=self._weak)
        if found is None and _BOLD_LINE.match(line):
            found = Marker(_BOLD, "**", (), 0)
        is_title = bool(found and found.bullet[:1] == "#") or _TITLE.fullmatch(line) is not None
        entry = self._placed(found, shown, is_title=is_title) if found else None
        if entry is not None:
            self._entry = entry
        elif self._entry is not None and self._entry.takes(self._before, shown):
            self._entry.text = _joined(self._entry.text, shown.strip())
        else:
            self._entry = None
        self._before = shown

    def _placed(self, found: Marker, line: str, *, is_title: bool) -> _Entry | None:
        """The entry that a line begins, in the list that it goes on or begins; None if it begins none."""
        readings = tuple(each for each in found.numbers if each.ordinal <= LARGEST)
        text = line[found.end if readings else found.bullet_end :].strip()
        if not readings and not (found.bullet and text):
            return None
        where = self._going_on(found, readings) or self._begun(found, readings)
        if where is None:
            return None
        listed, reading = where
        ordinal = None if reading is None else reading.ordinal
        if reading is not None:
            listed.last = listed.last + 1 if ordinal == FOLLOWING else reading.ordinal
            ordinal = listed.last
        entry = _Entry(ordinal, text, is_title)
        if len(listed.entries) < MOST_POINTS:
            listed.entries.append(entry)
        return entry

    def _going_on(self, found: Marker, readings: tuple[Reading, ...]) -> tuple[_List, Reading | None] | None:
        """The open list that has such an entry next."""
        for depth in range(len(self._open) - 1, -1, -1):
            listed = self._open[depth]
            if abs(listed.indent - found.indent) >= 2:
                continue
            for reading in readings or (None,):
                if listed.style == _style(found, reading) and (
                    reading is None or not reading.strict or listed.goes_on(reading)
                ):
                    self._close(depth + 1)
                    return listed, reading
        for depth in range(len(self._open) - 1, -1, -1):
            listed = self._open[depth]
            for reading in readings:
                if reading.plain and listed.numbers and listed.numbers.plain and listed.goes_on(reading):
                    self._close(depth + 1)
                    return listed, reading
        for reading in readings:
            if (
                self._closed
                and self._closed.style == _style(found, reading)
                and self._closed.goes_on(reading)
            ):
                self._open.append(self._closed)
                return self._closed, reading
        return None

    def _begun(self, found: Marker, readings: tuple[Reading, ...]) -> tuple[_List, Reading | None] | None:
        """A new list beneath the entries that are less indented."""
        reading = next((each for each in readings if not each.strict or each.ordinal in (0, 1)), None)
        if reading is None and (readings or not found.bullet):
            return None
        style = _style(found, reading)
        depth = len(self._open)
        while depth and self._open[depth - 1].indent >= found.indent + 2:
            depth -= 1
        first = self._open[0] if self._open else None
        self._close(depth)
        if depth == 0 and first and first.style == style and not (reading and reading.strict):
            first.indent = found.indent  # the first line was indented by mistake
            self._open.append(first)
            return first, reading
        if depth >= DEEPEST:
            return None
        above = self._open[-1] if self._open else None
        begun = _List(style, found.indent, reading, above, len(above.entries) if above else 0)
        self._open.append(begun)
        self._lists.append(begun)
        self._places[id(above), style].add(begun.beneath)
        return begun, reading

    def _close(self, depth: int) -> None:
        for listed in self._open[depth:]:
            if listed.numbers and (listed.above is None or listed.above.numbers is None):
                self._closed = listed
        del self._open[depth:]

    def outline(self) -> Outline:
        for listed in self._lists:
            listed.entries = [each for each in listed.entries if re.search(r"\w", each.text)]
        lists = [each for each in self._lists if len(each.entries) >= 2]
        numbered = [each for each in lists if each.numbers and not self._is_nested(each)]
        plainly = [each for each in lists if not any(len(above.entries) >= 2 for above in each.ancestors())]
        single = [each for each in self._lists if each.numbers and each.entries]
        chosen = next(iter([*numbered, *plainly, *single]), None)
        return Outline(chosen.style, _by_number(chosen)) if chosen else Outline("", {})

    def _is_nested(self, listed: _List) -> bool:
        """Whether it belongs to an entry of another list, rather than coming after one or under a title."""
        siblings = self._places[id(listed.above), listed.style]
        for above in listed.ancestors():
            directly = above is listed.above
            bullets = above.indent >= 0
            if len(above.entries) >= 2 and (
                above.numbers
                or (bullets and listed.indent >= above.indent + 2)
                or (bullets and directly and listed.beneath < len(above.entries))
                or (directly and len(siblings) >= 2)
            ):
                return True
        return False


def _style(found: Marker, reading: Reading | None) -> str:
    if reading is None:
        return found.bullet
    return f"{found.bullet} {reading.style}" if found.bullet else reading.style


def _rows(text: str) -> Iterator[str]:
    """The lines of a text; the rows of a table as entries of a list, without its head."""
    lines = text.splitlines()
    inside = False
    for line, after in zip(lines, [*lines[1:], ""], strict=False):
        is_row = line.lstrip().startswith("|")
        if not is_row:
            inside = False
            yield line
        elif _RULE.fullmatch(line):
            inside = True
        elif inside or not _RULE.fullmatch(after):
            cells = [cell for cell in map(str.strip, line.strip().strip("|").split("|")) if cell]
            number = cells.pop(0).strip("*. ") if len(cells) > 1 and cells[0].strip("*. ").isdecimal() else ""
            yield (f"{number}. " if number else "• ") + ": ".join(cells)


def _wrapped(before: str, line: str) -> bool:
    """Whether a line goes on with the one before it, instead of saying something new."""
    start = line.lstrip()[:1]
    if not before or _ENDED.search(before.rstrip()):
        return False
    return start.islower() or start.isdigit() or start in "([&+," or len(before) >= LONG_LINE


def _joined(text: str, more: str) -> str:
    """Two lines as one; between Chinese characters there are no blanks."""
    blank = "" if not text or (ord(text[-1]) > 0x2E80 and ord(more[0]) > 0x2E80) else " "
    return f"{text}{blank}{more}"


def _by_number(listed: _List) -> dict[int, str]:
    texts = [_text(each) for each in listed.entries]
    ordinals = [each.ordinal for each in listed.entries]
    if len(set(ordinals)) == 1 < len(ordinals) or None in ordinals:
        return dict(enumerate(texts, 1))
    points: dict[int, str] = {}
    before: int | None = None
    for ordinal, text in zip(ordinals, texts, strict=True):
        if ordinal == before:
            return dict(enumerate(texts, 1))  # it lost count: no point is left out
        points.setdefault(ordinal or 0, text)
        before = ordinal
    return points


def _text(entry: _Entry) -> str:
    """The text of a point, without a bullet or the same number again, as in ``1. Step 1: …``."""
    again = marker(entry.text)
    if again is None or again.bullet == PICTURE or again.end >= len(entry.text):
        return entry.text
    is_repeated = entry.ordinal is not None and again.ordinal == entry.ordinal
    return entry.text[again.end if is_repeated else again.bullet_end :].strip()


def _from_running_text(text: str) -> Outline | None:
    """A list whose points follow each other on one line, by their numbers or by their bullets."""
    text = plain(text.strip())
    found: dict[str, list[tuple[int, int, int]]] = {}
    for at, end, reading in inline(text):
        places = found.setdefault(reading.style, [])
        if (reading.ordinal in (0, 1) and not places) or (places and reading.ordinal == places[-1][2] + 1):
            places.append((at, end, reading.ordinal))
    style, places = max(found.items(), key=lambda each: len(each[1]), default=("", []))
    if len(places) < 2:
        style = "•"
        places = [(m.start(), m.end(), i) for i, m in enumerate(_BULLETS_INSIDE.finditer(text), 1)]
        before = text[: places[0][0]].rstrip() if places else ""
        if (
            len(places) < 2
            or "\n" in text[places[0][0] : places[-1][1]]
            or (before and before[-1] not in ":：")
        ):
            return None
    ends = [*(at for at, _, _ in places[1:]), len(text)]
    points: dict[int, str] = {}
    for (_, start, ordinal), end in list(zip(places, ends, strict=True))[:MOST_POINTS]:
        point = text[start:end].strip()
        point = point.partition("\n")[0] if end == len(text) else point.partition("\n\n")[0]
        point = _AND.sub("", " ".join(point.split()).rstrip(_SEPARATORS)).rstrip(_SEPARATORS)
        if point:
            points[ordinal] = point
    return Outline(f"{style} on one line", points) if len(points) >= 2 else None


def _from_json(text: str) -> Outline | None:
    """A list of strings, or of objects that each have one, in JSON or as Python writes it."""
    start = min((at for at in (text.find("["), text.find("{")) if at >= 0), default=-1)
    if start < 0:
        return None
    source = text[start:]
    try:
        value, end = json.JSONDecoder().raw_decode(source)
        if isinstance(value, dict) and source[end:].lstrip(" ,;\r\n").startswith("{"):
            value = list(json_objects(source))
    except (ValueError, RecursionError):
        try:
            value = ast.literal_eval(source[: source.rfind(source[0].translate({91: 93, 123: 125})) + 1])
        except (ValueError, SyntaxError, RecursionError, MemoryError, TypeError):
            return None
    for _ in range(DEEPEST):
        if isinstance(value, dict):
            inner = list(value.values())
            lists = [each for each in inner if isinstance(each, list)]
            value = lists[0] if lists else inner[0] if [type(each) for each in inner] == [dict] else inner
    if not isinstance(value, list):
        return None
    texts = [_first_text(each) for each in value[:MOST_POINTS]]
    kept = [plain(each).strip() for each in texts if each]
    kept = [each[found.end :] if (found := marker(each)) and found.ordinal else each for each in kept]
    return Outline("JSON", dict(enumerate(kept, 1))) if len(kept) >= 2 else None


def _first_text(value: object) -> str:
    """The first text in a value that is more than a number."""
    values = value.values() if isinstance(value, dict) else (value,)
    return next((each for each in values if isinstance(each, str) and re.search(r"[^\W\d_]", each)), "")

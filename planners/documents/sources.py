"""Where the documents begin in one text of material.

Three ways of putting several documents into one text are known: elements ``<document name="…">``, the lines
``==> name <==`` that ``tail -n +1 FILES`` writes, and the form feeds between the pages of a printed document.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

_ELEMENT: Final = re.compile(
    r"^[ \t]*<(?:document|doc|file|source)\b(?P<attributes>[^<>\n]*)>", re.MULTILINE | re.IGNORECASE
)
_NAME: Final = re.compile(
    r"(?:name|title|path|source|id)\s*=\s*(?:\"([^\"]*)\"|'([^']*)'|(\S+))", re.IGNORECASE
)
_HEADING: Final = re.compile(r"^==> (?P<name>\S[^\n]*?) <==[ \t]*$", re.MULTILINE)
_PAGE: Final = re.compile(r"\f")

LONGEST_NAME: Final = 120
"""Characters of a name that are kept."""


@dataclass(frozen=True, slots=True)
class Source:
    """A document in the material: its name, or empty, and its characters, with its heading."""

    name: str
    start: int
    end: int


def sources_of(material: str) -> tuple[Source, ...]:
    """The documents of a material, in their order; together they are all of it.

    What stands before the first heading is a document without a name. A material with no heading is one
    document without a name, an empty one has no document.
    """
    if not material:
        return ()
    begins = [
        (at, " ".join(name.split())[:LONGEST_NAME] or f"document {number}")
        for number, (at, name) in enumerate(_headings(material), start=1)
    ]
    if begins and not material[: begins[0][0]].strip():
        begins[0] = 0, begins[0][1]
    else:
        begins.insert(0, (0, ""))
    ends = [*(at for at, _ in begins[1:]), len(material)]
    return tuple(Source(name, at, end) for (at, name), end in zip(begins, ends, strict=True))


def _headings(material: str) -> list[tuple[int, str]]:
    """Where documents begin, and their names, by the first form that there is."""
    if elements := list(_ELEMENT.finditer(material)):
        return [(each.start(), _named(each["attributes"])) for each in elements]
    if headings := list(_HEADING.finditer(material)):
        return [(each.start(), each["name"]) for each in headings]
    pages = [each.end() for each in _PAGE.finditer(material) if material[each.end() :].strip()]
    return [(at, f"page {number}") for number, at in enumerate([0, *pages], start=1)] if pages else []


def _named(attributes: str) -> str:
    named = _NAME.search(attributes)
    return next(filter(None, named.groups()), "") if named else ""

"""References of a plan to the results of its steps: ``$1``, ``${1}``, ``$1.name``, ``$1.rows[0]``.

A reference stays a string in the arguments of a step until the step starts, and what it stands for is bound
in the tree of the arguments, never pasted into text that is parsed afterwards.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from typing import Any, Final

from orchestrator.errors import AnabranchError

PATH: Final = r"""(?:\.[^\W\d]\w*|\[(?:[0-9]{1,9}|"[^"\]\n]{1,80}"|'[^'\]\n]{1,80}')\])*"""
_AMOUNT = r"(?:[kKmMbB]n?\b|\s(?:million|billion|trillion|thousand)\b)"
REFERENCE = re.compile(
    rf"\$(?:\{{(?P<braced>[0-9]{{1,9}})(?P<inside>{PATH})\}}"
    rf"|(?P<bare>[0-9]{{1,9}})(?!\.?[0-9]|{_AMOUNT})(?P<after>{PATH}))(?:\$(?![0-9{{]))?"  # $1$ is $1
)
_KEY = re.compile(r"""\.(?P<field>\w+)|\[(?:(?P<index>[0-9]+)|["'](?P<key>[^\]]*)["'])\]""")
_THOUSANDS = re.compile(r",[0-9]{3}(?![0-9])")
_MONEY = re.compile(r"\$([0-9]{1,9})(?!\.?[0-9])")
_ITSELF: Final = frozenset({"result", "output", "value", "answer", "text", "response", "content"})
"""Fields that models give to results which have none; they mean the result itself."""

Path = tuple[str | int, ...]


class Unbound(AnabranchError):
    """A result does not have what a step needs of it."""

    code = "unbound"
    http_status = 422


class NoFields(Unbound):
    """A field is asked of a result that is prose or a number."""


@dataclass(frozen=True, slots=True)
class Reference:
    """The result of a step, or what is at a path in it."""

    id: int
    path: Path = ()


@dataclass(frozen=True, slots=True)
class Numbering:
    """What is a reference in a plan whose steps have ids up to ``last``.

    A bare ``$20`` inside a longer text is money if no step can have the id 20, or if it is one of the
    ``amounts`` of which the question speaks.
    """

    last: int
    amounts: frozenset[int] = frozenset()

    def whole(self, text: str) -> Reference | None:
        """The reference that a text is nothing but, which then stands for the value itself."""
        match = REFERENCE.fullmatch(text.strip())
        return None if match is None else reference_of(match)

    def found(self, text: str) -> list[Reference]:
        """The references in a text, in order."""
        return [reference_of(match) for match in REFERENCE.finditer(text) if self._is_meant(match)]

    def ids(self, value: object) -> set[int]:
        """The ids that an argument refers to, at any depth."""
        if isinstance(value, str):
            return {reference.id for reference in self.found(value)}
        if isinstance(value, Mapping):
            value = list(value.values())
        if isinstance(value, list):
            return set[int]().union(*(self.ids(item) for item in value))
        return set()

    def filled(self, text: str, replace: Callable[[Reference], str | None]) -> str:
        """A text with other texts in place of its references; one for which there is None stays."""

        def replaced(match: re.Match[str]) -> str:
            new = replace(reference_of(match)) if self._is_meant(match) else None
            return match.group() if new is None else new

        return REFERENCE.sub(replaced, text)

    def moved(self, value: Any, ids: Collection[int], by: int) -> Any:
        """An argument in which references to some ids are to those that many numbers on."""

        def there(match: re.Match[str]) -> str:
            reference = reference_of(match)
            if reference.id not in ids or not self._is_meant(match):
                return match.group()
            return f"${{{reference.id + by}{match['inside'] or match['after'] or ''}}}"

        return mapped(value, lambda text: REFERENCE.sub(there, text))

    def _is_meant(self, match: re.Match[str]) -> bool:
        if match["braced"] or match.group() == match.string.strip():
            return True
        number, before = int(match["bare"]), match.string[: match.start()].rstrip()[-1:]
        is_thousands = _THOUSANDS.match(match.string, match.end()) and before not in ("(", ",")
        return number <= self.last and number not in self.amounts and not is_thousands


def reference_of(match: re.Match[str]) -> Reference:
    """What a match of :data:`REFERENCE` refers to."""
    keys = _KEY.finditer(match["inside"] or match["after"] or "")
    path = tuple(int(key["index"]) if key["index"] else key["field"] or key["key"] or "" for key in keys)
    return Reference(int(match["braced"] or match["bare"]), path)


def amounts_in(text: str) -> frozenset[int]:
    """The whole amounts of dollars that a text speaks of."""
    return frozenset(int(amount) for amount in _MONEY.findall(text))


def mapped(value: Any, function: Callable[[str], Any]) -> Any:
    """An argument with every text in it replaced by what ``function`` makes of it."""
    if isinstance(value, str):
        return function(value)
    if isinstance(value, Mapping):
        return {key: mapped(item, function) for key, item in value.items()}
    return [mapped(item, function) for item in value] if isinstance(value, list) else value


def at(value: object, reference: Reference) -> Any:
    """What is at the path of a reference in a result; JSON in a text is read.

    Raises:
        NoFields: the result, or what is at the beginning of the path, is prose or a number.
        Unbound: it has other fields, or fewer items; says which.
    """
    for key in reference.path:
        if isinstance(value, str):
            value = _json_in(value)
        if isinstance(value, list) and isinstance(key, int):
            if key >= len(value):
                raise Unbound(f"${reference.id} has no item {key}, only {len(value)} items, from 0")
            value = value[key]
        elif isinstance(value, Mapping) and str(key) in value:
            value = value[str(key)]
        elif key in _ITSELF:
            continue
        elif isinstance(value, Mapping | list):
            fields = f"the fields {', '.join(value)}" if isinstance(value, Mapping) else "a list"
            raise Unbound(f"${reference.id} has no {key!r}; it has {fields}")
        else:
            raise NoFields(f"${reference.id} has no {key!r}; it is no JSON object")
    return value


def _json_in(text: str) -> Any:
    """The list or object that a text is; any other text as it is."""
    if text.lstrip()[:1] in ("{", "["):
        try:
            return json.loads(text)
        except (ValueError, RecursionError):
            return text
    return text

"""The address of an HTTP tool: a URL with places for arguments, which can change neither scheme nor host."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

from yarl import URL

from workers.errors import ToolError
from workers.showing import show

_PLACE = re.compile(r"\{(\w+)\}")
_UNSENDABLE = re.compile(r"[^!-~]+")
"""What may not be in a request as it is: blanks, control characters, all but ASCII."""
_SCHEMES = ("http", "https")


@dataclass(frozen=True, slots=True)
class Endpoint:
    """Where the requests of a tool go.

    Attributes:
        template: the URL, with arguments in braces in its path or query.
        in_url: the names of those arguments.
    """

    template: str
    in_url: frozenset[str]

    @classmethod
    def of(cls, template: str, arguments: Iterable[str]) -> Endpoint:
        """The endpoint of a URL with places for some of the arguments.

        Raises:
            ValueError: it is no URL of HTTP, or it has a place where none may be, or for no argument.
        """
        head, slashes, rest = template.partition("://")
        authority = re.split(r"[/?#]", rest, maxsplit=1)[0]
        # What follows, and a user, may hold keys from the environment.
        told = f"url '{head}{slashes}{authority.rpartition('@')[2]}…'"
        if not slashes or head.lower() not in _SCHEMES or not authority:
            raise ValueError(f"{told}: write http:// or https://, and a host")
        if "{" in authority or "@" in authority or "#" in rest:
            raise ValueError(
                f"{told}: arguments stand only in its path and query; a user or a fragment does not"
            )
        names = set(_PLACE.findall(rest))
        if unknown := names - set(arguments):
            raise ValueError(f"{told} has a place for {sorted(unknown)[0]!r}, which is no argument")
        if "{" in _PLACE.sub("", rest):
            raise ValueError(f"{told}: a place is the name of an argument in braces")
        try:
            base = URL(f"{head.lower()}://{authority}")
            known = f"{base.scheme}://{base.raw_authority}"
        except ValueError as error:
            raise ValueError(f"{told}: {error}") from None
        if not base.host:
            raise ValueError(f"{told} has no host")
        return cls(known + _UNSENDABLE.sub(_quoted, rest[len(authority) :]), frozenset(names))

    def url(self, values: Mapping[str, object], query: Mapping[str, object]) -> URL:
        """The URL for the values of the arguments in it, with further ones in its query.

        Raises:
            ToolError: a value cannot stand in a path, because it would change it.
        """
        path, mark, tail = self.template.partition("?")

        def part(found: re.Match[str]) -> str:
            text = _text(values[found[1]])
            whole = _PLACE.sub(lambda place: _text(values[place[1]]), _segment(path, found))
            # Many servers take an encoded slash for one, and climb.
            if text == "" or {".", ".."} & {text, *re.split(r"[/\\]", whole)}:
                raise ToolError(f"argument {found[1]!r} is {show(text)}, which cannot stand in a path")
            return quote(text, safe="")

        path = _PLACE.sub(part, path)
        tail = _PLACE.sub(lambda found: quote(_text(values[found[1]]), safe=""), tail)
        pairs = [f"{quote(name, safe='')}={quote(text, safe='')}" for name, text in _pairs(query)]
        joined = "&".join(filter(None, (tail, *pairs)))
        return URL(f"{path}?{joined}" if mark or joined else path, encoded=True)


def origin(url: URL) -> tuple[str, str | None, int | None]:
    """What two URLs have in common for which the same credentials are meant."""
    return url.scheme, url.host, url.port


def _segment(path: str, place: re.Match[str]) -> str:
    """The segment of a path in which a place is."""
    end = path.find("/", place.end())
    return path[path.rfind("/", 0, place.start()) + 1 : len(path) if end < 0 else end]


def _quoted(found: re.Match[str]) -> str:
    return quote(found[0], safe="")


def _pairs(query: Mapping[str, object]) -> Iterable[tuple[str, str]]:
    for name, value in query.items():
        for each in value if isinstance(value, list | tuple | set) else [value]:
            yield name, _text(each)


def _text(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)

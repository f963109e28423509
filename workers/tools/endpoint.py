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

_PLACE = re.compile(r"\{(\w+)\}")
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
        if not slashes or head.lower() not in _SCHEMES or not authority:
            raise ValueError(f"url {template!r}: write http:// or https://, and a host")
        if "{" in authority or "@" in authority or "#" in rest:
            raise ValueError(
                f"url {template!r}: arguments stand only in its path and query; a user or a fragment does not"
            )
        names = set(_PLACE.findall(rest))
        if unknown := names - set(arguments):
            raise ValueError(f"url {template!r} has a place for {sorted(unknown)[0]!r}, which is no argument")
        if "{" in _PLACE.sub("", rest):
            raise ValueError(f"url {template!r}: a place is the name of an argument in braces")
        try:
            host = URL(_PLACE.sub("x", template)).host
        except ValueError as error:
            raise ValueError(f"url {template!r}: {error}") from None
        if not host:
            raise ValueError(f"url {template!r} has no host")
        return cls(template, frozenset(names))

    def url(self, values: Mapping[str, object], query: Mapping[str, object]) -> URL:
        """The URL for the values of the arguments in it, with further ones in its query.

        Raises:
            ToolError: a value cannot stand in a path, because it would change it.
        """
        path, mark, tail = self.template.partition("?")

        def segment(found: re.Match[str]) -> str:
            text = _text(values[found[1]])
            if text in ("", ".", ".."):
                raise ToolError(f"argument {found[1]!r} is {text!r}, which cannot stand in a path")
            return quote(text, safe="")

        path = _PLACE.sub(segment, path)
        tail = _PLACE.sub(lambda found: quote(_text(values[found[1]]), safe=""), tail)
        pairs = [f"{quote(name, safe='')}={quote(text, safe='')}" for name, text in _pairs(query)]
        joined = "&".join(filter(None, (tail, *pairs)))
        return URL(f"{path}?{joined}" if mark or joined else path, encoded=True)


def origin(url: URL) -> tuple[str, str | None, int | None]:
    """What two URLs have in common for which the same credentials are meant."""
    return url.scheme, url.host, url.port


def _pairs(query: Mapping[str, object]) -> Iterable[tuple[str, str]]:
    for name, value in query.items():
        for each in value if isinstance(value, list | tuple | set) else [value]:
            yield name, _text(each)


def _text(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)

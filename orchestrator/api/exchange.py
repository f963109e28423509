"""Reads what a request says, and writes the response."""

from __future__ import annotations

import asyncio
import json
import math
import unicodedata
from collections import Counter
from typing import Any, Never, TypeVar

from aiohttp import web
from pydantic import BaseModel, ValidationError

from orchestrator.api.problems import RequestTimeout, TooLarge, UnsupportedMediaType
from orchestrator.api.rendering import dumped
from orchestrator.errors import InvalidRequest
from orchestrator.validation import explain

MOST_VALUES = 10_000
"""The most values in a body: a million empty lists would take a third of a second to parse."""

LONGEST_NAME = 255
"""The most characters of a tenant, an idempotency key or the id of a task."""

Model = TypeVar("Model", bound=BaseModel)


async def body_text(request: web.Request, seconds: float) -> str:
    """The body of a request with JSON; the client has some seconds to send it.

    Raises:
        UnsupportedMediaType, TooLarge, RequestTimeout, InvalidRequest: it cannot be had.
    """
    if request.content_type != "application/json":
        raise UnsupportedMediaType(
            f"the content type is {request.content_type!r}; send JSON as application/json"
        )
    try:
        async with asyncio.timeout(seconds):
            body = await request.read()
        return body.decode(json.detect_encoding(body))
    except TimeoutError:
        raise RequestTimeout(f"the body did not arrive within {seconds:g} s") from None
    except web.HTTPRequestEntityTooLarge as error:
        raise TooLarge(f"the body is too large: {error.text}") from None
    except web.RequestPayloadError:
        raise InvalidRequest("the body is cut short, or not in the encoding that its headers give") from None
    except UnicodeDecodeError as error:
        raise InvalidRequest(f"the body is not JSON: {error}") from None


def json_object(text: str) -> dict[str, Any]:
    """The JSON object that a body is.

    Raises:
        InvalidRequest: it is something else, or has too many values.
    """
    if _values(text) > MOST_VALUES:
        raise InvalidRequest(f"the body has more than {MOST_VALUES:,} values; send fewer")
    try:
        body = json.loads(text, object_pairs_hook=_members, parse_constant=_refused, parse_float=_number)
    except (ValueError, RecursionError) as error:
        raise InvalidRequest(f"the body is not JSON: {error}") from None
    if not isinstance(body, dict):
        raise InvalidRequest(f"the body is a JSON {type(body).__name__}; it must be an object")
    return body


def _values(text: str) -> int:
    """An upper bound of the number of values in JSON, without parsing it."""
    bare = text.replace("\\\\", "").replace('\\"', "")
    strings = bare.count('"') // 2
    if strings > MOST_VALUES:
        return strings
    outside = "".join(bare.split('"')[::2])
    return sum(outside.count(mark) for mark in ",[{")


def _members(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    members = dict(pairs)
    if len(members) < len(pairs):
        [(twice, _)] = Counter(name for name, _ in pairs).most_common(1)
        raise ValueError(f"{twice[:40]!r} is given twice")
    return members


def _refused(constant: str) -> Never:
    raise ValueError(f"{constant} is not a JSON number")


def _number(text: str) -> float:
    number = float(text)
    if not math.isfinite(number):
        raise ValueError(f"{text[:40]} is too large a number")
    return number


def query_of(model: type[Model], request: web.Request) -> Model:
    """The query parameters of a request.

    Raises:
        InvalidRequest: one is unknown, wrong or given twice.
    """
    given = dict(request.query)
    if len(given) < len(request.query):
        [(twice, _)] = Counter(request.query.keys()).most_common(1)
        raise InvalidRequest(f"{twice[:40]!r} is given twice in the query")
    try:
        return model.model_validate(given)
    except ValidationError as error:
        raise InvalidRequest(explain(error)) from None


def header_of(request: web.Request, header: str, *, longest: int = LONGEST_NAME) -> str | None:
    """The name that a header gives; None if the request has no such header.

    Raises:
        InvalidRequest: it is empty, given twice, or no name.
    """
    given = request.headers.getall(header, [])
    if not given:
        return None
    if len(given) > 1:
        raise InvalidRequest(f"{header} is given twice")
    name = given[0].strip()
    if not is_name(name, longest=longest):
        raise InvalidRequest(f"{header} {_NAME}")
    return name


_NAME = f"must be 1 to {LONGEST_NAME} characters of UTF-8 without control characters"


def is_name(text: str, *, longest: int = LONGEST_NAME) -> bool:
    """Whether a text can be a tenant, an idempotency key or the id of a task."""
    return 0 < len(text) <= longest and not any(unicodedata.category(c) in ("Cc", "Cs") for c in text)


def merge(body: dict[str, Any], name: str, request: web.Request, header: str) -> None:
    """Let a header set a field of the body, which is a name.

    Raises:
        InvalidRequest: the body sets it to something else, or it is no name.
    """
    given = header_of(request, header)
    if given is not None and body.setdefault(name, given) != given:
        raise InvalidRequest(f"{name} is {str(body[name])[:40]!r} in the body, but {header} says {given!r}")
    if isinstance(body.get(name), str) and not is_name(body[name].strip()):
        raise InvalidRequest(f"{name} {_NAME}")


def respond(body: BaseModel, status: int = 200, *, headers: dict[str, str] | None = None) -> web.Response:
    """A response with a model as its JSON body."""
    return web.json_response(text=dumped(body), status=status, headers=headers)

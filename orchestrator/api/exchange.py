"""Reads what a request says, and writes the response."""

from __future__ import annotations

import asyncio
import json
import re
import unicodedata
from collections import Counter
from typing import Any, TypeVar

from aiohttp import web
from pydantic import BaseModel, ValidationError

from orchestrator.api.limits import Limits, limits_of
from orchestrator.api.problems import Contradiction, RequestTimeout, TooLarge, UnsupportedMediaType
from orchestrator.api.rendering import dumped
from orchestrator.api.routes import FORMS, JSON, SAFE
from orchestrator.errors import InvalidRequest
from orchestrator.validation import explain, strict_json

LONGEST_NAME = 255
"""The most characters of a tenant, an idempotency key or the id of a task."""

Model = TypeVar("Model", bound=BaseModel)


async def json_body(request: web.Request) -> dict[str, Any]:
    """The JSON object that the body of a request is, within the limits of the settings.

    Raises:
        UnsupportedMediaType, TooLarge, RequestTimeout, InvalidRequest: it cannot be had.
    """
    return json_object(await body_text(request), limits_of(request))


async def body_text(request: web.Request, seconds: float | None = None) -> str:
    """The body of a request with JSON; the client has some seconds to send it, or those of the settings.

    Raises:
        UnsupportedMediaType, TooLarge, RequestTimeout, InvalidRequest: it cannot be had.
    """
    if request.content_type != JSON:
        raise UnsupportedMediaType(f"the content type is {request.content_type!r}; send JSON as {JSON}")
    body = await body_bytes(request, seconds)
    try:
        return body.decode(json.detect_encoding(body))
    except UnicodeDecodeError as error:
        raise InvalidRequest(f"the body is not JSON: {error}") from None


async def body_bytes(request: web.Request, seconds: float | None = None) -> bytes:
    """The whole body of a request, of any content type.

    Raises:
        TooLarge, RequestTimeout, InvalidRequest: it cannot be had.
    """
    seconds = limits_of(request).patience if seconds is None else seconds
    try:
        async with asyncio.timeout(seconds):
            return await request.read()
    except TimeoutError:
        raise RequestTimeout(f"the body did not arrive within {seconds:g} s") from None
    except web.HTTPRequestEntityTooLarge as error:
        raise TooLarge(f"the body is too large: {error.text}") from None
    except web.RequestPayloadError:
        raise InvalidRequest("the body is cut short, or not in the encoding that its headers give") from None


async def no_body(request: web.Request) -> None:
    """Let nothing be lost that somebody sends to a route which takes no body; an empty object is nothing.

    Raises:
        UnsupportedMediaType: it is of a content type that a form could have sent.
        InvalidRequest, RequestTimeout: there is something in it.
    """
    refusal = InvalidRequest(f"{request.method} {request.path} takes no body")
    if request.method in SAFE:
        if request.body_exists:
            raise refusal
        return
    if request.content_type in FORMS:
        raise UnsupportedMediaType(f"the content type is {request.content_type!r}, and this is not for forms")
    if request.body_exists:
        try:
            body = await body_bytes(request.clone(client_max_size=_NOTHING))
        except TooLarge:
            raise refusal from None
        if body.strip() not in (b"", b"{}"):
            raise refusal


_NOTHING = 64
"""So many bytes may say nothing, as an empty object with spaces does."""


def json_object(text: str, limits: Limits = Limits()) -> dict[str, Any]:  # noqa: B008 - it is frozen
    """The JSON object that a body is.

    Raises:
        InvalidRequest: it is something else, has too many values, or is nested too deeply.
    """
    bare = text.replace("\\\\", "").replace('\\"', "")  # without what looks like the end of a string
    outside = "" if bare.count('"') > 2 * limits.max_values else "".join(bare.split('"')[::2])
    if max(bare.count('"') // 2, sum(map(outside.count, ",[{"))) > limits.max_values:
        raise InvalidRequest(f"the body has more than {limits.max_values:,} values; send fewer")
    if _depth(outside) > limits.max_depth:
        raise InvalidRequest(f"the body is nested more than {limits.max_depth} deep")
    try:
        body = strict_json(text)
    except ValueError as error:
        raise InvalidRequest(f"the body is not JSON: {error}") from None
    if not isinstance(body, dict):
        raise InvalidRequest(f"the body is a JSON {type(body).__name__}; it must be an object")
    return body


def _depth(outside: str) -> int:
    """How deep values are nested; of what is no JSON anyway, no more than it takes to see that."""
    depth = deepest = 0
    for found in _BRACKET.finditer(outside):
        depth += 1 if found.group() in "[{" else -1
        deepest = max(deepest, depth)
        if depth < 0:
            break
    return deepest


_BRACKET = re.compile(r"[\[\]{}]")


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
        Contradiction: the body sets it to something else.
        InvalidRequest: it is no name.
    """
    given = header_of(request, header)
    if given is not None and body.setdefault(name, given) != given:
        raise Contradiction(f"{name} is {str(body[name])[:40]!r} in the body, but {header} says {given!r}")
    if isinstance(body.get(name), str) and not is_name(body[name].strip()):
        raise InvalidRequest(f"{name} {_NAME}")


def respond(body: BaseModel, status: int = 200, *, headers: dict[str, str] | None = None) -> web.Response:
    """A response with a model as its JSON body."""
    return web.json_response(text=dumped(body), status=status, headers=headers)

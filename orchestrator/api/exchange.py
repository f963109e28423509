"""Reads what a request says, and writes the response."""

from __future__ import annotations

import json
from typing import Any

from aiohttp import web
from pydantic import BaseModel

from orchestrator.api.problems import TooLarge, UnsupportedMediaType
from orchestrator.errors import InvalidRequest


async def json_object(request: web.Request) -> dict[str, Any]:
    """The body, which must be a JSON object.

    Raises:
        UnsupportedMediaType, TooLarge, InvalidRequest: it is not.
    """
    if request.content_type != "application/json":
        raise UnsupportedMediaType(
            f"the content type is {request.content_type!r}; send JSON as application/json"
        )
    try:
        body = json.loads(await request.read())
    except web.HTTPRequestEntityTooLarge as error:
        raise TooLarge(f"the body is too large: {error.text}") from None
    except web.RequestPayloadError:
        raise InvalidRequest("the body is cut short, or not in the encoding that its headers give") from None
    except (ValueError, RecursionError) as error:
        raise InvalidRequest(f"the body is not JSON: {error}") from None
    if not isinstance(body, dict):
        raise InvalidRequest(f"the body is a JSON {type(body).__name__}; it must be an object")
    return body


def merge(body: dict[str, Any], name: str, request: web.Request, header: str) -> None:
    """Let a header set a field of the body.

    Raises:
        InvalidRequest: the body sets it to something else.
    """
    given = request.headers.get(header)
    if given is None:
        return
    if body.setdefault(name, given) != given:
        raise InvalidRequest(f"{name} is {body[name]!r} in the body, but {header} says {given!r}")


def respond(body: BaseModel, status: int = 200, *, headers: dict[str, str] | None = None) -> web.Response:
    """A response with a model as its JSON body."""
    return web.json_response(text=body.model_dump_json(), status=status, headers=headers)

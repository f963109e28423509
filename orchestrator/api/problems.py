"""Errors over HTTP: one shape for all of them, and no internals for unexpected ones."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Iterator
from contextlib import contextmanager

import structlog
from aiohttp import web
from aiohttp.typedefs import Handler
from pydantic import BaseModel

from orchestrator.api.dialects import Dialect
from orchestrator.api.rendering import dumped
from orchestrator.api.routes import route_of
from orchestrator.bodies import ErrorBody, Problem
from orchestrator.errors import AnabranchError, InvalidRequest, translated
from storage.errors import StorageError
from workers.errors import WorkerError

log = structlog.get_logger()

SAFE_HEADERS = {
    "Cache-Control": "no-store",
    "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Server": "anabranch",
    "X-Content-Type-Options": "nosniff",
}
"""What every response has that does not say otherwise: nobody keeps it, guesses its type or frames it."""

REFUSAL = web.ResponseKey("refusal", str)
"""The code of the error that a response tells."""

LONGEST_MESSAGE = 4_000
"""The most characters of a message; a body with a thousand mistakes is not told all of them."""


class TooLarge(InvalidRequest):
    """The body is larger than the server takes."""

    code = "too_large"
    http_status = 413


class UnsupportedMediaType(InvalidRequest):
    """The content type of the body is not JSON."""

    code = "unsupported_media_type"
    http_status = 415


class Contradiction(AnabranchError):
    """Two parts of the request say different things about the same."""

    code = "contradiction"
    http_status = 409


class RequestTimeout(AnabranchError):
    """The client took too long to send the request."""

    code = "request_timeout"
    http_status = 408
    retryable = True


class Draining(AnabranchError):
    """The process is about to end and takes no more tasks; another one will."""

    code = "draining"
    http_status = 503
    retryable = True


class Overloaded(AnabranchError):
    """The process has no room for the request now."""

    code = "overloaded"
    http_status = 503
    retryable = True


class Unexpected(AnabranchError):
    """A bug, or something that a planner did; strangers learn no more about it."""

    def __init__(self) -> None:
        super().__init__("the server hit an unexpected error; its log has the details")


_CODES = {404: "not_found", 405: "method_not_allowed", 417: "expectation_failed"}
_ANY_OTHER = "http_error"

_OF_CLIENTS = ("/chat/completions", "/completions", "/responses", "/models", "/files", "/batches")
"""Where clients of OpenAI's protocol ask whose base URL lacks the version."""


def codes() -> frozenset[str]:
    """The codes of all errors that are known by now, which are few whatever clients send."""
    found = {*_CODES.values(), _ANY_OTHER}
    waiting: list[type[AnabranchError | StorageError | WorkerError]] = []
    waiting += (AnabranchError, StorageError, WorkerError)
    while waiting:
        error = waiting.pop()
        found.add(error.code)
        waiting += error.__subclasses__()
    return frozenset(found)


@web.middleware
async def problems(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Report every error as an :class:`ErrorBody`, or in the shape of the route's own protocol.

    Whatever is raised ends this request alone.
    """
    route = route_of(request)
    dialect = None if route is None else route.errors_as
    try:
        with translated():
            return await handler(request)
    except AnabranchError as error:
        return refusal(error, dialect)
    except web.HTTPException as error:
        if error.status < 400:
            raise
        return http_problem(request, error)
    except BaseException as error:
        gone = isinstance(error, ConnectionError | asyncio.CancelledError) and _left(request)
        if gone:
            raise
        log.exception("request failed", method=request.method, path=request.path)
        return refusal(Unexpected(), dialect)


def _left(request: web.Request) -> bool:
    """Whether nobody waits for the response any more: the client has gone, or the server ends."""
    task = asyncio.current_task()
    return request.transport is None or request.transport.is_closing() or bool(task and task.cancelling())


@contextmanager
def contained(what: str) -> Iterator[None]:
    """Let nothing but our own errors, and those of a connection, out of a task of the event loop.

    An error like ``SystemExit`` would end the process.

    Raises:
        Unexpected: something else was raised, and was logged.
    """
    try:
        with translated():
            yield
    except (AnabranchError, ConnectionError, asyncio.CancelledError):
        raise
    except BaseException as error:
        log.exception(what)
        raise Unexpected from error


def refusal(error: AnabranchError, dialect: Dialect | None = None) -> web.Response:
    """The response to a request that met one of our own errors, in our own shape or that of a protocol."""
    body = problem_of(error) if dialect is None else dialect.body(error)
    response = _response(
        body, error.http_status, error.code, retryable=error.retryable, retry_after=error.retry_after
    )
    if dialect is not None:
        response.headers.update(dialect.headers(error))
    if error.http_status == 401:
        response.headers["WWW-Authenticate"] = 'Bearer realm="anabranch"'
    return response


def problem_of(error: AnabranchError) -> ErrorBody:
    """The error as the API shows it."""
    message = str(error)[:LONGEST_MESSAGE]
    return ErrorBody(error=Problem(code=error.code, message=message, retryable=error.retryable))


def http_problem(request: web.BaseRequest, error: web.HTTPException) -> web.Response:
    """The response to what the HTTP server itself refuses."""
    message = f"{request.method} {request.path}: {error.reason}"
    if isinstance(error, web.HTTPNotFound) and request.path.startswith(_OF_CLIENTS):
        message += "; the base URL of a client of OpenAI's ends with /v1 here"
    if isinstance(error, web.HTTPMethodNotAllowed):
        message += f"; allowed: {', '.join(sorted(error.allowed_methods))}"
    response = problem(error.status, _CODES.get(error.status, _ANY_OTHER), message)
    if "Allow" in error.headers:
        response.headers["Allow"] = error.headers["Allow"]
    return response


def problem(status: int, code: str, message: str) -> web.Response:
    """A response for what is not one of our own errors: malformed requests, unknown paths, bugs."""
    body = ErrorBody(error=Problem(code=code, message=message, retryable=False))
    return _response(body, status, code, retryable=False)


def _response(
    body: BaseModel, status: int, code: str, *, retryable: bool, retry_after: float | None = None
) -> web.Response:
    headers = {"Retry-After": str(math.ceil(retry_after or 1.0))} if retryable else None
    response = web.json_response(text=dumped(body), status=status, headers=headers)
    response[REFUSAL] = code
    return response

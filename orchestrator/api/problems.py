"""Errors over HTTP: one shape for all of them, and no internals for unexpected ones."""

from __future__ import annotations

import math

import structlog
from aiohttp import web
from aiohttp.typedefs import Handler
from pydantic import ValidationError

from orchestrator.api.schemas import ErrorBody, Problem
from orchestrator.errors import AnabranchError, InvalidRequest, translated
from orchestrator.validation import explain

log = structlog.get_logger()


class TooLarge(InvalidRequest):
    """The body is larger than the server takes."""

    code = "too_large"
    http_status = 413


class UnsupportedMediaType(InvalidRequest):
    """The content type of the body is not JSON."""

    code = "unsupported_media_type"
    http_status = 415


class Draining(AnabranchError):
    """The process is about to end and takes no more tasks; another one will."""

    code = "draining"
    http_status = 503
    retryable = True


_CODES = {404: "not_found", 405: "method_not_allowed"}


@web.middleware
async def problems(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Report every error as an :class:`ErrorBody`."""
    try:
        with translated():
            return await handler(request)
    except AnabranchError as error:
        return _response(problem_of(error), error.http_status, error.retry_after)
    except ValidationError as error:
        return problem(400, InvalidRequest.code, explain(error))
    except web.HTTPException as error:
        if error.status < 400:
            raise
        message = f"{request.method} {request.path}: {error.reason}"
        if isinstance(error, web.HTTPMethodNotAllowed):
            message += f"; allowed: {', '.join(sorted(error.allowed_methods))}"
        response = problem(error.status, _CODES.get(error.status, "http_error"), message)
        if "Allow" in error.headers:
            response.headers["Allow"] = error.headers["Allow"]
        return response
    except ConnectionError:  # the client has gone, and nobody is left to tell
        raise
    except Exception:
        log.exception("request failed", method=request.method, path=request.path)
        return problem(500, "internal", "the server hit an unexpected error; its log has the details")


def problem_of(error: AnabranchError) -> ErrorBody:
    """The error as the API shows it."""
    return ErrorBody(error=Problem(code=error.code, message=str(error), retryable=error.retryable))


def problem(status: int, code: str, message: str) -> web.Response:
    """A response for what is not one of our own errors: bad parameters, unknown paths, bugs."""
    return _response(ErrorBody(error=Problem(code=code, message=message, retryable=False)), status)


def _response(body: ErrorBody, status: int, retry_after: float | None = None) -> web.Response:
    headers = {"Retry-After": str(math.ceil(retry_after or 1.0))} if body.error.retryable else None
    return web.json_response(text=body.model_dump_json(), status=status, headers=headers)

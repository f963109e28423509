"""What a service refuses with, as the errors that the same request would have met in this process."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from types import ModuleType

from pydantic import ValidationError

from orchestrator import errors
from orchestrator.access import caller, refusals
from orchestrator.access.refusals import RateLimited
from orchestrator.bodies import ErrorBody, Problem
from orchestrator.errors import AnabranchError, Divergence, InvalidRequest, ServiceError, Unavailable
from storage import errors as storage
from storage.accounts import Rate
from workers import errors as workers
from workers.engines.openai.waits import read_wait

REFUSED_AS_GIVEN = frozenset({400, 413, 414, 415, 417, 431})
"""With these, a service says that it cannot take a request as it is."""

UNAVAILABLE = 503

_DIVERGES = re.compile(r"node (\S+) diverges from the record: (.*)", re.DOTALL)


def _errors_of(module: ModuleType) -> Iterator[type[Exception]]:
    """The classes of errors that a module defines."""
    for each in vars(module).values():
        if isinstance(each, type) and issubclass(each, Exception) and each.__module__ == module.__name__:
            yield each


def _table() -> Mapping[tuple[str, int], type[AnabranchError]]:
    """Our classes by code and status; those whose code says nothing more than their class are left out."""
    general = (AnabranchError, Unavailable, ServiceError)
    return {
        (each.code, each.http_status): each
        for module in (errors, caller, refusals)
        for each in _errors_of(module)
        if issubclass(each, AnabranchError) and each not in general
    }


_CLASSES = _table()

_CAUSES = frozenset(
    str(vars(each)["code"])
    for module in (storage, workers)
    for each in _errors_of(module)
    if "code" in vars(each)
)
"""The codes of what engines and databases fail with, which callers get as :class:`Unavailable`."""


def problem_in(body: bytes) -> Problem | None:
    """The problem that the body of a response tells of; None if no service like ours wrote it."""
    try:
        return ErrorBody.model_validate_json(body).error
    except ValidationError:
        return None


def error_of(problem: Problem, status: int, headers: Mapping[str, str]) -> AnabranchError:
    """The error that a response with a problem stands for, of the class that it has in this process.

    One whose code this version does not know is a :class:`ServiceError`.
    """
    code, message = problem.code, problem.message
    after = read_wait(headers.get("Retry-After"))
    request_id = headers.get("X-Request-Id")
    if (kind := _CLASSES.get((code, status))) is not None:
        error = _made(kind, message, headers, after)
    elif code in _CAUSES or status == UNAVAILABLE:
        error = Unavailable(message, code=code, http_status=status, retryable=problem.retryable)
    elif status in REFUSED_AS_GIVEN:
        error = InvalidRequest(message)
    else:
        error = ServiceError(f"{message} (code {code}, request {request_id or 'without an id'})")
    error.code, error.http_status, error.request_id = code, status, request_id
    error.retryable, error.retry_after = problem.retryable, after
    return error


def _made(
    kind: type[AnabranchError], message: str, headers: Mapping[str, str], after: float | None
) -> AnabranchError:
    """An error with this message, whatever its class makes messages of."""
    if kind is Divergence and (found := _DIVERGES.fullmatch(message)) is not None:
        return Divergence("" if found[1] == "root" else found[1], found[2])
    if issubclass(kind, RateLimited):
        limit, left = (_count(headers.get(f"X-RateLimit-{name}-Requests")) for name in ("Limit", "Remaining"))
        return kind(message, retry_after=after or 0.0, rate=Rate(limit, left, after or 0.0))
    error = kind.__new__(kind, message)
    Exception.__init__(error, message)
    return error


def _count(text: str | None) -> int:
    return int(text) if text is not None and text.isascii() and text.isdigit() else 0

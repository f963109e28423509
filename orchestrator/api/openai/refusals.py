"""Errors as OpenAI's clients read them, and what they need in order to try again when that helps."""

from __future__ import annotations

import math
import re

from pydantic import BaseModel, Field

from orchestrator.api.dialects import Dialect
from orchestrator.api.problems import LONGEST_MESSAGE
from orchestrator.bodies import Told
from orchestrator.errors import AnabranchError, InvalidRequest


class UnsupportedParameter(InvalidRequest):
    """A parameter of the protocol asks for what this service, or the model that was named, does not do.

    ``param`` names it, as in ``messages[2].content[0]``.
    """

    code = "unsupported_parameter"

    def __init__(self, message: str, param: str) -> None:
        super().__init__(f"{param}: {message}")
        self.param = param


class InvalidParameter(UnsupportedParameter):
    """A parameter of the protocol has a value that it cannot have."""

    code = "invalid_request"


class ModelNotFound(AnabranchError):
    """There is no model of that name here."""

    code = "model_not_found"
    http_status = 404
    param = "model"


class OpenAIProblem(BaseModel):
    """What went wrong, in OpenAI's words."""

    message: Told = Field(description="For people: what was wrong and, where it helps, what would be right.")
    type: str = Field(description="The kind of error, as OpenAI's clients name it.")
    param: str | None = Field(description="The parameter that is wrong, where it is one.")
    code: str | None = Field(description="Stable, for programs.")


class OpenAIErrorBody(BaseModel):
    """The body of a response that reports an error to a client of OpenAI's protocol."""

    error: OpenAIProblem


TYPES = {
    401: "authentication_error",
    403: "permission_error",
    404: "not_found_error",
    429: "rate_limit_error",
}
"""What OpenAI's clients call the errors of a status; others are mistakes of the client, or of the server."""

_NAMED = re.compile(r"[a-z_]+(?:[.\[][\w.\[\]]*)?(?=: )")


def openai_problem(error: AnabranchError) -> OpenAIErrorBody:
    """An error in the shape that OpenAI's clients read."""
    message = str(error)[:LONGEST_MESSAGE]
    return OpenAIErrorBody(
        error=OpenAIProblem(
            message=message, type=type_of(error), param=_param_of(error, message), code=error.code
        )
    )


def type_of(error: AnabranchError) -> str:
    """The kind of an error, in OpenAI's words."""
    if error.code == "quota_exhausted":
        return "insufficient_quota"
    usual = "server_error" if error.http_status >= 500 else "invalid_request_error"
    return TYPES.get(error.http_status, usual)


def _param_of(error: AnabranchError, message: str) -> str | None:
    """The parameter that an error is about: what it says itself, or what its message begins with."""
    if isinstance(param := getattr(error, "param", None), str):
        return param
    named = _NAMED.match(message) if isinstance(error, InvalidRequest) else None
    return None if named is None else named.group()


LONGEST_PAUSE = 60.0
"""Seconds that a client may sleep before it tries again: some sleep as long as they are told, be it a day."""


def retry_headers(error: AnabranchError) -> dict[str, str]:
    """What the clients need that try again by themselves: whether to, and exactly when."""
    if not error.retryable:
        return {"X-Should-Retry": "false"}
    pause = 1.0 if error.retry_after is None else error.retry_after
    return {
        "X-Should-Retry": "true" if pause <= LONGEST_PAUSE else "false",
        "Retry-After-Ms": str(math.ceil(1000 * pause)),
    }


OPENAI = Dialect(
    model=OpenAIErrorBody,
    body=openai_problem,
    headers=retry_headers,
    told={
        "Retry-After-Ms": "Milliseconds until the same request may succeed; missing where that is of no use.",
        "X-Should-Retry": "Whether the same request may succeed within a minute.",
    },
)
"""The dialect of the routes of OpenAI's protocol."""

"""The errors that only the Responses API has."""

from __future__ import annotations

from orchestrator.api.openai.refusals import InvalidParameter
from orchestrator.errors import AnabranchError


class ResponseNotFound(AnabranchError):
    """There is no response with that id, or it was not to be stored."""

    code = "response_not_found"
    http_status = 404


class PreviousResponseNotFound(AnabranchError):
    """There is no response with the id that the request is to follow."""

    code = "previous_response_not_found"
    http_status = 404
    param = "previous_response_id"

    def __init__(self, response: str) -> None:
        super().__init__(f"{self.param}: there is no response {response[:80]!r}")


class PreviousResponseUnanswered(InvalidParameter):
    """The response that the request is to follow has no answer: it goes on, or ended without one."""

    code = "previous_response_unanswered"

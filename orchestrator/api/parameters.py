"""The parameters that several routes share, as OpenAPI describes them."""

from __future__ import annotations

from orchestrator.api.exchange import LONGEST_NAME
from orchestrator.api.routes import Parameter, header

NAME: Parameter = {
    "type": "string",
    "minLength": 1,
    "maxLength": LONGEST_NAME,
    "pattern": r"^[!-~]([ -~]*[!-~])?$",
}
"""A name in ASCII. Others are taken too, in UTF-8, but not every client can send them in a header."""

TENANT = header(
    "X-Tenant",
    "The tenant that the request is about. Only a key that may name tenants can name another than its own. "
    "If it is given, tasks of other tenants are not found.",
    schema=NAME,
    example="default",
)

IDEMPOTENCY_KEY = header(
    "Idempotency-Key",
    "A second request with the same key returns the task of the first.",
    schema=NAME,
    example="order-17",
)

LAST_EVENT_ID = header(
    "Last-Event-ID",
    "Skips this event and those before it.",
    schema={"type": "string", "pattern": "^[0-9]{0,9}$"},
    example="3",
)


def one(what: str) -> tuple[Parameter, ...]:
    """The parameters of a route that is about one thing, by its id."""
    return (
        {
            "name": "id",
            "in": "path",
            "required": True,
            "schema": {"type": "string", "minLength": 1},
            "description": f"The id of the {what}.",
        },
        TENANT,
    )


ONE = one("task")
"""The parameters of a route that is about one task."""

"""The OpenAPI document, made from the table of routes."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Mapping
from typing import Any

from pydantic import BaseModel
from pydantic.json_schema import JsonSchemaMode, models_json_schema

from orchestrator.access.caller import Scope
from orchestrator.access.form import PATTERN
from orchestrator.api.dialects import Dialect
from orchestrator.api.examples import EXAMPLES
from orchestrator.api.refusals import RETRIED, refusals_of
from orchestrator.api.routes import EVENTS, JSON, Content, Route
from orchestrator.bodies import VERSION, ErrorBody, Problem
from orchestrator.errors import Unavailable

SECURITY = {
    "bearer": {
        "type": "http",
        "scheme": "bearer",
        "bearerFormat": PATTERN,
        "description": "A key that `anabranch keys create` has shown. A service that has no keys yet serves "
        "its own machine alone, and needs none.",
    },
    "key": {
        "type": "apiKey",
        "in": "header",
        "name": "X-API-Key",
        "description": "The same key, for clients that have another use for `Authorization`.",
    },
}

HEADERS: Mapping[str, Mapping[str, Any]] = {
    "Retry-After": {
        "description": "Seconds until the same request may succeed; missing where waiting is of no use.",
        "schema": {"type": "string", "pattern": "^[0-9]+$"},
    },
    "WWW-Authenticate": {
        "description": "How to authenticate.",
        "schema": {"type": "string"},
    },
    "X-RateLimit-Limit-Requests": {
        "description": "Requests that may come at once, by the limit with least left; missing without.",
        "schema": {"type": "string", "pattern": "^[0-9]+$"},
    },
    "X-RateLimit-Remaining-Requests": {
        "description": "How many of them are left.",
        "schema": {"type": "string", "pattern": "^[0-9]+$"},
    },
    "X-RateLimit-Reset-Requests": {
        "description": "When all of them are there again.",
        "schema": {"type": "string", "pattern": "^[0-9]+s$"},
    },
}

LIMITED = tuple(name for name in HEADERS if name.startswith("X-RateLimit-"))


class Shared:
    """Responses that several routes have, each described once."""

    def __init__(self) -> None:
        self.responses: dict[str, Any] = {}

    def refer(self, status: int, response: dict[str, Any]) -> dict[str, str]:
        """A reference to the response."""
        for number in itertools.count(1):
            name = f"Refused{status}" if number == 1 else f"Refused{status}_{number}"
            if self.responses.setdefault(name, response) == response:
                break
        return {"$ref": f"#/components/responses/{name}"}


def document(routes: Iterable[Route]) -> dict[str, Any]:
    """These routes as an OpenAPI 3.1 document."""
    table, shared = tuple(routes), Shared()
    paths: dict[str, dict[str, Any]] = {}
    for route in table:
        paths.setdefault(route.path, {})[route.method.lower()] = _operation(route, shared)
    taken = [route.takes for route in table if isinstance(route.takes, type)]
    sent: list[type[BaseModel]] = [ErrorBody, *(model for route in table for model in route.models())]
    models: list[tuple[type[BaseModel], JsonSchemaMode]] = [
        (model, "validation") for model in dict.fromkeys(taken)
    ]
    models += [(model, "serialization") for model in dict.fromkeys(sent)]
    _, schemas = models_json_schema(models, ref_template="#/components/schemas/{model}")
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Anabranch",
            "version": VERSION,
            "summary": "Parallel LLM reasoning that stops when its branches agree.",
            "license": {"name": "Apache License 2.0", "identifier": "Apache-2.0"},
        },
        "servers": [{"url": "/"}],
        "paths": paths,
        "components": {
            "schemas": schemas["$defs"],
            "responses": shared.responses,
            "securitySchemes": SECURITY,
            "headers": {name: dict(each) for name, each in HEADERS.items()},
        },
    }


def reference(model: type[BaseModel]) -> dict[str, str]:
    """A model of the document, by its name there."""
    return {"$ref": f"#/components/schemas/{model.__name__}"}


def event_stream(*models: type[BaseModel], ids: str = "^[0-9]+$") -> dict[str, Any]:
    """The content of a response that is a stream of server-sent events, the data of each one of the models.

    ``ids`` is the pattern of their ids.

    OpenAPI 3.1 has no word for a stream, so the schema is that of one event, as its readers take it.
    """
    return {
        EVENTS: {
            "schema": {
                "type": "object",
                "description": "One server-sent event.",
                "properties": {
                    "id": {
                        "type": "string",
                        "pattern": ids,
                        "description": "What to send as `Last-Event-ID` to go on from here; missing where a "
                        "stream cannot be resumed from.",
                    },
                    "event": {"type": "string", "description": "The type of the event."},
                    "data": {
                        "type": "string",
                        "contentMediaType": JSON,
                        "contentSchema": {"anyOf": [reference(model) for model in models]},
                    },
                },
                "required": ["event", "data"],
            }
        }
    }


def _operation(route: Route, shared: Shared) -> dict[str, Any]:
    operation: dict[str, Any] = {
        "operationId": route.name,
        "summary": route.summary,
        "parameters": list(route.parameters),
        "responses": _responses(route, shared),
        "security": _security(route.scope),
    }
    if route.scope is not None:
        operation["x-scope"] = route.scope.value
    if route.media:
        operation["requestBody"] = {"required": route.needs_body, "content": _taken(route)}
    return operation


def _security(scope: Scope | None) -> list[dict[str, list[str]]]:
    """How a route is authorised; one for everybody may be asked with a key, and then tells more."""
    if scope is None:
        return [{}, {"bearer": []}, {"key": []}]
    return [{"bearer": [scope.value]}, {"key": [scope.value]}]


def _taken(route: Route) -> dict[str, Any]:
    assert route.takes is not None
    described = _content(route.takes)
    one = next(iter(described.values()))
    content = {media: dict(described.get(media, one)) for media in route.media}
    if route.example is not None:
        content[route.media[0]]["example"] = dict(route.example)
    return content


def _responses(route: Route, shared: Shared) -> dict[str, Any]:
    """The answers of a route and its refusals; where both have a status, either body may come."""
    limited = {} if route.scope is None else _headers(*LIMITED)
    responses: dict[str, Any] = {}
    for status, text, body in route.answers:
        responses[str(status)] = {"description": text, "headers": limited, "content": _content(body)}
    for status, codes in refusals_of(route).items():
        content = _refusal(status, codes, route.errors_as)
        if (answer := responses.get(str(status))) is not None:
            own = answer["content"][JSON]
            own["schema"] = {"anyOf": [own["schema"], content["schema"]]}
            continue
        headers = {**limited, **(_headers("Retry-After") if status in RETRIED else {})}
        if route.errors_as is not None:
            headers |= _described(route.errors_as)
        if status == 401:
            headers |= _headers("WWW-Authenticate")
        meanings = "\n".join(f"- `{code}`: {meaning}" for code, meaning in codes.items())
        described = {"description": meanings, "headers": headers, "content": {JSON: content}}
        responses[str(status)] = shared.refer(status, described)
    return dict(sorted(responses.items()))


def _refusal(status: int, codes: Mapping[str, str], dialect: Dialect | None) -> dict[str, Any]:
    """The body of a refusal. What engines and databases fail with is not listed to the end."""
    code: dict[str, Any] = {"enum": list(codes)} if status < 500 else {"type": "string"}
    first, meaning = next(iter(codes.items()))
    example = _example(status, first, meaning, dialect)
    model = ErrorBody if dialect is None else dialect.model
    return {
        "schema": {
            "allOf": [
                reference(model),
                {"properties": {"error": {"properties": {"code": code}}}},
            ]
        },
        "example": example.model_dump(),
    }


def _example(status: int, code: str, meaning: str, dialect: Dialect | None) -> BaseModel:
    retryable = status in RETRIED
    if dialect is None:
        return ErrorBody(error=Problem(code=code, message=meaning, retryable=retryable))
    return dialect.body(Unavailable(meaning, code=code, http_status=status, retryable=retryable))


def _described(dialect: Dialect) -> dict[str, Any]:
    """The headers of the refusals of a protocol."""
    return {name: {"description": text, "schema": {"type": "string"}} for name, text in dialect.told.items()}


def _headers(*names: str) -> dict[str, Any]:
    return {name: {"$ref": f"#/components/headers/{name}"} for name in names}


def _content(body: Content) -> dict[str, Any]:
    if not isinstance(body, type):
        return {media: dict(content) for media, content in body.items()}
    content: dict[str, Any] = {"schema": reference(body)}
    if (example := EXAMPLES.get(body)) is not None:
        content["example"] = dict(example)
    return {JSON: content}

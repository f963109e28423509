"""The OpenAPI document, made from the table of routes."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from pydantic import BaseModel
from pydantic.json_schema import JsonSchemaMode, models_json_schema

from orchestrator.api.routes import Content, Route
from orchestrator.api.schemas import VERSION, ErrorBody


def document(routes: Iterable[Route]) -> dict[str, Any]:
    """These routes as an OpenAPI 3.1 document."""
    table = tuple(routes)
    paths: dict[str, dict[str, Any]] = {}
    for route in table:
        paths.setdefault(route.path, {})[route.method.lower()] = _operation(route)
    taken = [route.takes for route in table if isinstance(route.takes, type)]
    sent: list[type[BaseModel]] = [ErrorBody, *(model for route in table for model in route.models())]
    models: list[tuple[type[BaseModel], JsonSchemaMode]] = [(model, "validation") for model in taken]
    models += [(model, "serialization") for model in dict.fromkeys(sent)]
    _, schemas = models_json_schema(models, ref_template="#/components/schemas/{model}")
    return {
        "openapi": "3.1.0",
        "info": {"title": "Anabranch", "version": VERSION, "license": {"name": "Apache-2.0"}},
        "paths": paths,
        "components": {"schemas": schemas["$defs"]},
    }


def reference(model: type[BaseModel]) -> dict[str, str]:
    """A model of the document, by its name there."""
    return {"$ref": f"#/components/schemas/{model.__name__}"}


def _operation(route: Route) -> dict[str, Any]:
    operation: dict[str, Any] = {
        "operationId": route.name,
        "summary": route.summary,
        "parameters": list(route.parameters),
        "responses": {
            **{
                str(status): {"description": text, "content": _content(body)}
                for status, text, body in route.answers
            },
            "default": {"description": "What went wrong.", "content": _content(ErrorBody)},
        },
    }
    if route.takes is not None:
        operation["requestBody"] = {"required": True, "content": _content(route.takes)}
    return operation


def _content(body: Content) -> dict[str, Any]:
    if isinstance(body, type):
        return {"application/json": {"schema": reference(body)}}
    return dict(body)

"""The OpenAPI document, made of the models that the API takes and sends."""

from __future__ import annotations

from functools import cache
from typing import Any

from pydantic import BaseModel
from pydantic.json_schema import models_json_schema

from orchestrator.api.schemas import (
    VERSION,
    ErrorBody,
    EventBody,
    HealthBody,
    ListQuery,
    ReplayBody,
    SubmitQuery,
    TaskBody,
    TaskPage,
    WorkersBody,
)
from orchestrator.tasks.requests import TaskRequest

_ID = {"name": "id", "in": "path", "required": True, "schema": {"type": "string"}}


def _header(name: str, description: str) -> dict[str, Any]:
    return {"name": name, "in": "header", "schema": {"type": "string"}, "description": description}


_TENANT = _header("X-Tenant", "Whose task it is. With it, the tasks of other tenants are not found.")


def _queries(model: type[BaseModel]) -> list[dict[str, Any]]:
    schema = model.model_json_schema(ref_template="#/components/schemas/{model}")
    return [
        {"name": name, "in": "query", "schema": parameter} for name, parameter in schema["properties"].items()
    ]


def _content(model: type[BaseModel]) -> dict[str, Any]:
    return {"application/json": {"schema": {"$ref": f"#/components/schemas/{model.__name__}"}}}


def _operation(
    name: str,
    summary: str,
    *answers: tuple[int, str, dict[str, Any]],
    parameters: list[dict[str, Any]] | None = None,
    takes: type[BaseModel] | None = None,
) -> dict[str, Any]:
    operation: dict[str, Any] = {
        "operationId": name,
        "summary": summary,
        "parameters": parameters or [],
        "responses": {
            **{str(status): {"description": text, "content": body} for status, text, body in answers},
            "default": {"description": "What went wrong.", "content": _content(ErrorBody)},
        },
    }
    if takes is not None:
        operation["requestBody"] = {"required": True, "content": _content(takes)}
    return operation


def _paths() -> dict[str, Any]:
    task, one = _content(TaskBody), [_ID, _TENANT]
    stream = {"text/event-stream": {"schema": {"$ref": f"#/components/schemas/{EventBody.__name__}"}}}
    anything = {"application/json": {"schema": {"type": "object"}}}
    key = _header("Idempotency-Key", "A second request with the same key returns the first one's task.")
    resume = _header("Last-Event-ID", "Leaves out this event and those before it.")
    return {
        "/v1/tasks": {
            "post": _operation(
                "submit",
                "Submit a question.",
                (202, "Accepted; it is stored and will run.", task),
                (200, "It has ended already, or within the time that was waited.", task),
                parameters=[key, _TENANT, *_queries(SubmitQuery)],
                takes=TaskRequest,
            ),
            "get": _operation(
                "list",
                "List tasks from the newest on.",
                (200, "A page of tasks.", _content(TaskPage)),
                parameters=[_TENANT, *_queries(ListQuery)],
            ),
        },
        "/v1/tasks/{id}": {"get": _operation("get", "Get a task.", (200, "The task.", task), parameters=one)},
        "/v1/tasks/{id}/cancel": {
            "post": _operation(
                "cancel",
                "Stop a task; one that has ended stays as it is.",
                (200, "The task.", task),
                parameters=one,
            )
        },
        "/v1/tasks/{id}/requeue": {
            "post": _operation(
                "requeue",
                "Put a dead task back into the queue; it goes on where its journal ends.",
                (200, "The task.", task),
                parameters=one,
            )
        },
        "/v1/tasks/{id}/events": {
            "get": _operation(
                "events",
                "Follow a task: its journal as server-sent events, then `task_ended`.",
                (200, "Events as they happen, until the task ends.", stream),
                parameters=[*one, resume],
            )
        },
        "/v1/tasks/{id}/trace": {
            "get": _operation(
                "trace", "Get the steps of a task as a tree.", (200, "The trace.", anything), parameters=one
            )
        },
        "/v1/tasks/{id}/replay": {
            "post": _operation(
                "replay",
                "Repeat a run over its journal, with no engine, and compare every event.",
                (200, "It went as recorded.", _content(ReplayBody)),
                parameters=one,
            )
        },
        "/v1/workers": {
            "get": _operation(
                "workers",
                "Get the replicas of the engine of this process, with their load and their caches.",
                (200, "The pool.", _content(WorkersBody)),
            )
        },
        "/healthz": {
            "get": _operation(
                "health",
                "Ask whether tasks can be taken and solved.",
                (200, "They can.", _content(HealthBody)),
                (503, "They cannot; the body says why.", _content(HealthBody)),
            )
        },
        "/metrics": {
            "get": _operation(
                "metrics",
                "Get the metrics of this process.",
                (200, "Prometheus text.", {"text/plain": {"schema": {"type": "string"}}}),
            )
        },
        "/openapi.json": {"get": _operation("openapi", "Get this document.", (200, "It.", anything))},
    }


@cache
def document() -> dict[str, Any]:
    """The API as an OpenAPI 3.1 document."""
    sent = (ErrorBody, EventBody, HealthBody, ReplayBody, TaskBody, TaskPage, WorkersBody)
    _, schemas = models_json_schema(
        [(TaskRequest, "validation"), *((model, "serialization") for model in sent)],
        ref_template="#/components/schemas/{model}",
    )
    return {
        "openapi": "3.1.0",
        "info": {"title": "Anabranch", "version": VERSION, "license": {"name": "Apache-2.0"}},
        "paths": _paths(),
        "components": {"schemas": schemas["$defs"]},
    }

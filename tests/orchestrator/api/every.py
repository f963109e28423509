"""Requests to every route of the table, and what comes back."""

from __future__ import annotations

import io
import re
from collections.abc import Iterator, Mapping
from typing import Any

from aiohttp import FormData
from aiohttp.payload import BytesPayload

from orchestrator.api.routes import Route
from tests.orchestrator.api.conftest import ROUTES, Api, Reply

OWNED = (
    "/v1/tasks/{id}",
    "/v1/webhooks/{id}",
    "/v1/responses/{id}",
    "/v1/files/{id}",
    "/v1/batches/{id}",
)
"""The beginnings of the paths that are about one thing of a tenant; :func:`owned` makes one of each."""

FOR_EVERYBODY = [route for route in ROUTES if route.scope is None]
KEYED = [route for route in ROUTES if route.scope is not None]
CHANGING = [route for route in ROUTES if route.changes]
MODELS = "/v1/models/{id}"
"""The path that is about something which is no tenant's."""

ABOUT_ONE = [route for route in ROUTES if "{" in route.path and route.path != MODELS]
TAKING_JSON = [route for route in ROUTES if "application/json" in route.media]


async def owned(api: Api, route: Route, **options: Any) -> str:
    """The path of a route, about something that a request with these options has just made."""
    if "{" not in route.path:
        return route.path
    if route.path == MODELS:
        return "/v1/models/anabranch/vote"
    assert route.path.startswith(OWNED), f"say here how to make what {route.path} is about"
    if route.path.startswith("/v1/webhooks"):
        webhook = await a_webhook(api, **options)
        path = route.path.replace("{id}", webhook)
        if "{delivery}" in path:
            ping = await api.call("POST", f"/v1/webhooks/{webhook}/ping", **options)
            path = path.replace("{delivery}", ping.body["id"])
        return path
    if route.path.startswith("/v1/files"):
        return route.path.replace("{id}", await a_file(api, **options))
    if route.path.startswith("/v1/batches"):
        return route.path.replace("{id}", await a_batch(api, **options))
    if route.path.startswith("/v1/responses"):
        path = route.path.replace("{id}", await a_response(api, **options))
        return f"{path}?stream=true" if route.streams else path
    task = await a_task(api, **options)
    return route.path.replace("{id}", task) + _query(route, task)


async def a_task(api: Api, **options: Any) -> str:
    """The id of a task that nobody runs."""
    reply = await api.call("POST", "/v1/tasks", json={"query": "x", "planner": "direct"}, **options)
    assert reply.status == 202, reply.body
    return str(reply.body["id"])


async def a_response(api: Api, **options: Any) -> str:
    """The id of a response that nobody works on."""
    body = {"model": "anabranch/direct", "input": "x", "background": True}
    reply = await api.call("POST", "/v1/responses", json=body, **options)
    assert reply.status == 200, reply.body
    return str(reply.body["id"])


async def a_webhook(api: Api, **options: Any) -> str:
    """The id of an endpoint."""
    reply = await api.call("POST", "/v1/webhooks", json={"url": "https://example.com/hook"}, **options)
    assert reply.status == 201, reply.body
    return str(reply.body["id"])


async def a_file(api: Api, **options: Any) -> str:
    """The id of a file of questions."""
    headers = {"Authorization": "Bearer none", **options.pop("headers", {})}
    form = FormData({"purpose": "batch"})
    form.add_field("file", b"{}", filename="questions.jsonl")
    reply = await api.call("POST", "/v1/files", data=form, headers=headers, **options)
    assert reply.status == 200, reply.body
    return str(reply.body["id"])


async def a_batch(api: Api, **options: Any) -> str:
    """The id of a batch that nobody drives."""
    asked = {"input_file_id": await a_file(api, **options), "endpoint": "/v1/tasks"}
    reply = await api.call("POST", "/v1/batches", json=asked, **options)
    assert reply.status == 200, reply.body
    return str(reply.body["id"])


def anywhere(route: Route) -> str:
    """The path of a route, about something that does not exist."""
    return re.sub(r"\{\w+\}", "nothing", route.path) + _query(route, "nothing")


def _query(route: Route, task: str) -> str:
    """What must be given in the query: each time the id of a task."""
    required = [each["name"] for each in route.parameters if each["in"] == "query" and each["required"]]
    return "?" + "&".join(f"{name}={task}" for name in required) if required else ""


def body_of(route: Route) -> dict[str, Any]:
    """The options by which a client sends the example of a route; a body of another kind says nothing."""
    if route.example is not None:
        return {"json": dict(route.example)}
    if route.media:
        return {"data": BytesPayload(b"{}", content_type=route.media[0])}
    return {}


def lasting(route: Route) -> dict[str, Any]:
    """The options by which a client asks for a stream that lasts, as long as nobody runs tasks."""
    if route.example is None:
        return {}
    return {"json": {**route.example, "model": "anabranch/direct", "stream": True}}


async def asked(api: Api, route: Route, path: str, **options: Any) -> Reply:
    """What a route says; of a stream only how it begins."""
    given = {**body_of(route), **options}
    if isinstance(given.get("data"), bytes):
        given["data"] = io.BytesIO(given["data"])  # which aiohttp sends a piece at a time
    async with api.session.request(route.method, path, **given) as response:
        lasts = response.headers.get("Content-Type", "").startswith("text/event-stream")
        if lasts or response.content_type != "application/json":
            return Reply(response.status, None, response.headers)
        return Reply(response.status, await response.json(), response.headers)


def bearer(token: str) -> dict[str, Any]:
    """The option by which a client sends a key."""
    return {"headers": {"Authorization": f"Bearer {token}"}}


def texts(value: Any, replaced: str) -> Iterator[Any]:
    """The value with each of its texts replaced, one at a time."""
    if isinstance(value, str):
        yield replaced
    elif isinstance(value, Mapping):
        for name, item in value.items():
            yield from ({**value, name: each} for each in texts(item, replaced))
    elif isinstance(value, list):
        for place, item in enumerate(value):
            yield from ([*value[:place], each, *value[place + 1 :]] for each in texts(item, replaced))

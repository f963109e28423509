"""Bodies that would do harm, to every route that takes one."""

from __future__ import annotations

import asyncio
import json
from typing import Any

from orchestrator.api.routes import Route
from orchestrator.settings import Settings
from tests.orchestrator.api.conftest import Api, Open, Reply, reply_of
from tests.orchestrator.api.every import TAKING_JSON, asked, owned, texts

JSON = {"Content-Type": "application/json"}
NAUGHTY = ("a\x00b", "\x00", "\ud83d", "\udc00\ud800", "\u202e", "\x1b[31m", "é" * 300, " ", "")


async def sent(api: Api, route: Route, body: bytes) -> Reply:
    """What a route says to a body."""
    path = await owned(api, route)
    reply = await asked(api, route, path, data=body, json=None, headers=JSON)
    assert reply.status < 500, f"{route}: {reply.body}"
    return reply


async def test_deep_wide_and_odd_bodies_are_refused(open_api: Open) -> None:
    bodies: dict[str, bytes] = {
        "nothing": b"",
        "no JSON": b"{",
        "no UTF-8": b'{"query": "\xff\xfe"}',
        "deep lists": b'{"query": ' + b"[" * 100_000 + b"]" * 100_000 + b"}",
        "deep objects": b'{"query": ' + b'{"a":' * 100_000 + b"1" + b"}" * 100_000 + b"}",
        "half of them": b'{"a":' * 100_000,
        "just too deep": b'{"query": ' + b"[" * 64 + b"]" * 64 + b"}",
        "many values": b'{"query": [' + b"1," * 1_000_000 + b"1]}",
        "NaN": b'{"query": NaN}',
        "a huge number": b'{"query": 1e999}',
        "many digits": b'{"query": ' + b"9" * 5_000 + b"}",
        "a member twice": b'{"query": "a", "query": "b"}',
        "a list": b"[1]",
        "a text": b'"x"',
        "null": b"null",
    }
    async with open_api(work=False) as api:
        for route in TAKING_JSON:
            for what, body in bodies.items():
                reply = await sent(api, route, body)
                assert (reply.status, reply.error) == (400, "invalid_request"), f"{what}: {route}"


async def test_larger_bodies_than_the_settings_allow_are_refused(open_api: Open) -> None:
    settings = Settings(max_body_bytes=10_000, max_body_depth=8, max_body_values=50)
    async with open_api(work=False, settings=settings) as api:
        for route in TAKING_JSON:
            most = route.max_body or 10_000
            reply = await sent(api, route, b'{"a": "' + b"x" * most + b'"}')
            assert (reply.status, reply.error) == (413, "too_large"), route
            reply = await sent(api, route, b'{"a": ' + b"[" * 8 + b"]" * 8 + b"}")
            assert "more than 8 deep" in reply.message
            reply = await sent(api, route, b'{"a": [' + b"1," * 60 + b"1]}")
            assert "more than 50 values" in reply.message


async def test_no_text_in_a_body_breaks_anything(open_api: Open) -> None:
    async with open_api(work=False) as api:
        for route in TAKING_JSON:
            assert route.example is not None
            for text in NAUGHTY:
                for body in texts(json.loads(json.dumps(dict(route.example))), text):
                    reply = await sent(api, route, json.dumps(body).encode())
                    fine = reply.status in (200, 201, 202, 400, 409, 422)
                    assert fine or reply.error == "model_not_found", f"{text!r}: {route}"
                name = {**dict(route.example), text: 1}
                reply = await sent(api, route, json.dumps(name).encode())
                assert (reply.status, reply.error) == (400, "invalid_request"), f"{text!r}: {route}"
        listed = await api.get("/v1/tasks?limit=200")
        assert listed.status == 200


async def test_a_body_that_never_ends_is_cut_off_on_every_route(open_api: Open) -> None:
    async with open_api(work=False, settings=Settings(client_seconds=0.3)) as api:
        heads = [
            f"{route.method} {await owned(api, route)} HTTP/1.1\r\nHost: localhost\r\n"
            "Content-Type: application/json\r\nContent-Length: 100\r\nConnection: close\r\n\r\n"
            for route in TAKING_JSON
        ]
        said: list[Any] = await asyncio.gather(*(api.raw(head.encode() + b'{"a": ') for head in heads))
    for each in said:
        assert (reply_of(each).status, reply_of(each).error) == (408, "request_timeout")

"""Every refusal of the routes of OpenAI's protocol has the shape that its clients read, whoever refuses."""

from __future__ import annotations

from typing import Any

import openai
import pytest

from orchestrator.access.caller import Scope
from orchestrator.api.handlers import openapi_document
from orchestrator.api.openai.refusals import OPENAI
from orchestrator.settings import Settings
from storage.accounts import Limits
from storage.keys import account_of_key
from tests.orchestrator.api.conftest import ROUTES, Open, Reply
from tests.orchestrator.api.every import asked, bearer, body_of, owned
from tests.orchestrator.api.openai.conftest import QUESTION, Connect

OURS = ("/v1/models", "/v1/chat/completions", "/v1/completions")
THEIRS = [route for route in ROUTES if route.errors_as is OPENAI and route.path.startswith(OURS)]
TAKING = [route for route in THEIRS if route.media]


def is_theirs(reply: Reply, status: int, code: str, kind: str) -> None:
    """Check the whole of a refusal."""
    error = reply.body["error"]
    assert (reply.status, error["code"], error["type"]) == (status, code, kind)
    assert set(reply.body) == {"error"}
    assert set(error) == {"message", "type", "param", "code"}
    assert error["message"]
    assert reply.headers["X-Request-Id"]
    retried = reply.headers["X-Should-Retry"]
    assert retried == ("true" if status in (429, 503) else "false")
    assert ("Retry-After" in reply.headers) == ("Retry-After-Ms" in reply.headers) == (retried == "true")


async def test_what_stands_before_the_handlers_refuses_in_their_shape(open_api: Open) -> None:
    settings = Settings(max_body_bytes=2_000)
    async with open_api(work=False, settings=settings) as api:
        key, reading = await api.key("a", id="one"), await api.key("a", Scope.READ)
        for each in THEIRS:
            path = await owned(api, each)
            is_theirs(await asked(api, each, path), 401, "unauthorized", "authentication_error")
            other = {"headers": {**bearer(key)["headers"], "X-Tenant": "b"}}
            if each in TAKING:
                is_theirs(await asked(api, each, path, **other), 403, "forbidden", "permission_error")
            is_theirs(await asked(api, each, path, **bearer(reading)), 403, "forbidden", "permission_error")
            wrong = {"headers": {"Host": "evil.example"}}
            is_theirs(await asked(api, each, path, **wrong), 421, "host_not_allowed", "invalid_request_error")
        for each in TAKING:
            path = await owned(api, each)
            form = {
                "json": None,
                "data": b"x",
                "headers": {**bearer(key)["headers"], "Content-Type": "text/x"},
            }
            is_theirs(
                await asked(api, each, path, **form), 415, "unsupported_media_type", "invalid_request_error"
            )
            large = {**body_of(each)["json"], "user": "x" * 3_000}
            is_theirs(
                await asked(api, each, path, **bearer(key), json=large),
                413,
                "too_large",
                "invalid_request_error",
            )
        await api.service.store.access.set_limits(account_of_key("one"), Limits(rate=0.02, burst=1))
        api.service.access.forget()
        replies = [await asked(api, each, await owned(api, each), **bearer(key)) for each in THEIRS]
        for reply in replies[1:]:
            is_theirs(reply, 429, "rate_limited", "rate_limit_error")


async def test_what_goes_wrong_inside_is_told_without_details(
    open_api: Open, connect: Connect, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with open_api() as api:

        def broken(*_: Any) -> Any:
            raise RuntimeError("the secret is 7")

        monkeypatch.setattr(api.service, "find_planner", broken)
        with pytest.raises(openai.InternalServerError) as raised:
            await connect(api).chat.completions.create(model="anabranch/vote", messages=QUESTION)
    assert raised.value.code == "internal"
    assert "secret" not in str(raised.value)


async def test_a_mistake_of_a_task_names_the_parameter_that_it_comes_from(
    open_api: Open, connect: Connect
) -> None:
    wrong: list[tuple[dict[str, Any], str]] = [
        ({"metadata": {str(n): "x" for n in range(17)}}, "metadata"),
        ({"stop": ["a"] * 5}, "stop"),
        ({"seed": -1}, "seed"),
        ({"temperature": "hot"}, "temperature"),
        ({"messages": "hi"}, "messages"),
        ({"extra_body": {"anabranch": {"planner": "nothing"}}}, "model"),
        ({"extra_body": {"anabranch": {"options": {"m": 1}}}}, "anabranch.options"),
        ({"extra_body": {"anabranch": {"budget": {"gold": 1}}}}, "anabranch.budget"),
        ({"extra_body": {"anabranch": {"odd": 1}}}, "anabranch.odd"),
        ({"stream_options": {"odd": 1}}, "stream_options.odd"),
    ]
    async with open_api(work=False) as api:
        client = connect(api)
        for asking, param in wrong:
            with pytest.raises(openai.APIStatusError) as raised:
                await client.chat.completions.create(
                    **{"model": "anabranch/vote", "messages": QUESTION, **asking}
                )
            assert raised.value.status_code in (400, 404)
            assert str(raised.value.param) == param, asking


def test_the_document_says_so() -> None:
    document = openapi_document()
    for each in THEIRS:
        responses = document["paths"][each.path][each.method.lower()]["responses"]
        for status, response in responses.items():
            if status == "200":
                continue
            name = response["$ref"].rpartition("/")[2]
            shown = document["components"]["responses"][name]
            schema = shown["content"]["application/json"]["schema"]["allOf"][0]
            assert schema == {"$ref": "#/components/schemas/OpenAIErrorBody"}
            assert {"Retry-After-Ms", "X-Should-Retry"} <= set(shown["headers"])
            assert set(shown["content"]["application/json"]["example"]["error"]) == {
                "message",
                "type",
                "param",
                "code",
            }

"""What holds for every route of the table: who may use it, whose things it shows, and how it answers."""

from __future__ import annotations

import asyncio
import re
from typing import Any

import aiohttp
import pytest
from aiohttp import web
from structlog.testing import capture_logs

from orchestrator.access.caller import Scope
from orchestrator.access.form import new_key
from orchestrator.api import gate
from orchestrator.api.application import create_application
from orchestrator.api.examples import EXAMPLES
from orchestrator.api.handlers import openapi_document
from orchestrator.api.listening import listening
from orchestrator.api.problems import SAFE_HEADERS
from orchestrator.api.routes import FORMS, Route, route
from storage.accounts import Limits
from storage.keys import account_of_key
from tests.orchestrator.api.conftest import ROUTES, Open, Reply
from tests.orchestrator.api.every import (
    ABOUT_ONE,
    CHANGING,
    FOR_EVERYBODY,
    KEYED,
    OWNED,
    TAKING_JSON,
    a_task,
    anywhere,
    asked,
    bearer,
    lasting,
    owned,
)
from workers.engines.simulator.engine import Simulator


def test_the_enumerations_leave_nothing_out() -> None:
    assert (
        len(ROUTES) == len({(each.method, each.path) for each in ROUTES}) == len(KEYED) + len(FOR_EVERYBODY)
    )
    assert {each.path for each in FOR_EVERYBODY} == {"/healthz", "/livez", "/readyz", "/openapi.json"}
    assert CHANGING
    assert TAKING_JSON
    assert all(each.path.startswith(OWNED) for each in ABOUT_ONE)


async def test_no_route_exists_beside_the_table(open_api: Open) -> None:
    async with open_api(work=False) as api:
        served = list(create_application(api.service).router.routes())
    told = {(each.method, each.path) for each in ROUTES}
    told |= {("HEAD", each.path) for each in ROUTES if each.method == "GET" and each.head}
    assert {(each.method, each.resource.canonical) for each in served if each.resource} == told
    assert len(served) == len(told)
    for each in served:
        declared: Any = each.handler
        assert declared.route in ROUTES


async def test_a_handler_that_is_in_no_table_is_never_called(open_api: Open) -> None:
    async def stray(_: web.Request) -> web.Response:
        raise AssertionError("nobody has said who may call this")

    async with open_api(work=False) as api:
        application = create_application(api.service)
        application.router.add_get("/stray", stray)
        async with listening(application, "127.0.0.1", 0) as url, aiohttp.ClientSession(url) as session:
            assert (await session.get("/stray")).status == 404
            assert (await session.get("/livez")).status == 200


def test_a_route_that_would_not_be_safe_cannot_be_declared() -> None:
    unsafe: list[dict[str, Any]] = [
        {"method": "GET", "scope": Scope.SUBMIT, "changes": True},
        {"method": "POST", "scope": None, "changes": True},
        *({"method": "POST", "scope": Scope.SUBMIT, "media": [form]} for form in FORMS),
    ]
    for each in unsafe:
        with pytest.raises(ValueError, match="open"):

            @route(path="/open", **each)
            async def open_(self: Any, request: Any) -> Any: ...


def test_every_answer_has_an_example_that_its_model_takes() -> None:
    for each in ROUTES:
        for _, _, content in each.answers:
            if isinstance(content, type):
                content.model_validate(dict(EXAMPLES[content]))
        assert isinstance(each.takes, type) == (each.example is not None)


def test_every_operation_says_who_may_use_it_and_how_it_refuses() -> None:
    document = openapi_document()
    assert set(document["components"]["securitySchemes"]) == {"bearer", "key"}
    for each in ROUTES:
        operation = document["paths"][each.path][each.method.lower()]
        if each.scope is None:
            assert {} in operation["security"]
            continue
        assert operation["security"] == [{"bearer": [each.scope]}, {"key": [each.scope]}]
        refused = {status: _resolved(document, operation, status) for status in ("401", "403", "429", "503")}
        assert "WWW-Authenticate" in refused["401"]["headers"]
        assert "Retry-After" in refused["429"]["headers"]
        assert "Retry-After" in refused["503"]["headers"]
        assert "X-RateLimit-Remaining-Requests" in refused["429"]["headers"]
        for status, response in operation["responses"].items():
            shown = _resolved(document, operation, status)
            assert shown["description"], response


def _resolved(document: Any, operation: Any, status: str) -> Any:
    response = operation["responses"][status]
    if "$ref" in response:
        return document["components"]["responses"][response["$ref"].rpartition("/")[2]]
    return response


async def test_without_a_key_that_counts_nothing_is_told_but_that(open_api: Open) -> None:
    async with open_api(work=False) as api:
        good = await api.key("a")
        typed_wrong = good[:-1] + ("x" if good[-1] != "x" else "y")
        keys = {
            "none": None,
            "unknown": new_key(),
            "mistyped": typed_wrong,
            "no key at all": "EMPTY",
            "expired": await api.key("a", expires_at=2.0),
            "revoked": await api.key("a", revoked_at=2.0),
        }
        task = await a_task(api, **bearer(good))
        for each in KEYED:
            said = set()
            for what, key in keys.items():
                path = anywhere(each).replace("nothing", task)
                reply = await asked(api, each, path, **({} if key is None else bearer(key)))
                assert (reply.status, reply.error) == (401, "unauthorized"), f"{what}: {each}"
                assert reply.headers["WWW-Authenticate"].startswith("Bearer")
                said.add((reply.message, tuple(sorted(reply.headers.items() - _changing(reply)))))
            assert len(said) == 1, said
        left = (await api.get("/v1/tasks", **bearer(good))).body["tasks"]
    assert [(each["id"], each["status"]) for each in left] == [(task, "queued")]


def _changing(reply: Reply) -> set[tuple[str, str]]:
    return {(name, reply.headers[name]) for name in ("Date", "X-Request-ID")}


async def test_what_is_for_everybody_tells_strangers_no_details(open_api: Open) -> None:
    engine = Simulator()
    async with open_api(engine, work=False) as api:
        engine.kill("the power is out at 10.0.0.7")
        assert "the power is out" in str((await api.get("/healthz")).body)
        key = await api.key("a")
        for options in ({}, bearer(new_key()), bearer(await api.key("a", expires_at=2.0))):
            for each in FOR_EVERYBODY:
                reply = await asked(api, each, each.path, **options)
                assert reply.status in (200, 503)
                assert "power" not in str(reply.body)
        assert "the power is out" in str((await api.get("/healthz", **bearer(key))).body)


@pytest.mark.parametrize("scope", Scope)
async def test_a_key_opens_what_its_scope_is_for_and_nothing_else(open_api: Open, scope: Scope) -> None:
    async with open_api(work=False) as api:
        everything, only = await api.key("a"), await api.key("a", scope)
        for each in KEYED:
            path = await owned(api, each, **bearer(everything))
            reply = await asked(api, each, path, **bearer(only))
            if each.scope is scope:
                assert reply.status not in (401, 403, 404), each
            else:
                assert (reply.status, reply.error) == (403, "forbidden"), each
                assert each.scope is not None
                assert repr(each.scope.value) in reply.message


async def test_what_is_anothers_is_like_what_does_not_exist(open_api: Open) -> None:
    async with open_api(work=False) as api:
        ours, theirs = bearer(await api.key("a")), bearer(await api.key("b"))
        for each in ABOUT_ONE:
            path = await owned(api, each, **ours)
            thing = re.split("[/?]", path)[3]
            before = await asked(api, ROUTES_BY_NAME["get"], f"/v1/tasks/{thing}", **ours)
            foreign = await asked(api, each, path, **theirs)
            missing = await asked(api, each, anywhere(each), **theirs)
            assert foreign.status == missing.status == 404, each
            assert foreign.message.replace(thing, "nothing") == missing.message
            named = await asked(api, each, path, headers={**theirs["headers"], "X-Tenant": "a"})
            assert (named.status, named.error) == (403, "forbidden"), each
            after = await asked(api, ROUTES_BY_NAME["get"], f"/v1/tasks/{thing}", **ours)
            assert before.body == after.body


ROUTES_BY_NAME: dict[str, Route] = {each.name: each for each in ROUTES}


async def test_no_route_speaks_for_a_tenant_that_its_caller_may_not_name(open_api: Open) -> None:
    async with open_api(work=False) as api:
        key = await api.key("b")
        for each in KEYED:
            reply = await asked(
                api, each, anywhere(each), headers={**bearer(key)["headers"], "X-Tenant": "a"}
            )
            assert (reply.status, reply.error) == (403, "forbidden"), each
            assert "'b'" in reply.message
            assert "'a'" not in reply.message


async def test_lists_and_new_tasks_are_the_callers(open_api: Open) -> None:
    async with open_api(work=False) as api:
        ours, theirs = bearer(await api.key("a")), bearer(await api.key("b"))
        own = await a_task(api, **ours)
        assert (await api.get("/v1/tasks", **theirs)).body["tasks"] == []
        shown = (await api.get("/v1/tasks", **ours)).body["tasks"]
        assert [(each["id"], each["tenant"]) for each in shown] == [(own, "a")]
        assert (await api.get("/v1/tasks?tenant=a", **theirs)).error == "forbidden"
        assert len((await api.get("/v1/tasks?tenant=a", **ours)).body["tasks"]) == 1
        foreign = await api.submit(tenant="a", headers=theirs["headers"])
        assert (foreign.status, foreign.error) == (403, "forbidden")
        assert (await api.submit(tenant="b", headers=theirs["headers"])).body["tenant"] == "b"
        assert (await api.submit(headers={**theirs["headers"], "X-Tenant": "b"})).body["tenant"] == "b"
        same = {"Idempotency-Key": "1"}
        first = await api.submit(headers={**ours["headers"], **same})
        other = await api.submit(headers={**theirs["headers"], **same})
        assert first.body["id"] != other.body["id"]


async def test_a_key_that_may_name_tenants_speaks_for_each_and_sees_all_or_its_own(open_api: Open) -> None:
    async with open_api(work=False) as api:
        one = bearer(await api.key("a", names_tenants=True))["headers"]
        every = bearer(await api.key(None, names_tenants=True))["headers"]
        made = [
            (await api.submit(headers={**one, "X-Tenant": "b"})).body,
            (await api.submit(headers=one)).body,
            (await api.submit(headers=every, tenant="c")).body,
            (await api.submit(headers=every)).body,
        ]
        assert [each["tenant"] for each in made] == ["b", "a", "c", "default"]
        assert len((await api.get("/v1/tasks", headers=every)).body["tasks"]) == 4
        assert [each["tenant"] for each in (await api.get("/v1/tasks", headers=one)).body["tasks"]] == ["a"]
        found = await api.get("/v1/tasks", headers={**every, "X-Tenant": "b"})
        assert [each["id"] for each in found.body["tasks"]] == [made[0]["id"]]
        both = await api.get("/v1/tasks?tenant=c", headers={**every, "X-Tenant": "b"})
        assert (both.status, both.error) == (409, "contradiction")


async def test_a_key_may_be_sent_in_two_ways_but_once(open_api: Open) -> None:
    async with open_api(work=False) as api:
        key, other = await api.key("a"), await api.key("a")
        basic = {"Authorization": "Basic eDp5"}
        for good in ({"X-API-Key": key}, {"Authorization": f"bearer  {key}"}, {"X-API-Key": key, **basic}):
            assert (await api.get("/v1/tasks", headers=good)).status == 200
        two = {"X-API-Key": other, **bearer(key)["headers"]}
        assert "has two keys" in (await api.get("/v1/tasks", headers=two)).message
        assert (await api.get("/healthz", headers=two)).status == 200
        assert (await api.get("/v1/tasks", headers=basic)).error == "unauthorized"
        assert (await api.get(f"/v1/tasks?key={key}")).error == "unauthorized"


async def test_a_service_without_keys_takes_no_notice_of_what_others_send(open_api: Open) -> None:
    async with open_api(work=False) as api:
        for headers in (bearer("EMPTY")["headers"], {"Authorization": "Basic eDp5"}, {"X-API-Key": "none"}):
            assert (await api.get("/v1/tasks", headers=headers)).status == 200
        assert (await api.get("/v1/tasks", **bearer(new_key()))).status == 401


async def test_a_stream_ends_when_its_key_no_longer_counts(
    open_api: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(gate, "RECHECK_SECONDS", 0.02)
    async with open_api(work=False) as api:
        key, other = await api.key("a", id="one"), bearer(await api.key("a"))
        for each in [each for each in ROUTES if each.streams]:
            path = await owned(api, each, **other)
            async with (
                api.session.request(each.method, path, **lasting(each), **bearer(key)) as ending,
                api.session.request(each.method, path, **lasting(each), **other) as staying,
            ):
                await api.service.store.access.revoke_key("one")
                api.service.access.forget()
                while await _went_on(ending):
                    pass
                assert not staying.connection.closed  # type: ignore[union-attr]
                assert not staying.content.at_eof()


async def _went_on(response: aiohttp.ClientResponse) -> bool:
    """Whether there was something more; a connection that breaks off ends a stream too."""
    try:
        return bool(await response.content.readany())
    except aiohttp.ClientPayloadError:
        return False


async def test_once_there_was_a_key_one_is_needed_for_ever(open_api: Open) -> None:
    async with open_api(work=False) as api:
        assert (await api.get("/v1/tasks")).status == 200
        key = await api.key("a", revoked_at=2.0)
        assert (await api.get("/v1/tasks")).status == 401
        assert (await api.get("/v1/tasks", **bearer(key))).status == 401


async def test_what_a_key_changes_leaves_a_line_that_says_so(open_api: Open) -> None:
    async with open_api(work=False) as api:
        key = await api.key("a", id="one")
        every = await api.key(None, id="all", names_tenants=True)
        with capture_logs() as lines:
            made = (await api.submit(**bearer(key))).body["id"]
            await api.call("POST", f"/v1/tasks/{made}/cancel", **bearer(key))
            await api.call("POST", "/v1/tasks/nothing/cancel", **bearer(key))
            await api.get("/v1/tasks", **bearer(key))
            reading = await api.key("a", Scope.READ, id="reading")
            await api.call("POST", f"/v1/tasks/{made}/cancel", **bearer(reading))
            other = (await api.submit(tenant="b", **bearer(every))).body["id"]
    said = [
        tuple(line[name] for name in ("caller", "tenant", "what", "target", "outcome"))
        for line in lines
        if line["event"] == "audit"
    ]
    assert said == [
        ("one", "a", "submit", made, "done"),
        ("one", "a", "cancel", made, "done"),
        ("one", "a", "cancel", "nothing", "task_not_found"),
        ("reading", "a", "cancel", made, "forbidden"),
        ("all", "b", "submit", other, "done"),
    ]


async def test_who_leaves_while_the_answer_is_waited_for_has_submitted_all_the_same(open_api: Open) -> None:
    async with open_api(work=False) as api:
        key = bearer(await api.key("a"))
        with capture_logs() as lines:

            async def told(event: str) -> Any:
                while not (said := [line for line in lines if line["event"] == event]):  # noqa: ASYNC110
                    await asyncio.sleep(0.01)
                return said[0]

            waiting = asyncio.create_task(api.submit(wait=30, **key))
            async with asyncio.timeout(60):
                await told("task accepted")
                waiting.cancel()
                line = await told("audit")
        [task] = (await api.get("/v1/tasks", **key)).body["tasks"]
    assert (line["what"], line["target"], line["outcome"]) == ("submit", task["id"], "done")


async def test_a_rate_limit_is_told_in_headers(open_api: Open) -> None:
    async with open_api(work=False) as api:
        key = await api.key("a", id="one")
        await api.service.store.access.set_limits(account_of_key("one"), Limits(rate=0.001, burst=2))
        api.service.access.forget()
        replies = [await api.get("/v1/tasks", **bearer(key)) for _ in range(3)]
        assert [each.status for each in replies] == [200, 200, 429]
        left = [each.headers["X-RateLimit-Remaining-Requests"] for each in replies]
        assert left == ["1", "0", "0"]
        assert replies[2].error == "rate_limited"
        assert 0 < int(replies[2].headers["Retry-After"]) <= 1000
        assert replies[2].headers["X-RateLimit-Limit-Requests"] == "2"
        assert re.fullmatch(r"\d+s", replies[2].headers["X-RateLimit-Reset-Requests"])


async def test_every_response_has_the_headers_that_browsers_need(open_api: Open) -> None:
    async with open_api(work=False) as api:
        for each in ROUTES:
            for path in {await owned(api, each), anywhere(each), "/nothing"}:
                reply = await asked(api, each, path)
                for name, value in SAFE_HEADERS.items():
                    assert reply.headers[name] == value, f"{each}: {name}"

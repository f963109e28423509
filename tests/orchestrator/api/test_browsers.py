"""Pages in browsers: under a name that points here by DNS, from elsewhere, and those that are let in."""

from __future__ import annotations

from typing import Any

import pytest

from orchestrator.api.routes import FORMS
from orchestrator.errors import InvalidRequest
from orchestrator.settings import Settings
from tests.orchestrator.api.conftest import ROUTES, Open
from tests.orchestrator.api.every import CHANGING, KEYED, a_task, anywhere, asked, bearer, owned

FOREIGN = (
    "evil.example",
    "evil.example:8080",
    "localhost.evil.example",
    "127.0.0.1.evil.example",
    "10.0.0.7:80",
)
"""Hosts that a page may make a browser send, if its DNS says that they are at this machine."""

ODD = (
    "",
    "localhost ",
    "localhost:",
    "localhost:0",
    "localhost:65536",
    "localhost:http",
    "localhost/",
    "localhost@evil.example",
    "evil.example@localhost",
    "localhost,evil.example",
    "localhost.",
    "[::1",
    "::1",
    "[::1%25lo]",
    "[localhost]",
    "127.1",
    "2130706433",
    "0x7f.0.0.1",
    "127.0.0.1.",
    "127.0.0.01",
    "lo_cal..host",
    "-localhost",
    "localhost?",
    "localhost#a",
    "local\thost",
    "\u217cocalhost",
)
"""Texts that are no host, though some programs take some of them for one."""


async def test_no_route_answers_under_a_name_that_is_not_ours(open_api: Open) -> None:
    async with open_api(work=False) as api:
        task = await a_task(api)
        for each in ROUTES:
            path = each.path.replace("{id}", task)
            for host in FOREIGN:
                reply = await asked(api, each, path, headers={"Host": host})
                assert (reply.status, reply.error) == (421, "host_not_allowed"), f"{host}: {each}"
                assert "--allowed-hosts" in reply.message
        for method, path in (
            ("GET", "/"),
            ("GET", "/nothing"),
            ("DELETE", "/v1/tasks"),
            ("OPTIONS", "/v1/tasks"),
        ):
            reply = await api.call(method, path, headers={"Host": FOREIGN[0]})
            assert reply.error == "host_not_allowed"  # as for any other path
        left = (await api.get("/v1/tasks")).body["tasks"]
    assert [(each["id"], each["status"]) for each in left] == [(task, "queued")]


async def test_with_keys_a_foreign_name_is_no_use_without_one_and_no_harm_with_one(open_api: Open) -> None:
    async with open_api(work=False) as api:
        key = await api.key("a")
        for each in ROUTES:
            path = await owned(api, each, **bearer(key))
            for host in FOREIGN:
                reply = await asked(api, each, path, headers={"Host": host})
                assert (reply.status, reply.error) == (421, "host_not_allowed"), f"{host}: {each}"
                named = {**bearer(key)["headers"], "Host": host}
                reply = await asked(api, each, path, headers=named)
                assert reply.status not in (401, 403, 421), each
                assert reply.status != 400 or reply.error == "invalid_request", each  # of what it asks for


@pytest.mark.parametrize("host", ODD)
async def test_what_is_no_host_is_refused_even_with_a_key(open_api: Open, host: str) -> None:
    async with open_api(work=False) as api:
        key = await api.key("a")
        request = f"GET /v1/tasks HTTP/1.1\r\nHost: {host}\r\nX-API-Key: {key}\r\nConnection: close\r\n\r\n"
        head = (await api.raw(request.encode())).partition(b"\r\n")[0]
    stripped = host.strip() == "localhost"  # HTTP itself allows blanks around a value
    assert head == (b"HTTP/1.1 200 OK" if stripped else b"HTTP/1.1 400 Bad Request")


@pytest.mark.parametrize(
    "host",
    [
        "localhost",
        "LOCALHOST:1",
        "a.localhost",
        "127.0.0.1:80",
        "127.9.9.9",
        "[::1]:80",
        "[::ffff:127.0.0.1]",
    ],
)
async def test_the_names_of_this_machine_are_ours(open_api: Open, host: str) -> None:
    async with open_api(work=False) as api:
        assert (await api.get("/v1/tasks", headers={"Host": host})).status == 200


async def test_names_may_be_allowed(open_api: Open) -> None:
    settings = Settings.model_validate({"allowed_hosts": "reason.example, *.inner.example,10.0.0.7"})
    async with open_api(work=False, settings=settings) as api:
        for host in (
            "reason.example",
            "Reason.Example:8443",
            "a.inner.example",
            "a.b.inner.example",
            "10.0.0.7:1",
        ):
            assert (await api.get("/v1/tasks", headers={"Host": host})).status == 200, host
        for host in ("x.reason.example", "inner.example", "evilinner.example", "10.0.0.8"):
            assert (await api.get("/v1/tasks", headers={"Host": host})).status == 421, host


async def test_a_request_of_http_1_0_needs_no_host(open_api: Open) -> None:
    async with open_api(work=False) as api:
        assert (await api.raw(b"GET /healthz HTTP/1.0\r\n\r\n")).startswith(b"HTTP/1.0 200")


ELSEWHERE: list[dict[str, str]] = [
    {"Origin": "https://evil.example"},
    {"Origin": "http://localhost:3000"},
    {"Origin": "null"},
    {"Origin": "http://127.0.0.1@evil.example"},
    {"Origin": "file://"},
    {"Origin": ""},
    {"Sec-Fetch-Site": "cross-site"},
    {"Sec-Fetch-Site": "same-site"},
    {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "navigate"},
]
"""What browsers say of a page that is not ours."""


@pytest.mark.parametrize("keyed", [False, True])
async def test_pages_from_elsewhere_change_nothing(open_api: Open, keyed: bool) -> None:
    async with open_api(work=False) as api:
        own = bearer(await api.key("a"))["headers"] if keyed else {}
        for each in CHANGING:
            path = await owned(api, each, headers=own)
            before = (await api.get("/v1/tasks", headers=own)).body
            for said in ELSEWHERE:
                reply = await asked(api, each, path, headers={**own, **said})
                assert (reply.status, reply.error) == (403, "origin_not_allowed"), f"{said}: {each}"
            assert (await api.get("/v1/tasks", headers=own)).body == before


async def test_forms_change_nothing(open_api: Open) -> None:
    async with open_api(work=False) as api:
        for each in CHANGING:
            path = await owned(api, each)
            before = (await api.get("/v1/tasks")).body
            for form in (*FORMS, "text/plain;charset=UTF-8", "TEXT/PLAIN; a=application/json"):
                body: dict[str, Any] = {"data": b'{"query": "x", "planner": "direct"}', "json": None}
                reply = await asked(api, each, path, headers={"Content-Type": form}, **body)
                refused = (415, "unsupported_media_type")
                if form in each.media:  # one that takes forms, but none that a page can send
                    refused = (403, "origin_not_allowed")
                assert (reply.status, reply.error) == refused, f"{form}: {each}"
            assert (await api.get("/v1/tasks")).body == before


async def test_pages_of_other_sites_cannot_even_take_up_our_time(open_api: Open) -> None:
    async with open_api(work=False) as api:
        for each in KEYED:
            reply = await asked(api, each, anywhere(each), headers={"Sec-Fetch-Site": "cross-site"})
            assert (reply.status, reply.error) == (403, "origin_not_allowed"), each
        link = {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "navigate"}
        assert (await api.get("/v1/tasks", headers=link)).status == 200
        assert (await api.get("/v1/tasks", headers={"Sec-Fetch-Site": "same-site"})).status == 200


async def test_our_own_pages_and_programs_may_do_everything(open_api: Open) -> None:
    async with open_api(work=False) as api:
        own = f"http://127.0.0.1:{api.port}"
        for said in ({"Origin": own, "Sec-Fetch-Site": "same-origin"}, {"Sec-Fetch-Site": "none"}, {}):
            for each in CHANGING:
                named = {"Authorization": "Bearer none"} if each.form else {}
                reply = await asked(api, each, await owned(api, each), headers={**said, **named})
                assert reply.status in (200, 201, 202, 400, 409, 422), f"{said}: {each}"


async def test_by_default_no_page_from_elsewhere_reads_anything(open_api: Open) -> None:
    async with open_api(work=False) as api:
        reply = await api.get("/v1/tasks", headers={"Origin": "https://app.example"})
        assert not [name for name in reply.headers if name.startswith("Access-Control")]
        asking = {"Origin": "https://app.example", "Access-Control-Request-Method": "POST"}
        reply = await api.call("OPTIONS", "/v1/tasks", headers=asking)
        assert (reply.status, reply.error) == (403, "origin_not_allowed")
        assert not [name for name in reply.headers if name.startswith("Access-Control")]


async def test_pages_that_are_listed_use_every_route(open_api: Open) -> None:
    listed = "https://app.example, http://localhost:3000"
    settings = Settings.model_validate({"allowed_origins": listed})
    page = {"Origin": "https://app.example", "Sec-Fetch-Site": "cross-site"}
    async with open_api(work=False, settings=settings) as api:
        key = await api.key("a")
        for each in KEYED:
            path = await owned(api, each, **bearer(key))
            asking = {
                **page,
                "Host": "reason.example",
                "Access-Control-Request-Method": each.method,
                "Access-Control-Request-Headers": "authorization,content-type",
                "Access-Control-Request-Private-Network": "true",
            }
            async with api.session.options(path, headers=asking) as leave:
                assert leave.status == 204
                assert leave.headers["Access-Control-Allow-Origin"] == page["Origin"]
                assert each.method in leave.headers["Access-Control-Allow-Methods"]
                assert "Authorization" in leave.headers["Access-Control-Allow-Headers"]
                assert leave.headers["Access-Control-Allow-Private-Network"] == "true"
                assert "Access-Control-Allow-Credentials" not in leave.headers
            reply = await asked(api, each, path, headers={**page, **bearer(key)["headers"]})
            assert reply.status not in (401, 403)
            assert reply.headers["Access-Control-Allow-Origin"] == page["Origin"]
            assert "Retry-After" in reply.headers["Access-Control-Expose-Headers"]
        refused = await api.get("/v1/tasks", headers=page)
        assert (refused.status, refused.headers["Access-Control-Allow-Origin"]) == (401, page["Origin"])
        for other in ("https://app.example:8443", "http://app.example", "https://evil.example"):
            reply = await api.get("/v1/tasks", headers={**bearer(key)["headers"], "Origin": other})
            assert "Access-Control-Allow-Origin" not in reply.headers
        local = {**bearer(key)["headers"], "Origin": "http://localhost:3000"}
        assert (await api.submit(headers=local)).status == 202


@pytest.mark.parametrize(
    "given",
    [
        {"allowed_origins": "*"},
        {"allowed_origins": "app.example"},
        {"allowed_origins": "https://app.example/page"},
        {"allowed_hosts": "*"},
        {"allowed_hosts": "a.example:80"},
        {"allowed_hosts": "https://a.example"},
        {"allowed_hosts": "*.10.0.0.7"},
    ],
)
async def test_lists_that_cannot_be_meant_are_refused(open_api: Open, given: dict[str, str]) -> None:
    with pytest.raises(InvalidRequest, match="is none"):
        async with open_api(work=False, settings=Settings.model_validate(given)):
            pass

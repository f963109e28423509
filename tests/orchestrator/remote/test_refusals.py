"""What a service, or something that is none, answers: as errors of the same classes as in this process."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web

from anabranch import (
    AsyncClient,
    Client,
    Divergence,
    Forbidden,
    InvalidRequest,
    Patience,
    QuotaExhausted,
    RateLimited,
    ServiceError,
    TaskNotFound,
    TooManyTasks,
    Unauthorized,
    Unavailable,
    UnknownPlanner,
)
from orchestrator.access.caller import Scope
from orchestrator.access.keyring import Keyring
from orchestrator.api.examples import TASK
from orchestrator.bodies import Problem
from orchestrator.errors import AnabranchError
from orchestrator.remote.address import Address
from orchestrator.remote.refusals import error_of
from storage.accounts import Limits
from tests.orchestrator.api.conftest import Api, Open
from workers.engines.simulator.engine import Simulator

Answers = Sequence[web.Response | Callable[[web.Request], Any]]
IMPATIENT = Patience(answer=20.0, silence=20.0, away=0.0, absent=0.0)


@asynccontextmanager
async def answering(*answers: web.Response) -> AsyncIterator[tuple[str, list[web.Request]]]:
    """A server that gives these answers, the last one again and again; the requests that it got."""
    requests: list[web.Request] = []

    async def answer(request: web.Request) -> web.Response:
        await request.read()
        requests.append(request)
        given = answers[min(len(requests), len(answers)) - 1]
        return web.Response(body=given.body, status=given.status, headers=given.headers)

    application = web.Application()
    application.router.add_route("*", "/{path:.*}", answer)
    runner = web.AppRunner(application)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    assert site._server is not None
    port = site._server.sockets[0].getsockname()[1]  # type: ignore[attr-defined]
    try:
        yield f"http://127.0.0.1:{port}", requests
    finally:
        await runner.cleanup()


def problem(status: int, code: str, *, retryable: bool = False, after: str | None = None) -> web.Response:
    headers = {"X-Request-Id": "r-17"} | ({} if after is None else {"Retry-After": after})
    said = {"code": code, "message": "it is so", "retryable": retryable}
    return web.json_response({"error": said}, status=status, headers=headers)


def task(**said: Any) -> web.Response:
    return web.json_response({**TASK, **said})


def client(url: str, **given: Any) -> AbstractAsyncContextManager[AsyncClient]:
    return AsyncClient(url=url, **{"patience": IMPATIENT, **given})


def url_of(api: Api) -> str:
    return f"http://127.0.0.1:{api.port}"


async def test_what_netrc_says_of_a_host_is_not_told_to_a_service(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    netrc = tmp_path / "netrc"
    netrc.write_text("default login ann password secret\n")
    monkeypatch.setenv("NETRC", str(netrc))
    async with answering(task()) as (url, requests):
        elsewhere = url.replace("127.0.0.1", "0.0.0.0")
        for key in ("k-1", None):
            async with client(elsewhere, key=key, plain_http=True) as to:
                await to.task("t")
    assert [each.headers.get("Authorization") for each in requests] == ["Bearer k-1", None]


async def test_a_proxy_of_the_environment_is_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    async with answering(task()) as (url, requests):
        monkeypatch.setenv("http_proxy", url.replace("//", "//ann:secret@"))
        monkeypatch.setenv("no_proxy", "direct.test")
        async with client("http://service.test") as to:
            await to.task("t")
        async with client("http://direct.test") as to:
            with pytest.raises(Unavailable):
                await to.task("t")
    [request] = requests
    assert request.headers["Host"] == "service.test"
    assert request.headers["Proxy-Authorization"].startswith("Basic ")


async def test_what_keys_may_not_do_is_told_by_class(open_api: Open) -> None:
    async with open_api(work=False) as api:
        ours, theirs = await api.key("ours"), await api.key("theirs")
        reader = await api.key("ours", Scope.READ)
        async with client(url_of(api), key=ours) as here, client(url_of(api), key=theirs) as there:
            made = await here.submit("x", planner="direct")
            assert (await here.task(made)).tenant == "ours"
            for asking in (there.task(made), there.cancel(made), there.trace(made), there.delete(made)):
                with pytest.raises(TaskNotFound):
                    await asking
            assert [each async for each in there.tasks()] == []
        async with client(url_of(api), key=reader) as reading:
            with pytest.raises(Forbidden, match="submit"):
                await reading.submit("x", planner="direct")
        for key in (None, "anb_wrong"):
            async with client(url_of(api), key=key) as wrong:
                with pytest.raises(Unauthorized) as refused:
                    await wrong.submit("x", planner="direct")
                assert refused.value.request_id


async def test_who_may_speak_for_a_tenant_follows_its_tasks(open_api: Open) -> None:
    async with open_api() as api:
        key = await api.key("ours", names_tenants=True)
        async with client(url_of(api), key=key) as speaking:
            solution = await speaking.solve("What is 6 * 7?", planner="direct", tenant="theirs")
            items = [each async for each in speaking.stream("What?", planner="direct", tenant="theirs")]
            assert (solution.answer, len(items) > 3) == ("42", True)


async def test_who_may_not_read_learns_which_task_goes_on(open_api: Open) -> None:
    async with open_api(work=False) as api:
        key = await api.key("ours", Scope.SUBMIT)
        async with client(url_of(api), key=key) as submitting:
            with pytest.raises(Forbidden, match=r"'read'.* \(task \w+ goes on there\)"):
                await submitting.solve("What is 6 * 7?", planner="direct")


@pytest.mark.parametrize("task_id", ["", ".", "..", "a/b", "a?b", "ü", "%2e"])
async def test_no_id_leads_elsewhere(api: Api, task_id: str) -> None:
    async with client(url_of(api)) as asking:
        for question in (asking.task, asking.trace, asking.delete, asking.result):
            with pytest.raises(TaskNotFound):
                await question(task_id)


async def test_mistakes_are_told_as_here(open_api: Open) -> None:
    async with (
        open_api() as api,
        client(url_of(api)) as there,
        AsyncClient(engine=Simulator(), database="memory") as here,
    ):
        for query, options in (("", {}), ("x", {"planner": "vot"}), ("x", {"budget": {"tokens": 0}})):
            raised = []
            for each in (there, here):
                with pytest.raises(InvalidRequest) as wrong:
                    await each.solve(query, **options)
                raised.append((type(wrong.value), wrong.value.code))
            assert raised[0] == raised[1]
        with pytest.raises(UnknownPlanner, match="vote"):
            await there.solve("x", planner="vot")


async def test_limits_are_told_by_class(open_api: Open) -> None:
    async with open_api(work=False) as api:
        few = await api.key("few")
        await Keyring(api.service.store).limit_tenant("few", Limits(concurrency=1))
        async with client(url_of(api), key=few) as limited:
            await limited.submit("x", planner="direct")
            with pytest.raises(TooManyTasks) as refused:
                await limited.submit("x", planner="direct")
            assert refused.value.retryable
            assert refused.value.retry_after


@pytest.mark.parametrize(
    ("status", "code", "kind"),
    [
        (404, "task_not_found", TaskNotFound),
        (429, "rate_limited", RateLimited),
        (429, "quota_exhausted", QuotaExhausted),
        (413, "too_large", InvalidRequest),
        (409, "idempotency_conflict", Unavailable),
        (503, "draining", Unavailable),
        (418, "teapot", ServiceError),
    ],
)
def test_a_code_has_its_class(status: int, code: str, kind: type[AnabranchError]) -> None:
    said = Problem(code=code, message="it is so", retryable=False)
    error = error_of(said, status, {"Retry-After": "7", "X-Request-Id": "r-17"})
    assert type(error) is kind
    assert (error.code, error.http_status, error.retry_after) == (code, status, 7.0)
    assert error.request_id == "r-17"
    assert "it is so" in str(error)
    assert ("r-17" in str(error)) == (kind is ServiceError)


def test_a_divergence_names_its_node() -> None:
    said = Problem(code="divergence", message=str(Divergence("0.1", "another prompt")), retryable=False)
    error = error_of(said, 409, {})
    assert isinstance(error, Divergence)
    assert (error.path, error.message) == ("0.1", "another prompt")


async def test_a_refusal_for_now_is_tried_again_after_the_time_it_names() -> None:
    busy = problem(429, "rate_limited", retryable=True, after="0.2")
    async with answering(busy, busy, task()) as (url, requests), client(url, patience=Patience()) as asking:
        loop = asyncio.get_running_loop()
        begun = loop.time()
        await asking.submit("x")
        assert loop.time() - begun >= 0.4
    keys = {(await request.json())["idempotency_key"] for request in requests}
    assert (len(requests), len(keys)) == (3, 1)


async def test_a_wait_that_is_too_long_is_an_error_that_tells_it() -> None:
    spent = problem(429, "quota_exhausted", retryable=True, after="3600")
    async with answering(spent) as (url, requests), client(url, patience=Patience()) as asking:
        with pytest.raises(QuotaExhausted) as refused:
            await asking.submit("x")
    assert refused.value.retry_after == 3600
    assert len(requests) == 1


@pytest.mark.parametrize("status", [502, 504])
async def test_only_what_does_no_work_twice_is_asked_again(status: int) -> None:
    page = web.Response(status=status, text="<html><title>Bad Gateway</title>", content_type="text/html")
    async with answering(page, task()) as (url, requests), client(url, patience=Patience()) as asking:
        assert (await asking.task("17")).id == TASK["id"]
        assert len(requests) == 2
    async with answering(page, task()) as (url, requests), client(url, patience=Patience()) as asking:
        with pytest.raises(Unavailable, match="Bad Gateway"):
            await asking.requeue("17")
        assert len(requests) == 1


PAGE = web.Response(text="<html><head><title>Welcome to nginx!</title>", content_type="text/html")


@pytest.mark.parametrize(
    ("answer", "says"),
    [
        (web.Response(status=404, text=PAGE.text, content_type="text/html"), "Welcome to nginx"),
        (web.json_response({"detail": "Not Found"}, status=404), r"status 404 .*detail.*is the URL right"),
        (
            web.Response(status=301, headers={"Location": "https://evil.example/"}),
            "redirect to 'https://evil",
        ),
        (PAGE, "does not understand"),
        (web.json_response({"tasks": 17}), "does not understand"),
        (task(status="pondering"), "does not understand.*status"),
    ],
    ids=["page", "other", "redirect", "page-200", "json-200", "newer"],
)
async def test_what_is_no_service_of_this_kind_is_said_to_be_none(answer: web.Response, says: str) -> None:
    async with answering(answer) as (url, requests), client(url, key="anb_secret") as asking:
        with pytest.raises(ServiceError, match=says) as strange:
            await asking.task("17")
        assert "anb_secret" not in str(strange.value)
        assert all(request.path in ("/v1/tasks/17", "/healthz") for request in requests)


async def test_a_key_follows_no_redirect() -> None:
    async with answering(task()) as (other, taken):
        moved = web.Response(status=307, headers={"Location": f"{other}/v1/tasks"})
        async with answering(moved) as (url, _), client(url, key="anb_secret") as asking:
            with pytest.raises(ServiceError, match="redirect"):
                await asking.submit("x")
        assert taken == []


async def test_nobody_there_is_told_soon() -> None:
    async with client("http://127.0.0.1:9") as asking:
        with pytest.raises(Unavailable, match=r"no service answers at http://127.0.0.1:9.*anabranch serve"):
            await asking.solve("x")
    async with answering(task()) as (url, _), client(url.replace("http:", "https:")) as asking:
        with pytest.raises(Unavailable, match="no secure connection") as insecure:
            await asking.solve("x")
        assert not insecure.value.retryable


@pytest.mark.parametrize(
    "url",
    [
        "",
        "service.example",
        "ftp://service.example",
        "http://",
        "http://host:port",
        "https://me:secret@service.example",
        "https://service.example/?key=secret",
    ],
)
def test_what_is_no_url_of_a_service_is_refused(url: str) -> None:
    with pytest.raises(InvalidRequest) as wrong:
        Address.of(url)
    assert "secret" not in str(wrong.value)


def test_a_key_is_kept() -> None:
    with pytest.raises(InvalidRequest, match="plain HTTP"):
        Address.of("http://service.example", "anb_secret")
    for url in ("https://service.example/v1/", "http://127.0.0.1:8080", "http://localhost", "http://[::1]:1"):
        address = Address.of(url, " anb_secret\n")
        assert address.headers == {"Authorization": "Bearer anb_secret"}
        assert "secret" not in f"{address!r} {address}"
    assert str(Address.of("https://service.example/v1/")) == "https://service.example"
    assert (
        str(Address.of("https://example.com/anabranch").at("/v1/tasks"))
        == "https://example.com/anabranch/v1/tasks"
    )
    assert Address.of("http://service.example", "anb_secret", plain_http=True).key == "anb_secret"


async def test_the_key_of_the_environment_is_for_the_service_of_the_environment(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async with answering(task()) as (url, requests):
        monkeypatch.setenv("ANABRANCH_KEY", "anb_secret")
        for named in (None, f"{url}/", "https://reason.example"):
            if named is not None:
                monkeypatch.setenv("ANABRANCH_URL", named)
            async with client(url) as asking:
                await asking.task("17")
    assert [request.headers.get("Authorization") for request in requests] == [
        "Bearer anb_secret",
        "Bearer anb_secret",
        None,
    ]


def test_what_is_given_counts_more_than_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ANABRANCH_URL", "http://127.0.0.1:9")
    monkeypatch.setenv("ANABRANCH_KEY", "anb_secret")
    with Client(engine=Simulator("Answer: 17"), database="memory") as here:
        assert here.solve("x", planner="direct").answer == "17"
    with Client(patience=IMPATIENT) as there, pytest.raises(Unavailable, match=r"127\.0\.0\.1:9"):
        there.solve("x")
    with pytest.raises(InvalidRequest, match="url asks a service elsewhere, and engine"):
        Client(url="http://127.0.0.1:9", engine=Simulator())
    monkeypatch.delenv("ANABRANCH_URL")
    with pytest.raises(InvalidRequest, match="give its url too"):
        Client(key="anb_secret")
    with pytest.raises(TypeError, match="databse"):
        Client(databse="memory")  # type: ignore[call-arg]

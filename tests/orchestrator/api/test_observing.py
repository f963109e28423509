"""What the service tells of requests: ids in responses and log lines, metrics, and whether it takes tasks."""

from __future__ import annotations

import asyncio
import json
import re
from dataclasses import replace

import pytest
from prometheus_client.parser import text_string_to_metric_families
from structlog.contextvars import merge_contextvars
from structlog.testing import capture_logs

from orchestrator.api.handlers import Handlers
from orchestrator.api.routes import routes_of
from orchestrator.errors import TaskNotFound
from orchestrator.tasks.service import Service
from storage.tasks import Task, TaskStatus
from tests.orchestrator.api.conftest import Api, Open, slow
from tests.orchestrator.api.test_workers import ANSWER, metrics_of, until
from tests.workers.pool.metrics import samples
from workers.engines.simulator.engine import Simulator
from workers.pool.member import Member
from workers.pool.pool import Pool

MADE = re.compile(r"[0-9a-f]{32}")


async def test_a_sane_request_id_is_kept_and_any_other_replaced(api: Api) -> None:
    kept = await api.get("/livez", headers={"X-Request-Id": "me/17:a.B_c=+-"})
    assert kept.headers["X-Request-Id"] == "me/17:a.B_c=+-"
    for given in ("", "a b", "x" * 129, 'a"b', "\u00e9"):
        made = (await api.get("/livez", headers={"X-Request-Id": given})).headers["X-Request-Id"]
        assert MADE.fullmatch(made), given
    twice = await api.get("/livez", headers=[("X-Request-Id", "a"), ("X-Request-Id", "b")])
    assert MADE.fullmatch(twice.headers["X-Request-Id"])


async def test_every_answer_has_an_id_of_its_own(api: Api) -> None:
    replies = [await api.get("/livez") for _ in range(3)]
    replies += [
        await api.get("/nowhere"),
        await api.call("DELETE", "/livez"),
        await api.get("/v1/tasks/none"),
    ]
    assert [each.status for each in replies] == [200, 200, 200, 404, 405, 404]
    assert len({each.headers["X-Request-Id"] for each in replies}) == len(replies)


async def test_an_event_stream_has_one_too(api: Api) -> None:
    task = (await api.submit(wait=60)).body
    async with api.session.get(f"/v1/tasks/{task['id']}/events", headers={"X-Request-Id": "s1"}) as response:
        assert response.headers["X-Request-Id"] == "s1"


async def test_log_lines_of_a_request_have_its_id_its_task_and_its_tenant(api: Api) -> None:
    with capture_logs(processors=[merge_contextvars]) as lines:
        await api.submit("a secret question?", wait=60, headers={"X-Request-Id": "r1", "X-Tenant": "green"})
        await api.get("/livez", headers={"X-Request-Id": "r2"})
    accepted, *others = [line for line in lines if line.get("request") == "r1"]
    ended = next(line for line in lines if line["event"] == "task ended")
    assert accepted["event"] == "task accepted"
    assert {accepted["task"], *(line["task"] for line in others)} == {ended["task"]}
    assert {accepted["tenant"], ended["tenant"]} == {"green"}
    [answered] = [line for line in others if line["event"] == "answered"]
    assert (answered["route"], answered["status"]) == ("/v1/tasks", 200)
    [probe] = [line for line in lines if line.get("request") == "r2"]
    assert "task" not in probe
    assert "tenant" not in probe
    assert "secret" not in json.dumps(lines, default=str)


async def test_requests_count_by_the_route_and_not_by_the_path(api: Api) -> None:
    task = (await api.submit(wait=60)).body["id"]
    for number in range(3):
        await api.get(f"/v1/tasks/{task}")
        await api.get(f"/v1/tasks/no-such-{number}")
        await api.get(f"/nowhere/{number}")
        await api.call("PROPFIND", f"/v1/tasks/{number}")
    text = await metrics_of(api)
    value = samples(text, prefix="anabranch_http_")
    name, of_task = "request_seconds_count", {"method": "GET", "route": "/v1/tasks/{id}"}
    assert value(name, status="200", **of_task) == value(name, status="404", **of_task) == 3
    assert value(name, status="404", method="GET", route="unknown") == 3
    assert value(name, status="405", method="other", route="unknown") == 3
    assert value(name, status="200", method="POST", route="/v1/tasks") == 1
    known = {route.path for route in routes_of(Handlers).values()} | {"unknown"}
    for family in text_string_to_metric_families(text):
        assert not any(family.name == f"{each.name}_created" for each in family.samples)
        for sample in family.samples:
            assert task not in str(sample.labels)
            assert sample.labels.get("route", "unknown") in known


async def test_no_task_makes_a_label_of_a_planner_that_is_not_there(open_api: Open) -> None:
    async with open_api() as api:
        ended = await api.service.task((await api.submit(wait=60)).body["id"])
        dead = replace(ended, id="0123456789abcdef", planner="made-up", status=TaskStatus.DEAD, solution=None)
        await api.service.store.restore(dead, [])
        assert (await api.call("POST", f"/v1/tasks/{dead.id}/requeue")).status == 200
        async with asyncio.timeout(60):
            async for _ in api.service.events(dead.id):
                pass
            await api.service.idle()
        assert (await api.service.task(dead.id)).status is TaskStatus.FAILED
        text = await metrics_of(api)
        assert "made-up" not in text
        value = samples(text, prefix="anabranch_")
        assert value("task_outcomes_total", planner="unknown", outcome="failed") == 1


async def test_who_follows_is_counted_while_he_does(open_api: Open) -> None:
    async with open_api(slow()) as api:
        task = (await api.submit()).body["id"]

        async def followers() -> float:
            return samples(await metrics_of(api), prefix="anabranch_http_")("followers")

        assert await followers() == 0
        async with api.session.get(f"/v1/tasks/{task}/events"):
            assert await followers() == 1
            value = samples(await metrics_of(api), prefix="anabranch_http_")
            stream = {"method": "GET", "route": "/v1/tasks/{id}/events", "status": "200"}
            assert value("request_seconds_count", **stream) == 1  # counted as it begins, not when it ends
        async with asyncio.timeout(60):
            while await followers():  # noqa: ASYNC110 -- it is the server that has to notice
                await asyncio.sleep(0.01)


async def test_a_client_that_leaves_before_its_answer_counts_as_499(open_api: Open) -> None:
    async with open_api(slow()) as api:
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(1):
                await api.submit(wait=60)
        gone = {"method": "POST", "route": "/v1/tasks", "status": "499"}
        async with asyncio.timeout(60):
            while True:
                try:
                    value = samples(await metrics_of(api), prefix="anabranch_http_")
                    assert value("request_seconds_count", **gone) == 1
                except KeyError:
                    await asyncio.sleep(0.01)
                else:
                    return


async def test_tasks_count_by_planner_and_outcome_with_their_tokens(open_api: Open) -> None:
    async with open_api(Simulator(ANSWER)) as api:
        await api.submit(wait=60)
        await api.submit("What is 6 * 8?", planner="vote", wait=60)
        value = samples(await metrics_of(api), prefix="anabranch_")
        assert value("task_outcomes_total", planner="direct", outcome="answered") == 1
        assert value("task_outcomes_total", planner="vote", outcome="answered") == 1
        assert value("task_run_seconds_count", planner="vote") == 1
        assert value("queue_wait_seconds_count") == 2
        of_all = sum(
            value("tokens_total", planner=planner, kind="completion") for planner in ("direct", "vote")
        )
        pool = value("pool_completion_tokens_total", replica="simulator")
        assert 0 < of_all <= pool + value("pool_wasted_tokens_total", replica="simulator")


async def test_services_in_one_process_count_for_themselves(open_api: Open) -> None:
    async with open_api(Simulator(ANSWER)) as one, open_api(Simulator(ANSWER), work=False) as other:
        await one.submit(wait=60)
        assert "anabranch_task_outcomes_total{" in await metrics_of(one)
        assert "anabranch_task_outcomes_total{" not in await metrics_of(other)


async def test_readiness_is_whether_tasks_are_taken_and_life_is_not(open_api: Open) -> None:
    engine = Simulator(ANSWER, name="a")
    async with open_api(Pool([Member(engine)], patience=0.2)) as api:
        await until(api, "/readyz", lambda reply: reply.status == 200)
        assert (await api.get("/readyz")).body == {"ok": True, "detail": ""}
        engine.kill("no power")
        await api.submit(wait=60)
        await until(api, "/readyz", lambda reply: reply.status == 503)
        assert "engine: " in (await api.get("/readyz")).body["detail"]
        assert (await api.get("/livez")).status == 200
        engine.revive()
        await until(api, "/readyz", lambda reply: reply.status == 200)
        api.draining.set()
        ready = await api.get("/readyz")
        assert (ready.status, ready.body["detail"]) == (503, "this process is shutting down")
        assert (await api.submit()).status == 503
        assert (await api.get("/livez")).status == 200


def refusals(text: str) -> dict[str, float]:
    """How many refusals are counted for each code."""
    return {
        sample.labels["code"]: sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
        if sample.name == "anabranch_http_refusals_total"
    }


async def test_refusals_are_counted_by_their_code(api: Api) -> None:
    assert refusals(await metrics_of(api)) == {}
    for _ in range(2):
        await api.get("/v1/tasks/none")
    await api.get("/nowhere")
    await api.call("DELETE", "/livez")
    await api.call("POST", "/v1/chat/completions", json={"model": "anabranch/none", "messages": []})
    await api.get("/livez")
    assert refusals(await metrics_of(api)) == {
        "task_not_found": 2,
        "not_found": 1,
        "method_not_allowed": 1,
        "invalid_request": 1,
    }


async def test_codes_that_only_a_planner_knows_have_one_label(
    api: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    codes = iter(["made_up_1", "made_up_2"])

    async def fail(_self: Service, _task_id: str) -> Task:
        error = TaskNotFound("there is none")
        error.code = next(codes)
        raise error

    monkeypatch.setattr(Service, "task", fail)
    for code in ("made_up_1", "made_up_2"):
        async with api.session.get("/v1/tasks/t") as response:
            assert (await response.json())["error"]["code"] == code
    assert refusals(await metrics_of(api)) == {"other": 2}

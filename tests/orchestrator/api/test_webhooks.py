"""Webhooks over the API, from registration to a message that the library verifies."""

from __future__ import annotations

import asyncio
import os
import re
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from orchestrator.settings import Settings
from orchestrator.webhooks import dispatcher
from tests.orchestrator.api.conftest import Api, Open, Reply, slow
from tests.orchestrator.webhooks.receiver import SECRET, Receiver, free_port, receiving

ROOT = Path(__file__).parents[3]


def settings(**given: Any) -> Settings:
    return Settings(
        grace_seconds=0.2,
        lease_seconds=3600.0,
        webhook_private_hosts=("127.0.0.1",),
        webhook_retry_seconds=(0.0,) * 3,
        **given,
    )


@pytest.fixture(autouse=True)
def quickly(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dispatcher, "IDLE_SECONDS", 0.02)


@pytest.fixture
async def receiver() -> AsyncIterator[Receiver]:
    async with receiving() as opened:
        yield opened


@pytest.fixture
async def hooks(open_api: Open) -> AsyncIterator[Api]:
    async with open_api(settings=settings()) as opened:
        yield opened


async def register(api: Api, receiver: Receiver, tenant: str | None = None, **given: Any) -> Reply:
    headers = {"X-Tenant": tenant} if tenant else None
    return await api.call("POST", "/v1/webhooks", json={"url": receiver.url, **given}, headers=headers)


async def test_from_registration_to_a_verified_message(hooks: Api, receiver: Receiver) -> None:
    made = await register(hooks, receiver, events=["task.succeeded"], description="mine")
    assert made.status == 201
    path = made.headers["Location"]
    assert path == f"/v1/webhooks/{made.body['id']}"
    secret = made.body.pop("secret")
    assert made.body == (await hooks.get(path)).body
    assert (await hooks.get("/v1/webhooks")).body == {"webhooks": [made.body]}
    task = (await hooks.submit()).body["id"]
    [received] = await receiver.until(1)
    told = received.verified(secret)
    assert (told["type"], told["data"]["id"]) == ("task.succeeded", task)
    solved = (await hooks.get(told["data"]["url"])).body
    assert solved["solution"]["answer"] == "42"
    assert told["data"]["finished_at"] == solved["finished_at"]


async def test_a_task_names_its_own_webhook(hooks: Api, receiver: Receiver) -> None:
    asked = {"url": receiver.url, "secret": SECRET}
    task = (await hooks.submit(webhook=asked)).body
    name = task["options"]["webhook"]
    assert SECRET not in str(task)
    [received] = await receiver.until(1)
    assert received.verified()["data"]["id"] == task["id"]
    shown = (await hooks.get(f"/v1/webhooks/{name}")).body
    assert (shown["named"], shown["url"]) == (True, receiver.url)
    assert SECRET not in str(shown)
    assert (await hooks.get("/v1/webhooks")).body == {"webhooks": []}
    await hooks.submit()  # names none
    again = (await hooks.submit(webhook=asked)).body
    assert again["options"]["webhook"] == name
    received = (await receiver.until(2))[-1]
    assert received.data["data"]["id"] == again["id"]
    replayed = await hooks.call("POST", f"/v1/tasks/{task['id']}/replay")
    assert replayed.status == 200


async def test_the_same_key_with_another_webhook_is_another_request(hooks: Api, receiver: Receiver) -> None:
    key = {"Idempotency-Key": "the same"}
    asked = {"url": receiver.url, "secret": SECRET}
    first = await hooks.submit(webhook=asked, headers=key)
    assert (await hooks.submit(webhook=asked, headers=key)).body["id"] == first.body["id"]
    other = await hooks.submit(webhook=asked | {"events": ["task.failed"]}, headers=key)
    assert (other.status, other.error) == (409, "idempotency_conflict")


async def test_a_queued_task_that_is_cancelled_is_told(open_api: Open, receiver: Receiver) -> None:
    async with open_api(slow(), settings=settings(concurrency=1)) as api:
        made = (await register(api, receiver)).body
        await api.submit()
        queued = (await api.submit()).body["id"]
        await api.call("POST", f"/v1/tasks/{queued}/cancel")
        [received] = await receiver.until(1)
        told = received.verified(made["secret"])
    assert (told["type"], told["data"]["id"]) == ("task.cancelled", queued)


@pytest.mark.parametrize(
    ("webhook", "why"),
    [
        ({"url": "http://127.0.0.1/"}, "secret: Field required"),
        ({"url": "http://127.0.0.1/", "secret": "word"}, "24 to 64 random bytes"),
        ({"url": "http://example.com/", "secret": SECRET}, "https://"),
        ({"url": "https://169.254.169.254/", "secret": SECRET}, "public internet"),
        ({"url": "https://example.com/\r\nHost: evil", "secret": SECRET}, "blanks"),
        ({"url": "https://example.com/", "secret": SECRET, "events": ["task.ended"]}, "task.succeeded"),
        ("wh_1", "webhook: "),
    ],
)
async def test_what_a_task_cannot_name_is_told(open_api: Open, webhook: Any, why: str) -> None:
    async with open_api(work=False, settings=settings()) as api:
        reply = await api.submit(webhook=webhook)
        assert (reply.status, reply.error) == (400, "invalid_request")
        assert why in reply.message
        assert SECRET not in reply.message
        assert (await api.get("/v1/tasks")).body["tasks"] == []


async def test_other_tenants_see_nothing_of_a_webhook(open_api: Open, receiver: Receiver) -> None:
    async with open_api(work=False, settings=settings()) as api:
        made = (await register(api, receiver, tenant="mine")).body
        path = f"/v1/webhooks/{made['id']}"
        ping = (await api.call("POST", f"{path}/ping", headers={"X-Tenant": "mine"})).body["id"]
        for tenant, status in (("other", 404), ("mine", 200)):
            headers = {"X-Tenant": tenant}
            for method, route in (
                ("GET", path),
                ("GET", f"{path}/deliveries"),
                ("POST", f"{path}/ping"),
                ("POST", f"{path}/rotate"),
                ("POST", f"{path}/enable"),
                ("POST", f"{path}/deliveries/{ping}/resend"),
                ("DELETE", path),
            ):
                reply = await api.call(method, route, headers=headers)
                assert reply.status == (
                    202 if status == 200 and route.endswith(("ping", "resend")) else status
                )
                if status == 404:
                    assert reply.error == "webhook_not_found"
            listed = (await api.get("/v1/webhooks", headers={"X-Tenant": "other"})).body["webhooks"]
            assert listed == []


async def test_a_tenant_is_told_of_its_own_tasks_only(hooks: Api, receiver: Receiver) -> None:
    await register(hooks, receiver, tenant="mine")
    await hooks.submit(tenant="other", wait=60)
    mine = (await hooks.submit(tenant="mine", wait=60)).body["id"]
    [received] = await receiver.until(1)
    assert received.data["data"]["id"] == mine
    assert len(receiver.received) == 1


async def test_deliveries_are_listed_and_sent_again(hooks: Api) -> None:
    async with receiving(500, 500, 500, 500) as receiver:
        made = (await register(hooks, receiver)).body
        path = f"/v1/webhooks/{made['id']}"
        queued = await hooks.call("POST", f"{path}/ping")
        assert (queued.status, queued.body["status"]) == (202, "pending")
        dead = await _ended(hooks, path)
        assert (dead["status"], dead["attempts"], dead["http_status"]) == ("dead", 4, 500)
        assert dead["error"] == "it answered 500"
        assert dead["due_at"] is None
        filtered = (await hooks.get(f"{path}/deliveries?status=delivered")).body
        assert filtered == {"deliveries": [], "next": None}
        again = await hooks.call("POST", f"{path}/deliveries/{dead['id']}/resend")
        assert (again.status, again.body["id"]) == (202, dead["id"])
        received = await receiver.until(5)
        assert (await _ended(hooks, path))["status"] == "delivered"
    assert {each.id for each in received} == {dead["id"]}


async def _ended(api: Api, path: str) -> Any:
    """The newest delivery, once it has ended."""
    async with asyncio.timeout(60):
        while True:
            [delivery, *_] = (await api.get(f"{path}/deliveries")).body["deliveries"]
            if delivery["status"] != "pending":
                return delivery
            await asyncio.sleep(0.02)


async def test_a_rotation_shows_a_new_secret_once(hooks: Api, receiver: Receiver) -> None:
    made = (await register(hooks, receiver)).body
    path = f"/v1/webhooks/{made['id']}"
    rotated = (await hooks.call("POST", f"{path}/rotate?keep_seconds=60")).body
    assert rotated["secret"] != made["secret"]
    assert rotated["secrets"] == 2
    await hooks.call("POST", f"{path}/ping")
    [received] = await receiver.until(1)
    assert received.verified(made["secret"]) == received.verified(rotated["secret"])
    assert "secret" not in (await hooks.get(path)).body
    wrong = await hooks.call("POST", f"{path}/rotate?keep_seconds=1e9")
    assert (wrong.status, wrong.error) == (400, "invalid_request")


@pytest.mark.parametrize("name", ["wh_none", "%00", "%ED%A0%80", "a" * 300, "'; DROP TABLE webhooks"])
async def test_what_is_not_there_is_not_found(open_api: Open, name: str) -> None:
    async with open_api(work=False) as api:
        for reply in (
            await api.get(f"/v1/webhooks/{name}"),
            await api.get(f"/v1/webhooks/{name}/deliveries"),
            await api.call("POST", f"/v1/webhooks/{name}/deliveries/{name}/resend"),
        ):
            assert (reply.status, reply.error) == (404, "webhook_not_found")


async def test_the_receiver_of_the_guide_verifies_what_it_gets(hooks: Api) -> None:
    """The receiver from docs/webhooks.md, run as it stands."""
    page = (ROOT / "docs/webhooks.md").read_text()
    [script] = re.findall(r"^```python\n(.*?)^```$", page, re.DOTALL | re.MULTILINE)
    port = free_port()
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-c",
        script.replace("8765", str(port)),
        stdout=asyncio.subprocess.PIPE,
        env={**os.environ, "SECRET": SECRET},
    )
    assert process.stdout is not None
    try:
        await _listens(port)
        task = (await hooks.submit(webhook={"url": f"http://127.0.0.1:{port}/", "secret": SECRET})).body
        told = await asyncio.wait_for(process.stdout.readline(), 60)
        assert told.decode().split() == ["task.succeeded", task["id"]]
        delivery = await _ended(hooks, f"/v1/webhooks/{task['options']['webhook']}")
        assert (delivery["status"], delivery["http_status"]) == ("delivered", 204)
    finally:
        process.kill()
        await process.wait()


async def _listens(port: int) -> None:
    async with asyncio.timeout(60):
        while True:
            try:
                _, writer = await asyncio.open_connection("127.0.0.1", port)
            except OSError:
                await asyncio.sleep(0.05)
            else:
                writer.close()
                return

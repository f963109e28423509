"""Deliveries from the end of a task to a receiver, by one process and by several."""

from __future__ import annotations

import asyncio
import itertools
import json
import signal
import sys
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web

from orchestrator.errors import InvalidRequest, Unavailable
from orchestrator.settings import Settings
from orchestrator.webhooks import dispatcher
from orchestrator.webhooks.registry import Registry, registration
from storage.endpoints import DeliveryStatus, Webhook
from storage.opening import open_store
from storage.store import Store
from storage.tasks import NewTask, TaskStatus
from tests.orchestrator.webhooks.receiver import Receiver, receiving

ROOT = Path(__file__).parents[3]


def settings(retries: tuple[float, ...] = (0.0,) * 5) -> Settings:
    return Settings.model_construct(webhook_private_hosts=("127.0.0.1",), webhook_retry_seconds=retries)


@pytest.fixture(autouse=True)
def quickly(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dispatcher, "IDLE_SECONDS", 0.01)


@pytest.fixture(params=["memory", "sqlite"])
async def store(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Store]:
    url = "memory" if request.param == "memory" else f"sqlite:///{tmp_path / 'test.db'}"
    async with await open_store(url) as opened:
        yield opened


async def registered(registry: Registry, receiver: Receiver, **given: Any) -> Webhook:
    return await registry.register(registration({"url": receiver.url, **given}), "default")


async def end(store: Store, status: TaskStatus = TaskStatus.SUCCEEDED) -> str:
    claim = await store.start(NewTask(question={"query": "q"}, planner="vote"), "me", 30.0)
    await store.finish(claim, status, outcome="answered")
    return claim.task.id


async def settled(registry: Registry, webhook: Webhook) -> Any:
    """The newest delivery, once it is no longer pending."""
    async with asyncio.timeout(60):
        while True:
            found = await registry.deliveries(webhook.id, None, status=None, limit=1, before=None)
            if found and found[0].status is not DeliveryStatus.PENDING:
                return found[0]
            await asyncio.sleep(0.01)


async def test_the_end_of_a_task_arrives_signed(store: Store) -> None:
    registry = Registry(store, settings())
    async with receiving() as receiver, registry.working():
        webhook = await registered(registry, receiver)
        task = await end(store)
        [received] = await receiver.until(1)
        told = received.verified(webhook.secrets[0].text)
        assert told["type"] == "task.succeeded"
        assert told["data"]["id"] == task
        delivery = await settled(registry, webhook)
    assert (delivery.status, delivery.attempts, delivery.id) == (DeliveryStatus.DELIVERED, 1, received.id)
    assert delivery.body.encode() == received.body


async def test_a_receiver_that_fails_is_tried_again_with_the_same_id_and_bytes(store: Store) -> None:
    registry = Registry(store, settings())
    async with receiving(500, 404, 503) as receiver, registry.working():
        webhook = await registered(registry, receiver)
        await end(store)
        received = await receiver.until(4)
        delivery = await settled(registry, webhook)
        assert (await registry.get(webhook.id, None)).failures == 0
    assert (delivery.status, delivery.attempts) == (DeliveryStatus.DELIVERED, 4)
    assert len({(each.id, each.body) for each in received}) == 1
    for each in received:
        each.verified(webhook.secrets[0].text)


async def test_a_delivery_that_never_succeeds_is_dead_and_can_be_sent_again(store: Store) -> None:
    registry = Registry(store, settings(retries=(0.0, 0.0)))
    async with receiving(500, 500, 500) as receiver, registry.working():
        webhook = await registered(registry, receiver)
        await end(store)
        dead = await settled(registry, webhook)
        assert (dead.status, dead.attempts, dead.http_status) == (DeliveryStatus.DEAD, 3, 500)
        assert len(receiver.received) == 3
        await registry.resend(webhook.id, None, dead.id)
        received = await receiver.until(4)
        assert (await settled(registry, webhook)).status is DeliveryStatus.DELIVERED
    assert {each.id for each in received} == {dead.id}


async def test_attempts_are_counted_by_what_came_of_them(store: Store) -> None:
    registry = Registry(store, settings(retries=(0.0, 0.0)))

    def counted() -> dict[str, float]:
        return {
            sample.labels["result"]: sample.value
            for family in registry.meters.registry.collect()
            for sample in family.samples
            if sample.name.endswith("_total")
        }

    assert set(counted().values()) == {0}
    async with receiving(500, 302, 200, 410) as receiver:
        webhook = await registered(registry, receiver)
        async with registry.working():
            await end(store)
            assert (await settled(registry, webhook)).attempts == 3
            task = await end(store)
            await receiver.until(4)
            gone = await settled(registry, webhook)
            assert json.loads(gone.body)["data"]["id"] == task
    assert gone.http_status == 410
    assert counted() == {"delivered": 1, "refused": 2, "gone": 1, "unanswered": 0}
    await registry.enable(webhook.id, None)
    async with registry.working():  # nobody listens there any more
        await registry.resend(webhook.id, None, gone.id)
        unheard = await settled(registry, webhook)
    assert (unheard.status, counted()["unanswered"]) == (DeliveryStatus.DEAD, unheard.attempts)


async def test_an_endpoint_that_is_gone_is_disabled(store: Store) -> None:
    registry = Registry(store, settings())
    async with receiving(410) as receiver, registry.working():
        webhook = await registered(registry, receiver)
        await end(store)
        assert (await settled(registry, webhook)).status is DeliveryStatus.DEAD
        with pytest.raises(Unavailable, match="410") as refused:
            await registry.ping(webhook.id, None)
        assert (refused.value.code, refused.value.http_status) == ("webhook_disabled", 409)
        await registry.enable(webhook.id, None)
        await registry.ping(webhook.id, None)
        assert (await receiver.until(2))[-1].data["type"] == "webhook.ping"


async def test_after_a_rotation_both_secrets_verify_for_a_time(store: Store) -> None:
    registry = Registry(store, settings())
    async with receiving() as receiver, registry.working():
        webhook = await registered(registry, receiver)
        rotated = await registry.rotate(webhook.id, None, 3600.0)
        await registry.ping(webhook.id, None)
        [received] = await receiver.until(1)
        first, second = webhook.secrets[0].text, rotated.secrets[0].text
        assert first != second
        assert received.verified(first) == received.verified(second)


async def test_a_dead_receiver_costs_others_nothing(store: Store) -> None:
    hanging = asyncio.Event()

    async def silent(request: web.Request) -> web.Response:
        hanging.set()
        await asyncio.sleep(3600)
        return web.Response()

    registry = Registry(store, settings())
    async with receiving(*[silent] * 500) as dead, receiving() as alive:
        for _ in range(3):
            await registered(registry, dead)
        async with registry.working():
            for _ in range(20):
                await end(store)
            await hanging.wait()
            webhook = await registered(registry, alive)
            task = await end(store)
            for count in itertools.count(1):  # it may be told of what ended just before it was registered
                if (await alive.until(count))[-1].data["data"]["id"] == task:
                    break
            assert (await settled(registry, webhook)).status is DeliveryStatus.DELIVERED
            assert len(dead.received) == 3 * dispatcher.ROOM.each  # and no more while those are under way


async def test_many_ends_arrive_once_each(store: Store) -> None:
    registry = Registry(store, settings())
    async with receiving() as receiver, registry.working():
        await registered(registry, receiver)
        tasks = {await end(store) for _ in range(20)}
        received = await receiver.until(20)
        assert {each.data["data"]["id"] for each in received} == tasks
        assert len({each.id for each in received}) == 20


DYING = """
import asyncio, os, signal, sys
from orchestrator.settings import Settings
from orchestrator.webhooks import dispatcher
from orchestrator.webhooks.registry import Registry
from storage.opening import open_store
from storage.tasks import NewTask, TaskStatus

dispatcher.LEASE_SECONDS = 0.05

async def main(url, delivering):
    async with await open_store(url) as store:
        registry = Registry(store, Settings(webhook_private_hosts=("127.0.0.1",)))
        claim = await store.start(NewTask(question={"query": "q"}, planner="vote"), "me", 30.0)
        await store.finish(claim, TaskStatus.SUCCEEDED, outcome="answered")
        print(claim.task.id, flush=True)
        if not delivering:
            os.kill(os.getpid(), signal.SIGKILL)
        async with registry.working():
            await asyncio.sleep(3600)

asyncio.run(main(sys.argv[1], len(sys.argv) > 2))
"""
"""A process that ends a task, and is killed before it delivers, or while it does."""


@pytest.mark.slow
@pytest.mark.parametrize("delivering", [False, True])
async def test_a_process_that_dies_is_replaced_by_another(tmp_path: Path, delivering: bool) -> None:
    async def hanging(request: web.Request) -> web.Response:
        await asyncio.sleep(3600)
        return web.Response()

    url = f"sqlite:///{tmp_path / 'test.db'}"
    arguments = ["-c", DYING, url, *(["delivering"] if delivering else [])]
    async with receiving(*[hanging] * delivering) as receiver, await open_store(url) as store:
        registry = Registry(store, settings())
        webhook = await registered(registry, receiver)
        dying = await asyncio.create_subprocess_exec(
            sys.executable, *arguments, stdout=asyncio.subprocess.PIPE, cwd=ROOT
        )
        try:
            assert dying.stdout is not None
            task = (await dying.stdout.readline()).decode().strip()
            if delivering:
                await receiver.until(1)
                dying.kill()
            assert await dying.wait() == -signal.SIGKILL
        finally:
            if dying.returncode is None:
                dying.kill()
        async with registry.working():
            received = await receiver.until(2 if delivering else 1)
            delivery = await settled(registry, webhook)
    assert {each.id for each in received} == {delivery.id}
    assert {each.verified(webhook.secrets[0].text)["data"]["id"] for each in received} == {task}
    assert (delivery.status, delivery.attempts) == (DeliveryStatus.DELIVERED, 1 + delivering)


async def test_a_store_that_fails_for_a_while_loses_nothing(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    outcomes = _failing_first(3)
    for name in ("spread", "claim", "settle"):
        whole = getattr(store.webhooks, name)

        async def failing(
            *given: Any, _whole: Any = whole, _outcomes: Iterator[bool] = outcomes, **more: Any
        ) -> Any:
            if next(_outcomes):
                raise RuntimeError("a bug")
            return await _whole(*given, **more)

        monkeypatch.setattr(store.webhooks, name, failing)
    monkeypatch.setattr(dispatcher, "LONGEST_PAUSE", 0.01)
    monkeypatch.setattr(dispatcher, "LEASE_SECONDS", 0.05)
    registry = Registry(store, settings())
    async with receiving() as receiver, registry.working():
        webhook = await registered(registry, receiver)
        await end(store)
        assert (await settled(registry, webhook)).status is DeliveryStatus.DELIVERED


def _failing_first(count: int) -> Iterator[bool]:
    yield from [True] * count
    while True:
        yield False


@pytest.mark.parametrize(
    ("wrong", "why"),
    [
        ({}, "url: Field required"),
        ({"url": "http://example.com"}, "https://"),
        ({"url": "https://127.0.0.2"}, "public internet"),
        ({"url": "https://example.com", "events": []}, "events"),
        ({"url": "https://example.com", "events": ["task.ended"]}, "task.succeeded"),
        ({"url": "https://example.com", "description": "a\0b"}, "control characters"),
        ({"url": "https://example.com", "secret": "mine"}, "secret"),
    ],
)
async def test_what_cannot_be_registered_is_told(wrong: dict[str, Any], why: str) -> None:
    async with await open_store("memory") as store:
        with pytest.raises(InvalidRequest, match=why):
            await Registry(store, settings()).register(registration(wrong), "default")

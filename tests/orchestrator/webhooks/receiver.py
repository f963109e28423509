"""A receiver of webhooks on a real socket, and deliveries to it."""

from __future__ import annotations

import asyncio
import json
import socket
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from aiohttp import web
from standardwebhooks.webhooks import Webhook as Verifier

from storage.endpoints import Delivery, DeliveryStatus, Due, Secret, Webhook

SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"

Answer = Callable[[web.Request], Awaitable[web.StreamResponse]]


@dataclass(frozen=True)
class Received:
    """One request, as it came."""

    path: str
    headers: Mapping[str, str]
    body: bytes

    @property
    def id(self) -> str:
        return self.headers["webhook-id"]

    @property
    def data(self) -> Any:
        return json.loads(self.body)

    def verified(self, secret: str = SECRET) -> Any:
        """What the library of Standard Webhooks makes of it; raises if the signature is wrong."""
        return Verifier(secret).verify(self.body, dict(self.headers))


@dataclass
class Receiver:
    """Keeps all that comes, and answers with the next of ``answers``, or else with ``status``."""

    port: int = 0
    status: int = 204
    answers: list[int | Answer] = field(default_factory=list)
    received: list[Received] = field(default_factory=list)
    host: str = "127.0.0.1"
    _changed: asyncio.Condition = field(default_factory=asyncio.Condition)

    @property
    def url(self) -> str:
        return f"http://{self.host}:{self.port}/hook"

    async def until(self, count: int) -> list[Received]:
        """All that has come, once it is so much."""
        async with self._changed, asyncio.timeout(60):
            await self._changed.wait_for(lambda: len(self.received) >= count)
        return self.received

    async def take(self, request: web.Request) -> web.StreamResponse:
        body = await request.read()
        async with self._changed:
            self.received.append(Received(request.path_qs, request.headers.copy(), body))
            self._changed.notify_all()
        answer = self.answers.pop(0) if self.answers else self.status
        return web.Response(status=answer) if isinstance(answer, int) else await answer(request)


@asynccontextmanager
async def receiving(
    *answers: int | Answer, host: str = "127.0.0.1", port: int = 0
) -> AsyncIterator[Receiver]:
    receiver = Receiver(answers=list(answers), host=host)
    application = web.Application()
    application.router.add_route("*", "/{path:.*}", receiver.take)
    runner = web.AppRunner(application, shutdown_timeout=0.1, access_log=None)
    await runner.setup()
    try:
        await web.TCPSite(runner, host, port).start()
        receiver.port = runner.addresses[0][1]
        yield receiver
    finally:
        await runner.cleanup()


def due(url: str, *, secrets: tuple[Secret, ...] = (Secret(SECRET),), attempts: int = 1, **given: Any) -> Due:
    webhook = Webhook(
        id="wh_1", tenant="default", url=url, events=("task.failed",), secrets=secrets, created_at=0.0
    )
    members: dict[str, Any] = {"id": "msg_1", "type": "task.failed", "body": '{"type":"task.failed"}'}
    return Due(
        Delivery(
            webhook_id="wh_1",
            status=DeliveryStatus.PENDING,
            attempts=attempts,
            created_at=0.0,
            due_at=0.0,
            expires_at=1e12,
            **(members | given),
        ),
        webhook,
    )


def free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])

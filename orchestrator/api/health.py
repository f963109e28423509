"""The routes by which a supervisor sees whether this process lives, and whether it can take tasks."""

from __future__ import annotations

import asyncio

from aiohttp import web

from orchestrator.api.callers import is_known
from orchestrator.api.exchange import respond
from orchestrator.api.listening import trouble
from orchestrator.api.problems import Draining
from orchestrator.api.routes import route
from orchestrator.bodies import VERSION, Check, HealthBody, LifeBody, ReadyBody
from orchestrator.tasks.service import Service


class HealthHandlers:
    """The part of the handlers that tells of the health of a service."""

    def __init__(self, service: Service, draining: asyncio.Event) -> None:
        self._service = service
        self._draining = draining

    def _check_open(self) -> None:
        """Take nothing new any more once the process is about to end. Raises Draining."""
        if self._draining.is_set():
            raise Draining("this process is shutting down; try again")

    @route(
        "GET",
        "/healthz",
        (200, "Tasks can be taken and solved.", HealthBody),
        (503, "They cannot; the body says why, to callers with a key.", HealthBody),
        scope=None,
        watched=True,
    )
    async def health(self, request: web.Request) -> web.Response:
        """Check whether tasks can be taken and solved."""
        found = await self._service.health.checks()
        refusing, known = trouble(request), is_known(request)
        checks = {name: _check(check.ok, check.detail, known) for name, check in found.items()}
        checks["connections"] = _check(not refusing, refusing, known)
        body = HealthBody(status="ok", version=VERSION, **checks)
        if self._draining.is_set():
            body.status = "draining"
        elif not all(check.ok for check in checks.values()):
            body.status = "unavailable"
        return respond(body, 200 if body.status == "ok" else 503)

    @route(
        "GET",
        "/readyz",
        (200, "This process takes tasks now.", ReadyBody),
        (503, "It takes none; the body says why, to callers with a key.", ReadyBody),
        scope=None,
        watched=True,
    )
    async def ready(self, request: web.Request) -> web.Response:
        """Check whether this process takes tasks now."""
        why = await self._unready(request)
        told = why if why is not None and is_known(request) else ""
        return respond(ReadyBody(ok=why is None, detail=told), 200 if why is None else 503)

    async def _unready(self, request: web.Request) -> str | None:
        if self._draining.is_set():
            return "this process is shutting down"
        if why := self._service.health.failed() or trouble(request):
            return why
        found = await self._service.health.checks()
        return next((f"{name}: {check.detail}" for name, check in found.items() if not check.ok), None)

    @route(
        "GET",
        "/livez",
        (200, "This process works, or will once what it needs is there.", LifeBody),
        (503, "It must be started again; the body says why, to callers with a key.", LifeBody),
        scope=None,
        watched=True,
    )
    async def life(self, request: web.Request) -> web.Response:
        """Check whether this process must be started again."""
        why = self._service.health.failed()
        detail = (why or "") if is_known(request) else ""
        return respond(LifeBody(ok=why is None, detail=detail), 200 if why is None else 503)


def _check(ok: bool, detail: str, known: bool) -> Check:
    """A part as a caller learns of it: what it says of itself is only for callers that are known."""
    return Check(ok=ok, detail=detail if known else "")

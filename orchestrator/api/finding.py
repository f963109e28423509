"""How a request names a task, and what keeps it from one that its caller may not see."""

from __future__ import annotations

from aiohttp import web
from structlog.contextvars import bind_contextvars

from orchestrator.api.callers import tenant_of
from orchestrator.api.exchange import LONGEST_NAME, is_name
from orchestrator.api.health import HealthHandlers
from orchestrator.errors import TaskNotFound
from storage.tasks import Task

ANYTHING = {"application/json": {"schema": {"type": "object"}}}


class TaskHandlers(HealthHandlers):
    """What the handlers of tasks have in common."""

    async def _find(self, request: web.Request, task_id: str | None = None) -> Task:
        """A task, by default that of the path; if the request names a tenant, only one of that tenant.

        Raises:
            TaskNotFound: there is none that the caller may see.
        """
        task = await self._visible(task_id or request.match_info["id"], tenant_of(request))
        bind_contextvars(task=task.id, tenant=task.tenant)
        return task

    async def _visible(self, wanted: str, tenant: str | None) -> Task:
        """A task of that tenant; None: of any. Raises as :meth:`_find`."""
        if is_name(wanted):  # a database may refuse to look for anything else
            task = await self._service.task(wanted)
            if tenant in (None, task.tenant):
                return task
        raise TaskNotFound(f"there is no task {wanted[:LONGEST_NAME]!r}")

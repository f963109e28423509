"""The metrics of a service and of its engine, for Prometheus."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping

from orchestrator.tasks.service import Service
from storage.errors import StorageError
from storage.tasks import Priority, TaskStatus
from workers.exposition import exposition, metric

TURNED_AWAY = (
    *("queue_full", "tenant_queue_full", "deadline_unreachable", "deadline_passed"),
    "deadline_exceeded",
)
PATIENCE_SECONDS = 2.0
"""How long the database may take to tell the length of the queue, before it is left out."""

ENDINGS = (TaskStatus.SUCCEEDED, TaskStatus.FAILED, TaskStatus.CANCELLED)


async def metrics(service: Service) -> str:
    """All metrics of this process; those of several processes on one database add up.

    All but the length of the queue, which is that of the database.
    """
    ended = (({"status": str(status)}, service.ended[status]) for status in ENDINGS)
    own = (
        *metric(
            "anabranch_tasks_running", "gauge", "Tasks that this process is running.", [({}, service.running)]
        ),
        *metric("anabranch_tasks_ended_total", "counter", "Tasks that this process has run.", ended),
        *metric(
            "anabranch_tasks_turned_away_total",
            "counter",
            "Tasks that this process has refused, or ended since their deadlines passed while they waited.",
            (({"code": code}, service.turned_away[code]) for code in TURNED_AWAY),
        ),
        *metric(
            "anabranch_queue_length",
            "gauge",
            "Tasks that wait to begin, in the whole database.",
            [({"priority": priority}, count) for priority, count in (await _queue_length(service)).items()],
        ),
    )
    return exposition(own) + service.engine.metrics()


async def _queue_length(service: Service) -> Mapping[str, int]:
    """How many tasks wait to begin, by priority; nothing while the database does not tell."""
    try:
        async with asyncio.timeout(PATIENCE_SECONDS):
            lengths = await service.store.waiting()
    except (StorageError, TimeoutError):
        return {}
    return {priority.value: sum(lengths.get(priority, {}).values()) for priority in Priority}

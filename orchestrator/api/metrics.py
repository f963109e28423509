"""The metrics of a service and of its engine, for Prometheus."""

from __future__ import annotations

from orchestrator.tasks.service import Service
from storage.tasks import TaskStatus
from workers.exposition import exposition, metric

ENDINGS = (TaskStatus.SUCCEEDED, TaskStatus.FAILED, TaskStatus.CANCELLED)


def metrics(service: Service) -> str:
    """All metrics of this process; those of several processes on one database add up."""
    ended = (({"status": str(status)}, service.ended[status]) for status in ENDINGS)
    own = (
        *metric(
            "anabranch_tasks_running", "gauge", "Tasks that this process is running.", [({}, service.running)]
        ),
        *metric("anabranch_tasks_ended_total", "counter", "Tasks that this process has run.", ended),
    )
    return exposition(own) + service.engine.metrics()

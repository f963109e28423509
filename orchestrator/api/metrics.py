"""The metrics of a service, of its HTTP server and of its engine, for Prometheus."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Mapping

from aiohttp import web
from prometheus_client import CollectorRegistry, Counter, Histogram
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric

from orchestrator.api.listening import connections
from orchestrator.api.problems import codes
from orchestrator.api.streams import Streams
from orchestrator.bodies import VERSION
from orchestrator.tasks.service import Service
from storage.errors import StorageError
from storage.tasks import Priority, TaskStatus
from workers.pool.metrics import CONTENT_TYPE, exposition

__all__ = ["CONTENT_TYPE", "HttpMeters", "metrics"]

TURNED_AWAY = (
    *("queue_full", "tenant_queue_full", "deadline_unreachable", "deadline_passed"),
    "deadline_exceeded",
)
PATIENCE_SECONDS = 2.0
"""How long the database may take to tell the length of the queue, before it is left out."""

ENDINGS = (TaskStatus.SUCCEEDED, TaskStatus.FAILED, TaskStatus.CANCELLED)
METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})
BOUNDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0)

OTHER = "other"

LEFT = 499
"""The status by which requests count whose client left before there was a response."""


class HttpMeters:
    """Counts the requests of one application, and shows who follows tasks there.

    The labels are few whatever clients send: paths are those of the table of routes, not of requests.
    """

    def __init__(self, streams: Streams) -> None:
        self._streams = streams
        self._registry = CollectorRegistry()
        self._requests = Histogram(
            "anabranch_http_request_seconds",
            "From a request's arrival to the beginning of its response.",
            ("method", "route", "status"),
            buckets=BOUNDS,
            registry=self._registry,
        )
        self._refusals = Counter(
            "anabranch_http_refusals_total",
            "Requests that were answered with an error, by its code.",
            ("code",),
            registry=self._registry,
        )
        self._codes = codes()

    def answered(self, request: web.Request, status: int, seconds: float) -> None:
        """Count a request."""
        method = request.method if request.method in METHODS else "other"
        self._requests.labels(method, route_of(request), str(status)).observe(seconds)

    def refused(self, code: str) -> None:
        """Count a request that is answered with an error. A code that only its planner knows is ``other``."""
        self._refusals.labels(code if code in self._codes else OTHER).inc()

    def collect(self, request: web.Request) -> Iterator[Metric]:
        """The metrics now; ``request`` is one of the same server."""
        yield from self._registry.collect()
        yield GaugeMetricFamily(
            "anabranch_http_followers",
            "Event streams and waiting requests that are open.",
            value=self._streams.followers,
        )
        yield GaugeMetricFamily(
            "anabranch_http_connections", "Connections that are open.", value=connections(request)
        )


def route_of(request: web.Request) -> str:
    """The path of a request as the table of routes has it; of one that is not there, ``unknown``."""
    resource = request.match_info.route.resource
    return "unknown" if resource is None else resource.canonical


async def metrics(service: Service, http: HttpMeters, request: web.Request) -> str:
    """All metrics of this process; those of several processes on one database add up.

    All but the length of the queue, which is that of the database.
    """
    told = [
        *_of_service(service),
        *_of_queue(await _queue_length(service)),
        *service.meters.registry.collect(),
        *service.webhooks.meters.registry.collect(),
        *http.collect(request),
    ]
    return exposition(told) + service.engine.metrics()


def _of_service(service: Service) -> Iterator[Metric]:
    yield GaugeMetricFamily(
        "anabranch_tasks_running", "Tasks that this process is running.", value=service.running
    )
    ended = CounterMetricFamily(
        "anabranch_tasks_ended_total", "Tasks that this process has run.", labels=("status",)
    )
    for status in ENDINGS:
        ended.add_metric((str(status),), service.ended[status])
    yield ended
    turned_away = CounterMetricFamily(
        "anabranch_tasks_turned_away_total",
        "Tasks that this process has refused, or ended since their deadlines passed while they waited.",
        labels=("code",),
    )
    for code in TURNED_AWAY:
        turned_away.add_metric((code,), service.turned_away[code])
    yield turned_away
    info = GaugeMetricFamily(
        "anabranch_build_info", "1; its label is the version of the program.", labels=("version",)
    )
    info.add_metric((VERSION,), 1)
    yield info


def _of_queue(lengths: Mapping[str, int]) -> Iterator[Metric]:
    waiting = GaugeMetricFamily(
        "anabranch_queue_length", "Tasks that wait to begin, in the whole database.", labels=("priority",)
    )
    for priority, count in lengths.items():
        waiting.add_metric((priority,), count)
    yield waiting


async def _queue_length(service: Service) -> Mapping[str, int]:
    """How many tasks wait to begin, by priority; nothing while the database does not tell."""
    try:
        async with asyncio.timeout(PATIENCE_SECONDS):
            lengths = await service.store.waiting()
    except (StorageError, TimeoutError):
        return {}
    return {priority.value: sum(lengths.get(priority, {}).values()) for priority in Priority}

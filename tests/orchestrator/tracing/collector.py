"""A collector of spans: OTLP over HTTP, decoded with OpenTelemetry's own message types."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

from aiohttp import web
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTraceServiceRequest,
    ExportTraceServiceResponse,
)
from opentelemetry.proto.common.v1.common_pb2 import AnyValue
from opentelemetry.proto.resource.v1.resource_pb2 import Resource
from opentelemetry.proto.trace.v1.trace_pb2 import Span

PROTOBUF = "application/x-protobuf"


class Collector:
    """Keeps what it is sent, as bytes and as spans."""

    def __init__(self) -> None:
        self.url = ""
        self.bodies: list[bytes] = []
        self.spans: list[Span] = []
        self.resources: list[Resource] = []
        self.schemas: set[str] = set()
        self._more = asyncio.Event()

    async def take(self, request: web.Request) -> web.Response:
        assert request.content_type == PROTOBUF
        body = await request.read()
        self.bodies.append(body)
        for told in ExportTraceServiceRequest.FromString(body).resource_spans:
            self.resources.append(told.resource)
            for scope in told.scope_spans:
                self.schemas.add(scope.schema_url)
                self.spans += scope.spans
        self._more.set()
        return web.Response(body=ExportTraceServiceResponse().SerializeToString(), content_type=PROTOBUF)

    async def until(self, holds: Callable[[], bool]) -> None:
        """Return once something holds, which is looked at again with each request."""
        async with asyncio.timeout(60):
            while not holds():
                self._more.clear()
                await self._more.wait()

    async def named(self, *names: str) -> list[Span]:
        """The spans of these names, the first of each, once they are there."""
        await self.until(lambda: set(names) <= {span.name for span in self.spans})
        return [next(span for span in self.spans if span.name == name) for name in names]

    def of_task(self, task_id: str) -> list[Span]:
        return [span for span in self.spans if attributes(span)["anabranch.task.id"] == task_id]


@asynccontextmanager
async def collecting() -> AsyncIterator[Collector]:
    """A collector on a free port."""
    collector = Collector()
    application = web.Application(client_max_size=64 << 20)
    application.router.add_post("/v1/traces", collector.take)
    runner = web.AppRunner(application)
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        collector.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
        yield collector
    finally:
        await runner.cleanup()


def attributes(span: Span | Resource) -> dict[str, Any]:
    return {each.key: _value(each.value) for each in span.attributes}


def _value(value: AnyValue) -> Any:
    if value.HasField("array_value"):
        return [_value(each) for each in value.array_value.values]
    return getattr(value, value.WhichOneof("value") or "string_value")

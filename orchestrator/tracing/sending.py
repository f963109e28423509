"""Sends spans to a collector, by OTLP over HTTP, with OpenTelemetry's own packages (extra ``otel``).

Where to, how often and which of them the standard variables say (``OTEL_EXPORTER_OTLP_ENDPOINT``,
``OTEL_TRACES_SAMPLER`` and so on). A thread of its own sends them, from a queue that drops what does not fit,
so a collector that is slow or down costs the runs nothing; the log tells of it, at most once a minute.
"""

from __future__ import annotations

import asyncio
import logging
import os
import threading
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from importlib.metadata import version

import structlog
from opentelemetry import trace
from opentelemetry.context import Context
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.environment_variables import OTEL_SPAN_LINK_COUNT_LIMIT
from opentelemetry.sdk.resources import SERVICE_NAME, SERVICE_VERSION, OTELResourceDetector, Resource
from opentelemetry.sdk.trace import SpanLimits, TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.sdk.trace.id_generator import IdGenerator
from opentelemetry.sdk.trace.sampling import Decision
from typing_extensions import override

from orchestrator.tracing.live import Tracing
from storage.conventions import SCHEMA_URL, SCOPE, Conventions, Span

log = structlog.get_logger()

CLOSING_SECONDS = 2.0
"""How long the last spans may take to be sent when a process ends."""

QUIET_SECONDS = 60.0
"""How often to tell in the log that spans cannot be sent, at most."""

_TELLING = ("opentelemetry.exporter.otlp.proto.http.trace_exporter", "opentelemetry.sdk._shared_internal")
"""The loggers that tell of spans that cannot be sent."""


@asynccontextmanager
async def sending(*, content: bool) -> AsyncIterator[Tracing]:
    """Send spans during the block; then send what is left, unless the collector does not answer.

    Raises:
        ValueError: a variable of OpenTelemetry is wrong.
    """
    sender, provider, exporter = await asyncio.to_thread(_opened)  # it reads files
    told = _Told()
    try:
        yield Tracing(sender, content)
    finally:
        await told.close(provider, exporter)


def _opened() -> tuple[_Sending, TracerProvider, OTLPSpanExporter]:
    exporter = OTLPSpanExporter()
    ours = Resource({SERVICE_NAME: SCOPE, SERVICE_VERSION: version("anabranch")})
    limits = SpanLimits(  # a join has a link to each branch that it read
        max_links=None if OTEL_SPAN_LINK_COUNT_LIMIT in os.environ else SpanLimits.UNSET
    )
    provider = TracerProvider(
        resource=Resource.create().merge(ours).merge(OTELResourceDetector().detect()),
        shutdown_on_exit=False,
        id_generator=_Ids(),
        span_limits=limits,
    )
    provider.add_span_processor(BatchSpanProcessor(exporter))
    return _Sending(provider), provider, exporter


class _Ids(IdGenerator):
    """Gives the next span the ids that it is to have."""

    def __init__(self) -> None:
        self.span = self.trace = 0

    @override
    def generate_span_id(self) -> int:
        return self.span

    @override
    def generate_trace_id(self) -> int:
        return self.trace


class _Sending:
    """Hands spans over to a provider. They are made when they end, so an open one costs nothing."""

    def __init__(self, provider: TracerProvider) -> None:
        assert isinstance(provider.id_generator, _Ids)
        self._ids = provider.id_generator
        self._sampler = provider.sampler
        self._tracer = provider.get_tracer(SCOPE, version("anabranch"), SCHEMA_URL)

    def wants(self, conventions: Conventions) -> bool:
        """See :class:`~orchestrator.tracing.live.Sender`."""
        parent = conventions.parent
        context = Context() if parent is None else _within(parent.trace_id, parent.span_id, parent.sampled)
        name = f"invoke_workflow {conventions.task.planner}"
        result = self._sampler.should_sample(context, int(conventions.trace_id, 16), name)
        return result.decision is Decision.RECORD_AND_SAMPLE

    def send(self, span: Span) -> None:
        """See :class:`~orchestrator.tracing.live.Sender`."""
        self._ids.trace, self._ids.span = int(span.trace_id, 16), int(span.span_id, 16)
        start = int(span.start * 1e9)
        made = self._tracer.start_span(
            span.name,
            Context() if span.parent_id is None else _within(span.trace_id, span.parent_id),
            trace.SpanKind.CLIENT if span.client else trace.SpanKind.INTERNAL,
            span.attributes,
            [trace.Link(_context(span.trace_id, each)) for each in span.links],
            start_time=start,
        )
        if span.error is not None:
            made.set_status(trace.StatusCode.ERROR, span.error or None)
        made.end(max(start, int(span.end * 1e9)))

    def caller(self) -> str | None:
        """See :class:`~orchestrator.tracing.live.Sender`."""
        now = trace.get_current_span().get_span_context()
        if not now.is_valid:
            return None
        return f"00-{now.trace_id:032x}-{now.span_id:016x}-{int(now.trace_flags):02x}"


def _context(trace_id: str, span_id: str, sampled: bool = True) -> trace.SpanContext:
    flags = trace.TraceFlags(trace.TraceFlags.SAMPLED if sampled else trace.TraceFlags.DEFAULT)
    return trace.SpanContext(int(trace_id, 16), int(span_id, 16), is_remote=True, trace_flags=flags)


def _within(trace_id: str, span_id: str, sampled: bool = True) -> Context:
    context = _context(trace_id, span_id, sampled)
    return trace.set_span_in_context(trace.NonRecordingSpan(context), Context())


class _Told(logging.Filter):
    """Tells of spans that cannot be sent in our own log, in place of the loggers of OpenTelemetry."""

    def __init__(self) -> None:
        super().__init__()
        self._told_at = float("-inf")
        self._on_trouble: Callable[[], None] = lambda: None
        for name in _TELLING:
            logging.getLogger(name).addFilter(self)

    @override
    def filter(self, record: logging.LogRecord) -> bool:
        if record.levelno < logging.WARNING:
            return True
        self._tell(record.getMessage().partition("\n")[0])
        self._on_trouble()
        return False

    def _tell(self, error: str) -> None:
        now = time.monotonic()
        if now - self._told_at >= QUIET_SECONDS:
            self._told_at = now
            log.warning("spans cannot be sent", error=error)

    async def close(self, provider: TracerProvider, exporter: OTLPSpanExporter) -> None:
        """Send what is left, for as long as that goes well; whatever still hangs then is not waited for."""
        loop, over, shut = asyncio.get_running_loop(), asyncio.Event(), threading.Event()

        def end() -> None:
            with suppress(RuntimeError):  # the loop has ended
                loop.call_soon_threadsafe(over.set)

        def shut_down() -> None:
            try:
                provider.shutdown()
            finally:
                for name in _TELLING:
                    logging.getLogger(name).removeFilter(self)
                shut.set()
                end()

        self._on_trouble = end
        threading.Thread(target=shut_down, name="last spans", daemon=True).start()
        try:
            with suppress(TimeoutError):
                async with asyncio.timeout(CLOSING_SECONDS):
                    await over.wait()
        finally:
            if not shut.is_set():
                self._tell("the collector does not take the last ones in time")
                # What it tries again and again, it gives up.
                exporter.shutdown()  # type: ignore[no-untyped-call]

"""A collector, and what tells a process to send its spans there."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from tests.orchestrator.tracing.collector import Collector, collecting


@pytest.fixture
async def collector(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Collector]:
    async with collecting() as made:
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", made.url)
        monkeypatch.setenv("OTEL_BSP_SCHEDULE_DELAY", "10")
        yield made

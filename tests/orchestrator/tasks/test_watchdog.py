"""A blocked event loop is noticed, named, interrupted, and in the end given up; a stopped process is not."""

from __future__ import annotations

import asyncio
import re
import threading
import time

import pytest
from structlog.testing import capture_logs

from orchestrator.runtime import interruption
from orchestrator.settings import Settings
from orchestrator.tasks.watchdog import Watchdog


def watchdog(stuck: float = 0.2, lease: float = 3600.0, ended: list[int] | None = None) -> Watchdog:
    settings = Settings.model_construct(stuck_seconds=stuck, lease_seconds=lease)
    return Watchdog(settings, end=([] if ended is None else ended).append)


def block(seconds: float) -> None:
    time.sleep(seconds)


@pytest.fixture(autouse=True)
def no_planner(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(interruption, "running", lambda thread: None)


async def test_who_blocks_the_loop_is_named_until_it_has_turned_for_a_while() -> None:
    watching = watchdog()
    with capture_logs() as logs, watching.watching():
        await asyncio.sleep(0.1)
        assert watching.blocked() is None
        began = time.monotonic()
        block(0.7)
        took = time.monotonic() - began
        told = re.match(r"the event loop was blocked for (\d\.\d) s or more by ", watching.blocked() or "")
        assert told is not None
        assert 0.2 <= float(told[1]) <= took
        async with asyncio.timeout(60):
            while watching.blocked() is not None:  # noqa: ASYNC110 -- told to those who ask only
                await asyncio.sleep(0.02)
    (line,) = [line for line in logs if line["event"] == "the event loop is blocked"]
    assert "in block" in line["stack"]
    assert "time.sleep(seconds)" in line["stack"]


async def test_planner_code_is_named_and_interrupted(monkeypatch: pytest.MonkeyPatch) -> None:
    interrupted = threading.Event()
    here = threading.get_ident()

    def interrupt(thread: int) -> bool:
        assert thread == here
        interrupted.set()
        return True

    monkeypatch.setattr(interruption, "running", lambda thread: "planner 'vote' of task 1")
    monkeypatch.setattr(interruption, "interrupt", interrupt)
    watching = watchdog()
    with capture_logs() as logs, watching.watching():
        interrupted.wait(timeout=60)
        assert "planner 'vote' of task 1" in (watching.blocked() or "")
        async with asyncio.timeout(60):
            while not logs:  # noqa: ASYNC110 -- they come after the interruption
                await asyncio.sleep(0.02)
    assert [line["by"] for line in logs if "by" in line] == ["planner 'vote' of task 1"]


async def test_a_loop_that_stays_blocked_ends_the_process() -> None:
    ended: list[int] = []
    with watchdog(0.1, lease=1.5, ended=ended).watching():
        block(0.3)
        assert not ended
        await asyncio.sleep(0.2)
        until = time.monotonic() + 60
        while not ended and time.monotonic() < until:
            block(0.05)
    assert ended[0] == 70


async def test_a_loop_that_is_only_busy_is_not_taken_for_blocked() -> None:
    watching = watchdog(1.0)
    until = time.monotonic() + 1.5
    with watching.watching():
        while time.monotonic() < until:
            block(0.05)
            await asyncio.sleep(0)
            assert watching.blocked() is None


async def test_a_thread_that_died_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Watchdog, "_watch", lambda *_: None)
    watching = watchdog()
    assert watching.failed() is None
    with watching.watching():
        async with asyncio.timeout(60):
            while watching.failed() is None:  # noqa: ASYNC110
                await asyncio.sleep(0.01)
    assert watching.failed() is None

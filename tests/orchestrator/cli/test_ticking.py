from __future__ import annotations

import asyncio

import pytest

from orchestrator.cli.ticking import Announcer, Ticker
from orchestrator.cli.transfer import Transfer
from storage.events import Event, EventType
from workers.engines.vllm.supervision import Starting
from workers.models.files import Progress as Download


class Clock:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


def test_a_start_is_told_of_now_and_then(capsys: pytest.CaptureFixture[str]) -> None:
    announce = Announcer()
    for seconds in (*range(25), 0, 5):
        announce(Starting("vllm-0", seconds, f"line {seconds}"))
    announce(Starting("vllm-1", 3, ""))
    assert capsys.readouterr().err.splitlines() == [
        *(f"starting vllm-0: {seconds} s  line {seconds}" for seconds in (0, 10, 20, 0)),
        "starting vllm-1: 3 s",
    ]


def test_a_download_is_told_of_with_its_rate_and_the_time_left(capsys: pytest.CaptureFixture[str]) -> None:
    clock = Clock()
    announce = Announcer(clock)
    for done in range(0, 31, 5):  # MB; 2.5 MB/s
        clock.now = 2.0 * done / 5
        announce(Download(done * 1_000_000, 500_000_000, "the hub"))
    assert capsys.readouterr().err.splitlines() == [
        "fetching the model from the hub: 0 of 500 MB",
        "fetching the model from the hub: 25 of 500 MB, 2.5 MB/s, about 3 min left",
    ]


def test_what_was_fetched_before_does_not_make_the_rate_look_better() -> None:
    clock = Clock()
    transfer = Transfer(clock)
    assert transfer.told() == ""
    transfer.take(Download(400_000_000, 500_000_000, "the hub"))
    clock.now = 10.0
    transfer.take(Download(410_000_000, 500_000_000, "the hub"))
    assert transfer.told() == "410 of 500 MB, 1.0 MB/s, about 2 min left"
    transfer.take(Download(420_000_000, 500_000_000, "a mirror"))
    assert transfer.told() == "420 of 500 MB"


async def test_a_run_is_told_of_now_and_then(capsys: pytest.CaptureFixture[str]) -> None:
    ticker = Ticker(clock=lambda: 107.0, every=0.001)
    told = ""
    async with asyncio.timeout(60), ticker.shown():
        await asyncio.sleep(0.01)
        assert capsys.readouterr().err == ""  # nothing runs yet
        ticker.view.take(Event(0, EventType.RUN_STARTED, "", 100.0, {"planner": "vote"}))
        while "\n" not in told:
            await asyncio.sleep(0.001)
            told += capsys.readouterr().err
    assert told.startswith("vote · 0 of 0 steps · 0 tokens · 7.0 s\n")

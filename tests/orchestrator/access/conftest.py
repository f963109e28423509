"""Access over a store in memory, by a clock that stands still until it is set."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from orchestrator.access.gate import Access
from orchestrator.access.keyring import Keyring
from orchestrator.settings import Settings
from storage.opening import open_store
from storage.store import Store


class Clock:
    """Seconds that go by only when they are told to."""

    def __init__(self) -> None:
        self.now = time.monotonic()

    def __call__(self) -> float:
        return self.now

    def go(self, seconds: float) -> None:
        self.now += seconds


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture(params=["memory", "sqlite"])
async def store(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Store]:
    url = "memory" if request.param == "memory" else f"sqlite:///{tmp_path / 'access.db'}"
    async with await open_store(url) as opened:
        yield opened


@pytest.fixture
def keyring(store: Store) -> Keyring:
    return Keyring(store)


def settings(**given: float) -> Settings:
    """The defaults, whatever the environment says."""
    return Settings.model_construct(**given)  # type: ignore[arg-type]


@pytest.fixture
def access(store: Store, clock: Clock) -> Access:
    """What one process knows."""
    return Access(store, settings(), clock=clock)

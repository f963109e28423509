"""One served process for many programs: an engine that says what is written down, and the service on it."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from storage.accounts import Limits
from storage.keys import account_of_key
from storage.opening import open_store
from tests.clients.environment import BINARIES, MODULES, require_clients
from tests.orchestrator.api.conftest import add_key
from tests.orchestrator.api.programs import process

RATE = 4
"""Requests a second that the hurried key is allowed."""

SAID = "Natalia sold 48 clips in April and 48 / 2 = 24 in May, together 48 + 24 = 72."
ANSWERS = {
    "": "ok",
    "clips": f"{SAID}\n\\boxed{{72}}",
    "ferry": "75 / 9 = 8.33, so 9 crossings.\n\\boxed{9}",
    "lamp": "360 / 24 = 15, so 15 lamps.\n\\boxed{15}",
    "science fair": json.dumps({"name": "science fair", "day": "Friday", "people": ["Alice", "Bob"]}),
    "[[ ## question ## ]]": "[[ ## answer ## ]]\n72\n\n[[ ## completed ## ]]\n\n\\boxed{72}",
    "for ever": "and so on, " * 50_000,
}
"""What the engine says, by a part of what it is asked."""


@dataclass(frozen=True)
class Served:
    """A service that runs: its base URL, a key for it, and the base URL of its engine."""

    url: str
    key: str
    hurried: str
    engine: str

    def run(self, *command: str | Path, folder: Path, **environment: str) -> str:
        """What a program prints that must end well."""
        done = subprocess.run(
            command,
            cwd=folder,
            env=_clean(folder) | {"OPENAI_BASE_URL": self.url, "OPENAI_API_KEY": self.key} | environment,
            capture_output=True,
            text=True,
            timeout=800,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout


def _clean(folder: Path) -> dict[str, str]:
    """An environment in which clients find only what is here, keep nothing elsewhere, and ask nobody else."""
    return {
        "PATH": f"{BINARIES}{os.pathsep}{os.environ.get('PATH', os.defpath)}",
        "HOME": str(folder),
        "PYTHONUTF8": "1",
        "NO_COLOR": "1",
        "HF_HUB_OFFLINE": "1",
        "LITELLM_LOCAL_MODEL_COST_MAP": "True",
    }


@pytest.fixture(scope="session")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """The service, as an operator starts it."""
    require_clients()
    folder = tmp_path_factory.mktemp("served")
    answers = folder / "answers.json"
    answers.write_text(json.dumps(ANSWERS))
    database = f"sqlite:///{folder / 'clients.db'}"
    keys = asyncio.run(_keys(database))
    speaking = ("--port", "0", "--model", "acme/tiny-1", "--decode-rate", "400", "--answers", str(answers))
    with process("workers.engines.simulator", *speaking) as engine:
        serving = ("--port", "0", "--engine", engine, "--database", database)
        with process("orchestrator.cli", "serve", *serving) as url:
            yield Served(f"{url}/v1", *keys, engine)


async def _keys(database: str) -> tuple[str, str]:
    """A key as most have it, and one that may not ask twice at once."""
    async with await open_store(database) as store:
        usual = await add_key(store, "acme", id="usual")
        hurried = await add_key(store, "acme", id="hurried")
        await store.access.set_limits(account_of_key("hurried"), Limits(rate=RATE, burst=1))
    return usual, hurried


@pytest.fixture
def node_folder(tmp_path: Path) -> Path:
    """A folder in which Node finds the packages: it looks for them beside the program."""
    (tmp_path / "node_modules").symlink_to(MODULES)
    return tmp_path


@pytest.fixture
def impatient(served: Served) -> Served:
    """The service, with the key that may not ask twice at once."""
    return replace(served, key=served.hurried)

"""What the OpenAPI document says, held against the service by schemathesis, with all of its checks."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.orchestrator.api.conftest import ROUTES

ROOT = Path(__file__).parents[3]
CONFIGURATION = Path(__file__).with_name("schemathesis.toml")
EXAMPLES = 8
"""Cases for each operation in each phase that makes them up."""

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]


@contextmanager
def process(*arguments: str, **environment: str) -> Iterator[str]:
    """A program of ours; yields the URL that it says it listens at."""
    with subprocess.Popen(
        [sys.executable, "-m", *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        env={**os.environ, "PYTHONPATH": str(ROOT), **environment},
    ) as running:
        try:
            assert running.stdout is not None
            for line in running.stdout:
                if url := re.search(r"http://\S+", line):
                    yield url.group()
                    break
            else:
                pytest.fail("it did not say where it listens")
        finally:
            running.kill()


@pytest.fixture
def service(tmp_path: Path) -> Iterator[tuple[str, str]]:
    """A service on the simulator, and a key for it."""
    database = f"sqlite:///{tmp_path / 'api.db'}"
    scopes = [option for scope in ("submit", "read", "admin") for option in ("--scope", scope)]
    made = subprocess.run(
        [
            *(sys.executable, "-m", "orchestrator.cli", "keys", "create", "schemathesis"),
            *("--all-tenants", *scopes, "--database", database),
        ],
        capture_output=True,
        text=True,
        check=True,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )
    key = re.search(r"anb_\w+", made.stdout)
    assert key is not None
    with (
        process("workers.engines.simulator", "--port", "0", "--answer", "Answer: 72") as engine,
        process(
            "orchestrator.cli", "serve", "--port", "0", "--engine", engine, "--database", database
        ) as url,
    ):
        yield url, key.group()


def test_the_document_says_what_is_true(service: tuple[str, str], tmp_path: Path) -> None:
    url, key = service
    done = subprocess.run(
        [
            *(Path(sys.executable).with_name("schemathesis"), "--config-file", CONFIGURATION),
            *("run", f"{url}/openapi.json"),
            *("--checks", "all", "--header", f"Authorization: Bearer {key}"),
            *("--max-examples", str(EXAMPLES), "--generation-deterministic"),
            *("--request-timeout", "30", "--continue-on-failure", "--no-color", "--warnings", "off"),
        ],
        capture_output=True,
        text=True,
        cwd=tmp_path,
        check=False,
    )
    assert done.returncode == 0, done.stdout[-20_000:] + done.stderr[-2_000:]
    [tested] = re.findall(r"Tested: (\d+)\n", done.stdout)
    assert int(tested) == len(ROUTES) - 1  # it asks for the document, but does not test that

"""What the OpenAPI document says, held against the service by schemathesis, with all of its checks."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.orchestrator.api.conftest import ROUTES
from tests.orchestrator.api.programs import created_key, process

CONFIGURATION = Path(__file__).with_name("schemathesis.toml")
EXAMPLES = 8
"""Cases for each operation in each phase that makes them up."""

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]


@pytest.fixture
def service(tmp_path: Path) -> Iterator[tuple[str, str]]:
    """A service on the simulator, and a key for it."""
    database = f"sqlite:///{tmp_path / 'api.db'}"
    scopes = [option for scope in ("submit", "read", "admin") for option in ("--scope", scope)]
    key = created_key(database, "--all-tenants", *scopes)
    with (
        process("workers.engines.simulator", "--port", "0", "--answer", "Answer: 72") as engine,
        process(
            "orchestrator.cli", "serve", "--port", "0", "--engine", engine, "--database", database
        ) as url,
    ):
        yield url, key


def test_the_document_says_what_is_true(service: tuple[str, str], tmp_path: Path) -> None:
    url, key = service
    done = subprocess.run(
        [
            *(Path(sys.executable).with_name("schemathesis"), "--config-file", CONFIGURATION),
            *("run", f"{url}/openapi.json"),
            *("--checks", "all", "--header", f"Authorization: Bearer {key}"),
            *("--max-examples", str(EXAMPLES), "--generation-deterministic"),
            *("--request-timeout", "60", "--continue-on-failure", "--no-color", "--warnings", "off"),
        ],
        capture_output=True,
        text=True,
        cwd=tmp_path,
        check=False,
    )
    assert done.returncode == 0, done.stdout[-20_000:] + done.stderr[-2_000:]
    [tested] = re.findall(r"Tested: (\d+)\n", done.stdout)
    assert int(tested) == len(ROUTES) - 2  # all but the document itself, and one that it cannot ask

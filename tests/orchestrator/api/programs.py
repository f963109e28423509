"""Programs of ours in processes of their own, as an operator starts them."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]


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
                    # Who does not read on stops the program as soon as the pipe is full of what it logs.
                    threading.Thread(target=running.stdout.read, daemon=True).start()
                    yield url.group()
                    break
            else:
                pytest.fail("it did not say where it listens")
        finally:
            running.kill()


def created_key(database: str, *options: str) -> str:
    """A new key in a database, made by the command."""
    made = subprocess.run(
        [
            *(sys.executable, "-m", "orchestrator.cli", "keys", "create", "for tests"),
            *(*options, "--database", database),
        ],
        capture_output=True,
        text=True,
        check=True,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )
    return made.stdout.strip()

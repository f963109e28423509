"""Two services, each a process of its own, on one PostgreSQL database: keys and their limits are one."""

from __future__ import annotations

import json
import urllib.error
import urllib.request
from collections import Counter
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from typing import Any

import pytest

from tests.orchestrator.api.programs import created_key, process
from tests.storage.conftest import new_database_url, postgres_server, running_postgres

__all__ = ["new_database_url", "postgres_server", "running_postgres"]

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]


@pytest.fixture
def services(new_database_url: str) -> Iterator[tuple[str, list[str]]]:
    """The database, and the URLs of two services on it whose engine takes a minute for an answer."""
    created_key(new_database_url, "--scope", "admin")  # brings the database up to date, before both do
    with ExitStack() as stack:
        slow = (
            "--answer",
            "word " * 600,
            "--decode-rate",
            "10",
        )  # so that tasks run until the end of the test
        engine = stack.enter_context(process("workers.engines.simulator", "--port", "0", *slow))
        options = ("serve", "--port", "0", "--engine", engine, "--database", new_database_url)
        yield (
            new_database_url,
            [stack.enter_context(process("orchestrator.cli", *options)) for _ in range(2)],
        )


def test_keys_limits_and_tenants_are_those_of_both_together(services: tuple[str, list[str]]) -> None:
    database, urls = services
    rated = created_key(database, "--rate", "0.001", "--burst", "10")
    said = _at_once([(url, "/v1/tasks", rated, None) for url in urls * 20])
    assert said == {200: 10, 429: 30}

    few = created_key(database, "--concurrency", "3", "--tenant", "few")
    question: dict[str, Any] = {"query": "What is 9 * 8?", "planner": "direct"}
    assert _at_once([(url, "/v1/tasks", few, question) for url in urls * 4]) == {202: 3, 429: 5}

    poor = created_key(database, "--tokens", "10000", "--tenant", "poor")
    question = {**question, "budget": {"tokens": 4_000}}
    assert _at_once([(url, "/v1/tasks", poor, question) for url in urls * 3]) == {202: 2, 429: 4}

    ours, theirs = (created_key(database, "--tenant", tenant) for tenant in ("a", "b"))
    one, other = urls
    _, task = _asked(one, "/v1/tasks", ours, question)
    path = f"/v1/tasks/{task['id']}"
    assert _asked(other, path, ours)[0] == 200
    assert _asked(other, path, theirs)[0] == _asked(one, path, theirs)[0] == 404


def _at_once(requests: list[tuple[str, str, str, Mapping[str, Any] | None]]) -> Counter[int]:
    with ThreadPoolExecutor(len(requests)) as threads:
        return Counter(status for status, _ in threads.map(lambda each: _asked(*each), requests))


def _asked(url: str, path: str, key: str, body: Mapping[str, Any] | None = None) -> tuple[int, Any]:
    request = urllib.request.Request(
        url + path,
        None if body is None else json.dumps(body).encode(),
        {"Authorization": f"Bearer {key}", "Content-Type": "application/json"},
    )
    try:
        with urllib.request.urlopen(request, timeout=60) as response:
            return response.status, json.load(response)
    except urllib.error.HTTPError as error:
        return error.code, json.load(error)

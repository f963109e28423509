"""Where ``anabranch serve`` listens, as a real process."""

from __future__ import annotations

import json
import os
import re
import signal
import stat
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from orchestrator.api.server import Binding, check_binding
from orchestrator.errors import InvalidRequest
from orchestrator.settings import Settings
from storage.opening import open_store
from tests.orchestrator.api.conftest import add_key
from tests.orchestrator.cli.test_commands import started

ROOT = Path(__file__).parents[3]

pytestmark = pytest.mark.timeout(600)  # a process may take a minute to start


@pytest.fixture
def environment(tmp_path: Path) -> dict[str, str]:
    return {
        **os.environ,
        "PYTHONPATH": str(ROOT),
        "ANABRANCH_DATABASE": f"sqlite:///{tmp_path / 'a.db'}",
        "ANABRANCH_GRACE_SECONDS": "0.1",
    }


def arguments(*options: str) -> list[str]:
    return [sys.executable, "-m", "tests.orchestrator.cli.odd_service", "serve", *options]


def anabranch(environment: dict[str, str], *options: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "orchestrator.cli", *options],
        env=environment,
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )


def refused(environment: dict[str, str], *options: str) -> str:
    """What it says when it does not start, because it was not told how to start."""
    done = subprocess.run(
        arguments(*options),
        env=environment,
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )
    assert done.returncode == 2, done.stderr
    return done.stderr


@contextmanager
def serving(environment: dict[str, str], *options: str) -> Iterator[str]:
    """A service; yields where it says that it listens, and ends it with a signal."""
    with started(arguments(*options), stderr=subprocess.PIPE, env=environment, cwd=ROOT) as process:
        assert process.stderr is not None
        said = []
        for line in process.stderr:
            said.append(line)
            if found := re.fullmatch(r"listening on (\S+)\n", line):
                yield found[1]
                process.send_signal(signal.SIGTERM)
                assert process.wait(timeout=60) == 0
                return
        pytest.fail("".join(said))


def curl(*options: str) -> tuple[int, dict[str, object]]:
    done = subprocess.run(
        ["curl", "-sS", "-w", "\n%{http_code}", *options],
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    body, _, status = done.stdout.rpartition("\n")
    return int(status), json.loads(body)


def test_without_keys_it_listens_to_this_machine_alone(environment: dict[str, str]) -> None:
    said = refused(environment, "--host", "0.0.0.0", "--port", "0")
    assert "it has no keys" in said
    assert "anabranch keys create" in said
    assert "--insecure" in said
    assert said.count("\n") == 1
    with serving(environment, "--host", "0.0.0.0", "--port", "0", "--insecure") as url:
        assert curl(f"http://127.0.0.1:{url.rpartition(':')[2]}/v1/tasks")[0] == 200


def test_with_a_key_it_listens_anywhere_and_asks_for_it(environment: dict[str, str]) -> None:
    key = anabranch(environment, "keys", "create", "x").stdout.strip()
    with serving(environment, "--host", "0.0.0.0", "--port", "0") as url:
        tasks = f"http://127.0.0.1:{url.rpartition(':')[2]}/v1/tasks"
        assert curl(tasks)[0] == 401
        assert curl(tasks, "-H", f"Authorization: Bearer {key}") == (200, {"tasks": [], "next": None})
        workers = ("workers", "--json", "--url", tasks.removesuffix("/v1/tasks"))
        assert "give one as --key" in anabranch(environment, *workers).stderr
        shown = anabranch({**environment, "ANABRANCH_KEY": key}, *workers)
        assert [each["state"] for each in json.loads(shown.stdout)["replicas"]] == ["up"]


def test_a_unix_socket_in_place_of_an_address(environment: dict[str, str], tmp_path: Path) -> None:
    path = tmp_path / "api.sock"
    with serving(environment, "--uds", str(path)) as url:
        assert url == f"unix:{path}"
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
        assert curl("--unix-socket", str(path), "http://any.name/v1/tasks")[0] == 200
    assert not path.exists()


def test_a_unix_socket_has_no_port(environment: dict[str, str]) -> None:
    assert "one or the other" in refused(environment, "--uds", "a.sock", "--port", "0")


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "", "192.0.2.7", "::ffff:192.0.2.7"])
async def test_only_loopback_addresses_are_this_machine_alone(host: str) -> None:
    settings = Settings.model_construct()
    async with await open_store("memory") as store:
        for own in ("127.0.0.1", "127.0.0.9", "::1", "localhost"):
            await check_binding(Binding(host=own), settings, store)
        with pytest.raises(InvalidRequest, match="it has no keys"):
            await check_binding(Binding(host=host), settings, store)
        await check_binding(Binding(host=host, insecure=True), settings, store)
        await check_binding(Binding(host=host, uds=Path("a.sock")), settings, store)
        await add_key(store, "a", revoked_at=2.0)
        await check_binding(Binding(host=host), settings, store)


def test_a_list_that_cannot_be_meant_is_told_before_anything_listens(environment: dict[str, str]) -> None:
    assert "'*' is none" in refused(environment, "--allowed-origins", "*", "--port", "0")

"""Files are for their user alone, whatever the umask; wider ones are named, and mended on request."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import stat
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from structlog.testing import capture_logs

from orchestrator.permissions import keep_private
from orchestrator.settings import Settings
from storage.errors import StorageUnavailable
from storage.opening import open_store
from storage.sql.copying import rescued_of
from storage.tasks import NewTask
from tests.orchestrator.cli.test_commands import command, server, started
from tests.workers.models.conftest import hub
from tests.workers.models.hub import Hub, model
from workers.models.files import fetch

__all__ = ["hub", "server"]
ROOT = Path(__file__).parents[2]


def others(path: Path) -> int:
    """What anybody but the owner may do."""
    return path.stat().st_mode & 0o077


def open_ones(directory: Path) -> set[str]:
    return {str(each.relative_to(directory)) for each in directory.rglob("*") if others(each)}


@pytest.fixture
def home(tmp_path: Path, server: str) -> dict[str, str]:
    """An environment with an empty home, in which nothing is masked."""
    (tmp_path / "home").mkdir()
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("XDG_", "ANABRANCH_"))}
    own = {"HOME": str(tmp_path / "home"), "ANABRANCH_ENGINE": server, "PYTHONPATH": str(ROOT)}
    return {**kept, **own, "TMPDIR": str(tmp_path / "home")}


def run(home: Mapping[str, str], *arguments: str, code: int = 0) -> subprocess.CompletedProcess[str]:
    done = subprocess.run(
        command(*arguments), env=home, umask=0, cwd=home["HOME"], capture_output=True, text=True, timeout=300
    )
    assert done.returncode == code, done.stderr
    return done


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_whatever_the_commands_leave_behind_is_private_without_any_umask(home: dict[str, str]) -> None:
    """But for an export, which is written as the user's umask says."""
    where = Path(home["HOME"])
    asked = ["solve", "How many clips?", "--planner", "vote", "--option", "n=3", "--json"]
    answered = [json.loads(run(home, *asked).stdout)["trace_id"] for _ in range(2)]
    run(home, "fork", answered[0], "--at", "0", "--change", "rule=fixed:3")
    run(home, "export", answered[0], "--output", "exported.jsonl")
    run(home, "import", "exported.jsonl", "--database", "sqlite:///deep/er/second.db")
    run(home, "backup", "copy.db")
    run(home, "backup", "salvaged.db", "--salvage")
    labels = [{"query": f"How many clips? {n}", "answer": 72 if n % 2 else 5} for n in range(20)]
    (where / "labels.jsonl").write_text("".join(f"{json.dumps(each)}\n" for each in labels))
    (where / "labels.jsonl").chmod(0o600)
    run(home, "calibrate", "labels.jsonl", "--planner", "vote", "--option", "n=3", "--quiet")
    serving = command("serve", "--port", "0", "--database", "sqlite:///served.db")
    with started(serving, env=home, umask=0, cwd=where, stderr=subprocess.PIPE) as process:
        assert process.stderr is not None
        assert process.stderr.readline().startswith("listening on")
        seen = {each.name: others(each) for each in where.glob("served.db*")}
        process.send_signal(signal.SIGTERM)
        assert process.wait(100) == 0
    assert seen == {"served.db": 0, "served.db-wal": 0, "served.db-shm": 0}
    assert open_ones(where) == {"exported.jsonl"}
    data = where / ".local/share/anabranch"
    assert (data / "anabranch.db").stat().st_size > 0
    assert len(list((data / "calibrations").glob("*.json"))) == 1


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_a_command_names_wider_files_once_and_mends_them_on_request(home: dict[str, str]) -> None:
    data = Path(home["HOME"], ".local/share/anabranch")
    run(home, "traces")
    (data / "anabranch.db").chmod(0o644)
    data.chmod(0o755)
    told = run(home, "traces").stderr
    assert told.count("anabranch.db (0644)") == 1
    assert told.count("--fix-permissions") == 1
    assert f"{data} (0755)" in told
    assert others(data / "anabranch.db") == 0o044
    told = run(home, "check", "--fix-permissions").stderr
    assert "now only this user may read these" in told
    assert others(data) == 0
    assert open_ones(data) == set()
    assert "--fix-permissions" not in run(home, "traces").stderr


async def test_no_file_is_ever_wider_than_it_ends_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The modes that files and directories are made with, rather than what they have been changed to."""
    made: list[tuple[str, int]] = []
    real_open, real_mkdir = os.open, os.mkdir

    def opening(path: Any, flags: int, mode: int = 0o777, **rest: Any) -> int:
        if flags & os.O_CREAT:
            made.append((str(path), mode))
        return real_open(path, flags, mode, **rest)

    def making(path: Any, mode: int = 0o777, **rest: Any) -> None:
        made.append((str(path), mode))
        real_mkdir(path, mode, **rest)

    monkeypatch.setattr(os, "open", opening)
    monkeypatch.setattr(os, "mkdir", making)
    monkeypatch.setattr(os, "chmod", None)
    async with await open_store(f"sqlite:///{tmp_path}/new/deep/er.db"):
        pass
    own = [(path, mode) for path, mode in made if path.startswith(str(tmp_path))]
    assert (f"{tmp_path}/new/deep/er.db", 0o600) in own
    assert (f"{tmp_path}/new/deep", 0o700) in own
    assert [each for each in own if each[1] & 0o077] == []


async def test_a_dangling_link_leads_to_a_private_database(tmp_path: Path) -> None:
    (tmp_path / "link.db").symlink_to(tmp_path / "real.db")
    before = os.umask(0)
    try:
        async with await open_store(f"sqlite:///{tmp_path / 'link.db'}"):
            assert open_ones(tmp_path) == set()
            assert (tmp_path / "real.db-wal").exists()
    finally:
        os.umask(before)


async def test_what_is_saved_of_a_lost_database_is_private_too(tmp_path: Path) -> None:
    path = tmp_path / "lost.db"
    before = os.umask(0)
    try:
        async with await open_store(f"sqlite:///{path}") as store:
            await store.submit(NewTask(question={"query": "q"}, planner="vote"))
            path.unlink()
            with pytest.raises(StorageUnavailable):
                await store.submit(NewTask(question={"query": "q"}, planner="vote"))
    finally:
        os.umask(before)
    assert await asyncio.to_thread(rescued_of, path)
    assert open_ones(tmp_path) == set()


async def test_a_fetched_model_is_private_with_all_that_lies_beside_it(hub: Hub, tmp_path: Path) -> None:
    before = os.umask(0)
    try:
        await fetch(model(hub.source), directory=tmp_path / "cache" / "models")
    finally:
        os.umask(before)
    assert (tmp_path / "cache/models/tiny.gguf.checked").exists()
    assert open_ones(tmp_path) == set()


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A user's directories as an older version has left them."""
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setattr("sys.platform", "linux")
    for path in (
        "data/anabranch/anabranch.db",
        "data/anabranch/calibrations/one.json",
        "cache/anabranch/models/m",
    ):
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).write_bytes(b"")
        (tmp_path / path).chmod(0o664)
    for path in ("data/anabranch/calibrations", "data/anabranch", "cache/anabranch/models"):
        (tmp_path / path).chmod(0o755)
    (tmp_path / "elsewhere").write_text("")
    (tmp_path / "elsewhere").chmod(0o644)
    (tmp_path / "cache/anabranch/models/link").symlink_to(tmp_path / "elsewhere")
    return tmp_path


def test_only_what_a_command_uses_is_named(cache: Path) -> None:
    with capture_logs() as logs:
        keep_private(Settings(engine="http://other/v1", database="memory"), engine=True)
    (line,) = logs
    assert line["action"] == "files_exposed"
    assert "calibrations/one.json (0664)" in line["paths"]
    assert "models" not in line["paths"]
    assert "anabranch.db" not in line["paths"]


def test_mending_changes_what_is_ours_and_nothing_else(cache: Path) -> None:
    settings = Settings(engine="embedded", fix_permissions=True)
    with capture_logs() as logs:
        keep_private(settings, engine=True)
        keep_private(settings, engine=True)
    assert [line["action"] for line in logs] == ["files_mended"]
    assert others(cache / "elsewhere") == 0o044
    ours = open_ones(cache) - {"elsewhere", "cache/anabranch/models/link"}
    assert ours <= {"data", "cache", "cache/anabranch"}
    assert (cache / "data/anabranch/anabranch.db").stat().st_mode & 0o777 == 0o600


def test_a_cache_that_is_a_link_to_a_shared_one_is_left_alone(cache: Path) -> None:
    models = cache / "cache/anabranch/models"
    models.rename(cache / "shared")
    models.symlink_to(cache / "shared")
    keep_private(Settings(engine="embedded", fix_permissions=True), engine=True)
    assert others(cache / "shared") == 0o055
    assert others(cache / "shared" / "m") == 0o064


@pytest.mark.parametrize("refuses", [True, False], ids=["refuses", "ignores"])
def test_a_file_system_that_keeps_its_modes_costs_a_warning(
    cache: Path, monkeypatch: pytest.MonkeyPatch, refuses: bool
) -> None:
    def chmod(path: Path, mode: int, **_: object) -> None:
        if refuses:
            raise PermissionError(1, "Operation not permitted", str(path))

    monkeypatch.setattr(Path, "chmod", chmod)
    with capture_logs() as logs:
        keep_private(Settings(engine="memory", fix_permissions=True))
    assert [line["action"] for line in logs] == ["files_exposed"]
    assert "does not let" in logs[0]["event"]


def test_a_system_without_such_modes_is_left_alone(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("orchestrator.permissions.POSIX", False)
    with capture_logs() as logs:
        keep_private(Settings(fix_permissions=True), engine=True)
    assert logs == []


def test_many_files_take_one_line(cache: Path) -> None:
    for number in range(30):
        path = cache / f"data/anabranch/calibrations/{number}.json"
        path.write_text("{}")
        path.chmod(stat.S_IRUSR | stat.S_IROTH)
    with capture_logs() as logs:
        keep_private(Settings(database="memory"))
    (line,) = logs
    assert line["paths"].count("(0") == 5
    assert line["paths"].endswith(" more")

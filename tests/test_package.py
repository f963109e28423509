"""The package as users install it: everything is in the wheel, and nothing of the checkout is needed."""

from __future__ import annotations

import importlib.util
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import urllib.request
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from zipfile import ZipFile

import platformdirs
import pytest

from tests.real_model import SMALL

ROOT = Path(__file__).parents[1]
HALLS = ("anabranch", "orchestrator", "planners", "workers", "storage")

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]  # building asks a package index for hatchling


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("wheel")
    pip = [sys.executable, "-m", "pip", "--disable-pip-version-check"]
    subprocess.run([*pip, "wheel", "--quiet", "--no-deps", "--wheel-dir", folder, ROOT], check=True)
    (built,) = folder.glob("*.whl")
    return built


def test_the_wheel_holds_what_the_checkout_holds(wheel: Path) -> None:
    there = {
        str(path.relative_to(ROOT))
        for hall in HALLS
        for path in (ROOT / hall).rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }
    packed = {name for name in ZipFile(wheel).namelist() if ".dist-info/" not in name}
    assert packed == there
    assert {f"{hall}/py.typed" for hall in HALLS} <= packed


def test_an_installed_package_works_by_itself(wheel: Path, tmp_path: Path) -> None:
    """Its front door opens, its command runs, and its migrations make a database."""
    pip = [sys.executable, "-m", "pip", "--disable-pip-version-check"]
    subprocess.run(
        [*pip, "install", "--quiet", "--no-deps", "--target", tmp_path / "there", wheel], check=True
    )
    environment = {**os.environ, "PYTHONPATH": str(tmp_path / "there")}
    script = f"""
import anabranch
from workers.engines.simulator.engine import Simulator
with anabranch.Client(engine=Simulator("ok"), database="sqlite:///{tmp_path / "own.db"}") as client:
    print(anabranch.__file__, client.solve("?", planner="direct").answer)
"""
    done = subprocess.run(
        [sys.executable, "-c", script],
        env=environment,
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.split() == [str(tmp_path / "there" / "anabranch" / "__init__.py"), "ok"]
    command = [str(tmp_path / "there" / "bin" / "anabranch"), "planners"]
    listed = subprocess.run(
        command, env=environment, cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert "skeleton" in listed.stdout, listed.stderr


@pytest.fixture(scope="module")
def recipe(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A fresh environment with the wheel and llama.cpp, made by the commands of ``deploy/Dockerfile``.

    They see what the image copies and nothing else.
    """
    if importlib.util.find_spec("ensurepip") is None:
        pytest.skip("this Python makes no environments with pip: it lacks ensurepip")
    there = tmp_path_factory.mktemp("recipe")
    text = (ROOT / "deploy/Dockerfile").read_text()
    first = text[: text.index("\nFROM", text.index("FROM") + 1)]
    (there / "source").mkdir()
    for name in re.findall(r"^COPY (.*) \S+$", first, re.MULTILINE):
        for each in name.split():
            if (ROOT / each).is_dir():
                shutil.copytree(ROOT / each, there / "source" / each)
            else:
                shutil.copy(ROOT / each, there / "source" / each)
    (commands,) = re.findall(r"^RUN (.*)\Z", first, re.MULTILINE | re.DOTALL)
    commands = commands.replace("/wheels", f"{there}/wheels").replace(
        "/opt/anabranch", f"{there}/environment"
    )
    done = subprocess.run(
        ["sh", "-eu", "-c", commands],
        env={**own_environment(there), "EXTRAS": "embedded"},
        cwd=there / "source",
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return there / "environment"


def own_environment(home: Path) -> dict[str, str]:
    """No setting, no path to the checkout, and a home of its own, but the models that were fetched before."""
    kept = {name: text for name, text in os.environ.items() if not name.startswith(("ANABRANCH_", "PYTHON"))}
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    return kept | {
        "PATH": path,
        "HOME": str(home),
        "XDG_DATA_HOME": str(home / "data"),
        "XDG_CACHE_HOME": str(platformdirs.user_cache_path()),
    }


@contextmanager
def started(
    command: Sequence[str | Path], home: Path, says: str
) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """A process, once a line of its standard error matches ``says``, and the group of that match."""
    with subprocess.Popen(
        command, env=own_environment(home), cwd=home, stderr=subprocess.PIPE, text=True
    ) as process:
        try:
            assert process.stderr is not None
            told: list[str] = []
            found = None
            while found is None and (line := process.stderr.readline()):
                told.append(line)
                found = re.search(says, line)
            assert found is not None, told
            yield process, found[1]
        finally:
            process.kill()


@contextmanager
def simulated(recipe: Path, home: Path) -> Iterator[list[str]]:
    """The options for an engine that computes nothing, from the same environment."""
    simulator = (
        "import sys; sys.stdout = sys.stderr; from workers.engines.simulator.command import main; main()"
    )
    command: list[str | Path] = [
        recipe / "bin/python",
        "-c",
        simulator,
        "--port",
        "0",
        "--answer",
        "Answer: 4",
    ]
    with started(command, home, r"(http://\S+)") as (_, url):
        yield ["--engine", url]


@contextmanager
def embedded(recipe: Path, home: Path) -> Iterator[list[str]]:
    """The options for llama.cpp in the service, with a small model."""
    yield ["--model", SMALL]


@pytest.mark.timeout(3600)
@pytest.mark.parametrize("engine", [simulated, pytest.param(embedded, marks=pytest.mark.engine)])
def test_what_is_installed_serves_by_itself(
    recipe: Path, tmp_path: Path, engine: Callable[[Path, Path], AbstractContextManager[list[str]]]
) -> None:
    """After ``pip install`` with the extra ``embedded``, one command answers, and SIGTERM ends it with 0."""
    with engine(recipe, tmp_path) as options:
        command: list[str | Path] = [recipe / "bin/anabranch", "serve", "--port", "0", *options]
        with started(command, tmp_path, r"listening on (\S+)") as (process, url):
            question = {"query": "What is 2 + 2?", "planner": "direct", "options": {"max_tokens": 40}}
            request = urllib.request.Request(
                f"{url}/v1/tasks?wait=600",
                json.dumps(question).encode(),
                {"Content-Type": "application/json"},
            )
            with urllib.request.urlopen(request, timeout=900) as response:
                task = json.load(response)
            assert task["status"] == "succeeded", task
            assert task["solution"]["answer"]
            process.send_signal(signal.SIGTERM)
            assert process.wait(timeout=300) == 0
    made = tmp_path / "data/anabranch/anabranch.db"
    assert made.stat().st_mode & 0o777 == 0o600


@pytest.mark.timeout(3600)
def test_what_is_installed_has_its_data_and_no_need_of_a_checkout(recipe: Path, tmp_path: Path) -> None:
    script = """
import json, importlib.resources as resources, storage.sql.migrations as migrations
from orchestrator.tasks import calibrations
import anabranch
shipped = [each.name for each in resources.files("orchestrator.tasks").joinpath("shipped").iterdir()]
print(json.dumps({"at": anabranch.__file__, "shipped": shipped, "head": migrations.HEAD}))
"""
    told = subprocess.run(
        [recipe / "bin/python", "-c", script],
        env=own_environment(tmp_path),
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=True,
    )
    found = json.loads(told.stdout)
    assert found["at"].startswith(str(recipe))
    assert any(name.endswith(".json") for name in found["shipped"])
    (packages,) = recipe.glob("lib/python*/site-packages")
    assert list((packages / "storage/sql/migrations/versions").glob(f"{found['head']}_*.py"))
    assert all((packages / hall / "py.typed").exists() for hall in HALLS)
    assert not (packages / "tests").exists()

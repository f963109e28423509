"""The package as users install it: everything is in the wheel, and nothing of the checkout is needed."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from zipfile import ZipFile

import pytest

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

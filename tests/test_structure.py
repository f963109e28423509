"""The rooms of the house: what keeps their order notices when it is broken, and no module grows too long."""

from __future__ import annotations

import ast
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
HALLS = ("anabranch", "orchestrator", "planners", "workers", "storage")
LONGEST = 400


def modules() -> list[Path]:
    return [path for hall in HALLS for path in sorted((ROOT / hall).rglob("*.py"))]


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    """The halls and their contracts, to be broken."""
    for name in (*HALLS, "scripts"):
        shutil.copytree(ROOT / name, tmp_path / name, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    return tmp_path


def broken(house: Path) -> set[str]:
    """The contracts that ``lint-imports`` finds broken."""
    linter = "import sys; from importlinter.cli import lint_imports_command; lint_imports_command()"
    told = subprocess.run(
        [sys.executable, "-c", linter, "--no-cache"],
        cwd=house,
        env={**os.environ, "PYTHONPATH": str(house), "NO_COLOR": "1", "COLUMNS": "200"},
        capture_output=True,
        text=True,
        check=False,
    ).stdout
    assert "Contracts: " in told, told
    return {line.removesuffix(" BROKEN") for line in told.splitlines() if line.endswith(" BROKEN")}


TYPE_ONLY = "\nfrom typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    "


@pytest.mark.parametrize(
    ("module", "line", "contract"),
    [
        ("workers/calls.py", "import storage.tasks", "the arrows between the halls"),
        ("storage/tasks.py", "import orchestrator.errors", "the arrows between the halls"),
        ("planners/direct.py", "import anabranch", "the arrows between the halls"),
        (
            "orchestrator/runtime/values.py",
            "import orchestrator.planning.run",
            "the rooms of the orchestrator",
        ),
        ("orchestrator/api/metrics.py", "import orchestrator.client", "the rooms of the orchestrator"),
        ("workers/engines/llama/slots.py", "import workers.pool.pace", "the rooms of the workers"),
        (
            "workers/engines/prompt_tokens.py",
            "import workers.engines.llama.slots",
            "the engines, which speak OpenAI's protocol where they need it",
        ),
        (
            "workers/engines/llama/slots.py",
            "import workers.engines.simulator.cost",
            "engines that know nothing of each other",
        ),
        ("storage/store.py", "import storage.memory", "the rooms of the storage"),
        ("planners/questions.py", "import planners.vote", "no circle of rooms"),
        (
            "orchestrator/consensus/stopping/view.py",
            "import orchestrator.consensus.stopping",
            "no circle of modules",
        ),
    ],
)
def test_a_contract_that_is_broken_is_noticed(copy: Path, module: str, line: str, contract: str) -> None:
    """Also where the import is for the type checker alone."""
    with (copy / module).open("a") as file:
        file.write(f"{TYPE_ONLY}{line}\n")
    assert contract in broken(copy)


def test_no_module_is_too_long_to_be_read() -> None:
    lengths = {str(path.relative_to(ROOT)): len(path.read_text().splitlines()) for path in modules()}
    assert {name: lines for name, lines in lengths.items() if lines > LONGEST} == {}


def test_every_room_says_what_it_is_for_and_what_it_may_import() -> None:
    for init in (path for path in modules() if path.name == "__init__.py" and "migrations" not in path.parts):
        purpose = ast.get_docstring(ast.parse(init.read_text())) or ""
        assert "import" in purpose.lower(), f"{init.relative_to(ROOT)} does not say what it may import"

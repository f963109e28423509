"""The scripts that people and CI call, without what takes minutes: making real environments."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path

import pytest

from tests.real_vllm import require_vllm
from workers.models.catalogue import DEFAULT_MODEL

ROOT = Path(__file__).parents[1]
SCRIPTS = ["scripts/solve", "scripts/test", "scripts/check", ".ci/run"]


def write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    path.chmod(0o755)


def call(script: str, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["/bin/sh", str(ROOT / script), *arguments],
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        timeout=60,
    )


@pytest.fixture
def environment(tmp_path: Path) -> Path:
    """What looks like a virtual environment: it notes what pip is asked for, and its commands echo."""
    write(
        tmp_path / "bin" / "python",
        f"""#!/bin/sh
        case "$*" in
        "-m pip --version") ;;
        "-m pip install"*) echo "$*" >>"{tmp_path}/pip.log" ;;
        "-m pytest"*) echo "$*" ;;
        *) exec "{sys.executable}" "$@" ;;
        esac
        """,
    )
    write(tmp_path / "bin" / "anabranch", '#!/bin/sh\nprintf "<%s>" "$@"\n')
    return tmp_path


@pytest.mark.parametrize("script", SCRIPTS)
def test_they_are_plain_and_executable(script: str) -> None:
    path = ROOT / script
    assert os.access(path, os.X_OK)
    assert path.read_text().startswith("#!/bin/sh\n")
    subprocess.run(["/bin/sh", "-n", str(path)], check=True)
    if dash := shutil.which("dash"):
        subprocess.run([dash, "-n", str(path)], check=True)


def test_solve_installs_once_and_hands_its_arguments_on(environment: Path) -> None:
    given = {"ANABRANCH_VENV": str(environment)}
    first = call("scripts/solve", "What is 1 + 1?", "--json", **given)
    assert first.stdout == "<solve><What is 1 + 1?><--json>"
    assert "installing anabranch" in first.stderr
    asked = (environment / "pip.log").read_text()
    assert f"{ROOT}[embedded,math]" in asked
    again = call("scripts/solve", "What is 2 + 2?", **given)
    assert (again.stdout, again.stderr) == ("<solve><What is 2 + 2?>", "")
    assert (environment / "pip.log").read_text() == asked


@pytest.mark.engine
@pytest.mark.slow
@pytest.mark.timeout(1800)  # it may have to fetch the model
def test_solve_answers_with_the_default_model(environment: Path, tmp_path: Path) -> None:
    """What a new user gets: nothing is set or named, so the model and the planner are the defaults."""
    write(environment / "bin" / "anabranch", f'#!/bin/sh\nexec "{sys.executable}" -m orchestrator.cli "$@"\n')
    kept = {name: value for name, value in os.environ.items() if not name.startswith("ANABRANCH_")}
    here = {"PYTHONPATH": str(ROOT), "ANABRANCH_VENV": str(environment), "XDG_DATA_HOME": str(tmp_path)}
    solved = subprocess.run(
        ["/bin/sh", str(ROOT / "scripts/solve"), "What is the capital of France?", "--json"],
        env=kept | here,
        cwd=tmp_path,  # settings may stand in a file of the working directory
        capture_output=True,
        text=True,
        timeout=1700,
    )
    assert solved.returncode == 0, solved.stderr
    solution = json.loads(solved.stdout)
    assert (solution["answer"], solution["outcome"], solution["planner"]) == ("Paris", "answered", "auto")
    assert not solution["unsure"]
    shown = subprocess.run(
        [sys.executable, "-m", "orchestrator.cli", "trace", solution["trace_id"], "--json"],
        env=kept | here,
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    assert f'"model":"{DEFAULT_MODEL}"' in shown.stdout


@pytest.mark.vllm
@pytest.mark.engine
@pytest.mark.slow
@pytest.mark.timeout(900)
def test_solve_answers_with_a_vllm_server_of_its_own(tmp_path: Path) -> None:
    require_vllm()
    options = ["--engine", "vllm", "--planner", "vote", "-o", "n=2", "--max-tokens", "24", "--json"]
    solved = subprocess.run(
        ["/bin/sh", str(ROOT / "scripts/solve"), "What is 2 + 2?", *options],
        env={**os.environ, "ANABRANCH_VENV": sys.prefix, "XDG_DATA_HOME": str(tmp_path)},
        capture_output=True,
        text=True,
        timeout=800,
    )
    assert solved.returncode == 0, solved.stderr
    solution = json.loads(solved.stdout)
    # Two short branches of a tiny model may well disagree.
    assert solution["outcome"] in ("answered", "undecided")
    assert solution["text"]
    assert solution["usage"]["completion"] > 0
    starting = [line for line in solved.stderr.splitlines() if line.startswith("starting vllm-0: ")]
    assert len(starting) > 1
    for _ in range(600):  # the kernel ends what is left of a server
        if not _with_environment(str(tmp_path)):
            return
        time.sleep(0.1)
    pytest.fail(f"still running: {_with_environment(str(tmp_path))}")


def _with_environment(part: str) -> list[str]:
    """The processes in whose environment ``part`` occurs."""
    found = []
    for path in Path("/proc").glob("[0-9]*/environ"):
        with suppress(OSError):
            if part.encode() in path.read_bytes():
                found.append(path.parent.name)
    return found


def test_test_runs_quick_tests_first_or_what_it_is_told(environment: Path) -> None:
    given = {"ANABRANCH_VENV": str(environment)}
    everything = call("scripts/test", **given)
    quick, slow = everything.stdout.splitlines()
    assert "-m not engine and not vllm and not slow " in quick
    assert "-m not (not engine and not vllm and not slow) " in slow
    assert "--cov" not in everything.stdout
    quick, slow = call("scripts/test", "--cov", **given).stdout.splitlines()
    assert "-m not engine and not vllm and not slow " in quick
    assert "--cov " in quick
    assert "--cov-append" in slow
    some = call("scripts/test", "tests/storage", "-k", "lease", **given)
    assert some.stdout == "-m pytest tests/storage -k lease\n"
    assert f"{ROOT}[dev]" in (environment / "pip.log").read_text()


def test_a_machine_without_a_python_that_will_do_is_told(tmp_path: Path) -> None:
    for name in ("dirname", "cksum", "cat"):
        found = shutil.which(name)
        assert found is not None
        (tmp_path / name).symlink_to(found)
    write(tmp_path / "python3", "#!/bin/sh\nexit 1\n")  # one that is too old
    done = call("scripts/solve", "x", PATH=str(tmp_path), ANABRANCH_VENV=str(tmp_path / "none"))
    assert done.returncode != 0
    assert "Python 3.11 or newer is needed" in done.stderr
    assert not (tmp_path / "none").exists()

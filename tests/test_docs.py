"""The shell examples of the documentation, run as they stand, with a simulator for an engine."""

from __future__ import annotations

import json
import os
import re
import socket
import stat
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from typer.main import get_command

from orchestrator.api.handlers import openapi_document
from orchestrator.cli.app import app
from orchestrator.consensus.stopping.spec import ROUND_RULES, RULES
from orchestrator.planning.finding import PACKAGES, installed_planners
from orchestrator.settings import Settings
from tests.real_model import SMALL

ROOT = Path(__file__).parents[1]


def examples(page: str) -> str:
    """All shell blocks of a page that are to be run, as one script."""
    return "\n".join(re.findall(r"^```sh\n(.*?)^```$", (ROOT / page).read_text(), re.DOTALL | re.MULTILINE))


@pytest.fixture
def environment(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    """Where ``anabranch`` is on the PATH, and an engine that says what every question wants.

    Each page has a database of its own: traces with tools are verified only where the tools are at hand.
    """
    home = tmp_path_factory.mktemp("docs")
    command = home / "anabranch"
    command.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m orchestrator.cli "$@"\n')
    command.chmod(command.stat().st_mode | stat.S_IXUSR)
    server = [
        sys.executable,
        "-m",
        "workers.engines.simulator",
        "--port",
        "0",
        "--answer",
        "Answer: 72",
    ]
    with subprocess.Popen(server, stdout=subprocess.PIPE, text=True, cwd=ROOT) as process:
        assert process.stdout is not None
        url = re.search(r"http://\S+", process.stdout.readline())
        assert url is not None
        yield {
            **os.environ,
            "PATH": f"{home}:{Path(sys.executable).parent}:{os.environ['PATH']}",
            "PYTHONPATH": str(ROOT),
            "ANABRANCH_ENGINE": url.group(),
            "ANABRANCH_DATABASE": f"sqlite:///{home / 'docs.db'}",
        }
        process.terminate()


@pytest.mark.timeout(600)
def test_the_examples_of_tools(environment: dict[str, str]) -> None:
    script = examples("docs/tools.md")
    assert script.count("anabranch solve") >= 2
    told = run(script.replace("18765", str(free_port())), environment)
    assert told.startswith("2048472\n")
    assert "{'people': 2048472, 'mayor': 'Emmanuel Grégoire'}" in told


@pytest.mark.timeout(600)
def test_the_example_of_batches(environment: dict[str, str], tmp_path: Path) -> None:
    run(f"cd {tmp_path}\n{examples('docs/batches.md')}", environment)
    results = [json.loads(line) for line in (tmp_path / "answers.jsonl").read_text().splitlines()]
    assert [(each["id"], each["answer"], each["carried"]) for each in results] == [
        ("clips", "72", {"label": 72}),
        ("coins", "72", {"label": 5}),
    ]


@pytest.mark.timeout(600)
def test_the_example_of_mcp(environment: dict[str, str]) -> None:
    page = (ROOT / "docs/mcp.md").read_text()
    for block in re.findall(r"^```json\n(.*?)^```$", page, re.DOTALL | re.MULTILINE):
        json.loads(block)
    told = run(examples("docs/mcp.md"), environment).splitlines()
    assert told[0] == "1: A vote begins."
    assert re.fullmatch(r"72 all \d branches agree", told[-1])


def free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port: int = free.getsockname()[1]
        return port


def run(script: str, environment: dict[str, str]) -> str:
    done = subprocess.run(
        ["sh", "-eux", "-c", script], env=environment, capture_output=True, text=True, timeout=500
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_the_examples_of_the_command_line(environment: dict[str, str]) -> None:
    script = examples("docs/cli.md")
    assert script.count("anabranch") >= 10
    told = run(script, environment)
    assert told.startswith("72\n")
    assert "identical: " in told


@pytest.mark.timeout(600)
def test_the_examples_of_the_api(environment: dict[str, str]) -> None:
    script = examples("docs/api.md")
    assert script.count("curl") >= 8
    with subprocess.Popen(
        ["anabranch", "serve", "--port", "0"], env=environment, stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stderr is not None
        url = process.stderr.readline().removeprefix("listening on ").strip()
        try:
            told = run(script.replace("http://127.0.0.1:8080", url), environment)
        finally:
            process.terminate()
        assert process.wait(timeout=100) == 0
    assert "event: task_ended" in told
    assert '"answer":"72"' in told
    assert '"calls":0' in told


@pytest.mark.timeout(600)
def test_every_option_and_setting_is_documented() -> None:
    page = (ROOT / "docs/cli.md").read_text()
    for command in get_command(app).commands:  # type: ignore[attr-defined]
        done = subprocess.run(
            [sys.executable, "-m", "orchestrator.cli", command, "--help"],
            env={**os.environ, "COLUMNS": "200", "NO_COLOR": "1"},
            capture_output=True,
            text=True,
            check=True,
            cwd=ROOT,
        )
        for option in set(re.findall(r"--[a-z][a-z-]+", done.stdout)) - {"--help"}:
            assert option in page, f"{command} {option}"
    for option in re.findall(r"`(--[a-z-]+)`", page):
        source = "".join(path.read_text() for path in (ROOT / "orchestrator/cli").glob("*.py"))
        assert option in source or option[2:].replace("-", "_") in source
    for name in Settings.model_fields:
        assert f"ANABRANCH_{name.upper()}" in page


def test_every_path_is_documented() -> None:
    page = (ROOT / "docs/api.md").read_text()
    for path, methods in openapi_document()["paths"].items():
        for method in methods:
            assert f"`{method.upper()} {path}`" in page


def test_every_planner_has_a_page_and_every_rule_its_row() -> None:
    ours = [name for name in installed_planners() if "anabranch" in PACKAGES[name]]
    assert [name for name in ours if not (ROOT / f"docs/planners/{name}.md").exists()] == []
    page = (ROOT / "docs/consensus.md").read_text()
    assert [name for name in (*RULES, *ROUND_RULES) if f"`{name}" not in page] == []


@pytest.mark.engine
@pytest.mark.timeout(1800)
def test_the_example_of_the_readme_on_the_real_model() -> None:
    blocks = re.findall(r"^```python\n(.*?)^```$", (ROOT / "README.md").read_text(), re.DOTALL | re.MULTILINE)
    blocks = [block for block in blocks if "from anabranch import" in block]
    assert len(blocks) == 1
    for seed in range(3):  # 0 is the default; the small model may be wrong, as five samples are few
        done = subprocess.run(
            [sys.executable, "-c", blocks[0].replace('planner="vote"', f'planner="vote", seed={seed}')],
            env={**os.environ, "ANABRANCH_MODEL": SMALL},
            capture_output=True,
            text=True,
            timeout=600,
            cwd=ROOT,
            check=False,
        )
        if done.returncode == 0 and done.stdout.split()[0] == "72":
            break
    assert done.returncode == 0, done.stderr
    assert done.stdout.split()[0] == "72"


def test_every_link_of_the_documentation_leads_somewhere() -> None:
    pages = [*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md"), *ROOT.glob("examples/**/*.md")]
    for page in pages:
        for target in re.findall(r"\]\((?!https?://)([^)#\s]+)", page.read_text()):
            assert (page.parent / target).exists(), f"{page.name} links to {target}"


def test_every_fault_names_a_test_that_exists() -> None:
    page = (ROOT / "docs/operations.md").read_text()
    table = page[page.index("## Faults") : page.index("## Size and retention")]
    named = re.findall(r"`(tests/[\w/]+\.py)::(\w+)` \|$", table, re.MULTILINE)
    rows = [line for line in table.splitlines() if line.startswith("| ") and "| test |" not in line]
    assert len(named) == len(rows) > 50
    missing = [
        (file, name) for file, name in named if not re.search(rf"def {name}\(", (ROOT / file).read_text())
    ]
    assert not missing

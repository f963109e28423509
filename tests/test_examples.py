"""The examples, run as they stand, with a simulator for an engine."""

from __future__ import annotations

import ast
import asyncio
import os
import re
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.real_model import SMALL
from workers.engines.simulator.engine import Simulator
from workers.engines.simulator.server import serving

ROOT = Path(__file__).parents[1]
FOLDER = ROOT / "examples"
EXAMPLES = sorted(FOLDER.glob("*.py"))
PACKAGE = FOLDER / "third_party"
ROOMS = {"orchestrator", "planners", "storage", "workers"}


@dataclass(frozen=True)
class Case:
    """What an engine says, by a part of what it is asked, and all that the example then prints."""

    prints: str  # a regular expression
    answers: Mapping[str, str]


RIGHT = {"How many clips": "It is \\boxed{72}."}

CASES: Mapping[str, Sequence[Case]] = {
    "ahead.py": [
        Case(
            r"72\nBecause 48 and 24 make 72\.\n"
            r"decided: begin\ndecided: confirmed\n0 tokens for nothing\n",
            {"Explain in two sentences": "Because 48 and 24 make 72.", **RIGHT},
        )
    ],
    "notebook.py": [
        Case(
            r"72\n"
            r"  ███ 3 72\n"
            r"confidence 1\.0, entropy 0\.0 nats\n"
            r"0 vote elastic:patience=0\.56,quorum=10,width=5: succeeded, 0 tokens\n"
            r"(  0\.\d generate branch \d: (succeeded|cancelled), \d+ tokens\n){3,5}"
            r"(elastic:\S+: (continue|expand)\n){3}"
            r"elastic:\S+: stop: agreed\n"
            r"merge: majority\n"
            r"  0 run: run_started\n"
            r"( +\d+ 0: node_\w+\n)+"
            r" +\d+ run: run_finished\n"
            r"answer: 72\n",
            RIGHT,
        )
    ],
    "own_engine.py": [
        Case(
            r"391\n"
            r"  [3-7] say 391\n"
            r"(  [1-3] say 392\n)?"
            r"[3-8] calls, \d+ tokens, \d+ from cancelled branches\n",
            {},
        )
    ],
    "own_planner.py": [
        Case(r"72\ndecided: agreed, on \['72', '72'\]\n2 calls, \d+ completion tokens\n", RIGHT),
        Case(
            r"72\ndecided: vote, on \['72', '96'\]\n[5-7] calls, \d+ completion tokens\n",
            {**RIGHT, "Begin with what is asked": "It is \\boxed{96}."},
        ),
        Case(
            r"72\ndecided: vote, on \['72', ''\]\n[5-7] calls, \d+ completion tokens\n",
            {**RIGHT, "Begin with what is asked": "It is"},
        ),
    ],
    "own_tool.py": [
        Case(
            r"8\.4\n"
            r"  1 water_level \{'place': 'Cologne'\}: 8\.4\n"
            r"Cologne is warned: 8\.4 m\n"
            r"replayed \d+ events; warnings sent: 1\n",
            {
                "water level": '1. water_level(place="Cologne")\n2. join()\n<END_OF_PLAN>',
                '<results>\n1. water_level("Cologne") = 8.4': '{"answer": "8.4"}',
            },
        )
    ],
    "replay_and_fork.py": [
        Case(
            r"solved: 72, 4 calls\n"
            r"replayed: 72, \d+ events\n"
            r"with beta:0\.9: 15 of 20 completion tokens\n"
            r"with a hotter branch: unknown, it waits for 0\.1, which the trace has no result of\n"
            r"forked: 72, 1 calls\n"
            r"different nodes: 0\.1; the same: 4\n",
            RIGHT,
        )
    ],
}
RUNS = [
    pytest.param(path, case, id=f"{path.stem}-{number}")
    for path in EXAMPLES
    for number, case in enumerate(CASES.get(path.name, [None]))
]


async def run(
    command: Sequence[str | Path], answers: Mapping[str, str], folder: Path, **environment: str
) -> str:
    """What a program prints that must end well and has nothing to complain of."""
    code, printed, complaints = await end(command, answers, folder, **environment)
    assert (code, complaints) == (0, ""), complaints
    return printed


async def end(
    command: Sequence[str | Path], answers: Mapping[str, str], folder: Path, **environment: str
) -> tuple[int | None, str, str]:
    """How a program ends: its exit code, what it prints, and what it complains of."""
    async with serving(Simulator({"": "ok", **answers})) as url:  # a server is probed first
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-W", "error", *map(str, command)),
            cwd=folder,
            env=clean(folder) | {"ANABRANCH_ENGINE": url} | environment,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
        printed, complaints = await process.communicate()
    return process.returncode, printed.decode(), complaints.decode()


def clean(folder: Path) -> dict[str, str]:
    """An environment in which nothing is set up but a database, and this checkout is what is imported."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("ANABRANCH_")}
    database = f"sqlite:///{folder / 'traces.db'}"
    return {**kept, "PYTHONPATH": str(ROOT), "PYTHONUTF8": "1", "ANABRANCH_DATABASE": database}


@pytest.mark.parametrize(("path", "case"), RUNS)
async def test_an_example_prints_what_it_says(path: Path, case: Case | None, tmp_path: Path) -> None:
    assert case is not None, f"{path.name} is new: say in CASES of {Path(__file__).name} what it prints"
    printed = await run([path], case.answers, tmp_path)
    assert re.fullmatch(case.prints, printed), printed


def test_every_example_is_there_explained_and_listed() -> None:
    page = (FOLDER / "README.md").read_text()
    listed = set(re.findall(r"^\| \[(\S+)\]", page, re.MULTILINE))
    folders = {f"{path.parent.name}/" for path in FOLDER.glob("*/pyproject.toml")} | {"clients/"}
    assert listed == {path.name for path in EXAMPLES} | folders
    assert set(CASES) == {path.name for path in EXAMPLES}
    for path in EXAMPLES:
        docstring = ast.get_docstring(ast.parse(path.read_text())) or ""
        assert "\nPrints " in docstring, f"the docstring of {path.name} should say what it prints"


@pytest.mark.parametrize("path", [*EXAMPLES, *PACKAGE.glob("*.py")], ids=lambda path: path.stem)
def test_an_example_comes_in_by_the_front_door(path: Path) -> None:
    imported = {
        name.partition(".")[0]
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Import | ast.ImportFrom)
        for name in (
            [node.module or ""] if isinstance(node, ast.ImportFrom) else [a.name for a in node.names]
        )
    }
    assert "anabranch" in imported
    assert not imported & ROOMS


CELLS = """
import asyncio, sys
from pathlib import Path

async def notebook(cells):
    names = {"__name__": "__main__"}
    exec(compile(cells, "notebook.py", "exec"), names)
    await names["watching"]

asyncio.run(notebook(Path(sys.argv[1]).read_text()))
"""


async def test_the_cells_run_where_a_loop_runs_already(tmp_path: Path) -> None:
    (case,) = CASES["notebook.py"]
    printed = await run(["-c", CELLS, FOLDER / "notebook.py"], case.answers, tmp_path)
    assert re.fullmatch(case.prints, printed), printed


@pytest.mark.engine
@pytest.mark.slow
@pytest.mark.timeout(900)
def test_an_example_on_the_real_model(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, FOLDER / "own_planner.py"],
        cwd=tmp_path,
        env=clean(tmp_path) | {"ANABRANCH_MODEL": SMALL},
        capture_output=True,
        text=True,
        timeout=850,
    )
    assert done.returncode == 0, done.stderr
    told = re.fullmatch(  # whatever the answer, which may be a text where branches give no short one
        r"(?s:.+)\ndecided: (agreed|vote), on \[.*\]\n(\d+) calls, \d+ completion tokens\n", done.stdout
    )
    assert told is not None, done.stdout
    assert (told[1] == "agreed") == (told[2] == "2")


# -- a package of somebody else -------------------------------------------------------------------

QUESTION = "What is a braided river?"
RIVERS = {QUESTION: "A river of many channels that part and meet.", "That is too long.": "Many channels"}
CLI = ["-m", "orchestrator.cli"]
BY_NAME = f"""
from anabranch import Client

with Client() as client:
    solution = client.solve({QUESTION!r}, planner="brief", options={{"words": 3}})
    print(solution.answer)
    for node in client.trace(solution.trace_id).walk():
        print(node.path, node.label, node.value if node.kind == "tool" else "")
    print(client.replay(solution.trace_id).result.answer.text)
    print(solution.trace_id)
"""


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A ``PYTHONPATH`` on which the package is installed beside this checkout."""
    folder = tmp_path_factory.mktemp("installed")
    pip = [sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-deps"]
    subprocess.run([*pip, "--target", folder, PACKAGE], check=True, timeout=300)
    return f"{folder}{os.pathsep}{ROOT}"


@pytest.mark.slow  # it asks a package index for what builds the package
@pytest.mark.timeout(600)
async def test_a_package_of_somebody_else_is_found_by_name(installed: str, tmp_path: Path) -> None:
    listed = await run([*CLI, "planners"], {}, tmp_path, PYTHONPATH=installed)
    assert re.search(r"^brief  Answer in at most .*\n    words = 20\n    drafts = 3$", listed, re.MULTILINE)

    asking = ["solve", QUESTION, "--planner", "brief", "--option", "words=12", "--quiet"]
    assert (await run([*CLI, *asking], RIVERS, tmp_path, PYTHONPATH=installed)).startswith(RIVERS[QUESTION])

    printed = await run(["-c", BY_NAME], RIVERS, tmp_path, PYTHONPATH=installed)
    *told, trace_id = printed.splitlines()
    assert told == [
        "Many channels",
        "0 draft 0 ",
        "1 word_count 9",
        "2 draft 1 ",
        "3 word_count 2",
        "Many channels",
    ]

    code, _, complaints = await end([*CLI, "replay", trace_id], {}, tmp_path)
    assert code == 2
    assert "no planner is called 'brief'" in complaints
    assert "the trace was made with anabranch-brief 1.0.0" in complaints

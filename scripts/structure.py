"""Write the tables of docs/structure.md from the modules' docstrings; with ``--check``, only compare them."""

from __future__ import annotations

import ast
import re
import sys
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[1]
PAGE = ROOT / "docs" / "structure.md"

ROOMS = (
    "orchestrator",
    "orchestrator/cli",
    "orchestrator/mcp",
    "orchestrator/api",
    "orchestrator/api/responses",
    "orchestrator/api/openai",
    "orchestrator/client",
    "orchestrator/remote",
    "orchestrator/access",
    "orchestrator/tracing",
    "orchestrator/batches",
    "orchestrator/tasks",
    "orchestrator/tasks/hindsight",
    "orchestrator/webhooks",
    "orchestrator/planning",
    "orchestrator/voting",
    "orchestrator/runtime",
    "orchestrator/consensus",
    "orchestrator/consensus/reading",
    "orchestrator/consensus/quantities",
    "orchestrator/consensus/stopping",
    "planners",
    "planners/documents",
    "planners/distil",
    "planners/programs",
    "planners/spawn_join",
    "planners/threads",
    "planners/template",
    "planners/together",
    "planners/strategies",
    "planners/tree",
    "workers",
    "workers/pool",
    "workers/engines",
    "workers/engines/openai",
    "workers/engines/vllm",
    "workers/engines/vllm/served",
    "workers/engines/vllm/served/anabranch_sampling",
    "workers/engines/llama",
    "workers/engines/simulator",
    "workers/models",
    "workers/prefix",
    "workers/tools",
    "workers/tools/mcp",
    "storage",
    "storage/sql",
)
"""In the order of the page: the halls from above, in each hall its rooms from above."""

TABLES = re.compile(r"(?<=<!-- tables -->\n).*(?=<!-- end of tables -->)", re.DOTALL)


def main() -> None:
    """Write the page, or exit with 1 if it is not current."""
    page = PAGE.read_text()
    current = TABLES.sub(lambda _: f"\n{''.join(map(room, ROOMS))}", page)
    if "--check" not in sys.argv[1:]:
        PAGE.write_text(current)
    elif page != current:
        sys.exit("docs/structure.md is not current: run python scripts/structure.py")
    else:
        sys.stdout.write("structure.md is current\n")


def room(name: str) -> str:
    """A heading, what the room is for, and a table of its modules."""
    folder = ROOT / name
    missing = {path.parent for path in folder.glob("*/__init__.py")} - {ROOT / each for each in ROOMS}
    if unknown := sorted(str(path.relative_to(ROOT)) for path in missing if path.name != "migrations"):
        sys.exit(f"scripts/structure.py does not know the rooms {', '.join(unknown)}")
    level = "###" if "/" in name else "##"
    purpose = plain(docstring(folder / "__init__.py"))
    modules = "".join(rows(folder))
    table = f"| module | what is in it |\n|---|---|\n{modules}\n" if modules else ""
    return f"{level} {name}/\n\n{purpose}\n\n{table}"


def rows(folder: Path) -> Iterator[str]:
    """A row for each module."""
    for path in sorted(folder.glob("*.py")):
        if path.name not in ("__init__.py", "__main__.py"):
            yield row(path.name, path)
    if (folder / "migrations").is_dir():
        yield row("migrations/", folder / "migrations" / "__init__.py")


def row(name: str, path: Path) -> str:
    """A module with the first paragraph of its docstring."""
    purpose = docstring(path).partition("\n\n")[0].replace("\n", " ")
    return f"| `{name}` | {plain(purpose)} |\n"


def docstring(path: Path) -> str:
    """The docstring of a module, which has one."""
    found = ast.get_docstring(ast.parse(path.read_text()))
    if not found:
        sys.exit(f"{path.relative_to(ROOT)} has no docstring")
    return found


def plain(text: str) -> str:
    """A docstring as Markdown: roles and double backquotes become code."""
    return re.sub(r":\w+:`~?([^`]+)`", r"`\1`", text).replace("``", "`").replace("|", "\\|")


if __name__ == "__main__":
    main()

"""The options and arguments that several commands share."""

from __future__ import annotations

import io
import sys
from typing import Annotated

import typer

Database = Annotated[
    str | None,
    typer.Option(help="sqlite:///path, postgresql://…, or memory. By default this user's own file."),
]
Engine = Annotated[
    str | None,
    typer.Option(
        help="embedded, vllm, or URLs of OpenAI-compatible servers, separated by commas; "
        r"each may be prefixed with \[role=]\[model@]."
    ),
]
Options = Annotated[
    list[str] | None,
    typer.Option("--option", "-o", help="An option of the planner, such as n=16; values are JSON."),
]
Tools = Annotated[list[str] | None, typer.Option(help="A tool for planners to call, as module:attribute.")]
Mcp = Annotated[
    str | None,
    typer.Option(help="A JSON file of MCP servers whose tools planners may call; see docs/tools.md."),
]
HttpTools = Annotated[
    str | None, typer.Option(help="A JSON file of HTTP endpoints that planners may call; see docs/tools.md.")
]
Temperature = Annotated[float | None, typer.Option(help="Sampling temperature of the calls; 0 to 2.")]
TopP = Annotated[float | None, typer.Option(help="Nucleus sampling of the calls; above 0, at most 1.")]
MaxTokens = Annotated[int | None, typer.Option(help="Completion tokens of one call.")]
Seed = Annotated[int | None, typer.Option(help="All sampling seeds are derived from it.")]
Model = Annotated[
    str | None, typer.Option(help="A catalogue name, a GGUF file, or the model that a server should use.")
]
AbstainBelow = Annotated[
    float | None,
    typer.Option(
        min=0.001, max=1, help="Abstain if the answer is not known to be right with this probability."
    ),
]
BudgetTokens = Annotated[
    int | None, typer.Option(help="Most tokens of all calls; then the best answer so far.")
]
BudgetSeconds = Annotated[float | None, typer.Option(help="Longest wall time of the run.")]

FixPermissions = Annotated[
    bool,
    typer.Option(
        "--fix-permissions", help="Make files of the database and caches private that other users can read."
    ),
]


def in_utf8(as_json: bool) -> bool:
    """JSON is UTF-8, whatever the locale says."""
    if as_json and isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(encoding="utf-8")
    return as_json


AsJson = Annotated[
    bool, typer.Option("--json", callback=in_utf8, help="Print one JSON value and nothing else.")
]
Verbose = Annotated[
    bool,
    typer.Option(
        "--verbose",
        "-v",
        help="All that the answer rests on: who gave which answer, the reasoning, the cost.",
    ),
]
TraceId = Annotated[str, typer.Argument(metavar="ID", help="The trace id, as solve prints it.")]

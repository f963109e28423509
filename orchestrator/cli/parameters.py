"""The options and arguments that several commands share."""

from __future__ import annotations

import io
import sys
from typing import Annotated

import typer

Database = Annotated[
    str | None,
    typer.Option(help="sqlite:///path, postgresql://…, or memory. By default a file of this user."),
]
Engine = Annotated[
    str | None,
    typer.Option(
        help="embedded, vllm, or URLs of OpenAI-compatible servers, separated by commas; "
        r"\[role=]\[model@] may stand before each."
    ),
]
Options = Annotated[
    list[str] | None, typer.Option("--option", "-o", help="An option of the planner, as n=16; JSON values.")
]
Tools = Annotated[list[str] | None, typer.Option(help="A tool for planners to call, as module:attribute.")]
Temperature = Annotated[float | None, typer.Option(help="Of the calls to the engine; 0 to 2.")]
TopP = Annotated[float | None, typer.Option(help="Likewise; above 0, at most 1.")]
MaxTokens = Annotated[int | None, typer.Option(help="Completion tokens of one call.")]
Seed = Annotated[int | None, typer.Option(help="Decides the seeds of all samples.")]
Model = Annotated[
    str | None, typer.Option(help="A catalogue name, a GGUF file, or the model that a server should use.")
]


def in_utf8(as_json: bool) -> bool:
    """JSON is UTF-8, whatever the locale says."""
    if as_json and isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(encoding="utf-8")
    return as_json


AsJson = Annotated[
    bool, typer.Option("--json", callback=in_utf8, help="Print one JSON value and nothing else.")
]
TraceId = Annotated[str, typer.Argument(metavar="ID", help="The trace id that solve has printed.")]

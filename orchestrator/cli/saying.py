"""What commands write by themselves: lines, errors and JSON, none of which can steer the terminal."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable
from typing import Any

import typer

from orchestrator.visible import json_spelled, visible

_BEGUN = "starting …"
_waiting: list[str] = []
"""What stands on the terminal's current line until something else is to be seen."""


def begin() -> None:
    """Show on a terminal at once that a command has begun, while what it needs is still imported."""
    if sys.stderr.isatty():
        _waiting.append(_BEGUN)
        typer.echo(_BEGUN, err=True, nl=False)


def clear() -> None:
    """Remove what :func:`begin` has shown from the line of a terminal."""
    if _waiting:
        _waiting.clear()
        typer.echo("\r\x1b[K", err=True, nl=False)


def say(text: str) -> None:
    """Write a result, which may have several lines, to standard output."""
    typer.echo(visible(text))


def tell(line: str) -> None:
    """Write a line for people to standard error; further lines, if it has any, cannot look like ours."""
    clear()
    typer.echo(visible(line).replace("\n", "\n  "), err=True)


def say_json(text: str | Iterable[str]) -> None:
    """Write one JSON value, given as a text or as its pieces, to standard output."""
    for piece in [text] if isinstance(text, str) else text:
        typer.echo(json_spelled(piece), nl=False)
    typer.echo()


def dump(value: Any) -> None:
    """Write a value as JSON to standard output."""
    say_json(json.dumps(value, ensure_ascii=False))

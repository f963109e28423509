"""The command line.

What a command needs is imported when it runs, so that ``--help`` is fast. Results go to standard output; the
live view, progress, logs and errors go to standard error. Exit codes: 0 for an answer, 1 for a failed task or
a divergence, 2 for bad usage, 130 after Ctrl-C, 143 after SIGTERM.
"""

from __future__ import annotations

import io
import os
import sys
from pathlib import Path
from typing import Annotated

import typer

from orchestrator.cli import asking, keys, serving, stored
from orchestrator.cli.given import Flags, keep

FAILED, MISUSED, TERMINATED = 1, 2, 143

app = typer.Typer(
    name="anabranch",
    help="Parallel LLM reasoning that stops when its branches agree.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
for each in (asking, stored, serving):
    app.add_typer(each.commands)
app.add_typer(keys.commands, name="keys")


@app.callback()
def flags(
    context: typer.Context,
    debug: Annotated[bool, typer.Option("--debug", help="Log everything, and show tracebacks.")] = False,
    url: Annotated[
        str | None,
        typer.Option(
            help="Work on the service at this URL, and not on an engine and a database of this machine; "
            "ANABRANCH_URL, by default.",
            show_default=False,
        ),
    ] = None,
    key: Annotated[
        str | None,
        typer.Option(
            help="A key of it. Other users of this machine can see it: prefer ANABRANCH_KEY, or --key-file.",
            show_default=False,
        ),
    ] = None,
    key_file: Annotated[
        Path | None, typer.Option(help="A file that holds the key.", show_default=False)
    ] = None,
    plain_http: Annotated[
        bool, typer.Option("--plain-http", help="Let the key travel unencrypted to another machine.")
    ] = False,
) -> None:
    """Parallel LLM reasoning that stops when its branches agree."""
    given = context.ensure_object(Flags)
    given.debug, given.url, given.key, given.key_file = debug, url, key, key_file
    given.plain_http = plain_http
    keep(given)
    if debug:
        os.environ["ANABRANCH_LOG_LEVEL"] = "debug"


def main() -> None:
    """Run the command line; errors are one line, and a traceback only with ``--debug``."""
    given = Flags()
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")  # the locale may lack a character
    try:
        app(obj=given)
    except Exception as error:
        if given.debug:
            raise
        sys.exit(report(error))


def report(error: Exception) -> int:
    """Print what went wrong, with its error code; returns the exit code."""
    from orchestrator.cli.saying import tell
    from orchestrator.errors import AnabranchError, HandedBack, InvalidRequest, TaskFailed
    from storage.errors import StorageError
    from workers.errors import WorkerError

    match error:
        case TaskFailed():
            line = f"[{error.code}]: {error} (trace {error.task_id})"
        case AnabranchError() | StorageError() | WorkerError():
            line = f"[{error.code}]: {error}"
        case OSError():
            line = f"[os]: {error}"
        case _:
            line = f"[internal]: {type(error).__name__}: {error} (anabranch --debug … shows where)"
    tell(f"error {line}")
    if isinstance(error, HandedBack):
        return TERMINATED
    return MISUSED if isinstance(error, InvalidRequest) else FAILED

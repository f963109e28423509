"""Logging: structlog, to standard error, for people or as JSON."""

from __future__ import annotations

import io
import logging
import sys
from collections.abc import Callable
from contextlib import suppress
from typing import Any, TextIO, cast

import structlog
from structlog.typing import EventDict, ExcInfo, Processor, WrappedLogger

from orchestrator.settings import Settings
from orchestrator.visible import one_line, visible
from workers.redaction import redacted


def configure(settings: Settings, *, before: Callable[[], None] = lambda: None) -> None:
    """Set up logging for the command line and the server, and for an SDK client if nobody else has.

    ``before`` is called before each line is written.
    """
    shared: list[Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
    ]
    if settings.log_format == "json":
        rendering: list[Processor] = [
            structlog.processors.format_exc_info,
            structlog.processors.JSONRenderer(),
        ]
    else:
        rendering = [
            _shown,
            structlog.dev.ConsoleRenderer(colors=sys.stderr.isatty(), exception_formatter=_traceback),
        ]

    def discreet(logger: object, name: str, line: Any) -> str:
        """Log lines quote errors, with all that led to them, and those may quote keys."""
        return redacted(line, settings.api_key, *settings.engine_headers.values())

    structlog.configure(
        processors=[*shared, *rendering, discreet],
        wrapper_class=structlog.make_filtering_bound_logger(
            logging.getLevelNamesMapping()[settings.log_level.upper()]
        ),
        logger_factory=structlog.WriteLoggerFactory(file=cast(TextIO, _Lossy(sys.stderr, before))),
        cache_logger_on_first_use=True,
    )


class _Lossy(io.TextIOBase):
    """A file whose full disk or closed pipe costs log lines, and not what is being done."""

    def __init__(self, file: TextIO, before: Callable[[], None]) -> None:
        self._file = file
        self._before = before

    def write(self, text: str, /) -> int:
        """Write the text, if that is possible."""
        with suppress(OSError, ValueError):
            self._before()
            self._file.write(text)
        return len(text)

    def flush(self) -> None:
        """Hand over what was written, if that is possible."""
        with suppress(OSError, ValueError):
            self._file.flush()


def _shown(_logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
    """What is logged on one line: text from elsewhere can neither steer a terminal nor look like a line."""
    return {
        one_line(str(key)): value
        if key == "exc_info" or value is None or isinstance(value, bool | int | float)
        else one_line(value if isinstance(value, str) else repr(value))
        for key, value in event.items()
    }


def _traceback(out: TextIO, exc_info: ExcInfo) -> None:
    """A traceback without the values of variables, indented, so that no line of it looks like a log line."""
    written = io.StringIO()
    structlog.dev.plain_traceback(written, exc_info)
    out.write("\n".join(f"    {visible(line)}" for line in written.getvalue().splitlines()))

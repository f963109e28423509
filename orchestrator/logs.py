"""Logging: structlog, to standard error, for people or as JSON."""

from __future__ import annotations

import logging
import sys
from typing import Any

import structlog
from structlog.typing import Processor

from orchestrator.settings import Settings
from workers.redaction import redacted


def configure(settings: Settings) -> None:
    """Set up logging for the command line and the server, and for an SDK client if nobody else has."""
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
            structlog.dev.ConsoleRenderer(
                colors=sys.stderr.isatty(),
                exception_formatter=structlog.dev.plain_traceback,  # the others print the values of variables
            )
        ]
    def discreet(logger: object, name: str, line: Any) -> str:
        """Log lines quote errors, with all that led to them, and those may quote keys."""
        return redacted(line, settings.api_key)

    structlog.configure(
        processors=[*shared, *rendering, discreet],
        wrapper_class=structlog.make_filtering_bound_logger(
            logging.getLevelNamesMapping()[settings.log_level.upper()]
        ),
        logger_factory=structlog.WriteLoggerFactory(file=sys.stderr),
        cache_logger_on_first_use=True,
    )

"""The settings of one command, and what was given for it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from orchestrator.settings import Settings


def settings(**given: str | bool | None) -> Settings:
    """The settings from the environment, overridden by the command line; sets up logging accordingly."""
    from orchestrator import logs
    from orchestrator.cli.saying import clear
    from orchestrator.settings import Settings

    made = Settings.read(**given_of(**given))
    logs.configure(made, before=clear)
    return made


def given_of(**values: Any) -> dict[str, Any]:
    """The values that were given."""
    return {name: value for name, value in values.items() if value is not None and value != {}}


def seconds_or_time(said: str | None) -> float | str | None:
    """A deadline as a request has it: a number of seconds, or the text of a time."""
    try:
        return None if said is None else float(said)
    except ValueError:
        return said

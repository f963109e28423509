"""The settings of one command, and what was given for it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from orchestrator.settings import Settings

_OF_THIS_PROCESS = {
    "engine": "--engine",
    "model": "--model",
    "database": "--database",
    "mcp_servers": "--mcp",
    "http_tools": "--http-tools",
    "fix_permissions": "--fix-permissions",
}
"""What sets up a service of this process, by setting."""


@dataclass
class Flags:
    """Options that are given before the command and apply to all commands."""

    debug: bool = False
    url: str | None = None
    key: str | None = None
    key_file: Path | None = None
    plain_http: bool = False


_FLAGS: list[Flags] = [Flags()]
"""Those of the command that this process runs."""


def flags() -> Flags:
    """The options that were given before the command."""
    return _FLAGS[-1]


def keep(given: Flags) -> None:
    """Have these be the options that were given before the command."""
    _FLAGS[-1] = given


def settings(**given: Any) -> Settings:
    """The settings of a command that works here and on a service elsewhere; sets up logging accordingly.

    They name a service, as ``url``, if it is one elsewhere: with ``--url``, or by the environment if nothing
    was given that sets up one of this process.

    Raises:
        InvalidRequest: a setting is wrong, or options do not go together.
    """
    from orchestrator.errors import InvalidRequest

    own = [option for name, option in _OF_THIS_PROCESS.items() if given.get(name) is not None]
    before = flags()
    url, key = given.pop("url", None) or before.url, given.pop("key", None) or key_of(before)
    if url is not None and own:
        raise InvalidRequest(
            f"--url asks a service elsewhere, and {', '.join(own)} sets up one of this process; give one or "
            "the other"
        )
    usual = _settings(**given)
    if own:
        usual = usual.model_copy(update={"url": None})
    if url is None and usual.url is None and key is not None:
        raise InvalidRequest("a key is for a service elsewhere; give its --url too, or set ANABRANCH_URL")
    return usual.asking(url=url, key=key, plain_http=before.plain_http or None)


def settings_here(why: str, *, about_database: bool = True, **given: str | bool | None) -> Settings:
    """The settings of a command that does not work on a service elsewhere: ``why`` says the reason.

    One that is about a database is refused, too, if it is not named while the environment names a service:
    it would work on something else than all other commands.

    Raises:
        InvalidRequest: a service elsewhere was named, or a setting is wrong.
    """
    from orchestrator.errors import InvalidRequest

    here_only(why)
    made = _settings(**given)
    named = any(given.get(name) is not None for name in _OF_THIS_PROCESS)
    if about_database and made.url is not None and not named:
        raise InvalidRequest(
            f"ANABRANCH_URL names a service elsewhere, but {why}; name the database with --database, or "
            "unset it"
        )
    return made


def here_only(why: str) -> None:
    """Refuse ``--url``.

    Raises:
        InvalidRequest: it was given.
    """
    from orchestrator.errors import InvalidRequest

    if flags().url is not None:
        raise InvalidRequest(f"--url: {why}")


def key_of(elsewhere: Flags) -> str | None:
    """The key that was given before the command, from its file if it is in one.

    Raises:
        InvalidRequest: two were given, or the file cannot be read.
    """
    from orchestrator.errors import InvalidRequest

    if elsewhere.key_file is None:
        return elsewhere.key
    if elsewhere.key is not None:
        raise InvalidRequest("--key and --key-file: give one or the other")
    try:
        return elsewhere.key_file.read_text("utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise InvalidRequest(f"--key-file: {elsewhere.key_file} cannot be read: {error}") from None


def _settings(**given: str | bool | None) -> Settings:
    """The settings from the environment, overridden by the command line."""
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

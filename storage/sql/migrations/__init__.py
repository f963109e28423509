"""The schema's history, and bringing a database to its newest state.

Alembic is imported only when there is something to do, because it costs more than opening a database.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from sqlalchemy import Connection, inspect, text

from storage.errors import SchemaMismatch

if TYPE_CHECKING:
    from alembic.config import Config

HEAD = "0007"
"""The newest revision, which the code in this package reads and writes."""


def migrate(connection: Connection, target: str = HEAD) -> None:
    """Bring the database to ``target``, up or down; ``base`` is before the first revision.

    Runs inside the caller's transaction, which must keep other processes from doing the same.

    Raises:
        SchemaMismatch: the database was written by a newer version of the code.
    """
    found = revision(connection)
    if found == target:
        return
    from alembic import command
    from alembic.script import ScriptDirectory

    settings = config(connection)
    newest_first = [script.revision for script in ScriptDirectory.from_config(settings).walk_revisions()]
    if found is not None and found not in newest_first:
        raise SchemaMismatch(
            f"the database has schema revision {found}, which this version does not know (its newest is "
            f"{HEAD}); upgrade anabranch, or use another database"
        )
    ages = [*newest_first, "base"]
    if ages.index(target) > ages.index(found or "base"):
        command.downgrade(settings, target)
    else:
        command.upgrade(settings, target)


def revision(connection: Connection) -> str | None:
    """The revision of the schema that the database has; None: no schema yet."""
    if not inspect(connection).has_table("alembic_version"):
        return None
    found = connection.execute(text("SELECT version_num FROM alembic_version")).scalar()
    return None if found is None else str(found)


def config(connection: Connection) -> Config:
    """Alembic's configuration for the open ``connection``."""
    from alembic.config import Config

    settings = Config()
    settings.set_main_option("script_location", str(Path(__file__).parent))
    settings.set_main_option("path_separator", "os")
    settings.attributes["connection"] = connection
    return settings

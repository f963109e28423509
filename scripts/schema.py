"""Write docs/schema.md from the tables; with ``--check``, only check whether it is current."""

from __future__ import annotations

import sys
from pathlib import Path

from sqlalchemy import CheckConstraint, Index, Table, UniqueConstraint
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.schema import CreateIndex

from storage.sql.batch_tables import batch_results, batches, file_parts, files
from storage.sql.migrations import HEAD
from storage.sql.tables import (
    accounts,
    events,
    key_secrets,
    keys,
    lines,
    reservations,
    shares,
    tasks,
    text_uses,
    texts,
    webhook_deliveries,
    webhook_outbox,
    webhooks,
)

PAGE = Path(__file__).parents[1] / "docs" / "schema.md"

_PURPOSE = {
    "tasks": "What was asked, where it stands, who runs it, and what the result was.",
    "lines": "The lines in which tasks wait to begin, once there have been some.",
    "shares": "The tenants who have had more turns than others in their line.",
    "events": "The journal: what happened to each task, in order. A row is never changed.",
    "texts": "Long strings from events (mostly prompts), each stored once however many tasks use it.",
    "text_uses": "Which tasks use a text; pruning removes texts that no task uses.",
    "keys": "Who may use the service. A key that is revoked stays, since tasks name it.",
    "key_secrets": "By which secrets a key is known: one, and while it is rotated two.",
    "accounts": "What a key or a tenant may use, and has used; a row is locked for each decision about it.",
    "reservations": "What tasks hold of accounts until they end, and what they were charged then.",
    "webhooks": "Who is told over HTTP that tasks have ended.",
    "webhook_outbox": "Ends of tasks that are still to be told, each written in the transaction of the end.",
    "webhook_deliveries": "One message to one endpoint, until some time after it was taken or given up.",
    "files": "Files of questions, and those of results, which are nothing but the rows of `batch_results`.",
    "file_parts": "What is in files of questions.",
    "batches": "Files that are to be answered line by line, each line by a task.",
    "batch_results": "What came of a line, until the file of results is deleted.",
}

_TABLES = (
    *(tasks, lines, shares, events, texts, text_uses),
    *(keys, key_secrets, accounts, reservations),
    *(webhooks, webhook_outbox, webhook_deliveries),
    *(files, file_parts, batches, batch_results),
)


def page() -> str:
    """The page as Markdown."""
    parts = [
        "# The tables",
        f"Revision {HEAD}. Written by `python scripts/schema.py` from `storage/sql/`; do not edit.",
        "JSON is stored as text (`data::json` on PostgreSQL, `json_extract(data, …)` on SQLite). "
        "Times are in seconds since the epoch. "
        "The types are those of PostgreSQL, and of SQLite where they differ.",
        *map(_table, _TABLES),
    ]
    return "\n\n".join(parts) + "\n"


def _table(table: Table) -> str:
    lines = [
        f"## {table.name}",
        "",
        _PURPOSE[table.name],
        "",
        "| column | type | null | what it is |",
        "|---|---|---|---|",
    ]
    for column in table.columns:
        types = dict.fromkeys(
            column.type.compile(dialect=dialect) for dialect in (postgresql.dialect(), sqlite.dialect())
        )
        notes = [str(column.doc)]
        notes += [f"References `{key.target_fullname}`." for key in column.foreign_keys]
        null = "yes" if column.nullable else ""
        lines.append(f"| `{column.name}` | {' / '.join(types)} | {null} | {' '.join(notes)} |")
    key = ", ".join(f"`{column.name}`" for column in table.primary_key)
    lines += ["", f"Primary key: {key}.", ""]
    for unique in table.constraints:
        if isinstance(unique, UniqueConstraint):
            lines.append(f"- `{unique.name}`: unique " + ", ".join(f"`{c.name}`" for c in unique.columns))
    checks = [c for c in table.constraints if isinstance(c, CheckConstraint)]
    lines += [f"- `{check.name}`: `{check.sqltext}`" for check in sorted(checks, key=lambda c: str(c.name))]
    lines += [f"- `{_create(index)}`" for index in sorted(table.indexes, key=lambda index: str(index.name))]
    return "\n".join(lines).rstrip()


def _create(index: Index) -> str:
    return " ".join(str(CreateIndex(index).compile(dialect=postgresql.dialect())).split())


def main() -> int:
    """Write or check the page."""
    if "--check" in sys.argv:
        current = PAGE.exists() and PAGE.read_text() == page()
        print(f"{PAGE.name} is {'current' if current else 'out of date: run python scripts/schema.py'}")  # noqa: T201
        return 0 if current else 1
    PAGE.write_text(page())
    return 0


if __name__ == "__main__":
    sys.exit(main())

"""Run by Alembic for each command; the connection and its transaction are the caller's."""

from __future__ import annotations

from alembic import context

from storage.sql.batch_tables import metadata

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=metadata,
    render_as_batch=True,  # SQLite cannot alter a table in place
    transactional_ddl=True,
)
with context.begin_transaction():
    context.run_migrations()

"""What can go wrong while storing and reading."""

from __future__ import annotations

from typing import ClassVar


class StorageError(Exception):
    """Root of everything that storage raises."""

    code: ClassVar[str] = "storage_error"
    http_status: ClassVar[int] = 500
    retryable: ClassVar[bool] = False


class StorageUnavailable(StorageError):
    """The database cannot be reached or opened."""

    code = "storage_unavailable"
    http_status = 503
    retryable = True


class TaskNotFound(StorageError):
    """There is no task with that id."""

    code = "task_not_found"
    http_status = 404


class IllegalTransition(StorageError):
    """A task cannot go from the state it is in to the one asked for."""

    code = "illegal_transition"
    http_status = 409


class LeaseLost(StorageError):
    """Another process has taken the task over; this one may write nothing more for it."""

    code = "lease_lost"
    http_status = 409


class SchemaMismatch(StorageError):
    """The database was written by another version of the schema; the message says how to migrate."""

    code = "schema_mismatch"

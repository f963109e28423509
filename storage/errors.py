"""What can go wrong while storing and reading."""

from __future__ import annotations

from typing import ClassVar


class StorageError(Exception):
    """Root of everything that storage raises."""

    code: ClassVar[str] = "storage_error"
    http_status: ClassVar[int] = 500
    retryable: ClassVar[bool] = False
    retry_after: float | None = None
    """In how many seconds the same may succeed; None if that is not known."""


class StorageUnavailable(StorageError):
    """The database cannot be reached, opened or written to."""

    code = "storage_unavailable"
    http_status = 503
    retryable = True


class StorageClosed(StorageUnavailable):
    """This process has closed the database."""

    retryable = False


class StorageFull(StorageUnavailable):
    """There is no room left on the disk of the database. Once there is, everything goes on."""

    code = "storage_full"


class NotWritable(StorageUnavailable):
    """The file, its directory or its disk may not be written to; somebody has to change that first."""

    code = "storage_not_writable"
    retryable = False


class StorageAuth(StorageUnavailable):
    """The server refuses the role or its password, or the role may not do what is needed."""

    code = "storage_auth"
    retryable = False


class DatabaseMissing(StorageUnavailable):
    """There is no database of that name."""

    code = "storage_missing"
    retryable = False


class StorageDamaged(StorageError):
    """The database is not what was written: a file that is no database, or one with damaged pages."""

    code = "storage_damaged"


class SchemaMismatch(StorageError):
    """The database was written by another version of the schema; the message says how to migrate."""

    code = "schema_mismatch"


class TaskNotFound(StorageError):
    """There is no task with that id."""

    code = "task_not_found"
    http_status = 404


class IllegalTransition(StorageError):
    """A task cannot go from the state it is in to the one asked for."""

    code = "illegal_transition"
    http_status = 409


class IdempotencyConflict(StorageError):
    """The idempotency key belongs to a task that asked for something else."""

    code = "idempotency_conflict"
    http_status = 409


class TaskExists(StorageError):
    """There is already a task with that id, or with that idempotency key."""

    code = "task_exists"
    http_status = 409


class QueueFull(StorageError):
    """So many tasks wait that no more are taken. ``retry_after`` is estimated from how fast they begin."""

    code = "queue_full"
    http_status = 503
    retryable = True

    def __init__(self, message: str, *, retry_after: float) -> None:
        super().__init__(message)
        self.retry_after = retry_after


class TenantQueueFull(QueueFull):
    """So many tasks of one tenant wait that no more of that tenant are taken."""

    code = "tenant_queue_full"
    http_status = 429


class DeadlineUnreachable(QueueFull):
    """The task would not begin before its deadline, as far as what waits and how fast it goes on tell."""

    code = "deadline_unreachable"


class DeadlinePassed(StorageError):
    """The deadline of the task had passed when it was submitted."""

    code = "deadline_passed"
    http_status = 422


class LeaseLost(StorageError):
    """Another process has taken the task over; this one may no longer write for it."""

    code = "lease_lost"
    http_status = 409


class JournalConflict(StorageError):
    """An event contradicts the journal: its number is taken or skipped, or a node settles a second time."""

    code = "journal_conflict"
    http_status = 409


class JournalDamaged(StorageError):
    """A stored task or its journal cannot be read: something is not JSON, lost, or of another kind."""

    code = "journal_damaged"


class NotStorable(StorageError):
    """A value is not JSON: an object of another type, a NaN, or a structure that contains itself."""

    code = "not_storable"
    http_status = 422


class ArchiveError(StorageError):
    """A trace file is not what its header promises; the message names the line."""

    code = "archive_error"
    http_status = 422

"""Files of questions, the batches that answer them, and the results of their lines: the contract of stores.

A batch is driven by whoever holds its lease: it reads the lines of the file, has each of them answered by a
task of its own, and notes what came of it. Each result is stored once, in the transaction that counts it, so
that whoever takes the batch over after a crash knows which lines are still to be done. The files of results
are nothing but those results, in the order of the lines.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import AsyncIterator, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, ClassVar

from storage.errors import LeaseLost, StorageError

PART = 256 * 1024
"""Bytes of a file that are stored, and read, at a time."""

UNFINISHED_SECONDS = 86_400.0
"""After how long a file is dropped that has never arrived as a whole."""


class FileNotFound(StorageError):
    """There is no file with that id."""

    code: ClassVar[str] = "file_not_found"
    http_status: ClassVar[int] = 404


class BatchNotFound(StorageError):
    """There is no batch with that id."""

    code: ClassVar[str] = "batch_not_found"
    http_status: ClassVar[int] = 404


class FileInUse(StorageError):
    """A batch that has not ended needs the file."""

    code: ClassVar[str] = "file_in_use"
    http_status: ClassVar[int] = 409


class FilesFull(StorageError):
    """The files of a tenant take as much room as they may; some have to be deleted first."""

    code: ClassVar[str] = "files_full"
    http_status: ClassVar[int] = 429


class Purpose(StrEnum):
    """What a file is for."""

    BATCH = "batch"
    OUTPUT = "batch_output"


class BatchStatus(StrEnum):
    """Where a batch stands; the comment on each value says what brings it there."""

    VALIDATING = "validating"  # it was made
    IN_PROGRESS = "in_progress"  # its lines can be asked
    FINALIZING = "finalizing"  # each line has its result
    COMPLETED = "completed"  # from finalizing
    FAILED = "failed"  # from validating: it is no file of questions
    CANCELLING = "cancelling"  # somebody wants it to end
    CANCELLED = "cancelled"  # from cancelling
    EXPIRED = "expired"  # from any open one, when its time was over

    @property
    def terminal(self) -> bool:
        """Whether the batch has ended."""
        return self not in OPEN_BATCHES


OPEN_BATCHES = frozenset(
    {BatchStatus.VALIDATING, BatchStatus.IN_PROGRESS, BatchStatus.FINALIZING, BatchStatus.CANCELLING}
)


@dataclass(frozen=True, slots=True, kw_only=True)
class NewFile:
    """A file that a tenant sends. It is dropped ``lasts`` seconds after it came; None: never by itself."""

    id: str
    tenant: str
    name: str
    lasts: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class File:
    """A file as stored. ``size`` is in bytes. One of results belongs to a batch, and has all of its results
    that ``failed``, or all others.
    """

    id: str
    tenant: str
    name: str
    purpose: Purpose
    size: int
    created_at: float
    expires_at: float | None = None
    batch_id: str | None = None
    failed: bool | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class NewBatch:
    """A batch that a tenant asks for: each line of the file is asked at ``endpoint``, within ``seconds``.

    ``window`` is what the caller calls that time, ``submitted_by`` the id of the key that asks.
    """

    id: str
    tenant: str
    endpoint: str
    input_file_id: str
    window: str
    seconds: float
    metadata: Mapping[str, str] = field(default_factory=dict)
    submitted_by: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Batch:
    """A batch as stored. ``times`` says when it came to each status, in seconds since the epoch."""

    id: str
    tenant: str
    endpoint: str
    input_file_id: str
    window: str
    metadata: Mapping[str, str]
    submitted_by: str | None
    status: BatchStatus
    created_at: float
    expires_at: float
    times: Mapping[str, float]
    errors: Sequence[Mapping[str, Any]] = ()  # {"code", "message", "line", "param"}
    total: int = 0
    completed: int = 0
    failed: int = 0
    prompt_tokens: int = 0
    completion_tokens: int = 0
    output_file_id: str | None = None
    error_file_id: str | None = None
    lease_owner: str | None = None
    lease_fence: int = 0
    lease_expires_at: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class LineResult:
    """What came of a line: ``body`` is its line in the file of results, without the newline."""

    line: int
    failed: bool
    body: str
    prompt_tokens: int = 0
    completion_tokens: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class HeldBatch:
    """The right to note what comes of a batch, until another process claims it."""

    batch: Batch
    owner: str
    fence: int
    lease_seconds: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Noted:
    """What changes of a batch besides its results. None: it stays."""

    status: BatchStatus | None = None
    errors: Sequence[Mapping[str, Any]] | None = None
    total: int | None = None


NOTHING = Noted()


class Batches(ABC):
    """Files and batches. What belongs to another tenant than the one that is named does not exist for it;
    with None, it may be anybody's.

    Every method may raise StorageUnavailable.
    """

    @abstractmethod
    async def add_file(self, new: NewFile, parts: AsyncIterator[bytes], *, most: int) -> File:
        """Store a file as it arrives. It is there when all of it is; half of one is never seen.

        ``most`` are the bytes that all files of the tenant may have together.

        Raises:
            FilesFull: there is no room for it.
        """

    @abstractmethod
    async def file(self, file_id: str, tenant: str | None) -> File:
        """The file. Raises FileNotFound."""

    @abstractmethod
    async def files(
        self,
        tenant: str | None,
        *,
        purpose: Purpose | None = None,
        limit: int = 100,
        after: str | None = None,
        oldest_first: bool = False,
    ) -> Sequence[File]:
        """The files, newest first; ``after`` is the id of the last one of the page before."""

    @abstractmethod
    def read_file(self, file: File) -> AsyncIterator[bytes]:
        """What is in a file, a part at a time. It may end early if the file is removed meanwhile."""

    @abstractmethod
    async def remove_file(self, file_id: str, tenant: str | None) -> File:
        """Remove a file with what is in it; returns what it was.

        Raises:
            FileNotFound: there is none.
            FileInUse: a batch that has not ended reads it.
        """

    @abstractmethod
    async def add(self, new: NewBatch) -> Batch:
        """Queue a batch.

        Raises:
            FileNotFound: there is no such file of questions.
        """

    @abstractmethod
    async def get(self, batch_id: str, tenant: str | None) -> Batch:
        """The batch as it stands. Raises BatchNotFound."""

    @abstractmethod
    async def list(
        self, tenant: str | None, *, limit: int = 100, after: str | None = None
    ) -> Sequence[Batch]:
        """The batches, newest first; ``after`` is the id of the last one of the page before."""

    @abstractmethod
    async def request_cancel(self, batch_id: str, tenant: str | None) -> Batch:
        """Ask that a batch ends; who drives it sees that soon. One that has ended stays as it is."""

    @abstractmethod
    async def claim(
        self, owner: str, lease_seconds: float, *, without: Collection[str] = ()
    ) -> HeldBatch | None:
        """Take the oldest open batch that nobody drives, of no tenant ``without``; None if there is none."""

    @abstractmethod
    async def done(self, batch_id: str) -> frozenset[int]:
        """The numbers of the lines that have a result."""

    @abstractmethod
    async def note(
        self, held: HeldBatch, results: Sequence[LineResult] = (), changes: Noted = NOTHING
    ) -> HeldBatch:
        """Store results and changes, and renew the lease; a line that has a result keeps it.

        A batch that is being cancelled goes nowhere but to an end. With an end, the files of results come to
        be, and the lease is given up.

        Raises:
            LeaseLost: another process has claimed the batch, or it has ended or is gone.
        """

    @abstractmethod
    async def release(self, held: HeldBatch) -> None:
        """Let another process drive the batch at once. Does nothing if one already does."""

    @abstractmethod
    async def prune(self, *, older_than: float | None = None, tenant: str | None = None) -> int:
        """Remove files whose time is over or that never arrived; returns how many files and batches went.

        With ``older_than``, also batches that ended so many seconds ago, with their results, and files that
        came so long ago and that no open batch needs.
        """


def moved(status: BatchStatus, to: BatchStatus | None) -> BatchStatus:
    """Where a batch stands after it was told to go somewhere."""
    if to is None or (status is BatchStatus.CANCELLING and not to.terminal):
        return status
    return to


def no_file(file_id: str) -> FileNotFound:
    """No file has that id."""
    return FileNotFound(f"there is no file {file_id!r}")


def no_batch(batch_id: str) -> BatchNotFound:
    """No batch has that id."""
    return BatchNotFound(f"there is no batch {batch_id!r}")


def in_use(file_id: str, batch_id: str) -> FileInUse:
    """An open batch reads the file."""
    return FileInUse(f"batch {batch_id} has not ended and needs file {file_id}; cancel it first")


def files_full(tenant: str, most: int) -> FilesFull:
    """There is no room for more bytes."""
    return FilesFull(
        f"the files of tenant {tenant!r} may have {most:,} bytes together (ANABRANCH_TENANT_FILE_BYTES); "
        "delete some of them first"
    )


def lost(batch_id: str, fence: int) -> LeaseLost:
    """Somebody else drives the batch now, or nobody any more."""
    return LeaseLost(f"batch {batch_id} is driven elsewhere or has ended; fence {fence} may note nothing")


def results_name(batch: Batch, *, failed: bool) -> str:
    """The name of a file of results."""
    return f"{batch.id}_{'error' if failed else 'output'}.jsonl"


def results_file_id(batch_id: str, *, failed: bool) -> str:
    """The id of a file of results, which is made from that of its batch, so that it is made once."""
    return f"file-{batch_id.removeprefix('batch_')}{'e' if failed else 'o'}"

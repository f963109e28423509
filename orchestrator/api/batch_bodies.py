"""What the API sends about files and batches, in OpenAI's shapes, and what it takes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from orchestrator.tasks.asked import Metadata
from storage.batches import Batch, BatchStatus, File, Purpose

MOST_LISTED = 100
MOST_FILES = 10_000

EXAMPLE_FILE = "file-0197f3a0c2d84b6e"


class FileBody(BaseModel):
    """A file. Times are in seconds since the epoch."""

    id: str
    object: Literal["file"] = "file"
    bytes: int
    created_at: int
    expires_at: int | None
    filename: str
    purpose: Purpose
    status: Literal["processed"] = "processed"


class FilesBody(BaseModel):
    """A page of files."""

    object: Literal["list"] = "list"
    data: tuple[FileBody, ...]
    first_id: str | None
    last_id: str | None
    has_more: bool = Field(description="Whether there are more: pass `last_id` as `after`.")


class DeletedFileBody(BaseModel):
    """A file that is gone."""

    id: str
    object: Literal["file"] = "file"
    deleted: Literal[True] = True


class BatchErrorBody(BaseModel):
    """Why a batch cannot be asked."""

    code: str
    message: str
    line: int | None
    param: str | None


class BatchErrorsBody(BaseModel):
    """What is wrong with the file of a batch, at most the first 100 mistakes."""

    object: Literal["list"] = "list"
    data: tuple[BatchErrorBody, ...]


class RequestCounts(BaseModel):
    """How many lines there are, and what has become of them so far."""

    total: int
    completed: int
    failed: int


class InputDetails(BaseModel):
    """Tokens of prompts; those from a cache are not counted apart here."""

    cached_tokens: int = 0


class OutputDetails(BaseModel):
    """Tokens of answers; those of reasoning are not counted apart here."""

    reasoning_tokens: int = 0


class BatchUsage(BaseModel):
    """Tokens of the lines that were answered so far."""

    input_tokens: int
    input_tokens_details: InputDetails = InputDetails()
    output_tokens: int
    output_tokens_details: OutputDetails = OutputDetails()
    total_tokens: int


class BatchBody(BaseModel):
    """A batch as it stands. Times are in seconds since the epoch."""

    id: str
    object: Literal["batch"] = "batch"
    endpoint: str
    errors: BatchErrorsBody | None
    input_file_id: str
    completion_window: str
    status: BatchStatus
    output_file_id: str | None = Field(description="The lines that have an answer, once the batch has ended.")
    error_file_id: str | None = Field(description="The lines that have none, once the batch has ended.")
    created_at: int
    in_progress_at: int | None
    expires_at: int
    finalizing_at: int | None
    completed_at: int | None
    failed_at: int | None
    expired_at: int | None
    cancelling_at: int | None
    cancelled_at: int | None
    request_counts: RequestCounts
    usage: BatchUsage
    metadata: dict[str, str]


class BatchesBody(BaseModel):
    """A page of batches, newest first."""

    object: Literal["list"] = "list"
    data: tuple[BatchBody, ...]
    first_id: str | None
    last_id: str | None
    has_more: bool = Field(description="Whether there are more: pass `last_id` as `after`.")


def page(shown: Sequence[FileBody] | Sequence[BatchBody], limit: int) -> dict[str, Any]:
    """The members of a page, where one more is shown than fits if there are more."""
    data: tuple[FileBody | BatchBody, ...] = tuple(shown[:limit])
    return {
        "data": data,
        "first_id": data[0].id if data else None,
        "last_id": data[-1].id if data else None,
        "has_more": len(shown) > len(data),
    }


class BatchRequest(BaseModel):
    """A batch that is asked for."""

    model_config = ConfigDict(extra="forbid")

    input_file_id: Annotated[str, Field(min_length=1)] = Field(
        description="The file of questions, uploaded with the purpose `batch`."
    )
    endpoint: str = Field(description="Where its lines are asked, such as `/v1/chat/completions`.")
    completion_window: str = Field(
        "24h", description="How long it may take, in minutes, hours or days: `30m`, `24h`, up to `30d`."
    )
    metadata: Metadata | None = Field(None, description="Kept with the batch and shown with it.")


class FilesQuery(BaseModel):
    """Query parameters of a listing of files."""

    model_config = ConfigDict(extra="forbid")

    purpose: Purpose | None = None
    limit: Annotated[int, Field(ge=1, le=MOST_FILES)] = MOST_FILES
    after: str | None = Field(None, description="`last_id` of the previous page.")
    order: Literal["asc", "desc"] = Field("desc", description="By the time of arrival.")


class BatchesQuery(BaseModel):
    """Query parameters of a listing of batches."""

    model_config = ConfigDict(extra="forbid")

    limit: Annotated[int, Field(ge=1, le=MOST_LISTED)] = 20
    after: str | None = Field(None, description="`last_id` of the previous page.")


def file_body(file: File) -> FileBody:
    """The file as the API shows it."""
    return FileBody(
        id=file.id,
        bytes=file.size,
        created_at=int(file.created_at),
        expires_at=None if file.expires_at is None else int(file.expires_at),
        filename=file.name,
        purpose=file.purpose,
    )


def batch_body(batch: Batch) -> BatchBody:
    """The batch as the API shows it."""
    times: dict[str, Any] = {
        f"{status.value}_at": int(batch.times[status.value]) if status.value in batch.times else None
        for status in BatchStatus
        if status is not BatchStatus.VALIDATING
    }
    errors = tuple(BatchErrorBody.model_validate(each) for each in batch.errors)
    return BatchBody(
        id=batch.id,
        endpoint=batch.endpoint,
        errors=BatchErrorsBody(data=errors) if errors else None,
        input_file_id=batch.input_file_id,
        completion_window=batch.window,
        status=batch.status,
        output_file_id=batch.output_file_id,
        error_file_id=batch.error_file_id,
        created_at=int(batch.created_at),
        expires_at=int(batch.expires_at),
        request_counts=RequestCounts(total=batch.total, completed=batch.completed, failed=batch.failed),
        usage=BatchUsage(
            input_tokens=batch.prompt_tokens,
            output_tokens=batch.completion_tokens,
            total_tokens=batch.prompt_tokens + batch.completion_tokens,
        ),
        metadata=dict(batch.metadata),
        **times,
    )

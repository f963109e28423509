"""Files and batches as rows, and back."""

from __future__ import annotations

import json
from typing import Any

from storage.batches import Batch, BatchStatus, File, NewBatch, Purpose
from storage.sql.rows import AnyRow


def batch_values(new: NewBatch, time: float) -> dict[str, Any]:
    """The row of a new batch."""
    return {
        "id": new.id,
        "tenant": new.tenant,
        "endpoint": new.endpoint,
        "input_file_id": new.input_file_id,
        "completion_window": new.window,
        "metadata": dumped(dict(new.metadata)),
        "submitted_by": new.submitted_by,
        "status": BatchStatus.VALIDATING.value,
        "created_at": time,
        "expires_at": time + new.seconds,
        "times": "{}",
        "errors": "[]",
        "total": 0,
        "completed": 0,
        "failed": 0,
        "prompt_tokens": 0,
        "completion_tokens": 0,
        "lease_fence": 0,
    }


def dumped(value: Any) -> str:
    """A value as it is stored."""
    return json.dumps(value)


def batch_of(row: AnyRow) -> Batch:
    """The batch in a row, without the ids of its results. What of it is no JSON is empty."""
    return Batch(
        id=row.id,
        tenant=row.tenant,
        endpoint=row.endpoint,
        input_file_id=row.input_file_id,
        window=row.completion_window,
        metadata=_loaded(row.metadata, {}),
        submitted_by=row.submitted_by,
        status=BatchStatus(row.status),
        created_at=row.created_at,
        expires_at=row.expires_at,
        times=_loaded(row.times, {}),
        errors=_loaded(row.errors, []),
        total=row.total,
        completed=row.completed,
        failed=row.failed,
        prompt_tokens=row.prompt_tokens,
        completion_tokens=row.completion_tokens,
        lease_owner=row.lease_owner,
        lease_fence=row.lease_fence,
        lease_expires_at=row.lease_expires_at,
    )


def file_of(row: AnyRow) -> File:
    """The file in a row."""
    return File(
        id=row.id,
        tenant=row.tenant,
        name=row.name,
        purpose=Purpose(row.purpose),
        size=row.size,
        created_at=row.created_at,
        expires_at=row.expires_at,
        batch_id=row.batch_id,
        failed=None if row.failed is None else bool(row.failed),
    )


def _loaded(text: str, empty: Any) -> Any:
    try:
        found = json.loads(text)
    except ValueError:
        return empty
    return found if isinstance(found, type(empty)) else empty

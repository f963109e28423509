"""What the API sends, by example: one body for each model that a route answers with."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pydantic import BaseModel

from orchestrator.api.batch_bodies import (
    EXAMPLE_FILE,
    BatchBody,
    BatchesBody,
    DeletedFileBody,
    FileBody,
    FilesBody,
)
from orchestrator.api.keeping import DeletedBody
from orchestrator.api.looking import DifferenceBody
from orchestrator.api.openai.schemas import ModelBody, ModelsBody
from orchestrator.api.responses.bodies import DeletedResponse, InputItems, ResponseBody
from orchestrator.api.responses.examples import DELETED, ITEMS, RESPONSE
from orchestrator.api.webhook_bodies import (
    DeliveriesPage,
    DeliveryBody,
    SecretBody,
    WebhookBody,
    WebhooksBody,
)
from orchestrator.bodies import (
    VERSION,
    HealthBody,
    LifeBody,
    ReadyBody,
    ReplayBody,
    TaskBody,
    TaskPage,
    WhatIfBody,
    WorkersBody,
)

TASK: Mapping[str, Any] = {
    "id": "0197f3a0c2d84b6e9a51",
    "status": "queued",
    "tenant": "default",
    "planner": "vote",
    "question": {"query": "How many clips?", "context": "", "choices": []},
    "options": {"options": {"n": 8}},
    "seed": 0,
    "priority": "interactive",
    "deadline": None,
    "created_at": 1767225600.0,
    "started_at": None,
    "finished_at": None,
    "cancel_requested": False,
    "outcome": None,
    "solution": None,
    "error": None,
}

WORKER: Mapping[str, Any] = {
    "name": "http://gpu-1:8000",
    "model": "Qwen/Qwen3-8B",
    "roles": [],
    "state": "up",
    "detail": "",
    "breaker": "closed",
    "in_flight": 3,
    "limit": 64,
    "queued": 0,
    "held": 0,
    "prefill_tokens_per_s": None,
    "indexed_blocks": 120,
    "sharing": "in_flight",
    "finished": 40,
    "aborted": 5,
    "failed": 0,
    "errors": {},
    "prompt_tokens": 52000,
    "cached_tokens": 39000,
    "completion_tokens": 18000,
    "wasted_tokens": 900,
    "hit_ratio": 0.75,
}

RESULT: Mapping[str, Any] = {
    "outcome": "answered",
    "answer": {"text": "It is \\boxed{72}.", "claim": "72", "confidence": 0.75, "entropy": 0.56},
    "spent": {
        "usage": {"prompt_tokens": 900, "cached_tokens": 700, "completion_tokens": 420},
        "cancelled_tokens": 110,
        "calls": 8,
    },
    "failure": None,
    "limit": None,
}

WEBHOOK: Mapping[str, Any] = {
    "id": "wh_0197f3a0c2d84b6e",
    "tenant": "default",
    "url": "https://example.com/hook",
    "events": ["task.succeeded", "task.failed"],
    "description": "the shop",
    "named": False,
    "created_at": 1767225600.0,
    "secrets": 1,
    "disabled_at": None,
    "disabled_why": "",
    "failures": 0,
    "paused_until": None,
}

DELIVERY: Mapping[str, Any] = {
    "id": "msg_0197f3a0c2d84b6e",
    "type": "task.succeeded",
    "task_id": TASK["id"],
    "status": "pending",
    "attempts": 1,
    "created_at": 1767225600.0,
    "attempted_at": 1767225601.0,
    "due_at": 1767225606.0,
    "http_status": 503,
    "error": "the endpoint answered 503",
    "body": "{}",
}

FINE: Mapping[str, Any] = {"ok": True, "detail": ""}

MODEL: Mapping[str, Any] = {
    "id": "anabranch/vote",
    "object": "model",
    "created": 1767225600,
    "owned_by": "anabranch",
    "description": "chains of thought vote, until they agree",
}

FILE: Mapping[str, Any] = {
    "id": EXAMPLE_FILE,
    "object": "file",
    "bytes": 1820,
    "created_at": 1767225600,
    "expires_at": None,
    "filename": "questions.jsonl",
    "purpose": "batch",
    "status": "processed",
}

BATCH: Mapping[str, Any] = {
    "id": "batch_0197f3a0c2d84b6e",
    "object": "batch",
    "endpoint": "/v1/chat/completions",
    "errors": None,
    "input_file_id": EXAMPLE_FILE,
    "completion_window": "24h",
    "status": "in_progress",
    "output_file_id": None,
    "error_file_id": None,
    "created_at": 1767225600,
    "in_progress_at": 1767225601,
    "expires_at": 1767312000,
    "finalizing_at": None,
    "completed_at": None,
    "failed_at": None,
    "expired_at": None,
    "cancelling_at": None,
    "cancelled_at": None,
    "request_counts": {"total": 200, "completed": 17, "failed": 1},
    "usage": {"input_tokens": 15300, "output_tokens": 7140, "total_tokens": 22440},
    "metadata": {},
}

LISTED: Mapping[str, Any] = {"object": "list", "has_more": False}

EXAMPLES: Mapping[type[BaseModel], Mapping[str, Any]] = {
    ModelBody: MODEL,
    ModelsBody: {"object": "list", "data": [MODEL]},
    TaskBody: TASK,
    TaskPage: {"tasks": [TASK], "next": None},
    ReplayBody: {
        "trace_id": TASK["id"],
        "outcome": "answered",
        "answer": "72",
        "events": 31,
        "calls": 0,
        "seconds": 0.02,
        "result": RESULT,
    },
    WhatIfBody: {
        "outcome": "answered",
        "answer": "72",
        "tokens": 310,
        "recorded_tokens": 420,
        "result": RESULT,
        "events": None,
    },
    DifferenceBody: {
        "answers": ["72", "70"],
        "tokens": [420, 510],
        "same": 12,
        "nodes": [{"path": "vote.branch-2", "before": "72", "after": "70"}],
    },
    WebhookBody: WEBHOOK,
    SecretBody: {**WEBHOOK, "secret": "whsec_…"},
    WebhooksBody: {"webhooks": [WEBHOOK]},
    DeliveryBody: DELIVERY,
    DeliveriesPage: {"deliveries": [DELIVERY], "next": None},
    DeletedBody: {"id": TASK["id"], "texts": 4},
    WorkersBody: {
        "replicas": [WORKER],
        "families": 1,
        "waiting": 0,
        "parked": 0,
        "refused": 0,
        "restarts": 0,
        "hit_ratio": 0.75,
        "ideal_hit_ratio": 0.8,
    },
    ResponseBody: RESPONSE,
    DeletedResponse: DELETED,
    InputItems: ITEMS,
    HealthBody: {
        "status": "ok",
        "version": VERSION,
        "engine": FINE,
        "database": FINE,
        "disk": FINE,
        "queue": FINE,
        "loop": FINE,
        "connections": FINE,
    },
    FileBody: FILE,
    FilesBody: {**LISTED, "data": [FILE], "first_id": EXAMPLE_FILE, "last_id": EXAMPLE_FILE},
    DeletedFileBody: {"id": EXAMPLE_FILE, "object": "file", "deleted": True},
    BatchBody: BATCH,
    BatchesBody: {**LISTED, "data": [BATCH], "first_id": BATCH["id"], "last_id": BATCH["id"]},
    LifeBody: FINE,
    ReadyBody: FINE,
}

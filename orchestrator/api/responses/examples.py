"""What the Responses API takes and sends, by example."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from orchestrator.api.responses.kept import PREFIX, Asked

REQUEST: Mapping[str, Any] = {"model": "anabranch/vote", "input": "How many clips?", "background": True}

NAME = "0197f3a0c2d84b6e9a51"

RESPONSE: Mapping[str, Any] = (
    Asked(model="anabranch/vote", background=True)
    .response(NAME, "queued", 1767225600.0, temperature=0.7, top_p=1.0)
    .model_dump(mode="json")
)

ITEM: Mapping[str, Any] = {
    "type": "message",
    "id": f"msg_{NAME}_in0",
    "status": "completed",
    "role": "user",
    "content": [{"type": "input_text", "text": "How many clips?"}],
}

ITEMS: Mapping[str, Any] = {
    "object": "list",
    "data": [ITEM],
    "first_id": ITEM["id"],
    "last_id": ITEM["id"],
    "has_more": False,
}

DELETED: Mapping[str, Any] = {"id": PREFIX + NAME, "object": "response", "deleted": True}

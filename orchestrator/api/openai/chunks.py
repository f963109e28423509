"""The chunks of a stream, as OpenAI's clients read them."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, Literal

from orchestrator.api.events import Closing, TooSlow
from orchestrator.api.openai.refusals import openai_problem
from orchestrator.api.openai.schemas import RunBody, UsageBody
from orchestrator.api.rendering import dumped, dumped_json
from orchestrator.api.routes import EVENTS
from orchestrator.api.streams import Farewells
from orchestrator.errors import AnabranchError

DONE = "data: [DONE]\n\n"

PIECE = 48
"""About how many characters of a text that is known as a whole come in one chunk."""

_WORDS = re.compile(rf"\S{{{4 * PIECE}}}|[\s\S]{{1,{PIECE}}}\S*\s?")

Kind = Literal["chat", "text"]


@dataclass(frozen=True, slots=True)
class Chunks:
    """Writes the chunks of one stream: all have its id, its time and its model.

    ``kind`` says whether it is a chat or plain texts; with ``usage``, all chunks have a member for that.
    """

    id: str
    model: str
    kind: Kind = "chat"
    usage: bool = False
    created: int = field(default_factory=lambda: int(time.time()))

    def role(self, index: int = 0) -> str:
        """The first chunk of a choice: who speaks. Plain texts have none."""
        return self._choice(index, {"role": "assistant", "content": ""}) if self.kind == "chat" else ""

    def content(self, text: str, index: int = 0, *, logprobs: Any = None) -> str:
        """A piece of the answer."""
        return self._choice(index, {"content": text}, logprobs=logprobs)

    def aside(self, name: str, text: str, index: int = 0) -> str:
        """A piece of what leads to the answer, in a member of that name; plain texts have none."""
        return self._choice(index, {name: text}) if self.kind == "chat" else ""

    def refusal(self, text: str, index: int = 0) -> str:
        """Why there is no answer, in the words of whoever refuses."""
        return self._choice(index, {"refusal": text})

    def calls(self, calls: list[dict[str, Any]], index: int = 0) -> str:
        """The calls of tools that a model makes."""
        numbered = [{"index": place, **call} for place, call in enumerate(calls)]
        return self._choice(index, {"tool_calls": numbered})

    def finish(self, reason: str, index: int = 0, *, run: RunBody | None = None) -> str:
        """The last chunk of a choice: why it ends."""
        own = {} if run is None else {"anabranch": run.model_dump()}
        return self._choice(index, {}, reason, own=own)

    def last(self, usage: UsageBody) -> str:
        """The chunk with the usage, if it is asked for, and the end."""
        if not self.usage:
            return DONE
        return self._frame({"choices": [], "usage": usage.model_dump()}) + DONE

    def _choice(
        self,
        index: int,
        delta: dict[str, Any],
        finish: str | None = None,
        *,
        logprobs: Any = None,
        own: dict[str, Any] | None = None,
    ) -> str:
        said = {"delta": delta} if self.kind == "chat" else {"text": delta.get("content", "")}
        choice = {"index": index, **said, "logprobs": logprobs, "finish_reason": finish}
        usage = {"usage": None} if self.usage else {}
        return self._frame({"choices": [choice], **usage, **(own or {})})

    def _frame(self, body: dict[str, Any]) -> str:
        name = "chat.completion.chunk" if self.kind == "chat" else "text_completion"
        head = {"id": self.id, "object": name, "created": self.created, "model": self.model}
        return f"data: {dumped_json({**head, **body})}\n\n"


def pieces(text: str) -> Iterator[str]:
    """A text in small pieces, which end where words do."""
    yield from _WORDS.findall(text)


def error_chunk(error: AnabranchError) -> str:
    """The last chunk of a stream that fails, which clients raise as an error."""
    return f"data: {dumped(openai_problem(error))}\n\n"


FAREWELLS = Farewells(
    error=error_chunk,
    closing=lambda: error_chunk(Closing("this process shuts down; ask again, and another one answers")),
    dropped=lambda: error_chunk(TooSlow("this client reads too slowly; ask again")),
)
"""How a stream of chunks ends that does not come to its end."""


def chunk_stream(name: str) -> dict[str, Any]:
    """The content of a response that is a stream of chunks, for the OpenAPI document."""
    return {
        EVENTS: {
            "schema": {
                "type": "string",
                "description": f"Server-sent events: `data: ` and a `{name}` as JSON each, then "
                "`data: [DONE]`. One with an `error` is the last.",
            }
        }
    }

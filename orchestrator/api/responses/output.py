"""The output of a response as it comes about: its items, and the events that tell of them, numbered."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Literal

StreamEvent = dict[str, Any]
"""An event of a stream, with its ``type`` and its ``sequence_number``."""

Item = dict[str, Any]

ItemStatus = Literal["in_progress", "completed", "incomplete"]


class Output:
    """Numbers the events of one response, and keeps its items.

    One item is open at a time: what begins the next one ends it. ``name`` is what the ids of the items are
    made of.
    """

    def __init__(self, name: str) -> None:
        self._name = name
        self._number = 0
        self._open: Item | None = None
        self._texts: list[str] = []
        self.items: list[Item] = []
        """All items that have ended."""

    def event(self, kind: str, **members: Any) -> StreamEvent:
        """The next event."""
        event = {"type": f"response.{kind}", "sequence_number": self._number, **members}
        self._number += 1
        return event

    def thought(self, line: str) -> Iterator[StreamEvent]:
        """A piece of what is told of the way to the answer."""
        if not self._is_open("reasoning"):
            yield from self.close()
            yield self._begin(self._item("reasoning", "rs", summary=[]))
            yield self._of_part("reasoning_summary_part.added", "summary_index", part=_summary(""))
        self._texts.append(line)
        yield self._of_part("reasoning_summary_text.delta", "summary_index", delta=line)

    def said(self, piece: str) -> Iterator[StreamEvent]:
        """A piece of the answer; an empty one begins an answer that says nothing."""
        if not self._is_open("message"):
            yield from self.close()
            yield self._begin(
                self._item("message", "msg", role="assistant", phase="final_answer", content=[])
            )
            yield self._of_part("content_part.added", "content_index", part=_text(""))
        if piece:
            self._texts.append(piece)
            yield self._of_part("output_text.delta", "content_index", delta=piece, logprobs=[])

    def called(self, call_id: str, function: str, arguments: str) -> Iterator[StreamEvent]:
        """A call of a function that the client is to make."""
        yield from self.close()
        yield self._begin(self._item("function_call", "fc", call_id=call_id, name=function, arguments=""))
        self._texts.append(arguments)
        yield self._of_item("function_call_arguments.delta", delta=arguments)

    def close(self, status: ItemStatus = "completed") -> Iterator[StreamEvent]:
        """End the open item, if there is one."""
        if (item := self._open) is None:
            return
        text = "".join(self._texts)
        match item["type"]:
            case "reasoning":
                item["summary"] = [_summary(text)]
                yield self._of_part("reasoning_summary_text.done", "summary_index", text=text)
                yield self._of_part("reasoning_summary_part.done", "summary_index", part=_summary(text))
            case "message":
                item["content"] = [_text(text)]
                yield self._of_part("output_text.done", "content_index", text=text, logprobs=[])
                yield self._of_part("content_part.done", "content_index", part=_text(text))
            case _:
                item["arguments"] = text
                yield self._of_item("function_call_arguments.done", name=item["name"], arguments=text)
        item["status"] = status
        yield self.event("output_item.done", output_index=len(self.items), item=dict(item))
        self.items.append(item)
        self._open, self._texts = None, []

    def _is_open(self, kind: str) -> bool:
        return self._open is not None and self._open["type"] == kind

    def _item(self, kind: str, prefix: str, **members: Any) -> Item:
        same = sum(item["type"] == kind for item in self.items)
        place = f"_{same}" if same else ""
        return {"type": kind, "id": f"{prefix}_{self._name}{place}", "status": "in_progress", **members}

    def _begin(self, item: Item) -> StreamEvent:
        self._open = item
        return self.event("output_item.added", output_index=len(self.items), item=dict(item))

    def _of_item(self, kind: str, **members: Any) -> StreamEvent:
        assert self._open is not None
        return self.event(kind, item_id=self._open["id"], output_index=len(self.items), **members)

    def _of_part(self, kind: str, index: str, **members: Any) -> StreamEvent:
        return self._of_item(kind, **{index: 0}, **members)


def _summary(text: str) -> Mapping[str, Any]:
    return {"type": "summary_text", "text": text}


def _text(text: str) -> Mapping[str, Any]:
    return {"type": "output_text", "text": text, "annotations": [], "logprobs": []}

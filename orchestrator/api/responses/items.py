"""The items of the Responses API: what a request gives as its input, and what a stored task answers."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from orchestrator.api.openai.messages import ROLES, Turn, text_of
from orchestrator.api.openai.refusals import InvalidParameter, UnsupportedParameter
from orchestrator.api.responses.bodies import InputItems
from storage.tasks import Task
from workers.functions import FunctionCall

MEMBERS: Mapping[str, frozenset[str]] = {
    "message": frozenset({"type", "id", "status", "role", "content", "phase", "name"}),
    "function_call": frozenset({"type", "id", "status", "call_id", "name", "arguments"}),
    "function_call_output": frozenset({"type", "id", "status", "call_id", "output"}),
}
"""What an item may say, by its type. Ids, states and phases are read, and told to nobody."""

MOST_ITEMS = 100
"""The most items of a page."""


class ItemsQuery(BaseModel):
    """Query parameters of the list of what a response answers."""

    model_config = ConfigDict(extra="forbid")

    limit: int = Field(20, ge=1, le=MOST_ITEMS, description="Items of a page.")
    order: Literal["asc", "desc"] = Field("desc", description="`asc`: the oldest first.")
    after: str | None = Field(None, description="The id of the last item of the page before.")


def turns_of(given: object, param: str = "input") -> tuple[Turn, ...]:
    """The turns of an input: a text, which a user says, or a list of items.

    Raises:
        InvalidParameter: it is neither; says which item is wrong and what would be right.
        UnsupportedParameter: an item is of a type that cannot be told to anybody here.
    """
    if isinstance(given, str):
        return (Turn("user", given, param),)
    if not isinstance(given, list) or not given:
        raise InvalidParameter("must be a text, or a list of at least one item", param)
    turns: list[Turn] = []
    called: dict[str, str] = {}  # the names of functions, by the id of their call
    for place, item in enumerate(given):
        turns.extend(_turn(item, f"{param}[{place}]", called))
    return tuple(turns)


def _turn(item: object, param: str, called: dict[str, str]) -> Iterator[Turn]:
    if not isinstance(item, dict):
        raise InvalidParameter('must be an item such as {"role": "user", "content": …}', param)
    kind = item.get("type") or ("message" if "role" in item else "item_reference" if "id" in item else None)
    if kind == "reasoning":
        return  # what led to an answer before is not told again
    if not isinstance(kind, str) or kind not in MEMBERS:
        known = ", ".join([*MEMBERS, "reasoning"])
        raise UnsupportedParameter(
            f"items of type {str(kind)[:40]!r} cannot be read here; send {known}", param
        )
    for name, value in item.items():
        if name not in MEMBERS[kind] and value is not None:
            raise InvalidParameter(f"a {kind} has no such member", f"{param}.{name[:40]}")
    match kind:
        case "message":
            yield _message(item, param)
        case "function_call":
            yield _call(item, param, called)
        case _:
            yield _result(item, param, called)


def _message(item: Mapping[str, Any], param: str) -> Turn:
    said = item.get("role")
    role = ROLES.get(said) if isinstance(said, str) else None
    if role is None or role == "tool":
        roles = ", ".join(each for each in ROLES if each != "tool")
        raise InvalidParameter(f"must be one of {roles}", f"{param}.role")
    return Turn(role, text_of(item.get("content"), f"{param}.content"), param)


def _call(item: Mapping[str, Any], param: str, called: dict[str, str]) -> Turn:
    call_id, name = _name(item, "call_id", param), _name(item, "name", param)
    if not isinstance(arguments := item.get("arguments"), str):
        raise InvalidParameter("must be JSON as a text", f"{param}.arguments")
    called[call_id] = name
    return Turn("assistant", "", param, (FunctionCall(call_id, name, arguments),))


def _result(item: Mapping[str, Any], param: str, called: Mapping[str, str]) -> Turn:
    call_id = _name(item, "call_id", param)
    if call_id not in called:
        raise InvalidParameter(f"no function_call before it is {call_id[:40]!r}", f"{param}.call_id")
    text = text_of(item.get("output"), f"{param}.output")
    return Turn("tool", text, param, (FunctionCall(call_id, called[call_id], ""),))


def _name(item: Mapping[str, Any], member: str, param: str) -> str:
    if not isinstance(value := item.get(member), str) or not value:
        raise InvalidParameter("must be a text", f"{param}.{member}")
    return value


def turns_in(task: Task, *, instructed: bool) -> list[tuple[str, str]]:
    """The roles and texts of what a stored task answers, in order; without its ``instructions``."""
    question = task.question if isinstance(task.question, Mapping) else {}
    history = question.get("history")
    turns = [
        (str(turn.get("role")), str(turn.get("content", "")))
        for turn in (history if isinstance(history, list) else [])
        if isinstance(turn, Mapping)
    ]
    return [*turns[instructed:], ("user", str(question.get("query", "")))]


def page_of(task: Task, *, instructed: bool, query: ItemsQuery) -> InputItems:
    """A page of the items that a stored task answers.

    Raises:
        InvalidParameter: the page is to begin after an item that there is not.
    """
    turns = turns_in(task, instructed=instructed)
    items = [_item(task, place, *turn) for place, turn in enumerate(turns)]
    if query.order == "desc":
        items.reverse()
    start = 0
    if query.after is not None:
        found = [place for place, item in enumerate(items) if item["id"] == query.after]
        if not found:
            raise InvalidParameter("must be the id of an item of this response", "after")
        start = found[0] + 1
    data = items[start : start + query.limit]
    return InputItems(
        data=data,
        first_id=data[0]["id"] if data else None,
        last_id=data[-1]["id"] if data else None,
        has_more=start + query.limit < len(items),
    )


def _item(task: Task, place: int, role: str, text: str) -> dict[str, Any]:
    part: dict[str, Any] = {"type": "input_text", "text": text}
    if role == "assistant":
        part = {"type": "output_text", "text": text, "annotations": [], "logprobs": []}
    return {
        "type": "message",
        "id": f"msg_{task.id}_in{place}",
        "status": "completed",
        "role": role,
        "content": [part],
    }


def functions_given(turns: Sequence[Turn]) -> bool:
    """Whether functions of the client were called, or have returned something."""
    return any(turn.calls for turn in turns)

"""The calls of functions in a completion, put together from the pieces in which servers send them."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from workers.functions import FunctionCall


@dataclass(slots=True)
class _Begun:
    """A call as far as it has come."""

    id: str = ""
    name: str = ""
    arguments: list[str] = field(default_factory=list)

    def is_followed_by(self, name: str) -> bool:
        """Whether a piece with this name begins another call: it is another one, or this call is whole."""
        if not (name and self.name):
            return False
        if name != self.name:
            return True
        # Only what may be whole is read, as some servers send the name with every piece.
        return bool(self.arguments) and self.arguments[-1].rstrip().endswith("}") and self._is_whole()

    def _is_whole(self) -> bool:
        return FunctionCall("", "", "".join(self.arguments)).values() is not None


class CallPieces:
    """Puts calls together.

    A piece belongs to the call that has its id, else to the one at its index, else to the last one. Servers
    leave out ids or indices, send empty ones, or give one index to several calls; so an id that is new, or a
    name where the call at hand is whole, begins another call.
    """

    def __init__(self) -> None:
        self._begun: list[_Begun] = []
        self._at: dict[int, _Begun] = {}

    def add(self, pieces: Sequence[object]) -> None:
        """Take pieces in the order in which they came; what is no piece of a call is left out."""
        for piece in pieces:
            if isinstance(piece, Mapping):
                told = piece.get("function", piece)
                if isinstance(told, Mapping):
                    self._add(_text(piece.get("id")), piece.get("index"), told)

    def calls(self) -> tuple[FunctionCall, ...]:
        """The calls, each with an id of its own; one is made where the server sent none."""
        made: list[FunctionCall] = []
        known: set[str] = set()
        for position, each in enumerate(self._begun):
            arguments = "".join(each.arguments)
            whole = FunctionCall(each.id, each.name, arguments)
            if not each.id or each.id in known:
                whole = FunctionCall.at(position, each.name, arguments)
            known.add(whole.id)
            made.append(whole)
        return tuple(made)

    def _add(self, key: str, index: object, told: Mapping[str, object]) -> None:
        name, arguments = _text(told.get("name")), told.get("arguments")
        call = self._of(key, index, name)
        call.id = call.id or key
        call.name = call.name or name
        if isinstance(arguments, str):
            call.arguments += [arguments] if arguments else []
        elif arguments is not None:  # some servers send them read
            call.arguments.append(json.dumps(arguments, ensure_ascii=False))

    def _of(self, key: str, index: object, name: str) -> _Begun:
        known = next((each for each in self._begun if key and each.id == key), None)
        if known is None:
            place = self._at.get(index) if isinstance(index, int) else None
            known = place or (self._begun[-1] if self._begun and not isinstance(index, int) else None)
            if known is not None and ((key and known.id) or known.is_followed_by(name)):
                known = None
        if known is None:
            self._begun.append(known := _Begun())
        if isinstance(index, int):
            self._at[index] = known
        return known


def _text(value: object) -> str:
    return value if isinstance(value, str) else ""

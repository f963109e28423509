"""The models that a server lists, and which of them is meant by a name."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from workers.errors import ModelUnavailable

_LISTS = ("data", "models")  # where the protocol has the list, and where Ollama and Gemini have theirs
_NAMES = ("id", "name", "model")
_SHOWN = 20  # names in an error


@dataclass(frozen=True, slots=True)
class Listed:
    """A model in a server's list, with its owner, which is often the server's software."""

    name: str
    owner: str = ""
    max_model_len: int | None = None


def read_list(answer: object) -> list[Listed] | None:
    """The models in a list of any usual form; None if it is no list.

    The entries may stand in an array, in an array below ``data`` or another key, or in a mapping by name.
    """
    match answer:
        case list():
            return _entries(answer)
        case {"error": _}:
            return None
        case dict():
            for key in (*_LISTS, *answer):
                rows = answer.get(key)
                if isinstance(rows, list) and (found := _entries(rows)) is not None:
                    return found
            for key in _LISTS:
                if isinstance(answer.get(key), dict):
                    return read_list(answer[key])
            if answer and all(isinstance(entry, dict) for entry in answer.values()):
                return [_read({"id": name} | entry) for name, entry in answer.items()]
    return None


def _entries(rows: Sequence[object]) -> list[Listed] | None:
    """The models in an array; None if it holds something else."""
    found = []
    for row in rows:
        match row:
            case str():
                found.append(Listed(row))
            case dict() if any(isinstance(row.get(key), str) for key in _NAMES):
                found.append(_read(row))
    return found if found or not rows else None


def _read(row: Mapping[str, object]) -> Listed:
    names = (name for key in _NAMES if isinstance(name := row.get(key), str))
    owner, length = row.get("owned_by"), row.get("max_model_len")
    return Listed(
        next(names), owner if isinstance(owner, str) else "", length if isinstance(length, int) else None
    )


def choose(listed: Sequence[Listed], wanted: str | None) -> Listed:
    """The entry that ``wanted`` means: the first if None, else by its full name, else by its last part.

    A catalogue of several models may leave some out that the server has (deployments, aliases, variants), so
    a name that none of them has is taken as it is; the server will refuse it if there is no such model.

    Raises:
        ModelUnavailable: the server lists none and none was named, has one other model, or has several that
            could be meant.
    """
    if wanted is None:
        if not listed:
            raise ModelUnavailable("the server lists no model: load one, or name one with --model or model=")
        return listed[0]
    for entry in listed:
        if entry.name == wanted:
            return entry
    similar = [entry for entry in listed if _same_model(entry.name, wanted)]
    names = ", ".join(repr(entry.name) for entry in listed[:_SHOWN])
    if len(similar) == 1:
        return similar[0]
    if similar:
        several = ", ".join(repr(entry.name) for entry in similar[:_SHOWN])
        raise ModelUnavailable(f"the server has several models {wanted!r}: name one of {several}")
    if len(listed) == 1:
        raise ModelUnavailable(f"the server has no model {wanted!r}: it has {names}")
    return Listed(wanted)


def _same_model(one: str, other: str) -> bool:
    """Whether names differ only in what stands before the model (``models/``, ``openai/``), or in a default
    tag (``:latest``)."""
    one, other = one.removesuffix(":latest"), other.removesuffix(":latest")
    return one == other or one.endswith(f"/{other}") or other.endswith(f"/{one}")

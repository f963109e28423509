"""How a server is asked, and how its answers are read; anything outside the protocol is an error."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping

from workers.calls import Logprob, Usage
from workers.errors import EngineProtocolError

Ask = Callable[[str, Mapping[str, object] | None], Awaitable[object]]
"""Send a body (None: GET) to a path below the base URL, and return the JSON that comes back.

A path that begins with a slash is relative to the root of the server, without ``/v1``.

Raises a :class:`WorkerError` for anything but success.
"""


QUOTE = 200
"""How many characters an error quotes of something that was not understood."""


def garbage(what: str, data: bytes | str | object) -> EngineProtocolError:
    """An error that says what is wrong, and quotes the beginning of ``data``."""
    text = data.decode(errors="replace") if isinstance(data, bytes) else str(data)
    return EngineProtocolError(f"{what}: {text[:QUOTE]!r}")


_MESSAGES = ("message", "msg", "detail", "error_msg", "error_message", "errorMessage", "error_description")
_WITHIN = ("error", "errors", "detail", "details")
_DEEP = 8  # how far an error is looked for inside others


def server_message(data: object, *, depth: int = 0) -> str | None:
    """What a server said about an error, in any of the usual forms; None if ``data`` has none of them."""
    match data:
        case [first, *_]:
            return server_message(first, depth=depth + 1) if depth < _DEEP else None
        case {"msg": str(message), "loc": list(where)}:
            return f"{message} ({'.'.join(map(str, where))})"
        case {"message": str(message), "metadata": {"raw": str(raw)}} if (
            raw
        ):  # a gateway, and what is behind it
            return f"{message}: {raw[:QUOTE]}"
        case dict():
            inner = [data.get(key) for key in _WITHIN]
            if depth < _DEEP:
                deeper = (server_message(each, depth=depth + 1) for each in inner)
                if (found := next(filter(None, deeper), None)) is not None:
                    return found
            texts = [
                each for each in [*inner, *(data.get(key) for key in _MESSAGES)] if isinstance(each, str)
            ]
            return next(filter(None, texts), None)
    return None


def reports_failure(event: Mapping[str, object]) -> bool:
    """Whether what came in place of a piece of a completion, or beside it, says that the server failed."""
    if event.get("error") or event.get("errors"):
        return True
    if choices := event.get("choices"):  # of every piece: no pattern, as those cost more
        first = choices[0] if isinstance(choices, list) else None
        return isinstance(first, dict) and bool(first.get("error"))
    match event:
        case {"object": "error"} | {"type": "error"} | {"status": "error" | "failed"}:
            return True
        case {"error_msg": str()} | {"error_message": str()} | {"detail": str() | list() | dict()}:
            return True
        case {"message": str(), "code": code} | {"msg": str(), "code": code}:
            return code not in (None, "", 0, 200, "0", "200", "ok", "success")
        case {"message": str(), "type": str(kind)}:
            return "error" in kind.lower()
    return False


def read_usage(usage: object) -> Usage:
    """The usage object of the protocol, or of one of its relatives; what it does not tell counts as 0.

    It is no reason to refuse a completion: what is no count of tokens is left out. Cached tokens are never
    more than the prompt's, whatever the server reports.
    """
    if not isinstance(usage, dict):
        return Usage()
    prompt = _count(usage, "prompt_tokens", "input_tokens")
    completion = _count(usage, "completion_tokens", "output_tokens")
    details = usage.get("completion_tokens_details") or usage.get("output_tokens_details")
    thought = _count(details if isinstance(details, dict) else usage, "reasoning_tokens")
    return Usage(prompt, max(0, min(cached_tokens(usage) or 0, prompt)), completion, thought)


_DIGITS = 9  # of the largest count of tokens that is believed


def _count(usage: Mapping[str, object], *names: str) -> int:
    """The number under the first of these names that has one; 0 if none has, or if it is no count."""
    for name in names:
        if (value := usage.get(name)) is not None:
            break
    else:
        return 0
    if isinstance(value, str) and value.isdecimal() and len(value) <= _DIGITS:
        value = int(value)
    return int(value) if isinstance(value, int | float) and 0 <= value < 10**_DIGITS else 0


def cached_tokens(usage: object) -> int | None:
    """The number of prompt tokens that came from the cache; None if the server does not report it."""
    match usage:
        case (
            {"prompt_tokens_details": {"cached_tokens": int(cached)}}
            | {"input_tokens_details": {"cached_tokens": int(cached)}}
            | {"prompt_cache_hit_tokens": int(cached)}
            | {"cached_tokens": int(cached)}
        ):
            return cached
    return None


def read_tokens(tokens: object) -> list[int]:
    """A list of token ids.

    Raises:
        EngineProtocolError: it is not such a list.
    """
    if isinstance(tokens, list) and all(type(token) is int and 0 <= token < 1 << 32 for token in tokens):
        return tokens
    raise garbage("not a list of tokens", tokens)


def read_logprob(entry: object) -> Logprob:
    """A log-probability in the form of chat completions.

    Raises:
        EngineProtocolError: it is not one.
    """
    match entry:
        case {"token": str(token), "logprob": float() | int() as logprob}:
            return Logprob(token, float(logprob), _read_alternatives(entry))
    raise garbage("a logprob without token and number", entry)


def read_row(row: tuple[object, object, object], alternatives: int) -> Logprob:
    """A log-probability in the form of plain completions, where the chosen token is one of the top.

    Raises:
        EngineProtocolError: it is not one.
    """
    match row:
        case str(token), float() | int() as logprob, None:
            return Logprob(token, float(logprob))
        case str(token), float() | int() as logprob, dict(top) if all(map(_is_number, top.values())):
            best = sorted(top, key=lambda other: -top[other])[:alternatives]
            return Logprob(token, float(logprob), {other: float(top[other]) for other in best})
    raise garbage("a logprob without token and number", row)


def _is_number(value: object) -> bool:
    return isinstance(value, int | float)


def _read_alternatives(entry: object) -> dict[str, float]:
    match entry:
        case {"top_logprobs": list(alternatives)}:
            return {a.token: a.logprob for a in map(read_logprob, alternatives)}
    return {}

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


def server_message(data: object) -> str | None:
    """What a server said about an error, in any of the usual forms; None if ``data`` has none of them."""
    match data:
        case {"error": {"message": str(message)}} | {"error": str(message)}:
            return message
        case {"message": str(message)} | {"detail": str(message)}:
            return message
        case {"detail": [{"msg": str(message), "loc": list(where)}, *_]}:
            return f"{message} ({'.'.join(map(str, where))})"
    return None


def read_usage(usage: object) -> Usage:
    """The usage object of the protocol.

    Cached tokens are 0 if the server does not report them, and never more than the prompt's, whatever it
    reports.

    Raises:
        EngineProtocolError: it is not such an object.
    """
    match usage:
        case {"prompt_tokens": int(prompt), "completion_tokens": int(completion)}:
            pass
        case {"prompt_tokens": int(prompt)}:
            completion = 0
        case _:
            prompt = completion = -1
    cached = min(cached_tokens(usage) or 0, prompt)
    if min(prompt, cached, completion) >= 0 and max(prompt, completion) < 1 << 31:
        return Usage(prompt, cached, completion)
    raise garbage("usage that is not token counts", usage)


def cached_tokens(usage: object) -> int | None:
    """The number of prompt tokens that came from the cache; None if the server does not report it."""
    match usage:
        case {"prompt_tokens_details": {"cached_tokens": int(cached)}}:
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

"""Which parameters of a request a server refuses, and what becomes of requests from then on."""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Iterator, Mapping
from typing import NamedTuple

import structlog

from workers.errors import CallRejected

log = structlog.get_logger(__name__)

INSTEAD = {"max_tokens": "max_completion_tokens"}
"""What is sent in place of a refused parameter; all others are left out."""

NEEDED = {
    "logprobs": "logprobs",
    "top_logprobs": "logprobs",
    "response_format": "guided_json",
    "structured_outputs": "guided_grammar",
    "grammar": "guided_grammar",
    "ebnf": "guided_grammar",
    "tools": "function_calls",
    "tool_choice": "function_calls",
    "continue_final_message": "assistant_prefill",
    "add_generation_prompt": "assistant_prefill",
    "vllm_xargs": "arithmetic_sampling",
}
"""Parameters without which the completion would be another than was asked for, and their capabilities."""

CAPABILITIES = NEEDED | {
    "priority": "priority",
    "cache_salt": "cache_salt",
    "return_token_ids": "token_ids_out",
}
"""The capability that a server does not have if it refuses a parameter."""

REFUSABLE = frozenset(
    {*CAPABILITIES, *INSTEAD, "stream", "stream_options", "seed", "temperature", "top_p", "stop"}
)
"""All that a request may do without, one way or another. What is not streamed comes as one object."""

_OURS = frozenset({"stream_options", "seed", "priority", "cache_salt", "return_token_ids"})
"""Parameters that do not come from who asks, or not with this value."""

_STATUSES = frozenset({400, 403, 404, 405, 406, 409, 415, 418, 422, 500, 501})
_CODES = frozenset(
    {"extra_forbidden", "value_error.extra", "unknown_parameter", "unsupported_parameter"}
    | {"unsupported_value", "unrecognized_parameter"}
)
_REFUSES = re.compile(
    r"""
    un(supported|recogni[sz]ed|known|expected|available)
    | (not|n't)\s (\w+\s)? (support(ed)?|permit(ted)?|allow(ed)?|accept(ed)?)
    | not\s (\w+\s)? (recogni[sz]ed|implemented|available|enabled)
    | (cannot|can't|must\snot)\s (be\s (\w+\s)? (specified|set|used|provided|combined)|use\b)
    | only\s (the\sdefault|one\sof|\S*1\b) .{1,60} (allowed|supported)
    | (please|must)\s (remove|omit|drop)
    | deprecated
    | (cannot\s find|no\s such) \s (field|parameter|argument)
    | 不支持
    """,
    re.VERBOSE | re.IGNORECASE,
)
"""How servers say that they do not take something: OpenAI, Azure, Groq ("property 'x' is unsupported"),
pydantic (vLLM, SGLang, Mistral: "Extra inputs are not permitted"), LiteLLM ("does not support parameters"),
serde (TGI: "unknown field"), Gemini ("Cannot find field"), Python ("unexpected keyword argument")."""
_SUGGESTS = re.compile(
    r",?\s*\bexpected\s|did you mean|(^|[.;,])\s*(please\s)?use\s|(supported|valid|allowed)\s\w+\s(are|is)\b"
    r"|to drop",
    re.IGNORECASE,
)
"""Where the names begin that a server would take instead."""
_SCHEMA = re.compile(r"\bschema\b", re.IGNORECASE)
_GRAMMARS = frozenset({"structured_outputs", "grammar", "ebnf"})
_MALFORMED = re.compile(
    r"\b(pars(e|er|ing)|convert|lex(er|ing)|syntax|invalid\sgrammar|rules?)\b", re.IGNORECASE
)
"""What is said of a grammar that the server would take if it were right."""
_LOCATION = re.compile(r"'loc': [(\[]'body', '(\w+)'")  # pydantic's errors, printed by Python
_CAPITAL = re.compile(r"(?<=[a-z])(?=[A-Z])")
_QUOTES = frozenset({"input", "request", "body"})  # where errors quote the request, all parameters included
_DEPTH = 8  # of errors wrapped in errors, as routers do


class ParametersRefused(CallRejected):
    """The server refuses ``names``, which are parameters of the request, and perhaps nothing else."""

    def __init__(self, message: str, names: frozenset[str]) -> None:
        super().__init__(message)
        self.names = names


def without(body: Mapping[str, object], refused: Collection[str]) -> dict[str, object]:
    """The request without the refused parameters, or with others in their place."""
    return {
        INSTEAD.get(name, name) if name in refused else name: value
        for name, value in body.items()
        if name not in refused or name in INSTEAD
    }


def tell_refused(engine: str, names: Collection[str]) -> None:
    """Log what a server was found to refuse, and what is done about it."""
    for name in sorted(names):
        log.warning(
            "parameter refused",
            action="parameter_refused",
            engine=engine,
            parameter=name,
            instead=INSTEAD.get(name, "it is no longer sent"),
        )


def refused_parameters(status: int, said: bytes, sent: Collection[str]) -> frozenset[str]:
    """Which of the parameters in ``sent`` an answer refuses; none if it is about something else.

    A parameter counts as refused if the server names it and says that it does not take it, in prose or in a
    field of the error. That a value is out of range is the call's fault, and so is an invalid schema; but not
    of parameters that only we chose: those are refused whatever is wrong with them.
    """
    if status not in _STATUSES:
        return frozenset()
    known = REFUSABLE & frozenset(sent)
    names: set[str] = set()
    for complaint in _complaints(said.decode(errors="replace"), _DEPTH):
        names |= _named(complaint, known)
    if "stream_options" in names:  # which may be said to go with "stream" only
        names.discard("stream")
    return frozenset(names)


class _Complaint(NamedTuple):
    text: str
    code: str = ""
    where: str = ""  # the parameter, if the error has a field for it


def _named(complaint: _Complaint, known: Collection[str]) -> set[str]:
    names = {complaint.where} & set(known)
    if not names:
        text = _CAPITAL.sub("_", _SUGGESTS.split(complaint.text)[0]).lower()
        names = {*re.findall(r"\w+", text), *_LOCATION.findall(complaint.text)} & set(known)
    if complaint.code not in _CODES and not _REFUSES.search(complaint.text):
        return names & _OURS
    if _SCHEMA.search(complaint.text):
        names -= {"response_format", "tools"}
    return names - _GRAMMARS if _MALFORMED.search(complaint.text) else names


def _complaints(said: object, depth: int) -> Iterator[_Complaint]:
    """All errors in an answer, with those that are wrapped in the text of others."""
    if depth < 0:
        return
    match said:
        case str():
            try:
                inner = json.loads(said) if said.lstrip()[:1] in ("{", "[") else None
            except (ValueError, RecursionError):
                inner = None
            if isinstance(inner, dict | list):
                yield from _complaints(inner, depth - 1)
            else:
                yield _Complaint(said)
        case list():
            for entry in said:
                yield from _complaints(entry, depth - 1)
        case {"loc": list(where), **fields}:
            name = next((str(part) for part in where if part not in ("body", "query")), "")
            yield _Complaint(str(fields.get("msg", "")), str(fields.get("type", "")), name)
        case {"message": str(text), "param": str(param), **more}:
            place = re.split(r"[.\[]", param.removeprefix("body."))[0]
            yield _Complaint(text, str(more.get("code", "")), place)
            yield from _complaints({"": text} | more, depth - 1)
        case dict():
            for key, value in said.items():
                if key not in _QUOTES:
                    yield from _complaints(value, depth - 1)

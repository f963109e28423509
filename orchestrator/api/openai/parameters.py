"""What becomes of each parameter of the protocol: one table, by which requests are checked.

A parameter that a request gives is honoured, accepted although it changes nothing, or refused with a reason.
No other is known, and none is ignored in silence.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Literal, TypeVar, get_args

from pydantic import BaseModel, ValidationError

from orchestrator.api.openai.refusals import InvalidParameter, UnsupportedParameter

Target = Literal["planner", "engine"]
"""Who a request goes to: a planner, as a task, or the engine itself."""

M = TypeVar("M", bound=BaseModel)


class Fate(StrEnum):
    """What becomes of a parameter."""

    HONOURED = "honoured"
    NO_EFFECT = "no effect"
    REFUSED = "refused"


@dataclass(frozen=True, slots=True)
class Rule:
    """What becomes of one parameter where a planner answers, and where the engine does.

    ``told`` says how it is honoured, or why it is not. Even where it is refused, ``idle`` values may be
    given: they ask for nothing.
    """

    planner: Fate
    engine: Fate
    told: str
    idle: tuple[Any, ...] = ()

    def fate(self, target: Target) -> Fate:
        """What becomes of it there."""
        return self.planner if target == "planner" else self.engine


def _both(told: str) -> Rule:
    return Rule(Fate.HONOURED, Fate.HONOURED, told)


def _engine(told: str, *idle: Any) -> Rule:
    return Rule(Fate.REFUSED, Fate.HONOURED, told, idle)


def _planner(told: str, *idle: Any) -> Rule:
    return Rule(Fate.HONOURED, Fate.REFUSED, told, idle)


def _idle(told: str) -> Rule:
    return Rule(Fate.NO_EFFECT, Fate.NO_EFFECT, told)


def _refused(told: str, *idle: Any) -> Rule:
    return Rule(Fate.REFUSED, Fate.REFUSED, told, idle)


SHARED: Mapping[str, Rule] = {
    "model": _both("`anabranch/…`: a planner; else one of the engine's own names"),
    "stream": _both("server-sent events"),
    "stream_options": _both("`include_usage`; `include_obfuscation` has no effect"),
    "max_tokens": _both("tokens that one call may write; a planner makes several"),
    "temperature": _both(
        "a planner that samples several keeps to 0.7 or more, since equal branches would compare nothing"
    ),
    "top_p": _both("of each call"),
    "seed": _both("a planner derives the seed of each call from it; 0 and up"),
    "stop": _both("at most 4 texts; the answer ends before the first of them"),
    "n": _engine(
        "a planner gives one answer; ask `anabranch/vote` for an answer that many branches share", 1
    ),
    "frequency_penalty": _refused("engines are not told of penalties", 0, 0.0),
    "presence_penalty": _refused("engines are not told of penalties", 0, 0.0),
    "logit_bias": _refused("engines are not told of biases", {}),
    "user": _idle("the key says who asks"),
    "anabranch": _planner("our own options: `planner`, `options`, `budget`, `content` and others"),
}

CHAT: Mapping[str, Rule] = {
    **SHARED,
    "messages": _both("the whole conversation counts"),
    "max_completion_tokens": _both("the newer name of `max_tokens`"),
    "response_format": _both("`text`, `json_object` and `json_schema`"),
    "reasoning_effort": _planner("how many branches or rounds; an engine is not told of it"),
    "service_tier": Rule(
        Fate.HONOURED, Fate.NO_EFFECT, "`flex`: a planner's task waits in the line of batches"
    ),
    "metadata": Rule(Fate.HONOURED, Fate.NO_EFFECT, "kept with the task of a planner"),
    "logprobs": _engine("the text of a planner comes from several calls", False),
    "top_logprobs": _engine("the text of a planner comes from several calls", 0),
    "tools": _engine("planners use the tools of this service, and cannot hand calls to a client", []),
    "tool_choice": _engine(
        "planners use the tools of this service; engines take `auto` and `none`", "none", "auto"
    ),
    "parallel_tool_calls": _idle("the model decides"),
    "modalities": _refused("answers are texts", ["text"]),
    "audio": _refused("answers are texts"),
    "functions": _refused("an old form of `tools`", []),
    "function_call": _refused("an old form of `tool_choice`", "none", "auto"),
    "web_search_options": _refused("nothing here searches the web"),
    "moderation": _refused("nothing here moderates"),
    "verbosity": _refused("models are not told of it; say it in a message", "medium"),
    "store": _idle("what planners do is always kept as a task, and what engines do never is"),
    "prediction": _idle("it could only make the answer faster"),
    "prompt_cache_key": _idle("prompts that begin alike find each other by themselves"),
    "prompt_cache_options": _idle("the engine keeps what it has room for"),
    "prompt_cache_retention": _idle("the engine keeps what it has room for"),
    "safety_identifier": _idle("the key says who asks"),
}
"""The parameters of chat completions."""

COMPLETIONS: Mapping[str, Rule] = {
    **SHARED,
    "prompt": _both("a text or a list of texts, each of which gets a choice; no tokens"),
    "logprobs": _engine("the text of a planner comes from several calls", 0),
    "echo": _refused("engines are asked in the form of a chat, which has no text to repeat", False),
    "best_of": _refused("ask `anabranch/vote` for the best of several", 1),
    "suffix": _refused("engines are asked in the form of a chat, and cannot fill in", ""),
}
"""The parameters of completions."""


def given(body: Mapping[str, Any], table: Mapping[str, Rule], target: Target) -> dict[str, Any]:
    """What of a request is to be honoured; null is as if it were not given.

    Raises:
        InvalidParameter: a parameter is unknown.
        UnsupportedParameter: a parameter is refused; the message says why.
    """
    honoured: dict[str, Any] = {}
    for name, value in body.items():
        if (rule := table.get(name)) is None:
            raise InvalidParameter(f"no such parameter is known here{_similar(name, table)}", name[:40])
        if value is None:
            continue
        match rule.fate(target):
            case Fate.HONOURED:
                honoured[name] = value
            case Fate.REFUSED if not _same(value, rule.idle):
                whom = "a planner" if target == "planner" else "the engine's own models"
                raise UnsupportedParameter(f"{whom} cannot honour it: {rule.told}", name)
    return honoured


def _same(value: Any, idle: Iterable[Any]) -> bool:
    return any(type(value) is type(each) and value == each for each in idle)


def validated(model: type[M], values: Mapping[str, Any]) -> M:
    """The values as a model.

    Raises:
        InvalidParameter: one is wrong; names it and says what would be right.
    """
    try:
        return model.model_validate(dict(values))
    except ValidationError as error:
        first = error.errors(include_url=False, include_context=False)[0]
        message = str(first["msg"]).removeprefix("Value error, ")
        if first["type"] == "extra_forbidden":
            known = _fields_at(model, first["loc"][:-1])
            message = f"no such member is known here{_similar(str(first['loc'][-1]), known)}"
            message += f" (known are: {', '.join(known)})" if known else ""
        raise InvalidParameter(message[:1].lower() + message[1:], place_of(first["loc"])) from None


def _similar(name: str, known: Iterable[str]) -> str:
    """Which known name may have been meant, as the end of a message; empty if none is similar."""
    close = difflib.get_close_matches(name[:40], known, n=1)
    return f"; did you mean {close[0]}?" if close else ""


def _fields_at(model: type[BaseModel], location: Iterable[int | str]) -> list[str]:
    """The members that a model has at a place inside of it; none where that is no single model."""
    at = model
    for each in location:
        field = at.model_fields.get(each) if isinstance(each, str) else None
        kinds = (field.annotation, *get_args(field.annotation)) if field else ()
        models = [kind for kind in kinds if isinstance(kind, type) and issubclass(kind, BaseModel)]
        if len(models) != 1:
            return []
        [at] = models
    return [field.alias or name for name, field in at.model_fields.items()]


def place_of(location: Iterable[int | str]) -> str:
    """Where in a request something is, as in ``messages[2].content``; what no JSON has is left out."""
    place = ""
    for each in location:
        if isinstance(each, int):
            place += f"[{each}]"
        elif each.isidentifier():
            place += f".{each}" if place else each
    return place[:80]

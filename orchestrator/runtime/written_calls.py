"""The calls of functions that a model wrote into its text, where the server has no parser for its form."""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Iterator, Mapping
from typing import Any, Final, NamedTuple

from orchestrator.consensus.thinking import split_thinking
from workers.functions import FunctionCall

_MARK: Final = re.compile(
    r"<\|?(?P<end>/)?(?:tool_calls?|function_calls?|tools?|python_tag)\|?>|\[(?P<close>/)?TOOL_CALLS?\]",
    re.IGNORECASE,
)
"""What stands around calls: Hermes, Qwen, Granite, Llama, Mistral. Some models never close it."""

_TAGGED: Final = re.compile(r"<function=(?P<name>[^<>\s]+)>(?P<body>.*?)(?:</function>|\Z)", re.DOTALL)
_PARAMETER: Final = re.compile(
    r"<parameter=(?P<name>[^<>\s]+)>\n?(?P<value>.*?)\n?(?:</parameter>|(?=<parameter=)|\Z)", re.DOTALL
)
"""The form of Qwen3-Coder."""

_NAMES: Final = ("name", "function", "tool", "tool_name", "function_name", "action")
_ARGUMENTS: Final = ("arguments", "parameters", "args", "input", "params", "action_input", "tool_input")
_LISTS: Final = ("tool_calls", "function_calls", "calls", "tools")
_OPENING: Final = " \t\n[*`"
"""What stands before calls, besides the language of a fence."""
_DECODER: Final = json.JSONDecoder()
_READINGS: Final = 64  # braces of a text at which an object is looked for


class Written(NamedTuple):
    """What a model said before its calls, and the calls."""

    text: str
    calls: tuple[FunctionCall, ...]


def written_calls(text: str, names: Collection[str]) -> Written:
    """The calls in a text, which are no part of what it says; without any, the text is as it was.

    Between the marks that models put around calls, everything is a call, if need be one without a name.
    Outside of them, JSON is one only if it names one of the functions: an answer may be JSON, too.
    """
    answer = split_thinking(text).answer
    found: list[tuple[str, str]] = []
    begins: int | None = None
    for start, piece, marked in _pieces(answer):
        for at, name, arguments in _calls(piece, names, marked=marked):
            begins = start + at if begins is None else begins
            found.append((name, arguments))
    if begins is None:
        return Written(text, ())
    return Written(_said(answer[:begins]), tuple(FunctionCall.at(n, *each) for n, each in enumerate(found)))


def _said(before: str) -> str:
    """What is said before the calls, without what only opens them. Takes linear time, as texts may be odd."""
    mark = _MARK.search(before)
    said = (before[: mark.start()] if mark else before).rstrip(_OPENING)
    words, fence, language = said.rpartition("```")
    return words.rstrip(_OPENING) if fence and language.isalnum() else said


def _pieces(text: str) -> Iterator[tuple[int, str, bool]]:
    """The text between marks, where it begins, and whether calls are marked there."""
    start, marked = 0, False
    for mark in _MARK.finditer(text):
        yield start, text[start : mark.start()], marked
        start, marked = mark.end(), not (mark["end"] or mark["close"])
    yield start, text[start:], marked


def _calls(piece: str, names: Collection[str], *, marked: bool) -> Iterator[tuple[int, str, str]]:
    """Where a call begins, its name and its arguments."""
    is_read = False
    for tagged in _TAGGED.finditer(piece):
        if marked or tagged["name"] in names:
            given = {each["name"]: each["value"] for each in _PARAMETER.finditer(tagged["body"])}
            yield tagged.start(), tagged["name"], json.dumps(given, ensure_ascii=False)
            is_read = True
    for at, value in () if is_read else _objects(piece):
        for name, arguments in _named(value):
            if marked or name in names:
                yield at, name, arguments
                is_read = True
    if marked and not is_read and piece.strip():
        yield 0, "", piece.strip()


def _objects(text: str) -> Iterator[tuple[int, dict[str, Any]]]:
    """The JSON objects in a text, and where each begins; the last may lack the braces that would close it."""
    at = text.find("{")
    for _ in range(_READINGS):
        if at < 0:
            return
        try:
            value, end = _DECODER.raw_decode(text, at)
        except (ValueError, RecursionError) as error:
            if _is_cut(error, text) and (closed := _closed(text[at:].rstrip("` \n"))) is not None:
                yield at, closed
                return
            end = at + 1
        else:
            yield at, value
        at = text.find("{", end)


def _is_cut(error: Exception, text: str) -> bool:
    """Whether an object is wrong only in that it does not end."""
    if not isinstance(error, json.JSONDecodeError):
        return False
    return error.pos >= len(text.rstrip("` \n")) or error.msg.startswith("Unterminated")


def _closed(text: str) -> dict[str, Any] | None:
    for missing in ("}", "}}", '"}', '"}}'):
        try:
            value = json.loads(text + missing)
        except (ValueError, RecursionError):
            continue
        return value if isinstance(value, dict) else None
    return None


def _named(value: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """The calls that an object stands for: a name and arguments, or several of these in a list."""
    for key in _LISTS:
        if isinstance(several := value.get(key), list):
            for each in several:
                if isinstance(each, dict):
                    yield from _named(each)
            return
    if isinstance(inner := value.get("function"), dict):
        yield from _named(inner)
        return
    name = next((value[key] for key in _NAMES if isinstance(value.get(key), str)), None)
    if name is None:
        return
    given: Any = next((value[key] for key in _ARGUMENTS if key in value), {})
    yield name, given if isinstance(given, str) else json.dumps(given, ensure_ascii=False)

"""Plans in the text grammar of LLMCompiler (arXiv 2312.04511), for engines without guided decoding."""

from __future__ import annotations

import ast
import re
import warnings
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from orchestrator.runtime.messages import text_of
from planners.plans import REFERENCE, Step, reference_id


class TextReader:
    """Reads lines such as ``3. search("the mayor of $1")``, whose arguments may span several lines.

    ``parameters`` are the names of the arguments of each tool, in order.
    """

    _HEAD = re.compile(r"^[ \t]*(?P<id>[0-9]{1,9})[.)][ \t]*(?P<tool>\w+)[ \t]*\(", re.MULTILINE)

    def __init__(self, parameters: Mapping[str, Sequence[str]]) -> None:
        self._parameters = parameters
        self._text = ""
        self._at = 0

    def feed(self, text: str) -> list[Step]:
        """The steps whose parentheses have closed."""
        self._text += text
        return list(self._steps(ended=False))

    def finish(self) -> list[Step]:
        """The last step, even where its quotes do not match."""
        return list(self._steps(ended=True))

    def _steps(self, *, ended: bool) -> Iterator[Step]:
        while head := self._HEAD.search(self._text, self._at):
            following = self._HEAD.search(self._text, head.end())
            limit = following.start() if following else len(self._text)
            source, end = _scan(self._text, head.end())
            if end is None or end > limit:  # a stray quote, as in "what's": up to the last parenthesis
                if following is None and not ended:
                    return
                end = self._text.rfind(")", head.end(), limit)
                end = limit if end < 0 else end
                source = self._text[head.end() : end]
            self._at = min(end + 1, len(self._text))
            name = head["tool"]
            raw = self._text[head.end() : end]
            yield Step(int(head["id"]), name, _arguments(source, raw, self._parameters.get(name, ())))


_TOKEN = re.compile(
    r"""(?P<string>\"{3}(?:\\.|[^\\])*?\"{3}|'{3}(?:\\.|[^\\])*?'{3}|"(?:\\.|[^"\\])*"|'(?:\\.|[^'\\])*')"""
    rf"""|(?P<reference>{REFERENCE.pattern})|(?P<open>[(\[{{])|(?P<close>[)\]}}])|(?P<quote>["'])|[^"'$()\[\]{{}}]+|.""",
    re.DOTALL,
)


def _scan(text: str, at: int) -> tuple[str, int | None]:
    """Arguments as Python source, and where their closing parenthesis is; None if it has not come yet.

    References outside strings become names: only here can they be told apart from those inside.
    """
    source: list[str] = []
    depth = 0
    for token in _TOKEN.finditer(text, at):
        word = token.group()
        match token.lastgroup:
            case "string" if word[:3] not in ('"""', "'''"):
                word = word.replace("\r", "\\r").replace("\n", "\\n")
            case "reference":
                word = f"__step_{reference_id(token)}__"
            case "open":
                depth += 1
            case "close" if depth == 0:
                return "".join(source), token.start()
            case "close":
                depth -= 1
            case "quote":
                break
        source.append(word)
    return "".join(source), None


def _arguments(source: str, raw: str, names: Sequence[str]) -> dict[str, Any]:
    """Arguments by name. What is not Python is one text, as are several arguments to a one-argument tool."""
    whole = {names[0]: raw.strip().strip("\"'")} if names and raw.strip() else {}
    try:
        with warnings.catch_warnings(action="ignore"):  # a model's escapes are not the user's concern
            call = ast.parse(f"_({source.strip()})", mode="eval").body
        if not isinstance(call, ast.Call):
            return whole
        positional = [_value(node) for node in call.args]
        named = {each.arg: _value(each.value) for each in call.keywords if each.arg}
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return whole
    if len(names) == 1 < len(positional):
        return whole
    match positional:
        case [dict() as only] if not named and only.keys() <= set(names):
            return only
    known = [*names, *(f"argument_{index}" for index in range(len(names) + 1, len(positional) + 1))]
    return dict(zip(known, positional, strict=False)) | named


def _value(node: ast.expr) -> Any:
    """A literal as JSON; any other expression as its text."""
    match node:
        case ast.Constant(value=None | bool() | int() | float() | str() as value):
            return value
        case ast.UnaryOp(op=ast.USub(), operand=ast.Constant(value=int() | float() as value)):
            return -value
        case ast.Name(id="true" | "false" | "null" as word):
            return {"true": True, "false": False, "null": None}[word]
        case ast.List(elts=items) | ast.Tuple(elts=items):
            return [_value(item) for item in items]
        case ast.Dict(keys=keys, values=values) if None not in keys:
            return {
                text_of(_value(key)): _value(value) for key, value in zip(keys, values, strict=True) if key
            }
        case _:
            return re.sub(r"\b__step_([0-9]+)__\b", r"${\1}", ast.unparse(node))

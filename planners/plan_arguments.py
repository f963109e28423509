"""The arguments of a call in a plan, which need not be Python: strings keep what was written."""

# ruff: noqa: RUF001 (models write these characters)

from __future__ import annotations

import ast
import re
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from orchestrator.runtime.messages import text_of
from planners.references import PATH, REFERENCE

QUOTES: Final = {
    '"': '"',
    "'": "'",
    "“": "”",
    "„": "“”",
    "‘": "’",
    "«": "»",
    "「": "」",
    "『": "』",
    "＂": "＂",
    "`": "`",
    '\\"': '\\"',
    "\\'": "\\'",
}
"""What a string may begin with, and what each may end with."""

_AFTER_STRING = re.compile(r"\s*+[,，)\]}）:：=#%+]")
_TOKEN = re.compile(
    r"""(?P<triple>\"{3}(?:\\.|[^\\])*?\"{3}|'{3}(?:\\.|[^\\])*?'{3})"""
    r"""|(?P<quote>\\["']|["'“„‘«「『＂`])"""
    rf"""|(?P<reference>{REFERENCE.pattern})|(?P<open>[(\[{{（])|(?P<close>[)\]}}）])|(?P<comma>[,，])"""
    r"""|(?P<prefix>[rfbuRFBU]{1,2}(?=["']))|"""
    r"""(?P<plain>(?:(?!(?<!\w)[rfbuRFBU]{1,2}["'])[^"'“„‘«「『＂`\\$()\[\]{}（），,])+)|.""",
    re.DOTALL,
)
_VALUE_BEGINS = "([{（,，=:：+%"
_NAME = re.compile(
    r"\s*(?:(?P<bare>[^\W\d]\w*)|[\"'“‘`](?P<quoted>[^\W\d]\w*)[\"'”’`])\s*(?P<sign>[=:：])(?!=)"
)
_PATH = re.compile(r"[A-Za-z]:\\(?!\\)|\\\\[\w.$-]+\\(?=[\w.$-])|\.{1,2}\\(?!\\)")
_FILE = re.compile(r"[\w.-]+(?:\\[\w-][\w.-]*)*\\[\w-][\w.-]*\.[a-z][a-z0-9]{0,4}")
"""The path of a file from the current directory."""
_QUOTED = r"""'(?:\\.|[^'\\])*'|["](?:\\.|[^"\\])*["]"""
_FORMATTED = re.compile(r"\b[rR]?[fF][\"']")
_ESCAPE = re.compile(
    r"\\(?:(?P<self>[\"'\\/`])|(?P<control>[nrt])|x(?P<x>[0-9a-fA-F]{2})|u(?P<u>[0-9a-fA-F]{4})"
    r"|U(?P<U>[0-9a-fA-F]{8})|(?P<line>\n))|(?P<none>\\)"
)
_STEP = re.compile(r"\b__step_([0-9]+)__((?:\.[^\W\d]\w*|\[[^\]]*\])*)")
_CONTROL = {"n": "\n", "r": "\r", "t": "\t"}
_LATEX = re.compile(
    r"\\(?:nabla|neq|neg|nu|notin|newline|tan|tanh|tau|text\w{0,4}|theta|times|triangle|top|right\w{0,10}|rho|rangle)"
    r"(?![A-Za-z])"
)


@dataclass(frozen=True, slots=True)
class Argument:
    """One argument: as Python source, with references as names, and as it was written."""

    source: str
    raw: str


@dataclass(frozen=True, slots=True)
class Scanned:
    """The arguments of a call, and where its closing parenthesis is; None if it has not come yet."""

    arguments: list[Argument]
    end: int | None


def scan(text: str, at: int) -> Scanned:
    """Split the arguments that begin at a place in a text, up to the parenthesis that closes them."""
    arguments: list[Argument] = []
    source: list[str] = []
    depth, start, smiley = 0, at, None
    position, before, raw = at, "(", False
    while position < len(text):
        token = _TOKEN.match(text, position)
        assert token is not None
        word, end, written = token.group(), token.end(), token.group()
        match token.lastgroup:
            case "triple":
                written = repr(unescaped(word[3:-3]))
            case "quote" if before in _VALUE_BEGINS:
                closing = _closing(text, position, word)
                if closing is None:
                    return Scanned(arguments, None)
                stop, end = closing
                string = text[token.end() : stop]
                written = repr(string if raw else unescaped(string))
            case "prefix" if before in _VALUE_BEGINS:
                raw, position = "r" in word.lower(), end
                continue
            case "reference":
                number, path = _parts(token)
                written = f"__step_{number}__{path}"
            case "open":
                depth += 1
            case "close" if depth == 0 and text[position - 1] in ":;" and smiley is None and word == ")":
                smiley = (position, [*arguments, Argument("".join(source), text[start:position])])
            case "close" if depth == 0:
                return Scanned([*arguments, Argument("".join(source), text[start:position])], position)
            case "close":
                depth -= 1
            case "comma" if depth == 0:
                arguments.append(Argument("".join(source), text[start:position]))
                source.clear()
                start, written = end, ""
            case "plain" if smiley is not None and "\n" in word:
                return Scanned(smiley[1], smiley[0])
        source.append(written)
        before = word.rstrip()[-1:] or before
        position, raw = end, False
    return Scanned(arguments, None)


def _closing(text: str, at: int, quote: str) -> tuple[int, int] | None:
    """Where a string's text ends, and where what follows its closing quote begins; None if it is still open.

    Quotes inside a string need not be escaped: the closing one is followed by what may follow a value.
    """
    closers = QUOTES[quote] if len(quote) == 1 else (QUOTES[quote],)
    position = at + len(quote)
    while position < len(text):
        if any(text.startswith(closer, position) for closer in closers):
            end = position + (len(quote) if len(quote) > 1 else 1)
            if _AFTER_STRING.match(text, end):
                return position, end
            position = end
        elif text[position] == "\\":
            if _ends_in_backslash(text, at + len(quote), position):
                return position + 1, position + 2
            position += 2
        else:
            position += 1
    return None


def _ends_in_backslash(text: str, start: int, at: int) -> bool:
    """Whether a folder's path ends here, whose last backslash is no escape of the quote: ``"C:\\dir\\"``."""
    return (
        text[at + 1 : at + 2] in ('"', "'")
        and _PATH.match(text, start) is not None
        and re.match(r"\s*[,)]", text[at + 2 : at + 12]) is not None
    )


def unescaped(written: str) -> str:
    """The text of a string: with its escapes, unless it shows that its writer had none in mind.

    A backslash that no escape explains (a pattern, a path, LaTeX) stays, and all others with it; only an
    escaped quote is then read as a quote.
    """
    if "\\" not in written:
        return written
    literal = (
        _PATH.match(written) is not None
        or _FILE.fullmatch(written) is not None
        or _LATEX.search(written) is not None
        or any(match["none"] for match in _ESCAPE.finditer(written))
    )
    if literal:
        return re.sub(r"\\([\"'])", r"\1", written)
    text = _ESCAPE.sub(_meant, written)
    return text.encode("utf-16", "surrogatepass").decode(
        "utf-16", "replace"
    )  # two escapes may be one character


def _meant(match: re.Match[str]) -> str:
    if match["self"] is not None:
        return match["self"]
    if match["control"] is not None:
        return _CONTROL[match["control"]]
    code = match["x"] or match["u"] or match["U"]
    if code is None:
        return ""  # a line that is continued
    value = int(code, 16)
    return chr(value) if value <= 0x10FFFF else match.group()


def with_results(argument: Argument, named: Mapping[str, int]) -> Argument:
    """An argument with references in place of the names that a plan has given to the results of its steps.

    ``named`` has the step of each name. One such as ``#E1`` is meant anywhere, one such as ``x`` outside of
    texts and, in braces, in an f-string.
    """
    source, raw = argument.source, argument.raw
    for name, step in named.items():
        anywhere = f"{name}(?P<path>)(?!\\w)" if name[0] == "#" else rf"\{{{name}(?P<path>{PATH})\}}"
        if name[0] == "#" or _FORMATTED.search(argument.raw):
            source, raw = (re.sub(anywhere, rf"${{{step}\g<path>}}", each) for each in (source, raw))
        if name[0] != "#":
            bare = rf"(?P<text>{_QUOTED})|(?<![\w.$]){name}(?P<path>{PATH})(?!\w|\s*[=(\[.])"
            source, raw = (
                re.sub(bare, lambda match, to=to: match["text"] or to.format(match["path"]), each)  # type: ignore[misc]
                for each, to in ((source, f"__step_{step}__{{}}"), (raw, f"${{{{{step}{{}}}}}}"))
            )
    return Argument(source, raw)


@dataclass(slots=True)
class _Given:
    name: str | None
    value: Any
    is_literal: bool
    raw: str


def bound(arguments: Sequence[Argument], names: Sequence[str]) -> dict[str, Any]:
    """Arguments by name. What is no literal is a text; a one-argument tool gets several arguments as one."""
    given: list[_Given] = []
    for each in arguments:
        if not each.raw.strip():
            continue
        one = _named(each, names)
        if one.name is None and given and given[-1].name and not given[-1].is_literal:
            raw = f"{given[-1].raw},{one.raw}"  # a comma in a text without quotes
            given[-1] = _Given(given[-1].name, as_text(raw), False, raw)
        else:
            given.append(one)
    positional = [each for each in given if each.name is None]
    named = {each.name: each.value for each in given if each.name is not None}
    match positional:
        case [_Given(value=dict() as only)] if not named and only.keys() <= set(names):
            return only
    if 0 < len(names) < len(positional) and not (len(names) > 1 and all(e.is_literal for e in positional)):
        last = len(names) - 1
        rest = ",".join(each.raw for each in positional[last:])
        texts = [each.value for each in positional[last:] if isinstance(each.value, str) and each.is_literal]
        whole = ", ".join(texts) if len(texts) == len(positional) - last else as_text(rest)
        positional[last:] = [_Given(None, whole, False, rest)]
    values = [each.value for each in positional]
    known = [*names, *(f"argument_{index}" for index in range(len(names) + 1, len(values) + 1))]
    free = [name for name in known if name not in named]
    return dict(zip(free, values, strict=False)) | named


def _named(argument: Argument, names: Sequence[str]) -> _Given:
    """An argument with its name, as in ``query="x"``, ``query: "x"`` or ``"query": "x"``."""
    for_name, for_source = _NAME.match(argument.raw), _NAME.match(argument.source)
    if for_name and for_source:
        name = for_name["bare"] or for_name["quoted"]
        raw = argument.raw[for_name.end() :]
        value, is_literal = _valued(argument.source[for_source.end() :], raw)
        if name in names or (for_name["bare"] and for_name["sign"] == "=" and is_literal):
            return _Given(name, value, is_literal, raw)
    return _Given(None, *_valued(argument.source, argument.raw), argument.raw)


def _valued(source: str, raw: str) -> tuple[Any, bool]:
    """The value of an argument, and whether it is a literal; what is none is the text that was written."""
    try:
        with warnings.catch_warnings(action="ignore"):  # a model's escapes are not the user's concern
            node = ast.parse(f"({source.strip()}\n)", mode="eval").body
        if _is_value(node):
            return _value(node), True
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return as_text(raw), False
    return REFERENCE.sub(lambda match: f"${{{''.join(_parts(match))}}}", raw.strip()), False


def _parts(reference: re.Match[str]) -> tuple[str, str]:
    """The number of a reference and its path, as they are written."""
    number = int(reference["braced"] or reference["bare"])
    return str(number), reference["inside"] or reference["after"] or ""


def as_text(raw: str) -> str:
    """What was written, without the quotes around it."""
    text = raw.strip()
    closers = QUOTES.get(text[:1], "")
    if len(text) > 1 and text[0] in QUOTES and (text[-1] in closers or text[-1] in "\"'"):
        return unescaped(text[1:-1])
    return text.strip("\"'")


_NAMED: Final = {"true": True, "false": False, "null": None}


def _is_value(node: ast.expr) -> bool:
    match node:
        case ast.Constant(value=None | bool() | int() | float() | str()):
            return True
        case ast.UnaryOp(op=ast.USub(), operand=ast.Constant(value=int() | float())):
            return True
        case ast.Name(id=word):
            return word in _NAMED
        case ast.Dict(keys=keys):
            return None not in keys
    return isinstance(node, ast.List | ast.Tuple)


def _value(node: ast.expr) -> Any:
    """A literal as JSON; any other expression in it as its text."""
    match node:
        case ast.Constant(value=None | bool() | int() | float() | str() as value):
            return value
        case ast.UnaryOp(op=ast.USub(), operand=ast.Constant(value=int() | float() as value)):
            return -value
        case ast.Name(id="true" | "false" | "null" as word):
            return _NAMED[word]
        case ast.List(elts=items) | ast.Tuple(elts=items):
            return [_value(item) for item in items]
        case ast.Dict(keys=keys, values=values) if None not in keys:
            return {
                text_of(_value(key)): _value(value) for key, value in zip(keys, values, strict=True) if key
            }
        case _:
            return _STEP.sub(r"${\1\2}", ast.unparse(node))

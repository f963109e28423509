"""A completion's text split into the model's thinking and its answer, by the marks that models put around it.

A server that reads the marks itself sends the thinking apart from the text; one that does not leaves them in
it. They belong to the text, which another call may continue, so they are split off only where it is read.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final, NamedTuple


class Thinking(NamedTuple):
    """What a model thought and what it then said.

    Attributes:
        reasoning: the thinking, without its marks; empty if there is none.
        answer: what was said outside it; a text without marks is unchanged.
        closed: whether the thinking came to its end. What precedes thinking without end is no conclusion.
    """

    reasoning: str
    answer: str
    closed: bool


class _Marks(NamedTuple):
    """What stands before and after thinking, as patterns.

    ``alone`` says that the second may come without the first, which the chat template has put before it.
    """

    opens: str
    closes: str
    alone: bool = True


_WORDS = r"(?:think(?:ing)?|thoughts?|reason(?:ing)?|reflection|scratchpad|seed:think)"

_MARKS: Final = (
    _Marks(rf"<\|?{_WORDS}(?:\s[^<>\n]{{0,80}})?\|?>", rf"<(?:\|?/|/\|?){_WORDS}\s?\|?>"),
    _Marks(r"\[THINK\]", r"\[/THINK\]"),
    _Marks(r"◁think▷", r"◁/think▷"),
    _Marks(r"<\|(?:begin_of_thought|start_thinking|begin_of_thinking)\|>",
           r"<\|(?:end_of_thought|end_thinking|end_of_thinking)\|>"),
    _Marks(r"<\|inner_prefix\|>", r"<\|inner_suffix\|>"),
    _Marks(r"<\|channel>(?:thought|analysis)?", r"<channel\|>"),
    _Marks(r"<unused94>(?:thought\b)?", r"<unused95>"),
    _Marks(r'<details type="reasoning"[^<>\n]{0,200}>', r"</details>", alone=False),
    _Marks(r"\A\s*+Thinking\.\.\.\s*\n", r"\.\.\.done thinking\.", alone=False),
    _Marks(r"\A\s*+Here(?:'s| is) my thought process:", r"Here(?:'s| is) my response:", alone=False),
    _Marks(r"\A\s*+Here are my reasoning steps:", r"\[BEGIN FINAL RESPONSE\]", alone=False),
)  # fmt: skip
"""The marks in use: Qwen, DeepSeek, Claude, EXAONE, Reka, Seed, Magistral, Kimi, OpenThinker, Command A,
Apertus, Gemma, MedGemma, Open WebUI, Ollama's terminal, Granite, Apriel."""

_UNQUOTED: Final = r"(?<!(?<!`)`)"
"""Before a mark that is not quoted in a pair of backticks; three of them may be a fence beside it."""

_MARK: Final = re.compile(
    r"(?:(?=[<\[◁.h])|\A)(?:"
    + "|".join(
        f"{_UNQUOTED}(?P<o{i}>{m.opens})(?!`(?!`))|{_UNQUOTED}(?P<c{i}>{m.closes})(?!`(?!`))"
        for i, m in enumerate(_MARKS)
    )
    + ")",
    re.IGNORECASE,
)
"""Every mark begins with one of few characters, or with the text: anything else is passed over quickly."""

_HINT: Final = re.compile(r"[<\[◁]|\A\s*+(?:Thinking|Here|analysis)")
_WRAPPING: Final = re.compile(
    r"<\|(?:begin|end)_of_solution\|>|<\|(?:start|end)_(?:response|text)\|>|</?response>"
    r"|\[(?:begin|end) final response\]",
    re.IGNORECASE,
)
_FENCE: Final = re.compile(r"^[ \t]*(?:```|~~~)", re.MULTILINE)

_CHANNEL: Final = re.compile(
    r"(?<!`)<\|channel\|>\s*(?P<name>analysis|commentary|final)(?:[^<\n]*(?:<\|constrain\|>\s*\w+\s*)?<\|message\|>)?"
)
_CHANNEL_MARKS: Final = re.compile(
    r"<\|start\|>\s*\w*|<\|(?:message|end|return|call)\|>|<\|constrain\|>\s*\w*", re.IGNORECASE
)
_BARE_CHANNEL: Final = re.compile(r"\A\s*+analysis(?=[A-Z0-9\"'])")
_BARE_FINAL: Final = re.compile(r"assistant\s*final")


_TAG: Final = re.compile(
    rf"\s*(?P<mark>(?P<left>[<\[◁])(?:(?<=<){_WORDS}>|(?<=\[)THINK\]|(?<=◁)think▷"
    r"|(?<=<)\|(?P<begin>begin|start)_(?:of_)?(?:thought|thinking)\|>))",
    re.IGNORECASE,
)
"""A mark before thinking whose other half is known by its form."""


def split_thinking(text: str) -> Thinking:
    """Split a completion's text into thinking and answer.

    Thinking without a first mark begins with the text; thinking without a second has not come to its end.
    Marks in code, which the text speaks about, are not meant.
    """
    if not _HINT.search(text):
        return Thinking("", text, True)
    if (channels := _channels(text)) is not None:
        return channels
    thought, said, closed = _between_marks(text)
    if not thought and closed:
        return Thinking("", text, True)
    answer = _WRAPPING.sub("", "".join(said)).strip()
    return Thinking("\n\n".join(filter(None, map(str.strip, thought))), answer, closed)


def opening(text: str) -> tuple[str, str] | None:
    """The mark with which a text begins to think, as it is written, and the one that would end that.

    None if it begins otherwise, or with a mark whose other half does not follow from it.
    """
    mark = _TAG.match(text)
    if mark is None:
        return None
    opens = mark["mark"]
    if begin := mark["begin"]:
        return opens, opens.replace(begin, "END" if begin.isupper() else "end", 1)
    return opens, f"{mark['left']}/{opens[len(mark['left']) :]}"


def _between_marks(text: str) -> tuple[list[str], list[str], bool]:
    """The pieces of thinking, the pieces of what was said, and whether the thinking came to its end."""
    thought: list[str] = []
    said: list[str] = []
    inside: int | None = None
    end = seen = fences = 0
    for mark, which, opens in _marks(text):
        before = text[end : mark.start()]
        if inside is None:
            fences += len(_FENCE.findall(text, seen, mark.start()))
            seen = mark.end()
            if fences % 2:  # it stands in code
                continue
            if opens:
                said.append(before)
                inside = which
            elif _MARKS[which].alone:
                thought.append("".join([*said, before]))
                said.clear()
            else:
                continue
        elif which == inside and not opens:
            thought.append(before)
            inside = None
        else:
            continue
        end = seen = mark.end()
        fences = 0
    (said if inside is None else thought).append(text[end:])
    return thought, said, inside is None


def _marks(text: str) -> Iterator[tuple[re.Match[str], int, bool]]:
    """Every mark, which of the kinds it is, and whether it is one that opens."""
    for mark in _MARK.finditer(text):
        name = mark.lastgroup or ""
        yield mark, int(name[1:]), name[0] == "o"


def _channels(text: str) -> Thinking | None:
    """The text by its channels, of which only ``final`` is for the user; None if it has no such marks."""
    heads = list(_CHANNEL.finditer(text))
    if not heads:
        if not _BARE_CHANNEL.match(text):
            return None
        thought, final, answer = _partition(text, _BARE_FINAL)
        return Thinking(thought.strip().removeprefix("analysis"), answer.strip(), bool(final))
    thoughts = [text[: heads[0].start()]]
    answers: list[str] = []
    for head, following in zip(heads, [*heads[1:], None], strict=True):
        body = text[head.end() : following.start() if following else len(text)]
        (answers if head["name"] == "final" else thoughts).append(body)
    cleaned = [_CHANNEL_MARKS.sub("", each).strip() for each in thoughts]
    answer = "".join(_CHANNEL_MARKS.sub("", each) for each in answers).strip()
    return Thinking("\n\n".join(filter(None, cleaned)), answer, bool(answers))


def _partition(text: str, pattern: re.Pattern[str]) -> tuple[str, str, str]:
    if (found := pattern.search(text)) is None:
        return text, "", ""
    return text[: found.start()], found.group(), text[found.end() :]

"""Text without its markup: a line of Markdown or HTML as it would be shown."""

from __future__ import annotations

import re

_SPAN = re.compile(
    r"(?P<ticks>`{1,3})(?P<code>[^`\n]+)(?P=ticks)"
    r"|!?\[(?P<label>[^\[\]\n]*)\]\([^()\s]*\)"
    r"|\*{2,3}(?=\S)(?P<strong>[^*\n]+)(?<=\S)\*{2,3}"
    r"|(?<![\w_])__(?=\S)(?![a-z0-9_]+__(?!\w))(?P<under>[^_\n]+)(?<=\S)__(?![\w_])"
    r"|~~(?=\S)(?P<struck>[^~\n]+)(?<=\S)~~"
    r"|(?<![\w*])\*(?=[^\s*])(?P<slanted>[^*\n]+)(?<=\S)\*(?![\w*])"
    r"|(?<![\w_])_(?=[^\s_])(?P<slanted_under>[^_\n]+)(?<=\S)_(?![\w_])"
)
_TAG = re.compile(
    r"</?(?:b|i|u|em|strong|mark|small|span|div|p|a|code|ol|ul|h[1-6]|body|html|section|points|outlines?|steps)"
    r"(?:\s[^<>]*)?/?>"
    r"|</(?:li|point|item|step)\d*>",
    re.IGNORECASE,
)
_ENTRY = re.compile(r"<(?:li|point|item|step|outline)\d*(?:\s[^<>]*)?>", re.IGNORECASE)
_BREAK = re.compile(r"<br\s*/?>|</(?:p|div|h[1-6])>", re.IGNORECASE)
_LOOSE = re.compile(r"^(?:\*{2,3}|__|~~)(?=\S)|(?<=\S)(?:\*{2,3}|__|~~)(?=[.:]?$)")


def plain(line: str) -> str:
    """A line without emphasis, code marks and links; what is in them stays."""
    for _ in range(2):  # emphasis in emphasis
        line = _SPAN.sub(_inner, line)
    return _LOOSE.sub("", line)


def without_tags(text: str) -> str:
    """A text without the tags of HTML that lists are written with; an entry of a list becomes a bullet."""
    if "<" not in text:
        return text
    return _TAG.sub("", _ENTRY.sub("\n- ", _BREAK.sub("\n", text)))


def _inner(match: re.Match[str]) -> str:
    return next(text for name, text in match.groupdict().items() if name != "ticks" and text is not None)

"""Slots of the prompt that small models repeat before their answer or around it."""

from __future__ import annotations

import re
from typing import Final

HEAD: Final = ("material", "question")
"""The slots that all calls have."""

_ECHO = re.compile(
    rf"(?:\s*<(?P<name>{'|'.join(HEAD)})>(?:(?!</?(?P=name)>)[\s\S])*</(?P=name)>(?=\s*\S))*"
    rf"(?:\s*</?(?:{'|'.join(HEAD)})>)*\s*",
    re.IGNORECASE,
)
_LAST = re.compile(rf"</?(?:{'|'.join(HEAD)})>\Z", re.IGNORECASE)
_LONGEST: Final = len("</>") + max(map(len, HEAD))
_COMPLETE = re.compile(
    rf"\s*(?:<(?P<name>{'|'.join(HEAD)})>[\s\S]*?</(?P=name)>|</(?:{'|'.join(HEAD)})>)", re.IGNORECASE
)
_BEGUN = re.compile(rf"\s*(?:\Z|</?[a-z]{{0,8}}\Z|<(?:{'|'.join(HEAD)})>)", re.IGNORECASE)


def unechoed(text: str) -> str:
    """What a model says, without slots of the prompt that it may repeat before its answer or around it."""
    if "<" not in text:
        return text.strip()
    text = text.strip()
    text = text[echo.end() :] if (echo := _ECHO.match(text)) else text
    while last := _LAST.search(text, max(0, len(text) - _LONGEST)):  # a search from its beginning takes long
        text = text[: last.start()].rstrip()
    return text.strip()


def may_be_echo(text: str) -> bool:
    """Whether the text so far has nothing behind what is, or may turn out to be, such a slot."""
    end = 0
    while complete := _COMPLETE.match(text, end):
        end = complete.end()
    return _BEGUN.match(text, end) is not None

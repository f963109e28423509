"""The tags of both papers, and the strict reader of what a model writes in them."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, Literal, TypeAlias

Name: TypeAlias = Literal["threadweaver", "multiverse"]

BLOCK: Final = "Parallel"
"""The tag around a block, which both papers have."""

OUTLINE: Final = "Outline"


@dataclass(frozen=True, slots=True)
class Block:
    """A block up to the end of its outlines: where it begins in its text, and each outline by its number."""

    start: int
    outlines: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Dialect:
    """The names of the tags, and what the runtime writes around the threads.

    ``outlines`` is around the outlines, ``thread`` around each thread, ``breaks`` stands between a thread's
    first tag and its number, and ``after`` follows the last thread.
    """

    outlines: str
    thread: str
    breaks: str
    after: str

    @property
    def tags(self) -> tuple[str, ...]:
        """The names of all tags, which no text that is given may have."""
        return (BLOCK, self.outlines, OUTLINE, self.thread, "Conclusion")

    @property
    def begins(self) -> str:
        """The beginning of a block, up to the number of its first outline."""
        return f"<{BLOCK}>\n<{self.outlines}>\n<{OUTLINE}>1:"

    @property
    def closes(self) -> str:
        """Where the client takes over: the tag that ends the outlines."""
        return f"</{self.outlines}>"

    @property
    def opens_thread(self) -> str:
        """What stands before the number of a thread."""
        return f"\n<{self.thread}>{self.breaks}"

    @property
    def closes_thread(self) -> str:
        """The tag that ends a thread."""
        return f"</{self.thread}>"

    @property
    def form(self) -> str:
        """A block as a model is to write it, with places to fill."""
        outlines = "".join(f"<{OUTLINE}>{number}: …</{OUTLINE}>\n" for number in (1, 2))
        return f"<{BLOCK}>\n<{self.outlines}>\n{outlines}{self.closes}\n"

    def begun(self, text: str) -> int | None:
        """Where a text begins a block; None if it does not. Inside of a line, one tag alone is text."""
        first = re.search(
            rf"<{BLOCK}>(?=\s*<{self.outlines}>)|^[ \t]*<(?:{BLOCK}|{self.outlines})>", text, re.MULTILINE
        )
        return None if first is None else first.start()

    def read(self, text: str) -> Block | str:
        """The block that a text ends with, or what is wrong with it.

        Outlines of one number are one, of which the first counts.
        """
        start = self.begun(text)
        if start is None:
            return "there is no block"
        inside = text[start:].strip()
        if not inside.startswith(f"<{BLOCK}>"):
            return f"<{self.outlines}> stands outside of <{BLOCK}>"
        inside = inside.removeprefix(f"<{BLOCK}>").lstrip()
        if not inside.startswith(f"<{self.outlines}>"):
            return f"<{BLOCK}> does not begin with <{self.outlines}>"
        body = inside.removeprefix(f"<{self.outlines}>").removesuffix(self.closes).strip()
        outlines: dict[str, str] = {}
        at = 0
        while found := _OUTLINE.match(body, at):
            at = found.end()
            outlines.setdefault(found["number"], found["text"].strip())
        if at != len(body):
            return f"what stands in <{self.outlines}> is no list of outlines"
        if not all(text.strip(" .…") for text in outlines.values()):
            return "an outline says nothing"
        return Block(start, outlines) if len(outlines) > 1 else f"outlines: {len(outlines)}"

    def after_block(self, text: str) -> str:
        """What follows the threads of a block, as people read it: without the tags that close the block."""
        return "\n\n".join(filter(None, map(str.strip, _CLOSING.split(text))))


_CLOSING = re.compile(rf"(?:</(?:Conclusion|{BLOCK})>\s*)+")
_OUTLINE = re.compile(
    rf"<{OUTLINE}>\s*(?P<number>[0-9]{{1,4}}(?:\.[0-9]{{1,4}}){{0,4}})\s*:"
    rf"(?P<text>(?:(?!</?{OUTLINE}>).)*)</{OUTLINE}>\s*",
    re.DOTALL,
)

DIALECTS: Final[Mapping[Name, Dialect]] = {
    "threadweaver": Dialect("Outlines", "Thread", "\n", f"\n</{BLOCK}>\n"),
    "multiverse": Dialect("Goal", "Path", "", "\n<Conclusion>\n"),
}

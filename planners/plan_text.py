"""Plans in the text grammar of LLMCompiler (arXiv 2312.04511), for engines without guided decoding."""

# ruff: noqa: RUF001 (models write these characters)

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from orchestrator.consensus.thinking import split_thinking
from planners.markers import Reading, marker
from planners.plan_arguments import Argument, bound, scan, with_results
from planners.plan_forms import other_steps
from planners.plans import JOIN, Step

LONG: Final = 1024
"""Characters of an unfinished call from which it is looked at again only when it has grown by an eighth."""

LONGEST_LEAD: Final = 300
"""Characters that may be said on a line before its call."""

_PIECE = re.compile(r"[^)\]）\n]*[)\]）\n]|[^)\]）\n]+")
_CALL = re.compile(r"(?<![\w$])(?P<tool>[^\W\d]\w*)[*`\"']{0,3}(?P<gap>[ \t]*)[(（\[]")
_WORTH_READING = re.compile(rf"[(（\[]|{JOIN}", re.IGNORECASE)
_AROUND = " \t*_`\"'“”‘’«»„[<{(→➜:：=~>|-"
_LABEL = re.compile(
    r"(?:(?:print|await|return|yield)[ \t(]*)*"
    r"(?:action|(?:tool|function)(?:[ _]?call)?|api|call|execute|run|use|invoke|plan|step|\w{1,20}\.)?[ \t]*"
    r"\d*",
    re.IGNORECASE,
)
_WRAPPERS: Final = frozenset({"print", "await", "return", "yield"})
_ASSIGNED = re.compile(
    r"[ \t]*(?:\$\{?(?P<id>[0-9]{1,9})\}?|(?P<name>#?[^\W\d]\w{0,40})(?:[ \t]*:[ \t]*[\w.\[\], |]{1,40})?)"
    r"[ \t]*=(?!=)"
)
_ASIDE = re.compile(
    r"[ \t]*[*_`]*(?:thoughts?|thinking|observation|notes?|reason(?:ing)?|comment|explanation|result)"
    r"[ \t]*\d*[ \t]*[*_`]*[ \t]*[:：-]",
    re.IGNORECASE,
)
_BETWEEN = re.compile(r"[ \t,;，；、&|*_`\"'”’»\]>}.]*(?:(?:and|then)[ \t]+)*")
_WHOLE_CALL = re.compile(r"[ \t*`]*[^\W\d]\w*\(.*\)[ \t*`]*[;,.]?[ \t\r]*")


@dataclass(frozen=True, slots=True)
class _Head:
    """Where a call begins: its line or what goes before it, and where its arguments begin."""

    start: int
    end: int
    tool: str
    id: int | None
    is_whole: bool = False
    """Whether it is a join without parentheses."""
    name: str | None = None
    """What its result is called, as in ``rome = area("Rome")``."""


class TextReader:
    """Reads lines such as ``3. search("the mayor of $1")``, whose arguments may span several lines.

    ``parameters`` are the names of the arguments of each tool, in order. Steps without a number are numbered
    on from the one before; the first gets the number ``first``. The steps are the same however the text is
    cut: it is looked at whenever a parenthesis or a line ends.
    """

    def __init__(self, parameters: Mapping[str, Sequence[str]], first: int = 1) -> None:
        self._parameters = parameters
        self._tools = {name.casefold(): name for name in (*parameters, JOIN)} | {
            name: name for name in (*parameters, JOIN)
        }
        self._text = ""
        self._first = self._next = first
        self._all = ""
        self._named: dict[str, int] = {}
        self._is_line_begun = self._is_begun = False
        self._looked_at = 0

    def feed(self, text: str) -> list[Step]:
        """The steps whose parentheses have closed."""
        steps: list[Step] = []
        for piece in _PIECE.findall(text):
            self._text += piece
            self._all += piece
            if piece[-1] in ")]）\n" and (
                len(self._text) < LONG or len(self._text) >= self._looked_at + self._looked_at // 8
            ):
                steps += self._steps(ended=False)
                self._looked_at = len(self._text)
        return steps

    def finish(self) -> list[Step]:
        """The last step, even where its quotes do not match; all of them in a plan without calls."""
        steps = list(self._steps(ended=True))
        if steps or self._is_begun:
            return steps
        return other_steps(split_thinking(self._all).answer, self._parameters, self._first)

    def _steps(self, *, ended: bool) -> Iterator[Step]:
        if not self._leave_out_thinking(ended=ended):
            return
        while (head := self._head(ended=ended)) is not None:
            if (found := self._arguments(head, ended=ended)) is None:
                return
            yield self._step(head, *found)
        self._text, self._is_line_begun = self._last_line()

    def _arguments(self, head: _Head, *, ended: bool) -> tuple[list[Argument], int] | None:
        """The arguments of a call, and where what follows it begins; None if its end has not come yet."""
        if head.is_whole:
            return [], head.end
        scanned = scan(self._text, head.end)
        if scanned.end is not None and "\n" not in self._text[head.end : scanned.end]:
            return scanned.arguments, scanned.end + 1
        following = self._following(head, ended=ended, is_closed=scanned.end is not None)
        limit = len(self._text) if following is None else following
        if scanned.end is not None and scanned.end <= limit:
            return scanned.arguments, scanned.end + 1
        if following is None and not ended:
            return None
        end = self._text.rfind(")", head.end, limit)  # a quote or a parenthesis has no partner
        end = limit if end < 0 else end
        raw = self._text[head.end : end].rstrip("\n")
        again = scan(raw + ")", 0)
        return (again.arguments if again.end == len(raw) else [Argument(raw, raw)]), end + 1

    def _last_line(self) -> tuple[str, bool]:
        """What may still become a head: the lines before have none."""
        _, newline, last = self._text.rpartition("\n")
        return last, self._is_line_begun and not newline

    def _leave_out_thinking(self, *, ended: bool) -> bool:
        """Whether the text can be read; not while the model thinks, for calls in there are not meant."""
        thinking = split_thinking(self._text)
        if thinking.closed and not thinking.reasoning:
            return True
        if thinking.closed or ended:
            blanks = self._text[len(self._text.rstrip()) :]
            self._text = thinking.answer + blanks
            return True
        return False

    def _step(self, head: _Head, arguments: Sequence[Argument], end: int) -> Step:
        number = self._next if head.id is None else head.id
        self._next = number + 1
        self._text = self._text[end:]
        self._is_line_begun = not head.is_whole
        self._is_begun = True
        self._looked_at = 0
        given = [with_results(each, self._named) for each in arguments]
        if head.name is not None:
            self._named[head.name] = number
        return Step(number, head.tool, bound(given, self._parameters.get(head.tool, ())))

    def _following(self, before: _Head, *, ended: bool, is_closed: bool) -> int | None:
        """Where the line with the next step begins, if its tool is known.

        Other calls on lines of their own may be the text of a string, unless the plan has ended before it.
        """
        number = self._next if before.id is None else before.id
        newline = self._text.find("\n", before.end)
        while newline >= 0:
            head = self._head_in_line(newline + 1, ended=ended)
            if head is not None and self._known(head.tool) is not None:
                is_next = head.id == number + 1 or (head.id is None and before.id is None)
                if is_next or (ended and not is_closed):
                    return newline + 1
            newline = self._text.find("\n", newline + 1)
        return None

    def _head(self, *, ended: bool) -> _Head | None:
        """The next call, on the line that has begun after another call, or on a line of its own."""
        at = 0
        if self._is_line_begun:
            if head := self._chained():
                return head
            at = self._text.find("\n") + 1 or len(self._text)
        while at < len(self._text):
            if head := self._head_in_line(at, ended=ended):
                return head
            at = self._text.find("\n", at) + 1 or len(self._text)
        return None

    def _line(self, at: int) -> tuple[str, bool]:
        """The line that begins at a place, and whether its end has come."""
        newline = self._text.find("\n", at)
        return (self._text[at:], False) if newline < 0 else (self._text[at:newline], True)

    def _chained(self) -> _Head | None:
        """A further call of a known tool after one that has ended on the same line."""
        line, _ = self._line(0)
        between = _BETWEEN.match(line)
        rest = line[between.end() :] if between else line
        found = marker(rest)
        if found and found.bullet.startswith("#"):
            return None
        begins = found.end if found else 0
        call = _CALL.search(rest, begins)
        if call is None or self._known(call["tool"]) is None:
            return None
        assigned = _ASSIGNED.match(rest, begins)
        if rest[assigned.end() if assigned else begins : call.start()].strip(_AROUND):
            return None
        offset = len(line) - len(rest)
        number, name = found.ordinal if found else None, assigned["name"] if assigned else None
        return self._at(offset, call, number, name)

    def _head_in_line(self, at: int, *, ended: bool) -> _Head | None:
        line, is_complete = self._line(at)
        is_complete = is_complete or ended
        if not _WORTH_READING.search(line):
            return None
        found = marker(line, weak=True)
        begins = found.end if found else 0
        if (
            _ASIDE.match(line)
            or _ASIDE.match(line, begins)
            or (found and not found.numbers and "#" in found.bullet)
        ):
            return None
        assigned = _ASSIGNED.match(line, begins)
        number = _ordinal(found.numbers) if found else None
        if number is None and assigned and assigned["id"]:
            number = int(assigned["id"])
        if is_complete and line[begins:].strip(_AROUND + ".;\r").casefold() == JOIN:
            return _Head(at, at + len(line), JOIN, number, is_whole=True)
        for call in _CALL.finditer(line, begins):
            is_listed = found is not None or number is not None
            if self._is_head(line, begins, call, is_listed=is_listed, is_complete=is_complete):
                return self._at(at, call, number, assigned["name"] if assigned else None)
        return None

    def _is_head(
        self, line: str, begins: int, call: re.Match[str], *, is_listed: bool, is_complete: bool
    ) -> bool:
        """Whether a step begins here: anywhere on the line of a list for a known tool, else at its start."""
        is_known = self._known(call["tool"]) is not None
        is_bracket = call.group().endswith("[")
        assigned = _ASSIGNED.match(line, begins)
        if not is_known and (call["tool"] in _WRAPPERS or (assigned and assigned["name"])):
            return False
        if call.start() - begins > LONGEST_LEAD or (is_bracket and (call["gap"] or not is_known)):
            return False
        lead = _ASSIGNED.sub("", line[begins : call.start()]).strip(_AROUND)
        if lead and not _LABEL.fullmatch(lead):
            return is_listed and is_known and not call["gap"] and not is_bracket
        return is_known or is_listed or (is_complete and _WHOLE_CALL.fullmatch(line) is not None)

    def _known(self, name: str) -> str | None:
        return self._tools.get(name) or self._tools.get(name.casefold())

    def _at(self, offset: int, call: re.Match[str], number: int | None, name: str | None) -> _Head:
        tool = self._known(call["tool"]) or call["tool"]
        return _Head(offset, offset + call.end(), tool, number, name=name)


def _ordinal(numbers: Sequence[Reading]) -> int | None:
    return next((each.ordinal for each in numbers if not each.strict or each.style == "1 text"), None)

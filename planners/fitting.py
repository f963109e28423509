"""Which tool of a run fits a question, by the words that the two have in common: cheap, and only a hint."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping

from orchestrator.planning.run import Run
from orchestrator.runtime.values import Question
from planners.signs import Kind, shown
from workers.tools.tool import Tool

ARITHMETIC = frozenset({"calculator"})
"""Tools that are no reason to plan: voting chains of thought compute well enough."""

ENOUGH = 2
"""Words in common from which a tool fits."""

_WORD = re.compile(r"[^\W\d_]+")
_HUMP = re.compile(r"(?<=[a-z])(?=[A-Z])")
_ENDING = re.compile(r"(?:'s|ies|ing|ed|es|s|e|y)$")
_LEAST = 3
"""Letters that a word keeps when its ending is taken off."""

COMMON = frozenset(
    _WORD.findall(
        """a about all also an and another any are argument as at be been between both but by call can city
    could country data did do does each end find first for from function get give given gives has have he her
    his how i if in information input into is it its just last latest less list look looks make many may me
    more most much my name names need new no not number of on one only or other our out output parameter
    per please query result results return returns s search see she should show so some state string such
    t tell than that the their them then there these they thing this those to tool tools true two up us use
    used uses using value values was way we were what when where which who whose why will with word words
    would year years you your
    das dem den der des die ein eine für hat im ist mit und von was welche wer wie wo zu zum au aux avec ce
    dans de du elle en est et il la le les pour que quel quelle qui sur un une cuál del el es las los más para
    por qué una y che da della di gli lo nel per qual è"""
    )
)
"""Words that say nothing of what a question or a tool is about."""


def tools_at_hand(run: Run) -> list[Tool]:
    """The tools of a run that are worth a plan."""
    return [tool for name, tool in run.tools.items() if name not in ARITHMETIC]


def sign_of(run: Run, question: Question, kind: Kind) -> str:
    """Why the question asks for that kind of answer; empty if it does not, or if tools may be needed first.

    Where tools are at hand, words alone do not show whether one of them knows a short answer, unless the
    question brings all that it takes. Of a text that a tool fits, too, they say what is to be weighed.
    """
    sign = shown(question)
    if sign is None or sign.kind is not kind:
        return ""
    is_clear = sign.given or not tools_at_hand(run)
    return sign.why if is_clear or (kind is not Kind.SHORT and fitting_tool(run, question)) else ""


def lacks_tools(run: Run, question: Question) -> str:
    """Why there is nothing to look anything up with; the calculator counts only where it is named."""
    if tools_at_hand(run) or fitting_tool(run, question):
        return ""
    return "there are no tools but for arithmetic" if run.tools else "there are no tools"


def fitting_tool(run: Run, question: Question) -> str:
    """Why a tool fits the question, with its name; empty if none shows.

    It does if the question names it, or shares :data:`ENOUGH` words with its name, its description and the
    names of its arguments; one word of its name suffices where a short answer is asked for that the question
    does not bring. Of several, the one that shares the most.
    """
    named = next((name for name in run.tools if re.search(rf"\b{re.escape(name)}\b", question.text)), None)
    if named is not None:
        return f"it names the tool {named}"
    asked = _stems([question.text])
    shared = {tool.name: asked.keys() & _about(tool) for tool in tools_at_hand(run)}
    best = max(shared, key=lambda name: len(shared[name]), default="")
    if not best or len(shared[best]) < ENOUGH:
        best = _of_that_name(run, question, asked)
    if not best:
        return ""
    words = ", ".join(word for stem, word in asked.items() if stem in shared[best])
    return f"the tool {best} fits it: {words}"


def wants_tools(run: Run, question: Question) -> str:
    """Why tools may be needed: one fits, or a short answer is asked for that the question does not bring.

    Of the latter, words do not show whether a tool knows the answer ("how far" and a tool for distances): a
    plan does, and one that needs no tool is given up at once.
    """
    if fit := fitting_tool(run, question):
        return fit
    sign = shown(question)
    is_open = sign is not None and sign.kind is Kind.SHORT and not sign.given
    return f"tools may know what it asks for: {sign.why}" if sign and is_open and tools_at_hand(run) else ""


def _of_that_name(run: Run, question: Question, asked: Mapping[str, str]) -> str:
    """The tool that a question for a fact shares a word of the name with."""
    sign = shown(question)
    if sign is None or sign.kind is not Kind.SHORT or sign.given:
        return ""
    named = (tool.name for tool in tools_at_hand(run) if asked.keys() & _stems([_HUMP.sub(" ", tool.name)]))
    return next(named, "")


def _about(tool: Tool) -> set[str]:
    texts = [tool.name, tool.description, *tool.schema.get("properties", ())]
    return set(_stems(_HUMP.sub(" ", text) for text in texts))


def _stems(texts: Iterable[str]) -> dict[str, str]:
    """The words that say what texts are about, by their stems, in the order in which they come."""
    found: dict[str, str] = {}
    for text in texts:
        for word in _WORD.findall(text.lower()):
            if word not in COMMON:
                found.setdefault(_stem(word), word)
    return found


def _stem(word: str) -> str:
    shorter = _ENDING.sub("", word)
    return shorter if len(shorter) >= _LEAST else word

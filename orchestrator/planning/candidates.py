"""The planners among which a run can choose, and what each says of the question at hand.

Another process may have other planners installed, and another version of one may say something else. The
survey is therefore a tool: its result is in the journal, and a replay is told what was said.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any

from orchestrator.errors import InvalidRequest, PlannerError
from orchestrator.planning.finding import find_planner, installed_planners, not_among
from orchestrator.planning.run import Run
from orchestrator.runtime.nodes import Succeeded
from orchestrator.runtime.plain import text
from orchestrator.runtime.values import Budget, Question
from workers.contained import Escaped, Overdue
from workers.errors import ToolError
from workers.showing import cut, raised
from workers.tools.declaration import tool
from workers.tools.threads import in_thread
from workers.tools.tool import Tool

SECONDS = 10.0
"""In which a planner must have been imported and have had its say."""

LONGEST = 500
"""Characters of what a planner says that are kept."""

CHARS_A_TOKEN = 4
LEAST_REPLY = 32
"""By which the tokens are estimated that a call takes at least."""


@dataclass(frozen=True, slots=True)
class Candidate:
    """A planner, and what its :class:`~orchestrator.planning.suits.Suits` say of a question."""

    name: str
    description: str = ""
    cost: int = 0
    calls: int = 1
    sign: str = ""
    lacks: str = ""
    yields_to: tuple[str, ...] = ()
    settles: bool = False
    options: Mapping[str, Any] = field(default_factory=dict)


async def candidates(run: Run, question: Question, without: Sequence[str] = ()) -> list[Candidate]:
    """The installed planners that say what they suit, but for those left out, cheapest first.

    Those that cannot be used come too; their ``lacks`` says why: they cannot be imported, say so themselves,
    would break the budget, or yield to one that can be used.

    Raises:
        InvalidRequest: a planner is left out that is not installed.
        PlannerError: the planners could not be asked.
    """
    outcome = await run.tool(_survey(run, question), {"without": sorted(set(without))}).settled()
    if not isinstance(outcome, Succeeded):
        raise PlannerError(f"the installed planners could not be asked what they suit: {outcome.why}")
    told: Mapping[str, Any] = outcome.value
    if "unknown" in told:
        raise InvalidRequest(str(told["unknown"]))
    found = [
        Candidate(**{**each, "yields_to": tuple(each.get("yields_to", ()))}) for each in told["planners"]
    ]
    within = [_within(each, run.budget, question) for each in found]
    usable = {each.name for each in within if not each.lacks}
    return sorted((_yielding(each, usable) for each in within), key=lambda each: (each.cost, each.name))


def cannot_afford(budget: Budget, question: Question, calls: int) -> str:
    """Why so many calls about the question do not fit into what is left to spend; empty if they may."""
    if budget.calls is not None and budget.calls < calls:
        return f"it takes at least {calls} calls, and {budget.calls} are left"
    length = len(question.context) + len(question.text) + sum(len(turn.content) for turn in question.history)
    tokens = calls * (length // CHARS_A_TOKEN + LEAST_REPLY)
    if budget.tokens is not None and budget.tokens < tokens:
        return f"it takes at least {tokens:,} tokens or so, and {budget.tokens:,} are left"
    return ""


def _within(each: Candidate, budget: Budget, question: Question) -> Candidate:
    return each if each.lacks else _lacking(each, cannot_afford(budget, question, each.calls))


def _yielding(each: Candidate, usable: set[str]) -> Candidate:
    better = next((name for name in each.yields_to if name in usable), None)
    return each if each.lacks or better is None else _lacking(each, f"{better} does the same better")


def _lacking(each: Candidate, why: str) -> Candidate:
    return replace(each, lacks=why)


def _survey(run: Run, question: Question) -> Tool:
    """A tool that asks the installed planners about the question."""

    @tool(name="survey", timeout=600.0)
    async def survey(without: list[str]) -> dict[str, Any]:
        """Ask the installed planners what they suit."""
        names = installed_planners()
        for name in without:
            if name not in names:
                return {"unknown": f"without: {not_among(name, names)}"}
        told = [await _told(name, run, question) for name in names if name not in without]
        return {"planners": [each for each in told if each is not None]}

    return survey


async def _told(name: str, run: Run, question: Question) -> dict[str, Any] | None:
    """What a planner says, in JSON; None if it does not say what it suits."""
    thread = f"planner {name}, asked what it suits"
    try:
        async with asyncio.timeout(SECONDS):
            return await in_thread(partial(_asked, name, run, question), thread)
    except TimeoutError:
        why = f"it did not say within {SECONDS:.0f} s what it suits"
    except (Overdue, PlannerError, ToolError) as error:
        why = str(error)
    except Escaped as error:
        why = f"it broke when it was asked what it suits: {raised(error.error)}"
    except Exception as error:  # whatever code of another package raises
        why = f"it broke when it was asked what it suits: {raised(error)}"
    return {"name": name, "lacks": _kept(why)}


def _asked(name: str, run: Run, question: Question) -> dict[str, Any] | None:
    suits = find_planner(name).suits
    if suits is None:
        return None
    told: dict[str, Any] = {
        "name": name,
        "description": _kept(suits.description),
        "cost": suits.cost,
        "calls": suits.calls,
    }
    more = {
        "lacks": _kept(suits.lacks(run, question)),
        "sign": _kept(suits.sign(run, question)),
        "yields_to": list(suits.yields_to),
        "settles": suits.settles,
        "options": dict(suits.options),
    }
    return told | {key: said for key, said in more.items() if said}


def _kept(said: object) -> str:
    if not isinstance(said, str):
        raise PlannerError(f"what a planner suits must be said in a str, not a {type(said).__name__}")
    return cut(text(said), LONGEST)

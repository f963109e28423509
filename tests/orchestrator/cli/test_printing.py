from __future__ import annotations

import io

from rich.console import Console

from orchestrator.cli.printing import print_solution
from orchestrator.runtime.environment import RunOutcome
from orchestrator.tasks.solution import Solution, Timings, TokenUsage


def printed(answer: str, calls: int) -> str:
    solution = Solution(
        answer=answer,
        text=answer,
        outcome=RunOutcome.ANSWERED if answer else RunOutcome.UNDECIDED,
        undecided=None if answer else "the answer was cut off",
        planner="direct",
        usage=TokenUsage(prompt=30, cached=0, completion=4, cancelled=0, calls=calls),
        timings=Timings(queued=0, run=0.1),
        trace_id="1m8",
    )
    console = Console(file=io.StringIO(), width=100)
    print_solution(console, solution)
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


def test_where_nothing_was_said_no_lines_are_left_for_it() -> None:
    assert printed("", 1).startswith("undecided: the answer was cut off\n")
    assert printed("72", 1).startswith("72\n\n")


def test_one_call_is_not_called_calls() -> None:
    assert "\n1 call · 30 prompt" in printed("72", 1)
    assert "\n2 calls · 30 prompt" in printed("72", 2)

from __future__ import annotations

import io
from typing import Any

from rich.console import Console

from orchestrator.cli.printing import print_solution
from orchestrator.runtime.environment import RunOutcome
from orchestrator.tasks.solution import ClusterCount, Dissent, Solution, Timings, TokenUsage


def printed(answer: str, calls: int = 1, *, verbose: bool = False, **more: Any) -> str:
    solution = Solution(
        **{
            "answer": answer,
            "text": answer,
            "outcome": RunOutcome.ANSWERED if answer else RunOutcome.UNDECIDED,
            "undecided": None if answer else "the answer was cut off",
            "trust": "one answer, not compared with others" if answer else "unsure: the answer was cut off",
            "unsure": not answer,
            "planner": "direct",
            "usage": TokenUsage(prompt=30, cached=0, completion=4, cancelled=0, calls=calls),
            "timings": Timings(queued=0, run=0.1),
            "trace_id": "1m8",
            **more,
        }
    )
    console = Console(file=io.StringIO(), width=100)
    print_solution(console, solution, verbose=verbose)
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


def test_the_answer_comes_first_then_why_it_may_be_trusted_then_the_trace() -> None:
    assert printed("72") == "72\n\none answer, not compared with others\ntrace 1m8\n"


def test_where_nothing_was_said_that_is_said() -> None:
    assert printed("") == "no answer: the answer was cut off\ntrace 1m8\n"


def test_what_is_unsure_is_not_stated_firmly() -> None:
    unsure: dict[str, Any] = {"trust": "unsure: 2 of 5 branches agree", "unsure": True}
    assert printed("12", **unsure) == "unsure: 12 (2 of 5 branches agree)\ntrace 1m8\n"
    long = printed("one\ntwo", **unsure)
    assert long == "unsure (2 of 5 branches agree):\n\none\ntwo\ntrace 1m8\n"


def test_a_solution_that_was_stored_before_there_was_trust_is_printed() -> None:
    assert printed("72", trust="") == "72\ntrace 1m8\n"


def test_all_that_the_answer_rests_on_is_printed_if_it_is_asked_for() -> None:
    told = printed(
        "72",
        5,
        verbose=True,
        trust="4 of 5 branches agree",
        reasoning="Half of 48 is 24.\n48 + 24 = 72.",
        clusters=(ClusterCount(claim="72", count=4), ClusterCount(claim="96", count=1)),
        dissent=(Dissent(claim="96", count=1, text="48 * 2 = 96"),),
    )
    assert "\n  ████ 4  72\n  █ 1  96\noutcome answered\n5 calls · 30 prompt" in told
    assert "\nreasoning:\n  Half of 48 is 24.\n  48 + 24 = 72.\n" in told
    assert "\n1 branch says 96:\n  48 * 2 = 96\n" in told
    assert told.endswith("\n\ntrace 1m8\n")


def test_a_line_of_the_reasoning_cannot_look_like_one_of_ours() -> None:
    told = printed("72", verbose=True, reasoning="x\ntrace 9\x1b[2K")
    assert "\n  trace 9\\x1b[2K\n" in told


def test_one_call_is_not_called_calls() -> None:
    assert "\n1 call · 30 prompt" in printed("72", 1, verbose=True)
    assert "\n2 calls · 30 prompt" in printed("72", 2, verbose=True)

from __future__ import annotations

import asyncio
import io
import re
from pathlib import Path
from typing import Any

from rich.console import Console

from orchestrator.cli.live import Display, first_line, latest, letter
from orchestrator.cli.view import RunView
from orchestrator.tasks.feed import Progress
from storage.events import Event, EventType
from workers.engines.vllm.supervision import Starting
from workers.models.files import Progress as Download

Line = tuple[EventType, str, dict[str, Any]]


def told(*lines: Line) -> RunView:
    view = RunView()
    for seq, (kind, path, data) in enumerate(lines):
        view.take(Event(seq, kind, path, 100.0 + seq, data))
    return view


VOTE: list[Line] = [
    (EventType.RUN_STARTED, "", {"planner": "vote"}),
    (EventType.NODE_ADDED, "0", {"kind": "vote", "label": "beta"}),
    (EventType.NODE_ADDED, "0.0", {"kind": "generate", "label": "branch 0", "request": {}}),
    (EventType.NODE_ADDED, "0.1", {"kind": "generate", "label": "branch 1", "request": {}}),
    (EventType.NODE_ADDED, "0.2", {"kind": "generate", "label": "branch 2", "request": {}}),
]


def settled(path: str, outcome: str = "succeeded", **data: Any) -> Line:
    usage = {"prompt_tokens": 9, "cached_tokens": 0, "completion_tokens": 7}
    return EventType.NODE_SETTLED, path, {"outcome": outcome, "usage": usage, **data}


def decided(branch: int, cluster: int | None, counts: list[int], **saw: Any) -> Line:
    seen = {"branch": branch, "cluster": cluster, "counts": counts, **saw}
    return EventType.DECISION, "0", {"by": "beta", "verdict": "continue", "saw": seen}


def drawn(view: RunView, *, width: int = 100, height: int = 30) -> str:
    console = Console(file=io.StringIO(), width=width, height=height, force_terminal=True, color_system=None)
    display = Display(console, clock=lambda: 110.0)
    display.view = view
    with console.capture() as captured:
        console.print(display)
    return captured.get()


def test_branches_show_tokens_claims_and_who_agreed() -> None:
    view = told(
        *VOTE,
        settled("0.0"),
        decided(0, 0, [1], claim="72", entropy=0.0),
        settled("0.1"),
        decided(1, 1, [1, 1], claim="96", entropy=0.693147),
    )
    view.take(Progress("0.2", 5))
    assert [row.state for row in view.rows.values()] == ["running", "succeeded", "succeeded", "running"]
    assert (view.rows["0.0"].cluster, view.rows["0.1"].cluster) == (0, 1)
    assert view.tokens == 7 + 7 + 5
    text = drawn(view)
    assert "vote · 2 of 3 steps · 19 tokens · 10.0 s" in text
    assert re.search(r"✓ +branch 0 +7 tok +3.0 s +A 72", text)
    assert re.search(r"✓ +branch 1 +7 tok .*B 96", text)
    assert re.search(r"branch 2 +5 tok +6.0 s", text)
    assert "A 72 █ 1   B 96 █ 1   entropy 0.69 nats" in text
    assert "beta: continue" in text


def test_failures_cancellations_and_abstentions_are_told() -> None:
    view = told(
        *VOTE,
        settled("0.0"),
        decided(0, None, []),
        settled("0.1", "failed", error={"code": "engine_timeout", "message": "took [too] long"}),
        (EventType.NODE_SETTLED, "0.2", {"outcome": "cancelled", "reason": "its scope has ended"}),
        (EventType.RUN_FINISHED, "", {"outcome": "failed"}),
    )
    text = drawn(view)
    assert "no answer" in text
    assert "took [too] long" in text
    assert re.search(r"- +branch 2", text)
    assert "· failed" in text


def test_a_node_that_waits_for_its_inputs_is_not_running_yet() -> None:
    view = told(
        VOTE[0],
        (EventType.NODE_ADDED, "0", {"kind": "tool", "label": "search", "request": {}}),
        (EventType.NODE_ADDED, "1", {"kind": "generate", "label": "join", "inputs": ["0"]}),
    )
    assert [row.state for row in view.rows.values()] == ["running", "waiting"]
    view.take(Event(8, EventType.NODE_SETTLED, "0", 108.0, {"outcome": "succeeded", "value": "found"}))
    view.take(Event(9, EventType.NODE_STARTED, "1", 109.0, {"request": {}}))
    assert [row.state for row in view.rows.values()] == ["succeeded", "running"]
    assert "found" in drawn(view)


def test_many_branches_fit_on_the_screen() -> None:
    view = told(VOTE[0], VOTE[1])
    for i in range(200):
        view.take(
            Event(
                i + 2,
                EventType.NODE_ADDED,
                f"0.{i}",
                102.0,
                {"kind": "generate", "label": f"branch {i}", "request": {}},
            )
        )
    view.take(Event(300, EventType.NODE_SETTLED, "0.7", 103.0, {"outcome": "succeeded"}))
    text = drawn(view, height=24)
    assert text.count("\n") <= 24
    assert "branch 199" in text
    assert re.search(r"… 18\d more, 18\d of them running", text)


def test_any_real_journal_can_be_drawn_at_any_moment(tmp_path: Path) -> None:
    from orchestrator.tasks.requests import TaskRequest
    from orchestrator.tasks.service import Service
    from planners.vote import vote
    from storage.opening import open_store
    from workers.engines.simulator.engine import Simulator

    async def record() -> list[Any]:
        async with await open_store("memory") as store:
            engine = Simulator({"x": {"\\boxed{1}": 1, "\\boxed{2}": 1, "none": 1}})
            service = Service(store, engine, planners={"vote": vote})
            return [item async for item in service.stream(TaskRequest(query="x", planner="vote"))]

    *items, solution = asyncio.run(record())
    view = RunView()
    for item in items:
        if view.started_at is not None:
            assert drawn(view)
        view.take(item)
    assert solution.outcome in drawn(view)
    assert view.tokens == solution.usage.completion
    assert {vote.entropy for vote in view.votes.values()} == {round(solution.entropy, 6)}


def test_a_download_is_shown_before_the_run() -> None:
    console = Console(file=io.StringIO(), width=100, force_terminal=True, color_system=None)
    display = Display(console)
    with console.capture() as captured:
        console.print(display)
        display.preparing(Download(245_000_000, 490_000_000, "the hub"))
        console.print(display)
        display.preparing(Download(490_000_000, 490_000_000, "the hub"))
        console.print(display)
        display.preparing(Starting("vllm-0", 12.4, "Loading weights: 50 %"))
        console.print(display)
    text = captured.get()
    assert text.count("starting the engine") == 2
    assert "245 of 490 MB from the hub" in text
    assert "starting vllm-0 · 12 s  Loading weights: 50 %" in text


def test_a_branch_shows_the_end_of_its_text_as_it_comes() -> None:
    view = told(*VOTE)
    view.take(Progress("0.1", 40, f"{'long ago ' * 40}so half of 48\nis 24"))
    text = drawn(view)
    assert re.search(r"branch 1 +40 tok +7.0 s +….*so half of 48 is 24", text)
    view.take(Event(9, *settled("0.1")[:2], 109.0, settled("0.1")[2]))
    assert "is 24" not in drawn(view)


def test_text_that_would_steer_the_terminal_is_shown() -> None:
    view = told(*VOTE)
    view.take(Progress("0.1", 4, "\x1b[2Kgone"))
    assert "\\x1b[2Kgone" in drawn(view)


async def test_an_error_in_the_block_is_raised_as_it_is() -> None:
    display = Display(Console(file=io.StringIO(), force_terminal=True))
    try:
        async with display.shown():
            await asyncio.sleep(0)
            raise LookupError("as it is")
    except LookupError as error:
        assert str(error) == "as it is"  # noqa: PT017 the type is what the test is about


def test_small_words() -> None:
    assert [letter(0), letter(25), letter(26)] == ["A", "Z", "27"]
    assert first_line(" a\n b ") == "a b"
    assert first_line("x" * 100, 10) == "x" * 9 + "…"
    assert latest("a\n b") == "a b"
    assert latest("0123456789", 5) == "…6789"

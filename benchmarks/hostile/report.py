"""What a run among hostility must keep, and how it is told."""

from __future__ import annotations

import math
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from benchmarks.hostile.audit import Histories, Row
from benchmarks.hostile.good import right
from benchmarks.hostile.items import Item
from benchmarks.hostile.processes import Life, Slot
from benchmarks.hostile.traffic import GOOD, Sent
from benchmarks.hostile.watching import PROBES, Seen
from storage.errors import JournalDamaged

MOST_MEGABYTES = 600
MOST_GROWTH = 150
"""The allocator keeps up to 130 MB of what a flood of nodes took, and gives them to the next one."""
SLOWER = 1.5
WARM_SECONDS = 5.0
"""How long a process fills its caches before its memory says anything about leaks."""
LONG_ENOUGH = 15.0


@dataclass(frozen=True)
class Outcome:
    """One run, calm or hostile, from its first submission to its last end."""

    name: str
    seconds: float
    good: Sequence[Sent]
    hostile: Sequence[Sent]
    rows: Mapping[str, Row]
    listed: Mapping[str, Any] | str
    histories: Histories
    seen: Seen
    slots: Sequence[Slot]
    kills: int
    exits: Mapping[int, int]

    def took(self) -> list[float]:
        """Seconds from when each good task was first submitted to its end; infinite for lost ones."""
        found = [(sent, self.rows.get(sent.task_id or "")) for sent in self.good]
        return [
            math.inf if row is None or row.finished_at is None else row.finished_at - sent.due
            for sent, row in found
        ]

    def p95(self) -> float:
        """The 95th percentile of :meth:`took`."""
        times = sorted(self.took())
        return times[math.ceil(0.95 * len(times)) - 1]

    @property
    def lives(self) -> list[Life]:
        """Of all processes."""
        return [life for slot in self.slots for life in slot.lives]

    def solved(self) -> dict[str, str]:
        """The ids of the processes that solved probes, by task; of those that failed, why."""
        return {
            row.id: row.answer if row.status == "succeeded" else f"{row.status} {row.code}"
            for row in self.rows.values()
            if row.tenant == PROBES
        }


@dataclass(frozen=True, slots=True)
class Check:
    """One promise, and what was seen where it was not kept."""

    name: str
    value: float
    bound: float
    seen: Sequence[str] = ()

    @property
    def passed(self) -> bool:
        """Whether it was kept."""
        return self.value <= self.bound


def checks(calm: Outcome, hostile: Outcome, quoting: Sequence[str]) -> list[Check]:
    """All promises."""
    both = (calm, hostile)
    lost = [line for each in both for line in _lost(each)]
    wrong = [line for each in both for line in _wrong(each)]
    doubled = _doubled(both)
    differing = [f"{i}: {why}" for each in both for i, why in each.histories.differing.items()]
    untrue = [f"{each.name}: {what}" for each in both for what in each.seen.disagreements(each.solved())]
    unserved = [f"{each.name}: {what}" for each in both for what in each.seen.unserved()]
    endings = [(ended(hostile, sent), sent) for sent in hostile.hostile]
    thrown = [(each, sent) for each, sent in endings if _item(sent).request is not None]
    damaged = [(each, sent) for each, sent in endings if _item(sent).request is None]
    if isinstance(hostile.listed, str):
        unserved.append(f"the whole list, at the end: {hostile.listed[:200]}")
    ratio = hostile.p95() / calm.p95() if hostile.p95() < math.inf and calm.p95() > 0 else math.inf
    deadly = any(_item(sent).deadly for sent in hostile.hostile)  # every death costs the others a lease
    slowest = math.inf if deadly else SLOWER
    slow = f"calm {calm.p95():.2f} s, hostile {hostile.p95():.2f} s"
    return [
        _none("good tasks lost", lost),
        _none("good tasks with a wrong answer", wrong),
        _none("good tasks finished twice or stored twice", doubled),
        _none("replays of good tasks that differ", differing),
        Check("p95 of good tasks, in that of the calm run", round(ratio, 2), slowest, [slow]),
        _none("moments at which health was not true", untrue),
        _none("lists of tasks not served", unserved),
        _none("hostile tasks that did not end", [e.line(s) for e, s in thrown if not e.over]),
        _none(
            "hostile tasks that ended without a typed failure",
            [e.line(s) for e, s in thrown if e.over and not e.fine],
        ),
        _none("damaged rows not shown as such", [e.line(s) for e, s in damaged if not e.fine]),
        Check("most memory of a process, in MB", *_most_memory(hostile)),
        Check("growth of a process, in MB", *_growth(hostile)),
        _none("places that quote the key", quoting),
    ]


def _none(name: str, seen: Sequence[str]) -> Check:
    return Check(name, len(seen), 0, seen)


def _item(sent: Sent) -> Item:
    assert isinstance(sent.what, Item)
    return sent.what


def _lost(run: Outcome) -> list[str]:
    found = [(sent, run.rows.get(sent.task_id or "")) for sent in run.good]
    return [
        f"{run.name} {sent.what}: "
        + (sent.refused or "never accepted" if row is None else f"{row.status} {row.code} {row.message[:80]}")
        for sent, row in found
        if row is None or row.status != "succeeded"
    ]


def _wrong(run: Outcome) -> list[str]:
    found = [(sent, run.rows.get(sent.task_id or "")) for sent in run.good]
    return [
        f"{run.name} {sent.what}: {row.answer} instead of {right(sent.what)}"
        for sent, row in found
        if isinstance(sent.what, int) and row and row.status == "succeeded" and row.answer != right(sent.what)
    ]


def _doubled(runs: Sequence[Outcome]) -> list[str]:
    """Tasks whose run finished twice, and more stored tasks than were submitted, acknowledged or not."""
    sent = [each for run in runs for each in run.good]
    known = {each.task_id for each in sent}
    unknown = [row.id for row in runs[-1].rows.values() if row.tenant == GOOD and row.id not in known]
    unacknowledged = sum(each.task_id is None for each in sent)
    finished = [task_id for run in runs for task_id in run.histories.finished_twice]
    return [f"finished twice: {each}" for each in finished] + [
        f"stored as well: {each}" for each in unknown[unacknowledged:]
    ]


# -- how hostile items ended --------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Ending:
    """How something hostile ended.

    ``shown`` is its status, that of a damaged row as it is listed; ``seconds`` are from its submission.
    """

    status: str
    code: str
    message: str
    shown: str
    attempts: int
    seconds: float
    over: bool
    fine: bool

    def line(self, sent: Sent) -> str:
        """In one line, for whoever looks for the cause."""
        stored = "" if self.shown == self.status else f" (stored as {self.status})"
        told = f"{_item(sent).full_name} {sent.task_id}: {self.shown}{stored} {self.code}"
        return f"{told}: {self.message[:160]}" if self.message else told


def ended(run: Outcome, sent: Sent) -> Ending:
    """How the item ended, and whether it may end so."""
    item = _item(sent)
    row = run.rows.get(sent.task_id or "")
    if row is None:
        status = "refused" if sent.refused else "never accepted"
        over = bool(sent.refused)
        return Ending(
            status, sent.refused, "", status, 0, math.inf, over, over and sent.refused != "internal"
        )
    over = row.finished_at is not None
    seconds = math.inf if row.finished_at is None else max(0.0, row.finished_at - sent.due)
    if item.request is None:
        task = {} if isinstance(run.listed, str) else run.listed.get(row.id, {})
        shown, code = task.get("status", "not listed"), (task.get("error") or {}).get("code", "")
        fine = code == JournalDamaged.code or (shown in ("dead", "failed") and code not in ("", "internal"))
        fine = fine and shown not in ("queued", "running", "not listed")
        return Ending(row.status, code, row.message, shown, row.attempts, seconds, over, fine)
    failed = row.status == "failed" and row.code not in ("", "internal", JournalDamaged.code)
    fine = row.status in ("succeeded", "cancelled") or failed or (row.status == "dead" and item.deadly)
    return Ending(row.status, row.code, row.message, row.status, row.attempts, seconds, over, fine)


def table(run: Outcome) -> list[str]:
    """Every hostile item: when it came, how it ended, how long it took, and how many processes tried."""
    lines = [f"     {'item':34} {'at':>6} {'status':10} {'code':22} {'seconds':>8} {'attempts':>8}"]
    for sent in sorted(run.hostile, key=lambda each: (_item(each).kind, each.due)):
        end = ended(run, sent)
        seconds = f"{end.seconds:.1f}" if end.seconds < math.inf else "-"
        lines.append(
            f"{'ok  ' if end.fine else 'FAIL'} {_item(sent).full_name:34} {sent.due - run.seen.start:6.1f} "
            f"{end.shown:10} {end.code or '-':22} {seconds:>8} {end.attempts:8}"
        )
    return lines


# -- memory -------------------------------------------------------------------------------------------


def _megabytes(size: float) -> int:
    return round(size / 1e6)


def _most_memory(run: Outcome) -> tuple[int, int, list[str]]:
    samples = [(size, life.name, at) for life in run.lives for at, size in life.memory]
    most, name, at = max(samples)
    typical = statistics.median(size for size, *_ in samples)
    seen = f"{name} at {at - run.seen.start:.1f} s; half of all samples are below {_megabytes(typical)} MB"
    return _megabytes(most), MOST_MEGABYTES, [seen]


def _growth(run: Outcome) -> tuple[int, int, list[str]]:
    """How much the least memory of a process rose from the middle of its life to the end of it."""
    most, name = 0.0, "no process"
    for life in run.lives:
        sizes = [size for at, size in life.memory if at > (life.answered or math.inf) + WARM_SECONDS]
        if life.memory and life.memory[-1][0] - life.memory[0][0] > LONG_ENOUGH:
            third = len(sizes) // 3
            grown = min(sizes[-third:]) - min(sizes[third : 2 * third])
            most, name = max((most, name), (float(grown), life.name))
    return _megabytes(most), MOST_GROWTH, [name]

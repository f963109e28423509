"""Recorded branches, and a clock that runs a stop rule over them as if they were being generated.

All branches of a problem advance by one token a tick, so a time is a number of tokens. The rule is the one
that runs live: it gets the same views and its decisions are carried out in the same way. It sees nothing of
a branch that would not be there yet.
"""

from __future__ import annotations

import argparse
import heapq
import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from time import thread_time
from typing import Annotated, Any

from pydantic import BaseModel, Field, TypeAdapter, ValidationError

from orchestrator.consensus.equivalence import Clusters
from orchestrator.consensus.extraction import Claim
from orchestrator.consensus.stopping import Branch, Cancel, Expand, Stop, StopRule, View

NO_ANSWER = frozenset({"", "ERR", "None", "null"})


@dataclass(frozen=True, slots=True)
class Problem:
    """One question with its recorded branches.

    ``answers``, ``tokens`` and ``probes`` have one entry a branch. Answers are cluster indices, None where
    a branch gave none; ``gold`` is the right cluster. ``probes[b][i]`` is what branch b answered when it was
    made to after ``(i + 1) * probe_every`` tokens.
    """

    name: str
    gold: int
    answers: tuple[int | None, ...]
    tokens: tuple[int, ...]
    probes: tuple[tuple[int | None, ...], ...]
    probe_every: int


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a rule came to. ``sequential`` is the tick of its decision, ``total`` all tokens until then."""

    winner: int | None
    sequential: int
    total: int
    started: int
    finished: int
    reason: str


class _Recorded(BaseModel, coerce_numbers_to_str=True):
    """A problem as it stands in a file; each branch is its probes, its tokens and its answer."""

    gold_answer: Annotated[str, Field(min_length=1)]
    probe_freq: Annotated[int, Field(ge=1)]
    each_branch: Annotated[list[tuple[list[Any], Annotated[int, Field(ge=0)], Any]], Field(min_length=1)]


_FILE = TypeAdapter(Annotated[list[_Recorded], Field(min_length=1)])


def load(path: Path, *, blank_votes: bool = True) -> list[Problem]:
    """Read a file of recorded branches.

    It is a JSON list of ``{"gold_answer", "probe_freq", "each_branch": [[probes, tokens, answer], ...]}`` as
    the repository zhengkid/Parallel-Probe publishes them. Answers are put into clusters by the same code that
    clusters live, but for its costly methods: what only math-verify or a model could join differs.
    ``blank_votes`` counts a branch without an answer as voting for "no answer", as the published tables do;
    else it abstains, as in the product.

    Raises:
        ValueError: the file cannot be read or is not of this form; says what is wrong first.
    """
    try:
        problems = _FILE.validate_json(path.read_bytes())
    except OSError as error:
        raise ValueError(f"{path} cannot be read: {error.strerror}") from None
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        where = ".".join(map(str, first["loc"])) or "the file"
        raise ValueError(
            f"{path} is not a list of problems with each_branch: {where}: {first['msg']}"
        ) from None
    return [_problem(f"{path.stem}-{at}", each, blank_votes) for at, each in enumerate(problems)]


def load_all(
    parser: argparse.ArgumentParser, paths: Sequence[Path], *, width: int, blank_votes: bool = True
) -> list[Problem]:
    """The problems of several files; a usage error where one cannot be read or has too few branches."""
    try:
        problems = [problem for path in paths for problem in load(path, blank_votes=blank_votes)]
    except ValueError as error:
        parser.error(str(error))
    for problem in problems:
        if len(problem.tokens) < width:
            parser.error(_too_few(problem, width))
    return problems


def positive(text: str) -> int:
    """A whole number of at least 1, for a parser of arguments."""
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError(f"must be at least 1, got {number}")
    return number


def _too_few(problem: Problem, width: int) -> str:
    return f"{problem.name} has {len(problem.tokens)} recorded branches, fewer than {width}"


def _problem(name: str, recorded: _Recorded, blank_votes: bool) -> Problem:
    clusters = Clusters()
    gold = clusters.add(-1, Claim(recorded.gold_answer, "whole"))
    seen: dict[str, int | None] = {}

    def cluster(answer: object) -> int | None:
        text = str(answer).strip()
        if text in NO_ANSWER:
            if not blank_votes:
                return None
            text = "no answer"
        if text not in seen:
            seen[text] = clusters.add(len(seen), Claim(text, "boxed"))
        return seen[text]

    branches = recorded.each_branch
    return Problem(
        name,
        gold,
        tuple(cluster(answer) for _, _, answer in branches),
        tuple(tokens for _, tokens, _ in branches),
        tuple(tuple(cluster(probe) for probe in probes) for probes, _, _ in branches),
        recorded.probe_freq,
    )


def resamples(problem: Problem, width: int, times: int, seed: int) -> Iterator[list[int]]:
    """Orders in which ``width`` of the recorded branches are started; the same for every rule.

    Each shuffle of the recorded branches is used up before the next one, which tells more than
    independent draws do.

    Raises:
        ValueError: fewer branches were recorded.
    """
    recorded = len(problem.tokens)
    if width > recorded:
        raise ValueError(_too_few(problem, width))
    rng = random.Random(f"{seed} {problem.name}")
    for time in range(times):
        part = time % (recorded // width)
        if part == 0:
            shuffled = rng.sample(range(recorded), recorded)
        yield shuffled[part * width : (part + 1) * width]


class Replay:
    """One vote over recorded branches, on a clock of its own.

    ``seconds`` collects the CPU time of each decision.
    """

    def __init__(self, rule: StopRule, problem: Problem, order: Sequence[int]) -> None:
        self._rule, self._problem, self._order = rule, problem, order
        self._now = 0
        self._begin: list[int] = []
        self._ends: list[tuple[int, int]] = []
        self._finished: list[Branch] = []
        self._running: dict[int, Branch] = {}
        self._lost: list[Branch] = []
        self._room = min(rule.limit, len(order))
        self._tracks = bool(rule.needs & {"tokens", "probes"})
        self._probe = problem.probe_every if "probes" in rule.needs else 0
        self.seconds: list[float] = []

    def run(self) -> Outcome:
        """Play until the rule stops the vote."""
        self._start(self._rule.initial)
        tick = self._probe
        while self._ends:
            if self._probe and self._ends[0][0] > tick:
                self._now, tick = tick, tick + self._probe
            else:
                self._now, index = heapq.heappop(self._ends)
                if index not in self._running:
                    continue  # cancelled before its end
                self._finish(index)
            stop = self._ask()
            if stop is not None:
                return self._outcome(stop)
        raise RuntimeError(f"{self._rule.spec} never stopped on {self._problem.name}")

    @property
    def answers(self) -> list[int | None]:
        """What the branches answered that have finished, in order of arrival."""
        return [branch.cluster for branch in self._finished]

    def _start(self, number: int) -> None:
        for _ in range(min(number, self._room)):
            index = len(self._begin)
            self._begin.append(self._now)
            heapq.heappush(self._ends, (self._now + self._problem.tokens[self._order[index]], index))
            self._running[index] = Branch(index)
            self._room -= 1

    def _finish(self, index: int) -> None:
        del self._running[index]
        recorded = self._order[index]
        self._finished.append(
            Branch(
                index,
                self._problem.answers[recorded],
                self._problem.tokens[recorded],
                probes=self._probes(index) if self._probe else (),
            )
        )

    def _ask(self) -> Stop | None:
        while True:
            running = self._running.values()
            view = View(
                tuple(self._finished),
                tuple(self._now_at(branch) for branch in running) if self._tracks else tuple(running),
                tuple(self._lost),
                self._room,
                float(self._now),
            )
            began = thread_time()
            decision = self._rule.decide(view)
            self.seconds.append(thread_time() - began)
            match decision:
                case Stop():
                    return decision
                case Expand(by):
                    self._start(by)
                case Cancel(branches):
                    for index in branches:
                        self._lost.append(self._now_at(self._running.pop(index)))
                case _:
                    return None

    def _now_at(self, branch: Branch) -> Branch:
        index = branch.index
        probes = self._probes(index) if self._probe else ()
        return Branch(index, tokens=self._now - self._begin[index], probes=probes)

    def _probes(self, index: int) -> tuple[int | None, ...]:
        """What the branch answered so far; a recording may end one probe before the branch does."""
        recorded = self._order[index]
        given = (self._now - self._begin[index]) // self._probe
        probes = self._problem.probes[recorded][:given]
        still = index in self._running
        return probes + (self._problem.answers[recorded],) * (given - len(probes)) if still else probes

    def _outcome(self, stop: Stop) -> Outcome:
        spent = sum(branch.tokens for branch in (*self._finished, *self._lost))
        spent += sum(self._now - self._begin[index] for index in self._running)
        return Outcome(stop.winner, self._now, spent, len(self._begin), len(self._finished), stop.reason)

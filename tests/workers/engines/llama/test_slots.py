"""Which call gets which slot: against a model of a server that counts what it has to compute."""

from __future__ import annotations

import itertools
import random
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass, field

from hypothesis import given, settings
from hypothesis import strategies as st

from workers.engines.llama.slots import WIDTH, Assignment, Request, Saved, SlotTable, common, pack

WORTHWHILE = 32


def tokens(length: int, start: int) -> list[int]:
    return list(range(start, start + length))


@dataclass
class Server:
    """Slots with real contents. It does what an assignment says and counts the tokens that it computes."""

    table: SlotTable
    slots: list[list[int]]
    saved: dict[str, list[int]] = field(default_factory=dict)
    computed: dict[Request, int] = field(default_factory=dict)
    running: list[Assignment] = field(default_factory=list)
    places: itertools.count[int] = field(default_factory=itertools.count)

    @classmethod
    def make(cls, count: int = 8, budget: int = 1 << 20, places: int = 64) -> Server:
        return cls(SlotTable(count, WORTHWHILE, budget, places), [[] for _ in range(count)])

    def submit(
        self, *prompts: Sequence[int], family: str | None = None, priority: float = 0
    ) -> list[Request]:
        requests = [Request(pack(prompt), priority, family) for prompt in prompts]
        self.table.add(requests)
        return requests

    def prompt(self, request: Request) -> list[int]:
        return [int.from_bytes(request.tokens[i : i + WIDTH]) for i in range(0, len(request.tokens), WIDTH)]

    def compute(self, assignment: Assignment, prompt: list[int]) -> None:
        slot = self.slots[assignment.slot]
        kept = min(common(pack(slot), pack(prompt)), len(prompt) - 1)
        request = assignment.request
        self.computed[request] = self.computed.get(request, 0) + len(prompt) - kept
        self.slots[assignment.slot] = list(prompt)

    def start(self) -> list[Assignment]:
        """Do for each new assignment what has to be done before it decodes."""
        begun: list[Assignment] = []
        while new := self.table.assign():
            assert len({each.slot for each in (*self.running, *new)}) == len(self.running) + len(new)
            self.running += new
            for assignment in new:
                if assignment.restore is not None:
                    self.slots[assignment.slot] = list(self.saved[assignment.restore.place])
            for assignment in new:
                prompt = self.prompt(assignment.request)
                held = common(pack(self.slots[assignment.slot]), pack(prompt))
                assert held >= assignment.reused, "a table must not believe in what is not there"
                for depth in assignment.primes:
                    self.compute(assignment, prompt[:depth])
                    place = str(next(self.places))
                    self.saved[place] = list(self.slots[assignment.slot])
                    for dropped in self.table.keep(Saved(pack(prompt[:depth]), depth * 100, place)):
                        del self.saved[dropped.place]
                self.compute(assignment, prompt)
            begun += new
        return begun

    def finish(self, assignment: Assignment, answer: Sequence[int] = ()) -> None:
        self.running.remove(assignment)
        self.slots[assignment.slot] += answer
        self.table.release(assignment, pack(self.slots[assignment.slot]))

    def run(self) -> list[Assignment]:
        """Run everything to its end, in waves; returns the assignments in order."""
        order: list[Assignment] = []
        while begun := self.start():
            order += begun
            for number, assignment in enumerate(begun):
                self.finish(assignment, tokens(5, 900_000 + 10 * number))
        return order


@given(st.lists(st.integers(0, 2**31 - 1)), st.lists(st.integers(0, 2**31 - 1)), st.lists(st.integers(0, 9)))
def test_common_counts_tokens(head: list[int], a: list[int], b: list[int]) -> None:
    left, right = head + a, head + b
    expected = len(list(itertools.takewhile(lambda pair: pair[0] == pair[1], zip(left, right, strict=False))))
    assert common(pack(left), pack(right)) == expected


def test_siblings_compute_their_prefix_once() -> None:
    server = Server.make()
    shared = tokens(600, 0)
    requests = server.submit(*(shared + tokens(9, 1000 * n) for n in range(1, 9)))
    server.run()
    assert [server.computed[request] for request in requests] == [609, *[9] * 7]


def test_identical_prompts_compute_one_token_each() -> None:
    server = Server.make()
    requests = server.submit(*[tokens(400, 0)] * 8)
    server.run()
    assert [server.computed[request] for request in requests] == [400, *[1] * 7]


def test_more_siblings_than_slots() -> None:
    server = Server.make(count=3)
    shared = tokens(200, 0)
    requests = server.submit(*(shared + tokens(10, 1000 * n) for n in range(1, 21)))
    server.run()
    assert [server.computed[request] for request in requests] == [210, *[10] * 19]


def test_nested_families() -> None:
    """All share 300 tokens; each of three groups shares 100 more; within a group they differ in 10."""
    server = Server.make(count=4)
    question = tokens(300, 0)
    prompts = [
        question + tokens(100, 1000 * (group + 1)) + tokens(10, 10_000 * (group + 1) + 100 * n)
        for group in range(3)
        for n in range(4)
    ]
    server.submit(*prompts)
    server.run()
    assert sum(server.computed.values()) == 300 + 3 * 100 + 12 * 10


def test_a_short_prefix_is_not_worth_a_prime() -> None:
    server = Server.make()
    shared = tokens(WORTHWHILE - 1, 0)
    server.submit(*(shared + tokens(50, 1000 * n) for n in range(1, 4)))
    assert [each.primes for each in server.start()] == [()] * 3


def test_siblings_wait_for_the_prime_and_slots_are_kept_for_them() -> None:
    table = SlotTable(4, WORTHWHILE, 1 << 20, 64)
    shared = tokens(100, 0)
    siblings = [Request(pack(shared + tokens(9, 1000 * n)), priority=1) for n in range(1, 4)]
    others = [Request(pack(tokens(20, 9000 + 100 * n))) for n in range(4)]
    table.add([*siblings, *others])
    first = table.assign()
    assert [each.request for each in first] == [siblings[0], others[0]], "two slots are kept for two siblings"
    assert first[0].primes == (100,)
    assert table.assign() == []
    table.keep(Saved(pack(shared), 1, "a"))
    second = table.assign()
    assert [each.request for each in second] == siblings[1:]
    assert all(each.restore is not None and each.reused == 100 for each in second)


def test_a_prime_that_fails_is_taken_over() -> None:
    table = SlotTable(2, WORTHWHILE, 1 << 20, 64)
    shared = tokens(100, 0)
    table.add(Request(pack(shared + tokens(9, 1000 * n))) for n in range(1, 4))
    (first,) = table.assign()
    table.release(first, pack(shared[:64]))
    (second,) = table.assign()
    assert second.slot == first.slot
    assert second.reused == 64, "what was computed before the failure is not lost"
    assert second.primes == (100,)


def test_priority_goes_first_then_families_together() -> None:
    server = Server.make(count=1)
    a1, b1, a2, b2 = (tokens(10, 1000 * n) for n in range(1, 5))
    requests = [
        *server.submit(a1, family="a"),
        *server.submit(b1, family="b"),
        *server.submit(a2, family="a"),
        *server.submit(b2, family="b", priority=1),
    ]
    order = [requests.index(each.request) for each in server.run()]
    assert order == [3, 0, 1, 2]
    server = Server.make(count=1)
    blocker = server.submit(tokens(10, 1))
    (running,) = server.start()
    requests = [
        *server.submit(a1, family="a"),
        *server.submit(b1, family="b"),
        *server.submit(a2, family="a"),
    ]
    server.finish(running)
    assert blocker[0] is running.request
    assert [requests.index(each.request) for each in server.run()] == [0, 1, 2], "who waits longest is next"


def test_a_family_that_arrives_together_stays_together() -> None:
    server = Server.make(count=2)
    a, b = ([tokens(10, 10_000 * k + 100 * n) for n in range(3)] for k in (1, 2))
    mixed = [request for pair in zip(a, b, strict=True) for request in pair]
    requests = [
        server.submit(prompt, family="a" if number % 2 == 0 else "b")[0]
        for number, prompt in enumerate(mixed)
    ]
    assert [requests.index(each.request) for each in server.start()] == [0, 2]


def test_the_first_of_a_family_leaves_its_prompt_for_siblings_to_come() -> None:
    server = Server.make()
    shared = tokens(500, 0)
    (first,) = server.submit(shared + tokens(20, 1000), family="f")
    server.start()
    (second,) = server.submit(shared + tokens(20, 2000), family="f")
    (assignment,) = server.start()
    assert assignment.primes == (), "one copy for a family"
    assert (server.computed[first], server.computed[second]) == (520, 20)


def test_the_first_of_several_families_leaves_its_prompt_too() -> None:
    """Chunks of a document share a head, and each will be asked about again after others had the slots."""
    server = Server.make(count=2)
    head = tokens(100, 0)
    chunks = [head + tokens(200, 1000 * n) for n in range(1, 6)]
    for ask in (10_000, 20_000):
        asked = {
            f"{ask}/{n}": server.submit(chunk + tokens(10, ask + 100 * n), family=f"{ask}/{n}")[0]
            for n, chunk in enumerate(chunks)
        }
        server.run()
        server.submit(tokens(400, ask + 5000), family=f"{ask}/answer")
        server.run()
    assert [server.computed[request] for request in asked.values()] == [10] * 5


def test_without_a_family_the_second_leaves_what_it_shares_with_the_first() -> None:
    server = Server.make()
    shared = tokens(500, 0)
    requests = []
    for number in range(1, 5):
        requests += server.submit(shared + tokens(20, 1000 * number))
        server.start()
    assert [server.computed[request] for request in requests] == [520, 520, 20, 20]


def test_the_next_turn_of_a_conversation_goes_back_to_its_slot() -> None:
    server = Server.make(count=3)
    talks = [tokens(100, 1000 * n) for n in range(1, 4)]
    server.submit(*talks)
    begun = server.start()
    answer = tokens(40, 50_000)
    for assignment in begun:
        server.finish(assignment, answer)
    requests = server.submit(*(talk + answer + tokens(10, 60_000 + n) for n, talk in enumerate(talks[::-1])))
    server.start()
    assert [server.computed[request] for request in requests] == [10, 10, 10]


def test_a_stranger_does_not_take_the_slot_that_another_waits_for() -> None:
    server = Server.make(count=2)
    talk = tokens(100, 1000)
    server.submit(talk, tokens(50, 5000))
    for assignment in server.start():
        server.finish(assignment)
    _, turn = server.submit(tokens(70, 8000), talk + tokens(10, 2000))
    server.start()
    assert server.computed[turn] == 10


def test_the_budget_drops_the_least_recently_used() -> None:
    table = SlotTable(1, WORTHWHILE, budget=250, places=64)
    kept = [Saved(pack(tokens(50, 1000 * n)), 100, str(n)) for n in range(4)]
    assert table.keep(kept[0]) == []
    assert table.keep(kept[1]) == []
    table.add([Request(kept[0].tokens + pack([7]))])
    (assignment,) = table.assign()
    assert assignment.restore is kept[0]
    table.release(assignment, b"")
    assert table.keep(kept[2]) == [kept[1]]
    assert table.keep(replacement := Saved(kept[2].tokens, 100, "again")) == [kept[2]]
    assert table.forget(replacement)
    assert not table.forget(replacement)


def test_a_prefix_in_use_is_not_dropped() -> None:
    table = SlotTable(2, WORTHWHILE, budget=100, places=64)
    first, second = (Saved(pack(tokens(50, 1000 * n)), 100, str(n)) for n in range(2))
    table.keep(first)
    table.add([Request(first.tokens + pack([7]))])
    (assignment,) = table.assign()
    assert table.keep(second) == []
    table.release(assignment, None)
    assert table.keep(Saved(pack([1]), 1, "x")) == [first, second]


def test_places_are_limited() -> None:
    table = SlotTable(2, WORTHWHILE, budget=1 << 30, places=5)
    dropped = [each for n in range(6) for each in table.keep(Saved(pack(tokens(50, 1000 * n)), 1, str(n)))]
    assert [each.place for each in dropped] == ["0", "1", "2"]


def test_a_withdrawn_request_is_forgotten() -> None:
    table = SlotTable(1, WORTHWHILE, 100, 64)
    (request,) = requests = [Request(pack([1, 2]))]
    table.add(requests)
    table.withdraw(request)
    table.withdraw(request)
    assert table.assign() == []


@settings(max_examples=150, deadline=None)
@given(st.integers(0, 2**32), st.integers(1, 6), st.sampled_from([300, 3_000, 1 << 20]))
def test_random_traffic(seed: int, count: int, budget: int) -> None:
    """Whatever comes, goes or fails: all requests end, and no slot is given to two."""
    chance = random.Random(seed)
    server = Server.make(count, budget=budget, places=count + 4)
    roots = [tokens(chance.choice((10, 40, 120)), 100_000 * n) for n in range(3)]
    stems = [
        root + tokens(chance.choice((0, 20, 60)), 1_000 * n + 50_000) for root in roots for n in range(3)
    ]
    waiting: set[Request] = set()
    for step in range(60):
        action = chance.random()
        if action < 0.4:
            prompts = [chance.choice(stems) + tokens(chance.randint(1, 40), step * 100) for _ in range(3)]
            waiting.update(
                server.submit(
                    *prompts, family=chance.choice((None, "f", "g")), priority=chance.choice((0, 1))
                )
            )
        elif action < 0.5 and waiting:
            gone = sorted(waiting, key=lambda request: request.tokens)[0]
            waiting.discard(gone)
            server.table.withdraw(gone)
        elif server.running:
            server.finish(chance.choice(server.running), tokens(chance.randint(0, 9), 777_000))
        waiting -= {each.request for each in server.start()}
    while server.running:
        server.finish(server.running[0])
        waiting -= {each.request for each in server.start()}
    assert not waiting


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 2**32), st.integers(1, 8))
def test_what_is_computed_is_near_the_least_possible(seed: int, count: int) -> None:
    """Calls that arrive together compute each edge of their prefix tree once, but for short edges."""
    chance = random.Random(seed)
    fresh = itertools.count()

    def grow(depth: int, head: list[int]) -> list[list[int]]:
        here = head + [next(fresh) for _ in range(chance.choice((5, 50, 100)))]
        if depth == 0:
            return [here]
        return [leaf for _ in range(chance.randint(1, 4)) for leaf in grow(depth - 1, here)]

    prompts = grow(3, [])
    chance.shuffle(prompts)
    edges = {tuple(prompt[: end + 1]) for prompt in prompts for end in range(len(prompt))}
    server = Server.make(count)
    server.submit(*prompts)
    server.run()
    assert len(edges) <= sum(server.computed.values()) <= len(edges) + 2 * WORTHWHILE * len(prompts)


def test_a_thousand_waiting_calls_do_not_hold_up_the_loop() -> None:
    server = Server.make()
    shared = tokens(1000, 0)
    server.submit(*(shared + tokens(20, 1000 * n) for n in range(1, 1001)))
    server.start()
    server.finish(server.running[0])
    began = time.thread_time()
    server.table.assign()
    # Some milliseconds; measuring coverage makes it slower.
    assert time.thread_time() - began < (0.05 if sys.gettrace() is None else 0.5)

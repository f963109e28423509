from __future__ import annotations

from orchestrator.planning.planner import planner
from orchestrator.planning.run import Run
from orchestrator.runtime.values import Answer, Budget, Question
from planners.forking import CriticalPath, affordable, waves
from tests.planners.conftest import play
from workers.calls import Call
from workers.engines.simulator.engine import CostModel, Simulator

TOKEN = "word"
"""A token of the simulator has four characters."""


def as_long_as_asked(call: Call, _: object) -> str:
    return TOKEN * int(call.prompt.segments[-1].text)


@planner("forks")
async def forks(run: Run, question: Question) -> Answer:
    """A sequence of 5, threads of 3, 9 and 4, one of which forks again, and a sequence of 2."""
    path = CriticalPath()
    await path.add(run.generate("5"))
    one, two, three = path.fork(3)
    calls = [one.add(run.generate("3")), two.add(run.generate("9")), three.add(run.generate("4"))]
    calls += [inner.add(run.generate("7")) for inner in three.fork(2)]
    assert (path.sequential, path.total) == (5, 5)  # what has not settled counts nothing
    await run.join(calls)
    await path.add(run.generate("2"))
    run.decide("forks", "finish", path.told())
    return Answer("done")


async def test_the_longest_chain_and_all_tokens_are_counted() -> None:
    played = await play(forks, "?", Simulator(as_long_as_asked))
    (told,) = played.decisions("forks")
    sequential, total = 5 + (4 + 7) + 2, 5 + 3 + 9 + 4 + 2 * 7 + 2
    assert told["saw"] == {
        "sequential": sequential,
        "total": total,
        "acceleration": round(1 - sequential / total, 4),
    }


@planner("cancels")
async def cancels(run: Run, question: Question) -> Answer:
    path = CriticalPath()
    quick, slow = path.fork(2)
    await quick.add(run.generate("2"))
    node = slow.add(run.stream("400", breaks="d"))
    async for _ in node:
        break
    node.cancel("enough")
    run.decide("cancels", "finish", path.told())
    return Answer("done")


async def test_tokens_of_cancelled_calls_were_generated_too() -> None:
    engine = Simulator(as_long_as_asked, cost=CostModel(latency=0.0, decode_tokens_per_s=200))
    played = await play(cancels, "?", engine)
    saw = played.decisions("cancels")[0]["saw"]
    assert saw["total"] == 2 + played.result.spent.cancelled_tokens > 2
    assert saw["sequential"] == max(2, played.result.spent.cancelled_tokens)


def test_a_path_without_calls_has_no_tokens() -> None:
    path = CriticalPath()
    path.fork(0)
    path.fork(2)
    assert path.told() == {"sequential": 0, "total": 0, "acceleration": 0.0}


def test_waves_are_as_wide_as_they_may_be() -> None:
    assert [list(each) for each in waves("abcde", 2)] == [["a", "b"], ["c", "d"], ["e"]]
    assert [list(each) for each in waves("abc", None)] == [["a", "b", "c"]]
    assert [list(each) for each in waves("ab", 0)] == [["a"], ["b"]]
    assert list(waves("", None)) == []


@planner("counts")
async def counts(run: Run, question: Question) -> Answer:
    before = affordable(run, 9)
    await run.generate("1")
    return Answer(f"{before} {affordable(run, 9)} {affordable(run, 9, reserve=7)} {affordable(run, 1)}")


async def test_calls_are_kept_in_reserve() -> None:
    played = await play(counts, "?", Simulator(as_long_as_asked), budget=Budget(calls=6))
    assert played.answer.text == "5 4 0 1"
    unbounded = await play(counts, "?", Simulator(as_long_as_asked), budget=Budget(calls=None))
    assert unbounded.answer.text == "9 9 9 1"

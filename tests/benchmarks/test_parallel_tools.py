"""The questions have one answer each, the critical path is what was measured, and a broken bound fails."""

from __future__ import annotations

import json
import re
from pathlib import Path

import platformdirs
import pytest

from benchmarks import parallel_contenders, parallel_tools
from benchmarks.parallel_contenders import LANGGRAPH, Answered, Heard, Watched, critical_seconds, tools_for
from benchmarks.parallel_questions import PARALLELQA, Question, Step, questions, widths_of
from benchmarks.parallel_server import STYLES, Script, acted, called, planned
from benchmarks.parallel_tools import COMPILER, HELD, PEER, POOLED, Row, checks_of, rows_of, table
from workers.calls import Call, Prompt, Sampling, Segment
from workers.engines.simulator.engine import CostModel, Simulator


def test_the_questions_have_the_shape_of_parallelqa_and_one_answer_each(tmp_path: Path) -> None:
    made = questions(PARALLELQA)
    assert len(made) == 113
    assert [each.width for each in made] == list(PARALLELQA)
    assert made == questions(PARALLELQA)
    texts = [step.text for each in made for step in each.steps]
    assert len(texts) == len(set(texts))
    for each in made:
        heights = [float(step.result.split()[5]) for step in each.steps if step.tool == "math"]
        names = [step.text.split()[3] for step in each.steps if step.tool == "search"]
        assert len(set(heights)) == each.width
        assert names[heights.index(max(heights))] == each.answer
        before = [int(step.result.split()[8]) for step in each.steps if step.tool == "search"]
        percents = [int(found) for found in re.findall(r"(\d+) %", each.text)]
        signs = [1 if word == "higher" else -1 for word in re.findall(r"% (higher|lower)", each.text)]
        for height, changed, percent, sign in zip(before, heights, percents, signs, strict=True):
            assert changed == pytest.approx(height * (1 + sign * percent / 100))
    given = tmp_path / "parallelqa.json"
    given.write_text(json.dumps([{"id": "1", "branch": 3}, {"id": "2", "branch": 5}]))
    assert widths_of(given) == [3, 5]
    assert widths_of(None) == PARALLELQA


QUESTION = Question(
    0,
    "If the A tower were 5 % higher and the B tower 5 % lower, which of them would be the highest?",
    "A",
    ("A", "B"),
    (
        Step(1, "search", "a", (), "A is 100 metres high.", 0.5),
        Step(2, "search", "b", (), "B is 90 metres high.", 0.1),
        Step(3, "math", "c", (1,), "A would be 105 metres high.", 0.2),
        Step(4, "math", "d", (2,), "B would be 85.5 metres high.", 0.3),
    ),
)


def test_the_critical_path_is_made_of_lines_calls_and_the_join() -> None:
    planned = Heard(10.0, [10.1, 10.2, 10.3, 10.4, 10.5], 10.6)
    took = {"a": 0.5, "b": 0.1, "c": 0.2, "d": 0.3}
    # a ends at 10.6 and c at 10.8; d begins at its line, 10.4, and ends at 10.7.
    joins = [Heard(11.0, [], 11.4), Heard(11.1, [], 11.5)]
    assert critical_seconds(QUESTION, [planned, *joins], took) == pytest.approx(0.8 + 0.5)
    assert critical_seconds(QUESTION, [planned], {**took, "b": 2.0}) == pytest.approx(2.5)
    assert critical_seconds(QUESTION, [planned], took, 0.1) == pytest.approx(0.9)
    # Nothing ends before the plan.
    assert critical_seconds(QUESTION, [Heard(10.0, planned.lines, 13.0)], took) == pytest.approx(3.0)


def asked(text: str) -> Call:
    return Call(Prompt((Segment("user", text),)), Sampling(temperature=0.0, max_tokens=512), task="t")


async def test_what_is_not_streamed_comes_whole_and_its_lines_with_it() -> None:
    def engine() -> Simulator:
        return Simulator("1. a()\n2. b()\n3. join()", cost=CostModel(decode_tokens_per_s=100))

    streamed, held = Watched(engine()), Watched(engine(), streams=False)
    chunks = [chunk async for chunk in streamed.generate(asked("?"))]
    assert "".join([chunk.text async for chunk in held.generate(asked("?"))]) == "".join(
        chunk.text for chunk in chunks
    )
    (first,), (second,) = streamed.heard["t"], held.heard["t"]
    assert len(first.lines) == len(second.lines) == 2
    assert first.began < first.lines[0] < first.lines[1] < first.ended
    assert second.lines == [second.ended] * 2


async def test_what_the_server_says_follows_from_the_results_in_the_prompt() -> None:
    engine = Simulator(Script([QUESTION], planned))

    async def said(text: str) -> str:
        return "".join([chunk.text async for chunk in engine.generate(asked(text))])

    lines = (await said(f"Whatever. {QUESTION.text}")).splitlines()
    assert lines == [
        '1. search("a")', '2. search("b")', '3. math("c", [$1])', '4. math("d", [$2])',
        '5. argmax({"A": $3, "B": $4})', "6. join()",
    ]  # fmt: skip
    results = " ".join(step.result for step in QUESTION.steps)
    joined = json.loads(await said(f"Whatever. {QUESTION.text} {results}"))
    assert joined["answer"] == "A"
    assert "105 and 85.5 metres" in joined["thought"]
    assert await said("Is anybody there?") == "ok"


def test_an_agent_makes_one_call_after_the_other_and_functions_are_called_in_rounds() -> None:
    first, second, third, _ = QUESTION.steps
    assert acted(QUESTION, []).endswith('\nAction: search(query="a")')
    assert acted(QUESTION, [first, second]).endswith('\nAction: math(problem="c", context=["100"])')
    assert acted(QUESTION, QUESTION.steps).endswith('\nAction: finish(answer="A")')
    assert called(QUESTION, []).count("<tool_call>") == 2
    assert '"d"' not in called(QUESTION, [first])
    assert called(QUESTION, [first, second]).count('"math"') == 2
    assert called(QUESTION, [first, second, third]).count("<tool_call>") == 1
    assert called(QUESTION, QUESTION.steps).endswith("Answer: A")
    assert set(STYLES.values()) == {planned, acted, called}


async def test_the_tools_take_their_time_and_say_when_they_know_nothing() -> None:
    took: dict[str, float] = {}
    search, math = tools_for([QUESTION], 20.0, took)
    assert await search.invoke({"query": "a"}) == "A is 100 metres high."
    assert (
        await math.invoke({"problem": "c", "context": ["A is 100 metres high."]})
        == "A would be 105 metres high."
    )
    assert took["a"] >= 0.5 / 20
    assert "Nothing is known" in str(await search.invoke({"query": "zz"}))
    assert set(took) == {"a", "c"}


def answered(seconds: float, beyond: float | None = None) -> Answered:
    return Answered("A", seconds, 100, 10, 2, beyond)


def rows(**seconds: float) -> list[Row]:
    names = {"compiler": COMPILER, "held": HELD, "react": "react", "calls": "calls", "peer": PEER}
    results = {
        names[key]: [(QUESTION, answered(value, 0.002 if key == "compiler" else None))] * 2
        for key, value in seconds.items()
    }
    return rows_of(results, speed=10)


def test_a_bound_that_is_broken_fails() -> None:
    kept = rows(compiler=1.0, held=1.3, react=1.8, calls=1.35, peer=1.0)
    assert all(check.passed for check in checks_of(kept))
    assert (kept[0].seconds, kept[0].ratio, kept[0].beyond) == (10.0, 1.0, 2.0)
    broken = checks_of(rows(compiler=1.0, held=1.29, react=1.7, calls=1.3, peer=0.9))
    assert [check.passed for check in broken if not check.name.startswith("right")] == [False] * 4 + [True]
    late = [Row(COMPILER, 2, 0.5, 10, 10, 1, 100, 10, 2, 1, 15.1)]
    assert [check.passed for check in checks_of(late)] == [False, False]
    assert "| llm_compiler | 2 | 50 | 10.0 |" in table(late)


def test_our_planners_alone_on_the_simulated_server(capsys: pytest.CaptureFixture[str]) -> None:
    arguments = ["--questions", "2", "--speed", "60", "--lanes", "2", "--no-peer", "--json"]
    parallel_tools.main(arguments)  # its exit code depends on how busy the machine is
    report = json.loads(capsys.readouterr().out.splitlines()[-1])
    found = {row["contender"]: row for row in report["rows"]}
    assert all(row["right"] == 1 and row["questions"] == 2 for row in found.values())
    assert found[COMPILER]["beyond"] is not None
    assert found[COMPILER]["completion"] == found[HELD]["completion"]
    assert report["langgraph"] == f"left out ({LANGGRAPH})"


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_langgraph_answers_beside_us(capsys: pytest.CaptureFixture[str]) -> None:
    installed = Path(platformdirs.user_cache_dir("anabranch")) / "peers" / "langgraph" / "installed"
    if not installed.exists() or installed.read_text() != LANGGRAPH:
        pytest.skip("LangGraph is not installed; python -m benchmarks.parallel_tools does it")
    parallel_tools.main(["--questions", "3", "--speed", "20", "--lanes", "3", "--json"])
    report = json.loads(capsys.readouterr().out.splitlines()[-1])
    found = {row["contender"]: row for row in report["rows"]}
    assert f"langgraph=={report['langgraph']}" == LANGGRAPH
    assert found[PEER]["right"] == found[POOLED]["right"] == 1
    assert found[PEER]["completion"] == found[POOLED]["completion"]
    assert found[PEER]["seconds"] > 1.1 * found[POOLED]["seconds"]  # one search after the other


def test_a_peer_that_cannot_be_run_is_left_out(capsys: pytest.CaptureFixture[str]) -> None:
    assert parallel_contenders.find_peer(Path("/nowhere/python")) is None
    assert "LangGraph is left out: " in capsys.readouterr().err

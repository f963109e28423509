"""The DAG: readiness, ranks, and plans that are none."""

from __future__ import annotations

import networkx as nx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.errors import CycleError, GraphError, UnknownReference
from orchestrator.runtime.graph import Graph, check_references

dags = st.lists(st.sets(st.integers(1, 8), max_size=3), min_size=1, max_size=30).map(
    lambda back: [sorted({at - step for step in steps if at >= step}) for at, steps in enumerate(back)]
)
"""Inputs of each node, which come before it."""


def built(inputs: list[list[int]]) -> Graph:
    graph = Graph()
    for at, sources in enumerate(inputs):
        assert graph.add(str(at), [str(source) for source in sources], cost=at + 1) is (not sources)
    return graph


@given(dags, st.randoms())
def test_a_node_is_ready_once_when_its_last_input_settles(inputs: list[list[int]], rng: object) -> None:
    graph = built(inputs)
    ready = [str(at) for at, sources in enumerate(inputs) if not sources]
    settled: list[str] = []
    while ready:
        path = ready.pop(rng.randrange(len(ready)))  # type: ignore[attr-defined]
        assert all(source in settled for source in graph.inputs(path))
        settled.append(path)
        ready += graph.settle(path)
    assert sorted(settled, key=int) == [str(at) for at in range(len(inputs))]


@given(dags)
def test_the_upward_rank_is_the_longest_way_to_an_end(inputs: list[list[int]]) -> None:
    graph = built(inputs)
    reference: nx.DiGraph[int] = nx.DiGraph()
    reference.add_nodes_from(range(len(inputs)))
    reference.add_edges_from((source, at) for at, sources in enumerate(inputs) for source in sources)
    ranks: dict[int, float] = {}
    for at in reversed(list(nx.topological_sort(reference))):
        ranks[at] = at + 1 + max((ranks[target] for target in reference.successors(at)), default=0)
    assert {at: graph.upward_rank(str(at)) for at in range(len(inputs))} == ranks


def test_ranks_follow_what_is_added() -> None:
    graph = built([[], [0]])
    assert graph.upward_rank("0") == 3
    graph.add("2", ["1"], cost=10)
    assert graph.upward_rank("0") == 13


def test_a_long_chain_is_no_recursion() -> None:
    graph = built([[at - 1] if at else [] for at in range(20_000)])
    assert graph.upward_rank("0") == sum(range(1, 20_001))


def test_inputs_that_have_settled_are_not_waited_for() -> None:
    graph = built([[], []])
    assert not graph.add("2", ["0", "1"], settled=["0"])
    assert graph.settle("1") == ["2"]
    assert graph.add("3", ["0", "0"], settled=["0"])


def test_what_cannot_be_added_is_named() -> None:
    graph = built([[]])
    with pytest.raises(GraphError, match="node 0 exists already"):
        graph.add("0")
    with pytest.raises(UnknownReference, match="node 1 needs 7, 8, which no node"):
        graph.add("1", ["0", "7", "8"])
    assert "1" not in graph
    assert len(graph) == 1


def test_a_plan_with_unknown_steps_or_circles_is_refused() -> None:
    check_references({"a": [], "b": ["a"], "c": ["a", "b"]})
    with pytest.raises(UnknownReference, match="step b refers to d; the steps are a, b"):
        check_references({"a": [], "b": ["d"]})
    with pytest.raises(CycleError, match=r"a -> b -> c -> a|b -> c -> a -> b|c -> a -> b -> c"):
        check_references({"a": ["c"], "b": ["a"], "c": ["b"], "d": ["a"]})
    with pytest.raises(CycleError, match="a -> a"):
        check_references({"a": ["a"]})

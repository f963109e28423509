"""The growing DAG of a run: which node needs which, what is ready, and how far each is from the end."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping

import networkx as nx

from orchestrator.errors import CycleError, GraphError, UnknownReference


class Graph:
    """Nodes named by path; an edge says that its target needs the result of its source.

    A node is added after its inputs, so a run cannot build a cycle by adding nodes; :func:`check_references`
    is for plans that name their edges up front.
    """

    def __init__(self) -> None:
        self._edges: nx.DiGraph[str] = nx.DiGraph()
        self._missing: dict[str, int] = {}
        self._cost: dict[str, float] = {}
        self._rank: dict[str, float] = {}

    def __len__(self) -> int:
        return len(self._missing)

    def __contains__(self, path: str) -> bool:
        return path in self._missing

    def add(
        self, path: str, inputs: Collection[str] = (), *, settled: Collection[str] = (), cost: float = 1.0
    ) -> bool:
        """Add a node, and return whether it is ready: none of its inputs is missing.

        ``settled`` are the inputs that already have their results; ``cost`` is the expected work of the node,
        in any unit that is the same for all nodes.

        Raises:
            UnknownReference: an input is not in the graph.
            GraphError: the path is taken.
        """
        if path in self._missing:
            raise GraphError(f"node {path} exists already")
        unknown = [source for source in inputs if source not in self._missing]
        if unknown:
            raise UnknownReference(
                f"node {path} needs {', '.join(unknown)}, which no node of this run is called"
            )
        self._edges.add_node(path)
        self._edges.add_edges_from((source, path) for source in inputs)
        self._missing[path] = len(set(inputs).difference(settled))
        self._cost[path] = cost
        if self._missing[path]:  # otherwise its inputs have all run, and their ranks are not asked for again
            self._rank.clear()
        return self._missing[path] == 0

    def settle(self, path: str) -> list[str]:
        """Record that ``path`` has its result; returns the nodes that became ready, in the order added."""
        ready = []
        for target in self._edges.successors(path):
            self._missing[target] -= 1
            if self._missing[target] == 0:
                ready.append(target)
        return ready

    def inputs(self, path: str) -> Iterator[str]:
        """The nodes whose results ``path`` needs."""
        return self._edges.predecessors(path)

    def dependents(self, path: str) -> Iterator[str]:
        """The nodes that need the result of ``path``."""
        return self._edges.successors(path)

    def upward_rank(self, path: str) -> float:
        """Cost of the longest known path from ``path`` to an end, itself included (HEFT, Topcuoglu 2002)."""
        stack = [path]
        while stack:
            top = stack[-1]
            open_targets = [target for target in self._edges.successors(top) if target not in self._rank]
            if open_targets:
                stack.extend(open_targets)
                continue
            stack.pop()
            below = (self._rank[target] for target in self._edges.successors(top))
            self._rank[top] = self._cost[top] + max(below, default=0.0)
        return self._rank[path]


def check_references(needs: Mapping[str, Iterable[str]]) -> None:
    """Refuse a plan whose steps refer to steps that do not exist, or wait for each other in a circle.

    ``needs`` maps the id of each step to the ids of the steps whose results it uses.

    Raises:
        UnknownReference: names the step and the id that it refers to.
        CycleError: names the steps of one circle, in order.
    """
    graph: nx.DiGraph[str] = nx.DiGraph()
    graph.add_nodes_from(needs)
    for step, sources in needs.items():
        for source in sources:
            if source not in needs:
                raise UnknownReference(f"step {step} refers to {source}; the steps are {', '.join(needs)}")
            graph.add_edge(source, step)
    try:
        cycle = nx.find_cycle(graph)
    except nx.NetworkXNoCycle:
        return
    circle = [source for source, _ in cycle]
    raise CycleError(f"steps wait for each other in a circle: {' -> '.join([*circle, circle[0]])}")

"""A picture of a run: its DAG from left to right, as SVG."""

from __future__ import annotations

from collections.abc import Iterator
from html import escape

import networkx as nx

from orchestrator.errors import TraceTooLarge
from orchestrator.visible import one_line
from storage.trace import Trace, TraceNode

WIDTH, HEIGHT, GAP, ROW = 190, 44, 52, 62
MARGIN = 24
LARGEST = 10_000
"""The most nodes of a picture."""
REDUCED = 2_000_000
"""To leave out arrows that others imply takes nodes times arrows; beyond this many, all are drawn."""
COLOURS = {
    "succeeded": ("#e6f4ea", "#2e7d32"),
    "failed": ("#fdecea", "#c62828"),
    "cancelled": ("#f1f3f4", "#80868b"),
    "running": ("#e8f0fe", "#1a73e8"),
    "waiting": ("#ffffff", "#80868b"),
}
STYLE = (
    "text{font:12px ui-sans-serif,system-ui,sans-serif;fill:#202124}"
    ".small{font-size:10px;fill:#5f6368}path{fill:none;stroke:#9aa0a6}"
)


def picture(trace: Trace) -> str:
    """The DAG of a trace as an SVG document.

    Each box is a node, in the column after the last node that it needed or waited for; scopes end with
    their children. Dashed boxes were cancelled.

    Raises:
        TraceTooLarge: it has more nodes than a picture can show.
    """
    nodes = {node.path: node for node in trace.walk()}
    if len(nodes) > LARGEST:
        raise TraceTooLarge(trace.task.id, f"{len(nodes):,} nodes, and a picture shows at most {LARGEST:,}")
    graph = _graph(nodes)
    places = _places(graph)
    columns = 1 + max((column for column, _ in places.values()), default=0)
    rows = 1 + max((row for _, row in places.values()), default=0)
    width = 2 * MARGIN + columns * (WIDTH + GAP) - GAP
    height = 2 * MARGIN + rows * ROW - (ROW - HEIGHT)
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" '
        f'width="{width}" height="{height}" role="img">',
        f"<title>{escape(one_line(f'{trace.task.planner}: {trace.task.id}'))}</title><style>{STYLE}</style>",
        f'<rect width="{width}" height="{height}" fill="#ffffff"/>',
        *(_arrow(places[source], places[target]) for source, target in graph.edges),
        *(_box(nodes[path], place) for path, place in places.items()),
        "</svg>",
    ]
    return "\n".join(parts) + "\n"


def _graph(nodes: dict[str, TraceNode]) -> nx.DiGraph[str]:
    """What each node waited for: its inputs, what its planner had seen, and for a scope its children."""
    graph: nx.DiGraph[str] = nx.DiGraph()
    graph.add_nodes_from(nodes)
    for node in nodes.values():
        if sources := (*node.inputs, *node.after):
            leaves = list(_entries(node))
            graph.add_edges_from((source, leaf) for source in sources for leaf in leaves)
        graph.add_edges_from((child.path, node.path) for child in node.children)
    small = len(graph) * graph.number_of_edges() <= REDUCED
    return nx.transitive_reduction(graph) if small and nx.is_directed_acyclic_graph(graph) else graph


def _entries(node: TraceNode) -> Iterator[str]:
    """Where a node begins: a scope begins with those children that wait for no other child."""
    pending = [node]
    while pending:
        node = pending.pop()
        if not node.children:
            yield node.path
        pending.extend(child for child in reversed(node.children) if not child.inputs and not child.after)


def _places(graph: nx.DiGraph[str]) -> dict[str, tuple[int, int]]:
    """Column and row of each node; each column is centred."""
    places: dict[str, tuple[int, int]] = {}
    layers = list(nx.topological_generations(graph))
    tallest = max(map(len, layers), default=0)
    for column, layer in enumerate(layers):
        first = (tallest - len(layer)) // 2
        for row, path in enumerate(sorted(layer, key=_order)):
            places[path] = (column, first + row)
    return places


def _order(path: str) -> list[int]:
    return [int(part) for part in path.split(".")]


def _corner(place: tuple[int, int]) -> tuple[int, int]:
    return MARGIN + place[0] * (WIDTH + GAP), MARGIN + place[1] * ROW


def _arrow(source: tuple[int, int], target: tuple[int, int]) -> str:
    (x1, y1), (x2, y2) = _corner(source), _corner(target)
    x1, y1, y2 = x1 + WIDTH, y1 + HEIGHT // 2, y2 + HEIGHT // 2
    return f'<path d="M{x1} {y1}C{x1 + GAP} {y1} {x2 - GAP} {y2} {x2} {y2}"/>'


def _box(node: TraceNode, place: tuple[int, int]) -> str:
    x, y = _corner(place)
    fill, stroke = COLOURS[node.state]
    dash = ' stroke-dasharray="4 3"' if node.state == "cancelled" else ""
    facts = [node.kind[:40] if node.state == "succeeded" else node.state]
    if node.tokens:
        facts.append(f"{node.tokens} tokens")
    facts.append(f"{node.seconds:.1f} s")
    title = one_line(f"{node.path} {node.label[:100]}").strip()
    title = title if len(title) <= 26 else f"{title[:25]}…"
    return (
        f'<g><rect x="{x}" y="{y}" width="{WIDTH}" height="{HEIGHT}" rx="6" fill="{fill}" '
        f'stroke="{stroke}"{dash}/><text x="{x + 9}" y="{y + 18}">{escape(title)}</text>'
        f'<text class="small" x="{x + 9}" y="{y + 34}">{escape(one_line(" · ".join(facts)))}</text></g>'
    )

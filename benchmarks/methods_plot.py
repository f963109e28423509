"""Pictures of what methods cost and how often they are right, one for each set."""

from __future__ import annotations

from collections.abc import Container, Sequence
from pathlib import Path

from benchmarks.methods_table import Row

AXES = (("all_tokens", "all tokens"), ("critical", "tokens of the critical path"), ("seconds", "seconds"))


def plot(rows: Sequence[Row], controls: Container[str], directory: Path) -> None:
    """Write ``SET.svg`` for each set and model; needs the extra ``bench``.

    The controls are joined by a line: what is above it is right more often at equal cost.
    """
    from matplotlib import rc_context
    from matplotlib.figure import Figure

    directory.mkdir(parents=True, exist_ok=True)
    for model, name in dict.fromkeys((row.model, row.set) for row in rows):
        own = [row for row in rows if (row.model, row.set) == (model, name)]
        figure = Figure(figsize=(4.6 * len(AXES), 4.2), layout="constrained")
        for axes, (cost, label) in zip(figure.subplots(1, len(AXES)), AXES, strict=True):
            points = points_of(own, cost)
            line = [(x, y) for x, y, row in points if row.planner in controls]
            axes.plot([x for x, _ in line], [y for _, y in line], "-", color="tab:gray")
            for x, y, row in points:
                low, high = (100 * each for each in row.interval)
                colour = "tab:gray" if row.planner in controls else "tab:blue"
                axes.errorbar(
                    x, y, [[max(0.0, y - low)], [max(0.0, high - y)]], fmt="o", color=colour, alpha=0.6
                )
                axes.annotate(
                    _short(row.planner), (x, y), xytext=(4, 3), textcoords="offset points", fontsize=7
                )
            axes.set(xscale="log", ylim=(-3, 103), xlabel=label)
        figure.suptitle(f"{name}, {own[0].questions} questions, {model}: right %, with 95 % intervals")
        file = directory / (f"{name}.svg" if _one(rows) else f"{model}-{name}.svg")
        with rc_context({"svg.fonttype": "none", "svg.hashsalt": name}):  # the same rows make the same file
            figure.savefig(file, metadata={"Date": None})


def points_of(rows: Sequence[Row], cost: str) -> list[tuple[float, float, Row]]:
    """The rows with what they cost and the percentage that is right, the cheapest first."""
    points = ((getattr(row, cost), 100 * row.right / row.questions, row) for row in rows)
    return sorted(points, key=lambda point: point[:2])  # rows have no order


def _one(rows: Sequence[Row]) -> bool:
    return len({row.model for row in rows}) == 1


def _short(planner: str) -> str:
    """The name of a planner, and its options without signs."""
    return planner.replace('"', "").replace("{", "").replace("}", "").replace("rule=fixed:width=", "n=")

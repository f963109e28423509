"""The picture of the stop rules: sequential against total tokens."""

from __future__ import annotations

from collections.abc import Container, Sequence
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Point:
    """A rule, its tokens until the decision, and its accuracy in %."""

    rule: str
    sequential: float
    total: float
    accuracy: float


def plot(points: Sequence[Point], directory: Path, *, curve: str, published: Container[str]) -> None:
    """Write ``pareto.png`` and ``pareto.svg``; needs the extra ``bench``.

    The rules whose name begins with ``curve`` are joined by a line, those in ``published`` are blue.
    """
    from matplotlib.figure import Figure

    figure = Figure(figsize=(8, 5.5), layout="constrained")
    axes = figure.subplots()
    joined = [point for point in points if point.rule.startswith(curve)]
    axes.plot(
        [point.sequential for point in joined], [point.total for point in joined], "-", color="tab:green"
    )
    for point in points:
        colour = "tab:green" if point in joined else "tab:blue" if point.rule in published else "tab:gray"
        axes.plot(point.sequential, point.total, "o", color=colour)
        axes.annotate(
            f"{point.rule}  {point.accuracy:.1f} %",
            (point.sequential, point.total),
            xytext=(8, -3) if point in joined else (3, 5),
            rotation=0 if point in joined else 45,
            textcoords="offset points",
            fontsize=8,
        )
    axes.margins(0.12)
    axes.set(
        xscale="log",
        yscale="log",
        xlabel="sequential tokens until the decision",
        ylabel="total tokens until the decision",
        title="Stop rules on recorded branches (left and down is better; accuracy in the labels)",
    )
    directory.mkdir(parents=True, exist_ok=True)
    for suffix in ("png", "svg"):
        figure.savefig(directory / f"pareto.{suffix}", dpi=150)

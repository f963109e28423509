"""A terminal that text from elsewhere cannot steer."""

from __future__ import annotations

from collections.abc import Iterable

from rich.console import Console, ConsoleOptions, RenderableType
from rich.markup import escape
from rich.segment import Segment
from typing_extensions import override

from orchestrator.visible import one_line, visible


class Terminal(Console):
    """A console that shows characters which would steer it, and takes no text for markup that is not ours.

    What builds a text passes the parts from elsewhere through :func:`cell`; this catches what it forgets.
    """

    def __init__(self, *, stderr: bool = False) -> None:
        super().__init__(stderr=stderr, highlight=False, emoji=False)

    @override
    def render(self, renderable: RenderableType, options: ConsoleOptions | None = None) -> Iterable[Segment]:
        for segment in super().render(renderable, options):
            yield segment if segment.control else Segment(visible(segment.text), segment.style)


def cell(value: object) -> str:
    """A value from elsewhere as markup of one line that shows it as it is."""
    return escape(one_line(str(value)))

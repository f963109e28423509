"""Exact verifiers of generated puzzles, as tools that a run can be given."""

from __future__ import annotations

from collections.abc import Iterable

from benchmarks import countdown, game_of_24
from workers.errors import ToolError
from workers.tools.declaration import tool
from workers.tools.tool import Tool


def verifier(puzzles: Iterable[countdown.Puzzle | game_of_24.Puzzle], *, name: str = "solves") -> Tool:
    """A tool that says whether an answer solves the puzzle whose text the question is."""
    known = {each.text: each for each in puzzles}

    @tool(name=name)
    async def solves(question: str, answer: str) -> bool:
        """Whether an answer solves a puzzle of numbers."""
        if question not in known:
            raise ToolError(f"this is no puzzle that is known here: {question[:100]!r}")
        puzzle = known[question]
        if isinstance(puzzle, game_of_24.Puzzle):
            return puzzle.is_right(answer)
        return countdown.is_right(answer, puzzle.numbers, puzzle.target)

    return solves

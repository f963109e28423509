"""Comparing claims as mathematics, with math-verify (extra ``math``).

It runs in processes of its own (:mod:`workers.apart`): a model may write ``9^{9^{9^9}}``.
"""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path

from orchestrator.consensus.latex import as_latex
from workers.apart import Program
from workers.errors import ToolError
from workers.tools.declaration import tool

AVAILABLE = find_spec("math_verify") is not None
"""Whether the extra ``math`` is installed."""

PROGRAM = Program(Path(__file__).with_name("symbolic_process.py"))
"""What compares; a process that waits for the next pair takes about 100 MB."""


def math_equal(left: str, right: str) -> bool:
    """Whether two mathematical expressions, in LaTeX or plain, have the same value."""
    reply = PROGRAM.reply([as_latex(left), as_latex(right)])
    if reply is None:
        raise ToolError("the two cannot be compared in reasonable time")
    return reply[0] is True


MATH_EQUAL = tool(timeout=60.0)(math_equal)
"""A tool, because it may take a while: it runs off the event loop, and its verdict is recorded."""

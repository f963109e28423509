"""Matrices and vectors of quantities, in LaTeX or as nested lists."""

from __future__ import annotations

from orchestrator.consensus.quantities.meaning import Meaning
from orchestrator.consensus.quantities.patterns import lazily
from orchestrator.consensus.quantities.reading import parse_quantity

_MOST = 64
_NAME = lazily(r"^\s*\$*\s*[A-Za-z]{1,3}(?:\^\{?(?:-1|T|\d)\}?|_\w)?\s*=\s*")
_LATEX = lazily(
    r"\s*\\left[\[(]?\s*|\s*\\right[\])]?\s*|\\begin\{(?:[pbB]?matrix|smallmatrix"
    r"|array)\}(?:\{[clr|]*\})?|\\end\{(?:[pbB]?matrix|smallmatrix|array)\}"
)
_BEGIN = lazily(r"\\begin\{(?:[pbB]?matrix|smallmatrix|array)\}")
_ROWS = lazily(r"\\\\(?:\[[^\]]*\])?")
_NESTED = lazily(r"[\[({]\s*(?P<rows>[\[({][^\[\](){}]*[\])}](?:\s*,\s*[\[({][^\[\](){}]*[\])}])*)\s*[\])}]")
_ROW = lazily(r"[\[({]([^\[\](){}]*)[\])}]")


def read_matrix(text: str) -> Meaning | None:
    """The matrix with its shape and its entries by rows; None for anything else."""
    if "[[" not in text and "\\begin{" not in text and "((" not in text and "[ [" not in text:
        return None
    text = _NAME.sub("", text).strip().strip("$").strip()
    if "\\begin{" in text:
        if len(_BEGIN.findall(text)) != 1 or not text.endswith("}"):
            return None
        inside = _LATEX.sub("", text)
        rows = [_cells(row) for row in _ROWS.split(inside) if row.strip()]
    elif match := _NESTED.fullmatch(text):
        rows = [row.split(",") for row in _ROW.findall(match["rows"])]
    else:
        return None
    width = len(rows[0]) if rows else 0
    if not width or any(len(row) != width for row in rows) or len(rows) * width > _MOST:
        return None
    cells = [parse_quantity(cell.strip()) for row in rows for cell in row]
    parts = tuple(cell for cell in cells if cell is not None)
    return Meaning("matrix", (len(rows), width), parts) if len(parts) == len(cells) else None


def _cells(row: str) -> list[str]:
    """The entries of a row, also where a text has lost what stood between them."""
    return row.split("&") if "&" in row else row.split()

"""What a claim's text means: numbers with units, dates and times, bounds, ranges, several values.

May import nothing but the standard library. Code that reads quantities imports from here.
"""

from orchestrator.consensus.quantities.quantity import (
    Quantity,
    contrary,
    is_scale,
    is_unit,
    parse_quantity,
    same_quantity,
)
from orchestrator.consensus.quantities.spelling import LATEX_TEXT, spelt_out

__all__ = [
    "LATEX_TEXT",
    "Quantity",
    "contrary",
    "is_scale",
    "is_unit",
    "parse_quantity",
    "same_quantity",
    "spelt_out",
]

"""What a claim's text means: numbers with units, dates and times, bounds, ranges, several values.

May import nothing but the standard library. Code that reads quantities imports from here.
"""

from orchestrator.consensus.quantities.comparison import means_quantity, same_meaning
from orchestrator.consensus.quantities.meaning import Meaning
from orchestrator.consensus.quantities.meanings import interpret
from orchestrator.consensus.quantities.moments import ordinal
from orchestrator.consensus.quantities.numbers import SCALES
from orchestrator.consensus.quantities.quantity import Quantity, contrary, same_quantity
from orchestrator.consensus.quantities.reading import is_scale, is_unit, parse_quantity
from orchestrator.consensus.quantities.roman import read_roman
from orchestrator.consensus.quantities.spelling import LATEX_TEXT, spelt_out

__all__ = [
    "LATEX_TEXT",
    "SCALES",
    "Meaning",
    "Quantity",
    "contrary",
    "interpret",
    "is_scale",
    "is_unit",
    "means_quantity",
    "ordinal",
    "parse_quantity",
    "read_roman",
    "same_meaning",
    "same_quantity",
    "spelt_out",
]

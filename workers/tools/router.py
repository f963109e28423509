"""A small trained router as a tool: whether an answer is a list of independent points (arXiv 2307.15337)."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import Literal
from zlib import crc32

from pydantic import BaseModel, ConfigDict, Field, FiniteFloat, ValidationError

from workers.errors import ToolError
from workers.tools.declaration import tool
from workers.tools.tool import Tool
from workers.tools.toolbox import ROUTER

BEGINNING, END = 60, 20
"""The words of a question that count: so many from its beginning, and so many before its end."""

_WORD = re.compile(r"\w+|[?!:`$=]")


class LinearRouter(BaseModel):
    """Logistic regression over hashed words and pairs of words, as ``benchmarks.train_router`` fits it.

    ``weights`` are by feature, a number below 2 to the power of ``bits``; ``threshold`` is the probability
    from which an answer is written as a list.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    format: Literal["anabranch router 1"] = "anabranch router 1"
    bits: int = Field(ge=4, le=24)
    bias: FiniteFloat
    threshold: float = Field(gt=0.0, lt=1.0)
    weights: dict[int, FiniteFloat]

    def probability(self, question: str) -> float:
        """How probable it is that the answer is a list of independent points."""
        features = list(features_of(question, self.bits))
        score = sum(self.weights.get(each, 0.0) for each in features) / math.sqrt(max(1, len(features)))
        return logistic(self.bias + score)


def logistic(score: float) -> float:
    """The probability of a score, which are the log-odds."""
    return 1.0 / (1.0 + math.exp(-max(-50.0, min(50.0, score))))


def features_of(question: str, bits: int) -> Iterator[int]:
    """The features of a question, each once: its words and neighbours, its first words apart, its length."""
    words = _WORD.findall(question.casefold())
    some = words if len(words) <= BEGINNING + END else [*words[:BEGINNING], *words[-END:]]
    told = [f"w {word}" for word in some] + [f"p {one} {other}" for one, other in pairwise(some)]
    told += [f"first {word}" for word in words[:3]]
    told += [f"length {len(words).bit_length()}", f"lines {min(4, question.count(chr(10)))}"]
    yield from {crc32(each.encode()) & ((1 << bits) - 1) for each in told}


def router(path: Path) -> Tool:
    """The tool ``router(question)``, which says how probable a list is, and from where it counts as one.

    Raises:
        ToolError: the file cannot be read, or is no trained router.
    """
    try:
        trained = LinearRouter.model_validate_json(path.expanduser().read_bytes())
    except OSError as error:
        raise ToolError(f"the trained router {str(path)!r} cannot be read: {error.strerror}") from None
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(map(str, first["loc"])) or "the file"
        raise ToolError(
            f"{str(path)!r} is no trained router ({where}: {first['msg']}); "
            "python -m benchmarks.train_router makes one"
        ) from None

    @tool(name=ROUTER)
    async def judge(question: str) -> dict[str, float]:
        """How probable it is that an answer is a list of independent points."""
        return {"probability": round(trained.probability(question), 6), "threshold": trained.threshold}

    return judge

"""What the models of requests, files and settings share: texts that are not empty, and problems in words."""

from __future__ import annotations

from typing import Annotated

from pydantic import StringConstraints, ValidationError

Text = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1)]


def explain(error: ValidationError) -> str:
    """The problems of a validation in one line."""
    return "; ".join(
        f"{'.'.join(str(part) for part in problem['loc']) or 'request'}: {problem['msg']}"
        for problem in error.errors(include_url=False, include_input=False)
    )

"""What the models of requests, files and settings share: non-empty texts, and problems put into words."""

from __future__ import annotations

from typing import Annotated

from pydantic import StringConstraints, ValidationError

from storage.reading import explained

Text = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1)]


def explain(error: ValidationError) -> str:
    """The problems of a validation in one line."""
    return explained(error, most=None, whole="request")

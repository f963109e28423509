"""How errors look to the clients of a protocol that is not our own."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from pydantic import BaseModel

from orchestrator.errors import AnabranchError


@dataclass(frozen=True, slots=True)
class Dialect:
    """The shape in which the clients of a protocol read what they are refused with.

    Everything that a route of the protocol refuses has it, whether its handler does or what stands before it.
    In the body, ``error.code`` is the code of the error, as in our own shape.

    Attributes:
        model: the body.
        body: the body for an error.
        headers: what the response says besides our own headers.
        told: the headers that may be among these, with what each means.
    """

    model: type[BaseModel]
    body: Callable[[AnabranchError], BaseModel]
    headers: Callable[[AnabranchError], Mapping[str, str]]
    told: Mapping[str, str]

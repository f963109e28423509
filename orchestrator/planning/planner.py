"""Planners: how they are declared, and given their options."""

from __future__ import annotations

import inspect
import typing
from collections.abc import Callable, Coroutine, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Concatenate, ParamSpec, TypeVar

from pydantic import BaseModel, ConfigDict, ValidationError, create_model

from orchestrator.errors import AnabranchError, InvalidRequest, PlannerError, PlannerStuck
from orchestrator.planning.run import Run
from orchestrator.planning.suits import Suits
from orchestrator.runtime import interruption
from orchestrator.runtime.interruption import RunEnded
from orchestrator.runtime.plain import plain, said
from orchestrator.runtime.values import Answer, Question
from orchestrator.validation import explain

P = ParamSpec("P")
T = TypeVar("T")


@dataclass(frozen=True)
class Planner:
    """A reasoning method: an async function from a run and a question to an answer.

    Its keyword-only parameters are the options of the method, validated by their annotations. ``suits`` is
    what it is good for; without it, the method is used only by its name.
    """

    name: str
    function: Callable[..., Coroutine[Any, Any, Answer]]
    suits: Suits | None = None

    @property
    def summary(self) -> str:
        """The first line of the function's docstring, without its backquotes."""
        return (inspect.getdoc(self.function) or "").partition("\n")[0].replace("``", "")

    @cached_property
    def options_model(self) -> type[BaseModel]:
        """The options as a pydantic model; unknown ones are refused."""
        hints = typing.get_type_hints(self.function, include_extras=True)
        fields: dict[str, Any] = {
            parameter.name: (
                hints.get(parameter.name, Any),
                ... if parameter.default is parameter.empty else parameter.default,
            )
            for parameter in inspect.signature(self.function).parameters.values()
            if parameter.kind is parameter.KEYWORD_ONLY
        }
        return create_model(f"{self.name}_options", __config__=ConfigDict(extra="forbid"), **fields)

    def schemas(self) -> dict[str, Any]:
        """The JSON schema of each option. Raises PlannerError if there is none."""
        schema = self._own("the options", lambda: plain(self.options_model.model_json_schema()))
        return dict(schema.get("properties", {}))

    def validate(self, options: Mapping[str, Any]) -> dict[str, Any]:
        """The given options, checked, as JSON; defaults are left to the function.

        Raises:
            InvalidRequest: an option is unknown or has a wrong value; names it and what would be right.
            PlannerError: the options cannot be checked; says what the planner's own code raised.
        """
        return self._given(
            options, lambda model: dict(plain(model.model_dump(mode="json", exclude_unset=True)))
        )

    def filled(self, options: Mapping[str, Any]) -> dict[str, Any]:
        """The given options with all defaults, as JSON. Raises what :meth:`validate` raises."""
        return self._given(options, lambda model: dict(plain(model.model_dump(mode="json"))))

    def arguments(self, options: Mapping[str, Any]) -> dict[str, Any]:
        """The given options as the function takes them. Raises what :meth:`validate` raises."""
        return self._given(
            options, lambda model: {name: getattr(model, name) for name in model.model_fields_set}
        )

    def _given(
        self, options: Mapping[str, Any], take: Callable[[BaseModel], dict[str, Any]]
    ) -> dict[str, Any]:
        def check() -> dict[str, Any]:
            try:
                return take(self.options_model.model_validate(dict(options)))
            except ValidationError as error:
                known = ", ".join(self.options_model.model_fields) or "none"
                raise InvalidRequest(
                    f"options of planner {self.name}: {explain(error)} (its options: {known})"
                ) from None

        return self._own("the options", check)

    def _own(self, what: str, function: Callable[[], T]) -> T:
        """Call what is code of the planner, outside of any run.

        Raises:
            PlannerError: the code raised something unexpected, or did not yield.
        """
        code = interruption.here()
        within = code.begun
        try:
            return code.run(f"{what} of planner {self.name!r}", None, function)
        except AnabranchError:
            raise
        except RunEnded:
            if within:
                raise
            raise PlannerStuck(f"{what} of planner {self.name} took too long to be checked") from None
        except BaseException as error:
            told = f"{type(error).__name__}: {said(error)}"
            raise PlannerError(f"{what} of planner {self.name} cannot be checked: {told}") from error

    def __call__(self, run: Run, question: Question, **options: Any) -> Coroutine[Any, Any, Answer]:
        """The coroutine of the method; called by the executor, and by planners that delegate."""
        coroutine = self.function(run, question, **options)
        if not inspect.iscoroutine(coroutine):
            raise PlannerError(f"planner {self.name} is not an async function")
        return coroutine


def planner(
    name: str, *, suits: Suits | None = None
) -> Callable[[Callable[Concatenate[Run, Question, P], Coroutine[Any, Any, Answer]]], Planner]:
    """Declare an async function ``(run, question, *, options…) -> Answer`` as a planner.

    To make it known by name, list it under the entry-point group ``anabranch.planners``. With ``suits``, it
    is among those that ``auto`` chooses from.
    """

    def declare(function: Callable[Concatenate[Run, Question, P], Coroutine[Any, Any, Answer]]) -> Planner:
        return Planner(name, function, suits)

    return declare

"""The verbs that need nothing but nodes; a planner's run has them, and those that are built on them."""

from __future__ import annotations

import random
import zlib
from collections.abc import Callable, Coroutine, Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any, Concatenate, ParamSpec, Self, TypeVar, Unpack

from orchestrator.consensus.confidence import TOP
from orchestrator.consensus.stopping import FIRST_DEFAULT_RULE
from orchestrator.errors import InvalidRequest, PlannerError
from orchestrator.runtime.executor import Executor
from orchestrator.runtime.given import (
    SamplingOptions,
    check_stack,
    functions_of,
    guidance_of,
    name_of,
    sampling_of,
)
from orchestrator.runtime.messages import Draft, messages_of, text_of
from orchestrator.runtime.nodes import Arrivals, Node, NodeKind, Outcome, Stream
from orchestrator.runtime.plain import label as label_of
from orchestrator.runtime.plain import plain
from orchestrator.runtime.scopes import Scope
from orchestrator.runtime.values import Answer, Budget
from orchestrator.runtime.work import Child, Generation, Merging, ToolUse, Work
from workers.calls import Completion, Sampling
from workers.engine import Capabilities
from workers.tools.tool import Tool
from workers.tools.toolbox import ENTAILMENT, ROUTER, UNOFFERED

P = ParamSpec("P")
T = TypeVar("T")
N = TypeVar("N", bound=Node[Any])


class Verbs:
    """One scope of a run, with the verbs that need nothing but nodes.

    Every verb that adds a node returns its handle at once; awaiting the handle gives the value. A handle
    passed to a verb, at any depth of its arguments, is an input: the new node starts when all its inputs
    have succeeded, with their values in place of the handles.

    A planner does no I/O, reads no clock and draws no random number except through its run, so that
    repeating it over a journal repeats its decisions.
    """

    def __init__(self, executor: Executor[Self], scope: Scope) -> None:
        self._executor = executor
        self._scope = scope
        self._random: random.Random | None = None

    # -- nodes ------------------------------------------------------------------------------------

    def generate(
        self,
        prompt: Draft,
        *,
        label: str = "",
        schema: Mapping[str, Any] | None = None,
        grammar: str | None = None,
        role: str = "branch",
        functions: Sequence[Tool] = (),
        scored: bool = False,
        return_token_ids: bool = False,
        answers: bool = False,
        **sampling: Unpack[SamplingOptions],
    ) -> Node[Completion]:
        """Ask an engine for a completion.

        Sampling that is not given comes from the run; a seed that is not given is derived from the seed of
        the run and the path of the node, so that branches with one prompt differ and runs can be repeated.
        ``schema`` (JSON schema) or ``grammar`` (GBNF, llama.cpp's form) is enforced by engines with guided
        decoding of that kind, see ``capabilities``; validate the text all the same.
        ``functions`` are tools that the model may call, if the engine can do that. Nothing happens by itself:
        the planner uses the tools that ``Completion.calls`` name, and puts what came of it into a next prompt
        by ``calling`` and ``result``.
        ``scored`` asks for the confidence and the entropy of each token (``Completion.confidences``), which
        are kept in place of the log-probabilities that they are computed from. ``return_token_ids`` keeps the
        tokens of a completion that another call continues: its prompt ends with ``assistant(completion)``.
        ``answers`` says that the text, without thinking and echoes of the prompt, becomes the answer: outside
        of scopes of their own, who follows the run is given it token by token.
        """
        node: Node[Completion] = self._node(Node, NodeKind.GENERATE, label)
        if scored:
            sampling = {**sampling, "top_logprobs": TOP}
        work = Generation(
            messages_of(prompt),
            self._sampling(node, sampling),
            *guidance_of(schema, grammar),
            name_of(role, "the role of a call"),
            scored=scored,
            return_token_ids=return_token_ids,
            functions=functions_of(functions),
            answers=answers,
        )
        return self._add(node, work)

    def stream(
        self,
        prompt: Draft,
        *,
        label: str = "",
        schema: Mapping[str, Any] | None = None,
        grammar: str | None = None,
        role: str = "branch",
        breaks: str = "\n",
        **sampling: Unpack[SamplingOptions],
    ) -> Stream:
        """Like :meth:`generate`, for planners that parse as they read: ``async for text in run.stream(...)``.

        Text is handed over after each of the characters in ``breaks``, and at the end.
        """
        node = self._node(Stream, NodeKind.GENERATE, label)
        work = Generation(
            messages_of(prompt),
            self._sampling(node, sampling),
            *guidance_of(schema, grammar),
            name_of(role, "the role of a call"),
            name_of(breaks, "what breaks a stream"),
        )
        return self._add(node, work)

    def tool(
        self, tool: str | Tool, arguments: Mapping[str, Any] | Sequence[Any] = (), *, label: str = ""
    ) -> Node[Any]:
        """Call a tool with named or positional arguments; the value is JSON.

        The tool is either the name of one in the run's toolbox, or one that the planner code brings itself.
        """
        name = name_of(tool if isinstance(tool, str) else tool.name, "the name of a tool")
        own = None if isinstance(tool, str) else tool
        return self._add(self._node(Node, NodeKind.TOOL, label or name), ToolUse(name, arguments, own))

    def spawn(
        self,
        function: Callable[Concatenate[Self, P], Coroutine[Any, Any, T]],
        /,
        *args: P.args,
        **kwargs: P.kwargs,
    ) -> Node[T]:
        """Run planner code concurrently, in a scope of its own.

        When the function returns, whatever its scope has left open is cancelled.
        """
        return self.scope(NodeKind.SPAWN, getattr(function, "__name__", "spawn"), function, *args, **kwargs)

    def scope(
        self,
        kind: NodeKind,
        label: str,
        function: Callable[Concatenate[Self, P], Coroutine[Any, Any, T]],
        /,
        *args: P.args,
        **kwargs: P.kwargs,
    ) -> Node[T]:
        """:meth:`spawn` under another kind and label; for verbs that are made of other verbs."""
        return self._add(self._node(Node, kind, label), Child(function, args, kwargs))

    def merge(self, function: Callable[..., T], *args: Any, label: str = "") -> Node[T]:
        """Apply a pure function to values and the results of nodes."""
        node: Node[T] = self._node(Node, NodeKind.MERGE, label or getattr(function, "__name__", "merge"))
        return self._add(node, Merging(function, args))

    def concatenate(self, parts: Sequence[Node[Any] | str], *, separator: str = "\n\n") -> Node[Answer]:
        """Join texts in the given order into an answer."""

        def concatenate(values: Sequence[object]) -> Answer:
            return Answer(separator.join(text_of(value).strip() for value in values))

        return self.merge(concatenate, list(parts))

    def note(self, text: str, /, **details: Any) -> None:
        """Leave a remark in the trace; ``details`` are JSON."""
        node: Node[Any] = self._node(Node, NodeKind.NOTE, text)
        self._add(node, Merging(lambda: details, ()))

    # -- waiting ----------------------------------------------------------------------------------

    def arrivals(self, nodes: Iterable[Node[T]] = ()) -> Arrivals[T]:
        """The nodes in the order in which they settle."""
        return Arrivals(self._executor, nodes)

    async def join(self, nodes: Iterable[Node[T]]) -> list[T]:
        """The values of all nodes, in the given order.

        Raises:
            NodeFailed: the first node without a value, in that order, failed.
            NodeCancelled: the first node without a value, in that order, was cancelled.
        """
        return [await node for node in nodes]

    async def outcomes(self, nodes: Iterable[Node[T]]) -> list[Outcome[T]]:
        """The outcomes of all nodes, in the given order: values, failures and cancellations alike."""
        return [await node.settled() for node in nodes]

    def expect(self, prompt: Draft, *, role: str = "branch") -> None:
        """Say what a later call will begin with, if it can be made only once something else has settled.

        An idle engine computes that beginning in the meantime. This is not an event and changes no result.
        Calls that are made at once, with handles of what they wait for in their prompts, need no such notice.
        """
        self._executor.expect(self._scope, messages_of(prompt), name_of(role, "the role of a call"))

    # -- decisions --------------------------------------------------------------------------------

    def decide(self, by: str, verdict: str, saw: Mapping[str, Any]) -> None:
        """Write a decision into the trace: who decided, what, and what was seen (JSON)."""
        check_stack()
        bounds = self._executor.environment.bounds
        seen = plain(saw, bounds.value)
        data = {
            "by": label_of(by, bounds.label),
            "verdict": label_of(verdict, bounds.label),
            "saw": seen if isinstance(seen, dict) else {"value": seen},
        }
        self._executor.decide(self._scope, data)

    def propose(self, answer: Callable[[], Answer | None]) -> None:
        """Offer the best answer so far; ``answer`` is called if a limit or a user ends the run.

        It returns None while there is none; what other scopes offer then counts.
        """
        self._executor.propose(self._scope, answer)

    # -- what a planner may know ------------------------------------------------------------------

    @property
    def random(self) -> random.Random:
        """Random numbers that are the same whenever the run is repeated."""
        if self._random is None:
            self._random = random.Random(f"{self._executor.environment.seed}:{self._scope.node.path}")
        return self._random

    @property
    def budget(self) -> Budget:
        """What is left to spend. ``seconds`` is the whole span, since a planner reads no clock."""
        budget, spent = self._executor.environment.budget, self._executor.spent
        tokens = spent.usage.prompt_tokens + spent.usage.completion_tokens
        return Budget(
            tokens=None if budget.tokens is None else max(0, budget.tokens - tokens),
            calls=None if budget.calls is None else max(0, budget.calls - spent.calls),
            depth=None if budget.depth is None else max(0, budget.depth - self._scope.depth),
            width=budget.width,
            seconds=budget.seconds,
            nodes=None if budget.nodes is None else max(0, budget.nodes - self._executor.nodes),
        )

    @property
    def now(self) -> float:
        """The time of the last event that was delivered to this run, in seconds since the epoch."""
        return self._executor.now

    @property
    def symbolic(self) -> bool:
        """Whether claims can be compared as mathematics (extra ``math``)."""
        return self._executor.environment.symbolic

    @property
    def copies_by_text(self) -> bool:
        """Whether equal texts are taken for copies, as in runs that began under the first default rule."""
        return self._executor.environment.rule == FIRST_DEFAULT_RULE

    @property
    def edition(self) -> int:
        """The edition that the run began in (:data:`~orchestrator.runtime.environment.EDITION`)."""
        return self._executor.environment.edition

    @property
    def entails(self) -> bool:
        """Whether claims can be compared by an entailment model (extra ``nli``)."""
        return ENTAILMENT in self._executor.environment.toolbox

    @property
    def routes(self) -> bool:
        """Whether a trained router can say if an answer is a list of independent points."""
        return ROUTER in self._executor.environment.toolbox

    @property
    def capabilities(self) -> Capabilities:
        """What the engine of this run can do."""
        return self._executor.environment.capabilities

    @property
    def tools(self) -> Mapping[str, Tool]:
        """The tools that a model may be offered; what judges is not among them."""
        toolbox = self._executor.environment.toolbox
        return {name: tool for name, tool in toolbox.items() if name not in UNOFFERED}

    # -- internals --------------------------------------------------------------------------------

    def _node(self, kind_of_node: type[N], kind: NodeKind, label: str) -> N:
        check_stack()
        if not isinstance(kind, NodeKind):
            raise PlannerError(f"the kind of a node is a NodeKind, not {type(kind).__name__}")
        label = label_of(label, self._executor.environment.bounds.label)
        return kind_of_node(self._executor, self._scope.child_path(), kind, label)

    def _add(self, node: N, work: Work) -> N:
        self._executor.add(self._scope, node, work)
        return node

    def _sampling(self, node: Node[Completion], given: SamplingOptions) -> Sampling:
        environment = self._executor.environment
        given = sampling_of(given)
        if given.get("seed", environment.sampling.seed) is None:
            derived = zlib.crc32(f"{environment.seed}:{node.path}".encode()) & 0x7FFFFFFF
            given = {**given, "seed": derived}
        sampling = replace(environment.sampling, **given)
        if sampling.code is not None and not environment.capabilities.arithmetic_sampling:
            model = environment.capabilities.model
            raise InvalidRequest(f"a call with a code needs arithmetic sampling, which {model} has not here")
        node.seed = sampling.seed
        return sampling

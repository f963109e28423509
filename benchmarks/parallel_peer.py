"""LangGraph beside us in ``benchmarks.parallel_tools``; a program for the Python that has langgraph.

It has the shape of LangGraph's tutorial on LLMCompiler: one node of the graph streams a plan and schedules
its calls, where a call that needs others polls for them in a pool of threads; another node joins. The
tutorial makes a call that waits for nothing in the thread that reads the plan, so one after another. With
``pooled``, these go to the pool as well, as a comment in it suggests.

Reads one JSON object a line, the arguments of :func:`answer`, and writes one for each. The first line that it
writes tells the version.
"""

from __future__ import annotations

import http.client
import json
import re
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from importlib.metadata import version
from typing import Any, TypedDict
from urllib.parse import urlsplit

from langgraph.graph import END, START, StateGraph

POLL = 0.25
"""Seconds between two looks at whether what a call needs is there, in the tutorial; sped up with all else."""

_LINE = re.compile(r'(\d+)\. (\w+)\("([^"]*)"(.*)\)')
_REFERENCE = re.compile(r"\$(\d+)")


class State(TypedDict, total=False):
    """What the nodes of the graph hand on."""

    query: str
    observations: dict[int, str]
    calls: dict[int, str]
    answer: str


class Compiler:
    """One question: the model's server, the tools, and the graph."""

    def __init__(
        self,
        url: str,
        prompts: Mapping[str, str],
        steps: Sequence[Mapping[str, Any]],
        *,
        speed: float,
        pooled: bool,
    ) -> None:
        self._url, self._prompts, self._speed, self._pooled = urlsplit(url), prompts, speed, pooled
        self._steps = {step["text"]: step for step in steps}
        self.prompt = self.completion = self.calls = 0
        graph = StateGraph(State)
        graph.add_node("plan_and_schedule", self.plan_and_schedule)
        graph.add_node("join", self.join)
        graph.add_edge(START, "plan_and_schedule")
        graph.add_edge("plan_and_schedule", "join")
        graph.add_conditional_edges("join", lambda state: END if state.get("answer") else "plan_and_schedule")
        self.graph = graph.compile()

    def plan_and_schedule(self, state: State) -> State:
        """Make the calls of a plan while it streams; a call that needs others waits in its thread."""
        observations: dict[int, str] = {}
        calls: dict[int, str] = {}
        futures: list[Future[None]] = []
        with ThreadPoolExecutor() as pool:
            for number, tool, text, context in self._plan(f"{self._prompts['plan']}Query: {state['query']}"):
                calls[number] = f"{tool}({text})"
                needs = [int(each) for each in _REFERENCE.findall(context)]
                if self._pooled or any(each not in observations for each in needs):
                    futures.append(pool.submit(self._pending, number, text, needs, observations))
                else:
                    self._pending(number, text, needs, observations)
            wait(futures)
        for future in futures:
            future.result()
        return {"observations": observations, "calls": calls}

    def join(self, state: State) -> State:
        """Read the results."""
        results = "".join(
            f"{call} = {state['observations'][number]}\n" for number, call in sorted(state["calls"].items())
        )
        said = "".join(self._stream(f"{self._prompts['join']}Query: {state['query']}\nResults:\n{results}"))
        return {"answer": str(json.loads(said).get("answer", ""))}

    def _plan(self, prompt: str) -> Iterator[tuple[int, str, str, str]]:
        text = ""
        for piece in self._stream(prompt):
            text += piece
            *lines, text = text.split("\n")
            for line in lines:
                if found := _LINE.match(line):
                    yield int(found[1]), found[2], found[3], found[4]

    def _pending(self, number: int, text: str, needs: Sequence[int], observations: dict[int, str]) -> None:
        while any(each not in observations for each in needs):
            time.sleep(POLL / self._speed)
        step = self._steps[text]
        time.sleep(step["seconds"] / self._speed)
        observations[number] = step["result"]

    def _stream(self, prompt: str) -> Iterator[str]:
        self.calls += 1
        connection = http.client.HTTPConnection(self._url.hostname or "", self._url.port)
        body = {
            "model": "simulator",
            "messages": [{"role": "user", "content": prompt}],
            "temperature": 0,
            "stream": True,
            "stream_options": {"include_usage": True},
        }
        headers = {"Content-Type": "application/json"}
        connection.request("POST", f"{self._url.path}/chat/completions", json.dumps(body), headers)
        for line in connection.getresponse():
            if not line.startswith(b"data: {"):
                continue
            event = json.loads(line[6:])
            if usage := event.get("usage"):
                self.prompt += usage["prompt_tokens"]
                self.completion += usage["completion_tokens"]
            for choice in event["choices"]:
                yield choice["delta"].get("content") or ""
        connection.close()


def answer(
    *,
    url: str,
    prompts: Mapping[str, str],
    questions: Sequence[Mapping[str, Any]],
    speed: float,
    pooled: bool,
    lanes: int,
) -> dict[str, Any]:
    """Answer the questions, so many side by side: what was said, seconds, tokens and calls of each."""

    def one(question: Mapping[str, Any]) -> tuple[str, float, int, int, int]:
        compiler = Compiler(url, prompts, question["steps"], speed=speed, pooled=pooled)
        began = time.perf_counter()
        said = compiler.graph.invoke({"query": question["text"]})
        seconds = time.perf_counter() - began
        return said["answer"], seconds, compiler.prompt, compiler.completion, compiler.calls

    with ThreadPoolExecutor(lanes) as pool:
        return {"answers": list(pool.map(one, questions))}


def main() -> None:
    """Answer until the input ends."""
    print(json.dumps({"version": version("langgraph")}), flush=True)
    for line in sys.stdin:
        print(json.dumps(answer(**json.loads(line))), flush=True)


if __name__ == "__main__":
    main()

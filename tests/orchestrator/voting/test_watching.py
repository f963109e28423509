"""Votes whose rule looks at branches as they run, asks a verifier, or whose merge is not a majority."""

from __future__ import annotations

import asyncio
import math
from collections.abc import AsyncGenerator, Sequence
from typing import Any

import pytest

from orchestrator.planning.run import Run
from orchestrator.runtime.environment import RunOutcome
from orchestrator.runtime.nodes import NodeKind
from orchestrator.runtime.values import Answer, Cluster
from orchestrator.voting.branches import FORCE
from storage.events import EventType
from tests.orchestrator.runtime.harness import Played, Speaker, play, whole
from workers.calls import Call, Chunk, Logprob, Usage
from workers.engine import Capabilities
from workers.errors import EngineUnavailable
from workers.tools.declaration import tool

ABLE = Capabilities("speaker", assistant_prefill=True, logprobs=True)


class Script:
    """Branches that say what is written for them, word by word, however often they are cut and continued.

    A word is a token. ``sure`` is the confidence of each branch's tokens: the alternatives of a token are
    two, as likely as makes their mean log-probability minus that number. ``forced`` is what a branch answers
    when it is made to, by the number of words that it has said.
    """

    def __init__(
        self,
        texts: Sequence[str],
        *,
        sure: Sequence[float] = (),
        forced: dict[str, dict[int, str]] | None = None,
    ) -> None:
        self.texts = texts
        self.calls: list[Call] = []
        self._sure = dict(zip(texts, sure, strict=False))
        self._forced = forced or {}
        self._begun = iter(texts)

    async def __call__(self, call: Call) -> AsyncGenerator[Chunk, None]:
        self.calls.append(call)
        so_far = call.prompt.prefill
        if so_far.endswith(FORCE):
            so_far = so_far.removesuffix(FORCE)
            text = next(text for text in self.texts if text.startswith(so_far))
            yield whole(f"{self._forced[text][len(so_far.split())]}}}. That is it.")
            return
        text = next(text for text in self.texts if text.startswith(so_far)) if so_far else next(self._begun)
        words = text.removeprefix(so_far).split(" ")
        words = [f" {word}" if at or so_far else word for at, word in enumerate(words) if word or not at]
        words = [word for word in words if word.strip()]
        room = call.sampling.max_tokens
        tops = {" a": 0.0, " b": -2 * self._sure[text]} if text in self._sure else {}
        scores = tuple(Logprob(word, -0.1, tops) for word in words[:room]) if tops else ()
        yield Chunk(
            "".join(words[:room]),
            min(room, len(words)),
            logprobs=scores if call.sampling.top_logprobs else (),
            finish_reason="stop" if len(words) <= room else "length",
            usage=Usage(1, 0, min(room, len(words))),
        )


async def vote(script: Script, rule: str, *, capabilities: Capabilities = ABLE, **options: Any) -> Played:
    tools = options.pop("tools", ())

    async def body(run: Run) -> Answer:
        return await run.vote("Which?", rule=rule, width=len(script.texts), question="Which?", **options)

    return await play(body, Speaker(script), capabilities=capabilities, tools=tools)


def answer(played: Played) -> Answer:
    assert played.result.answer is not None, played.result
    return played.result.answer


def merges(played: Played) -> list[tuple[str, dict[str, Any]]]:
    decisions = (event.data for event in played.events if event.type is EventType.DECISION)
    return [(each["verdict"], each["saw"]) for each in decisions if each["by"] == "merge"]


def long(words: int, end: str) -> str:
    return " ".join([*(f"{end}{at}" for at in range(words - 1)), f"\\boxed{{{end}}}"])


async def test_a_watched_branch_is_continued_and_says_the_same() -> None:
    script = Script([long(10, "x"), long(25, "y"), long(25, "y")])
    played = await vote(script, "token_budget:1000", segment=10)
    assert answer(played).claim == "y"
    assert answer(played).text == script.texts[1]
    assert answer(played).clusters == (Cluster("y", 2), Cluster("x", 1))
    assert len(script.calls) == 1 + 3 + 3
    assert [call.prompt.prefill.count(" ") for call in script.calls if call.prompt.prefill] == [9, 9, 19, 19]
    assert all(call.sampling.max_tokens == 10 for call in script.calls)


async def test_a_segment_never_goes_beyond_the_tokens_of_a_branch() -> None:
    script = Script([long(100, "x"), long(100, "x")])
    played = await vote(script, "token_budget:1000", segment=10, max_tokens=25)
    assert answer(played).claim is None
    assert [call.sampling.max_tokens for call in script.calls] == [10, 10, 10, 10, 5, 5]


async def test_a_budget_of_tokens_counts_those_of_unfinished_branches() -> None:
    script = Script([long(20, "x"), long(1000, "y"), long(1000, "y")])
    played = await vote(script, "token_budget:60", segment=10)
    assert answer(played).claim == "x"
    assert len(script.calls) < 12


async def test_a_budget_of_tokens_counts_those_of_lost_branches() -> None:
    begun: list[Call] = []

    async def speak(call: Call) -> AsyncGenerator[Chunk, None]:
        begun.append(call)
        if len(begun) == 1:
            yield Chunk("a long way", 50)
            raise EngineUnavailable("gone")
        yield Chunk("on and on", 10, finish_reason="length", usage=Usage(1, 0, 10))

    async def body(run: Run) -> Answer:
        return await run.vote("Which?", rule="token_budget:60", width=2, segment=10, max_tokens=1000)

    played = await play(body, Speaker(speak), capabilities=ABLE)
    reasons = [e.data["verdict"] for e in played.events if e.type is EventType.DECISION]
    assert "stop: budget" in reasons
    assert len(begun) < 5  # fifty tokens were lost with the first branch, so ten are left for the other


async def test_a_branch_that_ended_may_be_given_up_while_a_tool_still_works_on_it() -> None:
    @tool(name="slow")
    async def slow(program: str) -> str:
        """Runs a program, and takes its time."""
        await asyncio.sleep(0.2 if program == "x" else 0)
        return program

    texts = [f"so so so\n```python\n{end}\n```" for end in "xyy"]
    texts[1:] = ["on and on and on " * 9 + texts[1], "so it goes on on on " * 9 + texts[2]]
    played = await vote(
        Script(texts, sure=(1, 5, 5)),
        "tournament:capacity=3,agreement=0,width=3,floor=0.5",
        segment=9,
        outputs=slow,
    )
    assert "x" not in {cluster.claim for cluster in answer(played).clusters}
    verdicts = [e.data["verdict"] for e in played.events if e.type is EventType.DECISION]
    assert verdicts.count("cancel") == 1


async def test_probes_stop_a_vote_before_any_branch_has_finished() -> None:
    texts = [long(90, name) for name in "abc"]
    forced: dict[str, dict[int, str]] = {text: {} for text in texts}
    for at in range(10, 90, 10):
        for text, claim in zip(texts, ("7", "7", "8"), strict=True):
            forced[text][at] = claim
    script = Script(texts, forced=forced)
    played = await vote(script, "parallel_probe:stable=2,patience=50", segment=10)
    result = answer(played)
    assert result.claim == "7"
    assert result.text.startswith(texts[0][:20])
    assert result.text.endswith(f"{FORCE}7}}")
    assert result.entropy is None
    assert result.clusters == ()
    assert result.confidence is None
    assert sum(call.prompt.prefill.endswith(FORCE) for call in script.calls) <= 15


async def test_a_branch_that_disagrees_with_all_probes_is_pruned() -> None:
    texts = [long(90, name) for name in "abc"]
    claims = dict(zip(texts, ("7", "7", "8"), strict=True))
    forced = {text: dict.fromkeys(range(10, 90, 10), claims[text]) for text in texts}
    played = await vote(
        Script(texts, forced=forced), "parallel_probe:stable=30,patience=2,warmup=0", segment=10
    )
    cancelled = [e.path for e in played.events if e.data.get("outcome") == "cancelled"]
    labels = {e.path: e.data["label"] for e in played.events if e.type is EventType.NODE_ADDED}
    assert {labels[path].split(",")[0] for path in cancelled} == {"branch 2"}


async def test_less_confident_branches_do_not_vote() -> None:
    script = Script([r"\boxed{1}", r"\boxed{2}", r"\boxed{2}"], sure=[5.0, 1.0, 1.0])
    played = await vote(script, "deepconf_offline:0.3")
    assert answer(played).claim == "1"
    settled = [
        e.data["value"] for e in played.events if e.type is EventType.NODE_SETTLED and e.data.get("external")
    ]
    assert [value["confidences"] for value in settled] == [[5.0], [1.0], [1.0]]
    assert all("logprobs" not in value for value in settled)


async def test_a_branch_that_gets_unsure_is_aborted_as_it_runs() -> None:
    texts = [*(long(10, "x") for _ in range(1)), long(10, "z"), long(80, "y")]
    script = Script(texts, sure=[5.0, 4.0, 1.0])
    played = await vote(script, "deepconf:0.5,warmup=2,consensus=1", segment=10)
    assert answer(played).claim == "x"
    assert len(script.calls) <= 5  # the third was cut short


async def test_a_verifier_ends_the_vote_and_the_trace_has_its_verdicts() -> None:
    asked = []

    @tool
    def check(question: str, answer: str) -> bool:
        """Whether it is right."""
        asked.append((question, answer))
        return answer == "3"

    script = Script([r"\boxed{1}", r"\boxed{1}", r"\boxed{3}", r"\boxed{1}"])
    played = await vote(script, "first_verified", verifier="check", tools=[check])
    assert answer(played).claim == "3"
    assert asked[0] == ("Which?", "1")
    assert {e.data["label"] for e in played.events if e.data.get("kind") == NodeKind.TOOL} == {"check"}


@pytest.mark.parametrize(
    ("texts", "how", "why"),
    [
        (
            [r"\boxed{1}", r"\boxed{2}", "Let us see.", "Well."],
            {"rule": "fixed", "merge": "verifier"},
            "all answers",
        ),
        ([r"\boxed{1}", r"\boxed{2}"], {"rule": "fixed", "merge": "verifier"}, "all answers"),
        ([r"\boxed{1}", r"\boxed{1}", r"\boxed{2}"], {"rule": "first_verified"}, "'1'"),
    ],
)
async def test_what_a_verifier_refused_is_not_stated(texts: list[str], how: dict[str, Any], why: str) -> None:
    @tool
    def check(question: str, answer: str) -> bool:
        """Whether it is right."""
        return False

    played = await vote(Script(texts), verifier="check", tools=[check], **how)
    assert played.result.outcome is RunOutcome.UNDECIDED
    assert played.result.answer is not None
    assert played.result.answer.undecided == f"the verifier refused {why}"


async def test_one_answer_that_was_accepted_is_enough_for_a_merge_without_claims() -> None:
    @tool
    def check(question: str, answer: str) -> bool:
        """Whether it is right."""
        return answer == "1"

    same = "and what is counted " * 20  # claims nothing
    texts = [rf"{same} There is one. \boxed{{1}}", rf"{same} It seems there are two. \boxed{{2}}", same]
    played = await vote(Script(texts), "fixed", merge="medoid", verifier="check", tools=[check])
    assert (answer(played).claim, answer(played).text) == (None, same.strip())
    assert answer(played).undecided is None


async def test_a_verifier_that_fails_is_no_verdict() -> None:
    @tool
    def check(question: str, answer: str) -> bool:
        """Whether it is right."""
        raise RuntimeError("no")

    script = Script([r"\boxed{1}", r"\boxed{2}", r"\boxed{2}"])
    played = await vote(script, "fixed", verifier="check", merge="verifier", tools=[check])
    assert answer(played).claim == "2"


@pytest.mark.parametrize(
    ("merge", "claim"), [("majority", "2"), ("confidence", "1"), ("borda", "2"), ("inverse_entropy", "1")]
)
async def test_votes_can_be_weighted(merge: str, claim: str) -> None:
    script = Script([r"\boxed{1}", r"\boxed{2}", r"\boxed{2}"], sure=[5.0, 1.0, 1.0])
    played = await vote(script, "fixed", merge=merge)
    assert answer(played).claim == claim
    [(verdict, saw)] = merges(played)
    assert merge in verdict
    assert saw["winner"] == int(claim) - 1


async def test_the_medoid_is_the_text_that_has_most_in_common_with_the_others() -> None:
    near = "the river flows to the sea past old mills " * 5
    texts = [f"{near} and towns", f"{near} and some towns", "nothing of this is known here " * 8]
    played = await vote(Script(texts), "fixed", merge="medoid")
    assert answer(played).text.startswith("the river")
    assert merges(played)[0][0] == "medoid"


@pytest.mark.parametrize(
    ("options", "able", "hint"),
    [
        ({"rule": "first_verified"}, ABLE, "rule first_verified:width=2 needs verdicts"),
        ({"rule": "fixed", "merge": "verifier"}, ABLE, "merge verifier needs verdicts"),
        ({"rule": "fixed", "merge": "average"}, ABLE, "no merge is called 'average'"),
        ({"rule": "deepconf_offline"}, Capabilities("m"), "needs log-probabilities"),
        ({"rule": "parallel_probe"}, Capabilities("m"), "cannot continue an answer"),
        ({"rule": "parallel_probe", "segment": 0}, ABLE, "at least 1 token"),
    ],
)
async def test_what_an_engine_or_a_ballot_lacks_is_said(
    options: dict[str, Any], able: Capabilities, hint: str
) -> None:
    async def body(run: Run) -> Answer:
        return await run.vote("Which?", width=2, **options)

    played = await play(body, Speaker(Script(["x", "y"])), capabilities=able)
    assert hint in played.failure


async def test_agreement_at_temperature_0_is_no_confidence() -> None:
    played = await vote(Script([r"\boxed{1}", r"\boxed{1}"]), "fixed", temperature=0.0)
    assert (answer(played).claim, answer(played).confidence, answer(played).entropy) == ("1", None, None)


def test_the_alternatives_of_the_script_have_the_confidence_that_it_says() -> None:
    assert -math.fsum([0.0, -2 * 5.0]) / 2 == 5.0

"""What is shown of a completion while it arrives is never taken back."""

from __future__ import annotations

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.consensus.arriving import shown_so_far
from orchestrator.consensus.echoes import unechoed
from orchestrator.consensus.thinking import split_thinking

WHOLE = [
    "Paris.",
    "It is < 5 and [1, 2] hold.\n\nAnswer: 4",
    "<think>Let me see.</think>Paris.",
    "<think>\nLet me see.\n</think>\n\nParis is it.\n",
    "<|channel|>analysis<|message|>Hm.<|end|><|start|>assistant<|channel|>final<|message|>Paris.",
    "[THINK]Hm.[/THINK]Paris.",
    "◁think▷Hm.◁/think▷Paris.",
    "<question>\nWhat is it?\n</question>\nParis.",
    "<material>\nMuch.\n</material>\n<question>\nWhat?\n</question>\nParis.</question>",
    "Paris.\n</question>",
    "</question>\nParis.",
    "Use `<think>` to think.\n```\n<think>\n```\nDone.",
    "Here's my thought process: hm. Here's my response: Paris.",
    "Here is what I found: Paris.",
    "analysis of Rome: it is old.",
    "Thinking...\nHm.\n...done thinking.\nParis.",
    "<p>One paragraph</p>",
    "<details><summary>a</summary>b</details>",
    "   \n Paris.\n\n",
    "a\n\n\nb",
]


def whole(text: str) -> str:
    """What a planner makes of the whole text."""
    return unechoed(split_thinking(text).answer)


@pytest.mark.parametrize("text", WHOLE, ids=range(len(WHOLE)))
def test_what_is_shown_is_how_the_answer_begins(text: str) -> None:
    shown = [shown_so_far(text[:end]) for end in range(len(text) + 1)]
    answer = whole(text)
    for each in shown:
        assert answer.startswith(each.said), each


PARTS = (
    *(
        "<",
        ">",
        "/",
        "think",
        "</think>",
        "<think>",
        "question",
        "</question>",
        "<question>",
        "material",
        "a ",
    ),
    *(
        "\n",
        "`",
        "```",
        "Paris",
        "[",
        "THINK]",
        "[/THINK]",
        "Here",
        "Here's my",
        " thought process:",
        "final",
    ),
)


@given(st.lists(st.sampled_from(PARTS), max_size=12))
def test_of_any_text_nothing_is_taken_back_but_what_a_late_mark_makes_thinking(parts: list[str]) -> None:
    text = "".join(parts)
    answer, split = whole(text), split_thinking(text)
    if split.reasoning and not text.lstrip().startswith("<think>"):
        return  # a mark without a beginning: all before it was thought
    if "```" in text or "`" in text:
        return  # what is code is known at its end
    said = ""
    for end in range(len(text) + 1):
        now = shown_so_far(text[:end]).said
        if now.startswith(said):
            said = now
    assert answer.startswith(said) or "<think>" in text[1:], (text, said, answer)


def test_an_answer_ends_before_the_first_text_at_which_it_stops() -> None:
    text = "One.\nQuestion: two"
    shown = [shown_so_far(text[:end], stop=("Question:", "xyz")).said for end in range(len(text) + 1)]
    assert shown[-1] == "One."
    assert all("One.".startswith(each) for each in shown)
    assert shown_so_far("ab", stop=("bc",)).said == "a"
    assert shown_so_far("abd", stop=("bc",)).said == "abd"


def test_thinking_that_the_engine_keeps_apart_comes_first() -> None:
    assert shown_so_far("", reasoning="Hm") == ("Hm", "")
    assert shown_so_far("Paris", reasoning="Hm.") == ("Hm.", "Paris")


def test_thinking_is_shown_while_it_goes_on() -> None:
    assert shown_so_far("<think>Let me see").thought == "Let me see"
    assert shown_so_far("<think>Let me see</thi").said == ""


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("x" + "<material>" * 5_000 + "y", 1.0),
        ("if a < b then [x] is <b>, {1}{2}. " * 4_000, 0.15),
    ],
    ids=["tags that are said over and over", "signs that begin no mark"],
)
def test_no_text_takes_long_to_be_shown(text: str, seconds: float) -> None:
    since = time.process_time()
    assert shown_so_far(text).said
    assert time.process_time() - since < seconds

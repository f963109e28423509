from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.consensus.thinking import Thinking, opening, split_thinking
from tests.timing import takes_time_in_proportion

PAIRS = [
    ("<think>", "</think>"),
    ("<think>\n", "\n</think>\n\n"),
    ("<thinking>", "</thinking>"),
    ("<THINK>", "</THINK>"),
    ('<thinking time="3">', "</thinking >"),
    ("<thought>", "</thought>"),
    ("<reasoning>", "</reasoning>"),
    ("<scratchpad>", "</scratchpad>"),
    ("<|think|>", "<|/think|>"),
    ("<think>", "</thinking>"),
    ("[THINK]", "[/THINK]"),
    ("◁think▷", "◁/think▷"),
    ("<seed:think>", "</seed:think>"),
    ("<|begin_of_thought|>", "<|end_of_thought|>"),
    ("<|START_THINKING|>", "<|END_THINKING|>"),
    ("<|inner_prefix|>", "<|inner_suffix|>"),
    ("<|channel>thought\n", "<channel|>"),
    ("<unused94>thought\n", "<unused95>"),
    ("<|channel|>analysis<|message|>", "<|end|><|start|>assistant<|channel|>final<|message|>"),
    (
        "<|start|>assistant<|channel|>analysis<|message|>",
        "<|end|><|start|>assistant<|channel|>final <|message|>",
    ),
    ("<|channel|>analysis ", " <|channel|>final "),
    ("analysis", "assistantfinal"),
    ('<details type="reasoning" done="true">', "</details>"),
    ("Thinking...\n", "\n...done thinking.\n\n"),
    ("Here is my thought process: ", " Here is my response: "),
]


@pytest.mark.parametrize(("opens", "closes"), PAIRS)
def test_thinking_between_marks_is_no_answer(opens: str, closes: str) -> None:
    assert split_thinking(f"{opens}Perhaps 41?{closes}It is 42.") == ("Perhaps 41?", "It is 42.", True)


@pytest.mark.parametrize(("opens", "closes"), PAIRS)
def test_thinking_that_does_not_end_leaves_no_answer(opens: str, closes: str) -> None:
    assert split_thinking(f"{opens}Perhaps 41? The answer is 41.") == (
        "Perhaps 41? The answer is 41.",
        "",
        False,
    )


@pytest.mark.parametrize("closes", [closes for _, closes in PAIRS[:18]])
def test_thinking_may_begin_with_the_text(closes: str) -> None:
    assert split_thinking(f"Perhaps 41?{closes}It is 42.") == ("Perhaps 41?", "It is 42.", True)


@pytest.mark.parametrize(
    ("text", "thinking"),
    [
        ("<think></think>42", Thinking("", "42", True)),
        ("42 <think>or 41?</think>", Thinking("or 41?", "42", True)),
        ("<think>41</think>42</think>43", Thinking("41\n\n42", "43", True)),
        ("<think>a</think>One. <think>b</think>Two.", Thinking("a\n\nb", "One. Two.", True)),
        ("<think>Say <think> or [THINK].</think>42", Thinking("Say <think> or [THINK].", "42", True)),
        ("<think>41</think><think>or 40", Thinking("41\n\nor 40", "", False)),
        ("41. <think>Wait.", Thinking("Wait.", "41.", False)),
        (
            "<think>so</think><response>42</response>",
            Thinking("so", "42", True),
        ),
        (
            "<|begin_of_thought|>so<|end_of_thought|>\n<|begin_of_solution|>\n42\n<|end_of_solution|>",
            Thinking("so", "42", True),
        ),
        (
            "Here are my reasoning steps: 41? [BEGIN FINAL RESPONSE]42[END FINAL RESPONSE]",
            Thinking("41?", "42", True),
        ),
        (
            "We need 42.<|end|><|start|>assistant<|channel|>final<|message|>42<|return|>",
            Thinking("We need 42.", "42", True),
        ),
        (
            "<|channel|>analysis<|message|>a<|end|><|channel|>commentary to=functions.f <|constrain|>json"
            "<|message|>{}<|call|><|channel|>final<|message|>42",
            Thinking("a\n\n{}", "42", True),
        ),
    ],
)
def test_marks_in_other_places(text: str, thinking: Thinking) -> None:
    assert split_thinking(text) == thinking


@pytest.mark.parametrize(
    "text",
    [
        "",
        "  It is 42. ",
        "x < 3 and [1, 2] <b>so</b>",
        "The tag `<think>` begins it, and `</think>` ends it.",
        "```\n<think>\n</think>\n```\nThat is the template.",
        "Thinking about it, 42.",
        "Here is my response: 42",
        "<details><summary>why</summary>so</details> 42",
        "analysis of variance",
        "think>",
    ],
)
def test_a_text_without_thinking_is_unchanged(text: str) -> None:
    assert split_thinking(text) == ("", text, True)


@given(st.sampled_from(PAIRS[:18]), st.lists(st.sampled_from(["open", "close", "a", "42", "\n", "<", "|>"])))
def test_an_answer_holds_no_more_thinking(pair: tuple[str, str], pieces: list[str]) -> None:
    marks = dict(zip(("open", "close"), pair, strict=True))
    text = "".join(marks.get(piece, piece) for piece in pieces)
    reasoning, answer, closed = split_thinking(text)
    assert split_thinking(answer) == ("", answer, True)
    assert len(reasoning) + len(answer) <= len(text)
    opened = [piece for piece in pieces if piece in marks][-1:]
    assert closed == (opened != ["open"])


@pytest.mark.parametrize(
    "piece",
    ["<think>", "</think>", "<", "<|channel|>analysis", "```\n", "analysisA ", "<think a", "</think> x"],
)
def test_it_takes_time_in_proportion_to_the_text(piece: str) -> None:
    for start in ("", "```\n"):
        takes_time_in_proportion(split_thinking, piece, start=start)


def test_marks_beside_a_fence_are_meant() -> None:
    said = "<think>```\ncode\n```</think>```\nprint(42)\n```"
    assert split_thinking(said) == ("```\ncode\n```", "```\nprint(42)\n```", True)


@pytest.mark.parametrize(
    ("text", "marks"),
    [
        ("<think>\nSo", ("<think>", "</think>")),
        ("\n<thinking>", ("<thinking>", "</thinking>")),
        ("<seed:think>a", ("<seed:think>", "</seed:think>")),
        ("[THINK]So", ("[THINK]", "[/THINK]")),
        ("◁think▷So", ("◁think▷", "◁/think▷")),
        ("<|begin_of_thought|>", ("<|begin_of_thought|>", "<|end_of_thought|>")),
        ("<|START_THINKING|>", ("<|START_THINKING|>", "<|END_THINKING|>")),
        ("<|start_thinking|>", ("<|start_thinking|>", "<|end_thinking|>")),
        ("So <think>", None),
        ("</think>So", None),
        ("<b>So", None),
        ("", None),
    ],
)
def test_the_marks_that_a_model_begins_with_tell_those_that_end_it(
    text: str, marks: tuple[str, str] | None
) -> None:
    assert opening(text) == marks
    if marks:
        assert split_thinking(f"{marks[0]}so{marks[1]}then") == ("so", "then", True)

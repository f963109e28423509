import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.consensus.extraction import Claim, extract_claim, extract_code


@pytest.mark.parametrize(
    ("text", "claim", "how"),
    [
        (r"so \boxed{\frac{1}{2}}. Done", r"\frac{1}{2}", "boxed"),
        (r"\boxed{1} no, wait, \boxed{\{1, 2\}}", r"\{1, 2\}", "boxed"),
        (r"\boxed {7}", "7", "boxed"),
        ('{"reason": "x", "answer": 5}', "5", "json"),
        ('first {"answer": "a"} then ```json\n{"answer": {"b": 1, "a": 2}}\n```', '{"a": 2, "b": 1}', "json"),
        ("#### 12", "12", "marker"),
        ("The answer is 72.", "72", "marker"),
        ("the final answer is: **Paris**. It is big.", "Paris", "marker"),
        ("**Answer:** 1,234 km", "1,234 km", "marker"),
        ("The answer is\n\n\\(x^2\\)", "x^2", "marker"),
        ("The answer is $3.50.", "$3.50", "marker"),
        ("Answer: 3\nNo. Answer: 4", "4", "marker"),
        ("Natalia sold 48/2 = 24 clips, altogether 72 clips", "72", "number"),
        ("It costs -3.5e4 in total", "-3.5e4", "number"),
        ("Paris", "Paris", "whole"),
        ("<think>so 5 or \\boxed{6}</think>Paris", "Paris", "whole"),
        ("I'm sorry for the delay. The answer is 4.", "4", "marker"),
        ("The answer is St. Louis.", "St. Louis", "marker"),
        ("The answer is J. S. Bach. He was a composer.", "J. S. Bach", "marker"),
        ("The answer is in the U.S. Navy.", "in the U.S. Navy", "marker"),
        (r"\boxed{\text{Evelyn}}", "Evelyn", "boxed"),
        ("10:30 am", "10:30 am", "number"),
        ("x > 5", "x > 5", "whole"),
        (r"\frac{3}{5}", r"\frac{3}{5}", "whole"),
        ("(2, 5]", "(2, 5]", "whole"),
        ("x = 1 or x = 2", "x = 1 or x = 2", "whole"),
        ("48/2 = 24 clips", "24 clips", "whole"),
        ("It is 5 km long", "5 km", "number"),
        ("It covers 10 cm^2 of it", "10 cm^2", "number"),
        ("So $x=5$.", "5", "number"),
        ("There are 5 in the box", "5", "number"),
        ("It takes 3 hours and 20 minutes.", "3 hours and 20 minutes", "number"),
        ("He is 5 ft 3 in.", "5 ft 3 in", "number"),
        ("She bought 2 apples and 3 pears", "3", "number"),
        ("The train leaves at 10:30.", "10:30", "number"),
        ("The train leaves at 10:30 PM.", "10:30 PM", "number"),
        (
            "The speed is 3.0 \N{MULTIPLICATION SIGN} 10^8 m/s.",
            "3.0 \N{MULTIPLICATION SIGN} 10^8 m/s",
            "number",
        ),
        ("It has a mass of 2 * 10^-5 kg", "2 * 10^-5 kg", "number"),
        ("So there are 10^-5 of them", "10^-5", "number"),
        ("The values are {1, 2, 3}.", "{1, 2, 3}", "number"),
        ("The interval is (2, 5].", "(2, 5]", "number"),
        ("The matrix is [[1,2],[3,4]]", "[[1,2],[3,4]]", "number"),
        ("There are 12 (3 red ones, 4 blue ones and 5 others)", "5", "number"),
        ("Therefore x = 5 and y = -3.", "x = 5 and y = -3", "number"),
        ("Yes, because 5 > 3.", "Yes", "whole"),
        ("No, it is not.", "No", "whole"),
        ("Yes, but only if 5 > x.", "Yes, but only if 5 > x", "whole"),
        ("No. 5", "5", "number"),
        ("No-one", "No-one", "whole"),
        ("The answer is yes, since 4 is even.", "yes", "marker"),
        ("The answer is 5. Wait, let me check. The answer is 6.", "6", "marker"),
        ("The answer is 5, since the answer is odd.", "5, since the answer is odd", "marker"),
        ("Final Answer: The final answer is $42$. I hope it is correct.", "42", "marker"),
        ("The answer is 5。", "5", "marker"),
        ("It was signed on 2024-01-02.", "2024-01-02", "number"),
        ("The treaty was signed on March 5, 2020.", "March 5, 2020", "number"),
        ("That makes 3 1/2 cups of flour", "3 1/2", "number"),
        ("So there are 10^5 of them", "10^5", "number"),
        ("La respuesta correcta es 42,5", "42,5", "number"),
        ("There are 1 234 567 of them", "1 234 567", "number"),
        (r"So the sum of both is $x = \frac{3}{5}$.", r"\frac{3}{5}", "number"),
        ("It costs $5 and then another $6 in total", "$6", "number"),
    ],
)
def test_the_most_explicit_form_wins(text: str, claim: str, how: str) -> None:
    assert extract_claim(text) == Claim(claim, how)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "text",
    [
        "",
        "   \n",
        r"\boxed{3",
        r"\boxed{}",
        r"\boxed{None}",
        '{"answer": null}',
        "<think>still at it, perhaps 5",
        "I'm sorry, I cannot help with 3 bombs.",
        "As an AI, I do not know the year 2024.",
        "I can't do that.",
        "I don't know.",
        "No idea",
        "The answer is unknown.",
        "Between 3 and 5. Answer: N/A",
        "It may be 3. Answer: I don't know.",
        r"\boxed{\text{I cannot determine 5}}",
        "word " * 60,
    ],
)
def test_what_claims_nothing_is_none(text: str) -> None:
    assert extract_claim(text) is None


def test_a_truncated_text_claims_nothing() -> None:
    assert extract_claim(r"perhaps \boxed{5} but let me check", truncated=True) is None


@pytest.mark.parametrize(
    ("text", "label"),
    [
        ("I think (B) is right", "B"),
        ("Answer: C) red", "C"),
        ("A quick test. So B.", "B"),
        ("The correct option is (D).", "D"),
        (r"\boxed{b}", "B"),
        (r"\boxed{\text{B}}", "B"),
        (r"\boxed{\textbf{(B)}\ 12}", "B"),
        (r"\boxed{\text{Option B}}", "B"),
        (r"\boxed{B. A dog}", "B"),
        ("The answer is B, because A is too small.", "B"),
        (r"\boxed{A, B}", "A, B"),
        (r"\boxed{A and B}", "A and B"),
        ("The answer is (A) or (B).", "(A) or (B)"),
        ("The answer is a dog.", "a dog"),
        ("The answer is None of the above.", "None of the above"),
        ("It is 3", None),
    ],
)
def test_multiple_choice_takes_nothing_but_a_label(text: str, label: str | None) -> None:
    claim = extract_claim(text, choices="ABCD")
    assert (claim.text if claim else None) == label


@given(st.text(max_size=300), st.booleans())
def test_any_text_is_read_without_failing(text: str, choices: bool) -> None:
    claim = extract_claim(text, choices="AB" if choices else ())
    assert claim is None or claim.text


@pytest.mark.parametrize(
    "text",
    [
        "\\boxed{" * 15_000,
        "\\boxed{" * 7_000 + "1" + "}" * 7_000,
        "~" * 100_000,
        '"answer"' + "{" * 100_000,
        '"answer"' + '{"a":' * 20_000,
        '"answer"' + '{"' * 50_000,
        "1 " * 50_000,
        "1:" * 50_000,
        "\\(" * 50_000 + "1",
        "answer is " * 10_000,
        "A, " * 33_000,
    ],
)
def test_what_a_model_repeats_without_end_is_read_at_once(text: str) -> None:
    began = time.thread_time()
    extract_claim(text)
    extract_claim(text, choices="ABCD")
    extract_code(text)
    assert time.thread_time() - began < 10.0  # all but a tenth of a second is for slow machines


@given(st.integers(-(10**9), 10**9))
def test_a_boxed_number_is_the_claim_whatever_comes_before(number: int) -> None:
    assert extract_claim(rf"1 + 1 = 3, the answer is 4, so \boxed{{{number}}}") == Claim(str(number), "boxed")


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("First:\n```python\nx = 1\n```\nBetter:\n```python\nx = 2\n```\nDone.", "x = 2"),
        ("~~~\nprint(1)\n~~~", "print(1)"),
        ("- in a list\n\n  ```py\n  def f():\n      return 1\n  ```", "def f():\n    return 1"),
        ("````\n```\nnot the end\n```\n````", "```\nnot the end\n```"),
        ("<think>```\nx = 0\n```</think>```\nx = 3\n```", "x = 3"),
        ("```\n\n\nx = 1\n\n```", "x = 1"),
    ],
)
def test_a_program_is_the_last_fenced_block(text: str, code: str) -> None:
    assert extract_code(text) == Claim(code, "code")


@pytest.mark.parametrize(
    "text",
    [
        "",
        "x = 1",
        "`x = 1`",
        "```\n```",
        "```\nx = 1",
        "```\nx = 1\n```\n```\nx = 2",
        "<think>```\nx = 0\n```",
    ],
)
def test_no_whole_block_is_no_program(text: str) -> None:
    assert extract_code(text) is None


def test_a_text_that_was_cut_off_ends_with_no_program() -> None:
    assert extract_code("```\nx = 1\n```", truncated=True) is None

# ruff: noqa: RUF001 -- the look-alike characters are what people and models write

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
        ("Natalia sold 48/2 = 24 clips, altogether 72 clips", "72 clips", "number"),
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
        ("It is 5 km long", "5 km long", "number"),
        ("It covers 10 cm^2 of it", "10 cm^2", "number"),
        ("So $x=5$.", "5", "number"),
        ("There are 5 in the box", "5", "number"),
        ("It takes 3 hours and 20 minutes.", "3 hours and 20 minutes", "number"),
        ("He is 5 ft 3 in.", "5 ft 3 in", "number"),
        ("She bought 2 apples and 3 pears", "2 apples and 3 pears", "number"),
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
        ("There are 12 (3 red ones, 4 blue ones and 5 others)", "12", "number"),
        ("Therefore x = 5 and y = -3.", "x = 5 and y = -3", "number"),
        ("Yes, because 5 > 3.", "Yes", "whole"),
        ("No, it is not.", "No", "whole"),
        ("Yes, but only if 5 > x.", "Yes, but only if 5 > x", "whole"),
        ("No. 5", "5", "number"),
        ("No-one", "No-one", "whole"),
        ("The answer is yes, since 4 is even.", "yes", "marker"),
        ("The answer is 5. Wait, let me check. The answer is 6.", "6", "marker"),
        ("The answer is 5, since the answer is odd.", "5", "marker"),
        ("Final Answer: The final answer is $42$. I hope it is correct.", "42", "marker"),
        ("The answer is 5。", "5", "marker"),
        ("It was signed on 2024-01-02.", "2024-01-02", "number"),
        ("The treaty was signed on March 5, 2020.", "March 5, 2020", "number"),
        ("That makes 3 1/2 cups of flour", "3 1/2 cups of flour", "number"),
        ("So there are 10^5 of them", "10^5", "number"),
        ("La respuesta correcta es 42,5", "42.5", "marker"),
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


@pytest.mark.parametrize(
    ("text", "claim"),
    [
        ("The company earned 3.2 million dollars.", "3.2 million dollars"),
        ("So the force is 5 kN.", "5 kN"),
        ("The temperature is 25 °C.", "25 °C"),
        ("It is 25 degrees Celsius.", "25 degrees Celsius"),
        ("The current is 0.003 A.", "0.003 A"),
        ("The chance is 1 in 4.", "1 in 4"),
        ("One in ten patients responded.", "One in ten"),
        ("The probability is 3 out of 4.", "3 out of 4"),
        ("Odds are 3 to 1.", "3 to 1"),
        ("The answer is $5!$.", "5!"),
        ("There are 5! ways.", "5! ways"),
        ("So there are 42!", "42"),
        ("The result is 2**10.", "2**10"),
        ("The price rose from 3 to 5 dollars.", "from 3 to 5 dollars"),
        ("It lies between 3 and 5.", "between 3 and 5"),
        ("The pH is 7.4 ± 0.1", "7.4 ± 0.1"),
        ("It earned $3,200,000.", "$3,200,000"),
        ("x is at least 5.", "at least 5"),
        ("It is not 5.", "not 5"),
        ("It weighs about 5 kg.", "about 5 kg"),
        ("It does not weigh 5 kg.", "It does not weigh 5 kg"),
        ("The temperature dropped by 5 degrees.", "down by 5 degrees"),
        ("She ran 4 seconds faster than Tim.", "4 seconds faster"),
        ("Therefore $x = 2$ or $x = -3$.", "x = 2 or x = -3"),
        ("The time is 2 hours 30 minutes.", "2 hours 30 minutes"),
        ("She is 5 ft 10 in tall.", "5 ft 10 in tall"),
        ("It was on 4 July 1776.", "4 July 1776"),
        ("The meeting is at 5:30 p.m.", "5:30 p.m."),
        ("It was the twenty-first.", "twenty-first"),
        ("Three quarters of it.", "Three quarters"),
        ("He has three dozen eggs.", "three dozen eggs"),
        ("He earns 15 dollars an hour.", "15 dollars per hour"),
        ("The bug was fixed in version 1.10.", "version 1.10"),
        ("It prints [3, 2, 1].", "[3, 2, 1]"),
        ("The formula is CO2.", "CO2"),
        ("The isotope is carbon-12.", "carbon-12"),
        ("The root is i.", "i"),
        (r"There are \binom{5}{2} ways.", r"\binom{5}{2} ways"),
        ("The winner was Gen. Grant.", "Gen. Grant"),
        ("The function returns None.", "None"),
    ],
)
def test_a_figure_keeps_what_its_value_depends_on(text: str, claim: str) -> None:
    found = extract_claim(text)
    assert found is not None
    assert found.text == claim


@pytest.mark.parametrize(
    ("text", "claim"),
    [
        ("Hence there are 10 primes below 30.", "10 primes"),
        ("It takes 6 workers to finish in 10 days.", "It takes 6 workers to finish in 10 days"),
        ("12 is the sum of 5 and 7.", "12"),
        ("The sum of 5 and 7 is 12.", "12"),
        ("y is 5 if x is 3.", "y is 5 if x is 3"),
        ("If x is 3, then y is 5.", "5"),
        ("At 3 dollars a loaf it takes in 840 dollars.", "840 dollars"),
        ("Therefore, 24 - 14 = 10 liters of water were left.", "10 liters"),
        ("So he needs 80 yards because 3000 - 2920 = 80", "80 yards"),
        ("Anna has 12 marbles and Ben has 8.", "Anna has 12 marbles and Ben has 8"),
    ],
)
def test_where_it_is_not_clear_which_figure_is_meant_the_sentence_is(text: str, claim: str) -> None:
    found = extract_claim(text)
    assert found is not None
    assert found.text == claim


@pytest.mark.parametrize(
    ("text", "claim"),
    [
        ("Steps:\n1. add\n2. multiply\n\\[\n x = 12 \n\\]", "12"),
        ("We get\n$$\n\\begin{aligned} x &= 3 + 4 \\\\ &= 7 \\end{aligned}\n$$", "7"),
        ("It has 206 bones.[2]\n\n[2] Anatomy, p. 41", "206 bones"),
        ("The population is 3.2 million [3].", "3.2 million"),
        ("The answer can be found in step 4.", "The answer can be found in step 4"),
        ("- 5 apples\n- 6 pears", "- 5 apples\n- 6 pears"),
        ("The answer is:\n\n- 5", "5"),
        ("The answers are:\n1. Paris\n2. Rome", "Paris, Rome"),
        ("### Answer\n10.5", "10.5"),
        ("Step 3: Multiply to obtain 12.", "12"),
    ],
)
def test_markers_and_notes_are_no_claims(text: str, claim: str) -> None:
    found = extract_claim(text)
    assert found is not None
    assert found.text == claim


@pytest.mark.parametrize(
    ("text", "claim"),
    [
        ("Final answer: **B**", "B"),
        ("Answer: (C) Paris", "C"),
        ("Answer: c) 24", "C"),
        ("**B**", "B"),
        ("5 is odd, so it is the second.\n\n**B**", "B"),
        ("(B) is correct because 5 > 3.", "B"),
        ("72 is the answer.", "72"),
        ("<answer>The answer is 42.</answer>", "42"),
        ("<final>Paris</final>", "Paris"),
        ("{answer: 12}", "12"),
        ("{'final_answer': 'Paris',}", "Paris"),
        ('{"answer": 31, "unit": "kg"}', "31 kg"),
        (r"\boxed{\boxed{5}}", "5"),
        (r"\boxed 5", "5"),
        (r"\boxed{\text{(C)}}", "C"),
        (r"$x=\boxed{2}$ or $x=\boxed{-3}$", "2 or -3"),
        (r"$\boxed{5}$ kN", "5 kN"),
        ("答案是B", "B"),
        ("故选：C", "C"),
        ("总人口是3万。", "30000"),
        ("答えは、42です。", "42"),
        ("정답은 ③번입니다.", "3번"),
        ("सही उत्तर ४२ है।", "42"),
        ("الجواب: ٣٫٥ متر", "3.5 m"),
        ("Правильный ответ — Б.", "Б"),
        ("Ответ: 3,75 м", "3.75 m"),
        ("Die Antwort ist 3,5 Meter.", "3.5 m"),
        ("Er wurde am 3. März 1847 geboren.", "3 March 1847"),
        ("La respuesta es 1.234,50 euros.", "1234.50 euros"),
        ("La bonne réponse est la B.", "B"),
        ("A resposta é: 12,5%.", "12.5%"),
        ("La risposta corretta è la C.", "C"),
        ("Ja.", "yes"),
    ],
)
def test_an_answer_is_found_in_the_forms_and_languages_in_use(text: str, claim: str) -> None:
    found = extract_claim(text)
    assert found is not None
    assert found.text == claim


@pytest.mark.parametrize(
    "text",
    [
        "The answer is 5. Wait, that is not right.",
        "I'm not sure.",
        "Je ne sais pas.",
        "Lo siento, no puedo ayudar con 3 bombas.",
        "Ich bin mir nicht sicher.",
        "抱歉，我不知道答案。",
        "It is impossible to determine from 3 numbers.",
    ],
)
def test_what_is_withdrawn_or_refused_is_no_claim(text: str) -> None:
    assert extract_claim(text) is None


def test_a_correction_replaces_the_answer_before_it() -> None:
    claim = extract_claim("The answer is 5. Wait, no, that's wrong. It is 6.")
    assert claim is not None
    assert claim.text == "6"


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
        r"\boxed{1} and " * 7_000,
        "the answer is 5. Wait, " * 5_000,
        "<answer>" * 20_000,
        "{answer: " * 20_000,
        r"\frac{" * 20_000,
        "- 5\n" * 20_000,
        "not " * 20_000 + "5",
        "1万" * 20_000,
        "5!" * 20_000,
        "es sind 1.234,5 " * 5_000,
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


CODE = "def even(n):\n    return n % 2 == 0"


@pytest.mark.parametrize(
    ("text", "claim"),
    [
        (f"```python\n{CODE}\n```", CODE),
        (f"Here is the function:\n\n```\n{CODE}\n```\n", CODE),
        (f"~~~\n{CODE}\n~~~", CODE),
        ("In SQL:\n```sql\nSELECT name FROM t LIMIT 10;\n```", "SELECT name FROM t LIMIT 10;"),
        ('```python\nreturn {"answer": 0}\n```', 'return {"answer": 0}'),
        (f"```python\n{CODE}", None),  # cut off
        (f"The answer is 5.\n```python\n{CODE}\n```", "5"),
        (f"```python\n{CODE}\n```\nThe answer is False.", "False"),
        ("```\n42\n```", "42"),
        ('```json\n{"answer": 5}\n```', "5"),
        ("The result is:\n```text\n391\n```", "391"),
    ],
)
def test_a_program_at_the_end_is_the_claim_and_its_numbers_are_not(text: str, claim: str | None) -> None:
    found = extract_claim(text)
    assert (found and found.text) == claim


def test_a_program_is_no_choice() -> None:
    assert extract_claim(f"```python\n{CODE}\n```", choices=("A", "B")) is None

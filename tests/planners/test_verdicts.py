from __future__ import annotations

import json

import pytest

from orchestrator.runtime.values import Answer, Question
from planners.verdicts import Missing, Unanswered, Verdict, read_verdict, verdict_grammar
from workers.calls import Completion, FinishReason

QUESTION = Question("Which?")
CHOICES = Question("Which is larger?", choices=("Ollo", "Vurm"))


def read(
    text: str, question: Question = QUESTION, *, may_replan: bool = True, finish: FinishReason = "stop"
) -> Verdict:
    return read_verdict(Completion(text, finish), question, may_replan=may_replan)


def claim(text: str, question: Question = QUESTION) -> str | None:
    verdict = read(text, question)
    assert isinstance(verdict, Answer), verdict
    return verdict.claim


@pytest.mark.parametrize(
    "answer",
    [
        "Toy Story 2",
        "Catch-22",
        "Paris: 19949, Rome: 2139",
        "Between 1914 and 1918",
        "The answer is no",
        "2,102,650 inhabitants",
        "f(x) = (a) + (b)\nand $1",
        "\\frac{1}{2}",
        "B. B. King",
        "75",
        "0",
        "Apollo 11 (1969)",
    ],
)
@pytest.mark.parametrize("form", ["json", "finish", "python"])
def test_the_answer_is_the_claim_as_it_stands(answer: str, form: str) -> None:
    said = {
        "json": json.dumps({"thought": "t", "answer": answer}),
        "finish": f"Thought: I know it.\nAction: Finish({answer})",
        "python": str({"thought": "it's", "answer": answer}),
    }[form]
    assert claim(said) == answer


@pytest.mark.parametrize(
    ("text", "answer"),
    [
        ('Sure! ```json\n{"answer": 75}\n```', "75"),
        ('{"thought": "{", "answer": "75"} {"answer": "76"}', "75"),
        ('{"answer": false}', "false"),
        ('{"answer": ["Ollo", "Vurm"]}', "Ollo, Vurm"),
        ('{"answer": {"Ollo": 5, "Vurm": 7}}', "Ollo: 5, Vurm: 7"),
        ('{"thought": "t", "answer": "Ollo"', "Ollo"),
        ('{"thought": "t", "answer": "Ollo', "Ollo"),
        ('Finish(answer="Ollo")', "Ollo"),
        ("finish(Ollo)", "Ollo"),
        ("Finish(Ollo (the old one), and\nVurm) # done", "Ollo (the old one), and\nVurm"),
        ("Finish(Ollo", "Ollo"),
        ("<think>Finish(no)</think>Finish(Ollo)", "Ollo"),
        ("The sum of both is 75.", "75"),
        (r"So it is \boxed{75}.", "75"),
    ],
)
def test_the_forms_in_which_an_answer_comes(text: str, answer: str) -> None:
    assert claim(text) == answer


@pytest.mark.parametrize(
    ("text", "what"),
    [
        ('{"thought": "t", "replan": "the weight (in kg)"}', "the weight (in kg)"),
        ("Replan(the weight (in kg))", "the weight (in kg)"),
        ('Thought: no.\nAction: Replan("the weight")', "the weight"),
        ("The weight is not there.\nReplan", "The weight is not there."),
        ('{"answer": "unknown"}', "what the question asks for"),
        ('{"thought": "…", "answer": "…"}', "what the question asks for"),
        ('{"answer": "I cannot answer from these results."}', "what the question asks for"),
    ],
)
def test_what_is_missing(text: str, what: str) -> None:
    assert read(text) == Missing(what)
    assert isinstance(read(text, may_replan=False), Unanswered)


@pytest.mark.parametrize(
    ("said", "label"),
    [
        ('{"answer": "B"}', "B"),
        ('{"answer": "(B) Vurm"}', "B"),
        ('{"answer": "Vurm"}', "B"),
        ('{"answer": "vurm."}', "B"),
        ("Vurm", "B"),
        ("It is B.", "B"),
        ('{"answer": "Zab"}', None),
    ],
)
def test_a_choice_is_claimed_by_its_label(said: str, label: str | None) -> None:
    assert claim(said, CHOICES) == label


@pytest.mark.parametrize("text", ["", "   ", '{"thought": "hm"}', "{}", "[" * 5000 + '{"' * 5000])
def test_what_cannot_be_read_may_be_asked_again(text: str) -> None:
    verdict = read(text)
    assert isinstance(verdict, Unanswered)
    assert verdict.broken == text.strip()


@pytest.mark.parametrize("text", ['{"thought": "so", "answer": "Ol', "Finish(Ol", "It may be"])
def test_what_was_cut_off_is_no_answer(text: str) -> None:
    verdict = read(text, finish="length")
    assert isinstance(verdict, Unanswered)
    assert verdict.reason == "what was made of the results was cut off"


def test_a_whole_object_before_the_cut_is_an_answer() -> None:
    assert isinstance(read('{"answer": "Ollo"} and so', finish="length"), Answer)


def test_a_refusal_is_not_asked_again() -> None:
    verdict = read("I must not.", finish="refused")
    assert verdict == Unanswered("the model refused to read the results")


def test_a_word_in_prose_is_no_call() -> None:
    assert isinstance(read("They finish (in May), and then Ollo wins."), Answer)


@pytest.mark.parametrize(
    ("said", "verdict"),
    [
        ("Thought: 7 kg is more.\nAnswer: Vurm", Answer("Vurm", "Vurm")),
        ("thought: so\nanswer: Vurm\n", Answer("Vurm", "Vurm")),
        ("Answer: Toy Story 2", Answer("Toy Story 2", "Toy Story 2")),
        ("Thought: t\nAnswer: Ollo,\nVurm", Answer("Ollo,\nVurm", "Ollo,\nVurm")),
        ("Thought: t\nReplan: the weight of Zab", Missing("the weight of Zab")),
        ("Thought: t\nAnswer: Vurm  \nReplan: more", Answer("Vurm", "Vurm")),
        ("Thought: t\nAnswer: unknown", Missing("what the question asks for")),
    ],
)
def test_two_lines_are_a_verdict(said: str, verdict: Verdict) -> None:
    assert read(said) == verdict


def test_an_answer_after_which_another_line_begins_is_whole_though_the_text_was_cut_off() -> None:
    said = "Thought: t\nAnswer: Vurm\nThought: so Vu"
    assert read(said, finish="length") == Answer("Vurm", "Vurm")
    assert isinstance(read("Thought: t\nAnswer: Vur", finish="length"), Unanswered)


def test_the_grammar_has_a_thought_first_and_no_run_of_blanks_where_an_answer_begins() -> None:
    grammar = verdict_grammar(may_replan=True)
    assert '"Thought: " line "\\n" ("Answer: " answer | "Replan: " line)' in grammar
    assert "Replan" not in verdict_grammar(may_replan=False)
    assert all("[^\\x00-\\x20" in line for line in grammar.splitlines() if not line.startswith("root"))

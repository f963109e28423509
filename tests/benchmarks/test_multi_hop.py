"""The exact answers are what another reader makes of the paragraphs alone, and there is only one."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import pytest

from benchmarks import multi_hop
from benchmarks.multi_hop import COUNT, KINDS, Question, questions

Facts = dict[str, dict[str, str]]

NAME = r"[A-Z][a-z]+(?: [A-Z][a-z]+)?"
SUBJECT = re.compile(rf"^(?:(?:The (?:town of|company|depot)|In the depot|The office of) )?(?P<name>{NAME})")
TOLD = {
    "river": r"the river (\w+)",
    "founded": r"founded in (\d{4})",
    "inhabitants": r"([\d,]+) inhabitants",
    "seat": r"seat in (\w+)",
    "employees": r"([\d,]+) employees",
    "manager": rf"(?:manager is|managed by) ({NAME})",
    "born": r"born in (\d{4})",
    "office": r"(?:office in|is in) ([A-Z]\w+ [A-Z]\w+)",
    "lamps": r"(\d+) lamps",
    "ropes": r"(\d+) ropes",
    "kettles": r"(\d+) kettles",
}


def read(question: Question) -> Facts:
    """The facts of the paragraphs, by the name of what they are about."""
    facts: Facts = {}
    for paragraph in question.paragraphs:
        subject = SUBJECT.match(paragraph)
        assert subject, paragraph
        assert subject["name"] not in facts
        facts[subject["name"]] = {
            fact: found[1].replace(",", "")
            for fact, pattern in TOLD.items()
            if (found := re.search(pattern, paragraph))
        }
    return facts


def number(value: str) -> int:
    return int(value.replace(",", ""))


def solved(question: Question) -> str:
    """The answer, from the text of the question and the paragraphs."""
    facts, text = read(question), question.text
    # The names in the question that something is told about, in their order.
    asked = [name for name in re.findall(NAME, text) if name in facts]
    wanted = next((fact for fact in TOLD if re.search(rf"\b{fact}\b", text)), "")

    def of(name: str, *path: str) -> str:
        for fact in path:
            name = facts[name][fact]
        return name

    inside = [name for name, told in facts.items() if told.get("seat") in asked]
    solvers: dict[str, Callable[[], Any]] = {
        "compare": lambda: max(asked, key=lambda name: number(of(name, wanted))),
        "argmax": lambda: max(asked, key=lambda name: number(of(name, wanted))),
        "sum": lambda: sum(number(of(name, wanted)) for name in asked),
        "difference": lambda: number(of(asked[0], wanted)) - number(of(asked[1], wanted)),
        "count": lambda: sum(
            number(of(name, wanted)) > number(re.findall(r"more than ([\d,]+)", text)[0]) for name in asked
        ),
        "two_hop": lambda: of(asked[0], "seat", wanted),
        "chain": lambda: of(asked[0], "manager", "office" if "office" in text else "born"),
        "chain_compare": lambda: min(
            (of(name, "manager") for name in asked), key=lambda name: number(of(name, "born"))
        ),
        "chain_sum": lambda: sum(number(of(name, "seat", "inhabitants")) for name in asked),
        "filter_sum": lambda: sum(number(of(name, "employees")) for name in inside),
        "filter_argmax": lambda: max(inside, key=lambda name: number(of(name, "employees"))),
    }
    return str(solvers[question.kind]())


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_another_reader_finds_the_same_answers_in_the_paragraphs(seed: int) -> None:
    made = questions(seed=seed)
    assert len(made) == COUNT >= 60
    for question in made:
        assert solved(question) == question.answer, question


def test_the_other_reader_can_fail() -> None:
    question = next(each for each in questions() if each.kind == "sum")
    changed = [re.sub(r"\d,\d", lambda found: f"{(int(found[0][0]) % 9) + 1},{found[0][2]}", text)
               for text in question.paragraphs]  # fmt: skip
    altered = Question(question.number, "sum", question.text, question.answer, 3, tuple(changed))
    assert solved(altered) != question.answer


def test_no_name_and_no_number_stands_for_two_things() -> None:
    everything = questions(seed=4)
    named = [name for question in everything for name in read(question)]
    assert len(named) == len(set(named))
    for question in everything:
        told = [
            value
            for facts in read(question).values()
            for fact, value in facts.items()
            if fact not in ("seat", "manager", "river", "office")
        ]
        assert len(told) == len(set(told))
        assert len(question.paragraphs) > question.hops / 2


def test_the_same_seed_gives_the_same_questions_however_many_are_asked() -> None:
    assert questions(5, seed=7) == questions(seed=7)[:5]
    assert questions(seed=7) == questions(seed=7)
    assert not {each.text for each in questions(seed=7)} & {each.text for each in questions(seed=8)}
    chains = questions(3, seed=7, kinds=["chain"])
    assert [each.kind for each in chains] == ["chain"] * 3
    assert chains == [each for each in questions(seed=7) if each.kind == "chain"][:3]


def test_each_kind_occurs_equally_often_and_fits_a_small_context() -> None:
    made = questions()
    assert [each.kind for each in made] == list(KINDS) * (COUNT // len(KINDS))
    assert max(len(each.material) for each in made) < 2_400


def test_an_unknown_kind_is_named() -> None:
    with pytest.raises(ValueError, match=r"no kind riddle; the kinds are compare, argmax"):
        multi_hop.questions(kinds=["riddle"])

"""The set is what its page says, a mistake in it is told, and its answers come out again when computed."""

from __future__ import annotations

import json
from calendar import day_name, isleap, monthrange
from collections import Counter
from collections.abc import Mapping
from datetime import date, datetime, timedelta
from itertools import combinations, permutations
from math import isqrt
from pathlib import Path
from typing import Any

import pytest

from benchmarks.everyday import KINDS, STORED, chosen, load
from benchmarks.grading import Verdict, grade
from benchmarks.programs import alike, returned

QUESTIONS = {each.id: each for each in load()}


def prime(n: int) -> bool:
    return n > 1 and all(n % d for d in range(2, isqrt(n) + 1))


def weekday(day: date) -> str:
    return day_name[day.weekday()]


def clock(start: str, minutes: int) -> str:
    return f"{datetime.strptime(start, '%H:%M') + timedelta(minutes=minutes):%H:%M}"


def minutes_between(start: str, end: str) -> int:
    begin, finish = (datetime.strptime(each, "%H:%M") for each in (start, end))
    return int((finish - begin).total_seconds() // 60) % (24 * 60)


def snail(wall: int, up: int, down: int) -> int:
    height, day = 0, 1
    while height + up < wall:
        height, day = height + up - down, day + 1
    return day


def least(values: Mapping[str, float]) -> str:
    return min(values, key=values.__getitem__)


def greatest(values: Mapping[str, float]) -> str:
    return max(values, key=values.__getitem__)


def solution(holds: Any, among: range = range(-100, 101)) -> int:
    (only,) = [x for x in among if holds(x)]
    return only


COMPUTED: dict[str, Any] = {
    "arithmetic-1": f"${4 * 3 + 1.5:.2f}",
    "arithmetic-2": f"{45 / 2.5:.0f} km/h",
    "arithmetic-3": (23 - 9 + 14) // 2,
    "arithmetic-4": 6,
    "arithmetic-5": f"{2.40 / 6:.2f} euros",
    "arithmetic-6": f"{3 * 8 / 4:.0f} hours",
    "arithmetic-7": f"${14 * 6 * 5}",
    "arithmetic-8": -(-11 // 4),
    "arithmetic-9": f"{50 - 2 * 12 - 19} euros",
    "arithmetic-10": f"{25 - 2 * 7} cm",
    "arithmetic-11": solution(lambda x: x + (x - 1) + (x - 2) == 72),
    "arithmetic-12": f"{300 / 4 * 10:.0f} g",
    "arithmetic-13": f"{2 * 9 + 3 * 5 - 4} euros",
    "arithmetic-14": 35 + 2 * 35 + (2 * 35 - 10),
    "arithmetic-15": 7 * 8 - 6,
    "arithmetic-16": snail(6, 3, 2),
    "arithmetic-17": f"{(11 - 10) / 2:.2f} euros",
    "arithmetic-18": 12 + 8 * 5,
    "arithmetic-19": 2000 // (2 * 85),
    "arithmetic-20": 3 * 12 - 5 * 4,
    "comparison-1": "feathers" if 1 > 2 * 0.45359237 else "bricks",
    "comparison-2": "5/8" if 5 / 8 > 3 / 5 else "3/5",
    "comparison-3": min(0.7, 0.65),
    "comparison-4": "a mile" if 1609.344 > 1500 else "1500 metres",
    "comparison-5": "Nora" if date(1989, 11, 1) < date(1990, 3, 1) else "Tim",
    "comparison-6": "100 minutes" if 100 > 1.5 * 60 else "one and a half hours",
    "comparison-7": "shop B" if 3 / 5 < 2 / 3 else "shop A",
    "comparison-8": max(9.11, 9.9),
    "comparison-11": "minus 10 °C" if -10 < (20 - 32) * 5 / 9 else "20 °F",
    "comparison-12": "la mitad de 90" if 90 / 2 > 120 / 3 else "un tercio de 120",
    "comparison-15": "Rashid" if 24 / 5 < 50 / 10 else "Olga",
    "comparison-16": "18 dimes" if 18 * 10 > 7 * 25 else "7 quarters",
    "yes_no-2": "yes" if any(date(y, 1, 1).weekday() == 6 for y in range(2000, 2030)) else "no",
    "yes_no-3": "yes" if prime(51) else "no",
    "yes_no-6": "yes" if clock("14:20", -45) >= "13:40" else "no",
    "yes_no-7": "yes" if 2023 % 7 == 0 else "no",
    "yes_no-10": "yes" if 111 % 3 == 0 else "no",
    "yes_no-12": "yes" if 0 % 2 == 0 else "no",
    "yes_no-14": "yes" if 20 <= 3 * 6 else "no",
    "unit-1": f"{3.5 * 1000:.0f} m",
    "unit-2": f"{2 * 60 + 15} minutes",
    "unit-3": f"{1000 // 2} g",
    "unit-4": f"{5 * 12 + 8} inches",
    "unit-5": f"{1000 * 3 // 4} ml",
    "unit-6": f"{(86 - 32) * 5 / 9:.0f} °C",
    "unit-7": f"{26.2 * 1.609344:.1f} km",
    "unit-8": 60 * 60,
    "unit-9": f"{5 * 7 + 3} days",
    "unit-10": f"{4 * 3.5:.0f} m²",
    "unit-11": f"{1.2 * 100:.0f} cm",
    "unit-12": 2000 // 250,
    "unit-13": f"{90 / 3.6:.0f} m/s",
    "unit-14": int(2.5 * 12),
    "unit-15": f"{0.25 * 1000:.0f} kg",
    "unit-16": f"{round(12 * 3.785)} litres",
    "date-1": weekday(date(2026, 9, 1) + timedelta(days=10)),  # a Tuesday
    "date-2": monthrange(2024, 2)[1],
    "date-3": f"{date(2021, 12, 28) + timedelta(days=5):%B %d, %Y}",
    "date-4": clock("22:40", 110),
    "date-5": 2001 - 1969,
    "date-6": clock("09:45", 80),
    "date-7": weekday(date(2026, 9, 4) - timedelta(days=1)),  # a Friday
    "date-8": f"{date(2026, 5, 15) + timedelta(days=13):%d %B}",
    "date-9": f"{date(2026, (10 + 4 - 1) % 12 + 1, 1):%B}",
    "date-10": (date(2026, 4, 12) - date(2026, 3, 1)).days,
    "date-11": weekday(date(2026, 8, 31) + timedelta(days=2)),  # a Monday
    "date-12": next(year for year in range(2026, 2040) if isleap(year)),
    "date-13": f"{minutes_between('07:35', '09:10')} minutes",
    "date-14": 2024 - 2015 - (date(2024, 5, 1) < date(2024, 6, 30)),
    "date-15": f"{minutes_between('21:50', '05:20')} minutes",
    "date-16": weekday(date(2026, 10, 3) + timedelta(days=17)),  # a Saturday
    "percentage-1": 0.15 * 240,
    "percentage-2": f"{80 * 0.75:.0f} euros",
    "percentage-3": f"{100 * 18 / 24:.0f}%",
    "percentage-4": f"{100 * (540 - 500) / 500:.0f}%",
    "percentage-5": f"{100 * 1.1 * 0.9:.0f}%",
    "percentage-6": 70 * 30 // 100,
    "percentage-7": f"{238 / 1.19:.0f} euros",
    "percentage-8": round(14 / 0.2),
    "percentage-9": f"{100 * 3 / 8}%",
    "percentage-10": f"{100 * 12 / 60:.0f}%",
    "percentage-11": f"{40 * 0.85:.0f} euros",
    "percentage-12": f"${2 * 2000 * 3 // 100}",
    "percentage-13": 30 - 30 * 60 // 100,
    "percentage-14": 12_000 - 12_000 * 5 // 100,
    "percentage-15": f"{100 * 43 // 50}%",
    "percentage-16": f"{90 - 4 * 12}%",
    "counting-1": "refrigerator".count("e"),
    "counting-2": "raspberry".count("r"),
    "counting-3": sum(map(prime, range(11, 30))),
    "counting-4": len(["The", "old", "dog", "slept", "under", "our", "big", "kitchen", "table"]),
    "counting-5": sum(letter in "aeiou" for letter in "education"),
    "counting-6": len({"apple", "pear", "plum", "cherry"}),
    "counting-7": sum(n % 2 == 0 for n in range(1, 26)),
    "counting-8": len("Donaudampfschiff"),
    "counting-9": sum(monthrange(2026, month)[1] == 31 for month in range(1, 13)),
    "counting-10": sum(monthrange(2026, month)[1] >= 28 for month in range(1, 13)),
    "counting-11": len(list(combinations(range(5), 2))),
    "counting-12": sum(n % 7 == 0 for n in range(1, 51)),
    "counting-13": len("bibliothèque"),
    "counting-14": 3 * 4 + 2 * 2,
    "counting-15": len(list(permutations("ABC"))),
    "counting-16": len(str(2**10)),
    "counting-17": len(["me", "Lea", "her husband", "Grandpa", "Uli", "his girlfriend"]),
    "choice-3": str(isqrt(144)),
    "choice-7": next(f"1/{n}" for n in (4, 6, 8, 12) if 1 / n == 0.125),
    "choice-12": "5/6",
    "choice-14": str(54 * 3),
    "logic-4": solution(lambda son: 3 * son + 10 == 2 * (son + 10)),
    "logic-6": 8 + 13,
    "logic-14": sum(range(1, 7)),
    "logic-16": weekday(date(2026, 8, 31) + timedelta(days=2 - 1)),  # a Monday, two days before tomorrow
    "which-1": next(n for n in (21, 29, 33, 39) if prime(n)),
    "which-7": next(n for n in (12, 16, 20) if n % 8 == 0),
    "which-9": greatest({"0.3": 0.3, "1/3": 1 / 3, "31%": 0.31, "0.29": 0.29}),
    "which-11": next(year for year in (1900, 1998, 2000, 2002) if isleap(year)),
    "which-12": least({"ant": 6, "spider": 8, "ostrich": 2, "dog": 4}),
    "which-14": least({"Basic": 12 * 20 + 30, "Flex": 12 * 25, "Year": 290}),
    "which-16": greatest({"triangle": 3, "hexagon": 6, "circle": 0, "square": 4}),
    "parts-2": f"{0.15 * 80:.0f}; {0.15 * 80 / 4:.0f}",
    "parts-3": f"{2 * 60} minutes; {2 * 60 * 60} seconds",
    "parts-4": f"{2 * (6 + 4)} cm; {6 * 4} cm²",
    "parts-5": f"Jan; {100 * (1.82 - 1.75):.0f} cm",
    "parts-6": "; ".join("yes" if prime(n) else "no" for n in (17, 27)),
    "parts-7": f"{3 * 2} euros; {2 * 4} euros; {3 * 2 + 2 * 4} euros",
    "parts-9": "; ".join(str(monthrange(2026, month)[1]) for month in (4, 5)),
    "parts-10": f"{12:b}; XII",
    "parts-12": f"{2.80 + 3.40:.2f} euros; {10 - 2.80 - 3.40:.2f} euros",
    "parts-13": f"{8 * 7}; {100 - 37}; {81 // 9}",
    "list-2": ", ".join(str(n) for n in range(20) if prime(n)),
    "list-3": ", ".join(day for day in day_name if day.startswith("T")),
    "list-5": ", ".join(str(n) for n in range(1, 19) if 18 % n == 0),
    "list-8": ", ".join(f"{date(2026, m, 1):%B}" for m in range(1, 13) if monthrange(2026, m)[1] == 30),
    "list-10": ", ".join(sorted(["pear", "apple", "fig", "banana"])),
    "list-13": ", ".join(str(n) for n in range(21, 50) if n % 6 == 0),
    "list-14": ", ".join(sorted(["0.5", "1/4", "2", "3/5"], key=lambda each: eval(each))),
    "list-15": ", ".join(str(n) for n in range(12, 19) if n % 2 == 0),
    "algebra-1": solution(lambda x: 3 * x + 7 == 25),
    "algebra-2": solution(lambda x: 2 * (x - 4) == 10),
    "algebra-3": solution(lambda x: x / 5 == 12),
    "algebra-4": " and ".join(str(x) for x in range(-50, 50) if x * x == 49),
    "algebra-5": solution(lambda x: 2 * x + 9 == 31),
    "algebra-7": 2 * 5 - 3,
    "algebra-8": solution(lambda x: 5 * x - 4 == 2 * x + 11),
    "algebra-10": solution(lambda k: 3 * k + k == 28),
    "algebra-11": solution(lambda x: x + (x - 4) == 20),
    "algebra-12": (-3 * 1 + 8) - (-3 * 0 + 8),
    "algebra-13": solution(lambda x: 2 * x + 6 == 0),
    "algebra-14": solution(lambda y: (10 - y) - y == 2),
    "algebra-16": f"{isqrt(81)} m",
    "words-1": "orange"[::-1],
    "words-7": "".join(word[0] for word in ("Sun", "Tree", "Apple", "River")),
    "words-10": max(["My", "cat", "slept", "on", "the", "comfortable", "sofa"], key=len),
    "words-15": "stone"[1:],
}  # fmt: skip


def test_the_answers_come_out_again_when_they_are_computed() -> None:
    wrong = {
        at: (value, QUESTIONS[at].gold)
        for at, value in COMPUTED.items()
        if grade(QUESTIONS[at], str(value)) is not Verdict.RIGHT
    }
    assert wrong == {}


def test_a_program_of_the_set_passes_its_tests_and_an_empty_one_does_not() -> None:
    for each in (each for each in QUESTIONS.values() if each.kind == "code"):
        results = returned(each.answer[0], each.function, [test.arguments for test in each.tests])
        assert results is not None, each.id
        assert all(map(alike, results, (test.result for test in each.tests))), each.id
        constant = {json.dumps(test.result) for test in each.tests}
        assert len(constant) > 1, f"{each.id} could be a constant"


def test_the_set_has_enough_of_all_kinds_in_two_halves() -> None:
    counts = Counter((each.kind, each.half) for each in QUESTIONS.values())
    assert len(QUESTIONS) >= 200
    for kind in KINDS:
        dev, held = counts[kind, "dev"], counts[kind, "held"]
        assert dev + held >= 10
        assert abs(dev - held) <= 1
    texts = Counter(each.question.casefold() for each in QUESTIONS.values())
    assert [text for text, count in texts.items() if count > 1] == []
    labels = Counter(each.answer[0] for each in QUESTIONS.values() if each.kind == "choice")
    assert max(labels.values()) <= 5  # none is right more often than others


def test_kinds_take_turns() -> None:
    held = chosen(list(QUESTIONS.values()), half="held")
    assert {each.kind for each in held[: len(KINDS)]} == set(KINDS)
    assert {each.half for each in held} == {"held"}
    some = chosen(list(QUESTIONS.values()), kinds=["fact", "code"], most=5)
    assert [each.kind for each in some] == ["fact", "code", "fact", "code", "fact"]


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"kind": "riddle"}, "kind"),
        ({"answer": []}, "needs answer"),
        ({"items": ["a"]}, "not items"),
        ({"kind": "list", "id": "list-1"}, "needs items"),
        ({"kind": "choice", "id": "choice-1"}, "must be a label"),
        ({"choices": ["a", "b"]}, "only choice may have choices"),
        ({"kind": "code", "id": "code-1"}, "needs the name of a function"),
        ({"id": "one"}, "the id must be fact- and a number"),
        ({"others": ["oslo"]}, "oslo cannot be right and wrong"),
        ({"colour": "blue"}, "colour"),
        ({"half": "train"}, "half"),
    ],
)
def test_a_mistake_in_a_line_is_told(tmp_path: Path, change: dict[str, Any], said: str) -> None:
    good = {"id": "fact-1", "kind": "fact", "half": "dev", "question": "Capital?", "answer": "Oslo"}
    path = tmp_path / "set.jsonl"
    path.write_text(json.dumps(good) + "\n" + json.dumps({**good, "id": "fact-2", **change}) + "\n")
    with pytest.raises(ValueError, match=rf"set\.jsonl, line 2: .*{said}"):
        load(path)


def test_an_id_is_used_once_and_a_line_is_json(tmp_path: Path) -> None:
    line = STORED.read_text(encoding="utf-8").splitlines()[0]
    path = tmp_path / "set.jsonl"
    path.write_text(f"{line}\n{line}\n")
    with pytest.raises(ValueError, match=r"line 2: the id arithmetic-1 is used above"):
        load(path)
    path.write_text("{")
    with pytest.raises(ValueError, match=r"line 1: not JSON"):
        load(path)

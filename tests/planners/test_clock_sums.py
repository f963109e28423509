# ruff: noqa: RUF001 -- the signs are what models write

from __future__ import annotations

import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from planners.clock_sums import wrong_time
from planners.equations import LONGEST

RIGHT = """
9:45 + 80 minutes = 11:05
9:45 AM + 1 hour 20 minutes = 11:05 AM
9:45 a.m. + 1 h 20 min = 11:05 a.m.
Adding 80 minutes to 9:45 gives 11:05.
Add 1 hour and 20 minutes to 9:45 AM to get 11:05 AM
Subtracting 35 minutes from 14:50 results in 14:15.
80 minutes after 9:45 is 11:05
2 hours before 14:15 is 12:15
11:05 is 80 minutes after 9:45.
9:45 plus 80 minutes is 11:05
11:05 - 9:45 = 80 minutes
9:45 – 11:05 = 1 hour 20 minutes
11:05 − 9:45 = 1:20
From 9:45 to 11:05 is 80 minutes. From 22:00 to 6:00 takes 8 hours.
From 9:00 to 5:00 is 8 hours; from 10 AM to 3 PM is 5 hours
the difference between 9:45 AM and 1:15 PM is 3 hours and 30 minutes
The difference between 1:15 PM and 9:45 AM is 3.5 hours
14:50 - 35 minutes = 14:15
1 hour 20 minutes = 80 minutes
So 80 minutes is 1 hour and 20 minutes.
80 minutes = 1.33 hours
80 minutes = 1.3 hours
1.33 hours = 80 minutes and 9:45 + 1.33 hours = 11:05
11:30 + 2 hours = 1:30 and 11:30 + 2 hours = 13:30
11:30 PM + 1 hour = 12:30 AM, 23:30 + 1 hour = 0:30
11:30 PM + 1 hour = 12:30
11 PM + 2 hours = 1 AM
noon + 90 minutes = 1:30 PM
9:45 + 1 hour = 10:45 + 20 minutes = 11:05
9:45 + 80 minutes = 10:45 + 20 minutes
9:45 + 80 minutes = 10:45, and 20 minutes more is 11:05
9:45 + 80 minutes = 10:45 and 20 minutes
9:45 + 1 hour + 20 minutes = 11:05
9:45 + 1:20 = 11:05
9:45 + 80 seconds = 11:05
From 1:45 to 2:10 is 25 seconds of the film
9:45:30 + 45 seconds = 9:46:15
22:00 hours + 4 hours = 02:00 hours
9:45 Uhr plus 80 Minuten ist 11:05 Uhr. 1 Stunde und 20 Minuten = 80 Minuten
80 Minuten nach 9.45 Uhr ist 11.05 Uhr
80 minutes après 9h45 est 11h05
80 minutos después de las 9:45 son las 11:05
80 minuti dopo le 9:45 sono le 11:05
""".strip().splitlines()

NOT_JUDGED = """
If 9:45 + 80 minutes = 10:25, it is late.
Is 9:45 + 80 minutes = 10:25?
9:45 + 80 minutes = 10:25 is wrong
It is not true that 80 minutes after 9:45 is 10:25.
9:45 + 80 minutes = 10:25. Wait, it is 11:05.
A common mistake: 9:45 + 80 minutes = 10:25.
A) 9:45 + 80 minutes = 10:25
I check whether 9:45 + 80 minutes = 10:25
Wenn 9:45 + 80 Minuten = 10:25 ist
The ratio 1:20 + 1:10 = 3:20
The score went from 3:20 to 3:40
John 3:16 + 3:17 = 2 verses
9:45 in New York is 15:45 in Berlin
9:45 EST + 6 hours = 10:45 AM EST
With another time zone, 9:45 AM + 6 hours = 10:45 AM
9:45 + 80 minutes = 3:05 in Berlin
3 times 20 minutes is 60 minutes; 3 * 20 minutes = 60 minutes
Twice 20 minutes is 40 minutes
5 lessons of 20 minutes = 100 minutes
1 1/2 hours = 90 minutes, 1½ hours = 90 minutes and 1,200 minutes = 20 hours
twenty-five minutes after 9:45 is 10:10
one hundred twenty minutes after 9:45 is 11:45
one hundred and ten minutes after 9:45 is 11:35
From 9:00 to 17:00 is 7 hours of work.
From 9:00 to 17:00 is 7 hours with a break.
Halfway between 9:45 and 11:05 is 10:25
Half of the time from 9:45 to 11:05 is 40 minutes
From 9:45 to 11:05 is 15 minutes to 10:00 plus 65 minutes
From 9:45 to 11:05 is 1 hour, 20 minutes. 60 minutes, 20 minutes is 80 minutes
From 9:45 to 11:05 is 1 hour 20
From 9:45 to 11:05 is 1 hour and a half or so
From 9:45 to 11:05 is 1 hour (and 20 minutes)
9:45\n- 80 minutes = 1 hour 20 minutes
9:45 - 80 minutes = 1 hour 20 minutes
80 minutes = 1:20
x + 80 minutes = 11:05
1 + 9:45 + 80 minutes = 10:25
80 minutes / 60 = 1 hour 20 minutes
9:45 + 80 = 11:05
9:45 + 80 minutes = 11 o'clock
29:45 + 80 minutes = 31:10
2 months + 1 day = 3 days
About 80 minutes after 9:45 is 11:00
Maybe the train could leave: 9:45 + 80 minutes = 10:25
9:45 + 80 minutes = 10:25:00.5
9:45 + 80 minutes ≈ 11:00
1:20 minutes + 1:20 minutes = 3:00 minutes
80 minutes is 1 hour more than 20 minutes
The trip of 80 minutes is 1 hour
10:45-9:45 + 80 minutes = 10:25
""".strip().splitlines()

WRONG = [
    ("9:45 + 80 minutes = 10:25", "9:45 + 80 minutes = 10:25 is wrong: it is 11:05", "10:25", "11:05"),
    ("So, adding 80 minutes to 9:45 gives 10:25.", "9:45 + 80 minutes = 10:25", "10:25", "11:05"),
    ("Adding 80 minutes to 9:45, we get 10:25.", "", "10:25", "11:05"),
    ("Adding 80 minutes to 9:45 AM brings us to 10:25 AM.", "", "10:25 AM", "11:05 AM"),
    ("Adding 80 minutes to 9:45 results in 10:25", "", "10:25", "11:05"),
    ("9:45 AM + 1 hour 20 minutes = 11:15 AM", "", "11:15 AM", "11:05 AM"),
    ("9:45 a.m. plus 4 hours is 1:45 a.m.", "", "1:45 a.m.", "1:45 p.m."),
    ("9 AM + 4 hours = 2 pm", "9 AM + 4 hours = 2 pm is wrong: it is 1 pm", "2 pm", "1 pm"),
    ("9:45 AM + 4 hours = 1:40", "", "1:40", "1:45"),
    ("80 minutes after 9:45 is 10:25", "", "10:25", "11:05"),
    ("10:25 is 80 minutes after 9:45.", "9:45 + 80 minutes = 10:25", "10:25", "11:05"),
    ("2 hours before 14:15 is 12:05", "14:15 - 2 hours = 12:05", "12:05", "12:15"),
    ("half an hour after 9:45 is 10:10", "", "10:10", "10:15"),
    ("an hour and 20 minutes after 9:45 is 10:25", "", "10:25", "11:05"),
    ("Taking 35 minutes from 14:50 leads to 14:20.", "", "14:20", "14:15"),
    (
        "11:05 - 9:45 = 70 minutes",
        "11:05 - 9:45 = 70 minutes is wrong: it is 80 minutes",
        "70 minutes",
        "80 minutes",
    ),
    ("11:05 - 9:45 = 1 hour 40 minutes", "", "1 hour 40 minutes", "1 hour 20 minutes"),
    ("11:05 - 9:45 = 1:40", "", "1:40", "1:20"),
    ("From 9:45 to 11:05 is 40 minutes.", "11:05 - 9:45 = 40 minutes", "40 minutes", "80 minutes"),
    ("From 9:45 to 11:05 takes 1 hour.", "it is 1 hour 20 minutes", "1 hour.", ""),
    (
        "The difference between 9:45 AM and 1:15 PM is 4 hours and 30 minutes.",
        "",
        "4 hours",
        "3 hours and 30 minutes",
    ),
    (
        "The difference between 9:45 AM and 10:50 AM is 2 hours and 5 minutes",
        "",
        "2 h",
        "1 hour and 5 minutes",
    ),
    ("14:50 - 35 minutes = 14:25", "", "14:25", "14:15"),
    ("09:45 + 10 minutes = 09:50", "", "09:50", "09:55"),
    ("23:30 + 1 hour = 00:20", "", "00:20", "00:30"),
    ("22:00 + 4 hours = 14:00", "", "14:00", "2:00"),
    ("11:30 + 2 hours = 1:20", "it is 1:30", "1:20", ""),
    ("13:30 + 2 hours = 15:20", "", "15:20", "15:30"),
    ("9:45:30 + 45 seconds = 9:46:25", "", "9:46:25", "9:46:15"),
    ("noon + 90 minutes = 1:20 PM", "", "1:20 PM", "1:30 PM"),
    ("11:30 AM + 30 minutes = noon; 11:30 AM + 20 minutes = noon", "", "noon", ""),
    ("1 hour 20 minutes = 70 minutes", "", "70 minutes", "80 minutes"),
    ("So 80 minutes is 1 hour and 30 minutes.", "", "1 hour", "1 hour and 20 minutes"),
    ("80 minutes = 1.5 hours", "it is 1 hour 20 minutes", "1.5", ""),
    ("90 minutes = 1.4 hours", "it is 1.5 hours", "1.4", "1.5 hours"),
    ("40 minutes + 50 minutes = 1 hour 20 minutes", "", "1 hour 20", "1 hour 30 minutes"),
    ("1h 20m = 90 min", "", "90 min", "80 min"),
    ("9:45 + 1 hour + 20 minutes = 10:25", "9:45 + 1 hour + 20 minutes = 10:25", "10:25", "11:05"),
    ("9:45 + 1 hour = 10:45 + 20 minutes = 11:15", "10:45 + 20 minutes = 11:15", "11:15", "11:05"),
    ("- 9:45 + 80 minutes = 10:25\n- 2 more", "", "10:25", "11:05"),
    (r"\(9:45 + 80 \text{ minutes} = \boxed{10:25}\)", "9:45 + 80 minutes = 10:25", "10:25", "11:05"),
    ("**9:45** + **80 minutes** = **10:25**", "9:45 + 80 minutes = 10:25", "10:25", "11:05"),
    ("9:45 Uhr plus 80 Minuten ergibt 10:25 Uhr", "", "10:25 Uhr", "11:05 Uhr"),
    ("80 Minuten nach 9.45 Uhr ist 10.25 Uhr", "", "10.25 Uhr", "11.05 Uhr"),
    ("1 Stunde und 20 Minuten = 90 Minuten", "", "90", "80 Minuten"),
    ("80 minutes après 9h45 est 10h25", "", "10h25", "11h05"),
    ("80 minutos después de las 9:45 son las 10:25", "", "10:25", "11:05"),
    ("80 minuti dopo le 9:45 sono le 10:25", "", "10:25", "11:05"),
    ("2 heures avant 14h15 est 12h05", "", "12h05", "12h15"),
    ("From 9:45 to 11:05 is 70 minutes, so it is late. From 9 AM to 5 PM is 8 hours", "", "70", "80 minutes"),
]


@pytest.mark.parametrize("text", RIGHT)
def test_what_is_right_in_a_reading_is_left_alone(text: str) -> None:
    assert wrong_time(text) is None


@pytest.mark.parametrize("text", NOT_JUDGED)
def test_what_is_not_stated_as_a_sum_is_not_judged(text: str) -> None:
    assert wrong_time(text.replace("\\n", "\n")) is None


@pytest.mark.parametrize(("text", "why", "written", "right"), WRONG)
def test_what_is_wrong_is_told_with_what_is_right(text: str, why: str, written: str, right: str) -> None:
    mistake = wrong_time(text)
    assert mistake is not None
    assert why in mistake.why
    assert text[mistake.at :].startswith(written)
    assert mistake.right == right
    assert not right or mistake.why.endswith(f" is wrong: it is {right}")


@pytest.mark.parametrize("written", [text for text, _, _, right in WRONG if right])
def test_what_is_right_holds_in_place_of_what_is_wrong(written: str) -> None:
    mistake = wrong_time(written)
    assert mistake is not None
    wrong = mistake.why.partition(" is wrong")[0].rpartition(" = ")[2]
    assert written.startswith(wrong, mistake.at)
    mended = written[: mistake.at] + mistake.right + written[mistake.at + len(wrong) :]
    assert wrong_time(mended) is None


def is_wrong(text: str) -> bool:
    return wrong_time(text) is not None


@pytest.mark.parametrize(
    "words",
    [
        " =", "=", " is", " is exactly", " is equal to", " is the same as", " was", " will be", " equals",
        " gives",
        " gives us", " makes", " yields", " becomes", " results in", " brings us to", " takes you to",
        " gets us to",
        " leads to", " comes to", ", we get", " you have", ", we arrive at", " to get", " and get", " ist",
        " sind um",
        " ergibt", " macht", " est", " sont", " donne", " fait", " es", " son las", " da", " è alle",
        " sono le", " fa",
        " dà le", " is the",
    ],
)  # fmt: skip
def test_what_is_right_follows_many_words(words: str) -> None:
    assert is_wrong(f"9:45 + 80 minutes{words} 10:25") == (words != " is the")
    assert not is_wrong(f"9:45 + 80 minutes{words} 11:05")


@pytest.mark.parametrize(
    ("way", "right"),
    [
        *(
            (way, "11:05")
            for way in ("after", "past", "later than", "nach", "après", "dopo", "después de las")
        ),
        *((way, "8:25") for way in ("before", "earlier than", "vor", "avant", "antes de las", "prima delle")),
    ],
)
def test_a_time_is_before_or_after_another(way: str, right: str) -> None:
    for text in ("80 minutes {} 9:45 is {}", "{1} is 80 minutes {0} 9:45"):
        assert not is_wrong(text.format(way, right))
        assert is_wrong(text.format(way, "10:25"))


@pytest.mark.parametrize(
    ("verb", "right"),
    [
        *((verb, "11:05") for verb in ("Add", "Adding")),
        *((f"{verb}", "8:25") for verb in ("Subtract", "Subtracting", "Taking", "Deducting", "Going back")),
    ],
)
def test_a_duration_is_added_or_taken_away(verb: str, right: str) -> None:
    to = "to" if right == "11:05" else "from"
    assert not is_wrong(f"{verb} 80 minutes {to} 9:45 to get {right}")
    assert is_wrong(f"{verb} 80 minutes {to} 9:45 to get 10:25")


@pytest.mark.parametrize(
    ("sign", "right"),
    [
        *((sign, "11:05") for sign in ("+", "plus", "más", "più")),
        *((sign, "8:25") for sign in ("-", "–", "−", "minus", "menos", "moins", "meno")),
    ],
)
def test_signs_are_also_words(sign: str, right: str) -> None:
    assert not is_wrong(f"9:45 {sign} 80 minutes = {right}")
    assert is_wrong(f"9:45 {sign} 80 minutes = 10:25")


@pytest.mark.parametrize(
    ("span", "other"),
    [
        ("1 hour", "59 minutes"), ("2 hrs", "1 hr"), ("1 h 5 min", "64 mins"), ("1h5m", "64 min"),
        ("90 sec", "1 min"),
        ("2 secs", "3 s"), ("1 second", "2 seconds"), ("1 minute", "61 s"), ("2 Stunden", "119 Minuten"),
        ("1 Stunde", "1 Minute"), ("1 Sekunde", "2 Sekunden"), ("2 heures et 5 minutes", "124 minutes"),
        ("1 heure", "59 secondes"), ("1 seconde", "2 s"), ("2 horas y 5 minutos", "124 minutos"),
        ("1 hora", "61 minutos"), ("1 minuto", "61 segundos"), ("1 segundo", "2 s"),
        ("2 ore e 5 minuti", "124 minuti"),
        ("1 ora", "61 minuti"), ("1 secondo", "2 secondi"), ("an hour", "50 minutes"),
        ("half an hour", "20 minutes"),
        ("a quarter of an hour", "20 minutes"), ("half a minute", "20 seconds"), ("one hour", "two hours"),
        ("three hours, 20 minutes and 5 seconds", "four hours"), ("five hours", "six hours"),
        ("seven hours", "eight hours"), ("nine hours", "ten hours"), ("eleven hours", "twelve hours"),
        ("1.5 hours", "80 minutes"), ("1,5 Stunden", "80 Minuten"),
    ],
)  # fmt: skip
def test_durations_are_converted(span: str, other: str) -> None:
    assert not is_wrong(f"{span} = {span}")
    if span != "a quarter of an hour":
        assert is_wrong(f"{span} = {other}")


@pytest.mark.parametrize(
    "text",
    [
        "From {} to {} is {}", "{} to {} is {}", "{} until {} = {}", "From {} till {} takes {}",
        "From {} to {} lasts {}",
        "Von {} bis {} sind {}", "De {} à {} est {}", "De {} a {} son {}", "Dalle {} alle {} sono {}",
        "Between {} and {} is {}", "Between {} and {} there are {}", "Zwischen {} und {} sind {}",
        "Entre {} et {} = {}", "Entre las {} y las {} son {}", "Tra le {} e le {} sono {}",
        "The difference between {} and {} is {}", "The time from {} to {} is {}", "Time from {} to {} = {}",
        "The elapsed time from {} to {} is {}", "The time elapsed between {} and {} is {}",
        "The time difference between {} and {} is {}", "The total duration from {} to {} is {}",
        "The time passed from {} to {} is {}",
    ],
)  # fmt: skip
def test_how_long_it_is_from_one_time_to_another(text: str) -> None:
    assert not is_wrong(text.format("9:45", "11:05", "80 minutes"))
    assert is_wrong(text.format("9:45", "11:05", "70 minutes"))
    assert not is_wrong(text.format("9:45", "11:05", "70 minutes with a break"))


@pytest.mark.parametrize(
    "text",
    [
        "The delay {}", "Trains {}", "Half of {}", "Halfway {}", "The middle {}", "The average {}",
        "A third: {}",
        "A quarter: {}", "Twice: {}", "Double: {}", "Part: {}", "Your share: {}", "With breaks: {}",
        "With a pause: {}",
        "With lunch: {}", "With a rest: {}", "With two stops: {}", "Stopping twice: {}", "Net: {}",
        "La moitié: {}",
        "La mitad: {}", "La metà: {}", "The mean: {}",
    ],
)  # fmt: skip
def test_something_else_between_two_times_is_not_judged(text: str) -> None:
    assert not is_wrong(text.format("from 9:45 to 11:05 is 40 minutes"))
    assert is_wrong("So: from 9:45 to 11:05 is 40 minutes")


@pytest.mark.parametrize(
    "before",
    [
        "x + ", "3 * ", "3 ^ ", "3 × ", "3 ÷ ", "3 · ", "3 / ", "3 - ", "√", "*", "1 ", "3 times ",
        "it plus ", "it minus ",
        "3 mal ", "3 fois ", "3 por ", "5 past ", "10 to ", "1 h before ", "1 h after ", "less than ",
        "not until ",
        "till ", "nach ", "vor ", "après ", "avant ", "dopo ", "Step 3 ",
    ],
)  # fmt: skip
def test_what_goes_on_to_the_left_is_not_judged(before: str) -> None:
    assert not is_wrong(f"{before}9:45 + 80 minutes = 10:25")
    assert is_wrong("Step 3: 9:45 + 80 minutes = 10:25")


@pytest.mark.parametrize(
    "before",
    [
        "3 of ", "3 at ", "in ", "within ", "with ", "twice ", "double ", "half ", "each ", "every ",
        "per ",
        "a hundred ", "a thousand ", "twenty ", "2 volte ", "an hour and a half and ", "a hundred and ",
        "2½ hours and ",
        "2½ minutes and ", "thousand and ", "twenty and ",
    ],
)  # fmt: skip
def test_what_goes_on_to_the_left_of_a_duration_is_not_judged(before: str) -> None:
    assert not is_wrong(f"{before}five minutes + 5 minutes = 110 minutes")
    assert is_wrong("It is five minutes + 5 minutes = 110 minutes")
    assert is_wrong("I stop at 9:45 + 80 minutes = 10:25 and 9:45 + 80 minutes = 10:25")


@pytest.mark.parametrize(
    ("after", "judged"),
    [
        *(
            (after, True)
            for after in ["", ".", "!", ";", ")", '"', "'", "|", ":", ", it is late", "\n- 2 more", " = it"]
        ),
        *(
            (f" {after} it is", True)
            for after in (
                "so",
                "because",
                "since",
                "as",
                "which",
                "therefore",
                "thus",
                "hence",
                "but",
                "while",
            )
        ),
        *(
            (f" {after}.", True)
            for after in ("total", "in total", "in all", "altogether", "long", "the next day")
        ),
        *((f" in the {after}", True) for after in ("morning", "afternoon", "evening")),
        (", therefore it is 10:25", True),
        *(
            (after, False)
            for after in ["5", ":30 and", ".5", " + 5", " - it", " of it", " later", " in Berlin", "?", ",5"]
        ),
        *(
            (after, False)
            for after in [" (60 minutes) + 20 minutes = 11:05", ", then 20 minutes more", " and a half"]
        ),
        *(
            (f". {after}", False)
            for after in ("Wait", "Oops", "That is wrong", "Incorrect", "A mistake", "Actually")
        ),
        *(
            (f". {after}", False)
            for after in ("Hmm", "Correction", "False", "Remaining", "Falsch", "Faux", "Falso")
        ),
    ],
)
def test_what_stands_after_a_result(after: str, judged: bool) -> None:
    assert is_wrong(f"9:45 + 80 minutes = 10:25{after}") == judged


def test_the_point_of_am_may_end_a_sentence() -> None:
    assert is_wrong("9:45 a.m. + 80 minutes = 10:25 a.m. So it is.")
    assert not is_wrong("9:45 a.m. + 80 minutes = 10:45 a.m. + 20 minutes = 11:05 a.m.")
    assert not is_wrong("If it is 9 a.m. now, 9:45 + 80 minutes = 10:25")


@pytest.mark.parametrize(
    "text",
    [
        "if {}", "It is not {}", "A mistake is {}", "The error {}", "incorrectly, {}", "wrongly, {}",
        "it could be {}",
        "it might be {}", "it may be {}", "wenn {}", "falls {}", "ob {}", "nicht {}", "kein {}",
        "{} ist falsch",
        "pas {}", "{} est faux", "si {}", "no, {}", "non {}", "se {}", "{} è falso", "{} è sbagliato",
        "{}, incorrecto",
        "the ratio {}", "the scale {}", "the odds {}", "the score {}", "verse {}", "verses {}",
        "chapter {}", "about {}",
        "roughly {}", "around {}", "approximately {}", "almost {}", "nearly {}", "{}, rounded",
        "1 ≠ 2: {}", "1 ≈ 2: {}",
        "1 != 2: {}", "A) {}", "(B) {}", "C. {}", "D: {}", "Is {}?", "wrong:\n{}", "suppose {}",
        "{} is wrong",
        "{} in UTC", "GMT: {}", "EST: {}", "ET. {}", "CET. {}", "CEST. {}", "BST. {}", "IST. {}", "JST. {}",
        "Eastern. {}", "Central. {}", "Pacific. {}", "Two time zones. {}", "Local time. {}",
        "Local arrival time. {}",
        "Daylight saving. {}", "Six hours ahead. {}", "One hour behind. {}", "Zeitzonen. {}",
        "Ortszeit. {}",
        "Un fuseau. {}", "Otro huso. {}", "Un fuso. {}", "It gains. {}", "It is gaining. {}",
        "It loses. {}",
        "It is losing. {}", "It is slow. {}", "It is fast. {}",
    ],
)  # fmt: skip
def test_what_is_denied_or_of_other_clocks_is_not_judged(text: str) -> None:
    assert not is_wrong(text.format("9:45 + 80 minutes = 10:25"))
    assert is_wrong("OK. 9:45 + 80 minutes = 10:25")


@settings(max_examples=100, deadline=None)
@given(
    st.lists(
        st.sampled_from(
            [
                "9:45",
                "80 minutes",
                "1 h 20 min",
                " + ",
                " - ",
                " = ",
                " to ",
                " is ",
                " after ",
                "11:05 AM",
                "24:59",
                "0 s",
            ]
        ),
        max_size=12,
    )
)
def test_no_text_raises(pieces: list[str]) -> None:
    text = "".join(pieces)
    assert (mistake := wrong_time(text)) is None or 0 <= mistake.at < len(text)


@pytest.mark.parametrize(
    "piece",
    [
        "9:45 + ", "9:45", "80 minutes ", "80 minutes, ", "1 h ", "9:45 to ", "80 minutes after 9:45 ",
        " ", "add ",
        "9:45 + 80 minutes = 11:05 ", "1 hour = 60 minutes. ", "\\boxed{", "1 ", ". ", "and ",
    ],
)  # fmt: skip
def test_no_text_takes_long(piece: str) -> None:
    begun = time.process_time()
    wrong_time(piece * (LONGEST // len(piece)))
    assert time.process_time() - begun < 10

import pytest

from tests.orchestrator.consensus.pairs import said

SAME = (
    ("3 hrs", "180 mins"),
    ("12 o'clock", "12:00"),
    ("5.30pm", "5:30 PM"),
    ("quarter past five in the afternoon", "17:15"),
    ("a quarter past eight in the evening", "20:15"),
    ("half past six in the evening", "18:30"),
    ("half past 6 pm", "6:30 pm"),
    ("ten to six in the morning", "5:50 am"),
    ("twenty past 4 p.m.", "4:20 pm"),
    ("five o'clock in the morning", "5 am"),
    ("5 o'clock", "5:00"),
    ("12:00 p.m.", "noon"),
    ("midnight", "00:00"),
    ("12:00 a.m.", "0:00"),
    ("17h30", "17:30"),
    ("17:30 Uhr", "5:30 pm"),
    ("5:30 pm EST", "22:30 UTC"),
    ("5:30 pm UTC+1", "16:30 GMT"),
    ("eight in the evening", "8 pm"),
    ("8 at night", "8 pm"),
    ("10 at night", "22:00"),
    ("nine thirty am", "9:30 am"),
    ("9:30 in the morning", "9:30 am"),
    ("2:35 pm local time", "14:35"),
    ("11 pm Tokyo time", "23:00 in Tokyo"),
    ("3:25:40", "3 hours 25 minutes 40 seconds"),
    ("2023-05-01T12:00:00Z", "1 May 2023 12:00 UTC"),
    ("12 noon", "noon"),
    ("Tuesday 3 pm", "3 pm on Tuesday"),
    ("halb acht abends", "7:30 pm"),
    ("晚上10点半", "22:30"),
    ("午後4時", "16:00"),
    ("오후 3시 30분", "15:30"),
    ("15h30", "3:30 pm"),
    ("20 Uhr", "8 pm"),
    ("8 Uhr abends", "20:00"),
    ("5 o'clock pm", "17:00"),
    ("Jan 1, 2000 at noon", "1 January 2000, 12:00 pm"),
    ("a quarter to nine in the morning", "8:45 am"),
    ("seven p.m.", "19:00"),
    ("twelve noon", "12 pm"),
    ("6:05 a.m.", "06:05"),
    ("9 pm on Friday", "Friday, 9 pm"),
)
DIFFERENT = (
    ("5:30", "17:30"),
    ("3 pm", "3"),
    ("12 pm", "12 am"),
    ("quarter past five", "quarter to five"),
    ("half past six", "six"),
    ("5 pm UTC", "5 pm"),
    ("3:25:40", "3:40:25"),
    ("2:30", "2.5"),
    ("3 pm Tokyo time", "3 pm London time"),
    ("eight", "eight in the evening"),
    ("Tuesday 3 pm", "Wednesday 3 pm"),
    ("8 in the evening", "8 in the morning"),
    ("8 pm Tokyo time", "8 pm London time"),
    ("8 pm UTC", "8 pm EST"),
    ("halb acht", "halb neun"),
    ("halb acht abends", "8:30 pm"),
    ("15h30", "3:30 am"),
    ("15h30", "15h45"),
    ("下午4点", "上午4点"),
    ("3:25:40", "3 h 25 min"),
    ("3:25", "3 h 25 min"),
    ("Monday 3 pm", "Tuesday 3 pm"),
    ("1 May 2023 3 pm", "2 May 2023 3 pm"),
    ("from 9 am to 5 pm", "from 9 am to 6 pm"),
    ("quarter past five", "quarter past six"),
    ("ten to six", "ten past six"),
    ("10 a.m.", "10 p.m."),
    ("9 pm on Friday", "9 pm on Saturday"),
)


@pytest.mark.parametrize(("left", "right"), SAME)
def test_one_answer_in_two_wordings(left: str, right: str) -> None:
    assert said(left, right)
    assert said(right, left)


@pytest.mark.parametrize(("left", "right"), DIFFERENT)
def test_two_answers_in_wordings_that_are_close(left: str, right: str) -> None:
    assert not said(left, right)
    assert not said(right, left)

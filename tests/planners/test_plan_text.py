# ruff: noqa: RUF001 (models write these characters)
from __future__ import annotations

import json
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from planners.plan_text import TextReader
from planners.plans import Step
from tests.timing import takes_time_in_proportion

PARAMETERS = {"search": ["query"], "area": ["city"], "write": ["path", "content"]}
PARIS = Step(1, "search", {"query": "Paris"})
ROME = Step(2, "area", {"city": "Rome"})


def read(text: str, size: int = 1_000_000, first: int = 1) -> list[Step]:
    reader = TextReader(PARAMETERS, first)
    steps: list[Step] = []
    for at in range(0, len(text), size):
        steps += reader.feed(text[at : at + size])
    return steps + reader.finish()


def arguments(call: str) -> dict[str, Any]:
    (step,) = read(f"1. {call}\n")
    return dict(step.arguments)


ONE = {
    "bold": '**1. search("Paris")**',
    "bold number": '**1.** search("Paris")',
    "bold call": '1. **search("Paris")**',
    "bold name": '1. **search**("Paris")',
    "backticks": '1. `search("Paris")`',
    "single quotes around": "1. 'search(\"Paris\")'",
    "double quotes around": "1. \"search('Paris')\"",
    "escaped quotes": '1. "search(\\"Paris\\")"',
    "typographic quotes around": '1. “search("Paris")”',
    "a word before": '1. Action: search("Paris")',
    "a word and a number": 'Action 1: search("Paris")',
    "a verb before": '1. Call search("Paris")',
    "a description before": '1. Find out where it is: search("Paris")',
    "a result's name before": '1. result = search("Paris")',
    "a variable": '$1 = search("Paris")',
    "a step": 'Step 1: search("Paris")',
    "a bold step": '**Step 1:** search("Paris")',
    "a bullet": '- search("Paris")',
    "a heading": '### 1. search("Paris")',
    "a colon": '1: search("Paris")',
    "no dot": '1 search("Paris")',
    "parentheses": '(1) search("Paris")',
    "brackets": '[1] search("Paris")',
    "a circle": '① search("Paris")',
    "full width": '１．search（"Paris"）',
    "a table": '| 1 | search("Paris") |',
    "no blank": '1.search("Paris")',
    "a quoted name": '1. "search"("Paris")',
    "a tag": '<tool_call>search("Paris")</tool_call>',
    "an object": '1. tools.search("Paris")',
    "a prompt": '>>> search("Paris")',
    "an arrow": '1. → search("Paris")',
    "no number": 'search("Paris")',
    "a fence": '```python\nsearch("Paris")\n```',
    "square brackets": "Action: search[Paris]",
    "another case": '1. Search("Paris")',
    "a semicolon": '1. search("Paris");',
    "a result after": '1. search("Paris") = a capital (of France)',
    "a comment before": '# search("no")\n1. search("Paris")',
    "a comment after": '1. search("Paris")  # then area("no") (maybe)',
    "another comment after": '1. search("Paris") // area("no")',
    "a thought before": 'Thought: search("no") may help\n1. search("Paris")',
    "a numbered thought": '1. search("Paris")\nThought 2: area("no") is next',
    "thinking before": '<think>\n1. search("no")\n2. area("no")\n</think>\n1. search("Paris")',
    "a step that is printed": '1. print(search("Paris"))',
    "a program that prints": '```tool_code\nprint(default_api.search(query="Paris"))\n```',
    "a step that is awaited": '1. await search("Paris")',
    "a result's name without a number": 'paris = search("Paris")',
    "a result's name with its type": 'paris: str = await search("Paris")',
    "a sign for the result": "#E1 = search[Paris]",
    "prose before": 'Note (maybe): this.\nParis(Texas) is nice.\n\n1. search("Paris")',
}
TWO = {
    "lines": '1. search("Paris")\n2. area("Rome")',
    "carriage returns": '1. search("Paris")\r\n2. area("Rome")\r\n',
    "no numbers": 'search("Paris")\narea("Rome")',
    "bullets": '* search("Paris")\n* area("Rome")',
    "letters": 'a) search("Paris")\nb) area("Rome")',
    "actions": 'Action: search("Paris")\nAction: area("Rome")',
    "steps": 'Step 1: search("Paris")\nStep 2: area("Rome")',
    "one line": '1. search("Paris") 2. area("Rome")',
    "one line with commas": '1. search("Paris"), 2. area("Rome")',
    "one line without numbers": 'search("Paris"), area("Rome")',
    "one line with semicolons": 'search("Paris"); area("Rome")',
    "one line with words": '1. search("Paris") and then area("Rome")',
    "one line in Chinese": "1. search(“Paris”)，2. area(“Rome”)",
    "a thought between": '1. search("Paris")\nThought: next (maybe)\n2. area("Rome")',
    "a quote that does not close": '1. search("Paris)\n2. area("Rome")',
    "a parenthesis that does not close": '1. search("Paris"\n2. area("Rome")',
    "names of results": 'paris = search("Paris")\nrome = area("Rome")',
    "names of results on one line": 'paris = search("Paris"); rome = area("Rome")',
    "plans between signs": "Plan: one.\n#E1 = search[Paris]\nPlan: another.\n#E2 = area[Rome]",
    "variables": '$1 = search("Paris")\n$2 = area("Rome")',
}


@pytest.mark.parametrize("kind", ONE)
def test_a_call_is_read_whatever_is_around_it(kind: str) -> None:
    assert read(ONE[kind]) == [PARIS]


@pytest.mark.parametrize("kind", TWO)
def test_several_calls_are_told_apart(kind: str) -> None:
    assert read(TWO[kind]) == [PARIS, ROME]


@pytest.mark.parametrize(
    ("call", "given"),
    [
        ("area(paris)", {"city": "$1"}),
        ("area(city=paris)", {"city": "$1"}),
        ('area(city="paris")', {"city": "paris"}),
        ("write(paris, 'of paris')", {"path": "$1", "content": "of paris"}),
        ("write('a', f'of {paris}, {rome}')", {"path": "a", "content": "of $1, {rome}"}),
        ("write('a', 'of {paris}')", {"path": "a", "content": "of {paris}"}),
        ("write('a', [paris, 2])", {"path": "a", "content": ["$1", 2]}),
        ("area(paris / 2)", {"city": "$1 / 2"}),
    ],
)
def test_the_name_of_a_result_refers_to_its_step(call: str, given: dict[str, Any]) -> None:
    first, second = read(f'paris = search("Paris")\nrome = {call}\n')
    assert (first, second.id) == (PARIS, 2)
    assert json.loads(json.dumps(second.arguments).replace("${1}", "$1")) == given


def test_a_sign_for_a_result_refers_to_its_step() -> None:
    _, second = read("#E1 = search[Paris]\n#E2 = area[the mayor of #E1]\n")
    assert second.arguments == {"city": "the mayor of ${1}"}


ALONE = {
    "JSON": '{"steps": [{"tool": "search", "arguments": {"query": "Paris"}},'
    ' {"tool": "area", "arguments": {"city": "Rome"}}]}',
    "fenced JSON": '```json\n[{"name": "search", "args": ["Paris"]}, {"name": "area", "input": "Rome"}]\n```',
    "numbered JSON": '[{"id": 1, "tool": "search", "arguments": {"query": "Paris"}},\n'
    ' {"id": 2, "tool": "area", "arguments": {"city": "Rome"}}, {"id": 3, "tool": "join"}]',
    "tags": '<tool_call>\n{"name": "search", "arguments": {"query": "Paris"}}\n</tool_call>\n'
    '<tool_call>\n{"name": "area", "arguments": {"city": "Rome"}}\n</tool_call>',
    "calls of an interface": '[{"function": {"name": "search", "arguments": "{\\"query\\": \\"Paris\\"}"}},'
    ' {"function": {"name": "area", "arguments": "{\\"city\\": \\"Rome\\"}"}}]',
    "functions": '<function=search>{"query": "Paris"}</function><function=area>{"city": "Rome"}</function>',
    "parameters": "<function=search>\n<parameter=query>\nParis\n</parameter>\n</function>\n"
    "<function=area>\n<parameter=city>\nRome\n</parameter>\n</function>",
    "actions and inputs": 'Thought: two.\nAction: search\nAction Input: "Paris"\n'
    '**Action:** area\n**Action Input:** {"city": "Rome"}',
}


@pytest.mark.parametrize("kind", ALONE)
def test_a_plan_without_calls_is_read_at_its_end(kind: str) -> None:
    assert read(ALONE[kind]) == read(ALONE[kind], 3) == [PARIS, ROME, Step(3, "join", {})]


def test_json_of_something_else_is_no_plan() -> None:
    assert read('{"name": "Paris", "arguments": {}} {"tool": "search"} {"query": "Paris"}') == []
    assert [step.tool for step in read('[{"tool": "search", "arguments": {"query": "a"}}, {"tool"')] == [
        "search"
    ]


@pytest.mark.parametrize(
    "end", ["join()", "2. join()", "2. join", "**2. join**", "- join()", "Join()", "2. `join()`."]
)
def test_the_join_needs_no_parentheses(end: str) -> None:
    assert read(f'1. search("Paris")\n{end}\n') == [PARIS, Step(2, "join", {})]


def test_an_unknown_tool_is_read_so_that_the_plan_can_be_refused() -> None:
    for text in ('1. fly("home")', 'fly("home")\n', '- fly("home")', '**1.** `fly("home")`'):
        assert read(text) == [Step(1, "fly", {"argument_1": "home"})]


def test_steps_without_numbers_go_on_from_the_first_or_the_one_before() -> None:
    assert [step.id for step in read("search(a)\n7. search(b)\nsearch(c)", first=4)] == [4, 7, 8]


PATH = r"C:\new\table"


@pytest.mark.parametrize(
    ("call", "query"),
    [
        (r'search("C:\new\table")', PATH),
        (r"search('C:\new\table')", PATH),
        (r"search(C:\new\table)", PATH),
        (r'search("C:\\new\\table")', PATH),
        (r'search("C:\Users\nina\x")', r"C:\Users\nina\x"),
        (r'search("\\server\new\table")', r"\\server\new\table"),
        (r'search("..\new\table")', r"..\new\table"),
        ('search("C:\\dir\\")', "C:\\dir\\"),
        (r'search("src\main\new")', r"src\main\new"),
        (r'search("src\new.py")', r"src\new.py"),
        (r'search("data\raw\table.csv")', r"data\raw\table.csv"),
        (r'search("two lines:\nnew.py")', "two lines:\nnew.py"),
        (r'search("1.5\n2.5")', "1.5\n2.5"),
        (r'search("\bfoo\d+\n")', r"\bfoo\d+\n"),
        (r'search("\\d+")', r"\d+"),
        (r'search("\frac{1}{2} \nabla")', r"\frac{1}{2} \nabla"),
        (r'search(r"\n")', r"\n"),
        (r'search("two\nlines\tand a tab")', "two\nlines\tand a tab"),
        (r'search("a \"quote\" and \\ one")', 'a "quote" and \\ one'),
        (r'search("a \"quote\" in \d")', r'a "quote" in \d'),
        (r'search("caf\u00e9 \ud83d\ude00")', "café 😀"),
        ('search("the film "Alien", 1979")', 'the film "Alien", 1979'),
        ('search("the film "Alien"")', 'the film "Alien"'),
        ('search("the film "Alien": a horror")', 'the film "Alien": a horror'),
        ("search('what's new, today?')", "what's new, today?"),
        ("search(what's new, today?)", "what's new, today?"),
        ("search(‘what’s new’)", "what’s new"),
        ("search(“Paris, France”)", "Paris, France"),
        ("search(„Paris, France“)", "Paris, France"),
        ("search(«Paris, France»)", "Paris, France"),
        ("search(「巴黎，法国」)", "巴黎，法国"),
        ('search(“Paris")', "Paris"),
        ("search(what does :) mean)", "what does :) mean"),
        ("search(what does :( mean)", "what does :( mean"),
        ('search("what does :) mean")', "what does :) mean"),
        ('search("a (b (c)) d)")', "a (b (c)) d)"),
        ("search(f(g(x)) + 1)", "f(g(x)) + 1"),
        ("search(https://a.b/c?d=1,2)", "https://a.b/c?d=1,2"),
        ("search(2024-10-12)", "2024-10-12"),
        ("search(48/2)", "48/2"),
        ('search(query="Paris, France")', "Paris, France"),
        ('search(query: "Paris, France")', "Paris, France"),
        ('search("query": "Paris, France")', "Paris, France"),
        ("search(query=Paris, France)", "Paris, France"),
        ('search({"query": "Paris, France"})', "Paris, France"),
        ("search(“Paris”, “France”)", "Paris, France"),
        ('search("Paris, France",)', "Paris, France"),
        ('search(\n  "Paris, France"\n)', "Paris, France"),
        ("search($1)", "${1}"),
        ("search(${1})", "${1}"),
        ("search($1.name)", "${1.name}"),
        ('search("the mayor of $1")', "the mayor of $1"),
        ("search(the mayor of $1)", "the mayor of $1"),
    ],
)
def test_a_text_is_what_was_written(call: str, query: str) -> None:
    assert arguments(call) == {"query": query}


@pytest.mark.parametrize(
    ("call", "path", "content"),
    [
        (r'write("C:\new\table", "x")', PATH, "x"),
        ('write("C:\\dir\\", "x")', "C:\\dir\\", "x"),
        ('write(path=/a/b.md, content="x")', "/a/b.md", "x"),
        ('write("a.md", "he said "hi", then left")', "a.md", 'he said "hi", then left'),
        ("write('a.md', 'what's new, today?')", "a.md", "what's new, today?"),
        ('write(a.md, "x")', "a.md", "x"),
        ('write({"path": "a.md", "content": "x"})', "a.md", "x"),
        ('write("path": "a.md", "content": "x")', "a.md", "x"),
        ('write(content="x", path="a.md")', "a.md", "x"),
        ('write("a.md", content="""x\n1. y(z)""")', "a.md", "x\n1. y(z)"),
        ('write("a.py", "def f():\n  search(1)\n  area(2)\n")', "a.py", "def f():\n  search(1)\n  area(2)\n"),
        ('write("a.md", "1. search(x)\n3. area(y)")', "a.md", "1. search(x)\n3. area(y)"),
        ('write("a.md", $1)', "a.md", "${1}"),
        (r'write("a.md", r"\n")', "a.md", r"\n"),
        ('write("a.md", f"of {x}")', "a.md", "of {x}"),
    ],
)
def test_several_arguments_are_told_apart(call: str, path: str, content: str) -> None:
    assert arguments(call) == {"path": path, "content": content}


@pytest.mark.parametrize("size", [1, 2, 5, 11])
def test_a_text_gives_the_same_steps_however_it_is_cut(size: int) -> None:
    for text in (*ONE.values(), *TWO.values(), *ALONE.values()):
        assert read(text, size) == read(text)


WORDS = [
    *"1234.:)( \n,;\"'`*“”\\$-#",
    *(
        "search(",
        "area(",
        "fly(",
        '"Paris"',
        "write(",
        "join",
        "Action: ",
        "<think>",
        "</think>",
        "$1",
        '")\n',
        "2. ",
    ),
]


@given(st.lists(st.sampled_from(WORDS), max_size=40).map("".join), st.lists(st.integers(0, 200), max_size=12))
def test_any_text_gives_the_same_steps_however_it_is_cut(text: str, cuts: list[int]) -> None:
    reader = TextReader(PARAMETERS)
    places = sorted({0, *(cut for cut in cuts if cut < len(text)), len(text)})
    steps = [step for start, end in pairwise(places) for step in reader.feed(text[start:end])]
    assert steps + reader.finish() == read(text)


def test_a_step_is_there_before_its_line_has_ended() -> None:
    reader = TextReader(PARAMETERS)
    assert reader.feed('1. Action: `search("Paris') == []
    assert reader.feed('")') == [PARIS]
    assert reader.feed("`  # the capital\narea(“Rome”") == []
    assert reader.feed(")") == [ROME]


def test_nothing_starts_while_the_model_thinks() -> None:
    reader = TextReader(PARAMETERS)
    assert reader.feed('<think>\n1. search("no")\n2. area("no")\n') == []
    assert reader.feed('</think>\n1. search("Paris")\n') == [PARIS]
    assert TextReader(PARAMETERS).feed('<think>1. search("no")') == []


@pytest.mark.parametrize(
    "piece", ["(", ")", "\n", '"', "'a' ", ", ", "\\", "<think>", "a(", '","', "1. search(", "(\n"]
)
def test_reading_takes_time_in_proportion_to_the_text(piece: str) -> None:
    takes_time_in_proportion(read, piece, start="1. search(")


@pytest.mark.parametrize(
    "piece",
    ["x = ", "<function=a>", "<parameter=a>", "Action: a\n", '{"tool": "a", ', "\nAction Input: "],
)
@pytest.mark.parametrize("start", ["", "Action: a\n", "<function=a>"])
def test_so_does_reading_what_has_no_calls(start: str, piece: str) -> None:
    takes_time_in_proportion(read, piece, start=start)

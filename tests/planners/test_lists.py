# ruff: noqa: RUF001 (models write these characters)
from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from planners.lists import MOST_POINTS, read_outline
from planners.markers import marker
from planners.markup import plain
from tests.timing import takes_time_in_proportion

MEALS = ["Plan meals", "Buy in bulk", "Cook at home"]
三餐 = ["计划三餐", "批量购买", "在家做饭"]


def points(text: str) -> list[str]:
    return list(read_outline(text).points.values())


def lines(pattern: str, texts: list[str] = MEALS, numbers: str = "1 2 3") -> str:
    return "\n".join(pattern.format(n=n, t=t) for n, t in zip(numbers.split(), texts, strict=True))


@pytest.mark.parametrize(
    "pattern",
    [
        *(
            "{n}. {t}",
            "{n}.{t}",
            "{n}) {t}",
            "{n}.) {t}",
            "({n}) {t}",
            "[{n}] {t}",
            "（{n}）{t}",
            "【{n}】{t}",
        ),
        *(
            "{n}: {t}",
            "{n}：{t}",
            "{n} - {t}",
            "{n} – {t}",
            "{n}- {t}",
            "0{n}. {t}",
            "{n}/ {t}",
            "{n}° {t}",
            "{n}、{t}",
            "#{n} {t}",
        ),
        *("**{n}. {t}**", "**{n}.** {t}", "**{n}** {t}", "__{n}.__ {t}", "{n}. **{t}**", "{n}. *{t}*"),
        *(
            "{n}. __{t}__",
            "{n}. _{t}_",
            "{n}. `{t}`",
            "{n}. ~~{t}~~",
            "{n}. [{t}](https://a.b/c)",
            "{n}\\. {t}",
        ),
        *("### {n}. {t}", "# {n}) {t}", "## **{n}. {t}**", "- {n}. {t}", "* **{n}.** {t}", "> {n}. {t}"),
        *("Step {n}: {t}", "STEP {n}. {t}", "**Step {n}:** {t}", "**Step {n}: {t}**", "## Step {n}: {t}"),
        *(
            "Point {n} - {t}",
            "Point {n} – {t}",
            "Tip #{n}: {t}",
            "No. {n}: {t}",
            "Étape {n} : {t}",
            "Étape {n}\u00a0: {t}",
            "Étape {n}\u202f: {t}",
            "{n}°) {t}",
            "{n} ) {t}",
            "{n} . {t}",
            "{n}> {t}",
            "<{n}> {t}",
            "{{{n}}} {t}",
            "第{n}に、{t}",
            "Шаг {n}. {t}",
        ),
        *(
            "{n}. Step {n}: {t}",
            "{n}. - {t}",
            "- Step {n}: {t}",
            "Step {n}\n{t}",
            "**{n}.**\n{t}",
            "  {n}. {t}",
            "{n}.\t{t}",
        ),
        *(
            "第{n}步：{t}",
            "第{n}点、{t}",
            "步骤{n}：{t}",
            "{n}단계: {t}",
            "ステップ{n}：{t}",
            "{n}\ufe0f\u20e3 {t}",
        ),
        *("{n} {t}", "<li>{t}</li>", "<p>{n}. <b>{t}</b></p>", "| {n} | {t} |", "\\item {t}"),
    ],
)
def test_numbers_are_read_in_whatever_way_they_are_written(pattern: str) -> None:
    assert read_outline(lines(pattern)).points == dict(enumerate(MEALS, 1))


@pytest.mark.parametrize("sign", [*"-*+•–—◦▪●○■‣·►➤✓✅☐🥗☆", "- [ ]", "- [x]"])
def test_bullets_are_read_and_numbered(sign: str) -> None:
    assert read_outline(lines(f"{sign} {{t}}")).points == dict(enumerate(MEALS, 1))
    assert points(lines(f"   {sign} {{t}}")) == MEALS


@pytest.mark.parametrize(
    ("pattern", "numbers"),
    [
        *((pattern, "a b c") for pattern in ("{n}) {t}", "({n}) {t}", "{n}. {t}", "**{n}.** {t}")),
        *((pattern, "A B C") for pattern in ("{n}) {t}", "{n}. {t}", "{n}: {t}")),
        *((pattern, "i ii iii") for pattern in ("{n}. {t}", "({n}) {t}", "{n}) {t}")),
        ("{n}. {t}", "I II III"),
        ("Part {n}: {t}", "I II III"),
        ("Step {n}: {t}", "A B C"),
        ("{n}: {t}", "1st 2nd 3rd"),
        ("{n} point: {t}", "First Second Third"),
        ("{n}) {t}", "а б в"),
        ("{n}. {t}", "가 나 다"),
        ("{n} {t}", "① ② ③"),
        ("{n}{t}", "❶ ❷ ❸"),
        ("{n} {t}", "⑴ ⑵ ⑶"),
        ("{n}．{t}", "１ ２ ３"),
        ("{n}. {t}", "١ ٢ ٣"),
        ("{n}. {t}", "१ २ ३"),
        ("{n}、{t}", "一 二 三"),
        ("（{n}）{t}", "一 二 三"),
        ("({n}) {t}", "一 二 三"),
        ("第{n}步：{t}", "一 二 三"),
        ("Step {n}: {t}", "One Two Three"),
        ("{n}, {t}", "First Second Third"),
        ("{n}, {t}", "Primo Secondo Terzo"),
        ("{n}, {t}", "Во-первых Во-вторых В-третьих"),
        ("{n}: {t}", "Firstly Secondly Finally"),
        ("{n}，{t}", "首先 其次 最后"),
    ],
)
def test_what_counts_like_a_number_is_one(pattern: str, numbers: str) -> None:
    assert read_outline(lines(pattern, MEALS, numbers)).points == dict(enumerate(MEALS, 1))


def test_chinese_numbers_go_beyond_ten() -> None:
    numbers = "一 二 三 四 五 六 七 八 九 十 十一 十二"
    texts = [f"第{n}" for n in "甲乙丙丁戊己庚辛壬癸子丑"]
    assert points(lines("{n}、{t}", texts, numbers)) == texts


@pytest.mark.parametrize(
    "text",
    [
        "1. Plan meals 2. Buy in bulk 3. Cook at home",
        "1) Plan meals 2) Buy in bulk 3) Cook at home",
        "(1) Plan meals, (2) Buy in bulk, and (3) Cook at home",
        "Here is the skeleton: 1. Plan meals; 2. Buy in bulk; 3. Cook at home",
        "**1.** Plan meals **2.** Buy in bulk **3.** Cook at home",
        "① Plan meals ② Buy in bulk ③ Cook at home",
        "a) Plan meals b) Buy in bulk c) Cook at home",
        "Step 1: Plan meals Step 2: Buy in bulk Step 3: Cook at home",
        "• Plan meals • Buy in bulk • Cook at home",
        "- Plan meals - Buy in bulk - Cook at home",
        "1. Plan meals 2. Buy in bulk\n3. Cook at home",
        "Skeleton: 1. Plan meals\n2. Buy in bulk\n3. Cook at home",
        "1. Plan meals -> 2. Buy in bulk -> 3. Cook at home",
        "1. Plan meals\\n2. Buy in bulk\\n3. Cook at home",
        "1. Plan meals<br>2. Buy in bulk<br>3. Cook at home",
        "1. Plan meals 2. Buy in bulk 3. Cook at home\n\nLet me know!",
    ],
)
def test_points_on_one_line_are_told_apart(text: str) -> None:
    assert points(text) == MEALS


def test_chinese_points_on_one_line_are_told_apart() -> None:
    assert points("1、计划三餐2、批量购买3、在家做饭") == 三餐
    assert points("一、计划三餐；二、批量购买；三、在家做饭") == 三餐


@pytest.mark.parametrize(
    ("text", "numbers"),
    [
        (lines("{n}. {t}", MEALS, "1 1 1"), [1, 2, 3]),
        (lines("{n}) {t}", MEALS, "0 0 0"), [1, 2, 3]),
        (lines("{n}. {t}", MEALS, "0 1 2"), [0, 1, 2]),
        (lines("{n}. {t}", MEALS, "1 3 4"), [1, 3, 4]),
        (lines("{n}. {t}", MEALS, "10 9 8"), [10, 9, 8]),
    ],
)
def test_numbers_need_not_be_one_two_three(text: str, numbers: list[int]) -> None:
    assert read_outline(text).points == dict(zip(numbers, MEALS, strict=True))


@pytest.mark.parametrize(
    "text",
    [
        "1. Plan meals\n   - weekly list\n   - leftovers\n2. Buy in bulk\n3. Cook at home",
        "1. Plan meals\n- weekly list\n- leftovers\n2. Buy in bulk\n- sacks\n3. Cook at home",
        "1. Plan meals\n   1. weekly list\n   2. leftovers\n2. Buy in bulk\n   1. sacks\n3. Cook at home",
        "1. Plan meals\n   1.1 weekly list\n   1.2 leftovers\n2. Buy in bulk\n3. Cook at home",
        "1. Plan meals\n1.1. weekly list\n1.2. leftovers\n2. Buy in bulk\n2.1. sacks\n3. Cook at home",
        "1. Plan meals\na) weekly list\nb) leftovers\n2. Buy in bulk\n3. Cook at home",
        "1. Plan meals\n(1) weekly list\n(2) leftovers\n2. Buy in bulk\n(1) sacks\n3. Cook at home",
        "I. Plan meals\nA. weekly list\nB. leftovers\nII. Buy in bulk\nIII. Cook at home",
        "- Plan meals\n  - weekly list\n  - leftovers\n- Buy in bulk\n- Cook at home",
        "- Plan meals\n  1. weekly list\n  2. leftovers\n- Buy in bulk\n- Cook at home",
        "• Plan meals\n◦ weekly list\n◦ leftovers\n• Buy in bulk\n• Cook at home",
        "- Plan meals\n\t- weekly list\n\t- leftovers\n- Buy in bulk\n- Cook at home",
        "### 1. Plan meals\n1. weekly list\n2. leftovers\n### 2. Buy in bulk\n1. sacks\n### 3. Cook at home",
        "## Plan meals\n1. weekly list\n2. leftovers\n## Buy in bulk\n1. sacks\n2. cans\n## Cook at home",
        "## Plan meals\nWrite it down.\n\n## Buy in bulk\nSave money.\n\n## Cook at home\nEat well.",
        "**Plan meals**\n- weekly list\n- leftovers\n\n**Buy in bulk**\n- sacks\n\n**Cook at home**",
        "1. Plan meals\n```\n1. weekly\n2. leftovers\n```\n2. Buy in bulk\n3. Cook at home",
    ],
)
def test_only_the_top_level_counts(text: str) -> None:
    assert points(text) == MEALS


@pytest.mark.parametrize(
    "text",
    [
        "Here is the skeleton:\n\n{}\n\nLet me know!",
        "# Skeleton\n\n{}\n",
        "**Skeleton:**\n{}\n\n**Note:** these are points.",
        "- This is it:\n\n{}",
        "{}\nLet me know!",
        "```\n{}\n```",
        "Sure:\n```markdown\n{}\n```\nDone.",
        "<think>1. maybe\n2. no\n3. never</think>\n{}",
        "<thinking>\n- maybe\n- no\n</thinking>\n\n{}",
        "1. maybe\n2. no\n3. never\n</think>\n{}",
        "{}\n\nQuestion: What else?\nSkeleton:\n1. Something\n2. Other",
        "\ufeff{}",
    ],
)
def test_what_is_around_the_list_is_left_out(text: str) -> None:
    listed = lines("{n}. {t}")
    assert points(text.format(listed)) == MEALS
    assert points(text.format(listed).replace("\n", "\r\n")) == MEALS


@pytest.mark.parametrize(
    "token", ["<|im_end|>", "<|eot_id|>", "<｜end▁of▁sentence｜>", "</s>", "<end_of_turn>"]
)
def test_tokens_that_end_a_text_are_no_part_of_it(token: str) -> None:
    assert points(lines("{n}. {t}") + token) == MEALS


@pytest.mark.parametrize("pattern", ["## {t}", "## {n}. {t}", "**{t}**", "**{n}. {t}**", "### Step {n}\n{t}"])
def test_what_is_beneath_a_title_is_no_part_of_it(pattern: str) -> None:
    assert points(lines(f"{pattern}\nas everybody knows.\n")) == MEALS


def test_no_point_is_lost_where_the_model_loses_count() -> None:
    assert points("1. Plan meals\n2. Buy in bulk\n2. Cook at home") == MEALS
    assert points("1. Plan meals\n2. Buy in bulk\n3. Cook at home\n\nShall I:\n1. go on\n2. stop?") == MEALS


def test_numbers_go_on_under_several_headings() -> None:
    assert points("## Food\n1. Plan meals\n2. Buy in bulk\n\n## Kitchen\n3. Cook at home") == MEALS


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("1. Before\n2. 1914. The war begins\n3. After", ["Before", "1914. The war begins", "After"]),
        ("1. Sleep at least\n3.5 hours\n2. Rest", ["Sleep at least 3.5 hours", "Rest"]),
        ("1. Rise at\n10:30 or so\n2. Rest", ["Rise at 10:30 or so", "Rest"]),
        ("1. Sleep\n2 - 3 hours\n2. Rest", ["Sleep 2 - 3 hours", "Rest"]),
        ("1. 100 g of rice\n2. 2.5 l of water", ["100 g of rice", "2.5 l of water"]),
        ("- 1914: war\n- 1918: peace", ["1914: war", "1918: peace"]),
        ("1. B. Franklin\n2. A. Lincoln", ["B. Franklin", "A. Lincoln"]),
    ],
)
def test_years_amounts_and_initials_are_no_numbers_of_points(text: str, expected: list[str]) -> None:
    assert points(text) == expected


def test_a_wrapped_line_belongs_to_its_point_and_a_new_sentence_does_not() -> None:
    assert points("1. Plan all\n   meals\n2. Buy in\nbulk") == ["Plan all meals", "Buy in bulk"]
    long = "Plan all the meals of the coming week together with the people who"
    assert points(f"- {long}\nShare them\n- Shop") == [f"{long} Share them", "Shop"]
    assert points("1. Plan meals\n   Write a list.\n2. Shop\nIt is fun.") == ["Plan meals", "Shop"]
    assert points("1、计划\n") == ["计划"]


@pytest.mark.parametrize(
    "text",
    [
        '["Plan meals", "Buy in bulk", "Cook at home"]',
        '```json\n[\n  "Plan meals",\n  "Buy in bulk",\n  "Cook at home"\n]\n```',
        'Here:\n{"points": ["1. Plan meals", "2. Buy in bulk", "3. **Cook at home**"]}',
        '[{"point": "Plan meals"}, {"point": "Buy in bulk"}, {"point": "Cook at home"}]',
        '{"1": "Plan meals", "2": "Buy in bulk", "3": "Cook at home"}',
        "['Plan meals', 'Buy in bulk', 'Cook at home']",
        "| # | Point |\n|---|---|\n| 1 | Plan meals |\n| 2 | Buy in bulk |\n| 3 | Cook at home |",
        "| Point |\n|:--|\n| Plan meals |\n| **Buy in bulk** |\n| Cook at home |",
        "<ol>\n<li>Plan meals</li>\n<li><b>Buy in bulk</b></li>\n<li>Cook at home</li>\n</ol>",
        "<ol><li>Plan meals</li><li>Buy in bulk</li><li>Cook at home</li></ol>",
        "<h3>1. Plan meals</h3><h3>2. Buy in bulk</h3><h3>3. Cook at home</h3>",
        '{"a": {"b": [{"c": "Plan meals"}, {"c": "Buy in bulk"}, {"c": "Cook at home"}]}}',
        '{"point": "Plan meals"}\n{"point": "Buy in bulk"}\n{"point": "Cook at home"}',
        "<point1>Plan meals</point1>\n<point2>Buy in bulk</point2>\n<point3>Cook at home</point3>",
        '[{"id": "1", "a": "Plan meals"}, {"id": "2", "a": "Buy in bulk"}, {"id": "3", "a": "Cook at home"}]',
    ],
)
def test_json_tables_and_html_are_lists_too(text: str) -> None:
    assert points(text) == MEALS


@pytest.mark.parametrize(
    "text", ["", "\n\n", "I cannot do that.", "Paris (Texas) is nice.", "[1, 2]", "{", "---"]
)
def test_what_is_no_list_has_no_points(text: str) -> None:
    assert read_outline(text).points == {}
    assert read_outline(text).form == ""


def test_the_form_says_how_a_list_is_written() -> None:
    forms = {
        "1. a\n2. b": "1.",
        "(1) a\n(2) b": "(1)",
        "### 1. a\n### 2. b": "### 1.",
        "- a\n- b": "-",
        "Step 1: a\nStep 2: b": "step 1",
        "1. a 2. b": "1. on one line",
        '["a", "b"]': "JSON",
    }
    assert {text: read_outline(text).form for text in forms} == forms


def test_a_list_without_end_is_read_up_to_a_bound() -> None:
    assert len(points("\n".join(f"{n % 900 + 1}. point" for n in range(5_000)))) == MOST_POINTS
    assert len(points("- a\n" * 5_000)) == MOST_POINTS


@pytest.mark.parametrize(
    "piece",
    [
        "1. ",
        "1. a\n",
        "- a\n",
        "**",
        "*a ",
        "|",
        "[",
        '["a",',
        "十",
        "`",
        "<li",
        "##### ",
        "(",
        "a1: x\n",
        "a\n",
        "\n ",
        "1️⃣",
        "🥗",
    ],
)
def test_reading_takes_time_in_proportion_to_the_text(piece: str) -> None:
    takes_time_in_proportion(read_outline, piece)


@given(st.text(alphabet=st.sampled_from("123456.):-*#•()[]|`_ \n\t一二、abiv{}\"'<>/"), max_size=120))
def test_any_text_can_be_read(text: str) -> None:
    outline = read_outline(text)
    assert all(point.strip() == point and point for point in outline.points.values())
    assert bool(outline.form) == bool(outline.points)


@given(
    st.lists(st.from_regex(r"[A-Z][a-z]{1,8}( [a-z]{1,8}){0,3}", fullmatch=True), min_size=2, max_size=12),
    st.sampled_from(
        ["{n}. {t}", "**{n}.** {t}", "({n}) {t}", "- {t}", "• {t}", "Step {n}: {t}", "## {n}. {t}"]
    ),
    st.sampled_from(["", "Here it is:\n\n", "<think>\n1. one\n2. two\n</think>\n"]),
)
def test_what_was_listed_is_read_back(texts: list[str], pattern: str, before: str) -> None:
    listed = "\n".join(pattern.format(n=n, t=text) for n, text in enumerate(texts, 1))
    assert points(before + listed) == texts


@pytest.mark.parametrize(
    ("line", "shown"),
    [
        ("**bold** and *slanted* and `code_1`", "bold and slanted and code_1"),
        ("***both***", "both"),
        ("**open", "open"),
        ("__strong words__ and __Strong__", "strong words and Strong"),
        ("Write __init__ and __main__.py", "Write __init__ and __main__.py"),
        ("snake_case_name and 2*3*4 and 2**3", "snake_case_name and 2*3*4 and 2**3"),
        ("see [the page](https://a.b/c_d) and ![it](x.png)", "see the page and it"),
        ("* a bullet * with stars", "* a bullet * with stars"),
    ],
)
def test_markup_is_taken_off_and_nothing_else(line: str, shown: str) -> None:
    assert plain(line) == shown


@pytest.mark.parametrize(
    "line", ["Note (maybe)", "In 3 days", "10:30 rise", "2 - 3 hours", "*slanted*", "", "--", "3.5 km"]
)
def test_a_line_like_any_other_has_no_marker(line: str) -> None:
    found = marker(line)
    assert found is None or (found.ordinal is None and all(each.strict for each in found.numbers))

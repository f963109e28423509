# ruff: noqa: RUF001 (people write these characters)

from __future__ import annotations

from collections.abc import Sequence

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from orchestrator.runtime.values import Question
from planners.dependence import (
    alone_words,
    dependent_at_sight,
    dependent_words,
    refers_to_another,
    whole_list_at_sight,
)
from planners.template.extracting import Extraction
from planners.template.validating import Fault, Task, checked

FRUITS = "Translate these words into French: apple, pear and plum."


def task_of(
    text: str,
    *items: str,
    template: str = "{data}",
    context: str = "",
    n: int | None = None,
    category: str = "other",
) -> Task | Fault:
    return checked(Extraction(template, context, items, n, category), Question(text), most=64)


def items_of(text: str, *items: str) -> Sequence[str] | str:
    task = task_of(text, *items)
    return task.reason if isinstance(task, Fault) else task.items


LEFT_OUT = "something of the list is not among the items"


@pytest.mark.parametrize(
    ("text", "items"),
    [
        (FRUITS, ("apple", "pear", "plum")),
        ("Define apple, pear, or plum in a sentence each.", ("apple", "pear", "plum")),
        ("Square each number: 3, 5, 7", ("3", "5", "7")),
        ("Explain each: cats and dogs", ("cats", "dogs")),
        ("Translate each: Rome; Athens; Oslo", ("Rome", "Athens", "Oslo")),
        ("Translate:\n1) Good morning\n2) Good night", ("Good morning", "Good night")),
        ("Translate: 1) Good morning 2) Good night", ("Good morning", "Good night")),
        ("Translate:\n  a. Rome\n  b. Oslo", ("Rome", "Oslo")),
        ("Translate:\n- one line\n  and its rest\n- another", ("one line\n  and its rest", "another")),
        ("Translate:\nGood morning\nGood night", ("Good morning", "Good night")),
        ("Summarize each text:\n\nOne. Two.\n\nThree. Four.", ("One. Two.", "Three. Four.")),
        ("What is Rome? Where is Oslo?", ("What is Rome?", "Where is Oslo?")),
        ("Is the sentiment positive?\nReview: Fine.\nReview: Bad.", ("Fine.", "Bad.")),
        ("Answer:\nQ1: Who is Ann?\nQ2: Who is Bob?", ("Who is Ann?", "Who is Bob?")),
        ('Correct each sentence: "He go." "She eat."', ("He go.", "She eat.")),
        ("翻译成英文：苹果、梨和李子", ("苹果", "梨", "李子")),
        ("Translate each: the cat, the cat, a dog", ("the cat", "the cat", "a dog")),
        ("Define art, as in part, and each of these: art, party", ("art", "party")),
        ("Define each word:\n- art\n- party\n\nBe brief, and do not give examples.", ("art", "party")),
        ("Define each word:\nart\nparty\n\nThanks!", ("art", "party")),
        ("Define each: art, party, …", ("art", "party")),
    ],
)
def test_lists_of_all_forms_are_found_in_the_text(text: str, items: tuple[str, ...]) -> None:
    assert items_of(text, *items) == items


@pytest.mark.parametrize(
    ("text", "items", "why"),
    [
        ("Define art, law, each in a word.", ("art", "law"), LEFT_OUT),  # "each" might be one
        ("Who is Ann? And Bob?", ("Who is Ann?", "And Bob?"), "an item refers to another one: 'And'"),
        (FRUITS, ("pear", "plum"), LEFT_OUT),
        (FRUITS, ("apple", "pear"), LEFT_OUT),
        (FRUITS, ("apple", "plum"), "something between items 1 and 2 belongs to neither"),
        (FRUITS, ("apple, pear", "plum"), "an item is made of several"),
        (FRUITS, ("apple", "pear and plum"), "the last item is made of several"),
        (FRUITS, ("apple", "pear", "plums"), "this does not stand in the question: 'plums'"),
        (FRUITS, ("app", "le", "pear"), "this does not stand in the question: 'app'"),
        (FRUITS, ("apple", "apple"), "the items do not stand in the question one after the other"),
        ("Square each number: 3, 5, 7", ("3", "7"), "something between items 1 and 2 belongs to neither"),
        ("Explain:\n1. cats\n2. dogs\n3. owls", ("dogs", "owls"), LEFT_OUT),
        ("Explain:\n1. cats\n2. dogs\n3. owls", ("cats", "dogs"), LEFT_OUT),
        (
            "Explain:\n1. cats\n2. dogs\n3. owls",
            ("cats\n2. dogs", "owls"),
            "an item is made of several",
        ),
        ("Explain: 1) cats 2) dogs 3) owls", ("dogs", "owls"), LEFT_OUT),
        ("Explain:\n- cats\n- dogs\n- owls", ("dogs", "owls"), LEFT_OUT),
        ("Explain:\ncats\ndogs\nowls", ("dogs", "owls"), LEFT_OUT),
        ("Explain:\ncats\ndogs\nowls", ("cats", "dogs"), LEFT_OUT),
        ("Explain:\ncats\ndogs\nowls", ("cats\ndogs", "owls"), "an item is made of several"),
        ("Explain:\n\ncats purr\n\ndogs bark\n\nowls hoot", ("cats purr", "dogs bark"), LEFT_OUT),
        ("Explain:\n\ncats purr\n\ndogs bark\n\nowls hoot", ("dogs bark", "owls hoot"), LEFT_OUT),
        ("Who is Ann? Who is Bob? Who is Cy?", ("Who is Bob?", "Who is Cy?"), LEFT_OUT),
        ("Who is Ann? Who is Bob? Who is Cy?", ("Who is Ann?", "Who is Bob?"), LEFT_OUT),
        ("Explain cats dogs", ("cats", "dogs"), "nothing parts the items"),
        ("Explain: cats, dogs\nowls", ("cats", "dogs", "owls"), "the items are parted in different ways"),
        ("Explain these 5 words: cats, dogs", ("cats", "dogs"), "the question speaks of 5, and 2 were found"),
        ("Explain each: cats, dogs & owls.", ("cats", "dogs"), LEFT_OUT),
        ("Explain each: cats & dogs, owls", ("dogs", "owls"), LEFT_OUT),
        ("Explain each: cats, dogs + owls", ("cats", "dogs"), LEFT_OUT),
        ("Explain each: cats, dogs as well as owls", ("cats", "dogs"), LEFT_OUT),
        ("Explain each: cats, dogs, 🦉", ("cats", "dogs"), LEFT_OUT),
        ("Explain each: cats, dogs, (owls)", ("cats", "dogs"), LEFT_OUT),
        ("Explain each: big cats, dogs", ("cats", "dogs"), LEFT_OUT),
        ("Explain each:\nbig cats\ndogs", ("cats", "dogs"), LEFT_OUT),
        ("Explain each:\n- big cats\n- dogs", ("cats", "dogs"), LEFT_OUT),
        ("Explain each:\n- cats\n- dogs of war", ("cats", "dogs"), LEFT_OUT),
        ("Explain each:\ncats\ndogs\n\nowls", ("cats", "dogs"), LEFT_OUT),
        ("Explain each:\nowls\n\ncats\ndogs", ("cats", "dogs"), LEFT_OUT),
        ("Explain each:\n- cats\n- dogs\n\nowls", ("cats", "dogs"), LEFT_OUT),
        ("Explain each:\n1. cats\n2. dogs\n3 owls", ("cats", "dogs"), LEFT_OUT),
    ],
)
def test_a_list_that_is_not_that_of_the_user_is_refused(text: str, items: Sequence[str], why: str) -> None:
    assert items_of(text, *items) == why


@pytest.mark.parametrize(
    ("text", "template", "told"),
    [
        (FRUITS, "Translate the word into French: {data}", "Translate the word into French"),
        (FRUITS, "Translate {data} into French.", "Translate the item below into French."),
        (FRUITS, "Translate the word into German: {data}", "Translate these words into French:"),
        (FRUITS, "Translate the word: {data}", "Translate these words into French:"),
        (FRUITS, "Politely translate the word into French: {data}", "Translate these words into French:"),
        (
            FRUITS.replace("into", "from"),
            "Translate into French: {data}",
            "Translate these words from French:",
        ),
        (
            "Explain in at most 10 words each: apple, pear, plum",
            "Explain in at most 5 words each: {data}",
            "Explain in at most 10 words each:",
        ),
        (
            "Translate each from German to French: apple, pear, plum",
            "Translate from French to German: {data}",
            "Translate each from German to French:",
        ),
        (
            "Translate apple, pear and plum into French.",
            "anything",
            "Translate the item below into French.",
        ),
    ],
)
def test_a_template_must_say_what_the_user_says(text: str, template: str, told: str) -> None:
    task = task_of(text, "apple", "pear", "plum", template=template)
    assert isinstance(task, Task)
    assert task.question.text == told


def test_the_context_comes_first_wherever_it_stood() -> None:
    passage = "Rome has seven hills.\nIt is old."
    questions = "1. How many hills?\n2. How old?"
    for text in (f"{passage}\n\nAnswer:\n{questions}", f"Answer:\n{questions}\n\n{passage}"):
        for context in (passage, "Rome has … is old.", "Rome has ... is old."):
            task = task_of(text, "How many hills?", "How old?", context=context)
            assert isinstance(task, Task)
            assert task.question.text == f"{passage}\n\nAnswer:"


@pytest.mark.parametrize("context", ["French", "words into", "apple, pear", "Paris is large.", "… …"])
def test_a_context_that_is_no_passage_stays_where_it_is(context: str) -> None:
    task = task_of(FRUITS, "apple", "pear", "plum", context=context)
    assert isinstance(task, Task)
    assert task.question.text == "Translate these words into French:"


def test_questions_without_a_word_beside_them_are_answered() -> None:
    task = task_of("Who is Ann? Who is Bob?", "Who is Ann?", "Who is Bob?")
    assert isinstance(task, Task)
    assert task.question.text == "Answer the question below."
    assert items_of("apple, pear, plum", "apple", "pear", "plum") == ("apple", "pear", "plum")
    bare = task_of("apple, pear, plum", "apple", "pear", "plum")
    assert isinstance(bare, Task)
    assert bare.tier == "low"


@pytest.mark.parametrize(
    ("text", "tier", "sign"),
    [
        (FRUITS, "high", "it speaks of several: 'these'"),
        ("Translate 3 words below: apple, pear, plum", "high", "it says how many there are"),
        ("Translate:\n1. apple\n2. pear\n3. plum", "high", "they are numbered or have bullets"),
        ("Translate: apple, pear, plum", "medium", "they are listed with commas"),
        ("Translate words:\napple\npear\nplum", "medium", "it speaks of several: 'words'"),
        ("Translate:\napple\npear\nplum", "medium", "there are 3 of them"),
        ("Wish list: apple, pear, plum", "low", "nothing shows that each is done alone"),
    ],
)
def test_the_tiers(text: str, tier: str, sign: str) -> None:
    task = task_of(text, "apple", "pear", "plum")
    assert isinstance(task, Task)
    assert (task.tier, task.sign) == (tier, sign)


def test_two_items_are_certain_enough_only_for_some_categories() -> None:
    text, items = "Fix cats and dogs", ("cats", "dogs")
    one, other = (task_of(text, *items, category=category) for category in ("translation", "sentiment"))
    assert isinstance(one, Task)
    assert isinstance(other, Task)
    assert (one.tier, other.tier) == ("medium", "low")


@pytest.mark.parametrize(
    ("text", "n", "passes"),
    [
        ("Write 5 haikus about winter.", 5, True),
        ("Give me five names for a cat.", 5, True),
        ("Schreibe drei Witze.", 3, True),
        ("Write 5 haikus of 3 lines.", 3, False),
        ("Write a poem in 3 lines.", 3, False),
        ("Write a 2 page essay.", 2, False),
        ("Write a poem.", 2, False),
        ("Write 1 poem.", 1, False),
        ("Name the 5 largest cities.", 5, False),
        ("Write 12 chapters of a novel.", 12, False),
        ("Summarize chapter 5.", 5, False),
    ],
)
def test_a_number_of_samples_is_what_the_user_asks_for(text: str, n: int, passes: bool) -> None:
    assert isinstance(task_of(text, n=n), Task) is passes


@pytest.mark.parametrize(
    "task",
    [
        "Sort these words.",
        "Please rank the following by size.",
        "Which one is the largest?",
        "What is the total of these?",
        "Compare the cities.",
        "Explain how they relate to each other.",
        "Translate with consistent terms.",
        "Drop what was there before and keep the order of the others.",
        "Write the running totals of these numbers.",
        "Read the text.\nThen put the words in alphabetical order.",
        f"{'A long tale of a long day. ' * 20}Sort the days.",
    ],
)
def test_words_that_show_dependence(task: str) -> None:
    assert dependent_words(task)


@pytest.mark.parametrize(
    "task",
    [
        "Sort the letters of each word.",
        "Count the words in each sentence.",
        "Translate the order into French.",
        "Answer the questions.",
        f"{'A long tale, in total 3 of them. ' * 20}",
    ],
)
def test_words_that_show_none(task: str) -> None:
    assert dependent_words(task) == "" or "total" in task


def test_what_shows_at_sight_is_not_in_the_list() -> None:
    assert dependent_at_sight("Sort: pear, fig")
    assert not dependent_at_sight("Translate each:\n1. Sort the list\n2. Rank the words")
    assert not dependent_at_sight('Translate: "Sort the list", "Shuffle the cards"')
    assert not dependent_at_sight("For each person, write the name, in the order given:\n1. Ada Byron")
    assert not dependent_at_sight("Say what to do in order to pass:\n1. the test")


def test_what_shows_that_each_is_done_alone() -> None:
    assert alone_words("Give the plural of these:") == "the plural of these"
    assert alone_words("Bake a cake from this:") == ""


def test_items_that_refer_to_others() -> None:
    assert refers_to_another(["Who?", "Use the previous answer."]) == "previous answer"
    assert refers_to_another(["What is the first step?", "Who was the previous king?"]) == ""


WORD = st.text("bcdfghkl", min_size=4, max_size=8)  # no word that says anything, such as "each"
WORDS = st.lists(WORD, min_size=2, max_size=6, unique=True)
FORMS = st.sampled_from(["numbers", "bullets", "lines", "commas"])


@settings(max_examples=40, deadline=None)
@given(items=WORDS, form=FORMS, data=st.data())
def test_whole_lists_pass_and_others_do_not(items: list[str], form: str, data: st.DataObject) -> None:
    lines = {
        "numbers": "\n".join(f"{at}. {item}" for at, item in enumerate(items, 1)),
        "bullets": "\n".join(f"- {item}" for item in items),
        "lines": "\n".join(items),
        "commas": ", ".join(items),
    }
    text = f"Explain each of the following:\n{lines[form]}"
    assert items_of(text, *data.draw(st.permutations(items))) == tuple(items)
    left = data.draw(st.sampled_from(items))
    assert isinstance(task_of(text, *(item for item in items if item != left)), Fault)


@settings(max_examples=40, deadline=None)
@given(st.text(max_size=300), st.lists(st.text(min_size=1, max_size=30), max_size=5), st.integers(-1, 9))
def test_whatever_is_found_ends_in_a_task_of_the_users_words_or_in_a_fault(
    text: str, items: list[str], n: int
) -> None:
    for number in (None, n):
        task = checked(Extraction("{data}", text[:20], tuple(items), number), Question(text), 64)
        if isinstance(task, Task):
            assert all(item in text for item in task.items)


@pytest.mark.parametrize(
    "text",
    [
        "Here are the words: pear, apple, fig. Sort them alphabetically.",
        "Could you sort these words alphabetically: pear, apple, fig?",
        "Write this list in reverse order: pear, apple, fig.",
        "Write the running totals of these numbers, one on each line: 16, 6, 3.",
        "Remove the words that have been there before, keep the order of the others: a, b, a.",
        "Sort:\n1. pear\n2. apple",
    ],
)
def test_an_operation_on_a_whole_list_is_seen_in_any_question(text: str) -> None:
    assert whole_list_at_sight(text)


@pytest.mark.parametrize(
    "text",
    [
        "Explain the difference between TCP and UDP in detail.",
        "Describe how elections and the right to vote evolved in the United States.",
        "Explain how random forests work.",
        "Write a guide to growing tomatoes throughout the year.",
        "Write an article about meditation, sleep and exercise, and how they work together.",
        "Describe my three favorite topics: cats, dogs, birds.",
        "Explain what to do about missing persons, in three sections.",
        "Compare cats and dogs as pets.",
        "Explain what must be done in order to vote.",
        "Explain these commands:\n- sort the list\n- shuffle the cards",
    ],
)
def test_free_questions_show_none(text: str) -> None:
    assert whole_list_at_sight(text) == ""

import pytest

from orchestrator.consensus.reading.collectives import counted_out


@pytest.mark.parametrize(
    ("text", "figures"),
    [
        ("He has a pair of shoes.", "He has 2 shoes."),
        ("It takes a fortnight.", "It takes 14 days."),
        ("The war lasted a century.", "The war lasted 1 century."),
        ("He has a baker's dozen of rolls.", "He has 13 rolls."),
        ("She called twice.", "She called 2 times."),
        ("It happens once a day.", "It happens once a day."),
        ('The novel is "A Pair of Blue Eyes".', 'The novel is "A Pair of Blue Eyes".'),
        ("The novel is A Pair of Blue Eyes.", "The novel is A Pair of Blue Eyes."),
        ("It is twice as long.", "It is twice as long."),
        ("It is 5. There are a couple of ways to see it.", "It is 5. There are a couple of ways to see it."),
        ("It is clear. A couple of ways lead there.", "It is clear. A couple of ways lead there."),
    ],
)
def test_words_for_a_number_of_things_are_figures_in_one_sentence_without_any(
    text: str, figures: str
) -> None:
    assert counted_out(text) == figures

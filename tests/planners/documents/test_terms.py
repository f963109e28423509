"""What texts are about, and how long they are for a model, by their characters alone."""

from __future__ import annotations

from dataclasses import replace

import pytest

from orchestrator.errors import InvalidRequest
from orchestrator.runtime.values import Question
from planners.documents.lengths import Lengths, room_for, tokens_in
from planners.documents.matter import Matter
from planners.documents.terms import Rarity, terms_of
from tests.planners.conftest import BARE


def test_words_are_terms_and_pairs_of_characters_are_where_no_spaces_part_them() -> None:
    assert terms_of("The Gauge, THE 1,234 gauges_x") == {"the", "gauge", "1234", "gauges", "x"}
    assert terms_of("青い計器") == {"青い", "い計", "計器"}
    assert terms_of("青 is blue") == {"青", "is", "blue"}
    assert terms_of("") == frozenset()


def test_what_few_texts_have_is_rare() -> None:
    rarity = Rarity(["the gauge ollo", "the gauge", "the gauge", "the vurm"])
    assert rarity.of("the") == 0 == rarity.of("unheard")
    assert rarity.of("ollo") > rarity.of("gauge") > 0
    assert rarity.rare(["the", "gauge", "ollo", "vurm", "unheard"]) == {"ollo", "vurm"}
    assert rarity.shared({"ollo", "the"}, "the ollo") == pytest.approx(rarity.of("ollo"))
    assert Rarity(["alone"]).rare(["alone"]) == frozenset()


def test_lengths_of_pieces_are_those_of_their_texts() -> None:
    text = "The gauge weighs 7 g. 青い計器 Ünï 🙂"
    lengths = Lengths(text)
    assert all(
        abs(lengths.of(a, b) - tokens_in(text[a:b])) <= 1
        for a in range(len(text))
        for b in range(a, len(text))
    )


class _Run:
    def __init__(self, context: int | None) -> None:
        self.capabilities = replace(BARE, max_model_len=context)


def test_the_context_of_an_engine_bounds_chunks_and_completions() -> None:
    def room(context: int | None, question: str = "Why?", chunk: int = 1000):  # type: ignore[no-untyped-def]
        asked = Question(question)
        return room_for(_Run(context), asked, ["Do it."], chunk=chunk, quotes=256, answer=1024)  # type: ignore[arg-type]

    assert (room(None).material, room(None).answer) == (1000, 1024)
    small = room(2048)
    assert (small.quotes, small.answer) == (256, 512)
    assert 500 < small.material < 2048 - 512
    assert room(100_000).material == 1000
    assert room(2048, "Why not, then?").material == small.material  # chunks are those of another question
    assert room(2048, "Why? " * 200).material < small.material
    with pytest.raises(InvalidRequest, match=r"has 2,048 tokens, of which .* ask a shorter question"):
        room(2048, "Why? " * 2000)


def test_a_quote_is_shown_with_what_explains_it() -> None:
    short = "The blue gauge weighs 7 g. It is old.\n\nThe red one is new."
    matter = Matter(short, 500)
    at = short.index("It is old.")
    start, end = matter.around((at, at + 10))
    assert short[start:end] == "The blue gauge weighs 7 g. It is old."
    long = (
        "".join(f"Gauge {at} weighs {at} g, as far as anybody knows today. " for at in range(30)) + "\n\nEnd."
    )
    matter = Matter(long, 500)
    at = long.index("Gauge 9")
    start, end = matter.around((at, at + 9))
    assert long[start:end].startswith("Gauge 8 weighs")
    assert long[start:end].endswith("Gauge 9 weighs 9 g, as far as anybody knows today.")


def test_terms_outside_of_spans() -> None:
    text = "alpha beta gamma delta"
    matter = Matter(text, 100)
    (chunk,) = matter.chunks
    assert matter.outside(chunk, [(6, 10)]) == {"alpha", "gamma", "delta"}
    assert matter.outside(chunk, [(0, 22)]) == frozenset()
    assert matter.outside(chunk, []) == {"alpha", "beta", "gamma", "delta"}

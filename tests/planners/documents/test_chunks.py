"""Where a material is cut: nothing is lost, everything fits, and no sentence is cut that need not be."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from planners.documents.chunks import Chunk, chunks_of, halves
from planners.documents.lengths import Lengths
from planners.documents.sources import Source, sources_of

PIECES = [
    *(
        "The gauge is blue. ",
        "It weighs 7 g! ",
        "word ",
        "longwordwithoutspaces",
        "\n",
        "\n\n",
        "\n \n\n",
        " ",
    ),
    *("==> a.txt <==\n", "==> b c.txt <==\n", '<document name="x">\n', "</document>\n", "\f"),
    *(
        "これは青い。",
        "重さは七グラムです。",
        "计量器是蓝色的。",
        "🙂",
        "é",
        "กขค",
        "\u0301",
        "\x00",
        "\ud800",
    ),
]
MATERIALS = st.lists(st.sampled_from(PIECES), max_size=60).map("".join)


def chunks(material: str, tokens: int) -> list[Chunk]:
    return chunks_of(material, sources_of(material), tokens)


@given(MATERIALS, st.integers(2, 60))
def test_every_character_is_in_a_chunk_and_every_chunk_fits(material: str, tokens: int) -> None:
    lengths = Lengths(material)
    cut = chunks(material, tokens)
    covered = 0
    for each in cut:
        assert each.start <= covered < each.end  # none is left out, none is all repetition
        assert lengths.of(each.start, each.end) <= tokens or each.end - each.start == 1
        covered = each.end
    assert covered == len(material)


@given(MATERIALS)
def test_documents_are_all_of_the_material(material: str) -> None:
    sources = sources_of(material)
    assert "".join(material[each.start : each.end] for each in sources) == material
    assert all(each.start < each.end for each in sources)


@given(MATERIALS.filter(bool), st.integers(5, 60))
def test_a_chunk_is_halved_without_loss(material: str, tokens: int) -> None:
    sources = sources_of(material)
    for chunk in chunks_of(material, sources, tokens):
        parts = halves(material, chunk, sources)
        assert parts[0].start == chunk.start
        assert parts[-1].end == chunk.end
        assert all(a.end >= b.start for a, b in itertools.pairwise(parts))
        assert parts == [chunk] or all(each.end - each.start < chunk.end - chunk.start for each in parts)


def test_paragraphs_are_kept_whole_where_they_fit() -> None:
    paragraphs = [f"The gauge number {at} is blue. It weighs {at} g.\n\n" for at in range(20)]
    material = "".join(paragraphs)
    for chunk in chunks(material, 40):
        text = material[chunk.start : chunk.end]
        assert text.startswith("The gauge number")
        assert text.endswith("g.\n\n")


def test_a_long_paragraph_is_cut_between_sentences_and_the_next_chunk_repeats_some() -> None:
    material = " ".join(f"Gauge {at} is blue." for at in range(200))
    cut = chunks(material, 100)
    assert len(cut) > 5
    for before, after in itertools.pairwise(cut):
        assert material[after.start :].startswith("Gauge")
        assert material[: before.end].rstrip().endswith(".")
        assert after.start < before.end  # a sentence is in both
        repeated = Lengths(material).of(after.start, before.end)
        assert repeated <= 100 // 8 + 1


@pytest.mark.parametrize("material", ["これは青い計器です。" * 60, "计量器是蓝色的。" * 60])
def test_languages_without_spaces_are_cut_after_their_full_stops(material: str) -> None:
    cut = chunks(material, 80)
    assert len(cut) > 2
    assert all(material[each.start : each.end].endswith("。") for each in cut)


def test_a_text_without_any_place_to_cut_is_cut_all_the_same() -> None:
    material = "x" * 3000
    cut = chunks(material, 100)
    assert len(cut) > 7
    assert all(b.start < a.end for a, b in itertools.pairwise(cut))


def test_small_documents_share_a_chunk_and_a_large_one_says_where_it_goes_on() -> None:
    small = "".join(f"==> {name}.txt <==\nGauge {name} is blue.\n" for name in "abc")
    assert len(chunks(small, 200)) == 1
    large = "==> long.txt <==\n" + "".join(f"Gauge {at} is blue.\n\n" for at in range(60))
    first, second, *_ = chunks(large, 100)
    assert first.text(large).startswith("==> long.txt <==")
    assert second.text(large).startswith("(continued: long.txt)\nGauge")


@pytest.mark.parametrize(
    ("material", "names"),
    [
        ("", []),
        ("one text", [""]),
        ("==> a.txt <==\none\n\n==> b/c d.txt <==\ntwo\n", ["a.txt", "b/c d.txt"]),
        ("before\n==> a.txt <==\none\n", ["", "a.txt"]),
        ('<document name="A">\none\n</document>\n<document>\ntwo\n</document>', ["A", "document 2"]),
        ("<doc title='A b' id=7>\none\n</doc>\n<file path=b.py>two</file>", ["A b", "b.py"]),
        ("one\ftwo\f", ["page 1", "page 2"]),
        ("\n\n==> a <==\nx", ["a"]),
        ("a ==> b <== c", [""]),
    ],
)
def test_documents_are_known_by_their_headings(material: str, names: list[str]) -> None:
    assert [each.name for each in sources_of(material)] == names


def test_a_document_is_where_its_heading_is() -> None:
    material = "==> a <==\none\n==> b <==\ntwo\n"
    assert sources_of(material) == (Source("a", 0, 14), Source("b", 14, 28))

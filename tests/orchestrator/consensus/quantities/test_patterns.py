import re

import pytest

from orchestrator.consensus.quantities.patterns import lazily


def test_a_pattern_does_what_a_compiled_one_does() -> None:
    pattern = lazily(r"(?P<word>[a-z]+)", re.IGNORECASE)
    found = pattern.fullmatch("Nile")
    assert found is not None
    assert found["word"] == "Nile"
    assert pattern.sub("x", "a 1 b") == "x 1 x"
    assert pattern.pattern == r"(?P<word>[a-z]+)"


def test_it_is_compiled_at_its_first_use() -> None:
    pattern = lazily("(")
    with pytest.raises(re.error):
        pattern.match("(")

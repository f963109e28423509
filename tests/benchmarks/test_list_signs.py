from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks.list_signs import counted, main

LABELS = """label;request
1;Give me five tips for sleeping well.
1;"What are the main advantages of trains; and of planes?"
1;Tell me about Rome.
0;What is 7 * 6?
0;List the reasons why the sky is blue.
"""


def test_precision_and_recall_are_counted(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "made_up.csv"
    path.write_text(LABELS, encoding="utf-8")
    counts = counted(path)
    assert (counts.questions, counts.lists, counts.found, counts.both) == (5, 3, 3, 2)
    assert counts.precision == counts.recall == pytest.approx(2 / 3)
    assert main([str(path)]) == 0
    assert capsys.readouterr().out.splitlines()[-1] == "| made_up | 5 | 3 | 0.67 | 0.67 |"


def test_a_label_that_is_none_is_named(tmp_path: Path) -> None:
    path = tmp_path / "odd.csv"
    path.write_text("label;request\nyes;Why?\n", encoding="utf-8")
    with pytest.raises(ValueError, match="'yes'"):
        counted(path)

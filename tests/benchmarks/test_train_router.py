"""A router is fitted on labels, and its threshold by parts on which it was not fitted."""

from __future__ import annotations

from pathlib import Path
from zlib import crc32

import pytest

from benchmarks.train_router import fit, main, read, report, trained
from workers.tools.router import LinearRouter

TOPICS = ("sleep", "bread", "rivers", "gauges", "gardens", "chairs", "letters", "winter", "paint", "stairs")
LABELLED = [
    (f"Give me {number} tips about {topic}", True) for topic in TOPICS for number in ("some", "a few")
]
LABELLED += [
    (f"How heavy is {what} of {topic}", False) for topic in TOPICS for what in ("a kilogram", "a box")
]


def test_what_separates_the_labels_is_learnt_and_holds_for_others() -> None:
    router = fit(LABELLED)
    assert (
        router.probability("Give me some tips about trains")
        > 0.5
        > router.probability("How heavy is a train")
    )
    assert fit(LABELLED) == router


def test_the_threshold_has_the_precision_or_there_is_none() -> None:
    router = trained(LABELLED, precision=0.9)
    assert 0 < router.threshold < 1
    assert "precision 20 of 20, 100 %" in report(router, LABELLED)
    muddled = [(text, crc32(text.encode()) % 2 == 0) for text, _ in LABELLED]
    with pytest.raises(ValueError, match="no threshold has a precision"):
        trained(muddled, precision=0.99)


def test_the_command_writes_what_the_tool_reads(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    labels, out = tmp_path / "labels.csv", tmp_path / "router.json"
    labels.write_text("label;request\n" + "".join(f'{int(label)};"{text}"\n' for text, label in LABELLED))
    assert read(labels) == LABELLED
    assert main([str(labels), "--test", str(labels), "--out", str(out)]) == 0
    assert "labels.csv: precision 20 of 20" in capsys.readouterr().out
    LinearRouter.model_validate_json(out.read_text())


@pytest.mark.parametrize("content", ["2;What?\n", "1\n", "1;a;b\n"])
def test_labels_in_another_form_are_told(
    content: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "bad.csv"
    path.write_text(content)
    with pytest.raises(SystemExit):
        main([str(path)])
    assert "bad.csv, question 1: not label;request" in capsys.readouterr().err

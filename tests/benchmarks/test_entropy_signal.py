"""The stored recording of GSM8K, and what is said of it in the documentation."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from benchmarks import entropy_signal, gsm8k
from benchmarks.entropy_signal import SIGNALS, Draw
from benchmarks.record_gsm8k import COUNT, SEED, drawn
from workers.models.catalogue import CATALOGUE

DOCS = Path(__file__).parents[2] / "docs" / "consensus.md"


def test_the_documentation_says_what_the_command_prints(capsys: pytest.CaptureFixture[str]) -> None:
    assert entropy_signal.main([]) == 0
    printed = [line for line in capsys.readouterr().out.splitlines() if line and not line.startswith("ok")]
    assert len(printed) > 12
    page = DOCS.read_text().splitlines()
    for line in printed:
        assert line in page


def test_the_recording_is_what_its_first_line_says() -> None:
    provenance, asked = gsm8k.load()
    assert provenance["questions"] == len(asked)
    assert provenance["sha256"] == CATALOGUE[provenance["model"]].sha256
    assert [each.number for each in asked] == drawn(COUNT, SEED)[: len(asked)]
    for each in asked:
        assert len(each.branches) == max(entropy_signal.GSM8K_SIZES)
        for branch in each.branches:
            assert branch.logprob < 0
            assert branch.tokens <= provenance["sampling"]["max_tokens"]
            assert branch.finish == "stop" or branch.claim is None


def test_raw_lines_are_kept_up_to_the_first_that_is_missing(tmp_path: Path) -> None:
    said = {"text": "So it is \\boxed{1,200}.", "tokens": 3, "logprobs": [-0.1, -0.2, -0.3], "finish": "stop"}
    cut_off = {"text": "So it is 7", "tokens": 4, "logprobs": [-0.5], "finish": "length"}
    raw = [{"question": number, "gold": "1200", "branches": [said, cut_off]} for number in (5, 3, 9)]
    asked = gsm8k.compact(raw, [3, 5, 7, 9])
    assert [each.number for each in asked] == [3, 5]
    assert asked[0].branches == (
        gsm8k.Branch("1,200", 3, -0.2, "stop"),
        gsm8k.Branch(None, 4, -0.5, "length"),
    )
    assert asked[0].clusters() == (0, (0, None))
    gsm8k.store(asked, {"model": "made up"}, tmp_path / "stored.jsonl")
    assert gsm8k.load(tmp_path / "stored.jsonl") == ({"model": "made up"}, asked)


def test_signals_are_surer_of_agreement_and_never_of_silence() -> None:
    agreed = Draw(0, (0, 0, 0), (50, 60, 70), (-0.1, -0.2, -0.3))
    split = Draw(0, (0, 1, 0), (60, 70, 80), (-0.3, -0.3, -0.3))
    silent = Draw(0, (0, None, None), (160, 160, 160), (-0.4, -0.4, -0.4))
    for name, signal in SIGNALS.items():
        assert signal(agreed) > signal(split) > signal(silent), name


def test_the_report_is_json_as_well(capsys: pytest.CaptureFixture[str]) -> None:
    entropy_signal.main(["--json"])
    report = json.loads(capsys.readouterr().out)
    assert [row["branches"] for row in report["rows"]] == [2, 3, 4, 5]
    assert set(report["rows"][0]["signals"]) == set(SIGNALS)
    assert report["calibration"]["examples"] <= report["questions"]

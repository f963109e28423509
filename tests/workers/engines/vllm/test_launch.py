from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

from workers.engines.vllm.launch import Recipe, arguments, find_python
from workers.errors import EngineUnavailable


def test_options_become_arguments() -> None:
    line = arguments(
        {
            "max_model_len": 4096,
            "enforce_eager": True,
            "enable_prefix_caching": False,
            "quantization": None,
            "gpu_memory_utilization": 0.9,
            "lora_modules": ["a=x", "b=y"],
            "speculative_config": {"method": "ngram", "num_speculative_tokens": 4},
        }
    )
    assert line[:3] == ["--max-model-len", "4096", "--enforce-eager"]
    assert line[3:6] == ["--no-enable-prefix-caching", "--gpu-memory-utilization", "0.9"]
    assert line[6:9] == ["--lora-modules", "a=x", "b=y"]
    assert line[9] == "--speculative-config"
    assert json.loads(line[10]) == {"method": "ngram", "num_speculative_tokens": 4}


def test_options_of_odd_types_become_arguments() -> None:
    line = arguments(
        {
            "lora_modules": [{"name": "a", "path": Path("/with space/it's")}, "b=y"],
            "speculative_config": {"model": Path("/draft"), "nested": {"x": None}},
            "download_dir": Path("/models"),
            "seed": -1,
            "chat-template": "{{ 'quotes' }} $HOME",
        }
    )
    assert line[0] == "--lora-modules"
    assert json.loads(line[1]) == {"name": "a", "path": "/with space/it's"}
    assert line[2:4] == ["b=y", "--speculative-config"]
    assert json.loads(line[4]) == {"model": "/draft", "nested": {"x": None}}
    assert line[5:] == [
        "--download-dir",
        "/models",
        "--seed",
        "-1",
        "--chat-template",
        "{{ 'quotes' }} $HOME",
    ]


def test_the_key_that_the_server_will_ask_for_is_known(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("VLLM_API_KEY", raising=False)
    assert Recipe("m").api_key == ""
    monkeypatch.setenv("VLLM_API_KEY", "ours")
    assert Recipe("m").api_key == "ours"
    assert Recipe("m", environment={"VLLM_API_KEY": "theirs"}).api_key == "theirs"
    assert Recipe("m", options={"api_key": ["first", "second"]}).api_key == "first"


def test_a_python_that_was_named_is_taken_or_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ANABRANCH_VLLM_PYTHON", sys.executable)
    assert find_python() == Path(sys.executable)
    monkeypatch.setenv("ANABRANCH_VLLM_PYTHON", "/nowhere/python")
    with pytest.raises(EngineUnavailable, match="cannot be executed"):
        find_python()


def test_without_vllm_the_error_says_how_to_get_it(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv("ANABRANCH_VLLM_PYTHON", raising=False)
    monkeypatch.setattr("workers.engines.vllm.launch.default_directory", lambda: tmp_path)
    with pytest.raises(EngineUnavailable, match="scripts/setup-vllm-cpu"):
        find_python()

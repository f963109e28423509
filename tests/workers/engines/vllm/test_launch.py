from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import pytest

from workers.engines.vllm.launch import Place, Recipe, arguments, find_python
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
    assert Recipe("m", options={"api_key": ["first"]}).api_key == "first"
    with pytest.raises(ValueError, match="give one"):
        Recipe("m", options={"api_key": ["first", "second"]}).api_key  # noqa: B018


def command(place: Place, **fields: Any) -> tuple[list[str], dict[str, str]]:
    line, variables = Recipe("m", python=Path(sys.executable), **fields).command(place, None)
    return line[3:], variables


def test_a_socket_takes_the_place_of_host_and_port() -> None:
    line, _ = command(Place(Path("/private/http"), 0, ""))
    assert line[line.index("--uds") + 1] == "/private/http"
    assert not {"--host", "--port"} & set(line)
    line, _ = command(Place(None, 4711, "secret"))
    assert line[line.index("--host") + 1] == "127.0.0.1"
    assert line[line.index("--port") + 1] == "4711"
    assert "--uds" not in line


def test_a_key_is_never_on_the_command_line() -> None:
    for options in ({}, {"api_key": "secret"}, {"api_key": ["secret"]}):
        line, variables = command(Place(None, 1, "secret"), options=options)
        assert variables["VLLM_API_KEY"] == "secret"
        assert "--api-key" not in line
        assert "secret" not in line


def test_no_web_page_may_ask_the_server_unless_its_origin_is_named() -> None:
    line, _ = command(Place(None, 1, "secret"))
    assert json.loads(line[line.index("--allowed-origins") + 1]) == []
    line, _ = command(Place(None, 1, "secret"), options={"allowed_origins": '["http://here"]'})
    assert line.count("--allowed-origins") == 1
    assert "[]" not in line


@pytest.mark.parametrize(("declared", "expected"), [("uds: str | None = None", True), ("", False)])
def test_whether_a_vllm_can_listen_on_a_socket_is_seen_in_it(
    tmp_path: Path, declared: str, expected: bool
) -> None:
    arguments = tmp_path / "vllm" / "entrypoints" / "openai" / "cli_args.py"
    arguments.parent.mkdir(parents=True)
    arguments.write_text(f"port: int = 8000\n{declared}\n")
    (tmp_path / "vllm" / "__init__.py").write_text("raise ImportError('it takes a minute to import')")
    recipe = Recipe("m", python=Path(sys.executable), environment={"PYTHONPATH": str(tmp_path)})
    assert recipe.takes_sockets() == expected


@pytest.mark.parametrize("name", ["host", "port"])
def test_who_asks_for_a_port_gets_no_socket(name: str) -> None:
    assert not Recipe("m", python=Path("/nowhere"), options={name: "1"}).takes_sockets()


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


def test_arithmetic_sampling_adds_our_processor_to_those_that_are_given() -> None:
    place = Place(Path("/private/http"), 0, "")
    line, variables = command(place, options={"arithmetic_sampling": True, "logits_processors": ["a:B"]})
    at = line.index("--logits-processors")
    assert line[at + 1 : at + 3] == ["a:B", "anabranch_sampling.processor:ArithmeticSampling"]
    assert not any("arithmetic-sampling" in each for each in line)
    served = Path(variables["PYTHONPATH"].split(":")[0])
    assert (served / "anabranch_sampling" / "processor.py").is_file()
    line, variables = command(
        place, options={"arithmetic_sampling": True}, environment={"PYTHONPATH": "/mine"}
    )
    assert line[-2:] == ["--logits-processors", "anabranch_sampling.processor:ArithmeticSampling"]
    assert variables["PYTHONPATH"].endswith(":/mine")
    for off in ({}, {"arithmetic_sampling": False}):
        line, _ = command(place, options=off)
        assert not any("logits" in each or "arithmetic" in each for each in line)

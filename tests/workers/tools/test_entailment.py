"""The entailment tool over a real ONNX model, which the tests make."""

from __future__ import annotations

import asyncio
import gc
import json
import threading
from collections.abc import Sequence
from itertools import permutations
from pathlib import Path

import onnx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from structlog.testing import capture_logs

from tests.workers.tools.nli_export import ORDER, WORDS, expected, export
from workers.errors import ModelUnavailable, ToolError
from workers.models.entailment import NLIModel, Relation, Texts
from workers.tools import entailment as module
from workers.tools.entailment import BATCH_PAIRS, entailment
from workers.tools.tool import Tool

TEXTS = st.lists(st.sampled_from([word for word in WORDS if word != "?"]), min_size=1, max_size=12).map(
    " ".join
)


@pytest.fixture(scope="session", params=[True, False], ids=["with type ids", "without"])
def model(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> NLIModel:
    return NLIModel.load(export(tmp_path_factory.mktemp("nli"), type_ids=request.param))


@pytest.fixture
def judge(tmp_path: Path) -> Tool:
    return entailment(export(tmp_path))


class Batches(list[int]):
    """The sizes of the batches that were computed."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        compute = NLIModel.judge

        def counted(model: NLIModel, pairs: Sequence[Texts]) -> list[Relation]:
            self.append(len(pairs))
            return compute(model, pairs)

        monkeypatch.setattr(NLIModel, "judge", counted)


def hold(monkeypatch: pytest.MonkeyPatch) -> tuple[asyncio.Event, threading.Event]:
    """Set when a batch begins to be computed; set it to let batches go on."""
    computing, go_on = asyncio.Event(), threading.Event()
    loop, compute = asyncio.get_running_loop(), NLIModel.judge

    def held(model: NLIModel, pairs: Sequence[Texts]) -> list[Relation]:
        loop.call_soon_threadsafe(computing.set)
        assert go_on.wait(30)
        return compute(model, pairs)

    monkeypatch.setattr(NLIModel, "judge", held)
    return computing, go_on


@settings(deadline=None)
@given(st.lists(st.tuples(TEXTS, TEXTS), min_size=1, max_size=8))
def test_a_pair_is_judged_the_same_in_any_company(model: NLIModel, pairs: list[tuple[str, str]]) -> None:
    together = model.judge(pairs)
    assert together == [expected(*pair) for pair in pairs]
    assert together == [model.judge([pair])[0] for pair in pairs]


@pytest.mark.parametrize("labels", list(permutations(ORDER)))
def test_the_order_of_the_classes_is_read_from_the_config(labels: tuple[str, ...], tmp_path: Path) -> None:
    model = NLIModel.load(export(tmp_path, labels=labels, names=[label.upper() for label in labels]))
    pairs = [("a small dog", "a dog"), ("a dog", "a small dog"), ("it is safe", "it is not safe")]
    assert model.judge(pairs) == ["entailment", "neutral", "contradiction"]


def test_a_model_with_two_classes_says_entailment_or_neutral(tmp_path: Path) -> None:
    labels = ("entailment", "neutral")
    model = NLIModel.load(export(tmp_path, labels=labels, names=("entailment", "not_entailment")))
    assert model.judge([("a small dog", "a dog"), ("a dog", "a small dog")]) == ["entailment", "neutral"]


def test_a_pair_that_is_too_long_loses_its_front_and_says_so(tmp_path: Path) -> None:
    model = NLIModel.load(export(tmp_path, longest=16))
    question = "which dog is it ? " * 20
    with capture_logs() as logs:
        found = model.judge(
            [(question + "small cat", question + "cat"), (question + "cat", question + "small cat")]
        )
    assert found == ["entailment", "neutral"]
    assert logs == [{"event": "entailment_truncated", "log_level": "warning", "pairs": 2, "longest": 16}]


def test_an_export_of_one_length_is_filled_up_to_it(tmp_path: Path) -> None:
    model = NLIModel.load(export(tmp_path, width=12))
    pairs = [("a small dog", "a dog"), ("a dog", "a small dog"), ("a " * 20 + "dog", "a dog")]
    assert model.judge(pairs) == ["entailment", "neutral", "entailment"]


def test_large_batches_are_computed_in_parts(model: NLIModel, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("workers.models.entailment.BATCH_TOKENS", 30)
    pairs = [("a small dog", "a dog"), ("a dog", "a small dog")] * 20
    assert model.judge(pairs) == ["entailment", "neutral"] * 20


async def test_the_tool_says_what_the_model_says(judge: Tool) -> None:
    assert await judge.invoke(["a small dog", "a dog"]) == "entailment"
    assert await judge.invoke({"premise": "a dog", "hypothesis": "a small dog"}) == "neutral"
    assert judge.name == "entailment"
    assert not judge.side_effects


async def test_calls_at_the_same_moment_are_one_batch(judge: Tool, monkeypatch: pytest.MonkeyPatch) -> None:
    batches = Batches(monkeypatch)
    calls = [judge.invoke(["a small dog", "a dog"]) for _ in range(2 * BATCH_PAIRS)]
    assert await asyncio.gather(*calls) == ["entailment"] * (2 * BATCH_PAIRS)
    assert batches == [BATCH_PAIRS, BATCH_PAIRS]


async def test_calls_that_come_while_a_batch_runs_are_the_next(
    judge: Tool, monkeypatch: pytest.MonkeyPatch
) -> None:
    batches = Batches(monkeypatch)
    computing, go_on = hold(monkeypatch)
    async with asyncio.TaskGroup() as group:
        first = group.create_task(judge.invoke(["a dog", "a dog"]))
        await computing.wait()
        rest = [group.create_task(judge.invoke(["a dog", "a small dog"])) for _ in range(5)]
        await asyncio.sleep(0)
        go_on.set()
    assert first.result() == "entailment"
    assert [each.result() for each in rest] == ["neutral"] * 5
    assert batches == [1, 5]


async def test_who_is_cancelled_holds_up_nobody(judge: Tool, monkeypatch: pytest.MonkeyPatch) -> None:
    computing, go_on = hold(monkeypatch)
    async with asyncio.TaskGroup() as group:
        calls = [group.create_task(judge.invoke(["a dog", "a dog"])) for _ in range(4)]
        await computing.wait()
        calls[0].cancel()  # computes for all
        calls[2].cancel()  # waits
        await asyncio.sleep(0)
        go_on.set()
    assert [call.cancelled() for call in calls] == [True, False, True, False]
    assert calls[1].result() == calls[3].result() == "entailment"


async def test_a_failure_is_told_to_all_who_waited(judge: Tool, tmp_path: Path) -> None:
    graph = (tmp_path / "model.onnx").read_bytes()
    (tmp_path / "model.onnx").write_bytes(b"no graph")
    failures = await asyncio.gather(*[judge.invoke(["a", "a"]) for _ in range(3)], return_exceptions=True)
    assert len(failures) == 3
    for failure in failures:
        assert isinstance(failure, ToolError)
        assert "cannot be loaded" in str(failure)
    (tmp_path / "model.onnx").write_bytes(graph)
    assert await judge.invoke(["a", "a"]) == "entailment"  # it is tried again
    gc.collect()  # an exception that nobody was told of would be reported here


def test_without_the_extra_the_error_names_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "find_spec", lambda name: None if name == "onnxruntime" else object())
    with pytest.raises(ModelUnavailable, match=r"pip install 'anabranch\[nli\]'"):
        entailment(export(tmp_path))


@pytest.mark.parametrize(
    "source", ["nowhere", "./org/model", "org/model/more", "org/model@", Path("org/model")]
)
def test_a_source_that_is_none_is_refused_at_once(source: str | Path) -> None:
    with pytest.raises(ModelUnavailable, match="give a directory, or the id of a repository"):
        entailment(source)


@pytest.mark.parametrize("name", ["model.onnx", "tokenizer.json", "config.json"])
def test_a_missing_file_is_named(name: str, tmp_path: Path) -> None:
    (export(tmp_path) / name).unlink()
    with pytest.raises(ModelUnavailable, match=f"has no {name}.*optimum-cli"):
        NLIModel.load(tmp_path)


def test_the_graph_may_lie_in_a_directory_of_its_own(tmp_path: Path) -> None:
    export(tmp_path)
    (tmp_path / "onnx").mkdir()
    (tmp_path / "model.onnx").rename(tmp_path / "onnx" / "model.onnx")
    assert NLIModel.load(tmp_path).judge([("a", "a")]) == ["entailment"]


@pytest.mark.parametrize(
    ("labels", "names", "reason"),
    [
        (ORDER, ("LABEL_0", "LABEL_1", "LABEL_2"), "id2label"),
        (ORDER, ("positive", "neutral", "negative"), "id2label"),
        (("entailment", "neutral"), ORDER, "names 3 classes"),
    ],
)
def test_another_kind_of_classifier_is_refused(
    labels: Sequence[str], names: Sequence[str], reason: str, tmp_path: Path
) -> None:
    with pytest.raises(ModelUnavailable, match=reason):
        NLIModel.load(export(tmp_path, labels=labels, names=names))


@pytest.mark.parametrize(
    ("graph", "reason"),
    [
        (
            "nli (float[n, l] input_ids) => (float[n, l] logits) {logits = Identity(input_ids)}",
            "cannot judge two pairs",
        ),
        (
            "nli (int64[n] input_ids) => (float[n] logits) {logits = Cast<to: int = 1>(input_ids)}",
            "two pairs",
        ),
        (
            "nli (float[n, 3] pixel_values) => (float[n, 3] logits) {logits = Identity(pixel_values)}",
            "pixel_values",
        ),
        (
            "nli (int64[n, l] input_ids) => (float[n, l] start, float[n, l] end) "
            "{start = Cast<to: int = 1>(input_ids) end = Neg(start)}",
            "none is called logits",
        ),
    ],
)
def test_a_graph_of_another_kind_is_refused(graph: str, reason: str, tmp_path: Path) -> None:
    export(tmp_path)
    text = '<ir_version: 10, opset_import: ["" : 18]>' + graph
    onnx.save(onnx.parser.parse_model(text), tmp_path / "model.onnx")
    with pytest.raises(ModelUnavailable, match=reason):
        NLIModel.load(tmp_path)


def test_a_config_that_is_no_object_is_refused(tmp_path: Path) -> None:
    (export(tmp_path) / "config.json").write_text(json.dumps([1]))
    with pytest.raises(ModelUnavailable, match="not a JSON object"):
        NLIModel.load(tmp_path)


@pytest.mark.parametrize(
    ("name", "key", "value"),
    [
        ("config.json", "id2label", ["contradiction", "neutral", "entailment"]),
        ("config.json", "id2label", {"LABEL_0": "entailment"}),
        ("config.json", "id2label", None),
        ("config.json", "max_position_embeddings", "many"),
        ("config.json", "max_position_embeddings", [64]),
        ("config.json", "max_position_embeddings", -1),
        ("config.json", "max_position_embeddings", 2),
        ("config.json", "max_position_embeddings", 4),
        ("config.json", "pad_token_id", "[PAD]"),
        ("config.json", "pad_token_id", [0]),
        ("tokenizer_config.json", "model_max_length", "many"),
        ("tokenizer_config.json", "model_max_length", float("nan")),
    ],
)
def test_settings_of_another_kind_are_refused(name: str, key: str, value: object, tmp_path: Path) -> None:
    path = export(tmp_path) / name
    path.write_text(json.dumps(json.loads(path.read_text()) | {key: value}))
    with pytest.raises(ModelUnavailable):
        NLIModel.load(tmp_path)


def test_a_tokenizer_that_has_no_token_for_what_it_does_not_know_is_refused(tmp_path: Path) -> None:
    path = export(tmp_path) / "tokenizer.json"
    words = json.loads(path.read_text())
    words["model"]["unk_token"] = "[GONE]"
    path.write_text(json.dumps(words))
    with pytest.raises(ModelUnavailable, match="cannot judge two pairs: WordLevel"):
        NLIModel.load(tmp_path)


def test_an_export_of_one_pair_at_a_time_is_refused(tmp_path: Path) -> None:
    graph = onnx.load(export(tmp_path) / "model.onnx")
    for given_input in graph.graph.input:
        given_input.type.tensor_type.shape.dim[0].dim_value = 1
    onnx.save(graph, tmp_path / "model.onnx")
    with pytest.raises(ModelUnavailable, match="cannot judge two pairs"):
        NLIModel.load(tmp_path)


async def test_a_text_with_half_a_character_fails_nobody(
    judge: Tool, monkeypatch: pytest.MonkeyPatch
) -> None:
    batches = Batches(monkeypatch)
    pairs = [("a small dog", "a dog"), ("a dog \ud800", "a dog"), ("a dog", "a small dog")]
    found = await asyncio.gather(*(judge.invoke(pair) for pair in pairs))
    assert found == ["entailment", "entailment", "neutral"]
    assert batches == [3]


async def test_a_repository_is_fetched_when_it_is_needed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[tuple[str, str | None]] = []
    export(tmp_path)

    def snapshot(repository: str, *, revision: str | None, allow_patterns: list[str]) -> str:
        asked.append((repository, revision))
        assert "tokenizer.json" in allow_patterns
        return str(tmp_path)

    monkeypatch.setattr("huggingface_hub.snapshot_download", snapshot)
    judge = await asyncio.to_thread(entailment, "org/nli-model@0a1b2c")
    assert asked == []
    assert await judge.invoke(["a small dog", "a dog"]) == "entailment"
    assert await judge.invoke(["a dog", "a small dog"]) == "neutral"
    assert asked == [("org/nli-model", "0a1b2c")]


async def test_a_repository_that_cannot_be_fetched_says_what_to_do(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        "huggingface_hub.constants.HF_HUB_OFFLINE", True
    )  # the real client, told not to connect
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path))
    judge = await asyncio.to_thread(entailment, "org/nli-model")
    with pytest.raises(ToolError, match="hf download org/nli-model --local-dir DIRECTORY"):
        await judge.invoke(["a", "a"])

"""An NLI cross-encoder on ONNX Runtime. Needs the extra ``nli``: import it only to load a model."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import onnxruntime
import structlog
from numpy.typing import NDArray
from tokenizers import Tokenizer

from workers.errors import ModelUnavailable

log = structlog.get_logger(__name__)

BATCH_TOKENS = 8192
"""Tokens, including padding, computed in one go: attention over them takes a few hundred megabytes."""

LONGEST = 512
"""The most tokens in a pair: the models are trained on sentences, and attention grows with the square."""

Relation = Literal["entailment", "neutral", "contradiction"]
_RELATIONS: Mapping[str, Relation] = {
    "entailment": "entailment",
    "neutral": "neutral",
    "contradiction": "contradiction",
    "not_entailment": "neutral",  # models with two classes do not distinguish the other two
}
_KNOWN_INPUTS = frozenset({"input_ids", "attention_mask", "token_type_ids"})

Texts = tuple[str, str]
"""A premise and a hypothesis."""


@dataclass(frozen=True, slots=True)
class NLIModel:
    """A loaded model. ``relations`` are its classes in the order of its output.

    ``longest`` is in tokens; ``width`` is set if an export takes pairs of one length only.
    """

    session: onnxruntime.InferenceSession
    tokenizer: Tokenizer
    inputs: frozenset[str]
    output: str
    relations: tuple[Relation, ...]
    padding: int
    longest: int
    width: int | None

    @classmethod
    def load(cls, directory: Path) -> NLIModel:
        """Read an ONNX export of a sequence-classification model, and try it on two pairs.

        The directory has ``model.onnx`` (or ``onnx/model.onnx``), ``tokenizer.json`` and ``config.json``. The
        order of the classes is that of its ``id2label``, which differs from model to model.

        Raises:
            ModelUnavailable: a file is missing, or is not what it should be.
        """
        config = _read_json(directory, "config.json")
        graph = str(_file(directory, "model.onnx", "onnx/model.onnx"))
        words = str(_file(directory, "tokenizer.json"))
        try:
            tokenizer = Tokenizer.from_file(words)
            session = onnxruntime.InferenceSession(
                graph, _session_options(), providers=["CPUExecutionProvider"]
            )
        except Exception as error:  # both libraries raise plain exceptions
            raise ModelUnavailable(f"the model in {directory} cannot be loaded: {error}") from error
        width = _width(session)
        longest = min(_longest(directory, config), width or LONGEST)
        # The front is cut off: the question is there, and the claims are at the end.
        tokenizer.enable_truncation(longest, strategy="longest_first", direction="left")
        tokenizer.no_padding()
        model = cls(
            session,
            tokenizer,
            frozenset(each.name for each in session.get_inputs()),
            _output(session, directory),
            _relations(config, directory),
            config.get("pad_token_id") or 0,
            longest,
            width,
        )
        model._check(directory)
        return model

    def judge(self, pairs: Sequence[Texts]) -> list[Relation]:
        """What each premise says about its hypothesis. Blocks while it computes.

        A pair that is longer than the model can read loses tokens at the front; a warning says how many
        pairs did.

        Raises:
            ModelUnavailable: an output is not a number.
        """
        encoded = self.tokenizer.encode_batch([(_whole(first), _whole(second)) for first, second in pairs])
        if cut := sum(bool(each.overflowing) for each in encoded):
            log.warning("entailment_truncated", pairs=cut, longest=self.longest)
        rows = [(each.ids, each.type_ids) for each in encoded]
        step = max(1, BATCH_TOKENS // max(self.width or len(ids) for ids, _ in rows))
        logits = np.concatenate([self._logits(rows[at : at + step]) for at in range(0, len(rows), step)])
        if not np.isfinite(logits).all():
            raise ModelUnavailable("the entailment model computed something that is not a number")
        return [self.relations[at] for at in logits.argmax(axis=1)]

    def _logits(self, rows: Sequence[tuple[list[int], list[int]]]) -> NDArray[np.float32]:
        """The scores of all classes, shape [pairs, classes]."""
        width = self.width or max(len(ids) for ids, _ in rows)
        feed = {
            "input_ids": _padded([ids for ids, _ in rows], width, self.padding),
            "attention_mask": _padded([[1] * len(ids) for ids, _ in rows], width, 0),
            "token_type_ids": _padded([types for _, types in rows], width, 0),
        }
        found = self.session.run([self.output], {name: feed[name] for name in self.inputs})
        return np.asarray(found[0], np.float32)

    def _check(self, directory: Path) -> None:
        if unknown := self.inputs - _KNOWN_INPUTS:
            raise ModelUnavailable(
                f"the model in {directory} wants {', '.join(sorted(unknown))}: only "
                f"{', '.join(sorted(_KNOWN_INPUTS))} can be given"
            )
        try:
            encoded = self.tokenizer.encode_batch([("a", "b"), ("a a", "b")])  # one is filled up
            shape = self._logits([(each.ids, each.type_ids) for each in encoded]).shape
        except Exception as error:  # both libraries raise plain exceptions
            raise ModelUnavailable(f"the model in {directory} cannot judge two pairs: {error}") from error
        if shape != (2, len(self.relations)):
            raise ModelUnavailable(
                f"the model in {directory} gives an output of shape {shape} for two pairs, but config.json "
                f"names {len(self.relations)} classes: is it a sequence-classification model?"
            )
        if any(each.overflowing or len(each.ids) > self.longest for each in encoded):
            raise ModelUnavailable(f"the model in {directory} reads {self.longest} tokens: no pair fits")


def _session_options() -> onnxruntime.SessionOptions:
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3  # errors, not remarks on the graph
    # Idle threads would otherwise spin for a while, and take cores from an engine on the same machine.
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    return options


def _output(session: onnxruntime.InferenceSession, directory: Path) -> str:
    names = [str(each.name) for each in session.get_outputs()]
    if len(names) == 1:
        return names[0]
    if "logits" in names:
        return "logits"
    raise ModelUnavailable(
        f"the model in {directory} has the outputs {', '.join(names)}: none is called logits"
    )


def _relations(config: Mapping[str, Any], directory: Path) -> tuple[Relation, ...]:
    labels = config.get("id2label")
    try:
        named = (
            [str(labels[at]).lower() for at in sorted(labels, key=int)] if isinstance(labels, dict) else []
        )
    except ValueError:  # the keys are not numbers
        named = []
    if "entailment" not in named or not _RELATIONS.keys() >= set(named):
        raise ModelUnavailable(
            f"id2label in {directory / 'config.json'} is {labels}: an NLI model has the classes entailment, "
            "neutral and contradiction, or entailment and not_entailment"
        )
    return tuple(_RELATIONS[name] for name in named)


def _longest(directory: Path, config: Mapping[str, Any]) -> int:
    """The most tokens in a pair. Some tokenizers say 1e30 if they do not know."""
    path = directory / "tokenizer_config.json"
    settings = _read_json(directory, path.name) if path.is_file() else {}
    known = (settings.get("model_max_length"), config.get("max_position_embeddings"))
    try:
        return int(min([float(LONGEST), *(max(1.0, float(each)) for each in known if each)]))
    except (TypeError, ValueError) as error:
        raise ModelUnavailable(f"the longest text of the model in {directory} is {known}: {error}") from error


def _width(session: onnxruntime.InferenceSession) -> int | None:
    """The length of pairs that the graph was exported for; None if it takes any."""
    lengths = [each.shape[1] for each in session.get_inputs() if each.name == "input_ids" and each.shape[1:]]
    return next((length for length in lengths if isinstance(length, int)), None)


def _padded(rows: Sequence[list[int]], width: int, fill: int) -> NDArray[np.int64]:
    return np.array([row + [fill] * (width - len(row)) for row in rows], np.int64)


def _whole(text: str) -> str:
    """The text without halves of surrogate pairs, for which the tokenizer would refuse the whole batch."""
    return text.encode("utf-8", "replace").decode()


def _file(directory: Path, *names: str) -> Path:
    for name in names:
        if (directory / name).is_file():
            return directory / name
    raise ModelUnavailable(
        f"{directory} has no {names[0]}: an ONNX export has model.onnx, tokenizer.json and config.json, and "
        "`optimum-cli export onnx --task text-classification --model ID DIRECTORY` makes one"
    )


def _read_json(directory: Path, name: str) -> dict[str, Any]:
    path = _file(directory, name)
    try:
        content = json.loads(path.read_text("utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise ModelUnavailable(f"{path} cannot be read: {error}") from error
    if not isinstance(content, dict):
        raise ModelUnavailable(f"{path} is not a JSON object")
    return content

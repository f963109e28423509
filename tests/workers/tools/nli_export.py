"""A small NLI model that really computes: words of the hypothesis that the premise lacks, and negation.

It entails where the premise has all words of the hypothesis, and contradicts where one of them has "not" and
the other has not. The export has the files, names and shapes of those that are made of DeBERTa.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import onnx
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors

WORDS = ("not", "a", "small", "big", "dog", "cat", "is", "it", "safe", "where", "which", "?")
SPECIAL = ("[PAD]", "[UNK]", "[CLS]", "[SEP]")
ORDER = ("contradiction", "neutral", "entailment")

GRAPH = """
<ir_version: 10, opset_import: ["" : 18]>
nli (int64[n, {width}] input_ids, int64[n, {width}] attention_mask{type_input})
 => (float[n, {classes}] logits)
<int64 first_word = {{4}}, int64 zero = {{0}}, int64 one = {{1}}, int64 separator = {{3}},
 int64[1] negation = {{4}}, int64[1] words = {{1}}, int64[1] last = {{2}}, int64 size = {{{size}}},
 float[2] off_on = {{0.0, 1.0}}, float half = {{0.5}}, float two = {{2.0}}, float ten = {{10.0}},
 float unit = {{1.0}}, int64[{classes}] order = {{{order}}}>
{{
  {types}
  is_word = GreaterOrEqual(input_ids, first_word)
  is_read = Equal(attention_mask, one)
  counts = And(is_word, is_read)
  each = OneHot<axis: int = -1>(input_ids, size, off_on)
  in_first = Equal(types, zero)
  first_counts = And(counts, in_first)
  first_weight = Cast<to: int = 1>(first_counts)
  first_column = Unsqueeze(first_weight, last)
  first_words = Mul(each, first_column)
  premise = ReduceMax<keepdims: int = 0>(first_words, words)
  in_second = Equal(types, one)
  second_counts = And(counts, in_second)
  second_weight = Cast<to: int = 1>(second_counts)
  second_column = Unsqueeze(second_weight, last)
  second_words = Mul(each, second_column)
  hypothesis = ReduceMax<keepdims: int = 0>(second_words, words)
  difference = Sub(hypothesis, premise)
  lacking = Relu(difference)
  missing = ReduceSum<keepdims: int = 1>(lacking, words)
  premise_not = Gather<axis: int = 1>(premise, negation)
  hypothesis_not = Gather<axis: int = 1>(hypothesis, negation)
  not_difference = Sub(premise_not, hypothesis_not)
  opposed = Abs(not_difference)
  opposed_score = Mul(opposed, ten)
  contradiction = Sub(opposed_score, half)
  missing_score = Mul(missing, two)
  agreed = Sub(unit, missing_score)
  entailment = Sub(agreed, opposed_score)
  neutral = Sub(opposed, opposed)
  scores = Concat<axis: int = 1>(contradiction, neutral, entailment)
  logits = Gather<axis: int = 1>(scores, order)
}}
"""
COUNTED = """
  ends = Equal(input_ids, separator)
  end_counts = Cast<to: int = 7>(ends)
  types = CumSum<exclusive: int = 1>(end_counts, one)
"""


def export(
    directory: Path,
    *,
    labels: Sequence[str] = ORDER,
    type_ids: bool = True,
    longest: int = 64,
    width: int | str = "l",
    names: Sequence[str] | None = None,
) -> Path:
    """Write the model, its classes in the order of ``labels``; ``names`` are what the config calls them.

    ``width`` is a number where the export takes pairs of one length only.
    """
    directory.mkdir(parents=True, exist_ok=True)
    graph = GRAPH.format(
        type_input=f", int64[n, {width}] token_type_ids" if type_ids else "",
        width=width,
        types="types = Identity(token_type_ids)" if type_ids else COUNTED,
        size=len(SPECIAL) + len(WORDS),
        classes=len(labels),
        order=", ".join(str(ORDER.index(label)) for label in labels),
    )
    model = onnx.parser.parse_model(graph)
    onnx.checker.check_model(model)
    onnx.save(model, directory / "model.onnx")
    config = {
        "id2label": {str(at): name for at, name in enumerate(names or labels)},
        "max_position_embeddings": longest,
        "pad_token_id": 0,
    }
    (directory / "config.json").write_text(json.dumps(config))
    (directory / "tokenizer_config.json").write_text(json.dumps({"model_max_length": 1e30}))
    vocabulary = {word: at for at, word in enumerate([*SPECIAL, *WORDS])}
    tokenizer = Tokenizer(models.WordLevel(vocabulary, unk_token="[UNK]"))
    tokenizer.normalizer = normalizers.Lowercase()
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    tokenizer.post_processor = processors.BertProcessing(("[SEP]", 3), ("[CLS]", 2))
    tokenizer.save(str(directory / "tokenizer.json"))
    return directory


def expected(premise: str, hypothesis: str) -> str:
    """What the model is to say, computed without it."""
    first, second = set(premise.split()), set(hypothesis.split())
    if ("not" in first) != ("not" in second):
        return "contradiction"
    return "entailment" if second <= first else "neutral"

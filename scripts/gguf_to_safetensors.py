"""Convert a GGUF file to a directory of safetensors that vLLM serves, with tokenizer and chat template.

usage: python gguf_to_safetensors.py MODEL.gguf DIRECTORY

Runs in the environment that scripts/setup-vllm-cpu makes: it needs transformers, gguf and accelerate.
"""

from __future__ import annotations

import sys
from pathlib import Path

import torch
from transformers import AutoModelForCausalLM, AutoTokenizer, GgufConfig


def convert(gguf: Path, directory: Path) -> None:
    """Dequantise the weights of ``gguf`` to bfloat16 and write them to ``directory``."""
    model = AutoModelForCausalLM.from_pretrained(
        gguf.parent,
        gguf_file=gguf.name,
        dtype=torch.bfloat16,
        quantization_config=GgufConfig(dequantize=True),
    )
    # The weights are plain now; a server that reads the old setting would try to dequantise them again.
    if hasattr(model.config, "quantization_config"):
        del model.config.quantization_config
    tokenizer = AutoTokenizer.from_pretrained(gguf.parent, gguf_file=gguf.name)
    if tokenizer.chat_template is None:
        raise SystemExit(f"{gguf} has no chat template; vLLM could not serve chat completions with it")
    model.save_pretrained(directory)
    tokenizer.save_pretrained(directory)


if __name__ == "__main__":
    if len(sys.argv) != 3:
        sys.exit(__doc__)
    convert(Path(sys.argv[1]), Path(sys.argv[2]))

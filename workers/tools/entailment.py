"""Whether one text entails another, as a tool: an NLI cross-encoder of the user's choice (extra ``nli``)."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from importlib.util import find_spec
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING

from workers.errors import ModelUnavailable
from workers.tools.declaration import tool
from workers.tools.threads import in_thread
from workers.tools.tool import Tool
from workers.tools.toolbox import ENTAILMENT

if TYPE_CHECKING:
    from workers.models.entailment import NLIModel, Relation, Texts

BATCH_PAIRS = 64
"""The most pairs that are judged in one go."""

LOADING_SECONDS = 1800.0
"""How long a call may take, as the first one fetches and loads the model."""

_PACKAGES = ("huggingface_hub", "numpy", "onnxruntime", "tokenizers")
_FILES = ["config.json", "tokenizer.json", "tokenizer_config.json", "model.onnx*", "onnx/model.onnx*"]
_HUB_ID = re.compile(r"(?P<repository>[\w-][\w.-]*/[\w.-]+)(?:@(?P<revision>[\w./-]+))?", re.ASCII)


def entailment(source: str | Path) -> Tool:
    """The tool ``entailment(premise, hypothesis)``, which says entailment, neutral or contradiction.

    ``source`` is a directory with an ONNX export of an NLI model (``model.onnx``, ``tokenizer.json`` and
    ``config.json``), or the id of a repository on the Hugging Face hub that has one; ``id@commit`` pins its
    contents. It is fetched and loaded at the first call. Calls that wait while a batch is computed make up
    the next batch. A dynamically quantised model may judge a borderline pair differently in another batch.

    Raises:
        ModelUnavailable: the extra is not installed, or the source is neither.
    """
    if any(find_spec(name) is None for name in _PACKAGES):
        raise ModelUnavailable("an entailment model needs the extra 'nli': pip install 'anabranch[nli]'")
    batches = _Batches(_Lazy(_located(source)))

    @tool(name=ENTAILMENT, timeout=LOADING_SECONDS)
    async def judge(premise: str, hypothesis: str) -> str:
        """Whether the premise entails the hypothesis: entailment, neutral or contradiction."""
        return await batches.judge(premise, hypothesis)

    return judge


def _located(source: str | Path) -> Callable[[], Path]:
    """How to get the directory of the model."""
    path = Path(source).expanduser()
    if path.is_dir():
        return lambda: path
    hub = _HUB_ID.fullmatch(str(source))
    if hub is None or isinstance(source, Path):
        raise ModelUnavailable(
            f"no entailment model is at {str(source)!r}: give a directory, or the id of a repository on the "
            "Hugging Face hub, as organisation/model or organisation/model@commit"
        )
    return partial(_fetched, hub["repository"], hub["revision"])


def _fetched(repository: str, revision: str | None) -> Path:
    import huggingface_hub

    try:
        return Path(huggingface_hub.snapshot_download(repository, revision=revision, allow_patterns=_FILES))
    except Exception as error:  # the client passes on the errors of its transport
        raise ModelUnavailable(
            f"{repository} cannot be fetched from the Hugging Face hub: {error}. On a connected machine "
            f"`hf download {repository} --local-dir DIRECTORY` fetches it; give that directory instead"
        ) from error


class _Lazy:
    """A model that is loaded when it is first asked; if loading fails, it is tried again next time."""

    def __init__(self, locate: Callable[[], Path]) -> None:
        self._locate = locate
        self._model: NLIModel | None = None

    def __call__(self, pairs: Sequence[Texts]) -> list[Relation]:
        """What each premise says about its hypothesis."""
        from workers.models.entailment import NLIModel

        if self._model is None:
            self._model = NLIModel.load(self._locate())
        return self._model.judge(pairs)


@dataclass(slots=True, eq=False)
class _Asked:
    """A pair that waits for its verdict, or for the error that prevented one."""

    texts: Texts
    relation: Relation | None = None
    error: Exception | None = None


class _Batches:
    """Gathers pairs: the call that has the turn computes for all that wait, so none waits for a timer."""

    def __init__(self, compute: Callable[[Sequence[Texts]], list[Relation]]) -> None:
        self._compute = compute
        self._turn = asyncio.Lock()
        self._waiting: dict[_Asked, None] = {}  # in order

    async def judge(self, premise: str, hypothesis: str) -> Relation:
        """What the premise says about the hypothesis."""
        asked = _Asked((premise, hypothesis))
        self._waiting[asked] = None
        try:
            async with self._turn:
                if asked in self._waiting:
                    await asyncio.sleep(0)  # calls made at the same moment come along
                    await self._batch()
        finally:
            self._waiting.pop(asked, None)
        if asked.relation is None:
            assert asked.error is not None
            raise asked.error
        return asked.relation

    async def _batch(self) -> None:
        """Judge the pairs that have waited longest. Turns go in order, so the holder's own is the first."""
        batch = list(islice(self._waiting, BATCH_PAIRS))
        try:
            relations = await in_thread(
                partial(self._compute, [asked.texts for asked in batch]), "entailment"
            )
        except Exception as error:
            for asked in batch:
                asked.error = error
        else:
            for asked, relation in zip(batch, relations, strict=True):
                asked.relation = relation
        for asked in batch:
            self._waiting.pop(asked, None)

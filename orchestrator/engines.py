"""Engines by name, as settings and command lines give them."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from orchestrator.errors import InvalidRequest
from orchestrator.settings import Settings
from workers.engine import Engine
from workers.models import DEFAULT_MODEL, Progress

OnModel = Callable[[Progress], None]


def build_engine(settings: Settings, *, on_model: OnModel | None = None) -> Engine:
    """The engine that the settings name. Nothing is started or fetched until its first use.

    ``on_model`` is told how far the download of a model has come.

    Raises:
        InvalidRequest: no engine is called so.
    """
    name = settings.engine
    if name == "embedded":
        from workers.llama_cpp import LlamaCppEngine

        return LlamaCppEngine(settings.model or DEFAULT_MODEL, on_progress=on_model)
    if name == "vllm":
        from workers.vllm_launch import default_model
        from workers.vllm_server import one_each

        return _pooled(one_each(settings.model or default_model()))
    if name.startswith(("http://", "https://")):
        from workers.openai_http import OpenAIEngine

        urls = [url.strip() for url in name.split(",")]
        return _pooled([OpenAIEngine(url, model=settings.model, api_key=settings.api_key) for url in urls])
    raise InvalidRequest(
        f"no engine is called {name!r}; use embedded, vllm, or URLs that begin with http:// or https://"
    )


def _pooled(replicas: Sequence[Engine]) -> Engine:
    """One engine as it is, several as a pool."""
    if len(replicas) == 1:
        return replicas[0]
    from workers.pool import Pool

    return Pool(replicas)

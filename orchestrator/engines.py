"""Engines by name, as settings and command lines give them."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence

from yarl import URL

from orchestrator.errors import InvalidRequest
from orchestrator.settings import Settings
from workers.engine import Engine
from workers.engines.llama.engine import LlamaCppEngine
from workers.engines.openai.addresses import read_address
from workers.engines.vllm.engine import VLLMEngine
from workers.engines.vllm.kv_events import KVEndpoints
from workers.engines.vllm.launch import default_model
from workers.engines.vllm.server import one_each
from workers.engines.vllm.supervision import Starting
from workers.models.catalogue import DEFAULT_MODEL
from workers.models.files import Progress
from workers.pool.member import Member, Sharing
from workers.pool.pool import Pool
from workers.redaction import redacted

OnProgress = Callable[[Progress | Starting], None]
"""Called with the progress of a model's download or of a server's start."""

_OURS = ("kv_events", "kv_replay")  # of the query of a URL; the rest is the server's
_PART = re.compile(r"(?:(?P<roles>\w+(?:\+\w+)*)=)?(?:(?P<model>(?:(?!://)[^@])+)@)?(?P<engine>.+)")
"""``[role+role=][model@]engine``; a URL may itself contain both signs."""


def build_engine(settings: Settings, *, on_progress: OnProgress | None = None) -> Engine:
    """The engine that the settings name. Nothing is started or fetched until its first use.

    It is a pool unless it is the embedded engine alone: even a single server needs fairness, bounds and
    retries. Before an engine, ``role=`` gives it the calls of that role and ``model@`` says which model it
    has. The URL of a vLLM server that publishes KV events may name the ports:
    ``?kv_events=5557&kv_replay=5558``. Anything else in the query is sent with every request, as are the
    headers in the settings. Servers are named by host, port and path (without ``/v1``).

    Raises:
        InvalidRequest: an engine is unknown, or its URL is wrong or given twice.
    """
    try:
        members = [
            member for part in settings.engine.split(",") for member in _members(part, settings, on_progress)
        ]
        alone = members[0].engine
        return alone if len(members) == 1 and isinstance(alone, LlamaCppEngine) else Pool(members)
    except ValueError as error:  # an invalid URL, or the same one twice
        raise InvalidRequest(f"engine {redacted(settings.engine)!r}: {error}") from None


def _members(part: str, settings: Settings, on_progress: OnProgress | None) -> Sequence[Member]:
    found = _PART.fullmatch(part.strip())
    if found is None:
        raise InvalidRequest(f"engine {redacted(settings.engine)!r} has an empty entry between commas")
    kind, model = found["engine"], found["model"]
    roles = frozenset(found["roles"].split("+") if found["roles"] else ())
    wanted = model or settings.model
    if kind == "embedded":
        named = f"llama_cpp:{model}" if model else "llama_cpp"
        llama = LlamaCppEngine(wanted or DEFAULT_MODEL, name=named, on_progress=on_progress)
        return [Member(llama, roles, Sharing.IN_FLIGHT)]  # it makes calls wait for their prefix by itself
    if kind == "vllm":
        servers = one_each(wanted or default_model(), options=settings.vllm_options, on_progress=on_progress)
        return [Member(server, roles) for server in servers]
    if kind.startswith(("http://", "https://")):
        url = URL(kind)
        given = str(url.without_query_params(*_OURS))
        path = read_address(given).root.path.rstrip("/")
        named = f"{url.host}:{url.port}{path}"
        # If the server turns out not to be vLLM, this is the plain engine for its protocol.
        server = VLLMEngine(
            given,
            model=wanted,
            name=f"{model}@{named}" if model else named,
            api_key=settings.api_key,
            headers=settings.engine_headers,
            kv_events=_published(url),
        )
        return [Member(server, roles)]
    raise InvalidRequest(
        f"no engine is called {kind!r}; use embedded, vllm, or URLs that begin with http:// or https://"
    )


def _published(url: URL) -> KVEndpoints | None:
    """Where a server publishes what it caches: the ports in ``?kv_events=5557&kv_replay=5558``, if given."""
    events, replay = url.query.get("kv_events"), url.query.get("kv_replay")
    if events is None:
        return None
    return KVEndpoints(f"tcp://{url.host}:{int(events)}", replay and f"tcp://{url.host}:{int(replay)}")

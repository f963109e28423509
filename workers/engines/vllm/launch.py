"""How a vLLM server is started: with which Python, on which devices, with which options, listening where."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import platformdirs

from workers.engines.vllm.kv_events import KVEndpoints
from workers.engines.vllm.machine import cpu_has, visible_gpus
from workers.errors import EngineUnavailable, ModelUnavailable

Option = str | int | float | bool | None | Path | Sequence[object] | Mapping[str, object]
"""The value of a vLLM option: True and False are flags, None omits the option, the items of a sequence follow
each other, and a mapping is written as JSON, even inside a sequence."""

PYTHON_VARIABLE = "ANABRANCH_VLLM_PYTHON"
# The kernel ends the server when this process dies, however it dies: an orphan would keep the GPU.
_LAUNCH = (
    "import ctypes, runpy, signal, sys; "
    "ctypes.CDLL(None).prctl(1, signal.SIGTERM) if sys.platform == 'linux' else None; "
    "sys.argv[0] = 'vllm'; "
    "runpy.run_module('vllm.entrypoints.openai.api_server', run_name='__main__', alter_sys=True)"
)
_HAS_SOCKETS = (
    "import importlib.util, pathlib, sys; found = importlib.util.find_spec('vllm'); "
    "files = pathlib.Path(found.origin).parent.glob('entrypoints/**/cli_args.py') if found else (); "
    "sys.exit(not any('uds:' in file.read_text() for file in files))"
)
_ASKING_SECONDS = 60.0
_SERVED = Path(__file__).parent / "served"
_ARITHMETIC = "anabranch_sampling.processor:ArithmeticSampling"


def default_directory() -> Path:
    """Where ``scripts/setup-vllm-cpu`` puts its environment (``env``) and its models (``models``)."""
    return Path(platformdirs.user_cache_dir("anabranch")) / "vllm-cpu"


def find_python() -> Path:
    """The Python that has vLLM: the one named in ANABRANCH_VLLM_PYTHON, this one, or the CPU environment's.

    Raises:
        EngineUnavailable: there is none; the message says how to get one.
    """
    named = os.environ.get(PYTHON_VARIABLE)
    if named:
        if not os.access(named, os.X_OK):
            raise EngineUnavailable(f"{PYTHON_VARIABLE} is {named!r}, which cannot be executed")
        return Path(named)
    if any((Path(place) / "vllm" / "__init__.py").exists() for place in sys.path):
        return Path(sys.executable)
    python = default_directory() / "env" / "bin" / "python"
    if python.exists():
        return python
    raise EngineUnavailable(
        f'no vLLM was found: pip install "anabranch[vllm]" (GPU), run scripts/setup-vllm-cpu (no GPU), '
        f"or point {PYTHON_VARIABLE} at a Python that has it"
    )


def default_model() -> Path:
    """The model that ``scripts/setup-vllm-cpu`` made.

    Raises:
        ModelUnavailable: there is none.
    """
    models = default_directory() / "models"
    for directory in sorted(models.glob("*/config.json")):
        return directory.parent
    raise ModelUnavailable(
        f"no model was named, and there is none in {models}: name a directory of safetensors, or a model on "
        "the Hugging Face hub, or run scripts/setup-vllm-cpu"
    )


@dataclass(frozen=True, slots=True)
class Place:
    """Where a server listens: on a Unix domain socket, or on a port of this machine, and there with a key."""

    socket: Path | None
    port: int
    key: str


@dataclass(frozen=True, slots=True)
class Recipe:
    """What a server is started with.

    ``model`` None: :func:`default_model`. ``gpus`` None: the first, if there is one.
    """

    model: str | None
    gpus: tuple[str, ...] | None = None
    options: Mapping[str, Option] = field(default_factory=dict)
    environment: Mapping[str, str] = field(default_factory=dict)
    python: Path | None = None

    @property
    def port(self) -> int | None:
        """The port that the options ask for; None: any."""
        port = self.options.get("port")
        return None if port is None else int(str(port))

    @property
    def socket(self) -> Path | None:
        """The Unix domain socket that the options ask for; None: any, or none."""
        socket = self.options.get("uds")
        return None if socket is None else Path(str(socket))

    @property
    def api_key(self) -> str:
        """The key that was given for the server; empty: none.

        Raises:
            ValueError: several were given.
        """
        keys = self.options.get("api_key") or (os.environ | dict(self.environment)).get("VLLM_API_KEY", "")
        if isinstance(keys, str) or not isinstance(keys, Sequence):
            return str(keys)
        if len(keys) > 1:
            raise ValueError("the option api_key has several keys: give one")
        return str(keys[0])

    def takes_sockets(self) -> bool:
        """Whether the server is to listen on a socket: no port was asked for, and this vLLM has ``--uds``.

        Raises:
            EngineUnavailable: no Python with vLLM was found.
            OSError: it cannot be executed.
        """
        if "port" in self.options or "host" in self.options:
            return False
        command = [str(self.python or find_python()), "-c", _HAS_SOCKETS]
        variables = os.environ | dict(self.environment)
        try:
            asked = subprocess.run(  # noqa: S603 - the interpreter that will run the server
                command, env=variables, capture_output=True, check=False, timeout=_ASKING_SECONDS
            )
        except subprocess.TimeoutExpired:
            return False
        return asked.returncode == 0

    def command(self, place: Place, endpoints: KVEndpoints | None) -> tuple[list[str], dict[str, str]]:
        """The command line, and the environment variables that it needs.

        The key is among the variables, as everybody on this machine can read command lines.

        Raises:
            EngineUnavailable: no Python with vLLM was found.
            ModelUnavailable: no model was named, and there is no default.
        """
        python = self.python or find_python()
        model = self.model or str(default_model())
        gpus = visible_gpus()[:1] if self.gpus is None else self.gpus
        options = _own_options(model, gpus, place, endpoints) | dict(self.options) | {"api_key": None}
        variables = os.environ | _own_variables(model, gpus) | dict(self.environment)
        if options.pop("arithmetic_sampling", False):
            given = options.get("logits_processors") or ()
            others = given if isinstance(given, Sequence) and not isinstance(given, str) else (given,)
            options["logits_processors"] = (*others, _ARITHMETIC)
            places = (str(_SERVED), variables.get("PYTHONPATH"))
            variables["PYTHONPATH"] = os.pathsep.join(filter(None, places))
        if place.key:
            variables["VLLM_API_KEY"] = place.key
        return [str(python), "-c", _LAUNCH, *arguments(options)], variables


def _own_options(
    model: str, gpus: Sequence[str], place: Place, endpoints: KVEndpoints | None
) -> dict[str, Option]:
    listening: dict[str, Option] = {"host": "127.0.0.1", "port": place.port}
    if place.socket is not None:
        listening = {"uds": place.socket}
    options: dict[str, Option] = {
        "model": model,
        **listening,
        "allowed_origins": "[]",  # no web page may ask it
        "served_model_name": Path(model).name,
        "enable_prompt_tokens_details": True,
        "scheduling_policy": "priority",
    }
    if len(gpus) > 1:
        options["tensor_parallel_size"] = len(gpus)
    if not gpus:
        options["enforce_eager"] = True
        # Only full blocks are shared, and the default ones are longer here than many questions.
        options["block_size"] = 32
        # Without bfloat16 instructions, bfloat16 is emulated, several times slower than float32.
        if not cpu_has("avx512_bf16", "amx_bf16", "bf16"):
            options["dtype"] = "float32"
    if endpoints is not None:
        options["kv_events_config"] = {
            "enable_kv_cache_events": True,
            "publisher": "zmq",
            "endpoint": endpoints.events,
            "replay_endpoint": endpoints.replay,
        }
    return options


def _own_variables(model: str, gpus: Sequence[str]) -> dict[str, str]:
    variables = {"VLLM_NO_USAGE_STATS": "1", "DO_NOT_TRACK": "1"}
    if gpus:
        variables["CUDA_VISIBLE_DEVICES"] = ",".join(gpus)
    else:
        variables |= {"VLLM_CPU_KVCACHE_SPACE": "1", "VLLM_CPU_NUM_OF_RESERVED_CPU": "0"}
    if Path(model).is_dir():
        variables["HF_HUB_OFFLINE"] = "1"
    return variables


def arguments(options: Mapping[str, Option]) -> list[str]:
    """vLLM's command line for ``options``: ``{"max_model_len": 8}`` is ``--max-model-len 8``."""
    line: list[str] = []
    for name, value in options.items():
        flag = name.strip("-").replace("_", "-")
        if value is None:
            continue
        if value is True:
            line.append(f"--{flag}")
        elif value is False:
            line.append(f"--no-{flag}")
        elif isinstance(value, Sequence) and not isinstance(value, str):
            line += [f"--{flag}", *map(_written, value)]
        else:
            line += [f"--{flag}", _written(value)]
    return line


def _written(value: object) -> str:
    return json.dumps(value, default=str) if isinstance(value, Mapping) else str(value)

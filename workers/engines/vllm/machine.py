"""What this machine has for a server: GPUs, instructions, ports."""

from __future__ import annotations

import os
import socket
from pathlib import Path


def visible_gpus() -> tuple[str, ...]:
    """The GPUs that a server may use: those in CUDA_VISIBLE_DEVICES, or all that the driver shows."""
    visible = os.environ.get("CUDA_VISIBLE_DEVICES")
    if visible is not None:
        return tuple(part.strip() for part in visible.split(",") if part.strip() not in ("", "-1"))
    nodes = (path.name.removeprefix("nvidia") for path in Path("/dev").glob("nvidia[0-9]*"))
    return tuple(sorted(nodes, key=int))


def cpu_has(*flags: str) -> bool:
    """Whether the CPU has one of these instruction sets; True if that cannot be seen."""
    try:
        text = Path("/proc/cpuinfo").read_text()
    except OSError:
        return True
    line = next((line for line in text.splitlines() if line.startswith(("flags", "Features"))), "")
    return any(flag in line.split() for flag in flags)


def free_port() -> int:
    """A port of this machine that nothing listens on now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def is_free(port: int) -> bool:
    """Whether a server could listen on ``port`` now."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True

"""The process in which llama.cpp's server runs; ``server.py`` starts it as a script of its own.

It is not a thread because the binding holds the interpreter lock while a model loads, which would stop the
event loop for seconds, and because llama.cpp ends its process on an internal error. It reads one line of JSON
with its configuration from standard input, writes one line with ``address`` or ``error`` to standard output,
and lives until standard input closes, so it cannot survive its parent.
"""

import contextlib
import json
import os
import sys


def main() -> None:
    """Serve the model that standard input describes until standard input ends."""
    config = json.loads(sys.stdin.readline())
    # Nobody reads what the library writes to standard output: once the pipe was full, it would hang.
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
    try:
        import xllamacpp

        params = xllamacpp.CommonParams()
        params.model.path = config["model"]
        params.n_parallel = config["slots"]
        params.n_ctx = config["slots"] * config["context"]
        params.n_batch = params.n_ubatch = config["batch"]
        params.n_threads_http = config["slots"] + 8  # an open stream holds a thread
        if config["threads"]:
            params.cpuparams.n_threads = params.cpuparams_batch.n_threads = config["threads"]
        params.api_keys = [config["key"]]
        params.cors_origins = ""
        params.port = 0
        params.ui = False
        params.sse_ping_interval = -1  # silence must stay visible to the client
        params.verbosity = config["verbosity"]
        # The caller saves and restores prefixes itself. That needs a cache for each slot, and nothing that
        # swaps the contents of slots behind its back.
        params.kv_unified = False
        params.cache_ram_mib = 0
        params.cache_idle_slots = False
        params.endpoint_slots = True
        params.slot_save_path = config["directory"]
        server = xllamacpp.Server(params)
        answer = {"address": server.listening_address}
    except Exception as error:  # whatever it is, the parent has to be told
        answer = {"error": f"{type(error).__name__}: {error}"}
    answers.write(json.dumps(answer) + "\n")
    answers.close()
    with contextlib.suppress(OSError):
        sys.stdin.read()
    os._exit(0)  # the threads of the server are not worth waiting for


if __name__ == "__main__":
    main()

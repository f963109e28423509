"""The SDK: ask from a script, a notebook or an async program, here or at a service elsewhere.

May import ``remote``, ``opening`` and the rooms beneath them.
"""

from orchestrator.client.asynchronous import AsyncClient as AsyncClient
from orchestrator.client.blocking import Client as Client
from orchestrator.client.default import asolve as asolve
from orchestrator.client.default import solve as solve
from orchestrator.client.default import stream as stream
from orchestrator.client.plan import SolveOptions as SolveOptions

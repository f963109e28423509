"""``python -m workers.engines.simulator``: simulators behind vLLM's HTTP interface."""

from workers.engines.simulator.server import main

main()

"""``python -m workers.engines.simulator``: simulators behind vLLM's HTTP interface."""

from workers.engines.simulator.command import main

if __name__ == "__main__":
    main()

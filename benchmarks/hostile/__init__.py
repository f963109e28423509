"""Real processes among hostile planners, tools, engines and rows: `python -m benchmarks.chaos --hostile`."""

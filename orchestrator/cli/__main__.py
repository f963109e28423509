"""``python -m orchestrator.cli``: the command line, for when ``anabranch`` is not on the PATH."""

from orchestrator.cli.app import main

main()

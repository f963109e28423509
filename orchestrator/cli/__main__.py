"""``python -m orchestrator.cli``: the command line, where no ``anabranch`` is on the PATH."""

from orchestrator.cli.app import main

main()

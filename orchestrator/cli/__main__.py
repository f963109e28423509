"""``python -m orchestrator.cli``: the command line, for when ``anabranch`` is not on the PATH."""

from orchestrator.cli.app import main

if __name__ == "__main__":
    main()

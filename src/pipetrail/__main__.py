"""``python -m pipetrail``: the command line."""

from pipetrail.cli.main import main

if __name__ == "__main__":
    main()

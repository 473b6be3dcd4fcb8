"""Where the `flux` command begins, by its script and by `python -m flux`.

Nothing is imported before somebody may press Ctrl-C: to import the commands takes some 50 ms.
"""

import sys


def main() -> None:
    """Run the command line and exit with an `ExitCode`."""
    try:
        from flux.cli import invoke

        code = invoke()
    except KeyboardInterrupt:
        code = 130  # ExitCode.INTERRUPTED, which may not be there yet
    sys.exit(code)


if __name__ == "__main__":
    main()

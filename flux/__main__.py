"""Where the `flux` command begins, by its script and by `python -m flux`.

Nothing is imported before somebody may press Ctrl-C: to import the commands takes some 50 ms.
"""

import sys


def main() -> None:
    """Run the command line and exit with an `ExitCode`."""
    sys.unraisablehook = _end_or_tell
    try:
        from flux.cli import invoke

        code = invoke()
        _ignore_interrupts()
    except KeyboardInterrupt:
        code = 130  # ExitCode.INTERRUPTED, which may not be there yet
    sys.exit(code)


def _end_or_tell(unraisable: "sys.UnraisableHookArgs") -> None:
    """A Ctrl-C that comes while something is collected would be shown, and then forgotten."""
    if unraisable.exc_type is KeyboardInterrupt:
        import os

        os.write(2, b"interrupted\n")
        os._exit(130)
    sys.__unraisablehook__(unraisable)


def _ignore_interrupts() -> None:
    """All is done and said: what is left is to clear up, which must not end in a traceback."""
    import signal

    signal.signal(signal.SIGINT, signal.SIG_IGN)


if __name__ == "__main__":
    main()

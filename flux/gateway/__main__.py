"""`python -m flux.gateway`: the gateway without the rest of flux, as a run starts it."""

import sys

from flux.errors import FluxError
from flux.gateway.command import gateway


def main() -> None:
    try:
        gateway(prog_name="python -m flux.gateway")
    except FluxError as error:
        sys.stderr.write(f"Error: {error}\n")
        sys.exit(error.exit_code)


if __name__ == "__main__":
    main()

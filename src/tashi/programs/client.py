"""tashi-client: what users do with their instances, from the command line.

Composition only: finds the settings, the terminal and the way to the cluster manager for the rows
of `tashi.client.commands`. Everything is imported inside `main`, so that whoever interrupts the
start sees no traceback either.
"""

import gc
import sys
from collections.abc import Sequence

INTERRUPTED = 130


def main(argv: Sequence[str] | None = None) -> int:
    """Run tashi-client and return its exit code."""
    gc.disable()  # until everything is loaded: nothing of that is ever given back
    try:
        from tashi.client import commands, parser
        from tashi.programs import frontdoor

        words = "Create, watch and end the virtual machines of a Tashi cluster."
        front = parser.Front("tashi-client", words, commands.COMMANDS)
        return frontdoor.enter(front, sys.argv[1:] if argv is None else argv)
    except KeyboardInterrupt:
        return INTERRUPTED


if __name__ == "__main__":
    sys.exit(main())

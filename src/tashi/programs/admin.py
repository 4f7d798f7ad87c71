"""tashi-admin: what administrators do with hosts, networks, users and configuration files.

Composition only, as in `client`, for the rows of `tashi.client.admin`.
"""

import gc
import os
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tashi.client.admin import Findings

INTERRUPTED = 130


def main(argv: Sequence[str] | None = None) -> int:
    """Run tashi-admin and return its exit code."""
    gc.disable()  # until everything is loaded: nothing of that is ever given back
    try:
        from tashi.client import admin, parser
        from tashi.programs import frontdoor

        words = "Look after the hosts, networks and users of a Tashi cluster."
        front = parser.Front("tashi-admin", words, admin.commands(_check))
        return frontdoor.enter(front, sys.argv[1:] if argv is None else argv)
    except KeyboardInterrupt:
        return INTERRUPTED


def _check() -> "Findings":
    from tashi.settings import load

    found = load.check(os.environ)
    return [str(mistake) for mistake in found.mistakes], found.warnings


if __name__ == "__main__":
    sys.exit(main())

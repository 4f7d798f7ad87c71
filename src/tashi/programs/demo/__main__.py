"""`make demo` and `make demo-cluster`, and their ends: each step is said, and how long it took.

A second `up` finds what runs and changes nothing. `down` removes what is there, also after a
failed `up` or after parts of the demo were killed.
"""

import argparse
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from tashi.domain.errors import TashiError
from tashi.programs.daemon import DONE, FAILED, exit_code
from tashi.programs.demo import many_hosts, one_host
from tashi.programs.demo.many_hosts import ManyPlace
from tashi.programs.demo.place import Place
from tashi.settings.search import FOLDERS_VARIABLE

INTERRUPTED: Final = 130
_WORDS: Final = "A whole cluster on this machine, of one host or of several pretended ones."


def main(argv: Sequence[str] | None = None) -> int:
    """Bring a demo up or down; returns the exit code."""
    parser = argparse.ArgumentParser(prog="demo", description=_WORDS)
    parser.add_argument("what", choices=("up", "down"), help="make it, or remove it")
    parser.add_argument("--many-hosts", action="store_true", help="the demo of several hosts")
    parser.add_argument("--checkout", type=Path, default=Path.cwd(), help=argparse.SUPPRESS)
    asked = parser.parse_args(argv)
    checkout = asked.checkout.resolve()
    place = ManyPlace(checkout) if asked.many_hosts else Place(checkout)
    # The demo's programs read its configuration and no other; by this they are known, too.
    os.environ[FOLDERS_VARIABLE] = str(place.config.parent)
    try:
        _carry_out(asked.what, place)
    except TashiError as error:
        return _failed(error.message, exit_code(error))
    except OSError as error:
        where = f"{error.filename}: " if error.filename else ""
        return _failed(f"{where}{error.strerror}.", FAILED)
    except KeyboardInterrupt:
        return _failed(f"Interrupted; make {place.target}-down removes what there is.", INTERRUPTED)
    return DONE


def _carry_out(what: str, place: Place) -> None:
    if isinstance(place, ManyPlace):
        many_hosts.up(place) if what == "up" else many_hosts.down(place)
    else:
        one_host.up(place) if what == "up" else one_host.down(place)


def _failed(words: str, code: int) -> int:
    print(f"\ndemo: {words}", file=sys.stderr)
    return code


if __name__ == "__main__":
    sys.exit(main())

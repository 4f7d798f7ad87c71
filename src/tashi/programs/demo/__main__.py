"""`make demo` and `make demo-down`: each step is said, and how long it took.

A second `up` finds what runs and changes nothing. `down` removes what is there, also after a
failed `up` or after parts of the demo were killed.
"""

import argparse
import os
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Final

from tashi.adapters.system.commands import SystemCommands
from tashi.domain.errors import TashiError
from tashi.programs.daemon import DONE, FAILED, exit_code
from tashi.programs.demo.cluster import NAME, Cluster, is_listening
from tashi.programs.demo.daemons import DAEMONS, Daemons, program
from tashi.programs.demo.place import IMAGE, Place
from tashi.settings.search import FOLDERS_VARIABLE

INTERRUPTED: Final = 130
_TABLES: Final = (("getHosts",), ("getInstances", "--show-nics"))
_NEXT: Final = f"""\
Try next:
    bin/tashi-client createVm --name web --disks {IMAGE} --wait
    bin/tashi-client getConsole --instance {NAME} --follow
    bin/tashi-client why --instance {NAME}
    bin/tashi-client getInstances --output json
    bin/tashi-client --examples
    make demo-down
"""


def main(argv: Sequence[str] | None = None) -> int:
    """Bring the demo up or down; returns the exit code."""
    parser = argparse.ArgumentParser(prog="demo", description="A whole cluster on this machine.")
    parser.add_argument("what", choices=("up", "down"), help="make it, or remove it")
    parser.add_argument("--checkout", type=Path, default=Path.cwd(), help=argparse.SUPPRESS)
    asked = parser.parse_args(argv)
    place = Place(asked.checkout.resolve())
    # The demo's programs read its configuration and no other; by this they are known, too.
    os.environ[FOLDERS_VARIABLE] = str(place.config.parent)
    try:
        up(place) if asked.what == "up" else down(place)
    except TashiError as error:
        return _failed(error.message, exit_code(error))
    except OSError as error:
        where = f"{error.filename}: " if error.filename else ""
        return _failed(f"{where}{error.strerror}.", FAILED)
    except KeyboardInterrupt:
        return _failed("Interrupted; make demo-down removes what there is.", INTERRUPTED)
    return DONE


def up(place: Place) -> None:
    """Make the cluster, boot the guest, and show both."""
    commands = SystemCommands()
    with _step("Preparing the folder .demo"):
        place.prepare()
    with _step(f"Starting {', '.join(DAEMONS)}, each kept alive by nmd"):
        Daemons(place, commands).start()
    with closing(Cluster(place.manager_port())) as cluster:
        with _step("Waiting for the host to register"):
            cluster.wait_for_host()
        with _step(f"Starting the instance '{NAME}'"):
            instance = cluster.start_instance()
        with _step("Waiting for its guest to boot (about ten seconds where it is emulated)"):
            lines = cluster.boot_lines(instance)
        with _step("Asking it over HTTP"):
            address, answer = cluster.web_page()
    _show("The guest's console", lines)
    _show(f"{address} answers", answer.splitlines())
    for table in _TABLES:
        print(commands.run([program("tashi-client"), *table], timeout_seconds=30.0))
    if not place.is_found_by_clients():
        print("etc/Tashi.cfg was there already and is left alone. To talk to the demo:")
        print(f"    export {FOLDERS_VARIABLE}={place.config.parent}\n")
    print(_NEXT)


def down(place: Place) -> None:
    """End every guest and daemon, and remove the folder."""
    place.check_owner()
    if place.config.exists() and is_listening(place.manager_port()):
        with _step("Destroying the demo's instances"):
            _destroy_all(place)
    with _step("Stopping the daemons"):
        for trouble in Daemons(place, SystemCommands()).stop():
            print(f"\n    {trouble}", end=" ")
    place.remove()
    print("Nothing of the demo is left.")


def _destroy_all(place: Place) -> None:
    try:
        with closing(Cluster(place.manager_port())) as cluster:
            cluster.destroy_all()
    except TashiError as error:  # what is not ended in peace is killed with the daemons
        print(f"\n    {error.message}", end=" ")


def _show(words: str, lines: Sequence[str]) -> None:
    print(f"\n{words}:")
    print("".join(f"    {line}\n" for line in lines), end="")


@contextmanager
def _step(words: str) -> Iterator[None]:
    print(f"  {words} ... ", end="", flush=True)
    begun = time.monotonic()
    yield
    print(f"done ({time.monotonic() - begun:.1f} s)", flush=True)


def _failed(words: str, code: int) -> int:
    print(f"\ndemo: {words}", file=sys.stderr)
    return code


if __name__ == "__main__":
    sys.exit(main())

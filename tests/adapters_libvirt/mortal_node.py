"""A node manager's part in what is done with guest 7, as a process that stops at a step for good.

Run as a program: FOLDER URI STEP send|save|restore|receive [WHAT]. It says the step on its standard
output when it is there, and is to be killed. Who receives is the neighbour, and says its door.
"""

import sys
import threading
from pathlib import Path
from typing import NamedTuple

from adapters_libvirt.pairs import AGAIN, BUSY, PATIENT, SEVEN
from contracts.libvirt_machines import LibvirtMachine
from contracts.machines import PEER
from tashi.adapters.hypervisor.libvirt import channel

NEVER = 10_000
"""So often is a libvirtd asked whether it is there before it counts as gone."""


class Elsewhere(NamedTuple):
    """A libvirtd that another process looks after."""

    uri: str


def say(words: str) -> None:
    sys.stdout.write(words + "\n")
    sys.stdout.flush()


def main(folder: str, uri: str, last_step: str, how: str, what: str = "") -> None:
    """Do that with the guest on the machine in that folder."""

    def on_step(step: str) -> None:
        if step == last_step:
            say(step)
            threading.Event().wait()

    channel._PROBES = NEVER  # type: ignore[misc]  # for this process only
    machine = LibvirtMachine(Path(folder), 1 if how == "receive" else 0)
    machine.daemons = [Elsewhere(uri)] * 2  # type: ignore[list-item]
    opened = machine.open(on_step=on_step, **PATIENT)
    opened.adopt()
    match how:
        case "send":
            opened.send(SEVEN, what)
        case "save":
            opened.save(SEVEN, what)
        case "restore":
            opened.restore(AGAIN, what)
        case _:
            say(opened.prepare_target(BUSY, PEER))
            threading.Event().wait()


if __name__ == "__main__":
    main(*sys.argv[1:])

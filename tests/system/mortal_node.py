"""A process that starts a guest and kills itself, with the signal nothing can catch, on the way.

Run as a program: FOLDER STEP start|restore|save|send|receive|run [DOOR]. Saving takes so long that
it is killed meanwhile. Who receives or runs is the neighbour; DOOR is where it can be reached.
"""

import os
import signal
import sys
from pathlib import Path

from contracts.machines import PEER, QemuMachine, a_spec
from tashi.domain.identity import InstanceId

SAVED = "7-1"


def main(folder: str, last_step: str, how: str, door: str = "") -> None:
    """Do that with instance 7 on the machine in that folder; end at the step."""

    def on_step(step: str) -> None:
        if step == last_step:
            os.kill(os.getpid(), signal.SIGKILL)

    machine = QemuMachine(Path(folder), 1 if how in {"receive", "run"} else 0)
    qemu = machine.open(on_step=on_step, suspend_handler=("sleep", "3"))
    match how:
        case "restore":
            qemu.restore(a_spec(keep_disks=True), SAVED)
        case "receive":
            sys.stdout.write(qemu.prepare_target(a_spec(), PEER) + "\n")
            sys.stdout.flush()
            signal.pause()
        case "run":
            qemu.adopt()
            qemu.run(InstanceId(7))
        case _:
            qemu.start(a_spec())
    if how == "save":
        qemu.save(InstanceId(7), SAVED)
    if how == "send":
        qemu.send(InstanceId(7), door)


if __name__ == "__main__":
    main(*sys.argv[1:])

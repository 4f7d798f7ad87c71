"""Machines with a hypervisor, each with its way of letting something befall a guest.

A machine outlives the hypervisors that are opened on it: opening another one is the restart of a
node manager. A new kind of hypervisor adds its machine here, and the port's suite runs over it.
"""

import json
import os
import queue
import select
import shutil
import signal
import socket
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final, Protocol, Self

import msgspec

import boot_sectors
from tashi.adapters.hypervisor.qemu.hypervisor import Qemu
from tashi.adapters.hypervisor.qemu.launch import Steps
from tashi.adapters.hypervisor.qemu.moves import Door, read_door, write_door
from tashi.adapters.hypervisor.qemu.record import decode
from tashi.adapters.hypervisor.qemu.road import Road
from tashi.adapters.hypervisor.simulated import Ether, SimulatedHypervisor
from tashi.adapters.network.user import UserNetworks
from tashi.adapters.system.commands import SystemCommands
from tashi.domain.identity import Attempt, InstanceId, Mib, NetworkId, VmId
from tashi.domain.instance import Disk, Nic
from tashi.ports.hypervisor import GuestSpec, Hypervisor, News, Running
from tashi.ports.network import Networks
from tashi.settings.sections.qemu import QemuSettings

NEWS_SECONDS: Final = 60.0
PEER: Final = "127.0.0.1"
"""Where guests come from when they move."""
IDLE: Final = "idle.img"
POWERS_OFF: Final = "off.img"
SPEAKS: Final = "speaks.img"
WORDS: Final = "All is well.\n"
A_NIC: Final = Nic(NetworkId(1), "52:54:00:12:34:56")


def a_spec(key: int = 7, image: str = IDLE, **different: object) -> GuestSpec:
    """A small guest."""
    plain: dict[str, object] = {
        "instance_id": InstanceId(key),
        "attempt": Attempt(1),
        "name": f"guest{key}",
        "cores": 1,
        "memory": Mib(32),
        "disks": (Disk(image),),
        "nics": (A_NIC,),
    }
    return GuestSpec(**{**plain, **different})  # type: ignore[arg-type]


class Heard:
    """A listener that keeps what it is told."""

    def __init__(self) -> None:
        self._news: queue.SimpleQueue[News] = queue.SimpleQueue()

    def __call__(self, news: News) -> None:
        self._news.put(news)

    def next(self) -> News:
        """The next piece of news, as soon as it is there."""
        return self._news.get(timeout=NEWS_SECONDS)

    @property
    def nothing(self) -> bool:
        """Whether there is none by now."""
        return self._news.empty()


class Machine(Protocol):
    """A machine and what can happen to the guests on it."""

    def open(self) -> Hypervisor:
        """A hypervisor, as a node manager that starts would make it."""
        ...

    def crash(self, guest: Running) -> None:
        """End the guest's process, and return when it is gone."""
        ...

    def power_off(self, guest: InstanceId) -> None:
        """Let a guest that was started from POWERS_OFF do so."""
        ...

    def freeze(self, guest: InstanceId) -> None:
        """Stop the vCPUs behind the hypervisor's back."""
        ...

    def thaw(self, guest: InstanceId) -> None:
        """Let the vCPUs run behind the hypervisor's back."""
        ...

    def unheard(self, incoming: str) -> str:
        """The same door for a source whose word, that its guest has left, will be lost."""
        ...

    def neighbour(self) -> Self:
        """Another machine that sees the same images."""
        ...

    def close(self) -> None:
        """Remove the machine with all that is on it."""
        ...


class SimulatedMachine:
    """The table of a simulated hypervisor."""

    def __init__(self, ether: Ether | None = None) -> None:
        self._ether = Ether() if ether is None else ether
        self._hypervisor = SimulatedHypervisor(f"machine{len(self._ether)}", self._ether)

    def open(self) -> Hypervisor:
        """The same table again."""
        return self._hypervisor

    def crash(self, guest: Running) -> None:
        """By its entry."""
        found = self._hypervisor.adopt()
        [key] = [one.instance_id for one in found if one.running == guest]
        self._hypervisor.crash(key)

    def power_off(self, guest: InstanceId) -> None:
        """At once."""
        self._hypervisor.power_off(guest)

    def freeze(self, guest: InstanceId) -> None:
        """With words of its own."""
        self._hypervisor.freeze(guest, "Somebody stopped it.")

    def thaw(self, guest: InstanceId) -> None:
        """Just so."""
        self._hypervisor.thaw(guest)

    def unheard(self, incoming: str) -> str:
        """By an ether that carries no words."""
        self._ether.mute = True
        return incoming

    def neighbour(self) -> Self:
        """In the same ether."""
        return type(self)(self._ether)

    def close(self) -> None:
        """Nothing to remove."""


class QemuMachine:
    """Folders of a node that runs QEMU, made by `made` or found by their name."""

    def __init__(self, folder: Path, number: int = 0) -> None:
        self.folder = folder
        self.number = number
        self.info = folder / f"info{number or ''}"
        self.scratch = folder / f"scratch{number or ''}"
        self.images = folder / "images"
        self.suspended = folder / "suspend"

    @classmethod
    def made(cls, verdict: Path | None = None) -> Self:
        """New folders; `verdict` spares the node finding out what QEMU can do here."""
        # Short, because the names of sockets are limited.
        machine = cls(Path(tempfile.mkdtemp(prefix="tashi-")))
        for folder in (machine.info, machine.images, machine.suspended):
            folder.mkdir(mode=0o700)
        if verdict is not None:
            shutil.copy(verdict, machine.info)
        boot_sectors.idle(machine.images / IDLE)
        boot_sectors.power_off(machine.images / POWERS_OFF)
        boot_sectors.speak(machine.images / SPEAKS, WORDS)
        return machine

    def settings(self, **different: object) -> QemuSettings:
        """The settings of its node."""
        plain: dict[str, object] = {
            "accel": "tcg",
            "info_dir": self.info,
            "scratch_dir": self.scratch,
            "monitor_timeout": 20.0,
            "migrate_timeout": 30.0,
        }
        return QemuSettings(**{**plain, **different})  # type: ignore[arg-type]

    def open(
        self,
        networks: Networks | None = None,
        on_step: Steps = lambda _: None,
        road: Road = Road(),  # noqa: B008  # it never changes
        **different: object,
    ) -> Qemu:
        """A hypervisor with settings like these."""
        return Qemu(
            self.settings(**different),
            self.folder,
            networks or UserNetworks((80,)),
            SystemCommands(),
            on_step,
            road=road,
        )

    def crash(self, guest: Running) -> None:
        """By the signal that nothing can catch."""
        with watched(guest.vm_id) as process:
            signal.pidfd_send_signal(process, signal.SIGKILL)
            assert select.select([process], [], [], NEWS_SECONDS)[0]

    def power_off(self, guest: InstanceId) -> None:
        """Its boot sector does it; wait for that where nobody else looks."""

    def freeze(self, guest: InstanceId) -> None:
        """Through the monitor for people."""
        self.human(guest, "stop")

    def thaw(self, guest: InstanceId) -> None:
        """Through the monitor for people."""
        self.human(guest, "cont")

    def take_out(self, guest: InstanceId, device: str) -> None:
        """Ask for a device back behind the hypervisor's back."""
        self.human(guest, "device_del", id=device)

    def door_of(self, guest: InstanceId) -> Door:
        """Where a guest is waited for."""
        record = decode((self.info / str(guest) / "record.json").read_bytes())
        assert record is not None
        return read_door(record.incoming)

    def unheard(self, incoming: str) -> str:
        """By a door that takes no pledge, as far as the source knows."""
        return write_door(msgspec.structs.replace(read_door(incoming), pledge=""))

    def outdated(self, incoming: str) -> str:
        """A door of the past, at the place where that one is now."""
        door = read_door(incoming)
        key, pledge = "0" * len(door.key), "0" * len(door.pledge)
        return write_door(msgspec.structs.replace(door, key=key, pledge=pledge))

    def see(self, folder: Path) -> None:
        """Have guests see what is mounted at that folder, as they do."""

    def human(
        self, guest: InstanceId, *commands: str, until: str = "", **arguments: int | str
    ) -> None:
        """Give QEMU commands as a person would, the last with arguments; then wait for an event."""
        with socket.socket(socket.AF_UNIX) as line, line.makefile("rw") as stream:
            line.settimeout(NEWS_SECONDS)
            line.connect(str(self.info / str(guest) / "human.sock"))
            stream.readline()
            for command in ("qmp_capabilities", *commands):
                asked: dict[str, object] = {"execute": command}
                if command == commands[-1]:
                    asked["arguments"] = arguments
                stream.write(json.dumps(asked) + "\n")
                stream.flush()
                while "return" not in (said := json.loads(stream.readline())):
                    until = "" if said.get("event") == until else until
            while until and json.loads(stream.readline()).get("event") != until:
                pass

    def qemus(self) -> list[VmId]:
        """Every QEMU of this machine, by looking at all processes."""
        found = []
        for entry in Path("/proc").iterdir():
            if entry.name.isdigit():
                try:
                    words = (entry / "cmdline").read_bytes()
                except OSError:
                    continue
                if b"-pidfile\0%b/" % bytes(self.info) in words:
                    found.append(VmId(int(entry.name)))
        return found

    def leftovers(self) -> list[str]:
        """What guests have left in its folders."""
        kept = [path for path in self.info.iterdir() if path.suffix != ".json"]
        kept += self.scratch.glob("*/*")
        kept += self.suspended.iterdir()
        return sorted(str(path.relative_to(self.folder)) for path in kept)

    def neighbour(self) -> Self:
        """With folders of its own beside this one's."""
        other = type(self)(self.folder, self.number + 1)
        other.info.mkdir(mode=0o700)
        verdict = self.info / "accelerator.json"
        if verdict.exists():
            shutil.copy(verdict, other.info)
        return other

    def close(self) -> None:
        """Kill every QEMU and remove the folders."""
        for vm_id in self.qemus():
            self.crash(Running(vm_id, ()))
        reap_children()
        for folder in (self.info, self.scratch) if self.number else (self.folder,):
            if folder.exists():
                shutil.rmtree(folder)


def found_verdict(keep_in: Path) -> Path:
    """What QEMU can do on this machine, found out once for many tests."""
    machine = QemuMachine.made()
    try:
        machine.open().close()
        kept = machine.info / "accelerator.json"
        return Path(shutil.copy(kept, keep_in))
    finally:
        machine.close()


@contextmanager
def watched(vm_id: VmId) -> Iterator[int]:
    """The process, held so that its number can mean no other."""
    process = os.pidfd_open(vm_id)
    try:
        yield process
    finally:
        os.close(process)


def reap_children() -> None:
    """Wait for children that have ended or are about to; in a node manager the hypervisor does."""
    for folder in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            parent = (folder / "stat").read_text().rpartition(")")[2].split()[1]
            if int(parent) == os.getpid() and not (folder / "cmdline").read_bytes():
                os.waitpid(int(folder.name), 0)
    try:
        while os.waitpid(-1, os.WNOHANG) != (0, 0):
            pass
    except ChildProcessError:
        return

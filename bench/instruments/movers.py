"""Two ways to move the same guest between two hosts: through Tashi, and by hand over QMP.

Both have a guest of their own, with the command line that Tashi wrote, on the same hosts and VLAN.
By hand means what an admin's script does: it waits for QEMU's events and asks for nothing twice.
Its move begins with the target's TAP and ends when the guest runs there. A careful hand has an
emulated guest's memory sent once to the end before the guest stops, or a store may be lost (see
doc/decisions/0031-an-emulated-guest-is-gone-through-once.md); a hasty one lets QEMU choose.
"""

import json
import re
import select
import socket
import subprocess
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, Protocol

from instruments.starters import make_overlay
from tashi.adapters.hypervisor.qemu.moves import may_stand
from tashi.adapters.hypervisor.qemu.record import decode
from tashi.domain.states import InstanceState
from tashi.programs.demo.machines.lab import Machine
from tashi.wire.calls import Calls
from tashi.wire.forms import EventsForm, HostForm, InstanceForm

PATIENCE_SECONDS: Final = 120.0
BRIDGE: Final = "vmbr.999"
_NBD_PORT: Final = 10809


class Mover(Protocol):
    """A guest that can be moved, and how."""

    @property
    def name(self) -> str:
        """What the way is called."""
        ...

    def move(self) -> float:
        """Move it to the other host; how many seconds that took."""
        ...


# -- through Tashi


@dataclass(slots=True)
class ThroughTashi:
    """`migrateVm`, until the books say that it runs on the other host."""

    calls: Calls
    instance: int
    name: str = "Tashi"

    def move(self) -> float:
        """Ask for it, and follow the instance's events, as the client does that waits."""
        here = self._record().host_id
        hosts = self.calls.call("getHosts", tuple[HostForm, ...])
        there = next(host.id for host in hosts if host.id != here)
        following = self.calls.call("watch", EventsForm).next
        began = time.monotonic()
        record = self.calls.call(
            "migrateVm", InstanceForm, instance_id=self.instance, host_id=there
        )
        while not _has_arrived(record, there):
            if time.monotonic() > began + PATIENCE_SECONDS:
                raise SystemExit(f"The instance was not moved: {record.reason}")
            events = self.calls.call(
                "watch", EventsForm, since=following, timeout=5.0, instance_id=self.instance
            )
            following = events.next
            record = next((one.instance for one in events.events[::-1] if one.instance), record)
        return time.monotonic() - began

    def _record(self) -> InstanceForm:
        found = self.calls.call("getInstances", tuple[InstanceForm, ...])
        return next(one for one in found if one.id == self.instance)


def _has_arrived(record: InstanceForm, there: int) -> bool:
    if record.state is InstanceState.RUNNING and record.host_id != there:
        raise SystemExit(f"The instance was not moved: {record.reason}")
    return record.state is InstanceState.RUNNING


# -- by hand


class Monitor:
    """QMP for scripts: one command at a time; events are kept until they are waited for."""

    def __init__(self, path: Path) -> None:
        until = time.monotonic() + PATIENCE_SECONDS
        self._socket = socket.socket(socket.AF_UNIX)
        while self._socket.connect_ex(str(path)) != 0:
            if time.monotonic() > until:
                raise SystemExit(f"Nobody answers at {path}.")
            time.sleep(0.002)
        self._lines = self._socket.makefile("rw", encoding="utf-8")
        self._events: list[dict[str, Any]] = []
        self._lines.readline()
        self.ask("qmp_capabilities")

    def ask(self, command: str, **arguments: object) -> Any:
        """What the command returns; SystemExit with QEMU's words when it refuses."""
        self._lines.write(json.dumps({"execute": command, "arguments": arguments}) + "\n")
        self._lines.flush()
        while True:
            answer = json.loads(self._lines.readline())
            if "event" in answer:
                self._events.append(answer)
            elif "error" in answer:
                raise SystemExit(f"{command}: {answer['error']['desc']}")
            else:
                return answer["return"]

    def wait_for(self, event: str, **data: object) -> None:
        """Wait for an event with that data; earlier ones are passed over."""
        while True:
            found = self._events.pop(0) if self._events else json.loads(self._lines.readline())
            if found.get("event") == event and data.items() <= found.get("data", {}).items():
                return

    def forget_events(self) -> None:
        """Pass over what has happened so far."""
        self._events.clear()
        while select.select([self._socket], [], [], 0)[0]:
            self.ask("query-status")
            self._events.clear()

    def close(self) -> None:
        """Let go of QEMU."""
        self._lines.close()
        self._socket.close()


@dataclass(slots=True)
class Running:
    """A QEMU that was started by hand on a machine."""

    machine: Machine
    process: "subprocess.Popen[bytes]"
    monitor: Monitor

    def end(self) -> None:
        """Have it quit, and remove its TAP."""
        self.monitor.ask("quit")
        self.process.wait()
        self.monitor.close()


@dataclass(slots=True)
class ByHand:
    """The command line of an instance, with a folder, a MAC and a disk of its own.

    `base` is the image that its overlays are based on; without one its disk is shared. `stand` is
    for how many milliseconds it may stand still; a hasty hand leaves that to QEMU.
    """

    hosts: Sequence[Machine]
    command: Sequence[str]
    folder: Path
    tap: str
    base: Path | None = None
    stand: int | None = None
    _now: Running | None = field(default=None)

    @property
    def name(self) -> str:
        """What the way is called."""
        return "hasty hand" if self.stand is None else "by hand"

    def boot(self) -> Path:
        """Start it on the first host; its console log, as seen from outside."""
        self._now = self._start(self.hosts[0])
        return self._outside(self.hosts[0]) / "console.log"

    def move(self) -> float:
        """Start a target, send the guest there, end the source."""
        source = self._now
        assert source is not None
        there = next(host for host in self.hosts if host is not source.machine)
        source.monitor.forget_events()
        began = time.monotonic()
        target = self._start(there, "-incoming", "defer")
        capabilities = [
            "events",
            "return-path",
            *(["pause-before-switchover"] if self.base else []),
        ]
        _set(source.monitor, capabilities)
        _set(target.monitor, capabilities[:2])
        if self.base:
            self._mirror(source, target)
        target.monitor.ask("migrate-incoming", uri=f"tcp:{there.address}:0")
        [at] = target.monitor.ask("query-migrate")["socket-address"]
        stop = {} if self.stand is None else {"downtime-limit": self.stand}
        source.monitor.ask("migrate-set-parameters", **{"max-bandwidth": 1 << 40, **stop})
        source.monitor.ask("migrate", uri=f"tcp:{there.address}:{at['port']}")
        if self.base:
            source.monitor.wait_for("MIGRATION", status="pre-switchover")
            source.monitor.ask("block-job-cancel", device="mirror")
            source.monitor.wait_for("BLOCK_JOB_COMPLETED", device="mirror")
            source.monitor.ask("migrate-continue", state="pre-switchover")
        source.monitor.wait_for("MIGRATION", status="completed")
        target.monitor.wait_for("RESUME")
        took = time.monotonic() - began
        if self.base:
            target.monitor.ask("nbd-server-stop")
        source.end()
        source.machine.run("ip", "link", "delete", self.tap)
        self._now = target
        return took

    def end(self) -> None:
        """End the guest."""
        if self._now is not None:
            self._now.end()
            self._now = None

    def _mirror(self, source: Running, target: Running) -> None:
        there = target.machine.address
        server = {"type": "inet", "data": {"host": there, "port": str(_NBD_PORT)}}
        target.monitor.ask("nbd-server-start", addr=server)
        target.monitor.ask(
            "block-export-add",
            **{"type": "nbd", "id": "disk0", "node-name": "disk0", "writable": True},
        )
        copy = {"driver": "nbd", "node-name": "copy", "export": "disk0"}
        source.monitor.ask(
            "blockdev-add",
            **copy,
            server={"type": "inet", "host": there, "port": str(_NBD_PORT)},
        )
        source.monitor.ask(
            "blockdev-mirror",
            **{"job-id": "mirror", "device": "disk0", "target": "copy"},
            **{"sync": "top", "copy-mode": "write-blocking"},
        )
        source.monitor.wait_for("BLOCK_JOB_READY", device="mirror")

    def _start(self, machine: Machine, *more: str) -> Running:
        outside = self._outside(machine)
        outside.mkdir(parents=True, exist_ok=True)
        (outside / "human.sock").unlink(missing_ok=True)
        if self.base:
            (outside / "disk.qcow2").unlink(missing_ok=True)
            make_overlay(self.base, outside / "disk.qcow2")
        machine.run("ip", "tuntap", "add", "dev", self.tap, "mode", "tap")
        machine.run("ip", "link", "set", self.tap, "master", BRIDGE, "up")
        process = subprocess.Popen(
            [*machine.inside(), *self.command, *more], stderr=subprocess.DEVNULL
        )
        return Running(machine, process, Monitor(outside / "human.sock"))

    def _outside(self, machine: Machine) -> Path:
        return machine.own / self.folder.name


@dataclass(frozen=True, slots=True)
class Twin:
    """An instance that is to have a twin by hand, called `name`; a machine sees its files in `own`.

    `image` is the instance's image and `copy` the twin's, which is shared if it is not `local`.
    """

    instance: int
    name: str
    own: Path
    image: Path
    copy: Path
    local: bool
    hasty: bool

    def mover(self, hosts: Sequence[Machine], kept: Path) -> ByHand:
        """The twin, which does not run yet; `kept` is what the instance's host keeps of it."""
        record = decode((kept / "record.json").read_bytes())
        assert record is not None
        assert record.hardware is not None
        folder = self.own / self.name
        renamed = {str(self.own / "info" / str(self.instance)): str(folder), **self._disk(folder)}
        command = [self._renamed(word, renamed) for word in record.command if word != "-S"]
        card = command.index("-netdev")
        command[card + 1] = f"tap,id=net0,ifname={self.name},script=no,downscript=no"
        return ByHand(
            hosts,
            command,
            folder,
            self.name,
            self.copy if self.local else None,
            None if self.hasty else may_stand(record.hardware.accel, passes=1),
        )

    def _disk(self, folder: Path) -> dict[str, str]:
        if not self.local:
            return {str(self.image): str(self.copy)}
        return {"OVERLAY": str(folder / "disk.qcow2")}

    def _renamed(self, word: str, renamed: dict[str, str]) -> str:
        word = re.sub(r"(?<=mac=52:54:)..", "78" if self.hasty else "77", word)
        word = re.sub(r"(?<=file\.filename=)[^,]*/scratch/[^,]*", "OVERLAY", word)
        for there, here in renamed.items():
            word = word.replace(there, here)
        return word


def _set(monitor: Monitor, wanted: Sequence[str]) -> None:
    switched = [{"capability": one, "state": True} for one in wanted]
    monitor.ask("migrate-set-capabilities", capabilities=switched)

"""Three ways to start the same guest: by hand, through Tashi, and through libvirt.

A starter makes an overlay of an image and lets a QEMU run on it. Each guest then has a monitor of
its own for whoever measures, and a console log. By hand means QEMU's command line as Tashi wrote it
for such a guest, with other paths, and `cont` as soon as QEMU answers.
"""

import json
import os
import shutil
import socket
import subprocess
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Protocol

from instruments import daemons
from tashi.adapters.hypervisor.qemu.places import Premises
from tashi.adapters.hypervisor.qemu.record import decode
from tashi.adapters.rpyc.peers import Link
from tashi.domain.identity import InstanceId, UserId
from tashi.domain.permissions import Caller, Role
from tashi.wire.calls import Calls, to_cluster_manager
from tashi.wire.forms import DiskForm, HostForm, InstanceForm, NewInstanceForm

TASHI: Final = "Tashi"
TASHI_AND_LIBVIRT: Final = "Tashi + libvirt"
MEMORY_MIB: Final = 128
PATIENCE_SECONDS: Final = 120.0
_CONFIGURATION: Final = """\
[ClusterManager]
data = tashi.clustermanager.data.Pickled

[ClusterManagerService]
port = {manager}

[Client]
clusterManagerPort = {manager}

[NodeManager]
network = user
vmm = tashi.nodemanager.vmcontrol.{vmm}

[Libvirt]
uri = {uri}

[NodeManagerService]
port = {node}
clusterManagerPort = {manager}
registerHost = True

[Pickled]
file = {folder}/books

[Qemu]
infoDir = {folder}/info
scratchDir = {folder}/scratch

[Vfs]
prefix = {prefix}
"""


class Guest(Protocol):
    """A guest that is being started."""

    console: Path

    @property
    def monitor(self) -> Path | None:
        """Where its QEMU greets; None where libvirt keeps the only monitor to itself."""
        ...

    def go(self, monitor: socket.socket) -> None:
        """Do what is left to do once QEMU has greeted over its monitor."""
        ...

    def end(self) -> None:
        """Kill it and remove what was made for it; returns when it is gone."""
        ...


class Starter(Protocol):
    """A way to start guests."""

    name: str

    def start(self, image: Path) -> Guest:
        """Begin to start a guest on an overlay of that qcow2 image."""
        ...


def wait_until(what: str, is_so: Callable[[], bool], pause_seconds: float = 0.005) -> None:
    """Look again and again; SystemExit when it takes far too long."""
    until = time.monotonic() + PATIENCE_SECONDS
    while not is_so():
        if time.monotonic() > until:
            raise SystemExit(f"Waited {PATIENCE_SECONDS:g} s in vain for {what}.")
        time.sleep(pause_seconds)


# -- through Tashi


class ThroughTashi:
    """`createVm`, then the scheduler, the node manager and QEMU do what they do."""

    def __init__(self, folder: Path, prefix: Path, calls: Calls, name: str = TASHI) -> None:
        self.name = name
        self._calls = calls
        self._images = prefix / "images"
        self.premises = Premises(folder / "info", folder / "scratch")

    def start(self, image: Path) -> "InstanceOfTashi":
        """Create an instance; the image is one of the cluster's."""
        disk = DiskForm(str(image.relative_to(self._images)))
        wanted = NewInstanceForm(name="bench", disks=(disk,), memory=MEMORY_MIB)
        instance = self._calls.call("createVm", InstanceForm, instance=wanted)
        return InstanceOfTashi(
            self._calls, self.premises, InstanceId(instance.id), human=self.name == TASHI
        )


class InstanceOfTashi:
    """An instance of the cluster."""

    def __init__(self, calls: Calls, premises: Premises, key: InstanceId, *, human: bool) -> None:
        places = premises.of(key)
        self._calls = calls
        self._folder = places.folder
        self.key = key
        self.monitor = places.human_monitor if human else None
        self.console = places.console_log

    def go(self, monitor: socket.socket) -> None:
        """Nothing: the node manager lets it run."""

    def end(self) -> None:
        """Destroy it."""
        self._calls.call("destroyVm", InstanceForm, instance_id=self.key)
        wait_until("the instance's end", lambda: not self._folder.exists(), 0.02)


@contextmanager
def cluster(folder: Path, prefix: Path, uri: str = "") -> Iterator[ThroughTashi]:
    """Tashi's three daemons on this machine, with one host that is up.

    It runs guests through the libvirt of that URI, if one is given.
    """
    manager, node = daemons.free_port(), daemons.free_port()
    text = _CONFIGURATION.format(
        manager=manager,
        node=node,
        folder=folder,
        prefix=prefix,
        vmm="Libvirt" if uri else "Qemu",
        uri=uri or "qemu:///system",
    )
    (folder / "Tashi.cfg").write_text(text, "utf-8")
    with ExitStack() as stack:
        stack.enter_context(daemons.running("clustermanager", folder, manager))
        stack.enter_context(daemons.running("scheduler", folder))
        stack.enter_context(daemons.running("nodemanager", folder, node))
        me = Caller(Role.USER, UserId(os.getuid()))
        calls = to_cluster_manager(Link(("127.0.0.1", manager)), me)
        wait_until(
            "the host", lambda: any(h.up for h in calls.call("getHosts", tuple[HostForm, ...]))
        )
        yield ThroughTashi(folder, prefix, calls, TASHI_AND_LIBVIRT if uri else TASHI)


# -- by hand


@dataclass(frozen=True, slots=True)
class ByHand:
    """A command line and a folder; `folder` and `disk` stand in the command line."""

    command: Sequence[str]
    folder: Path
    disk: Path
    name = "by hand"

    def start(self, image: Path) -> "QemuByHand":
        """Make the overlay, start QEMU."""
        self.folder.mkdir()
        make_overlay(image, self.disk)
        process = subprocess.Popen(self.command, stderr=subprocess.DEVNULL)
        return QemuByHand(process, self.folder)


class QemuByHand:
    """A child of ours."""

    def __init__(self, process: "subprocess.Popen[bytes]", folder: Path) -> None:
        self._process = process
        self._folder = folder
        self.monitor = folder / "human.sock"
        self.console = folder / "console.log"

    def go(self, monitor: socket.socket) -> None:
        """Let the vCPUs run."""
        for command in ("qmp_capabilities", "cont"):
            monitor.sendall(json.dumps({"execute": command}).encode())

    def end(self) -> None:
        """Kill it."""
        self._process.kill()
        self._process.wait()
        shutil.rmtree(self._folder)


def by_hand_like(tashi: ThroughTashi, instance: InstanceId, folder: Path) -> ByHand:
    """The same command line as that of an instance, with its files in that folder."""
    places = tashi.premises.of(instance)
    record = decode(places.record.read_bytes())
    assert record is not None
    disk = folder / "disk.qcow2"
    moved = {str(places.folder): str(folder), str(tashi.premises.disk(instance, "0")): str(disk)}
    command = record.command
    for there, here in moved.items():
        command = tuple(argument.replace(there, here) for argument in command)
    return ByHand(command, folder, disk)


def make_overlay(image: Path, overlay: Path) -> None:
    """The overlay that Tashi makes for a disk that is not persistent."""
    based_on = ("-b", str(image), "-F", "qcow2")
    subprocess.run(["qemu-img", "create", "-q", "-f", "qcow2", *based_on, str(overlay)], check=True)

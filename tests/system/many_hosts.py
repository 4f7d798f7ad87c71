"""A private cluster of several hosts: each a pretended machine, with its daemons in there.

It is a `Site` like any other, but its node managers run as on real hosts: each has a name, an
address, a disk and an `/etc` of its own, and reaches the others and the image server over a network
that can be cut. The machines are those of `make demo-cluster`; here they go with the process that
runs the tests, whatever becomes of it.
"""

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

from system.sites import Daemon, Shape, Site, write
from tashi.adapters.system.commands import SystemCommands
from tashi.programs.demo.machines.lab import Lab, Machine
from tashi.programs.demo.machines.wiring import VLANS
from tashi.wire.forms import NetworkForm

PORT: Final = 9882


class DaemonThere(Daemon):
    """A program that runs on a pretended machine."""

    def __init__(
        self, machine: Machine, name: str, program: Sequence[str], site: Path, *more: Path
    ) -> None:
        super().__init__(name, program, site / f"{name}.log", site / "etc", *more)
        self.machine = machine

    def start(self, command: Sequence[str] = (), under: Sequence[str] = ()) -> None:
        """Start it there."""
        super().start(command, (*self.machine.inside(), *under))


class ManyHosts(Site):
    """A cluster on pretended machines; its networks are the VLANs 999 and 1001.

    `Shape.memory` and `Shape.cores` are each host's, and its name is its machine's. `start` makes
    the machines. `NODE_MANAGER` is
    the program that their nodes are.
    """

    NODE_MANAGER: tuple[str, ...] = ("-m", "tashi.programs.nodemanager")

    def __init__(self, folder: Path, shape: Shape | None = None) -> None:
        shape = shape or Shape(hosts=3)
        self.lab = Lab(folder, SystemCommands(), hosts=shape.hosts, keeper=os.getpid())
        self.address = self.lab.switch.address
        super().__init__(folder, shape)

    def start(self) -> None:
        """Make the machines, start everything, wait until all hosts are up; name the networks."""
        self.lab.make()
        super().start()
        for vlan in VLANS:
            self.run("admin", "addNetwork", "--id", str(vlan), "--name", f"vlan{vlan}")
        assert {*VLANS} <= {network.id for network in self.networks()}, self.story()

    def end(self) -> list[str]:
        """Stop what runs, end every QEMU, remove the machines; what should not have been there."""
        left = [process for process in super().end() if "dnsmasq" not in process]
        self.lab.remove()
        return left

    def networks(self) -> Sequence[NetworkForm]:
        """Those that instances can be on."""
        return self.calls.call("getNetworks", tuple[NetworkForm, ...])

    def node_on(self, machine: Machine) -> Daemon:
        """The node manager of a host."""
        return self.nodes[self.lab.hosts.index(machine)]

    def machine_of(self, instance: int) -> Machine:
        """The machine that an instance is on."""
        [name] = [
            host.name for host in self.now().hosts if host.id == self.instances()[instance].host_id
        ]
        return next(host for host in self.lab.hosts if host.name == name)

    # ---- making ---------------------------------------------------------------------------------

    def _settings(self) -> dict[str, dict[str, object]]:
        here: dict[str, dict[str, object]] = {
            "Security": {} if self.shape.secure else {"trustedNetworks": self.lab.network},
            "ClusterManagerService": {"host": self.address},
            "Vfs": {"prefix": self.folder / "mnt"},
            "NodeManager": {"network": "script"},
            "NodeManagerService": {
                "clusterManagerHost": self.address,
                "bootIdFile": self.folder / "own/boot-id",
            },
            "Qemu": {
                "infoDir": self.folder / "own/info",
                "scratchDir": self.folder / "own/scratch",
            },
        }
        settings = super()._settings()
        for section, ours in here.items():
            settings[section] = {**settings.get(section, {}), **ours, **self._extra(section)}
        return settings

    def _extra(self, section: str) -> Mapping[str, object]:
        return self.shape.extra.get(section, {})

    def _daemon(self, name: str) -> Daemon:
        program = ("-m", f"tashi.programs.{name}")
        return DaemonThere(self.lab.switch, name, program, self.folder)

    def _node(self, number: int) -> Daemon:
        machine = self.lab.hosts[number - 1]
        write(
            machine.own / "config/NodeManager.cfg",
            {
                "NodeManagerService": {"host": machine.address},
                **self._node_proven(machine.own, machine.name, machine.address),
            },
        )
        return DaemonThere(
            machine,
            f"nodemanager{number}",
            self.NODE_MANAGER,
            self.folder,
            self.folder / "own/config",
        )

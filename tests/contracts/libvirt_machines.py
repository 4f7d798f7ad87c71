"""Machines that run guests through a libvirtd. Needs libvirt's library: `make compiled`."""

import shutil
import threading
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Final, Self

import msgspec

from contracts.machines import NEWS_SECONDS, QemuMachine
from libvirtds import Libvirtd
from system.counting import until
from tashi.adapters.hypervisor.libvirt import door
from tashi.adapters.hypervisor.libvirt.domain_xml import alias, domain_name
from tashi.adapters.hypervisor.libvirt.hypervisor import Libvirt
from tashi.adapters.hypervisor.libvirt.loop import LOOP
from tashi.adapters.hypervisor.libvirt.site import Site
from tashi.adapters.hypervisor.qemu.launch import Steps
from tashi.adapters.hypervisor.qemu.road import Road
from tashi.adapters.network.user import UserNetworks
from tashi.adapters.system.commands import SystemCommands
from tashi.domain.identity import InstanceId
from tashi.ports.hypervisor import Running
from tashi.ports.network import Networks

PATIENT: Final = {"monitor_timeout": 60.0}
"""libvirtd takes long to begin a guest on a busy machine."""
_LOOK_AGAIN_SECONDS: Final = 0.02


def know_the_loop() -> None:
    """Have libvirt's library open what it keeps open for good."""
    LOOP.join()
    LOOP.leave()


class LibvirtMachine(QemuMachine):
    """Folders of a node that runs guests through one of those libvirtds."""

    daemons: Sequence[Libvirtd] = ()
    is_mortal = False
    """Whether its libvirtd is killed with each node manager, and started before the next."""
    _is_opened = False

    @property
    def daemon(self) -> Libvirtd:
        """The libvirtd of this machine."""
        return self.daemons[self.number]

    def open(  # type: ignore[override]  # another hypervisor
        self,
        networks: Networks | None = None,
        on_step: Steps = lambda _: None,
        road: Road = Road(),  # noqa: B008  # it never changes
        **different: object,
    ) -> Libvirt:
        """A hypervisor with settings like these."""
        if self.is_mortal and self._is_opened:
            self.daemon.kill()
            self.daemon.start()
        self._is_opened = True
        return Libvirt(
            Site(self.daemon.uri, self.settings(**{**PATIENT, **different}), self.folder),
            networks or UserNetworks((80,)),
            SystemCommands(),
            on_step=on_step,
        )

    def crash(self, guest: Running) -> None:
        """And return when libvirtd has seen it, too."""
        before = self._ended()
        super().crash(guest)
        deadline = time.monotonic() + NEWS_SECONDS
        while self._ended() == before:
            assert time.monotonic() < deadline, "libvirtd never saw it."
            threading.Event().wait(_LOOK_AGAIN_SECONDS)

    def freeze(self, guest: InstanceId) -> None:
        """By virsh."""
        self.daemon.virsh("suspend", domain_name(guest))

    def thaw(self, guest: InstanceId) -> None:
        """By virsh."""
        self.daemon.virsh("resume", domain_name(guest))

    def take_out(self, guest: InstanceId, device: str) -> None:
        """By virsh; over when libvirtd has heard that it is out, which is later than QEMU."""
        self.daemon.virsh("detach-device-alias", domain_name(guest), alias(device), "--live")
        until(
            lambda: alias(device) not in self.daemon.virsh("dumpxml", domain_name(guest)).stdout,
            lambda: f"{device} is still in.",
        )

    def _ended(self) -> str:
        # A domain that ends is no longer listed as active for a while before its state says so.
        return self.daemon.virsh("list", "--all", "--state-shutoff", "--name").stdout

    def unheard(self, incoming: str) -> str:
        """By a door that takes no word, as far as the source knows."""
        return door.write_door(msgspec.structs.replace(door.read_door(incoming), takes_word=False))

    def outdated(self, incoming: str) -> str:
        """A door of the past, at the place where that one is now."""
        opened = door.read_door(incoming)
        return door.write_door(msgspec.structs.replace(opened, key="0" * door.KEY_BYTES))

    def see(self, folder: Path) -> None:
        """By a libvirtd that begins when it is there, for it keeps its view of the machine."""
        assert folder.is_mount()
        self.daemon.kill()
        self.daemon.start()

    def neighbour(self) -> Self:
        """With the next libvirtd."""
        other = super().neighbour()
        other.daemons, other.is_mortal = self.daemons, self.is_mortal
        return other

    def close(self) -> None:
        """Destroy every domain and remove the folders."""
        self.daemon.clear()
        for folder in (self.info, self.scratch) if self.number else (self.folder,):
            if folder.exists():
                shutil.rmtree(folder)

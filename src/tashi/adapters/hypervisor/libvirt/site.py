"""Where things are on this machine, and what its QEMU can do."""

import dataclasses
import shutil
from dataclasses import dataclass
from pathlib import Path

from msgspec.structs import replace

from tashi.adapters.hypervisor.qemu import accelerator
from tashi.adapters.hypervisor.qemu.disk_store import DiskStore
from tashi.adapters.hypervisor.qemu.disks import Disks
from tashi.adapters.hypervisor.qemu.engine import Known, known_engine
from tashi.adapters.hypervisor.qemu.images import Images
from tashi.adapters.hypervisor.qemu.places import Premises
from tashi.domain.engine import LIBVIRT
from tashi.domain.errors import Misconfigured
from tashi.ports.commands import Commands
from tashi.ports.hypervisor import Follower
from tashi.settings.sections.qemu import QemuSettings


@dataclass(frozen=True, slots=True)
class Site:
    """libvirt by its URI, guests, and the image store; `prefix` holds images/ and suspend/."""

    uri: str
    qemu: QemuSettings
    prefix: Path

    def disks(self, premises: Premises, commands: Commands, tell: Follower) -> Disks:
        """The disks of guests there; `tell` hears how far it is when they are fetched."""
        store = DiskStore(self.prefix / "suspend", commands)
        return Disks(premises, Images(self.prefix / "images"), commands, store, tell)

    def emulator(self) -> str:
        """The path of QEMU, as libvirt wants it; raises Misconfigured."""
        found = shutil.which(self.qemu.qemu_bin)
        if found is None:
            raise Misconfigured(
                f"There is no program {self.qemu.qemu_bin}: install QEMU or set qemuBin in [Qemu]."
            )
        return found

    def known(self, premises: Premises, commands: Commands) -> Known:
        """What QEMU can do here, through libvirt; raises Misconfigured."""
        qemu = self.qemu
        chosen = accelerator.choose(qemu.accel, qemu.qemu_bin, premises.info, commands)
        known = known_engine(qemu.qemu_bin, chosen.name, premises.info, commands)
        return replace(known, engine=dataclasses.replace(known.engine, backend=LIBVIRT))

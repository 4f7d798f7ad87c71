"""A guest's record, in memory and in its folder: one thing that is changed in one place."""

import threading
from collections.abc import Callable
from dataclasses import replace

from tashi.adapters.hypervisor.qemu import devices
from tashi.adapters.hypervisor.qemu.folder import GuestFolder
from tashi.adapters.hypervisor.qemu.recall import Recall
from tashi.adapters.hypervisor.qemu.record import Move, Record
from tashi.domain.identity import InstanceId, VmId
from tashi.domain.instance import with_address
from tashi.ports.hypervisor import Running
from tashi.ports.network import Cards


class Remembered:
    """What a node remembers of a guest that lives."""

    def __init__(self, folder: GuestFolder, record: Record) -> None:
        self.folder = folder
        self.record = record
        self._remembering = threading.Lock()

    @property
    def id(self) -> InstanceId:
        """Whose guest it is."""
        return self.record.spec.instance_id

    @property
    def vm_id(self) -> VmId:
        """Its process; 0 before it has one."""
        return self.record.vm_id or VmId(0)

    @property
    def running(self) -> Running:
        """How others see it."""
        nics = self.record.nics or self.record.spec.nics
        return Running(self.vm_id, nics, self.record.hardware)

    @property
    def cards(self) -> Cards:
        """Its network cards, by their numbers."""
        return devices.cards(self.record.nics or self.record.spec.nics)

    def learn(self, mac: str, ip: str) -> None:
        """Remember the address of the card with that MAC address; raises OSError."""
        self.remember(
            lambda record: replace(
                record, nics=with_address(record.nics or record.spec.nics, mac, ip)
            )
        )

    def remember(self, change: Callable[[Record], Record], *, durably: bool = False) -> None:
        """Change the record, in the folder too; raises OSError, then only memory has it."""
        with self._remembering:
            self.record = change(self.record)
            self.folder.write(self.record, durably=durably)

    def prepare_departure(self) -> None:
        """Have all but one word of `depart` on the disk; raises OSError."""
        with self._remembering:
            self.folder.prepare_departure(self.record)

    def depart(self) -> None:
        """Write down, to outlive a power cut, that it never runs here again; raises OSError."""
        with self._remembering:
            if not self.folder.is_departure_prepared:
                self.folder.prepare_departure(self.record)
            self.folder.depart()
            self.record = replace(self.record, move=Move.LEFT)


class Pluggable(Remembered):
    """A guest whose devices can change, and that takes its time for moves and saves.

    `stirred` is set whenever a device may be out or what takes long may be over, `recalled` says
    whether to give that up.
    """

    def __init__(self, folder: GuestFolder, record: Record) -> None:
        super().__init__(folder, record)
        self.stirred = threading.Event()
        self.recalled = Recall()

    def call_back(self, what: str) -> None:
        """Let a move to that door, or a save under that name, fail, if it is not over."""
        self.recalled.note(what)
        self.stirred.set()

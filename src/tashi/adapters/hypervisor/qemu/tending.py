"""The orders that guests are given in one way, whatever runs them: QEMU alone, or libvirt.

A Hypervisor of either kind is a `Tending` that also knows how guests begin and how they end.
"""

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Generic, Protocol, TypeVar

from tashi.adapters.hypervisor.qemu.caretaker import Caretaker
from tashi.adapters.hypervisor.qemu.departing import Departures
from tashi.adapters.hypervisor.qemu.guests import G, Guests, Watched
from tashi.adapters.hypervisor.qemu.keyboard import type_in
from tashi.adapters.hypervisor.qemu.plugging import Plugging
from tashi.adapters.hypervisor.qemu.record import Move
from tashi.adapters.hypervisor.qemu.saved import SavedMemory
from tashi.adapters.hypervisor.qemu.screen import Screens
from tashi.adapters.hypervisor.qemu.storing import Storing
from tashi.domain.errors import HypervisorFailed
from tashi.domain.identity import InstanceId
from tashi.ports.hypervisor import Follower, GuestSpec, Listener, Running, Screen

G_contra = TypeVar("G_contra", bound=Watched, contravariant=True)


class Saves(Protocol[G_contra]):
    """Writes guests' memory."""

    @property
    def saved(self) -> SavedMemory:
        """Where it is written to."""
        ...

    def save(self, guest: G_contra, name: str) -> None:
        """Write it under that name; the guest then runs no more. Raises UnableToSuspend."""
        ...


class Sends(Protocol[G_contra]):
    """Sends guests to other machines."""

    @property
    def departures(self) -> Departures:
        """Which of them may go."""
        ...

    def send(self, guest: G_contra, incoming: str) -> None:
        """Move the guest to the door that the text names; raises HypervisorFailed."""
        ...


class Receives(Protocol[G_contra]):
    """Receives guests from other machines."""

    def run(self, guest: G_contra) -> None:
        """Let one run that has arrived; raises HypervisorFailed."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Means(Generic[G]):
    """By what the guests of a node are tended."""

    guests: Guests[G]
    memory: Saves[G]
    sending: Sends[G]
    receiving: Receives[G]
    storing: Storing
    plugging: Plugging[G]
    screens: Screens
    caretaker: Caretaker


class Tending(ABC, Generic[G]):
    """What a Hypervisor does with guests that live, or that have left something here."""

    def __init__(self, means: Means[G]) -> None:
        self._guests = means.guests
        self._means = means

    @abstractmethod
    def kill(self, guest: InstanceId) -> None:
        """End the guest."""

    def listen(self, listener: Listener) -> None:
        """Tell the listener from now on."""
        self._guests.listen(listener)

    def follow(self, follower: Follower) -> None:
        """Tell the follower from now on."""
        self._guests.follow(follower)

    def pause(self, guest: InstanceId) -> None:
        """Stop the vCPUs."""
        self._guests.known(guest).pause()

    def unpause(self, guest: InstanceId) -> None:
        """Let the vCPUs run."""
        self._guests.known(guest).unpause()

    def power_down(self, guest: InstanceId) -> None:
        """Press the power button until the guest notices."""
        self._guests.known(guest).power_down()

    def reset(self, guest: InstanceId) -> None:
        """Press the reset button."""
        self._guests.known(guest).reset()

    def alter(self, spec: GuestSpec) -> Running:
        """Plug devices in and out."""
        known = self._guests.known(spec.instance_id)
        self._means.plugging.alter(known, spec)
        return known.running

    def start_vnc(self, guest: InstanceId, password: str, *, on_socket: bool) -> Screen:
        """Show the display."""
        return self._means.screens.show(self._guests.known(guest), password, on_socket=on_socket)

    def stop_vnc(self, guest: InstanceId) -> None:
        """Show the display no more."""
        self._means.screens.hide(self._guests.known(guest))

    def type_in(self, guest: InstanceId, typed: bytes) -> None:
        """Type on the serial console."""
        type_in(self._guests.known(guest).folder.places.console, typed)

    def console(self, guest: InstanceId, offset: int, most: int) -> tuple[bytes, int]:
        """Read the console's log."""
        return self._guests.folder(guest).said(offset, most)

    def save(self, guest: InstanceId, to: str) -> None:
        """Write the guest's memory and end it."""
        known, saved = self._guests.watched.get(guest), self._means.memory.saved
        if known is None and saved.find(to):
            return
        if known is None or known.record.saving != to or not saved.has(to):
            alive = self._guests.known(guest)
            with alive.recalled.of(to):
                self._means.memory.save(alive, to)
        self.kill(guest)

    def send(self, guest: InstanceId, incoming: str) -> None:
        """Move the guest; what is left of it here is to be killed."""
        known = self._guests.known(guest)
        self._means.plugging.settle(known)
        self._means.sending.send(known, incoming)

    def cancel(self, guest: InstanceId, what: str) -> None:
        """Let a send, a save, a store or the start from stored disks fail."""
        self._means.storing.give_up(guest, what)
        if (known := self._guests.watched.get(guest)) is not None:
            self._means.sending.departures.call_back(known, what)

    def run(self, guest: InstanceId) -> Running:
        """Let a guest that has arrived run."""
        known = self._guests.watched.get(guest)
        if known is None or known.record.move is not Move.RECEIVING:
            return self._guests.known(guest).running
        self._means.receiving.run(known)
        return known.running

    def allow(self, guest: InstanceId, mac: str, ip: str) -> None:
        """Remember the address, and hold the card to it."""
        known = self._guests.watched.get(guest)
        if known is None or mac not in {nic.mac for nic in known.running.nics}:
            return
        try:
            known.learn(mac, ip)
        except OSError as error:
            raise HypervisorFailed(
                f"The address {ip} was not kept: {error.strerror or error}."
            ) from error
        cards = {number: nic for number, nic in known.cards.items() if nic.mac == mac}
        self._means.caretaker.allow(guest, cards)

"""A hypervisor that runs nothing: guests are entries in a table.

For clusters of many hosts in one process, and for trying Tashi without QEMU. It keeps the promises
of the port, and what befalls real guests can be made to befall these: they can power themselves
off, crash, freeze, fail to start. The table outlives the node manager that uses it, as QEMU does.
"""

import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from itertools import count

from tashi.adapters.hypervisor.quiet import counters_of
from tashi.adapters.hypervisor.simulated_guest import (
    SimulatedGuest,
    check_free,
    equipped,
    found,
    half_of,
    running_of,
)
from tashi.domain.engine import Engine
from tashi.domain.errors import DisksGone, HypervisorFailed, NoSuchImage, NoSuchVm, UnableToSuspend
from tashi.domain.guest import Ending, start_of
from tashi.domain.identity import InstanceId, VmId
from tashi.domain.instance import Devices, with_address
from tashi.ports.hypervisor import (
    Counters,
    Follower,
    FoundGuest,
    GuestSpec,
    Happening,
    Listener,
    News,
    Opened,
    Others,
    Running,
    Screen,
    unheeded,
)


class Ether(dict[str, "SimulatedHypervisor"]):
    """The simulated machines that can send guests to each other, by name, and their store.

    `saved` and `stored` say how often a guest had written to its disks when they were put there.
    `mute`: the word from a source that its guest has left is lost.
    """

    def __init__(self) -> None:
        super().__init__()
        self.saved: dict[str, int] = {}
        self.stored: dict[str, int] = {}
        self.mute = False
        self.doors = count(1)


class SimulatedHypervisor:
    """Guests in memory; safe to use from several threads. `name` is its place in the `ether`."""

    def __init__(
        self,
        name: str = "here",
        ether: Ether | None = None,
        now: Callable[[], float] = time.monotonic,
    ) -> None:
        self._name = name
        self._ether = Ether() if ether is None else ether
        self._ether[name] = self
        self._now = now
        self._guests: dict[InstanceId, SimulatedGuest] = {}
        self._listener: Listener | None = None
        self._follower: Follower = lambda _key, _progress: None
        self._pids = count(10_000)
        self._called_back: set[tuple[InstanceId, str]] = set()
        self._lock = threading.Lock()
        self.start_fails = ""
        """When not empty, every start fails with these words."""
        self.send_fails = ""
        """When not empty, every send fails with these words."""
        self.alter_fails = ""
        """When not empty, no device is plugged in or out, for this reason."""
        self.store_fails = ""
        """When not empty, no disks are put into the store, for this reason."""
        self.runs_with = Engine(qemu="7.2.0", accel="tcg", machines=("pc-q35-7.2",))
        """What guests are run with."""
        self.met: Callable[[str], object] = lambda _: None
        """Is told where each guest that is to be received comes from."""
        self.ignores_power_button = False
        """Whether guests take no notice of `power_down`."""

    # ---- the port -----------------------------------------------------------------------------

    def others(self) -> Others:
        """Nobody else simulates any here."""
        return Others()

    def listen(self, listener: Listener) -> None:
        """Tell `listener` whatever happens by itself."""
        self._listener = listener

    def follow(self, follower: Follower) -> None:
        """Tell `follower` how far saves and sends are: once, half-way."""
        self._follower = follower

    def engine(self) -> Engine:
        """What it was told to be."""
        return self.runs_with

    def adopt(self) -> Sequence[FoundGuest]:
        """Every guest in the table."""
        with self._lock:
            return [found(key, guest) for key, guest in sorted(self._guests.items())]

    def start(self, spec: GuestSpec) -> Running:
        """Start a guest; its disks are fresh unless it keeps those it left here."""
        with self._lock:
            left = check_free(self._guests.get(spec.instance_id))
            if self.start_fails:
                raise HypervisorFailed(self.start_fails)
            if spec.keep_disks and left is None:
                raise DisksGone(f"The disks of instance {spec.instance_id} are gone.")
            writes = left.writes if left is not None and spec.keep_disks else 0
            # Another process's store is not seen from here; its disks are as good as new.
            return self._run(spec, self._ether.stored.get(spec.stored, writes))

    def pause(self, guest: InstanceId) -> None:
        """Stop the vCPUs."""
        self._change(guest, frozen=True)

    def unpause(self, guest: InstanceId) -> None:
        """Let the vCPUs run."""
        self._change(guest, frozen=False)

    def power_down(self, guest: InstanceId) -> None:
        """Press the power button; the guest obeys at once, unless it ignores it."""
        self._alive(guest)
        if not self.ignores_power_button:
            self.power_off(guest)

    def reset(self, guest: InstanceId) -> None:
        """Begin the console anew, as a machine that is reset does."""
        with self._lock:
            self._guests[guest] = replace(self._alive(guest), console=b"BOOT\n")

    def allow(self, guest: InstanceId, mac: str, ip: str) -> None:
        """Remember the address."""
        with self._lock:
            if (known := self._guests.get(guest)) is not None:
                nics = with_address(known.spec.nics, mac, ip)
                self._guests[guest] = replace(known, spec=replace(known.spec, nics=nics))

    def alter(self, spec: GuestSpec) -> Running:
        """Give a guest other devices."""
        with self._lock:
            alive = self._alive(spec.instance_id)
            if self.alter_fails:
                raise HypervisorFailed(self.alter_fails)
            altered = replace(alive.spec, disks=spec.disks, nics=spec.nics, cdrom=spec.cdrom)
            self._guests[spec.instance_id] = replace(alive, spec=altered)
            return Running(alive.vm_id or VmId(0), spec.nics)

    def start_vnc(self, guest: InstanceId, password: str, *, on_socket: bool) -> Screen:  # noqa: ARG002  the port has it
        """Show nothing, at a place that nobody listens at."""
        self._alive(guest)
        return Screen(socket=f"/{self._name}/{guest}") if on_socket else Screen(self._name, 5900)

    def stop_vnc(self, guest: InstanceId) -> None:
        """Nothing was shown."""
        self._alive(guest)

    def type_in(self, guest: InstanceId, typed: bytes) -> None:
        """Echo what is typed, as a terminal does."""
        with self._lock:
            alive = self._alive(guest)
            self._guests[guest] = replace(alive, console=alive.console + typed)

    def devices(self, guest: InstanceId) -> Devices:
        """What the guest has plugged in."""
        with self._lock:
            spec = self._guests[guest].spec
            return Devices(spec.disks, spec.nics, spec.cdrom)

    def kill(self, guest: InstanceId) -> None:
        """End the guest at once."""
        with self._lock:
            known = self._guests.get(guest)
            if known is not None and known.vm_id is not None:
                self._guests[guest] = replace(known, vm_id=None, how=Ending.KILLED)

    def clear(self, guest: InstanceId) -> None:
        """Keep nothing of the guest."""
        with self._lock:
            known = self._guests.get(guest)
            if known is not None and known.vm_id is not None:
                raise HypervisorFailed(f"Instance {guest} still runs here.")
            self._guests.pop(guest, None)

    def save(self, guest: InstanceId, to: str) -> None:
        """End the guest and keep its memory under that name."""
        with self._lock:
            known = self._guests.get(guest)
            if to in self._ether.saved and (known is None or known.vm_id is None):
                return
            alive = self._alive(guest)
            if to in self._ether.saved:
                raise UnableToSuspend(f"There is saved memory {to!r} already.")
            self._follower(guest, half_of(alive))
            self._ether.saved[to] = alive.writes
            self._guests[guest] = replace(alive, vm_id=None, how=Ending.KILLED)

    def restore(self, spec: GuestSpec, saved: str) -> Running:
        """Start the guest from saved memory, which is used up by that."""
        with self._lock:
            check_free(self._guests.get(spec.instance_id))
            if saved not in self._ether.saved:
                raise NoSuchImage(f"There is no saved memory {saved!r}, or it was used before.")
            return self._run(spec, self._ether.saved.pop(saved))

    def store(self, guest: InstanceId, to: str) -> None:
        """Keep a copy of the disks in the store."""
        with self._lock:
            left = self._guests.get(guest)
            if left is None:
                raise NoSuchVm(f"There is nothing of instance {guest} here.")
            if left.vm_id is not None or self.store_fails:
                raise HypervisorFailed(self.store_fails or f"Instance {guest} still runs here.")
            self._ether.stored[to] = left.writes

    def prepare_target(self, spec: GuestSpec, peer: str, opened: Opened = unheeded) -> str:
        """Make ready to receive a guest; nobody else could send one anyway."""
        self.met(peer)
        with self._lock:
            if self.start_fails:
                raise HypervisorFailed(self.start_fails)
            key, door = spec.instance_id, f"{self._name}/{next(self._ether.doors)}"
            here = equipped(spec, self.runs_with)
            self._guests[key] = SimulatedGuest(here, None, receiving=True, incoming=door)
        opened(door)
        return door

    def send(self, guest: InstanceId, incoming: str) -> None:
        """Move a guest to another simulated machine."""
        target = self._ether[incoming.partition("/")[0]]
        with self._lock:
            alive = self._alive(guest)
            if self.send_fails or (guest, incoming) in self._called_back:
                raise HypervisorFailed(self.send_fails or "It was called back.")
            self._follower(guest, half_of(alive))
            target.receive(guest, alive.writes)
            self._guests[guest] = replace(alive, vm_id=None, left=True)
        if not self._ether.mute:
            target.hear_left(guest, incoming)

    def cancel(self, guest: InstanceId, what: str) -> None:
        """What has begun is over before anybody could cancel it."""
        with self._lock:
            self._called_back.add((guest, what))

    def run(self, guest: InstanceId) -> Running:
        """Let a guest that has arrived run."""
        with self._lock:
            known = self._guests.get(guest)
            if known is not None and known.receiving and known.vm_id is None:
                raise HypervisorFailed("Not all of the guest has arrived.")
            alive = replace(self._alive(guest), frozen=False, receiving=False, incoming="")
            self._guests[guest] = alive
            return running_of(alive.vm_id or VmId(0), alive.spec)

    def counters(self) -> Sequence[Counters]:
        """What such guests would have used by now."""
        now = self._now()
        with self._lock:
            known = [one for _, one in sorted(self._guests.items()) if not one.receiving]
        return [
            counters_of(one.spec, one.vm_id, one.writes, one.since, now)
            for one in known
            if one.vm_id is not None
        ]

    def console(self, guest: InstanceId, offset: int, most: int) -> tuple[bytes, int]:
        """What the guest's console said."""
        with self._lock:
            known = self._guests.get(guest)
            if known is None:
                raise NoSuchVm(f"There is no guest of instance {guest} here.")
            start = start_of(offset, len(known.console))
            piece = known.console[start : start + most]
            return piece, start + len(piece)

    def close(self) -> None:
        """Tell nobody anything any more."""
        self._listener = None
        self._follower = lambda _key, _progress: None

    # ---- what befalls guests ------------------------------------------------------------------

    def power_off(self, guest: InstanceId) -> None:
        """The guest powers itself off."""
        self._end(guest, Ending.POWERED_OFF, "The guest powered itself off.")

    def crash(self, guest: InstanceId) -> None:
        """The guest's process dies."""
        self._end(guest, Ending.CRASHED, "QEMU was killed.")

    def freeze(self, guest: InstanceId, words: str) -> None:
        """The guest's vCPUs stop by themselves, as on a full disk."""
        self._change(guest, frozen=True)
        self._tell(News(guest, Happening.FROZE, words=words))

    def thaw(self, guest: InstanceId) -> None:
        """The guest's vCPUs run again by themselves."""
        self._change(guest, frozen=False)
        self._tell(News(guest, Happening.THAWED))

    def say_address(self, guest: InstanceId, mac: str, ip: str) -> None:
        """The guest's own agent names an address."""
        self._tell(News(guest, Happening.ADDRESSED, mac=mac, ip=ip))

    def write(self, guest: InstanceId) -> None:
        """The guest writes to its disk."""
        with self._lock:
            alive = self._alive(guest)
            self._guests[guest] = replace(alive, writes=alive.writes + 1)

    def receive(self, guest: InstanceId, writes: int) -> None:
        """A guest arrives whole from another machine; its vCPUs stand still until `run`."""
        with self._lock:
            waiting = self._guests.get(guest)
            if waiting is None or not waiting.receiving:
                raise HypervisorFailed("Nobody waits for the guest there.")
            pid = VmId(next(self._pids))
            self._guests[guest] = replace(
                waiting, vm_id=pid, frozen=True, writes=writes, since=self._now()
            )

    def hear_left(self, guest: InstanceId, incoming: str) -> None:
        """The source of a guest that has arrived says that it left: it runs here at once."""
        with self._lock:
            waiting = self._guests.get(guest)
            if waiting is None or waiting.incoming != incoming or waiting.vm_id is None:
                return
            self._guests[guest] = replace(waiting, frozen=False, receiving=False, incoming="")
        running = running_of(waiting.vm_id, waiting.spec)
        self._tell(News(guest, Happening.ARRIVED, incoming=incoming, running=running))

    def power_cut(self) -> None:
        """The machine dies: every guest with it; disks stay."""
        with self._lock:
            for key, guest in self._guests.items():
                self._guests[key] = replace(guest, vm_id=None, receiving=False, how=Ending.CRASHED)
        self._listener = None

    # ---- what can be seen from outside --------------------------------------------------------

    def running(self) -> set[InstanceId]:
        """Guests whose vCPUs run."""
        with self._lock:
            return {key for key, guest in self._guests.items() if guest.runs}

    def kept(self) -> set[InstanceId]:
        """Guests of which anything is kept."""
        with self._lock:
            return set(self._guests)

    def writes(self, guest: InstanceId) -> int:
        """How often the guest has written to the disks that it has now."""
        with self._lock:
            return self._guests[guest].writes

    def _run(self, spec: GuestSpec, writes: int) -> Running:
        vm_id, spec = VmId(next(self._pids)), equipped(spec, self.runs_with)
        self._guests[spec.instance_id] = SimulatedGuest(
            spec, vm_id, writes=writes, since=self._now(), console=b"BOOT\n"
        )
        return running_of(vm_id, spec)

    def _alive(self, guest: InstanceId) -> SimulatedGuest:
        known = self._guests.get(guest)
        if known is None or known.vm_id is None:
            raise NoSuchVm(f"There is no guest of instance {guest} here.")
        return known

    def _change(self, guest: InstanceId, *, frozen: bool) -> None:
        with self._lock:
            self._guests[guest] = replace(self._alive(guest), frozen=frozen)

    def _end(self, guest: InstanceId, how: Ending, words: str) -> None:
        with self._lock:
            self._guests[guest] = replace(self._alive(guest), vm_id=None, how=how)
        self._tell(News(guest, Happening.ENDED, how, words))

    def _tell(self, news: News) -> None:
        if self._listener is not None:
            self._listener(news)

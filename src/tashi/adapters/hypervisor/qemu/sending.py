"""The source's end of a move: disks are mirrored, memory follows, and the guest has left.

    knock at the target's door, say how memory is to be sent while its QEMU begins, and be let in
    copy the disks, and mirror every write
    send the memory until little is missing; QEMU then stops the vCPUs and waits for us
    end the mirrors, whose copies are whole now, and let QEMU send the rest
    when the target has said that it has everything: write down that the guest has left
    say so to the target's node, which lets it run (see `word`)

Because QEMU waits for us at the switch, no guest leaves while nobody watches: a move that this
process does not see through is ended by the next one.

It stands still from then on, so nothing is asked of QEMU meanwhile that it says by itself.
"""

import logging
import socket
import time
from collections.abc import Callable, Iterable
from contextlib import closing, suppress
from dataclasses import dataclass, replace
from typing import Final

import msgspec

from tashi.adapters.hypervisor.qemu.departing import Departures, see_off
from tashi.adapters.hypervisor.qemu.guest import Guest
from tashi.adapters.hypervisor.qemu.lines import call
from tashi.adapters.hypervisor.qemu.moves import (
    AS_FAST_AS_IT_GOES,
    LET_IN,
    TURNED_AWAY,
    Door,
    crossing_disks,
    may_stand,
    read_door,
    set_capabilities,
)
from tashi.adapters.hypervisor.qemu.papers import End
from tashi.adapters.hypervisor.qemu.progress import Job, Meter, Migration
from tashi.adapters.hypervisor.qemu.road import Road
from tashi.adapters.hypervisor.qemu.word import Word
from tashi.domain.errors import HypervisorFailed

_LOG: Final = logging.getLogger(__name__)
_CAPABILITIES: Final = ("events", "return-path", "pause-before-switchover", "auto-converge")
"""return-path: QEMU calls a migration completed only when the target has said that it is."""

_JOB: Final = "move-"
_COPY: Final = "moved-"
_SWITCH: Final = "pre-switchover"
_COMPLETED: Final = "completed"
_BROKEN_OFF: Final = {"failed", "cancelled"}
_OVER: Final = {"none", _COMPLETED, *_BROKEN_OFF}
_IN_BETWEEN: Final = "finish-migrate"
_SENT: Final = "postmigrate"
"""What QEMU calls a guest whose memory is elsewhere."""
_GREETING: Final = b"NBDMAGIC"
_LINE: Final = "memory"
_OPEN_SECONDS: Final = 10
_ANSWER_SECONDS: Final = 10.0
_LONGEST_WORDS: Final = 1000
_END_SECONDS: Final = 30.0
_LOOK_AGAIN_SECONDS: Final = 1.0


class _Line(msgspec.Struct, rename="kebab", omit_defaults=True):
    """A connection as `yank` knows it."""

    type: str
    node_name: str = ""

    @property
    def is_of_a_move(self) -> bool:
        """Whether memory or a disk crosses on it."""
        return self.type == "migration" or self.node_name.startswith(_COPY)


@dataclass(frozen=True, slots=True)
class Sending:
    """Sends guests on that road."""

    road: Road
    departures: Departures

    def send(self, guest: Guest, incoming: str) -> None:
        """Move the guest to the door that the text names; it has left when this returns.

        Raises HypervisorFailed; the guest then runs on here, unless its QEMU has ended.
        """
        door = read_door(incoming)
        if (status := guest.status()) != "running":
            raise HypervisorFailed(f"Instance {guest.id} is not moved: QEMU says {status}.")
        meter = Meter(guest.gone_on)
        with (
            self.departures.turn(guest, incoming) as deadline,
            closing(Word(door, self.road.address)) as word,
        ):
            see_off(
                guest,
                lambda: self._move(guest, door, word, meter, deadline),
                lambda: self._promise(guest),
                lambda: not guest.ended.is_set() and self.end(guest),
            )
            word.say()
        self.departures.on_step("told")
        with suppress(HypervisorFailed):
            meter.memory(_migration(guest))

    def end(self, guest: Guest) -> bool:
        """End a move that is under way: whether the guest has left; if not, it runs on here.

        Raises HypervisorFailed when that cannot be brought about.
        """
        _cut_lines(guest)
        guest.ask("migrate_cancel")
        deadline = time.monotonic() + _END_SECONDS
        _wait(guest, lambda: _migration(guest).status in _OVER, deadline)
        # The migration is over a moment before QEMU has made up its mind about the vCPUs.
        _wait(guest, lambda: guest.status() != _IN_BETWEEN, deadline)
        # A guest that came here from elsewhere has a completed migration, too, but it runs.
        if guest.status() == _SENT and _migration(guest).status == _COMPLETED:
            self._promise(guest)
            return True
        _stay(guest)
        return False

    def _move(self, guest: Guest, door: Door, word: Word, meter: Meter, deadline: float) -> None:
        on_step = self.departures.on_step
        self.departures.note(guest)
        with _knock(door, self.road.address, word) as line:
            _set_out(guest)
            self.road.prepare(guest, End.SOURCE, door.address)
            _wait_at_the_door(guest, door, line, deadline)
            on_step("let in")
            disks = crossing_disks(guest.record.spec)
            if disks:
                self._mirror(guest, door, disks)
                on_step("copying")
                _wait_for_jobs(guest, "ready", deadline, meter)
            on_step("copied")
            guest.hand(_LINE, line.fileno())
            guest.ask("migrate", uri=f"fd:{_LINE}")
        on_step("sending")
        word.get_ready()
        self._get_ready(guest)
        _wait_for(guest, _SWITCH, deadline, meter)
        on_step("standing")
        _check_still_on(guest)
        if disks:
            _end_mirrors(guest, disks, deadline, meter)
        on_step("mirrored")
        _check_not_recalled(guest)
        guest.ask("migrate-continue", state=_SWITCH)
        on_step("continued")
        _wait_for(guest, _COMPLETED, deadline, meter)
        on_step("completed")

    def _mirror(self, guest: Guest, door: Door, disks: tuple[str, ...]) -> None:
        for disk in disks:
            copy = _COPY + disk
            with _greeted(door, self.road.address) as line:
                guest.hand(copy, line.fileno())
            guest.ask(
                "blockdev-add",
                **{"driver": "nbd", "node-name": copy, "server": {"type": "fd", "str": copy}},
                **{"export": door.export(disk), "open-timeout": _OPEN_SECONDS},
                **self.road.of_client(door.address),
            )
            guest.ask(
                "blockdev-mirror",
                **{"job-id": _JOB + disk, "device": disk, "target": copy},
                **{"sync": "top", "copy-mode": "write-blocking", "auto-dismiss": False},
            )

    def _get_ready(self, guest: Guest) -> None:
        """Write down all of the promise but its word, while the guest still runs."""
        try:
            guest.prepare_departure()
        except OSError as error:
            raise HypervisorFailed(
                f"that it leaves cannot be written down: {error.strerror}."
            ) from error

    def _promise(self, guest: Guest) -> None:
        """Write down, to outlive a power cut, that the guest never runs here again."""
        try:
            guest.depart()
        except OSError as error:
            # Nobody has been told yet that it left, so the target does not run it.
            _stay(guest)
            raise HypervisorFailed(
                f"Instance {guest.id} was not moved: that it left cannot be written down: "
                f"{error.strerror or error}."
            ) from error
        self.departures.on_step("left")


def _knock(door: Door, address: str, word: Word) -> socket.socket:
    """The line for the memory; raises HypervisorFailed."""
    line = call((door.address, door.memory), address)
    try:
        line.sendall(word.knock)
    except OSError as error:
        line.close()
        raise _unopened(door, error) from error
    return line


def _wait_at_the_door(guest: Guest, door: Door, line: socket.socket, deadline: float) -> None:
    """Wait until the target has let us in: its QEMU may only just begin.

    Raises HypervisorFailed, with the target's words when it cannot receive the guest.
    """
    try:
        said = _first_word(guest, line, deadline)
        words = _last_words(line) if said == TURNED_AWAY else ""
    except OSError as error:
        raise _unopened(door, error) from error
    if words:
        raise HypervisorFailed(f"{door.address} cannot receive it: {words}")
    if said != LET_IN:
        raise HypervisorFailed(f"{door.address} does not wait for it any more.")
    line.settimeout(None)  # QEMU has its own way of waiting


def _first_word(guest: Guest, line: socket.socket, deadline: float) -> bytes:
    """What the target says first; while it says nothing, look now and then whether to give up."""
    line.settimeout(_LOOK_AGAIN_SECONDS)
    while True:
        _check_still_on(guest)
        _check_not_recalled(guest)
        try:
            return line.recv(len(LET_IN))
        except ConnectionResetError:
            return b""  # it has hung up before it read all that we said
        except TimeoutError:
            if time.monotonic() > deadline:
                raise


def _last_words(line: socket.socket) -> str:
    line.settimeout(_ANSWER_SECONDS)
    with line.makefile("rb") as words:
        return words.read(_LONGEST_WORDS).decode(errors="replace")


def _unopened(door: Door, error: OSError) -> HypervisorFailed:
    return HypervisorFailed(f"{door.address} does not open its door: {error.strerror or error}.")


def _greeted(door: Door, address: str) -> socket.socket:
    """A line for a disk, once the target has greeted: QEMU would stand still while it waits."""
    line = call((door.address, door.disks), address)
    try:
        greeting = line.recv(len(_GREETING), socket.MSG_PEEK | socket.MSG_WAITALL)
    except OSError as error:
        line.close()
        why = error.strerror or error
        raise HypervisorFailed(f"{door.address} does not offer its disks: {why}.") from error
    if greeting != _GREETING:
        line.close()
        raise HypervisorFailed(f"{door.address}:{door.disks} offers no disks.")
    line.settimeout(None)
    return line


def _cut_lines(guest: Guest) -> None:
    """Break the connections to the target: QEMU may be stuck in one whose other end hangs."""
    lines = msgspec.convert(guest.interrupt("query-yank"), list[_Line])
    for line in lines:
        if line.is_of_a_move:
            with suppress(HypervisorFailed):  # it broke by itself a moment ago
                guest.interrupt("yank", instances=[msgspec.to_builtins(line)])


def _set_out(guest: Guest) -> None:
    """Say how the memory is to be sent, before anything is."""
    set_capabilities(guest, _CAPABILITIES)
    guest.migration, guest.passes = "", 0
    limits = {"max-bandwidth": AS_FAST_AS_IT_GOES, "downtime-limit": _may_stand(guest)}
    guest.ask("migrate-set-parameters", **limits)


def _may_stand(guest: Guest) -> int:
    hardware = guest.record.hardware
    return may_stand("" if hardware is None else hardware.accel, guest.passes)


def _check_still_on(guest: Guest) -> None:
    # QEMU has told of a power-off before it told that the vCPUs stand still.
    if guest.ending is not None:
        raise HypervisorFailed("it has powered itself off.")


def _end_mirrors(guest: Guest, disks: Iterable[str], deadline: float, meter: Meter) -> None:
    """End the mirrors; nothing writes any more, so the copies are whole and stay so."""
    for disk in disks:
        guest.ask("block-job-cancel", device=_JOB + disk)
    _wait_for_jobs(guest, "concluded", deadline, meter)


def _wait_for_jobs(guest: Guest, status: str, deadline: float, meter: Meter) -> None:
    def reached() -> bool:
        _check_not_recalled(guest)
        jobs = _jobs(guest)
        meter.disks(jobs)
        for job in jobs:
            if job.error:
                raise HypervisorFailed(f"its disk {job.id.removeprefix(_JOB)}: {job.error}.")
        return all(job.status == status for job in jobs)

    _wait(guest, reached, deadline, meter)


def _wait_for(guest: Guest, status: str, deadline: float, meter: Meter) -> None:
    """Wait until QEMU says that of the migration; now and then, ask it how far that is."""
    looked, allowed = time.monotonic(), _may_stand(guest)

    def reached() -> bool:
        nonlocal looked, allowed
        _check_not_recalled(guest)
        if guest.migration == status:
            return True
        if status == _SWITCH and (longer := _may_stand(guest)) > allowed:
            guest.ask("migrate-set-parameters", **{"downtime-limit": longer})
            allowed = longer
        if guest.migration not in _BROKEN_OFF and time.monotonic() < looked + _LOOK_AGAIN_SECONDS:
            return False
        now = _migration(guest)
        looked = time.monotonic()
        meter.memory(now)
        if now.status in _BROKEN_OFF:
            raise HypervisorFailed(now.error_desc or f"QEMU says {now.status}.")
        return now.status == status

    _wait(guest, reached, deadline, meter)


def _check_not_recalled(guest: Guest) -> None:
    if guest.recalled.is_set():
        raise HypervisorFailed("it was called back.")


def _wait(
    guest: Guest, holds: Callable[[], bool], deadline: float, meter: Meter | None = None
) -> None:
    """Wait until it holds; look whenever something has happened, and now and then besides."""
    while True:
        guest.stirred.clear()
        if guest.ended.is_set():
            raise HypervisorFailed(guest.last_words())
        if holds():
            return
        left = deadline - time.monotonic()
        if left <= 0:
            missing = "" if meter is None or not meter.left else f": {meter.left}"
            raise HypervisorFailed(f"it took too long{missing}.")
        guest.stirred.wait(min(left, _LOOK_AGAIN_SECONDS))


def _stay(guest: Guest) -> None:
    """Let the guest run on as if it had never been meant to go."""
    guest.unpause()
    try:
        _drop_copies(guest)
    except HypervisorFailed as failed:
        _LOG.warning("Instance %d: its mirrors were not removed: %s", guest.id, failed)
    with suppress(OSError):
        guest.remember(lambda record: replace(record, move=None))
    guest.catch_up()


def _drop_copies(guest: Guest) -> None:
    jobs = _jobs(guest)
    for job in jobs:
        if job.status != "concluded":
            guest.ask("block-job-cancel", device=job.id, force=True)
    deadline = time.monotonic() + _END_SECONDS
    _wait(guest, lambda: all(job.status == "concluded" for job in _jobs(guest)), deadline)
    for job in jobs:
        guest.ask("job-dismiss", id=job.id)
    for disk in crossing_disks(guest.record.spec):
        with suppress(HypervisorFailed):  # it was never made
            guest.ask("blockdev-del", **{"node-name": _COPY + disk})


def _jobs(guest: Guest) -> list[Job]:
    """The mirrors of the move, also those that have ended."""
    jobs = msgspec.convert(_look(guest, "query-jobs"), list[Job])
    return [job for job in jobs if job.id.startswith(_JOB)]


def _migration(guest: Guest) -> Migration:
    return msgspec.convert(_look(guest, "query-migrate"), Migration)


def _look(guest: Guest, question: str) -> object:
    # Where the target hangs QEMU may come to hang as well, and the guest with it: not for long.
    return guest.monitor.execute(question, within_seconds=_ANSWER_SECONDS)

"""A guest's memory written to the image store, and read back once.

QEMU writes to a pipe that it is handed as an open file (no shell, no path of its own), the
suspendHandler squeezes it into a file under a partial name. Only what is complete and on the disk
gets its final name, and from that moment the guest never runs again. Before restored vCPUs run, the
file gets the name of used memory, so it can never be used a second time.
"""

import os
import queue
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor, wait
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from functools import partial
from logging import getLogger
from pathlib import Path
from typing import Final

import msgspec

from tashi.adapters.hypervisor.qemu.folder import PRIVATE_FILE
from tashi.adapters.hypervisor.qemu.guest import GONE, Guest
from tashi.adapters.hypervisor.qemu.launch import Steps
from tashi.adapters.hypervisor.qemu.moves import AS_FAST_AS_IT_GOES, set_capabilities
from tashi.adapters.hypervisor.qemu.progress import Meter, Migration
from tashi.adapters.hypervisor.qemu.saved import SavedMemory
from tashi.adapters.hypervisor.qemu.sayings import last_words
from tashi.domain.errors import (
    CommandFailed,
    HypervisorFailed,
    UnableToResume,
    UnableToSuspend,
)
from tashi.domain.identity import InstanceId
from tashi.ports.commands import Commands, Descriptors, Leash

_log = getLogger(__name__)

_FD: Final = "memory"
_RECALLED: Final = "it was called back."
_COMPLETED: Final = "completed"
_LOCKS_LATE: Final = "late-block-activate"
"""Without it QEMU takes the locks of disks as it reads, and goes on if it does not get them."""
_LOOK_SECONDS: Final = 1.0
_CAPABILITIES: Final = {"migrate": ("events",), "migrate-incoming": ("events", _LOCKS_LATE)}
_LOADED: Final = "paused"
"""What QEMU calls a guest whose memory has been read."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Memory:
    """Saved memory, and the programs that it is piped through."""

    saved: SavedMemory
    commands: Commands
    squeeze: tuple[str, ...]
    unsqueeze: tuple[str, ...]
    limit_seconds: float
    on_step: Steps = lambda _: None

    def save(self, guest: Guest, name: str) -> None:
        """Write the guest's memory; it then stands still for ever, or runs on when this raises.

        Raises UnableToSuspend.
        """
        try:
            _check_wanted(guest)
            self.saved.check_free(name)
            guest.remember(lambda record: replace(record, saving=name))
            self._write(guest, name)
        except (HypervisorFailed, CommandFailed, OSError) as error:
            said = getattr(error, "strerror", None) or error
            why = _RECALLED if guest.recalled.is_set() else said
            self.run_on(guest)
            raise UnableToSuspend(f"Instance {guest.id} was not suspended: {why}") from error

    def run_on(self, guest: Guest) -> None:
        """Forget a saving that came to nothing: remove what it left and let the guest run."""
        if (name := guest.record.saving) is None:
            return
        self.saved.drop(name)
        with suppress(HypervisorFailed, OSError):
            guest.ask("migrate_cancel")
            guest.unpause()
            guest.remember(lambda record: replace(record, saving=None))

    def load(self, guest: Guest, name: str) -> None:
        """Read saved memory into a QEMU that waits for it, and mark it as used.

        Raises UnableToResume; then the memory is as good as before.
        """
        try:
            if guest.status() != _LOADED:
                self._read(guest, self.saved.place(name))
            self.on_step("read")
            self.saved.use(name)
            self.on_step("used")
        except (HypervisorFailed, CommandFailed, OSError) as error:
            words = last_words(guest.folder) if guest.ended.is_set() else ""
            why = getattr(error, "strerror", None) or error
            raise UnableToResume(
                f"Instance {guest.id} was not restored from {name}: {why} {words}".strip()
            ) from error

    def give_back(self, guest: InstanceId, name: str) -> None:
        """Mark memory as unused again, for the vCPUs of that guest never ran."""
        try:
            self.saved.give_back(name)
        except OSError as error:
            _log.warning("The memory %s of instance %d counts as used: %s.", name, guest, error)

    def _write(self, guest: Guest, name: str) -> None:
        flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW
        with _opened(self.saved.partial(name), flags) as sink:
            guest.pause()
            reading, writing = os.pipe()
            with self._piping(guest, self.squeeze, Descriptors(source=reading, sink=sink), reading):
                self.on_step("writing")
                self._migrate(guest, "migrate", writing)
            os.fsync(sink)
        self.on_step("written")
        self.saved.keep(name)
        self.on_step("kept")

    def _read(self, guest: Guest, final: Path) -> None:
        with _opened(final, os.O_RDONLY | os.O_NOFOLLOW) as source:
            reading, writing = os.pipe()
            with self._piping(
                guest, self.unsqueeze, Descriptors(source=source, sink=writing), writing
            ):
                self.on_step("reading")
                self._migrate(guest, "migrate-incoming", reading)

    @contextmanager
    def _piping(
        self, guest: Guest, program: tuple[str, ...], descriptors: Descriptors, its_end: int
    ) -> Iterator[None]:
        """Run the program meanwhile, and wait for it; its failure goes before what it caused."""
        leash, deadline = Leash(), time.monotonic() + self.limit_seconds

        def run() -> None:
            try:
                self.commands.follow(
                    program, hear=lambda _: None, leash=leash, descriptors=descriptors
                )
            finally:
                # Else QEMU would wait for ever at the pipe of a program that is gone.
                os.close(its_end)

        with ThreadPoolExecutor(1, "memory") as pool:
            running = pool.submit(run)
            try:
                yield
            finally:
                while not running.done():
                    if guest.recalled.is_set() or time.monotonic() > deadline:
                        leash.pull()
                    wait((running,), _LOOK_SECONDS)
                running.result()

    def _migrate(self, guest: Guest, command: str, end: int) -> None:
        """Hand QEMU this end of the pipe and wait until all memory has gone through it."""
        deadline = time.monotonic() + self.limit_seconds
        try:
            guest.monitor.give(_FD, end, within_seconds=self.limit_seconds)
        finally:
            os.close(end)
        _forget_all(guest.migrations)
        set_capabilities(guest, _CAPABILITIES[command])
        guest.ask("migrate-set-parameters", **{"max-bandwidth": AS_FAST_AS_IT_GOES})
        guest.ask(command, uri=f"fd:{_FD}")
        looks = partial(_look, guest, Meter(guest.gone_on)) if command == "migrate" else _no_look
        status = _last(guest.migrations, deadline, looks)
        if status != _COMPLETED:
            if command == "migrate":
                guest.ask("migrate_cancel")
            within = f"it took longer than {self.limit_seconds:g} s"
            _check_wanted(guest)
            raise HypervisorFailed(f"QEMU gave up: {status or within}.")


def _check_wanted(guest: Guest) -> None:
    if guest.recalled.is_set():
        raise HypervisorFailed(_RECALLED)


def _last(statuses: "queue.SimpleQueue[str]", deadline: float, look: Callable[[], bool]) -> str:
    """How a migration ended; nothing when it has not.

    Now and then, `look` how far it is, and whether it is to go on.
    """
    while (left := deadline - time.monotonic()) > 0:
        with suppress(queue.Empty):
            status = statuses.get(timeout=min(left, _LOOK_SECONDS))
            if status in {_COMPLETED, "failed", "cancelled", GONE}:
                return status
            continue
        if not look():
            break
    return ""


def _look(guest: Guest, meter: Meter) -> bool:
    with suppress(HypervisorFailed):  # if it has ended, that is said in another way
        meter.memory(msgspec.convert(guest.ask("query-migrate"), Migration))
    return not guest.recalled.is_set()


def _no_look() -> bool:
    """What is read is neither measured nor called back: it takes a moment."""
    return True


def _forget_all(statuses: "queue.SimpleQueue[str]") -> None:
    with suppress(queue.Empty):
        while True:
            statuses.get_nowait()


@contextmanager
def _opened(path: Path, flags: int) -> Iterator[int]:
    descriptor = os.open(path, flags, PRIVATE_FILE)
    try:
        yield descriptor
    finally:
        os.close(descriptor)

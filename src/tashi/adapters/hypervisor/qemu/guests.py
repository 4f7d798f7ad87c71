"""The guests of this node, whatever runs them: which are watched, and what is told of them."""

import threading
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from typing import Final, Generic, TypeVar

from tashi.adapters.hypervisor.qemu.folder import GuestFolder
from tashi.adapters.hypervisor.qemu.logged import logged
from tashi.adapters.hypervisor.qemu.places import Premises
from tashi.adapters.hypervisor.qemu.record import Move
from tashi.adapters.hypervisor.qemu.remembered import Pluggable
from tashi.domain.errors import HypervisorFailed, NoSuchVm
from tashi.domain.guest import Progress
from tashi.domain.identity import InstanceId
from tashi.ports.hypervisor import Follower, Listener, News

_ELSEWHERE: Final = {Move.RECEIVING, Move.LEFT}


class Watched(Pluggable, ABC):
    """A guest that lives, and carries out orders; those of its methods raise HypervisorFailed."""

    @abstractmethod
    def ask(self, command: str, **arguments: object) -> object:
        """What QEMU's monitor answers."""

    @abstractmethod
    def pause(self) -> None:
        """Stop the vCPUs."""

    @abstractmethod
    def unpause(self) -> None:
        """Let the vCPUs run."""

    @abstractmethod
    def power_down(self) -> None:
        """Press the power button until somebody notices."""

    @abstractmethod
    def reset(self) -> None:
        """Press the reset button."""

    @abstractmethod
    def let_go(self) -> None:
        """Watch it no more; it lives on."""


G = TypeVar("G", bound=Watched)


class Guests(Generic[G]):
    """Those that are watched, by instance; jobs that concern them are done one after the other.

    To be closed; the guests live on.
    """

    def __init__(self, premises: Premises, thread: str) -> None:
        """`thread` is the name of the one that does the jobs."""
        self.watched: dict[InstanceId, G] = {}
        self._premises = premises
        self._listener: Listener = lambda _: None
        self._follower: Follower = lambda _guest, _progress: None
        self._jobs = ThreadPoolExecutor(1, thread)
        self._expected: set[InstanceId] = set()
        self._taking_up = threading.Lock()

    def listen(self, listener: Listener) -> None:
        """Tell the listener of news from now on."""
        self._listener = listener

    def follow(self, follower: Follower) -> None:
        """Tell the follower from now on how far things are."""
        self._follower = follower

    def tell(self, news: News) -> None:
        """Tell whoever listens."""
        self._listener(news)

    def go_on(self, guest: InstanceId, progress: Progress) -> None:
        """Tell whoever follows how far that guest's move, save or copy is."""
        self._follower(guest, progress)

    def later(self, job: Callable[[], None]) -> None:
        """Do a job after those that wait already."""
        with suppress(RuntimeError):  # closed: nobody listens any more
            self._jobs.submit(logged(job))

    def wait_for_jobs(self) -> None:
        """Wait until all jobs that were given so far are done."""
        with suppress(RuntimeError):  # closed
            self._jobs.submit(lambda: None).result()

    def let_go(self) -> None:
        """Watch and tell nobody any more; harmless when that was done before."""
        self._listener = lambda _: None
        self._follower = lambda _guest, _progress: None
        for guest in list(self.watched.values()):
            guest.let_go()
        self.watched.clear()

    def close(self, *, at_once: bool = False) -> None:
        """Take no more jobs, and finish those that wait, or `at_once` only what is under way."""
        self._jobs.shutdown(cancel_futures=at_once)

    def known(self, guest: InstanceId) -> G:
        """The guest, if it is here and is to be here; raises NoSuchVm."""
        known = self.watched.get(guest)
        if known is None or known.record.move in _ELSEWHERE:
            raise NoSuchVm(f"There is no guest of instance {guest} here.")
        return known

    def in_order(self) -> list[G]:
        """All that are watched, by instance."""
        return sorted(self.watched.values(), key=lambda guest: guest.id)

    def forget(self, guest: G) -> None:
        """Watch that one no more, which has ended."""
        if self.watched.get(guest.id) is guest:
            del self.watched[guest.id]

    def folder(self, guest: InstanceId) -> GuestFolder:
        """Where all that is a guest's is kept, also when it is not watched."""
        return GuestFolder(self._premises.of(guest))

    @contextmanager
    def hands_for(self, guest: InstanceId, most: int) -> Iterator[None]:
        """Make one ready to be received meanwhile, and watch it.

        Raises HypervisorFailed when as many as `most` others are being received already.
        """
        with self._taking_up:
            known = list(self.watched.values())
            received = {one.id for one in known if one.record.move is Move.RECEIVING}
            others = (received | self._expected) - {guest}
            if len(others) >= most:
                raise HypervisorFailed(
                    f"{len(others)} guests are being received already, as many as "
                    "maxParallelMigrations allows: try again when one has arrived."
                )
            self._expected.add(guest)
        try:
            yield
        finally:
            self._expected.discard(guest)

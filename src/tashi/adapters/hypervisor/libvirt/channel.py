"""One connection to a libvirtd, from when it is opened until nobody needs it any more.

libvirt frees what a connection is made of when it is closed, under whoever is in a call on it or
hears an event of it. So a connection is only given up. Those who are in a call on it come back by
themselves, with an error if libvirtd is gone; after the last of them it is closed, by a thread of
its own: that may take until the silence of a libvirtd is noticed.
"""

import threading
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from typing import Any, Final, TypeVar

import libvirt

from tashi.domain.errors import HypervisorFailed

T = TypeVar("T")
Connection = Any
"""A virConnect; libvirt's library says nothing of its types."""
Domain = Any
"""A virDomain."""
Hears = Callable[[str, int, int], None]
"""Is told the UUID of a domain, what has happened to it, and a detail: virDomainEventType."""
DEVICE_REMOVED: Final = -1
"""What is told besides, in the place of a virDomainEventType: a guest has let go of a device."""
AGENT_CHANGED: Final = -2
"""The guest's own agent has opened its port, or closed it."""

_PROBE_SECONDS: Final = 5
_PROBES: Final = 3


class Silent(HypervisorFailed):
    """libvirtd does not answer: what it was asked may have been done, or may yet be done."""


class Channel:
    """A connection that is open, for one call at a time; `dropped` is set once it is closed.

    To be given up.
    """

    def __init__(self, connection: Connection) -> None:
        """A libvirtd that is silent for some 20 s counts as gone from now on."""
        self.dropped = threading.Event()
        self._connection = connection
        self._changing = threading.Lock()
        self._users = 0
        self._is_given_up = False
        self._listening: list[int] = []
        with suppress(libvirt.libvirtError):  # a driver inside this process never goes silent
            connection.setKeepAlive(_PROBE_SECONDS, _PROBES)

    def listen(self, hears: Hears, broke: Callable[[], None]) -> None:
        """Tell what happens to domains, and that the connection broke; raises libvirtError.

        Both are called in threads of libvirt's, `broke` perhaps in one that is in `use`. A break
        that is found by silence alone, while nobody asks anything, is not told.
        """
        self._connection.registerCloseCallback(lambda *_: broke(), None)
        kinds = {
            libvirt.VIR_DOMAIN_EVENT_ID_LIFECYCLE: _lives(hears),
            libvirt.VIR_DOMAIN_EVENT_ID_DEVICE_REMOVED: _lets_go(hears),
            libvirt.VIR_DOMAIN_EVENT_ID_AGENT_LIFECYCLE: _changes_its_agent(hears),
        }
        for kind, told in kinds.items():
            self._listening.append(self._connection.domainEventRegisterAny(None, kind, told, None))

    def use(self, work: Callable[[Connection], T]) -> T:
        """What `work` makes of the connection; raises libvirtError, or Silent once given up."""
        with self._changing:
            if self._is_given_up:
                raise Silent("The line to libvirtd broke.")
            self._users += 1
        try:
            return work(self._connection)
        finally:
            self._leave()

    def is_alive(self) -> bool:
        """Whether it can be used, as far as is known."""
        try:
            return self.use(lambda connection: bool(connection.isAlive()))
        except (libvirt.libvirtError, Silent):
            return False

    def give_up(self) -> bool:
        """Let nobody use it any more; whether that was so before."""
        with self._changing:
            before, self._is_given_up = self._is_given_up, True
            if not before and not self._users:
                self._drop_soon()
        return before

    def _leave(self) -> None:
        with self._changing:
            self._users -= 1
            if self._is_given_up and not self._users:
                self._drop_soon()

    def _drop_soon(self) -> None:
        threading.Thread(target=self._drop, name="libvirt-farewell", daemon=True).start()

    def _drop(self) -> None:
        """Close the connection, which lives for as long as anything is registered with it."""
        steps = [partial(self._connection.domainEventDeregisterAny, n) for n in self._listening]
        if self._listening:
            steps.append(self._connection.unregisterCloseCallback)
        for step in [*steps, self._connection.close]:
            with suppress(libvirt.libvirtError):  # it is broken
                step()
        self._connection = None
        self.dropped.set()


def _lives(hears: Hears) -> Callable[..., None]:
    def told(
        _connection: Connection, domain: Domain, what: int, detail: int, _opaque: object
    ) -> None:
        hears(domain.UUIDString(), what, detail)

    return told


def _lets_go(hears: Hears) -> Callable[..., None]:
    def told(_connection: Connection, domain: Domain, _device: str, _opaque: object) -> None:
        hears(domain.UUIDString(), DEVICE_REMOVED, 0)

    return told


def _changes_its_agent(hears: Hears) -> Callable[..., None]:
    def told(
        _connection: Connection, domain: Domain, _state: int, _why: int, _opaque: object
    ) -> None:
        hears(domain.UUIDString(), AGENT_CHANGED, 0)

    return told

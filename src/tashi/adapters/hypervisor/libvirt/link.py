"""The line to libvirtd, which is made anew whenever it breaks.

Guests live on without libvirtd. Whoever wants something of it waits a while for a new line, and is
told why there is none. A libvirtd that hangs is noticed by its silence (keep-alive), at the latest
by who asks next: libvirt itself tells only of lines that are closed. No call waits longer than it
may: what libvirt has no limit for goes on in a thread that nobody waits for.
"""

import logging
import os
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future, wait
from itertools import chain, repeat
from pathlib import Path
from typing import Final, Generic, TypeVar
from urllib.parse import parse_qs, urlsplit

import libvirt

from tashi.adapters.hypervisor.libvirt.channel import Channel, Connection, Domain, Hears, Silent
from tashi.adapters.hypervisor.libvirt.loop import LOOP
from tashi.adapters.hypervisor.libvirt.pool import Pool
from tashi.adapters.hypervisor.qemu.sayings import disk_in_use
from tashi.domain.errors import HypervisorFailed, Misconfigured, TashiError

T = TypeVar("T")

_log = logging.getLogger(__name__)

_OLDEST: Final = 9_000_000
_LOOK_SECONDS: Final = 1.0
_PAUSES_SECONDS: Final = (0.1, 0.2, 0.5, 1.0, 2.0)
_LAST_PAUSE_SECONDS: Final = 5.0
_REFUSALS: Final = {
    libvirt.VIR_ERR_AUTH_FAILED,
    libvirt.VIR_ERR_AUTH_CANCELLED,
    libvirt.VIR_ERR_AUTH_UNAVAILABLE,
    libvirt.VIR_ERR_ACCESS_DENIED,
}
_SOCKETS: Final = ("virtqemud-sock", "libvirt-sock")
"""Of the daemon for QEMU alone, and of that for everything."""
_NOT_LET_IN: Final = "Permission denied"
"""What the kernel says of a socket, and libvirt passes on without a code."""


class Link:
    """A line to one libvirtd. To be closed."""

    def __init__(
        self, uri: str, patience: float, hears: Hears, is_back: Callable[[], None]
    ) -> None:
        """`hears` and `is_back` are called in threads of libvirt's; `patience` is in seconds.

        `is_back` after a line was lost and made again. Raises Misconfigured or HypervisorFailed.
        """
        self._uri = uri
        self._patience = patience
        self._hears = hears
        self._is_back = is_back
        self._there = threading.Event()
        self._closed = threading.Event()
        self._is_open = True
        self._why = f"libvirtd does not answer at {uri}: it was not reached yet."
        self._changing = threading.Lock()
        self._seeker: threading.Thread | None = None
        self._ear: Channel | None = None
        self._pool = Pool(self._fresh)
        LOOP.join()
        try:
            self._begin()
        except BaseException:
            LOOP.leave()
            raise

    def wait_no_more(self) -> None:
        """Whoever waits for a line is told at once that there is none."""
        self._closed.set()

    def close(self) -> None:
        """Hang up; harmless when that was done before."""
        self._closed.set()
        if not self._is_open:
            return
        self._is_open = False
        self._there.clear()
        if self._seeker is not None:
            self._seeker.join(self._patience)
        if self._ear is not None:
            self._ear.give_up()
            self._ear.dropped.wait(self._patience)
        self._pool.close(self._patience)
        LOOP.leave()

    def ask(self, work: Callable[[Connection], T], *, within: float | None = None) -> T:
        """What `work` makes of the connection, within so many seconds; raises HypervisorFailed."""
        seconds = self._patience if within is None else within
        call = self.begin(work, within=seconds)
        if not call.is_over(seconds):
            raise Silent(f"libvirtd did not answer within {seconds:g} s.")
        return call.result()

    def begin(self, work: Callable[[Connection], T], *, within: float) -> "Call[T]":
        """Begin something that may take long, once there is a line; raises HypervisorFailed.

        What cannot be begun within that time is never begun, however late libvirtd answers.
        """
        deadline = time.monotonic() + within
        self._wait_for_line(within)
        return Call(lambda: self._asked(work, deadline))

    def _wait_for_line(self, within: float) -> None:
        """Return when there is a line, now or within that time; raises Silent."""
        deadline = time.monotonic() + within
        while self._is_there(deadline - time.monotonic()):
            if self._is_heard():
                return
        raise Silent(self._why)

    def _is_heard(self) -> bool:
        """Whether the connection that listens is alive, as far as is known."""
        ear = self._ear
        if ear is None or ear.is_alive():
            return ear is not None
        self._lost(ear)
        return False

    def _asked(self, work: Callable[[Connection], T], deadline: float) -> T:
        with self._pool.one() as channel:
            if time.monotonic() > deadline:
                raise Silent("libvirtd answers again, but it is too late for this.")
            try:
                return channel.use(work)
            except libvirt.libvirtError as error:
                failed = HypervisorFailed(sentence(error))
                if not channel.is_alive():
                    failed = Silent(f"libvirtd at {self._uri} went silent: {sentence(error)}")
        # Here, where libvirt's error is gone, and with it the frames in which domains live on.
        self._is_heard()
        raise failed

    def _fresh(self) -> Channel:
        try:
            return Channel(libvirt.open(self._uri))
        except libvirt.libvirtError as error:
            raise Silent(f"libvirtd does not answer at {self._uri}: {sentence(error)}") from error

    def _is_there(self, within: float) -> bool:
        """Whether there is a line, now or within that time, unless it is waited for no more."""
        deadline = time.monotonic() + within
        while not self._there.is_set() and (left := deadline - time.monotonic()) > 0:
            if self._closed.is_set():
                return False
            self._there.wait(min(left, _LOOK_SECONDS))
        return self._there.is_set()

    def insist(self, work: Callable[[Connection], T]) -> T:
        """What `work` makes of the connection, however long libvirtd is silent.

        Raises HypervisorFailed when it is refused, or when the line is closed.
        """
        while True:
            try:
                return self.ask(work)
            except Silent:
                if self._closed.is_set():
                    raise

    def _begin(self) -> None:
        if not self._take_up(self._opened()):
            raise HypervisorFailed(f"libvirtd at {self._uri} went away at once: see its log.")

    def _opened(self) -> Channel:
        opening = Call(self._open)
        if not opening.is_over(self._patience):
            raise HypervisorFailed(
                f"libvirtd at {self._uri} takes up calls, but does not answer within "
                f"{self._patience:g} s: is it stopped?"
            )
        return opening.result()

    def _open(self) -> Channel:
        try:
            channel = Channel(libvirt.open(self._uri))
            try:
                channel.use(lambda connection: check_version(self._uri, connection.getLibVersion()))
                channel.use(lambda _: channel.listen(self._hears, lambda: self._lost(channel)))
            except BaseException:
                channel.give_up()
                raise
        except libvirt.libvirtError as error:
            raise refusal(self._uri, error.get_error_code(), sentence(error)) from error
        return channel

    def _lost(self, channel: Channel) -> None:
        with self._changing:
            if channel.give_up() or channel is not self._ear:
                return
            self._there.clear()
            if self._closed.is_set():
                return
            self._why = f"libvirtd does not answer at {self._uri}: it went away and is tried again."
            _log.warning("The line to libvirtd at %s broke: guests live on meanwhile.", self._uri)
            self._seeker = threading.Thread(target=self._seek, name="libvirt-line", daemon=True)
            self._seeker.start()

    def _seek(self) -> None:
        """Make a new line, however long it takes."""
        for pause in chain(_PAUSES_SECONDS, repeat(_LAST_PAUSE_SECONDS)):
            if self._closed.wait(pause):
                return
            try:
                channel = self._open()
            except (HypervisorFailed, Misconfigured) as failed:
                self._why = str(failed)
                continue
            if self._take_up(channel):
                _log.info("libvirtd at %s answers again.", self._uri)
                self._is_back()
                return

    def _take_up(self, channel: Channel) -> bool:
        """Have everybody use a new line, unless it broke meanwhile."""
        with self._changing:
            if not channel.is_alive():
                channel.give_up()
                return False
            self._ear = channel
            self._there.set()
            return True


def find(connection: Connection, uuid: str) -> Domain | None:
    """The domain with that UUID, if there is one."""
    try:
        return connection.lookupByUUIDString(uuid)
    except libvirt.libvirtError as error:
        if error.get_error_code() == libvirt.VIR_ERR_NO_DOMAIN:
            return None
        raise


def check_version(uri: str, version: int) -> None:
    """Raise Misconfigured when that libvirt is too old."""
    if version < _OLDEST:
        raise Misconfigured(
            f"libvirt at {uri} is {_readable(version)}, which is too old: Tashi needs "
            f"{_readable(_OLDEST)} or newer."
        )


def refusal(uri: str, code: int, words: str) -> Misconfigured | HypervisorFailed:
    """Why a connection is not had, from what libvirt says of it."""
    if code in _REFUSALS or _NOT_LET_IN in words:
        return Misconfigured(
            f"libvirtd at {uri} does not let the node manager in: {words} Run it as root, or as a "
            "member of the group that libvirtd admits (usually libvirt)."
        )
    return HypervisorFailed(
        f"libvirtd does not answer at {uri}: {words} Start it, or set uri in [Libvirt]."
    )


def socket_of(uri: str) -> Path:
    """The socket at which the libvirtd of that URI takes calls on this machine."""
    parts = urlsplit(uri)
    if named := parse_qs(parts.query).get("socket"):
        return Path(named[0])
    own = os.environ.get("XDG_RUNTIME_DIR", f"/run/user/{os.getuid()}")
    folder = Path(own if parts.path == "/session" else "/run") / "libvirt"
    return next(
        (path for one in _SOCKETS if (path := folder / one).exists()), folder / _SOCKETS[-1]
    )


class Call(Generic[T]):
    """Something that goes on in a thread of its own, and is waited for no longer than one likes."""

    def __init__(self, work: Callable[[], T]) -> None:
        self.outcome: Future[T] = Future()
        # It goes on whoever gives up waiting: nobody can cancel it any more.
        self.outcome.set_running_or_notify_cancel()
        self._work = work
        threading.Thread(target=self._run, name="libvirt-call", daemon=True).start()

    def is_over(self, within_seconds: float) -> bool:
        """Whether it has ended, or does so within that time."""
        done, _ = wait([self.outcome], within_seconds)
        return bool(done)

    def result(self) -> T:
        """What it came to, once it is over; raises HypervisorFailed."""
        return self.outcome.result()

    def _run(self) -> None:
        # What went wrong is passed on without its traceback, in whose frames domains would live on,
        # and the connection with them.
        try:
            self.outcome.set_result(self._work())
        except libvirt.libvirtError as error:
            self.outcome.set_exception(HypervisorFailed(sentence(error)))
        except TashiError as error:
            self.outcome.set_exception(error.with_traceback(None))
        except Exception as error:  # noqa: BLE001  # see the comment
            # Said here too, for it may be that nobody waits any more.
            _log.exception("A call to libvirtd failed in a way that it should not.")
            self.outcome.set_exception(error.with_traceback(None))


def sentence(error: libvirt.libvirtError) -> str:
    """Libvirt's own words as a sentence, or Tashi's where the cause is a common one."""
    words = f"{error.get_error_message() or error}"
    return disk_in_use(words) or words.rstrip(".") + "."


def _readable(version: int) -> str:
    return f"{version // 1_000_000}.{version // 1000 % 1000}.{version % 1000}"

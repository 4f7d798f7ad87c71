"""A guest that lives in a domain: what it is told, and what happens to it by itself.

What libvirt says by itself comes late, after commands that were given meanwhile. So it is only a
reason to look: what the guest does is asked of libvirt, while nobody commands it, and compared with
what was expected. The same look is taken when a line to libvirtd was lost and is there again.
"""

import json
import threading
from asyncio import sleep, wrap_future
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from logging import getLogger
from typing import Final, TypeVar

import libvirt
import libvirt_qemu

from tashi.adapters.hypervisor.libvirt.channel import (
    AGENT_CHANGED,
    DEVICE_REMOVED,
    Connection,
    Domain,
    Silent,
)
from tashi.adapters.hypervisor.libvirt.doing import LIVING, Doing, what_it_does
from tashi.adapters.hypervisor.libvirt.link import Call, Link, find
from tashi.adapters.hypervisor.libvirt.relocation import has_agent
from tashi.adapters.hypervisor.qemu.agent import Agent
from tashi.adapters.hypervisor.qemu.command_line import guest_uuid
from tashi.adapters.hypervisor.qemu.folder import GuestFolder
from tashi.adapters.hypervisor.qemu.guests import Watched
from tashi.adapters.hypervisor.qemu.reactor import Cancel, Reactor
from tashi.adapters.hypervisor.qemu.record import Move, Record
from tashi.domain.addresses import readable
from tashi.domain.errors import HypervisorFailed
from tashi.domain.guest import Ending, Progress
from tashi.ports.hypervisor import Follower, Happening, News
from tashi.ports.network import Wiring

T = TypeVar("T")

_FIRST_PRESS_SECONDS: Final = 2.0
_SLOWEST_PRESS_SECONDS: Final = 30.0

_log = getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What every guest of a node shares.

    `later` does jobs one after the other; `tell` and `over` are called in such jobs, with news and
    with a guest that has ended. `gone_on` is told how far a guest's move or save is. libvirtd has
    `patience` seconds to answer.
    """

    link: Link
    reactor: Reactor
    later: Callable[[Callable[[], None]], None]
    tell: Callable[[News], None]
    over: Callable[["Guest"], None]
    gone_on: Follower
    patience: float


class Guest(Watched):
    """One domain that lives.

    `settled` is set once its start is over: before that, nothing is news. `recalled` is set when a
    move that is under way is to fail. `plugs` are known to who has made it ready, for a while.
    """

    plugs: Wiring

    def __init__(self, folder: GuestFolder, record: Record, around: Surroundings) -> None:
        super().__init__(folder, record)
        self.frozen = False
        self.settled = False
        self.ended = threading.Event()
        self.plugs = {}
        self.uuid = str(guest_uuid(record.spec.instance_id))
        self._around = around
        self._agent = Agent(self._addresses, around.reactor, self._addressed)
        self._by_us = False
        self._outsider = False
        self._release: Cancel = lambda: None
        self._companion: Cancel = lambda: None
        self._commanding = threading.Lock()
        self._stirred = False

    # What it is told. -----------------------------------------------------------------------

    def of_domain(self, work: Callable[[Domain], T], *, within: float | None = None) -> T:
        """What `work` makes of its domain; raises HypervisorFailed."""

        def found(connection: Connection) -> T:
            return work(connection.lookupByUUIDString(self.uuid))

        return self._around.link.ask(found, within=within)

    def of_domain_or_none(self, work: Callable[[Domain], T]) -> T | None:
        """The same, or ``None`` when there is no domain; raises HypervisorFailed."""

        def found(connection: Connection) -> T | None:
            domain = find(connection, self.uuid)
            return None if domain is None else work(domain)

        return self._around.link.ask(found)

    def what_it_does(self) -> Doing:
        """What its domain does, however long libvirtd is silent; raises HypervisorFailed."""
        doing, _ = self._around.link.insist(
            lambda connection: what_it_does(find(connection, self.uuid))
        )
        return doing

    def is_busy(self) -> bool:
        """Whether libvirt still carries out a job with it; raises HypervisorFailed."""
        return self._around.link.insist(lambda connection: _is_busy(find(connection, self.uuid)))

    def begin_job(self, work: Callable[[Domain], T]) -> Call[T]:
        """Begin what takes long with its domain; raises HypervisorFailed."""

        def found(connection: Connection) -> T:
            return work(connection.lookupByUUIDString(self.uuid))

        return self._around.link.begin(found, within=self._around.patience)

    @contextmanager
    def undisturbed(self) -> Iterator[None]:
        """What happens in the context is our doing: it is looked at afterwards only."""
        try:
            with self._commanding:
                yield
        finally:
            # Also after what failed: it may have failed because the guest ended.
            if self._stirred:
                self._stirred = False
                self._around.later(self.look)

    def ask(self, command: str, **arguments: object) -> object:
        """What QEMU's monitor answers, for what libvirt has no words of its own.

        Raises HypervisorFailed.
        """
        asked = {"execute": command, **({"arguments": arguments} if arguments else {})}
        answer = json.loads(self._monitor(json.dumps(asked), 0))
        if "error" in answer:
            raise HypervisorFailed(f"QEMU refuses {command}: {answer['error'].get('desc')}")
        return answer.get("return")

    def ask_as_a_human(self, line: str) -> str:
        """What the human monitor answers; raises HypervisorFailed."""
        return self._monitor(line, libvirt_qemu.VIR_DOMAIN_QEMU_MONITOR_COMMAND_HMP)

    def begin(self) -> None:
        """Let the vCPUs run for the first time."""
        self.settled = True
        self.unpause()

    def stand_by(self) -> None:
        """Its vCPUs are to stand still for as long as it takes; its end is news from now on."""
        self.settled = True
        self.frozen = True

    def gone_on(self, progress: Progress) -> None:
        """Tell how far its move or save is, to whoever follows that."""
        self._around.gone_on(self.id, progress)

    def pause(self) -> None:
        """Stop the vCPUs."""
        self._release()
        self._bring_about(frozen=True)

    def unpause(self) -> None:
        """Let the vCPUs run."""
        self._bring_about(frozen=False)

    def power_down(self) -> None:
        """Press the power button, again and again until somebody notices.

        A press is lost without a word while the guest has no driver for the button.
        """
        self.of_domain(_press)
        self._release()
        self._release = self._around.reactor.begin(self._press_on())

    def reset(self) -> None:
        """Press the reset button."""
        self._release()
        self.of_domain(lambda domain: domain.reset())

    def is_to_end(self) -> None:
        """Its end is no news from now on."""
        self._by_us = True
        self.let_go()

    def let_go(self) -> None:
        """Do nothing more beside it; it lives on."""
        self._release()
        self._companion()
        self._agent_is_there(False)

    def accompany(self, companion: Cancel) -> None:
        """Call that when the guest ends or is watched no more; what was there before, now."""
        self._companion()
        self._companion = companion

    # What happens to it. --------------------------------------------------------------------

    def hear(self, what: int, detail: int) -> None:
        """Libvirt says that something has happened; in a thread of libvirt's."""
        if what == DEVICE_REMOVED:
            self.stirred.set()
        elif what == AGENT_CHANGED:
            self._around.later(self.look_for_the_agent)
        else:
            self._hear_of_life(what, detail)

    def _hear_of_life(self, what: int, detail: int) -> None:
        if what == libvirt.VIR_DOMAIN_EVENT_SHUTDOWN:
            self._outsider = detail == libvirt.VIR_DOMAIN_EVENT_SHUTDOWN_HOST
        self._around.later(self.look)

    def look_for_the_agent(self) -> None:
        """Begin to ask the guest's agent if it is there, and end that if not; in a job."""
        with suppress(HypervisorFailed):
            there = self.of_domain(lambda domain: has_agent(domain.XMLDesc()))
            self._agent_is_there(there)

    def _agent_is_there(self, there: bool) -> None:
        def tell() -> None:
            # Meanwhile the guest may have been let go of.
            self._agent.is_there(there and not (self._by_us or self.ended.is_set()))

        self._around.reactor.post(tell)

    async def _addresses(self) -> list[tuple[str, str]]:
        """What the agent says, through libvirt."""
        try:
            # It waits for a line to libvirtd before it begins, and nobody may wait in this thread.
            begun = await wrap_future(Call(lambda: self.begin_job(_addresses)).outcome)
            return await wrap_future(begun.outcome)
        except (HypervisorFailed, SystemError):
            # The latter is what libvirt-python makes of a refusal that repeats a guest's words,
            # where these are no UTF-8.
            return []

    def _addressed(self, mac: str, ip: str) -> None:
        if mac in {nic.mac for nic in self.cards.values()}:
            news = News(self.id, Happening.ADDRESSED, mac=mac, ip=ip)
            self._around.later(lambda: self._around.tell(news))

    def look(self) -> None:
        """Tell what the guest does, if that is not what is expected; in a job."""
        self._stirred = True
        if not self._commanding.acquire(blocking=False):
            return
        try:
            self._stirred = False
            self._compare()
        finally:
            self._commanding.release()

    def _compare(self) -> None:
        if self.ended.is_set() or self.record.move is Move.RECEIVING:
            return
        try:
            doing, words = self._around.link.ask(
                lambda connection: what_it_does(find(connection, self.uuid))
            )
        except Silent:
            self._around.later(self.look)
            return
        except HypervisorFailed as failed:
            _log.warning("What instance %d does is not known: %s", self.id, failed)
            return
        if doing in LIVING:
            self._stands(words, frozen=doing is Doing.STANDS)
        else:
            self._has_ended(doing)

    def _stands(self, words: str, *, frozen: bool) -> None:
        if self.record.move is not None or not self.settled or frozen == self.frozen:
            return
        self.frozen = frozen
        self._release()
        what = Happening.FROZE if frozen else Happening.THAWED
        self._around.tell(News(self.id, what, words=words))

    def _has_ended(self, doing: Doing) -> None:
        self.ended.set()
        self.let_go()
        self._around.over(self)
        if not self.settled or self._by_us or self.record.move is Move.LEFT:
            return
        how = self.record.ending or self._how(doing)
        with suppress(OSError):
            self.remember(lambda record: replace(record, ending=how))
        words = "" if how is Ending.POWERED_OFF else self.last_words()
        self._around.tell(News(self.id, Happening.ENDED, how, words))

    def _how(self, doing: Doing) -> Ending:
        powered_off = doing is Doing.POWERED_OFF and not self._outsider
        return Ending.POWERED_OFF if powered_off else Ending.CRASHED

    def last_words(self) -> str:
        """Why its domain ended, as far as that is known."""
        if self._outsider:
            return "Its QEMU was told by somebody to end."
        return "Its QEMU ended; libvirt's log of its domain may say why."

    # Between the two. -----------------------------------------------------------------------

    def _bring_about(self, *, frozen: bool) -> None:
        with self.undisturbed():
            before, self.frozen = self.frozen, frozen
            try:
                self.of_domain(_suspend if frozen else _resume)
            except HypervisorFailed:
                self.frozen = before
                raise

    def _monitor(self, command: str, flags: int) -> str:
        return str(
            self.of_domain(lambda domain: libvirt_qemu.qemuMonitorCommand(domain, command, flags))
        )

    async def _press_on(self) -> None:
        pause = _FIRST_PRESS_SECONDS
        while not self.ended.is_set():
            await sleep(pause)
            pause = min(1.5 * pause, _SLOWEST_PRESS_SECONDS)
            self._around.later(self._press_again)

    def _press_again(self) -> None:
        if not self.frozen and not self.ended.is_set():
            with suppress(HypervisorFailed):
                self.of_domain(_press)


def _addresses(domain: Domain) -> list[tuple[str, str]]:
    told = domain.interfaceAddresses(libvirt.VIR_DOMAIN_INTERFACE_ADDRESSES_SRC_AGENT)
    return [
        (card["hwaddr"].lower(), ip)
        for card in told.values()
        for address in card["addrs"] or ()
        if (ip := readable(address["addr"].partition("%")[0])) is not None
    ]


def _is_busy(domain: Domain | None) -> bool:
    if domain is None or not domain.isActive():
        return False
    kind, *_ = domain.jobInfo()
    return kind in {libvirt.VIR_DOMAIN_JOB_BOUNDED, libvirt.VIR_DOMAIN_JOB_UNBOUNDED}


def _press(domain: Domain) -> None:
    domain.shutdownFlags(libvirt.VIR_DOMAIN_SHUTDOWN_ACPI_POWER_BTN)


def _suspend(domain: Domain) -> None:
    if domain.state()[0] != libvirt.VIR_DOMAIN_PAUSED:
        domain.suspend()


def _resume(domain: Domain) -> None:
    if domain.state()[0] != libvirt.VIR_DOMAIN_RUNNING:
        domain.resume()

"""A QEMU that lives: its process, its monitor, what it is told and what happens to it by itself.

Commands come from threads that block. What QEMU says comes in the reactor's thread, where only
flags are set; whatever takes longer (a file, the listener) is handed to `later`, which does one
thing after the other, so that news stay in order.

An end or a freeze is news only if nobody here asked for it, so a command says beforehand what it
expects.
"""

import queue
import signal
import threading
from asyncio import sleep
from collections.abc import Callable, Coroutine
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import partial
from typing import Final

import msgspec

from tashi.adapters.hypervisor.qemu.agent import PORT, Agent, addresses
from tashi.adapters.hypervisor.qemu.folder import GuestFolder
from tashi.adapters.hypervisor.qemu.guests import Watched
from tashi.adapters.hypervisor.qemu.process import Process
from tashi.adapters.hypervisor.qemu.qmp import Details, Monitor
from tashi.adapters.hypervisor.qemu.reactor import Cancel, Reactor
from tashi.adapters.hypervisor.qemu.record import Move, Record, at_home
from tashi.adapters.hypervisor.qemu.sayings import disk_trouble, last_words, word_of
from tashi.domain.errors import HypervisorFailed
from tashi.domain.guest import Ending, Progress
from tashi.ports.hypervisor import Follower, Happening, News

_FIRST_PRESS_SECONDS: Final = 2.0
_SLOWEST_PRESS_SECONDS: Final = 30.0
_QUIT_SECONDS: Final = 10.0

GONE: Final = "gone"
"""What `migrations` says last, when the QEMU has ended."""


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What every guest of a node shares.

    `later` does jobs one after the other; `tell` and `over` are called in such jobs, with news and
    with a guest that has ended. `patience` is how many seconds a monitor has to answer. `gone_on`
    is told how far a guest's move or save is, from any thread.
    """

    reactor: Reactor
    later: Callable[[Callable[[], None]], None]
    tell: Callable[[News], None]
    over: Callable[["Guest"], None]
    patience: float
    gone_on: Follower = lambda _guest, _progress: None


class _Port(msgspec.Struct, rename="kebab"):
    label: str
    frontend_open: bool = False


class Guest(Watched):
    """One live QEMU.

    `settled` is set once its start is over: before that, nothing is news. `stirred` is set whenever
    a migration or a copy of a disk has gone a step on, or a device is out, `recalled` when it is
    not to be moved. `migration` is what QEMU said last of a migration by itself, and `passes` how
    often that had begun to go through the memory.
    """

    def __init__(
        self, folder: GuestFolder, record: Record, process: Process, around: Surroundings
    ) -> None:
        super().__init__(folder, replace(record, vm_id=process.pid))
        self.frozen = False
        self.settled = False
        self.ending = record.ending
        self.ended = threading.Event()
        self.migrations: queue.SimpleQueue[str] = queue.SimpleQueue()
        self.migration = ""
        self.passes = 0
        self._around = around
        self._process = process
        self._by_us = False
        self._words = ""
        self._port_changes = 0
        self._ended_with = ""
        self._release: Cancel | None = None
        self._companion: Cancel = lambda: None
        self.monitor = Monitor(
            folder.places.monitor, around.reactor, self._hear, self._conversation_began
        )
        asks = partial(addresses, folder.places.agent)
        self._agent = Agent(asks, around.reactor, self._addressed)
        around.reactor.watch(process.descriptor, self._process_ended)

    # What it is told. -----------------------------------------------------------------------

    def ask(self, command: str, **arguments: object) -> object:
        """What the monitor answers; raises HypervisorFailed."""
        return self.monitor.execute(
            command, arguments or None, within_seconds=self._around.patience
        )

    def interrupt(self, command: str, **arguments: object) -> object:
        """What the monitor answers even while QEMU is stuck; raises HypervisorFailed."""
        return self.monitor.interrupt(
            command, arguments or None, within_seconds=self._around.patience
        )

    def hand(self, name: str, descriptor: int) -> None:
        """Hand QEMU an open file under a name; ours stays open. Raises HypervisorFailed."""
        self.monitor.give(name, descriptor, within_seconds=self._around.patience)

    async def give(self, name: str, descriptor: int) -> None:
        """`hand`, for those who are in the reactor's thread."""
        await self.monitor.present(name, descriptor, within_seconds=self._around.patience)

    async def request(self, command: str, **arguments: object) -> object:
        """`ask`, for those who are in the reactor's thread."""
        return await self.monitor.ask(command, arguments, within_seconds=self._around.patience)

    def accompany(self, work: Coroutine[object, object, None]) -> None:
        """Let something run beside the guest that ends with it, or when it is watched no more.

        Whatever was beside it before is ended.
        """
        self._companion()
        self._companion = self._around.reactor.begin(work)
        if self.ended.is_set():
            self._companion()

    def ask_as_a_human(self, line: str) -> str:
        """What the human monitor answers, for the few things that QMP does not say."""
        return str(self.ask("human-monitor-command", **{"command-line": line}))

    def status(self, *, within_seconds: float | None = None) -> str:
        """QEMU's own word for what it is doing: its QMP reference, RunState."""
        seconds = self._around.patience if within_seconds is None else within_seconds
        return word_of(self.monitor.execute("query-status", within_seconds=seconds))

    def begin(self) -> None:
        """Let the vCPUs run for the first time."""
        self.settled = True
        self.unpause()

    async def set_off(self) -> None:
        """`begin`, for those who are in the reactor's thread."""
        before, self.settled, self.frozen = self.frozen, True, False
        try:
            await self.request("cont")
        except HypervisorFailed:
            self.frozen = before
            raise

    def stand_by(self) -> None:
        """Its vCPUs are to stand still for as long as it takes; its end is news from now on."""
        self.settled = True
        self.frozen = True

    def gone_on(self, progress: Progress) -> None:
        """Tell how far its move or save is, to whoever follows that."""
        self._around.gone_on(self.id, progress)

    def come_home(self, incoming: str) -> None:
        """Remember, and tell, that it was received and runs here; in the reactor's thread."""
        self._around.later(lambda: self._note_arrival(incoming))

    def catch_up(self) -> None:
        """Tell what happened while nobody cared, soon."""
        self._around.reactor.post(self._conversation_began)

    def pause(self) -> None:
        """Stop the vCPUs."""
        self._stop_pressing()
        self._expecting(frozen=True, command="stop")

    def unpause(self) -> None:
        """Let the vCPUs run."""
        self._expecting(frozen=False, command="cont")

    def power_down(self) -> None:
        """Press the power button, again and again until somebody notices.

        A press is lost without a word while the guest has no driver for the button.
        """
        self.ask("system_powerdown")
        self._stop_pressing()
        self._release = self._around.reactor.begin(self._press_on())

    def reset(self) -> None:
        """Press the reset button."""
        self._stop_pressing()
        self.ask("system_reset")

    def last_words(self) -> str:
        """Why its QEMU ended, as far as that is known."""
        how = f"Its QEMU ended with {self._ended_with or 'an unknown exit code'}"
        return f"{how}: {last_words(self.folder) or 'it said nothing'}."

    def end(self, number: signal.Signals) -> None:
        """Send the process a deadly signal; its end is then no news."""
        self._by_us = True
        self._stop_pressing()
        self._process.signal(number)

    def lives_on(self) -> None:
        """It did not die of `end`."""
        self._by_us = False

    def let_go(self) -> None:
        """Watch it no more; it lives on."""
        self._around.reactor.post(lambda: self._agent.is_there(False))
        self._stop_pressing()
        self._companion()
        self.monitor.close()
        self._around.reactor.forget(self._process.descriptor, self._process.close)

    def _expecting(self, *, frozen: bool, command: str) -> None:
        before, self.frozen = self.frozen, frozen
        try:
            self.ask(command)
        except HypervisorFailed:
            self.frozen = before
            raise

    async def _press_on(self) -> None:
        pause = _FIRST_PRESS_SECONDS
        while True:
            await sleep(pause)
            pause = min(1.5 * pause, _SLOWEST_PRESS_SECONDS)
            if self.ended.is_set() or self.ending is not None or self.frozen:
                return
            with suppress(HypervisorFailed):
                await self.monitor.ask("system_powerdown", within_seconds=self._around.patience)

    def _stop_pressing(self) -> None:
        if self._release is not None:
            self._release()

    # What happens to it, in the reactor's thread. -------------------------------------------

    def _hear(self, event: str, details: Details) -> None:
        match event:
            case "SHUTDOWN" if details.get("reason") == "guest-shutdown":
                self._powered_off()
            case "SHUTDOWN":
                self._words = f"QEMU was shut down ({details.get('reason')})."
            case "RESET":
                self._stop_pressing()
            case "BLOCK_IO_ERROR":
                self._words = disk_trouble(details)
            case "STOP":
                self._stands(frozen=True)
            case "RESUME":
                self._stands(frozen=False)
            case "MIGRATION" | "MIGRATION_PASS":
                self._crosses(word_of(details))
            case "VSERPORT_CHANGE" if details.get("id") == PORT:
                self._port_changes += 1
                self._agent.is_there(details.get("open") is True)
            case "JOB_STATUS_CHANGE" | "DEVICE_DELETED":
                self.stirred.set()

    def _crosses(self, status: str) -> None:
        """A migration has gone a step on, or begun another pass, of which it says no status."""
        if status:
            self.migration = status
            self.migrations.put(status)
        else:
            self.passes += 1
        self.stirred.set()

    def _conversation_began(self) -> None:
        if self.settled:
            # What happened while the monitor was silent was not heard.
            self._around.reactor.begin(self._catch_up())
            self._around.reactor.begin(self._look_for_the_agent())

    async def _catch_up(self) -> None:
        with suppress(HypervisorFailed):
            answer = await self.monitor.ask("query-status", within_seconds=self._around.patience)
            status = word_of(answer)
            if status == "shutdown":
                self._powered_off()
            else:
                self._stands(frozen=status != "running")

    async def _look_for_the_agent(self) -> None:
        before = self._port_changes
        with suppress(HypervisorFailed, msgspec.ValidationError):
            answer = await self.monitor.ask("query-chardev", within_seconds=self._around.patience)
            ports = msgspec.convert(answer, list[_Port])
            if self._port_changes == before:  # else QEMU has said something newer meanwhile
                there = any(port.label == PORT and port.frontend_open for port in ports)
                self._agent.is_there(there)

    def _addressed(self, mac: str, ip: str) -> None:
        if mac in {nic.mac for nic in self.cards.values()}:
            self._tell(News(self.id, Happening.ADDRESSED, mac=mac, ip=ip))

    def _stands(self, *, frozen: bool) -> None:
        moving = self.record.move is not None
        if moving or not self.settled or self.ending is not None or frozen == self.frozen:
            return
        self.frozen = frozen
        self._stop_pressing()
        what = Happening.FROZE if frozen else Happening.THAWED
        words = self._words or "Its QEMU was stopped through its monitor."
        self._tell(News(self.id, what, words=words if frozen else ""))
        self._words = ""

    def _powered_off(self) -> None:
        if self.ending is None:
            self.ending = Ending.POWERED_OFF
            self._stop_pressing()
            self._around.later(self._note_power_off)

    def _note_power_off(self) -> None:
        # First the word, then the deed: whoever finds the folder knows how the guest ended.
        with suppress(OSError):
            self.remember(lambda record: replace(record, ending=Ending.POWERED_OFF))
        self._around.reactor.begin(self._quit())

    def _note_arrival(self, incoming: str) -> None:
        # First it is told, for which somebody waits. Where it cannot be written, or was not yet,
        # whoever asks QEMU will find that it runs.
        self._around.tell(News(self.id, Happening.ARRIVED, incoming=incoming, running=self.running))
        with suppress(OSError):
            self.remember(at_home)
        self.catch_up()

    async def _quit(self) -> None:
        self._around.reactor.later(
            _QUIT_SECONDS, lambda: self._process.signal(signal.Signals.SIGKILL)
        )
        with suppress(HypervisorFailed):
            await self.monitor.ask("quit", within_seconds=_QUIT_SECONDS)

    def _process_ended(self) -> None:
        self._agent.is_there(False)
        self._stop_pressing()
        self.monitor.close()
        self._ended_with = self._process.close()
        self.migrations.put(GONE)
        self.ended.set()
        self._companion()
        self.stirred.set()
        self._around.later(self._report_end)

    def _report_end(self) -> None:
        self._around.over(self)
        was_to_end = self._by_us or self.record.ending is Ending.KILLED
        if self.settled and not was_to_end and self.record.move is not Move.LEFT:
            how = self.ending or self.record.ending or Ending.CRASHED
            words = "" if how is Ending.POWERED_OFF else self._words or self.last_words()
            self._around.tell(News(self.id, Happening.ENDED, how, words))

    def _tell(self, news: News) -> None:
        self._around.later(lambda: self._around.tell(news))

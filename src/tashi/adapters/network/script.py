"""The admin's way: a TAP for each card, joined to its network by the script of that number.

The script gets the TAP's name as its only argument. Which scripts there are says which networks
this host offers.
"""

from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from tashi.adapters.network.guard import Guard
from tashi.adapters.network.tap import device_names, opened_tap, tidied_after_failure
from tashi.domain.errors import CommandFailed, HypervisorFailed
from tashi.domain.identity import InstanceId, NetworkId
from tashi.domain.instance import Nic
from tashi.ports.commands import Commands
from tashi.ports.network import Cards, Tap, Wiring, named, tap_name

IFUP: Final = "/etc/qemu-ifup."
"""The scripts of the set-up guide; the number of the network follows."""

_SCRIPT_SECONDS: Final = 30.0


@dataclass(frozen=True, slots=True)
class ScriptNetworks:
    """Networks that `<prefix><network>` joins guests to."""

    commands: Commands
    guard: Guard
    prefix: str = IFUP

    def offered(self) -> tuple[NetworkId, ...] | None:
        """Those with a script."""
        pattern = Path(self.prefix)
        found = pattern.parent.glob(f"{pattern.name}*")
        numbers = {script.name.removeprefix(pattern.name) for script in found if script.is_file()}
        return tuple(sorted(NetworkId(int(one)) for one in numbers if one.isdecimal()))

    @contextmanager
    def wire(self, guest: InstanceId, cards: Cards) -> Iterator[Wiring]:
        """Make the TAPs and run the scripts."""
        with tidied_after_failure(self.tidy), ExitStack() as opened:
            wiring = {}
            for number, nic in cards.items():
                name = tap_name(guest, number)
                wiring[number] = Tap(opened.enter_context(opened_tap(name)))
                self.guard.watch({name: nic})
                self._join(name, nic)
            yield wiring

    def allow(self, guest: InstanceId, number: int, nic: Nic) -> None:
        """Let the guard know, if there is such a card."""
        name = tap_name(guest, number)
        if name in device_names():
            self.guard.watch({name: nic})

    def adopt(self, guests: Mapping[InstanceId, Cards]) -> None:
        """TAPs go away with their guests; what the guard keeps of them does not."""
        self.guard.begin(named(guests))

    def tidy(self) -> None:
        """Let the guard forget."""
        self.guard.tidy()

    def _join(self, name: str, nic: Nic) -> None:
        script = f"{self.prefix}{nic.network}"
        if not Path(script).is_file():
            raise HypervisorFailed(
                f"There is no {script} on this host, which would join guests to network "
                f"{nic.network}."
            )
        try:
            self.commands.run([script, name], timeout_seconds=_SCRIPT_SECONDS)
        except CommandFailed as failed:
            raise HypervisorFailed(f"{name} was not joined to its network: {failed}") from failed

"""A switch with its own machine, and hosts around it: made, found again, broken and removed.

    this machine ── switch ─┬─ host1      The cluster manager, the scheduler and DHCP for guests
     198.18.N.253    .254   ├─ host2      have their place on the switch's machine. All addresses
                            └─ host3 .3   are of RFC 2544's network for trials, which nobody routes.

In its folder `home` each machine sees as `own` a folder that is its alone, and as `mnt` the image
server. `make` makes what is missing, so a second one is quick; `remove` takes away all there is,
also of a set that was never finished.
"""

import os
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final
from uuid import uuid4

from tashi.domain.errors import CommandFailed, Misconfigured
from tashi.ports.commands import Commands, Descriptors
from tashi.programs.demo.machines import claims, wiring
from tashi.programs.demo.machines.namespace import NAMED, Namespace

_SECONDS: Final = 20.0
_LEASE_WORDS: Final = 3
_SWITCH: Final = "switch"
_OWN: Final = ("info", "scratch", "config", "etc", "run", "layer")
_DEVICES: Final = Path("/sys/class/net")


@dataclass(frozen=True, slots=True)
class Machine:
    """One pretended machine; `own` is its folder as everybody else sees it."""

    name: str
    address: str
    own: Path
    namespace: Namespace

    def inside(self) -> list[str]:
        """The words before a command that run it there, in the folder /; raises Failed."""
        return self.namespace.inside()

    def run(self, *command: str) -> str:
        """Run a command there and return what it says; raises Failed or CommandFailed."""
        return self.namespace.run(*command)

    def lose_store(self) -> None:
        """Take the image server away, whoever uses it."""
        self.run("umount", "--lazy", str(self._home / "mnt"))

    def find_store(self) -> None:
        """Give the image server back."""
        self.run("mount", "--bind", str(self._home / "store"), str(self._home / "mnt"))

    @property
    def _home(self) -> Path:
        return self.own.parents[1]


class Lab:
    """The machines of one folder. Whoever makes it must be root."""

    def __init__(
        self,
        home: Path,
        commands: Commands,
        *,
        hosts: int = 3,
        keeper: int = 0,
        by_hand: bool = True,
    ) -> None:
        """A claim on a number; nothing is made yet. Raises Misconfigured without root.

        `by_hand` has the hosts' VLANs made here, with the guide's scripts; otherwise Tashi makes
        them. With a `keeper` the machines are abandoned when that process has ended.
        """
        check_root()
        self.home = home
        self.number = claims.claim(home, keeper=keeper)
        self._commands = commands
        self._by_hand = by_hand
        self.switch = self._machine(_SWITCH, 254)
        self.hosts = tuple(self._machine(f"host{each}", each) for each in range(1, hosts + 1))

    @property
    def network(self) -> str:
        """The network that all machines are on, and this one."""
        return f"198.18.{self.number}.0/24"

    def make(self) -> None:
        """Make what is missing; raises Failed or CommandFailed."""
        sweep(self._commands)
        for folder in ("store/images", "store/suspend", "own", "mnt", "machines", "log"):
            (self.home / folder).mkdir(parents=True, exist_ok=True)
        if not self.switch.namespace.is_whole():
            _remove_set(self.number, self._commands)
            self._make_switch()
        for host in self.hosts:
            if not host.namespace.is_whole():
                self.boot(host)
        self._serve_dhcp()

    def remove(self) -> None:
        """End all that runs there and remove the machines; the folder stays. Raises Failed."""
        if claims.holder_of(self.number) == str(self.home):  # else they are gone, or another's
            _remove_set(self.number, self._commands)
            claims.release(self.number)

    def leases(self) -> dict[str, str]:
        """The address that DHCP gave to each MAC, the latest one."""
        file = self.switch.own / "leases"
        lines = file.read_text().splitlines() if file.exists() else []
        return {words[1]: words[2] for line in lines if len(words := line.split()) > _LEASE_WORDS}

    # ---- what befalls hosts ----------------------------------------------------------------------

    def boot(self, host: Machine) -> None:
        """Begin a host anew, as after a power cut: all that ran there is gone; its disk stays."""
        self.cut_power(host)
        host.namespace.make()
        switch, name = self.switch.namespace.name, host.namespace.name
        self._ip(wiring.cable(host.name, switch, "eth0", name))
        self._ip(wiring.port(host.name), switch)
        own = wiring.end_of_cable("eth0", host.address)
        self._ip([*own, *(wiring.vlans("eth0") if self._by_hand else ())], name)
        self._hold(host, scripts=self._by_hand)

    def cut_power(self, host: Machine) -> None:
        """End all that runs on a host, and take it off the switch."""
        host.namespace.remove()
        with suppress(CommandFailed):  # it may be gone with the namespace by now
            self._ip([f"link delete {host.name}"], self.switch.namespace.name)

    def unplug(self, host: Machine) -> None:
        """Pull the host's cable at the switch."""
        self._ip([f"link set {host.name} down"], self.switch.namespace.name)

    def plug(self, host: Machine) -> None:
        """Plug the host's cable in again."""
        self._ip([f"link set {host.name} up"], self.switch.namespace.name)

    # ---- making ---------------------------------------------------------------------------------

    def _machine(self, name: str, last: int) -> Machine:
        return Machine(
            name=name,
            address=f"198.18.{self.number}.{last}",
            own=self.home / "machines" / name,
            namespace=Namespace(f"tashi{self.number}-{name}", self._commands),
        )

    def _make_switch(self) -> None:
        name = self.switch.namespace.name
        self.switch.namespace.make()
        gateways = [f"{start}.1" for start in wiring.VLANS.values()]
        self._ip([*wiring.switch(self.switch.address), *wiring.vlans("switch", gateways)], name)
        outside = _outside(self.number)
        self._ip(wiring.cable("outside", name, outside))
        self._ip(wiring.port("outside"), name)
        self._ip(wiring.end_of_cable(outside, f"198.18.{self.number}.253"))
        self._hold(self.switch, scripts=False)

    def _hold(self, machine: Machine, *, scripts: bool) -> None:
        for folder in _OWN:
            (machine.own / folder).mkdir(parents=True, exist_ok=True)
        for vlan in wiring.VLANS if scripts else ():
            script = machine.own / "etc" / f"qemu-ifup.{vlan}"
            script.write_text(wiring.ifup(vlan))
            script.chmod(0o755)
        (machine.own / "boot-id").write_text(f"{uuid4()}\n")
        seen = {machine.own: self.home / "own", self.home / "store": self.home / "mnt"}
        machine.namespace.hold(machine.name, machine.own / "etc", machine.own / "layer", seen)

    def _serve_dhcp(self) -> None:
        if any("dnsmasq" in command for command in self.switch.namespace.processes().values()):
            return
        ranges = [
            f"--dhcp-range={start}.50,{start}.250,255.255.255.0,1h"
            for start in wiring.VLANS.values()
        ]
        self.switch.run(
            *("dnsmasq", "--conf-file=/dev/null", "--user=root", "--port=0", "--no-resolv"),
            *("--dhcp-authoritative", "--no-ping", "--bind-interfaces", "--log-dhcp"),
            *(f"--interface=vmbr.{vlan}" for vlan in wiring.VLANS),
            *ranges,
            f"--dhcp-leasefile={self.home}/own/leases",
            f"--pid-file={self.home}/own/run/dnsmasq.pid",
            f"--log-facility={self.home}/log/dnsmasq.log",
        )

    def _ip(self, lines: Sequence[str], namespace: str = "") -> None:
        _ip(self._commands, lines, namespace)


def check_root() -> None:
    """Raise Misconfigured when this process may not make machines."""
    if os.geteuid() != 0:
        raise Misconfigured("Several hosts on one machine take network namespaces: be root.")


def sweep(commands: Commands) -> None:
    """Remove the machines of every abandoned claim."""
    for number, claim in list(claims.claims()):
        if claim.is_abandoned:
            _remove_set(number, commands)
            claims.release(number)


def _remove_set(number: int, commands: Commands) -> None:
    names = [each.name for each in NAMED.glob(f"tashi{number}-*")] if NAMED.is_dir() else []
    for name in names:
        Namespace(name, commands).kill()
    if (_DEVICES / _outside(number)).exists():
        _ip(commands, [f"link delete {_outside(number)}"])
    for name in names:
        Namespace(name, commands).remove()


def _outside(number: int) -> str:
    """This machine's own end of its cable to the switch."""
    return f"tashinet{number}"


def _ip(commands: Commands, lines: Sequence[str], namespace: str = "") -> None:
    words = os.memfd_create("ip")
    try:
        os.write(words, "".join(f"{line}\n" for line in lines).encode())
        os.lseek(words, 0, os.SEEK_SET)
        commands.run(
            ["ip", *(("-n", namespace) if namespace else ()), "-batch", "-"],
            timeout_seconds=_SECONDS,
            descriptors=Descriptors(source=words),
        )
    finally:
        os.close(words)

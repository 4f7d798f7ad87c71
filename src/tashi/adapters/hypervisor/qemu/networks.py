"""How a guest's network cards reach their networks: QEMU's own network, or a TAP and a script.

`UserNetworks` needs no root: QEMU itself plays the router, and offers ports of the guest on free
ports of the host's loopback. The kernel chooses those ports while QEMU binds them, so there is no
moment in which another program could take one; afterwards QEMU is asked which they are.

`ScriptNetworks` makes a TAP, hands its name to `/etc/qemu-ifup.<network>`, which joins it to a
bridge, and hands the open TAP to QEMU. The TAP is not persistent: it is gone with the last process
that has it open, whoever dies how, and none is ever left over.
"""

import fcntl
import os
import re
import struct
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final, Protocol

from tashi.adapters.hypervisor.qemu.command_line import netdev
from tashi.domain.errors import CommandFailed, HypervisorFailed
from tashi.domain.instance import Forward, Nic
from tashi.ports.commands import Commands
from tashi.ports.hypervisor import GuestSpec

IFUP: Final = "/etc/qemu-ifup."
"""The scripts of the set-up guide; the number of the network follows."""

_SCRIPT_SECONDS: Final = 30.0
_TUN: Final = "/dev/net/tun"
_TUNSETIFF: Final = 0x400454CA
_IFF_TAP: Final = 0x0002
_IFF_NO_PI: Final = 0x1000
_IFF_VNET_HDR: Final = 0x4000
_LONGEST_NAME: Final = 15
_SECTION: Final = re.compile(r"^\S.*\((?P<netdev>[^)]+)\):")
_FORWARD: Final = re.compile(
    r"^\s+TCP\[HOST_FORWARD\]\s+\d+\s+\S+\s+(\d+)\s+\S+\s+(\d+)\s", re.MULTILINE
)

Asks = Callable[[str], str]
"""A command for QEMU's human monitor, and its answer."""


@dataclass(frozen=True, slots=True)
class Wiring:
    """The -netdev value of each card, and the open files that QEMU must inherit for them."""

    netdevs: tuple[str, ...]
    descriptors: tuple[int, ...] = ()


class Networks(Protocol):
    """One way in which guests reach their networks."""

    def wire(self, spec: GuestSpec) -> AbstractContextManager[Wiring]:
        """Make ready what QEMU needs; what it has not inherited by the end is gone again.

        Raises HypervisorFailed.
        """
        ...

    def seen(self, nics: tuple[Nic, ...], asks: Asks) -> tuple[Nic, ...]:
        """The cards, with what is known of them once QEMU has started."""
        ...


@dataclass(frozen=True, slots=True)
class UserNetworks:
    """QEMU's own network; `forward` are the guest ports that loopback ports lead to."""

    forward: tuple[int, ...] = ()

    @contextmanager
    def wire(self, spec: GuestSpec) -> Iterator[Wiring]:
        """Nothing to make ready: the host port 0 has the kernel choose one."""
        rules = "".join(f",hostfwd=tcp:127.0.0.1:0-:{port}" for port in self.forward)
        # The host name is for QEMU's own DHCP server to tell.
        cards = (netdev("user", number, hostname=spec.name) for number, _ in enumerate(spec.nics))
        yield Wiring(tuple(card + rules for card in cards))

    def seen(self, nics: tuple[Nic, ...], asks: Asks) -> tuple[Nic, ...]:
        """The cards with their forwarded ports."""
        if not nics or not self.forward:
            return nics
        forwards = read_forwards(asks("info usernet"))
        return tuple(
            replace(nic, forwards=forwards.get(f"net{number}", ()))
            for number, nic in enumerate(nics)
        )


@dataclass(frozen=True, slots=True)
class ScriptNetworks:
    """A TAP for each card, joined to its network by the script `<prefix><network>`."""

    commands: Commands
    prefix: str = IFUP

    @contextmanager
    def wire(self, spec: GuestSpec) -> Iterator[Wiring]:
        """Make the TAPs and run the scripts."""
        with ExitStack() as opened:
            descriptors = []
            for number, nic in enumerate(spec.nics):
                name = f"tashi{spec.instance_id}.{number}"
                descriptor = _open_tap(name)
                opened.callback(os.close, descriptor)
                self._join(name, nic)
                descriptors.append(descriptor)
            netdevs = (netdev("tap", n, fd=fd) for n, fd in enumerate(descriptors))
            yield Wiring(tuple(netdevs), tuple(descriptors))

    def seen(self, nics: tuple[Nic, ...], asks: Asks) -> tuple[Nic, ...]:  # noqa: ARG002
        """The cards as they are."""
        return nics

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


def read_forwards(usernet: str) -> dict[str, tuple[Forward, ...]]:
    """The forwarded ports of each netdev, from what `info usernet` answers."""
    found: dict[str, tuple[Forward, ...]] = {}
    current = ""
    for line in usernet.splitlines():
        if section := _SECTION.match(line):
            current = section["netdev"]
        elif rule := _FORWARD.match(line + " "):
            forward = Forward(guest_port=int(rule[2]), host_port=int(rule[1]))
            found[current] = (*found.get(current, ()), forward)
    return found


def _open_tap(name: str) -> int:
    if len(name) > _LONGEST_NAME:
        raise HypervisorFailed(f"{name} is too long a name for a network device.")
    request = struct.pack("16sH22x", name.encode(), _IFF_TAP | _IFF_NO_PI | _IFF_VNET_HDR)
    descriptor = -1
    try:
        descriptor = os.open(_TUN, os.O_RDWR | os.O_NONBLOCK)
        fcntl.ioctl(descriptor, _TUNSETIFF, request)
    except OSError as error:
        if descriptor >= 0:
            os.close(descriptor)
        raise HypervisorFailed(
            f"The TAP {name} cannot be made: {error.strerror}. It needs root and {_TUN}; without "
            "them, set network = user in [NodeManager]."
        ) from error
    return descriptor

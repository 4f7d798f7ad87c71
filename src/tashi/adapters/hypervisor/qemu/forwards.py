"""Which ports of the host lead to a guest in QEMU's own network, as its human monitor says."""

import re
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Final

from tashi.adapters.hypervisor.qemu.devices import cards
from tashi.domain.instance import Forward, Nic

QUESTION: Final = "info usernet"

_RULE: Final = ",hostfwd="
_SECTION: Final = re.compile(r"^\S.*\((?P<netdev>[^)]+)\):")
_FORWARD: Final = re.compile(
    r"^\s+TCP\[HOST_FORWARD\]\s+\d+\s+\S+\s+(\d+)\s+\S+\s+(\d+)\s", re.MULTILINE
)


def rules(ports: Sequence[int]) -> str:
    """What a -netdev value ends with to offer these guest ports on free ports of loopback."""
    return "".join(f"{_RULE}tcp:127.0.0.1:0-:{port}" for port in ports)


def has_forwards(command: Sequence[str]) -> bool:
    """Whether a QEMU of that command line offers ports, so that it has to be asked for them."""
    return any(_RULE in word for word in command)


def netdev(number: int) -> str:
    """QEMU's name for the network side of the card with that number."""
    return f"net{number}"


def with_forwards(
    nics: tuple[Nic, ...], answer: str, named: Callable[[int], str] = netdev
) -> tuple[Nic, ...]:
    """The cards with their forwarded ports."""
    forwards = read_forwards(answer)
    return tuple(
        replace(nic, forwards=forwards.get(named(number), ()))
        for number, nic in cards(nics).items()
    )


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

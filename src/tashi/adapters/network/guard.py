"""What a guest's card may send: nothing in another's name. Kept by nftables, in the bridge family.

In the table `tashi` each TAP has a chain of its own name; a map leads to it from the hook that
every packet passes before a bridge looks at it. A card may send from its own MAC address only, in
ARP as well; once its IP address is known, from that address only, but for what it needs to get one:
DHCP, and in IPv6 what belongs to its own cable. In IPv6 a card has many addresses and changes them,
so there it is held to the /64 of the known one. An IPv4 address says nothing of IPv6, nor the other
way round. VLAN tags would lead into other networks, so none pass to or from guests. Nor does what a
DHCP server says: its word for a neighbour's address would be taken, and the neighbour held to it.

Every change is one transaction of the kernel's: at no moment is half of it in force. What others
take away is put back as soon as `vigil` hears of it.
"""

import json
import os
import re
import threading
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network
from logging import getLogger
from shutil import which
from typing import Any, Final, Protocol

from tashi.adapters.network.tap import device_names
from tashi.domain.errors import CommandFailed, HypervisorFailed
from tashi.domain.instance import Nic
from tashi.ports.commands import Commands, Descriptors

_log = getLogger(__name__)

_NAME: Final = "tashi"
_TABLE: Final = f"bridge {_NAME}"
_NFT_SECONDS: Final = 20.0
_TAGS: Final = "ether type { 8021q, 8021ad } drop"
_DHCP_SERVERS: Final = "udp sport { 67, 547 } drop"
_MAC: Final = re.compile(r"[0-9a-f]{2}(:[0-9a-f]{2}){5}")
_BEFORE_BRIDGES: Final = "{ type filter hook prerouting priority -300 ; policy accept ; }"
_AFTER_BRIDGES: Final = "{ type filter hook postrouting priority 300 ; policy accept ; }"
_FRAME: Final = (
    f"add table {_TABLE}",
    f"add map {_TABLE} cards {{ type ifname : verdict ; }}",
    f"add chain {_TABLE} from_guests {_BEFORE_BRIDGES}",
    f"add chain {_TABLE} to_guests {_AFTER_BRIDGES}",
    f"flush chain {_TABLE} from_guests",
    f"flush chain {_TABLE} to_guests",
    f"add rule {_TABLE} from_guests iifname vmap @cards",
    f'add rule {_TABLE} to_guests oifname "tashi*" {_TAGS}',
)
_NOTHING: Final = (f"add table {_TABLE}", f"delete table {_TABLE}")


class Guard(Protocol):
    """Keeps cards from sending in another's name; cards are given by the names of their TAPs."""

    def watch(self, cards: Mapping[str, Nic]) -> None:
        """Let these TAPs, which are there, send as their cards only; raises HypervisorFailed."""
        ...

    def begin(self, cards: Mapping[str, Nic]) -> None:
        """Watch these TAPs and no others; raises HypervisorFailed."""
        ...

    def tidy(self) -> None:
        """Forget TAPs that are gone; raises HypervisorFailed."""
        ...


class Nftables:
    """A guard that is a table of nftables; it remembers what should be in it."""

    def __init__(self, commands: Commands) -> None:
        self._commands = commands
        self._cards: dict[str, Nic] = {}
        # An admin who became root by `su` alone has no sbin on the path.
        self._program = (
            which("nft", path=f"{os.environ.get('PATH', os.defpath)}:/usr/sbin:/sbin") or "nft"
        )
        self._changing = threading.Lock()

    def watch(self, cards: Mapping[str, Nic]) -> None:
        """Set the chains of these TAPs."""
        with self._changing:
            self._change(*_FRAME, *_chains(cards))
            self._cards.update(cards)

    def begin(self, cards: Mapping[str, Nic]) -> None:
        """Set the whole table anew."""
        with self._changing:
            there = device_names()
            known = {tap: nic for tap, nic in cards.items() if tap in there}
            self._cards = known
            self._set_anew()

    def mend(self) -> None:
        """Put back what somebody else took away, if anything; raises HypervisorFailed."""
        with self._changing:
            there = device_names()
            self._cards = {tap: nic for tap, nic in self._cards.items() if tap in there}
            if self._cards and not self._is_whole():
                self._set_anew()
                _log.warning(
                    "Somebody removed rules from the table %s: what %d cards may send is limited "
                    "again.",
                    *(_TABLE, len(self._cards)),
                )

    def tidy(self) -> None:
        """Remove the chains of TAPs that are gone."""
        with self._changing:
            there = device_names()
            self._cards = {tap: nic for tap, nic in self._cards.items() if tap in there}
            watched = self._watched()
            gone = watched - there
            if gone:
                self._change(*(_NOTHING if gone == watched else _without(sorted(gone))))

    def dismiss(self) -> None:
        """Remove the table."""
        self._change(*_NOTHING)

    def _set_anew(self) -> None:
        self._change(*_NOTHING, *(_FRAME if self._cards else ()), *_chains(self._cards))

    def _is_whole(self) -> bool:
        """Whether every chain has as many rules as it should, and every card leads to its own."""
        listed = self._listed("ruleset")
        ours = [entry["rule"] for entry in listed if "rule" in entry]
        there = Counter(one["chain"] for one in ours if one["table"] == _NAME)
        wanted = {tap: len(tuple(rules(nic))) for tap, nic in self._cards.items()}
        maps = [entry["map"] for entry in listed if "map" in entry]
        led = {tap for one in maps if one["table"] == _NAME for tap, _ in one.get("elem", ())}
        counts = {"from_guests": 1, "to_guests": 1, **wanted}
        return there == counts and led == set(wanted)

    def _listed(self, *what: str) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = json.loads(self._nft("-j", "list", *what, "bridge"))[
            "nftables"
        ]
        return found

    def _watched(self) -> set[str]:
        listed = self._listed("chains")
        chains = [entry["chain"] for entry in listed if "chain" in entry]
        return {one["name"] for one in chains if one["table"] == _NAME and "hook" not in one}

    def _change(self, *lines: str) -> None:
        script = os.memfd_create("nftables")
        try:
            os.write(script, "\n".join(lines).encode())
            os.lseek(script, 0, os.SEEK_SET)
            self._nft("-f", "-", source=script)
        finally:
            os.close(script)

    def _nft(self, *arguments: str, source: int | None = None) -> str:
        try:
            return self._commands.run(
                [self._program, *arguments],
                timeout_seconds=_NFT_SECONDS,
                descriptors=Descriptors(source=source),
            )
        except CommandFailed as failed:
            raise HypervisorFailed(
                f"What guests may send cannot be limited: {failed} It needs nftables; without it, "
                "set antiSpoofing = off in [NodeManager]."
            ) from failed


class NoGuard:
    """Lets every card send what it likes."""

    def __init__(self, commands: Commands) -> None:
        self._commands = commands

    def watch(self, cards: Mapping[str, Nic]) -> None:
        """Nothing to do."""

    def begin(self, cards: Mapping[str, Nic]) -> None:  # noqa: ARG002  other guards need it
        """End what an earlier node manager kept from being sent."""
        with suppress(HypervisorFailed):  # where there is no nft, it was not used before
            Nftables(self._commands).dismiss()

    def tidy(self) -> None:
        """Nothing is left."""


def _chains(cards: Mapping[str, Nic]) -> Iterator[str]:
    for tap, nic in cards.items():
        yield f"add chain {_TABLE} {tap}"
        yield f"flush chain {_TABLE} {tap}"
        yield from (f"add rule {_TABLE} {tap} {rule}" for rule in rules(nic))
        yield f'add element {_TABLE} cards {{ "{tap}" : jump {tap} }}'


def _without(taps: Iterable[str]) -> Iterator[str]:
    for tap in taps:
        yield f'delete element {_TABLE} cards {{ "{tap}" : jump {tap} }}'
        yield f"delete chain {_TABLE} {tap}"


def rules(nic: Nic) -> Iterator[str]:
    """What is dropped of a card's packets, in nftables' words; raises HypervisorFailed."""
    mac, address = _checked(nic)
    yield f"ether saddr != {mac} drop"
    yield _TAGS
    yield _DHCP_SERVERS
    yield f"arp saddr ether != {mac} drop"
    if isinstance(address, IPv4Address):
        # A sender of 0.0.0.0 asks whether an address is free (RFC 5227).
        yield f"arp saddr ip != {{ 0.0.0.0, {address} }} drop"
        yield "ip saddr 0.0.0.0 udp sport 68 udp dport 67 accept"
        yield f"ip saddr != {address} drop"
    elif address is not None:
        cable = ip_network((int(address), 64), strict=False)
        yield f"ip6 saddr != {{ ::, fe80::/10, {cable} }} drop"
        # Whose address is it? Mine, says a neighbour advertisement, from byte 8 on (RFC 4861).
        begins = int(cable.network_address) >> 64
        yield f"icmpv6 type nd-neighbor-advert @th,64,10 != 0x3fa @th,64,64 != {begins:#018x} drop"


def _checked(nic: Nic) -> tuple[str, IPv4Address | IPv6Address | None]:
    # Both come from the books, which have checked them; they become commands here, so look again.
    if not _MAC.fullmatch(nic.mac):
        raise HypervisorFailed(f"{nic.mac!r} is no MAC address.")
    try:
        return nic.mac, None if nic.ip is None else ip_address(nic.ip)
    except ValueError as wrong:
        raise HypervisorFailed(f"{nic.ip!r} is no IP address.") from wrong

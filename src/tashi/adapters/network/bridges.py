"""Bridges that Tashi makes: what the set-up guide does by hand, done when a guest needs it.

For network N there is the bridge `vmbr.N`, joined to the VLAN or VXLAN of that number; for the
untagged network, `vmbr` and the uplink itself. Whatever of this is there already is adopted and
left as it is. What was made is removed once no guest, no address of the host's and nobody else's
device needs it. Nothing is remembered: each time, the machine is looked at.
"""

import threading
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from logging import getLogger
from typing import Final

from tashi.adapters.network.guard import Guard
from tashi.adapters.network.links import Link, Links, Steps, opened_links
from tashi.adapters.network.tap import device_names, opened_tap, tidied_after_failure
from tashi.adapters.network.uplinks import Uplinks
from tashi.domain.errors import HypervisorFailed
from tashi.domain.identity import InstanceId, NetworkId
from tashi.domain.instance import Nic
from tashi.ports.network import Cards, Tap, Wiring, named, tap_name
from tashi.settings.sections.bridges import BridgesSettings

_log = getLogger(__name__)

_HOST_SIDE: Final = "fe"


class BridgeNetworks:
    """Networks as [Bridges] describes them."""

    def __init__(
        self, settings: BridgesSettings, guard: Guard, on_step: Steps = lambda _: None
    ) -> None:
        """`on_step` is told how far a card is on its way to its network. Raises Misconfigured."""
        self._on_step = on_step
        self._uplinks = Uplinks(settings)
        self._guard = guard
        self._offered = tuple(sorted(NetworkId(one) for one in set(settings.networks)))
        self._changing = threading.Lock()

    def offered(self) -> tuple[NetworkId, ...] | None:
        """Those that were configured."""
        return self._offered or None

    @contextmanager
    def wire(self, guest: InstanceId, cards: Cards) -> Iterator[Wiring]:
        """Make TAPs and whatever of their networks is missing; join them while QEMU begins."""
        with tidied_after_failure(self.tidy), ExitStack() as opened:
            wiring = {}
            for number, nic in cards.items():
                descriptor = opened.enter_context(opened_tap(tap_name(guest, number)))
                wiring[number] = Tap(descriptor, self._mtu(nic))
            yield wiring
            for number, nic in cards.items():
                self._join(tap_name(guest, number), nic)

    def allow(self, guest: InstanceId, number: int, nic: Nic) -> None:
        """Let the guard know, if there is such a card."""
        name = tap_name(guest, number)
        if name in device_names():
            self._guard.watch({name: nic})

    def adopt(self, guests: Mapping[InstanceId, Cards]) -> None:
        """Join again what lost its bridge, and remove what nobody uses."""
        for guest, cards in guests.items():
            for number, nic in cards.items():
                self._rejoin(tap_name(guest, number), nic)
        with self._changing, opened_links() as links:
            self._uplinks.finish(links)
        self._remove_unused()
        self._guard.begin(named(guests))

    def tidy(self) -> None:
        """Remove bridges and uplinks of ours that nobody uses."""
        self._remove_unused()
        self._guard.tidy()

    def _remove_unused(self) -> None:
        with self._changing, opened_links() as links:
            for link in self._uplinks.unused(links):
                _log.info("Removing %s, which no guest uses any more.", link.name)
                links.remove(link)

    def _mtu(self, nic: Nic) -> int:
        """How long packets may be in a card's network, which is there from now on."""
        with self._changing, opened_links(self._on_step) as links:
            self._on_step("tap")
            _, mtu = self._bridge(nic, links)
            return mtu

    def _join(self, tap: str, nic: Nic) -> None:
        """Lead a TAP to its network."""
        with self._changing, opened_links(self._on_step) as links:
            bridge, mtu = self._bridge(nic, links)
            self._on_step("joined")
            self._guard.watch({tap: nic})
            self._on_step("guarded")
            # A bridge takes the lowest address of its ports, unless it was given one; this is not.
            links.plug(tap, bridge, _HOST_SIDE + nic.mac[2:], mtu)
            self._on_step("plugged")

    def _bridge(self, nic: Nic, links: Links) -> tuple[Link, int]:
        if self._offered and nic.network not in self._offered:
            raise HypervisorFailed(
                f"This host does not offer network {nic.network}: networks in [Bridges] of its "
                "configuration does not name it."
            )
        return self._uplinks.bridge(nic.network, links)

    def _rejoin(self, tap: str, nic: Nic) -> None:
        try:
            with opened_links() as links:
                link = links.find(tap)
            if link is not None and link.master is None:
                self._join(tap, nic)
                _log.warning("%s had lost its network and was joined to it again.", tap)
        except HypervisorFailed as failed:
            _log.warning("%s has lost its network: %s", tap, failed)

"""Real guests on bridges that Tashi makes: heard from another host, moved there, and gone."""

import shutil
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from contracts.machines import QemuMachine, a_spec
from frames import Card, guest_on
from namespaces import Namespace, cable, namespaces
from tashi.adapters.hypervisor.qemu.hypervisor import Qemu
from tashi.adapters.hypervisor.qemu.road import Road
from tashi.adapters.network.bridges import BridgeNetworks
from tashi.adapters.network.guard import Nftables
from tashi.adapters.system.commands import SystemCommands
from tashi.domain.identity import InstanceId, Mib, NetworkId
from tashi.domain.instance import Nic
from tashi.settings.sections.bridges import BridgesSettings

pytestmark = [pytest.mark.system, pytest.mark.qemu, pytest.mark.timeout(300)]

SEVEN = InstanceId(7)
NIC = Nic(NetworkId(5), "52:54:00:00:00:01")
OBSERVER = Nic(NetworkId(5), "52:54:00:00:00:09")
IPV4, REVERSE_ARP = 0x0800, 0x8035
BOOT_SECONDS = 120.0


class Host:
    """A namespace with a hypervisor whose guests are on bridges."""

    def __init__(self, namespace: Namespace, machine: QemuMachine, address: str) -> None:
        self.namespace = namespace
        self.machine = machine
        self.address = address
        self.qemu = self.opened()

    def opened(self) -> Qemu:
        return self.namespace.call(
            Qemu,
            self.machine.settings(),
            self.machine.folder,
            networks(),
            SystemCommands(),
            lambda _: None,
            Road(self.address),
        )

    def restart(self) -> None:
        """A node manager that ends, and the next one."""
        self.qemu.close()
        self.qemu = self.opened()
        self.namespace.call(self.qemu.adopt)

    def is_bare_soon(self) -> bool:
        """Whether its network card is all that it has, and no packet filter."""
        deadline = time.monotonic() + 60.0
        while self.namespace.devices() != {"eth0"} or self.namespace.run("nft", "list", "ruleset"):
            if time.monotonic() > deadline:
                return False
            time.sleep(0.02)
        return True


def networks() -> BridgeNetworks:
    settings = BridgesSettings(
        uplink="eth0", uplink_kind="vxlan", vxlan_peers=("10.9.9.1", "10.9.9.2")
    )
    return BridgeNetworks(settings, Nftables(SystemCommands()))


@pytest.fixture
def hosts(guest_image: Path) -> Iterator[tuple[Host, Host]]:
    first = QemuMachine.made()
    second = first.neighbour()
    shutil.copy(guest_image, first.images / "guest.qcow2")
    with namespaces(2) as made:
        cable(made[0], made[1])
        here = Host(made[0], first, "10.9.9.1")
        there = Host(made[1], second, "10.9.9.2")
        yield here, there
        for host in (here, there):
            host.qemu.close()
        second.close()
        first.close()


def heard_from_the_guest(observer: Card, kind: int) -> bytes:
    deadline = time.monotonic() + BOOT_SECONDS
    mac = bytes.fromhex(NIC.mac.replace(":", ""))
    while True:
        frame = observer.next_of({kind}, within_seconds=deadline - time.monotonic())
        if frame[6:12] == mac:
            return frame


def test_a_guest_on_a_bridge_is_heard_on_other_hosts_and_moves_between_them(
    hosts: tuple[Host, Host],
) -> None:
    here, there = hosts
    spec = a_spec(image="guest.qcow2", memory=Mib(128), nics=(NIC,))

    with guest_on(there.namespace, networks(), OBSERVER, 9) as observer:
        here.namespace.call(here.qemu.start, spec)
        question = heard_from_the_guest(observer, IPV4)
        here.restart()
        door = there.namespace.call(there.qemu.prepare_target, spec, here.address)
        here.namespace.call(here.qemu.send, SEVEN, door)
        there.namespace.call(there.qemu.run, SEVEN)
        here.namespace.call(here.qemu.kill, SEVEN)
        announced = heard_from_the_guest(observer, REVERSE_ARP)
        left = here.is_bare_soon()
        arrived = there.namespace.devices()
        guarded = there.namespace.run("nft", "list", "ruleset")
        there.namespace.call(there.qemu.kill, SEVEN)
    gone = there.is_bare_soon()

    assert question[34:38] == bytes.fromhex("00440043")  # from the client's port to the server's
    assert announced[6:12] == bytes.fromhex("525400000001")
    assert arrived == {"eth0", "vxlan.5", "vmbr.5", "tashi7.0", "tashi9.0"}
    assert f"ether saddr != {NIC.mac} drop" in guarded
    assert left
    assert gone


def test_a_guest_that_dies_leaves_nothing_of_its_network(hosts: tuple[Host, Host]) -> None:
    here, _ = hosts
    running = here.namespace.call(here.qemu.start, a_spec(nics=(NIC,)))
    during = here.namespace.devices()

    here.machine.crash(running)

    assert during == {"eth0", "vxlan.5", "vmbr.5", "tashi7.0"}
    assert here.is_bare_soon()

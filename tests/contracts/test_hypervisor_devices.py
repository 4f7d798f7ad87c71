"""What every hypervisor promises of devices that are plugged, displays and keyboards."""

from dataclasses import replace

import pytest

from contracts.machines import (
    A_NIC,
    IDLE,
    POWERS_OFF,
    SPEAKS,
    a_spec,
)
from tashi.domain.errors import NoSuchVm
from tashi.domain.identity import InstanceId
from tashi.domain.instance import Disk
from tashi.ports.hypervisor import Hypervisor

SEVEN = InstanceId(7)
MORE_DISK = Disk(SPEAKS, port=1)
MORE_NIC = replace(A_NIC, mac="52:54:00:12:34:57", port=2)


def test_disks_cards_and_cds_go_into_a_running_guest_once(hypervisor: Hypervisor) -> None:
    plain = a_spec(image=IDLE)
    hypervisor.start(plain)

    full = replace(plain, disks=(*plain.disks, MORE_DISK), nics=(A_NIC, MORE_NIC), cdrom=POWERS_OFF)
    running = hypervisor.alter(full)
    again = hypervisor.alter(full)
    without_cd = hypervisor.alter(replace(full, cdrom=""))

    assert [nic.mac for nic in running.nics] == [A_NIC.mac, MORE_NIC.mac]
    assert again == running == without_cd


def test_a_guest_starts_with_what_was_plugged_in(hypervisor: Hypervisor) -> None:
    full = a_spec(disks=(Disk(IDLE), MORE_DISK), nics=(A_NIC, MORE_NIC), cdrom=POWERS_OFF)

    running = hypervisor.start(full)

    assert [nic.mac for nic in running.nics] == [A_NIC.mac, MORE_NIC.mac]


def test_nothing_is_plugged_into_a_guest_that_is_not_here(hypervisor: Hypervisor) -> None:
    with pytest.raises(NoSuchVm):
        hypervisor.alter(a_spec())


def test_a_display_is_shown_on_a_port_or_on_a_socket(hypervisor: Hypervisor) -> None:
    hypervisor.start(a_spec())

    on_a_port = hypervisor.start_vnc(SEVEN, "secret", on_socket=False)
    on_a_socket = hypervisor.start_vnc(SEVEN, "secret", on_socket=True)
    hypervisor.stop_vnc(SEVEN)
    hypervisor.stop_vnc(SEVEN)

    assert (on_a_port.port > 0, on_a_port.socket) == (True, "")
    assert (on_a_socket.port, bool(on_a_socket.socket)) == (0, True)


def test_nothing_is_shown_of_a_guest_that_is_not_here(hypervisor: Hypervisor) -> None:
    with pytest.raises(NoSuchVm):
        hypervisor.start_vnc(SEVEN, "secret", on_socket=True)
    with pytest.raises(NoSuchVm):
        hypervisor.stop_vnc(SEVEN)
    with pytest.raises(NoSuchVm):
        hypervisor.type_in(SEVEN, b"x")


def test_a_guest_takes_up_what_is_typed(hypervisor: Hypervisor) -> None:
    hypervisor.start(a_spec(image=SPEAKS))

    hypervisor.type_in(SEVEN, b"x")

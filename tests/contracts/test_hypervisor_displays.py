"""What only a real QEMU can show of a guest: its display, and what is in its CD drive."""

import socket
from dataclasses import replace
from pathlib import Path

import pytest

import viewer
from contracts.conftest import REAL_MACHINES
from contracts.machines import IDLE, POWERS_OFF, SPEAKS, a_spec
from tashi.adapters.hypervisor.qemu.hypervisor import Qemu
from tashi.domain.identity import InstanceId

pytestmark = pytest.mark.parametrize("machine", REAL_MACHINES, indirect=True)

Real = Qemu
"""Or Libvirt, which is asked in the same way."""
SEVEN = InstanceId(7)
SECONDS = 10


def medium(hypervisor: Real) -> str | None:
    """The file in the CD drive, by QEMU's word."""
    drives = hypervisor._guests.known(SEVEN).ask("query-block")
    assert isinstance(drives, list)
    [drive] = [one for one in drives if one["removable"]]
    return Path(drive["inserted"]["file"]).name if "inserted" in drive else None


def test_nobody_sees_a_display_without_the_password(hypervisor: Real) -> None:
    hypervisor.start(a_spec())

    screen = hypervisor.start_vnc(SEVEN, "secret", on_socket=False)
    with socket.create_connection((screen.address, screen.port), SECONDS) as line:
        offered = viewer.offered(line)
    hypervisor.stop_vnc(SEVEN)

    assert screen.address == "127.0.0.1"
    assert offered == bytes([viewer.PASSWORD])
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection((screen.address, screen.port), SECONDS)


def test_a_display_on_a_socket_is_private_and_outlives_the_node_manager(
    hypervisor: Real,
) -> None:
    hypervisor.start(a_spec())
    screen = hypervisor.start_vnc(SEVEN, "secret", on_socket=True)

    hypervisor.close()
    with socket.socket(socket.AF_UNIX) as line:
        line.connect(screen.socket)
        offered = viewer.offered(line)

    assert offered == bytes([viewer.PASSWORD])
    assert Path(screen.socket).stat().st_mode & 0o077 == 0


def test_a_cd_is_in_the_drive_until_another_is_or_it_is_taken_out(hypervisor: Real) -> None:
    plain = a_spec(image=IDLE)
    hypervisor.start(plain)

    seen = [medium(hypervisor)]
    for cd in (POWERS_OFF, SPEAKS, ""):
        hypervisor.alter(replace(plain, cdrom=cd))
        seen.append(medium(hypervisor))

    assert seen == [None, POWERS_OFF, SPEAKS, None]

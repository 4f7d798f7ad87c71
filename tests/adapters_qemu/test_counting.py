"""What the kernel counts, as /proc writes it."""

from pathlib import Path

import pytest

from tashi.adapters.hypervisor.qemu.counting import Link, read_cpu_nanoseconds, read_links

LINKS = """\
Inter-|   Receive                                                |  Transmit
 face |bytes    packets errs drop fifo frame compressed multicast|bytes    packets errs drop
    lo: 2776770   11307    0    0    0     0          0         0  2776770   11307    0    0
tashi7.0: 1215645    2751    0    0    0     0          0         0  1782404    4324    0    0
  eth0:18446744073709551615 1 0 0 0 0 0 0 2 3 0 0 0 0 0 0
"""


def test_every_device_is_read() -> None:
    assert read_links(LINKS) == {
        "lo": Link(2776770, 11307, 2776770, 11307),
        "tashi7.0": Link(1215645, 2751, 1782404, 4324),
        "eth0": Link(18446744073709551615, 1, 2, 3),
    }


def test_this_machines_own_devices_are_read() -> None:
    assert "lo" in read_links(Path("/proc/net/dev").read_text())


@pytest.mark.parametrize("name", ["qemu-system-x86", "a) R 1 (b", "1 2 3"])
def test_a_process_may_have_any_name(name: str) -> None:
    stat = f"4711 ({name}) S 1 4711 4711 0 -1 4194560 9 0 8 0 150 50 0 0 20 0 4 0 100 200 30"

    assert read_cpu_nanoseconds(stat) == 2 * 10**9


def test_this_process_has_run() -> None:
    assert read_cpu_nanoseconds(Path("/proc/self/stat").read_text()) > 0

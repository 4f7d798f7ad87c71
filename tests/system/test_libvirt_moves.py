"""A libvirtd that hangs while a guest moves: when it goes on there is one guest, and it runs."""

import os
import signal
import time
from collections.abc import Callable, Iterator

import pytest

from system.guests import Watcher, guests_in
from system.libvirt_sites import LibvirtSite
from system.sites import state_of
from tashi.domain.states import InstanceState as S

pytestmark = [pytest.mark.qemu, pytest.mark.libvirt]

CREATE = ("createVm", "--name", "web", "--disks", "idle.img", "--memory", "32")


@pytest.fixture
def site(two_by_libvirt: LibvirtSite) -> Iterator[LibvirtSite]:
    with two_by_libvirt.taken() as site:
        yield site


def wait_until(holds: Callable[[], bool]) -> None:
    """Wait for something that only the machine itself shows."""
    deadline = time.monotonic() + 120.0
    while not holds():
        assert time.monotonic() < deadline, "It never came."
        time.sleep(0.02)


@pytest.mark.parametrize("end", ["source", "target"])
def test_a_libvirtd_that_hangs_while_a_guest_moves_leaves_one_that_runs(
    site: LibvirtSite, end: str
) -> None:
    site.do(*CREATE, "--hints", "targetHost=host1", "--wait")
    [guest] = guests_in(site.folder)
    number = ("source", "target").index(end)
    libvirtd, log = site.libvirtds[number], site.nodes[number].log
    before = log.read_text().count("broke")

    with Watcher(site.folder) as watcher:
        os.kill(guest.process.pid, signal.SIGSTOP)  # so that it cannot leave yet
        site.do("migrateVm", "--instance", "web", "--dst", "host2")
        site.until(lambda now: state_of(now, "web") is S.MIGRATE_TRANS)
        libvirtd.send(signal.SIGSTOP)
        os.kill(guest.process.pid, signal.SIGCONT)
        wait_until(lambda: log.read_text().count("broke") > before)
        libvirtd.send(signal.SIGCONT)
        site.until(lambda now: state_of(now, "web") is S.RUNNING, within_seconds=120.0)
        wait_until(lambda: len(guests_in(site.folder)) == 1)

    [left] = guests_in(site.folder)
    [web], names = site.now().instances, {host.id: host.name for host in site.now().hosts}
    assert watcher.seen_twice == []
    assert left.status() == "running"
    assert left.process.pid == web.vm_id
    assert (
        names[site.instances()[web.id].host_id or 0]
        == f"host{left.folder.parents[1].name.removeprefix('n')}"
    )

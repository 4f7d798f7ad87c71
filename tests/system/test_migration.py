"""Instances that move between two node managers, each a process of its own, as users see it.

Real guests, by QEMU alone and through libvirt; there libvirtd dies whenever its node manager does.
"""

import os
import re
import signal
import time
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

import boot_sectors
from system.books import Place
from system.guests import Guest, Watcher, guests_in
from system.libvirt_sites import EITHER, LibvirtSite
from system.sites import Shape, Site
from tashi.domain.states import InstanceState as S
from tashi.wire.forms import ConsoleForm, InstanceForm, SnapshotForm

pytestmark = [pytest.mark.qemu, EITHER]

SMALL = ("--disks", "idle.img", "--memory", "32")
FORWARD = {"UserNetwork": {"forward": 80}}


@pytest.fixture
def site(two_shared: LibvirtSite | None, short_path: Path, books: Place) -> Iterator[Site]:
    if two_shared is not None:
        with two_shared.taken() as shared:
            yield shared
        return
    site = Site(short_path, Shape(memory=2000, hosts=2, books=books, extra=FORWARD))
    boot_sectors.idle(site.images / "idle.img")
    site.start()
    yield site
    site.end_empty()


def web(now: SnapshotForm) -> InstanceForm:
    [only] = now.instances
    return only


def the_guest(site: Site) -> Guest:
    [guest] = guests_in(site.folder)
    return guest


def sides(site: Site) -> tuple[str, str, int]:
    """The name of the host that the instance is on, that of the other, and the first's number."""
    on = web(site.now()).host_id
    [here] = [host for host in site.now().hosts if host.id == on]
    [there] = [host for host in site.now().hosts if host.id != on]
    return here.name, there.name, int(here.name.removeprefix("host"))


def wait_until(holds: Callable[[], bool]) -> None:
    """Wait for something that only the machine itself shows."""
    deadline = time.monotonic() + 60.0
    while not holds():
        assert time.monotonic() < deadline, "It never came."
        time.sleep(0.02)


def says(site: Site, pattern: str) -> re.Match[str]:
    """Wait until the console of the only instance, where it is now, says it."""
    [instance] = site.instances()
    text, offset, deadline = "", 0, time.monotonic() + 120
    while time.monotonic() < deadline:
        piece = site.calls.call(
            "getConsole", ConsoleForm, instance_id=instance, offset=offset, timeout=10.0
        )
        text, offset = text + piece.text, piece.offset
        if found := re.search(pattern, text):
            return found
    pytest.fail(f"The console never said {pattern!r}:\n{text}\n{site.story()}")


def facts(site: Site) -> dict[str, str]:
    """What the guest answers over HTTP, through its port on the host where it is now."""
    [forward] = web(site.now()).nics[0].forwards
    address = f"http://127.0.0.1:{forward.host_port}/"
    with urllib.request.urlopen(address, timeout=30) as answer:
        lines = answer.read().decode().splitlines()
    return dict(line.split("=", 1) for line in lines)


def test_a_guest_goes_on_where_it_was_with_its_disk_on_the_other_host(
    site: Site, guest_image: Path
) -> None:
    (site.images / "real.qcow2").write_bytes(guest_image.read_bytes())
    site.do("createVm", "--name", "web", "--disks", "real.qcow2", "--wait")
    says(site, "GUEST-READY")
    before, source = facts(site), the_guest(site)
    _, there, _ = sides(site)

    with Watcher(site.folder) as watcher:
        shown = site.do("migrateVm", "--instance", "web", "--dst", there, "--wait")
        after, target = facts(site), the_guest(site)
    wait_until(lambda: int(facts(site)["count"]) > int(before["count"]))
    later = facts(site)
    site.do("resetVm", "--instance", "web")
    says(site, r"GUEST-READY.* boots=2")

    assert shown == f"web runs on {there}.\n"
    assert sides(site)[0] == there
    assert watcher.seen_twice == []
    assert not source.process.is_alive()
    assert source.folder != target.folder
    assert not source.folder.exists()
    assert (after["nonce"], before["boots"]) == (before["nonce"], after["boots"])
    assert int(later["count"]) > int(before["count"])
    assert later["nonce"] == before["nonce"]


def test_a_guest_moves_back_and_forth(site: Site) -> None:
    site.do("createVm", "--name", "web", *SMALL, "--wait")
    home, away, _ = sides(site)

    for there in (away, home, away):
        site.do("migrateVm", "--instance", "web", "--dst", there, "--wait")
        assert sides(site)[0] == there
        assert the_guest(site).status() == "running"

    wait_until(lambda: len(list(site.folder.glob("n*/scratch/*/*.qcow2"))) == 1)


def test_a_migration_that_is_cancelled_while_the_guest_is_sent_leaves_it_where_it_is(
    site: Site,
) -> None:
    boot_sectors.dirty(site.images / "busy.img")
    site.do("createVm", "--name", "web", "--disks", "busy.img", "--memory", "32", "--wait")
    says(site, "B")
    guest = the_guest(site)
    here, there, number = sides(site)
    note = site.folder / f"n{number}/info/notes/{guest.instance}.json"
    hold_back(site, number, guest)

    site.do("migrateVm", "--instance", "web", "--dst", there)
    site.until(lambda now: web(now).state is S.MIGRATE_TRANS)
    site.do("cancelMigration", "--instance", "web")
    wait_until(lambda: "cancelSend" in note.read_text())
    os.kill(guest.process.pid, signal.SIGCONT)
    site.until(lambda now: web(now).state is S.RUNNING)

    assert sides(site)[0] == here
    assert "called back" in web(site.now()).reason
    wait_until(lambda: [one.process for one in guests_in(site.folder)] == [guest.process])
    assert guest.status() == "running"


def hold_back(site: Site, number: int, guest: Guest) -> None:
    """Let the guest not leave that host yet: libvirt asks nobody before it lets one go."""
    if isinstance(site, LibvirtSite):
        libvirtd = site.libvirtds[number - 1]
        slow = libvirtd.virsh("migrate-setspeed", f"tashi-{guest.instance}", "1")
        assert slow.returncode == 0, slow.stderr
    else:
        os.kill(guest.process.pid, signal.SIGSTOP)


def test_a_guest_runs_on_one_host_whichever_daemon_is_killed_while_it_moves(site: Site) -> None:
    site.do("createVm", "--name", "web", *SMALL, "--wait")

    with Watcher(site.folder) as watcher:
        for victim in (site.manager, *site.nodes):
            _, there, _ = sides(site)
            site.do("migrateVm", "--instance", "web", "--dst", there)
            victim.kill()
            victim.start()
            site.until(lambda now: web(now).state is S.RUNNING)
            wait_until(lambda: len(guests_in(site.folder)) == 1)

    assert watcher.seen_twice == []
    assert the_guest(site).status() == "running"

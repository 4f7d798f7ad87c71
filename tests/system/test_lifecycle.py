"""Instances from createVm to the last file that is removed, as users see it.

Real guests, by QEMU alone and through libvirt; there libvirtd dies whenever the node manager does.
"""

import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from time import monotonic

import pytest

import boot_sectors
from system.books import Place
from system.guests import Guest, guests_in
from system.libvirt_sites import EITHER, QEMU_ALONE, LibvirtSite
from system.sites import LIBVIRT, PROGRAMS, QEMU, Shape, Site, environment, state_of
from tashi.domain.states import InstanceState as S
from tashi.wire.forms import ConsoleForm, InstanceForm

pytestmark = pytest.mark.qemu

SMALL = ("--disks", "idle.img", "--memory", "32")
MANY = {QEMU: 20, LIBVIRT: 11}
"""How many are created at once: domains take libvirtd some time."""


@pytest.fixture
def site(one_shared: LibvirtSite | None, short_path: Path, books: Place) -> Iterator[Site]:
    if one_shared is not None:
        with one_shared.taken() as shared:
            yield shared
        return
    site = Site(short_path, Shape(memory=2000, cores=40, books=books))
    boot_sectors.idle(site.images / "idle.img")
    boot_sectors.power_off(site.images / "off.img")
    site.start()
    yield site
    site.end_empty()


@pytest.fixture
def pair(two_shared: LibvirtSite | None, short_path: Path, books: Place) -> Iterator[Site]:
    """Two hosts that are given up when they have been silent for a moment."""
    if two_shared is not None:
        with two_shared.taken() as shared:
            yield shared
        return
    extra = {"ClusterManagerService": {"expireHostTime": 8, "allowDecayed": 4}}
    site = Site(short_path, Shape(hosts=2, books=books, extra=extra))
    boot_sectors.idle(site.images / "idle.img")
    site.start()
    yield site
    site.end_empty()


def named(site: Site, name: str) -> InstanceForm:
    return next(one for one in site.instances().values() if one.name == name)


def the_guest(site: Site) -> Guest:
    (guest,) = guests_in(site.folder)
    return guest


def only_child_of(pid: int) -> int:
    (child,) = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    return int(child)


def overlay(site: Site) -> str:
    """What that of the only instance is called."""
    [instance] = site.instances()
    return f"{instance}.0.qcow2"


def overlays(site: Site) -> list[str]:
    return sorted(path.name for path in (site.folder / "n1/scratch").rglob("*.qcow2"))


def says(site: Site, pattern: str, offset: int = 0) -> tuple[re.Match[str], int]:
    """Wait until the only console says it, from that offset on; and the offset after it."""
    [instance] = site.instances()
    text, deadline = "", monotonic() + 120
    start = offset
    while monotonic() < deadline:
        piece = site.calls.call(
            "getConsole", ConsoleForm, instance_id=instance, offset=offset, timeout=10.0
        )
        text, offset = text + piece.text, piece.offset
        if found := re.search(pattern, text):
            return found, start + len(text[: found.end()].encode())
    pytest.fail(f"The console never said {pattern!r}:\n{text}\n{site.story()}")


# ---- small guests, which stay in their firmware -------------------------------------------------


@EITHER
def test_create_with_wait_returns_when_the_guest_runs(site: Site) -> None:
    shown = site.do("createVm", "--name", "web", *SMALL, "--cores", "1", "--wait")

    guest = the_guest(site)
    assert "Running" in shown
    assert guest.status() == "running"
    assert guest.process.pid == named(site, "web").vm_id


@EITHER
@pytest.mark.every_store
def test_many_are_created_counted_shown_and_destroyed(site: Site, vmm: str) -> None:
    count = MANY[vmm]
    before = site.do("getSlots", "--cores", "2", "--memory", "100")
    site.do("createMany", "--basename", "many", "--count", str(count), *SMALL, "--wait")
    after = site.do("getSlots", "--cores", "2", "--memory", "100")
    layout = json.loads(site.do("getVmLayout", "--output", "json"))
    created = site.instances()
    guests = {guest.instance: guest.status() for guest in guests_in(site.folder)}

    site.do("destroyMany", "--basename", "many", "--wait")
    left = guests_in(site.folder)

    assert before.startswith("20 available slots")  # 2000 MiB; 40 cores
    assert after.startswith(f"{(40 - count) // 2} available slots")
    assert len(created) == count
    assert guests == dict.fromkeys(created, "running")
    assert "many-00" in json.dumps(layout)
    assert f"many-{count - 1:02}" in json.dumps(layout)
    assert left == []
    site.until(lambda now: not now.instances)
    assert overlays(site) == []


@EITHER
def test_a_paused_guest_stands_still_until_it_is_unpaused(site: Site) -> None:
    site.do("createVm", "--name", "web", *SMALL, "--wait")
    guest = the_guest(site)

    site.do("pauseVm", "--instance", "web", "--wait")
    paused = guest.status()
    site.do("unpauseVm", "--instance", "web", "--wait")

    assert paused == "paused"
    assert guest.status() == "running"


@EITHER
@pytest.mark.parametrize(("on_exit", "then"), [("forget", None), ("stop", S.STOPPED)])
def test_what_becomes_of_a_guest_that_powers_itself_off_is_the_instances_wish(
    site: Site, on_exit: str, then: S | None
) -> None:
    disks = ("--disks", "off.img", "--memory", "32")
    site.do("createVm", "--name", "web", *disks, "--onExit", on_exit)

    site.until(lambda now: state_of(now, "web") is then)

    assert guests_in(site.folder) == []
    assert overlays(site) == ([] if then is None else [overlay(site)])


@EITHER
def test_a_guest_that_is_to_be_restarted_when_it_powers_off_begins_again(site: Site) -> None:
    site.do("createVm", "--name", "web", "--disks", "off.img", "--onExit", "restart")

    now = site.until(lambda now: any(one.attempt > 2 for one in now.instances))

    assert now.instances[0].tries >= 2
    assert overlays(site) == [overlay(site)]


@EITHER
@pytest.mark.parametrize(
    ("on_loss", "then"), [("restart", S.RUNNING), ("stop", S.STOPPED), ("forget", None)]
)
def test_what_becomes_of_an_instance_whose_qemu_is_killed_is_its_wish(
    site: Site, on_loss: str, then: S | None
) -> None:
    site.do("createVm", "--name", "web", *SMALL, "--onLoss", on_loss, "--wait")
    guest = the_guest(site)

    guest.process.kill()
    site.until(lambda now: state_of(now, "web") is not S.RUNNING or now.instances[0].attempt > 1)
    site.until(lambda now: state_of(now, "web") is then)

    assert not guest.process.is_alive()
    assert len(guests_in(site.folder)) == (then is S.RUNNING)
    assert overlays(site) == ([] if then is None else [overlay(site)])


@EITHER
def test_a_start_that_qemu_refuses_is_held_with_qemus_words(site: Site) -> None:
    ended = site.run(
        "client", "createVm", "--name", "web", *SMALL, "--hints", "cpumodel=abacus", "--wait"
    )

    assert ended.returncode == 3
    assert ended.stderr.startswith("tashi-client: web is Held: ")
    assert "abacus" in ended.stderr
    assert ended.stderr.count("\n") == 1
    assert guests_in(site.folder) == []
    assert overlays(site) == []


@EITHER
def test_guests_outlive_a_killed_node_manager_and_their_ends_are_reported(site: Site) -> None:
    site.do(
        "createMany",
        "--basename",
        "web",
        "--count",
        "3",
        *SMALL,
        "--onLoss",
        "stop",
        "--wait",
    )
    guests = {guest.instance: guest.process for guest in guests_in(site.folder)}
    first, second, third = (named(site, f"web-{number}").id for number in range(3))
    session = site.now().hosts[0].session

    site.nodes[0].kill()
    guests[second].kill()
    site.nodes[0].start()
    site.until(lambda now: now.hosts[0].session > session)
    site.until(lambda now: state_of(now, "web-1") is S.STOPPED)

    adopted = {guest.instance: guest.process for guest in guests_in(site.folder)}
    assert adopted == {first: guests[first], third: guests[third]}
    assert state_of(site.now(), "web-0") is S.RUNNING
    assert {one.attempt for one in site.instances().values()} == {1}


@EITHER
@pytest.mark.parametrize("then", ["come back", "destroy"])
def test_an_instance_of_a_silent_host_is_orphaned_and_never_started_elsewhere(
    pair: Site, then: str
) -> None:
    site = pair
    site.do("createVm", "--name", "web", *SMALL, "--hints", "targetHost=host1", "--wait")
    guest = the_guest(site)

    site.nodes[0].kill()
    site.until(lambda now: state_of(now, "web") is S.ORPHANED)
    meanwhile = guests_in(site.folder)
    if then == "destroy":
        site.do("destroyVm", "--instance", "web")
    site.nodes[0].start()
    site.until(lambda now: state_of(now, "web") is (None if then == "destroy" else S.RUNNING))
    after = guests_in(site.folder)

    assert meanwhile == [guest]
    assert after == ([] if then == "destroy" else [guest])


@EITHER
def test_a_guest_whose_qemu_hangs_is_destroyed_all_the_same(site: Site) -> None:
    site.do("createVm", "--name", "web", *SMALL, "--wait")
    guest = the_guest(site)
    os.kill(guest.process.pid, signal.SIGSTOP)

    site.do("destroyVm", "--instance", "web", "--wait")

    assert not guest.process.is_alive()
    site.until(lambda now: not now.instances)
    assert overlays(site) == []


@QEMU_ALONE  # nmd knows nothing of what the daemon that it starts again does
def test_nmd_starts_a_killed_node_manager_again_and_its_guests_are_adopted(site: Site) -> None:
    node, pid_file = site.nodes[0], site.folder / "nmd.pid"
    node.stop()
    nmd = (sys.executable, "-m", "tashi.programs.nmd", "--pid-file", pid_file)
    surroundings = environment(site.configuration, site.folder / "n1")
    what = ("--log", site.folder / "nmd.log", sys.executable, *PROGRAMS["nodemanager"])
    subprocess.run([*nmd, *what], env=surroundings, check=True, timeout=60)
    site.do("createVm", "--name", "web", *SMALL, "--wait")
    guest, session = the_guest(site), site.now().hosts[0].session

    os.kill(only_child_of(int(pid_file.read_text().split()[0])), signal.SIGKILL)
    site.until(lambda now: now.hosts[0].session > session)

    assert the_guest(site) == guest
    assert named(site, "web").attempt == 1
    site.empty()
    subprocess.run([*nmd, "--stop"], env=surroundings, check=True, timeout=60)


# ---- a real guest, which counts its boots and its seconds ---------------------------------------


@pytest.fixture
def real(site: Site, guest_image: Path) -> str:
    """The name of an image that boots."""
    image = site.images / "real.qcow2"
    image.write_bytes(guest_image.read_bytes())
    return image.name


@EITHER
def test_a_guest_goes_on_where_it_was_after_pause_suspend_and_a_killed_node_manager(
    site: Site, real: str
) -> None:
    site.do("createVm", "--name", "web", "--disks", real, "--wait")
    boot, offset = says(site, r"GUEST-BOOT boots=1 nonce=([0-9a-f]{16})")
    before, offset = says(site, rf"GUEST-TICK (\d+) nonce={boot[1]}", offset)

    site.do("pauseVm", "--instance", "web", "--wait")
    site.do("unpauseVm", "--instance", "web", "--wait")
    site.nodes[0].kill()
    site.do("suspendVm", "--instance", "web")
    site.nodes[0].start()
    site.until(lambda now: state_of(now, "web") is S.SUSPENDED)
    asleep, saved = guests_in(site.folder), named(site, "web").id
    site.do("resumeVm", "--instance", "web", "--wait")
    after, _ = says(site, rf"GUEST-TICK (\d+) nonce={boot[1]}", offset)

    assert asleep == []
    assert int(after[1]) > int(before[1])
    assert the_guest(site).console().count("GUEST-BOOT") == 1
    site.until(lambda _: not list((site.folder / "store/suspend").glob(f"{saved}-*")))


@EITHER
def test_a_guest_counts_its_boots_on_the_disk_that_it_keeps_and_has_the_size_it_was_given_since(
    site: Site, real: str
) -> None:
    site.do("createVm", "--name", "web", "--disks", real, "--wait")
    first, offset = says(site, r"GUEST-READY.* boots=(\d+)")
    before = the_guest(site).size()

    site.do("resetVm", "--instance", "web")
    second, offset = says(site, r"GUEST-READY.* boots=(\d+)", offset)
    refused = site.run("client", "resizeVm", "--instance", "web", "--cores", "2")
    site.do("stopVm", "--instance", "web", "--wait")
    stopped = guests_in(site.folder)
    site.do("resizeVm", "--instance", "web", "--cores", "2", "--memory", "192")
    site.do("startVm", "--instance", "web", "--wait")
    third, _ = says(site, r"GUEST-READY.* boots=(\d+)", offset)
    after = the_guest(site).size()
    site.do("shutdownVm", "--instance", "web", "--wait")

    assert [first[1], second[1], third[1]] == ["1", "2", "3"]
    assert stopped == []
    assert "resizeVm does not fit" in refused.stderr
    assert (before, after) == ((1, 128), (2, 192))
    site.until(lambda now: not now.instances)
    assert overlays(site) == []

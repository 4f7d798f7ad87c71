"""Hosts that are emptied, with real daemons and real guests that move, as administrators see it.

All is tried by QEMU alone and through libvirt; there libvirtd dies whenever its node manager does.
"""

import json
from collections.abc import Iterator
from pathlib import Path
from time import monotonic, sleep

import pytest

import boot_sectors
from system.books import Place
from system.guests import Watcher, guests_in
from system.libvirt_sites import EITHER, LibvirtSite
from system.sites import LIBVIRT, PATIENCE_SECONDS, Shape, Site
from tashi.domain.states import HostState
from tashi.domain.states import InstanceState as S
from tashi.wire.forms import HostForm, SnapshotForm

pytestmark = [pytest.mark.qemu, EITHER]

GUESTS = ("one", "two", "three")
AT_HOME = ("--disks", "idle.img", "--memory", "32", "--hints", "targetHost=host1,allowElsewhere=1")


@pytest.fixture(scope="module")
def shared(
    vmm: str, tmp_path_factory: pytest.TempPathFactory, books: Place
) -> Iterator[LibvirtSite | None]:
    """A site that all tests share if libvirt runs the guests; libvirtds take long to begin."""
    if vmm != LIBVIRT:
        yield None
        return
    site = LibvirtSite(tmp_path_factory.mktemp("s"), shape(books))
    boot_sectors.idle(site.images / "idle.img")
    site.start()
    yield site
    site.end_empty()


@pytest.fixture
def site(shared: LibvirtSite | None, short_path: Path, books: Place) -> Iterator[Site]:
    """Three hosts; three guests are on the first, and the two others take two guests each."""
    if shared is not None:
        with shared.taken():
            begin(shared)
            yield shared
            if host1(shared.now()).state is not HostState.NORMAL:
                shared.do("undrain", "--host", "host1")
        return
    site = Site(short_path, shape(books))
    boot_sectors.idle(site.images / "idle.img")
    site.start()
    begin(site)
    yield site
    site.end_empty()


def shape(books: Place) -> Shape:
    return Shape(hosts=3, memory=96, cores=8, books=books)


def begin(site: Site) -> None:
    for name in GUESTS:
        site.do("createVm", "--name", name, *AT_HOME)
    site.until(lambda now: [one.state for one in now.instances] == [S.RUNNING] * len(GUESTS))


def host1(now: SnapshotForm) -> HostForm:
    return next(host for host in now.hosts if host.name == "host1")


def is_drained(now: SnapshotForm) -> bool:
    return host1(now).state is HostState.DRAINED


def where(site: Site) -> list[str]:
    """The names of the hosts that the guests' folders are on, as the machine itself shows it.

    What a move has left behind is given the time to be cleared away.
    """
    wanted = sum(one.host_id is not None for one in site.now().instances)
    deadline = monotonic() + PATIENCE_SECONDS
    while len(found := guests_in(site.folder)) > wanted and monotonic() < deadline:
        sleep(0.02)
    return sorted(f"host{guest.folder.parent.parent.name[1:]}" for guest in found)


@pytest.mark.every_store
def test_a_host_is_emptied_after_a_look_at_the_plan_and_opened_again(site: Site) -> None:
    planned = json.loads(site.do("drain", "--host", "host1", "--plan", "--output", "json"))
    before = where(site)
    with Watcher(site.folder) as watcher:
        said = site.do("drain", "--host", "host1", "--wait")
    after = where(site)
    drained = host1(site.now()).state
    site.do("undrain", "--host", "host1")

    assert before == ["host1"] * 3
    targets = sorted(one["target"] for one in planned["instances"])
    assert targets in (["host2", "host2", "host3"], ["host2", "host3", "host3"])
    assert said == "Host host1 is empty and Drained.\n"
    assert sorted(after) in (["host2", "host2", "host3"], ["host2", "host3", "host3"])
    assert drained is HostState.DRAINED
    assert host1(site.now()).state is HostState.NORMAL
    assert {one.attempt for one in site.instances().values()} == {1}
    assert watcher.seen_twice == []


def test_an_emptying_survives_that_everything_is_killed(site: Site) -> None:
    with Watcher(site.folder) as watcher:
        site.do("drain", "--host", "host1")
        site.until(lambda now: any(one.state is S.MIGRATE_PREP for one in now.instances))
        for daemon in site.daemons:
            daemon.kill()
        for daemon in site.daemons:
            daemon.start()
        site.until(is_drained)

    assert "host1" not in where(site)
    assert len(where(site)) == len(GUESTS)
    assert {one.attempt for one in site.instances().values()} == {1}
    assert watcher.seen_twice == []


def test_what_cannot_be_moved_is_named_with_numbers_and_moves_when_there_is_room(
    site: Site,
) -> None:
    site.nodes[2].kill()
    site.until(lambda now: sum(host.up for host in now.hosts) == len(site.nodes) - 1)
    site.do("createVm", "--name", "filler", "--disks", "idle.img", "--memory", "64", "--wait")

    ended = site.run("client", "drain", "--host", "host1", "--wait")
    left = sorted(where(site))
    site.nodes[2].start()
    site.until(is_drained)

    assert ended.returncode == 3
    assert "Nothing more can be moved: 2 instances are left on host1" in ended.stderr
    assert "host2 has 0 of 96 MiB free; 32 are needed, 32 short" in ended.stderr
    assert "host3 is down" in ended.stderr
    assert left == ["host1", "host1", "host2", "host2"]
    assert "host1" not in where(site)


def test_an_emptying_that_is_cancelled_leaves_every_guest_running_once(site: Site) -> None:
    with Watcher(site.folder) as watcher:
        site.do("drain", "--host", "host1")
        site.do("cancelDrain", "--host", "host1")
        site.until(lambda now: {one.state for one in now.instances} == {S.RUNNING})

    assert not host1(site.now()).draining
    assert host1(site.now()).state is HostState.NORMAL
    assert len(where(site)) == len(GUESTS)
    assert {one.attempt for one in site.instances().values()} == {1}
    assert watcher.seen_twice == []

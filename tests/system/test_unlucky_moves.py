"""Moves on hosts where something is missing, and what they do to disks: real guests that count.

Guests go to another host by way of the image store, too.
"""

from collections.abc import Iterator
from hashlib import sha256

import pytest

import boot_sectors
from system.counting import Tally, until
from system.libvirt_sites import EITHER_HOSTS
from system.many_hosts import ManyHosts
from system.sites import Shape
from tashi.domain.states import InstanceState as S
from tashi.wire.forms import DiskForm, InstanceForm, NewInstanceForm, NicForm

pytestmark = pytest.mark.qemu

QUICK = {
    "ClusterManagerService": {"expireHostTime": 10},
    "NodeManagerService": {"registerFrequency": 1},
}


@pytest.fixture(params=EITHER_HOSTS, scope="module")
def site(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[ManyHosts]:
    shape = Shape(hosts=2, memory=512, extra=QUICK)
    site: ManyHosts = request.param(tmp_path_factory.mktemp("s"), shape)
    for name in ("count.img", "kept.img"):
        boot_sectors.count(site.images / name)
    try:
        site.start()
        yield site
    finally:
        left = site.end()
    assert not left, site.story()


class Counter:
    """An instance that counts, with what it has said on all its hosts."""

    def __init__(
        self, site: ManyHosts, name: str, host: str, *disks: DiskForm, bound: bool = True
    ) -> None:
        hints = {"targetHost": host, "allowElsewhere": str(not bound)}
        wanted = NewInstanceForm(name, disks, memory=32, nics=(NicForm(999),), hints=hints)
        self.site = site
        self.id = site.calls.call("createVm", InstanceForm, instance=wanted).id
        self.tally = Tally(site.folder, site.folder / "kept", self.id)
        self.rest()

    def now(self) -> InstanceForm:
        """Its record."""
        return self.site.instances()[self.id]

    def rest(self) -> None:
        """Wait until it runs and counts on."""
        self.site.until(
            lambda now: any(one.id == self.id and one.state is S.RUNNING for one in now.instances)
        )
        until(lambda: len(self.tally.guests()) == 1, lambda: str(self.tally.guests()))
        self.tally.take_up()
        self.tally.goes_on()

    def migrate(self, host: str) -> None:
        """Ask for it to be moved there."""
        [target] = [one.id for one in self.site.now().hosts if one.name == host]
        self.site.calls.call("migrateVm", InstanceForm, instance_id=self.id, host_id=target)

    def on(self) -> str:
        """The host that it is on."""
        return self.site.machine_of(self.id).name

    def destroy(self) -> None:
        """End it, and wait until it is gone."""
        self.site.calls.call("destroyVm", InstanceForm, instance_id=self.id)
        self.site.until(lambda now: all(one.id != self.id for one in now.instances))


@pytest.fixture
def counter(site: ManyHosts) -> Iterator[Counter]:
    made = Counter(site, "counter", "host1", DiskForm("count.img"))
    yield made
    made.destroy()


def test_a_target_that_has_lost_the_image_folder_says_so_and_the_guest_stays(
    site: ManyHosts, counter: Counter
) -> None:
    site.lab.hosts[1].lose_store()
    try:
        counter.migrate("host2")
        counter.rest()
        words = counter.now().reason
    finally:
        site.lab.hosts[1].find_store()

    assert counter.on() == "host1"
    assert "image folder" in words
    assert counter.tally.faults(deaths=0) == []


def test_a_target_whose_disk_is_full_says_so_and_the_guest_stays(
    site: ManyHosts, counter: Counter
) -> None:
    target, scratch = site.lab.hosts[1], str(site.folder / "own/scratch")
    target.run("mount", "-t", "tmpfs", "-o", "size=4k", "full", scratch)
    try:
        counter.migrate("host2")
        counter.rest()
        words = counter.now().reason
    finally:
        target.run("umount", "--lazy", scratch)

    assert counter.on() == "host1"
    assert "cannot be" in words
    assert counter.tally.faults(deaths=0) == []


def test_two_guests_that_cross_change_places_and_count_on(
    site: ManyHosts, counter: Counter
) -> None:
    other = Counter(site, "other", "host2", DiskForm("count.img"))

    counter.migrate("host2")
    other.migrate("host1")
    counter.rest()
    other.rest()

    assert (counter.on(), other.on()) == ("host2", "host1")
    assert counter.tally.faults(deaths=0) == []
    assert other.tally.faults(deaths=0) == []
    other.destroy()


def test_what_a_guest_writes_goes_with_it_and_only_to_the_disk_that_keeps_it(
    site: ManyHosts,
) -> None:
    before = sha256((site.images / "count.img").read_bytes()).hexdigest()
    fleeting = Counter(site, "fleeting", "host1", DiskForm("count.img"))
    kept = Counter(site, "kept", "host1", DiskForm("kept.img", persistent=True))

    for host in ("host2", "host1"):
        for one in (fleeting, kept):
            one.migrate(host)
            one.rest()
    last = max(kept.tally.numbers())
    for one in (fleeting, kept):
        assert one.tally.faults(deaths=0) == []
        one.destroy()
    on_disk = int.from_bytes((site.images / "kept.img").read_bytes()[64 * 512 :][:4], "little")

    assert sha256((site.images / "count.img").read_bytes()).hexdigest() == before
    assert on_disk >= last


def test_a_suspended_guest_counts_on_on_another_host_once_its_own_is_emptied(
    site: ManyHosts,
) -> None:
    saved = Counter(site, "saved", "host1", DiskForm("count.img"), bound=False)
    site.do("suspendVm", "--instance", "saved", "--wait")
    asleep = saved.tally.guests()

    try:
        drained = site.run("admin", "drain", "--host", "host1", "--wait")
        site.do("resumeVm", "--instance", "saved")
        saved.rest()
        there = saved.on()
    finally:
        site.run("admin", "undrain", "--host", "host1")

    assert asleep == []
    assert drained.returncode == 0, drained.stderr
    assert there == "host2"
    assert saved.tally.faults(deaths=0) == []
    saved.destroy()


def test_a_guest_does_not_move_to_where_it_is(site: ManyHosts, counter: Counter) -> None:
    ended = site.run("client", "migrateVm", "--instance", "counter", "--dst", "host1")

    assert (ended.returncode, ended.stderr) == (
        1,
        f"tashi-client: Instance {counter.id} (counter) is on host1 already.\n",
    )

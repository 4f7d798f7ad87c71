"""An instance that goes through every state as a real guest, and leaves each again.

Its guest counts, in its memory and on its disk, and needs no kernel. What the cluster's events say
is held against the guest itself: its process, its monitor and its numbers.
"""

from collections.abc import Iterator
from pathlib import Path

import pytest

import boot_sectors
from lives import lives
from system.books import Place
from system.counting import Tally, until
from system.guests import guests_in
from system.libvirt_sites import EITHER, LibvirtSite
from system.sites import Shape, Site, state_of
from tashi.domain.states import InstanceState as S
from tashi.wire.forms import EventsForm

pytestmark = [pytest.mark.qemu, EITHER]

CREATE = ("createVm", "--name", "web", "--disks", "count.img", "--memory", "32")


@pytest.fixture
def site(two_shared: LibvirtSite | None, short_path: Path, books: Place) -> Iterator[Site]:
    if two_shared is not None:
        with two_shared.taken() as shared:
            add_images(shared)
            yield shared
        return
    extra = {"ClusterManagerService": {"expireHostTime": 8}}
    site = Site(short_path, Shape(memory=500, hosts=2, books=books, extra=extra))
    add_images(site)
    site.start()
    yield site
    site.end_empty()


def add_images(site: Site) -> None:
    boot_sectors.count(site.images / "count.img")
    boot_sectors.idle(site.images / "data.img")


class Actor:
    """The instance `web` with its guest, through all that befalls it."""

    def __init__(self, site: Site) -> None:
        self.site = site
        [self.id] = site.instances()
        self.tally = Tally(site.folder, site.folder / "kept", self.id)

    def asked(self, call: str, *words: str) -> None:
        """Have it done by its owner, and wait until it is."""
        self.site.do(call, "--instance", "web", *words, "--wait")

    def until(self, state: S) -> None:
        """Wait for a state."""
        self.site.until(lambda now: state_of(now, "web") is state)

    def counts_on(self) -> None:
        """It runs, has one guest, and that goes on where it was."""
        self.until(S.RUNNING)
        until(lambda: len(self.tally.guests()) == 1, lambda: str(self.tally.guests()))
        assert self.tally.guests()[0].status() == "running"
        self.tally.take_up()
        self.tally.goes_on()

    def has_no_guest(self) -> None:
        """No QEMU is left of it."""
        assert guests_in(self.site.folder) == []

    @property
    def host(self) -> int:
        """The number of the host that it is on."""
        [on] = [one.host_id for one in self.site.now().instances]
        assert on is not None
        return on


def waits_and_is_held(web: Actor) -> None:
    """Pending, Held, Activating, Running: nobody places it, then its image is away for a while."""
    image = web.site.images / "count.img"
    away = image.rename(image.with_name("away.img"))
    web.until(S.PENDING)
    web.site.scheduler.start()
    web.until(S.HELD)
    web.has_no_guest()
    away.rename(image)
    web.counts_on()


def stands_still(web: Actor) -> None:
    """Pausing, Paused, Unpausing."""
    web.asked("pauseVm")
    assert web.tally.guests()[0].status() == "paused"
    web.asked("unpauseVm")
    web.counts_on()


def gets_a_disk(web: Actor) -> None:
    """Altering."""
    web.asked("attachDisk", "--disk", "data.img")
    web.counts_on()


def moves(web: Actor) -> None:
    """MigratePrep, MigrateTrans."""
    there = 3 - web.host
    [name] = [one.name for one in web.site.now().hosts if one.id == there]
    web.asked("migrateVm", "--dst", name)
    assert web.host == there
    web.counts_on()


def sleeps_on_disk(web: Actor) -> None:
    """Suspending, Suspended, Resuming."""
    web.asked("suspendVm")
    web.has_no_guest()
    web.asked("resumeVm")
    web.counts_on()


def loses_its_host(web: Actor) -> None:
    """Orphaned: its node manager is silent for long."""
    [name] = [one.name for one in web.site.now().hosts if one.id == web.host]
    node, guest = web.site.nodes[int(name.removeprefix("host")) - 1], web.tally.guests()
    node.kill()
    web.until(S.ORPHANED)
    node.start()
    web.counts_on()
    assert web.tally.guests() == guest


def is_stopped(web: Actor) -> None:
    """ShuttingDown, Stopped: the guest obeys the power button."""
    web.asked("stopVm")
    web.until(S.STOPPED)
    web.has_no_guest()
    web.asked("startVm")
    web.counts_on()


def is_destroyed(web: Actor) -> None:
    """Destroying, Exited."""
    web.asked("destroyVm")
    web.site.until(lambda now: not now.instances)
    web.has_no_guest()


def test_one_instance_goes_through_every_state_and_leaves_it_again(site: Site) -> None:
    site.scheduler.stop()
    site.do(*CREATE)
    web = Actor(site)

    for befalls in (
        waits_and_is_held,
        stands_still,
        gets_a_disk,
        moves,
        sleeps_on_disk,
        loses_its_host,
        is_stopped,
        is_destroyed,
    ):
        befalls(web)
    events = site.calls.call("watch", EventsForm, since=1, timeout=0.0).events

    # Its record was removed in the end, so that there was no state that it did not leave.
    assert {*lives(events)[web.id]} == {None, *S}
    assert web.tally.faults(deaths=0) == []

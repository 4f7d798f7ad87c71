"""A host that comes back with an empty disk, as one that is imaged at every boot, with real guests.

The node manager, its libvirtd where there is one, and its guests are killed; all that they had on
disk is removed, and the machine's boot id is another: what ran there is proven gone, and what got
into the image store is found.
"""

import shutil
import time
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

import boot_sectors
from system.books import Place
from system.guests import guests_in
from system.libvirt_sites import EITHER, LibvirtSite
from system.sites import Shape, Site, state_of
from tashi.domain.states import InstanceState as S
from tashi.wire.forms import InstanceForm

pytestmark = [pytest.mark.qemu, EITHER]

SMALL = ("--disks", "idle.img", "--memory", "32")


@pytest.fixture
def site(one_shared: LibvirtSite | None, short_path: Path, books: Place) -> Iterator[Site]:
    if one_shared is not None:
        with one_shared.taken() as shared:
            boot_sectors.idle(shared.images / "own.img")
            yield shared
        return
    site = Site(short_path, Shape(memory=2000, books=books))
    boot_sectors.idle(site.images / "idle.img")
    boot_sectors.idle(site.images / "own.img")
    site.start()
    yield site
    site.end_empty()


def image_anew(site: Site) -> None:
    """The host's machine dies, and comes back with an empty disk."""
    site.nodes[0].kill()
    for guest in guests_in(site.folder):
        guest.process.kill()
    own = site.folder / "n1"
    shutil.rmtree(own / "info")
    shutil.rmtree(own / "scratch", ignore_errors=True)
    if isinstance(site, LibvirtSite):
        site.libvirtds[0].forget()
    boot_id = own / "boot-id"
    boot_id.write_text(f"{uuid.uuid4()}\n")
    settings = own / "NodeManager.cfg"
    if "bootIdFile" not in settings.read_text():
        section = "[NodeManagerService]\n"
        named = settings.read_text().replace(section, f"{section}bootIdFile = {boot_id}\n")
        settings.write_text(named)


def named(site: Site, name: str) -> InstanceForm:
    return next(one for one in site.instances().values() if one.name == name)


def wait_until(holds: Callable[[], bool]) -> None:
    """Wait for something that only the machine itself shows."""
    deadline = time.monotonic() + 60.0
    while not holds():
        assert time.monotonic() < deadline, "It never came."
        time.sleep(0.002)


def test_what_ran_on_a_host_that_was_imaged_anew_follows_its_on_loss(site: Site) -> None:
    site.do("createVm", "--name", "again", *SMALL, "--wait")
    site.do("createVm", "--name", "kept", *SMALL, "--onLoss", "stop", "--wait")

    image_anew(site)
    site.nodes[0].start()
    site.until(lambda now: state_of(now, "kept") is S.STOPPED)
    site.until(lambda now: named(site, "again").attempt == 2)
    site.until(lambda now: state_of(now, "again") is S.RUNNING)

    assert len(guests_in(site.folder)) == 1
    assert "has no guest" in named(site, "kept").reason
    assert len(site.now().hosts) == 1, "it is the host of that name, not another"


def test_memory_that_had_reached_the_store_is_found_by_a_host_that_was_imaged_anew(
    site: Site,
) -> None:
    site.do("createVm", "--name", "own", "--disks", "own.img:True", "--memory", "32", "--wait")
    suspended = site.images.parent / "suspend"
    site.do("suspendVm", "--instance", "own")
    wait_until(lambda: any(suspended.glob("*")))
    site.manager.freeze()  # while the file still has its partial name: it never hears of the end
    wait_until(lambda: any(one.name[0] != "." for one in suspended.iterdir()))

    image_anew(site)
    site.manager.kill()
    site.manager.start()
    site.nodes[0].start()
    site.until(lambda now: state_of(now, "own") is S.SUSPENDED)
    saved = named(site, "own").saved
    site.do("resumeVm", "--instance", "own", "--wait")

    assert saved is not None
    assert named(site, "own").attempt == 2
    assert len(guests_in(site.folder)) == 1

"""Disks that are full: what cannot be kept is refused in a sentence, and later it works again."""

import os
import re
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

import boot_sectors
from system.sites import SIMULATED, Daemon, Shape, Site
from tashi.domain.errors import StoreFailed
from tashi.domain.states import InstanceState
from tashi.wire.forms import DiskForm, InstanceForm, NewInstanceForm

CREATE = ("createVm", "--name", "late", "--disks", "empty.qcow2")
MOST_THAT_FIT = 400


def on_a_small_disk(daemon: Daemon, folder: Path) -> None:
    """Start it where a small disk of its own is mounted on that folder."""
    as_root = () if os.geteuid() == 0 else ("--user", "--map-root-user")
    mount = f'mount -t tmpfs -o size=256k none {folder} && exec "$0" "$@"'
    daemon.start(under=("unshare", *as_root, "--mount", "sh", "-c", mount))


def fill(file: Path) -> None:
    """Write until there is no room."""
    with suppress(OSError), file.open("wb", buffering=0) as filler:
        while True:
            filler.write(bytes(4096))


def create_many(site: Site) -> None:
    """Create more than fit: the last block of the file has room for a few."""
    for number in range(MOST_THAT_FIT):
        wanted = NewInstanceForm(f"a{number}", (DiskForm("empty.qcow2"),), memory=1)
        site.calls.call("createVm", InstanceForm, instance=wanted)


@pytest.fixture
def site(short_path: Path) -> Iterator[Site]:
    small = short_path / "small"
    small.mkdir()
    extra = {"Pickled": {"file": small / "cm.dat"}}
    site = Site(short_path, Shape(vmm=SIMULATED, memory=64_000, cores=1000, extra=extra))
    site.add_image("empty.qcow2")
    on_a_small_disk(site.manager, small)
    for daemon in (site.scheduler, *site.nodes):
        daemon.start()
    site.until(lambda now: any(host.up for host in now.hosts))
    yield site
    assert not site.end()


def test_a_full_disk_of_the_books_refuses_changes_until_there_is_room(site: Site) -> None:
    small = Path(f"/proc/{site.manager.pid}/root{site.folder}/small")
    fill(small / "filler")
    with pytest.raises(StoreFailed):
        create_many(site)
    before = site.instances().keys()

    refused = site.run("client", *CREATE)
    listed = site.run("client", "getInstances")
    journal, after = (small / "cm.dat").read_bytes(), site.instances().keys()
    (small / "filler").unlink()
    accepted = site.run("client", *CREATE, "--wait")

    assert refused.returncode == 3
    assert refused.stdout == ""
    assert re.fullmatch(
        r"tashi-client: The change could not be written to \S+/cm\.dat "
        r"\(No space left on device\); nothing of it happened\.\n",
        refused.stderr,
    )
    assert listed.returncode == 0
    assert after == before
    assert b'"late"' not in journal
    assert accepted.returncode == 0
    assert len(site.instances()) == len(before) + 1
    site.until(lambda now: {one.state for one in now.instances} == {InstanceState.RUNNING})


@pytest.fixture
def cramped_node(short_path: Path) -> Iterator[Site]:
    """A site whose guests' disks are on a small disk."""
    site = Site(short_path)
    boot_sectors.idle(site.images / "idle.img")
    for daemon in (site.manager, site.scheduler):
        daemon.start()
    scratch = site.folder / "n1/scratch"
    scratch.mkdir()
    on_a_small_disk(site.nodes[0], scratch)
    site.until(lambda now: any(host.up for host in now.hosts))
    yield site
    assert not site.end()


@pytest.mark.qemu
def test_a_full_disk_for_scratch_holds_an_instance_until_there_is_room(cramped_node: Site) -> None:
    site = cramped_node
    scratch = Path(f"/proc/{site.nodes[0].pid}/root{site.folder}/n1/scratch")
    fill(scratch / "filler")

    held = site.run("client", "createVm", "--name", "web", "--disks", "idle.img", "--wait")
    left = [path for path in scratch.rglob("*") if path.is_file()]
    (scratch / "filler").unlink()
    site.until(lambda now: [one.state for one in now.instances] == [InstanceState.RUNNING])
    ended = site.run("client", "destroyVm", "--instance", "web", "--wait")
    site.until(lambda now: not now.instances)

    assert held.returncode == 3
    assert re.fullmatch(r"tashi-client: web is Held: .*No space left on device\.?\n", held.stderr)
    assert left == [scratch / "filler"]
    assert ended.returncode == 0
    assert not [path for path in scratch.rglob("*") if path.is_file()]

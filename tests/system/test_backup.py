"""Books are lost and put back from a backup, under nodes and guests that have gone on since."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from system.books import Place
from system.sites import SIMULATED, Shape, Site
from tashi.domain.restoring import LEAP
from tashi.domain.states import HostState, InstanceState

CREATE = ("createVm", "--disks", "empty.qcow2", "--wait", "--name")


@pytest.fixture
def site(short_path: Path, books: Place) -> Iterator[Site]:
    site = Site(short_path, Shape(vmm=SIMULATED, books=books))
    site.add_image("empty.qcow2")
    site.start()
    yield site
    assert not site.end()


def admin(site: Site, *words: str) -> dict[str, object]:
    """What tashi-admin answers to a script."""
    ended = site.run("admin", *words, "--output", "json")
    assert ended.returncode == 0, ended.stderr
    answer: dict[str, object] = json.loads(ended.stdout)
    return answer


@pytest.mark.every_store
def test_books_that_were_lost_are_put_back_and_the_cluster_goes_on(
    site: Site, tmp_path: Path
) -> None:
    site.run("client", *CREATE, "before")
    copied = admin(site, "backup", "--file", str(tmp_path / "backup"))
    site.run("client", *CREATE, "after")
    assert site.manager.stop() == 0
    site.books.lose()

    restored = admin(site, "restore", "--file", str(tmp_path / "backup"))
    site.manager.start()
    site.until(lambda now: all(host.up for host in now.hosts))
    [host] = site.now().hosts
    admin(site, "undrain", "--host", host.name)
    created = site.run("client", *CREATE, "fresh")

    assert (copied["instances"], restored["instances"]) == (1, 1)
    assert (restored["lostFrom"], restored["nextInstance"]) == (2, LEAP)
    assert host.state is HostState.DRAINED
    assert created.returncode == 0, created.stderr
    there = site.instances()
    assert {key: one.name for key, one in there.items()} == {1: "before", LEAP: "fresh"}
    assert {one.state for one in there.values()} == {InstanceState.RUNNING}
    assert "guest with the unknown id 2: left alone" in site.manager.log.read_text()


@pytest.mark.every_store
def test_a_cluster_is_copied_to_other_places_and_goes_on_where_it_was(
    site: Site, tmp_path: Path
) -> None:
    site.run("client", *CREATE, "web")
    before = site.instances()
    assert site.manager.stop() == 0
    here = str(site.books.settings.get("SQL", {}).get("uri", f"file://{site.folder}/cm.dat"))

    there = admin(site, "copyState", "--from", here, "--to", f"file://{tmp_path}/moved")
    onward = admin(
        site, "copyState", "--from", f"file://{tmp_path}/moved", "--to", f"sqlite:///{tmp_path}/b"
    )
    site.manager.start()
    site.until(lambda now: all(host.up for host in now.hosts))

    assert there["digest"] == onward["digest"]
    assert site.instances() == before

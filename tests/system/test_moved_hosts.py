"""A host whose name or folder of records is changed while guests run there: they go on.

Its node manager does not begin under the new one, so nothing is ended or begun a second time.
"""

from collections.abc import Iterator
from pathlib import Path

import pytest

from system.books import Place
from system.guests import guests_in
from system.sites import QEMU, Shape, Site
from tashi.domain.states import InstanceState
from tashi.wire.forms import DiskForm, InstanceForm, NewInstanceForm

pytestmark = pytest.mark.qemu

MISCONFIGURED = 2


@pytest.fixture
def site(short_path: Path, books: Place) -> Iterator[Site]:
    """A host with a guest."""
    made = Site(short_path, Shape(vmm=QEMU, memory=1024, books=books))
    made.add_image("empty.qcow2")
    made.start()
    wanted = NewInstanceForm("web", (DiskForm("empty.qcow2"),), memory=64)
    made.calls.call("createVm", InstanceForm, instance=wanted)
    made.until(lambda now: [one.state for one in now.instances] == [InstanceState.RUNNING])
    yield made
    made.end_empty()


@pytest.mark.parametrize(
    ("before", "after", "words"),
    [
        ("= host1", "= other", "are about guests of host1, and hostName is other now"),
        ("n1/info", "n1/elsewhere", "Guests of host1 run whose records are in"),
    ],
)
def test_guests_outlive_a_change_that_was_made_too_early(
    site: Site, before: str, after: str, words: str
) -> None:
    node, settings = site.nodes[0], site.folder / "n1/NodeManager.cfg"
    configured = settings.read_text()
    assert before in configured
    [guest] = guests_in(site.folder)

    node.kill()
    settings.write_text(configured.replace(before, after))
    node.start()
    code = node.ended()
    settings.write_text(configured)
    node.start()
    site.until(lambda now: all(host.up for host in now.hosts))

    assert code == MISCONFIGURED
    assert words in node.log.read_text()
    assert [one.process.pid for one in guests_in(site.folder)] == [guest.process.pid]
    assert [one.state for one in site.instances().values()] == [InstanceState.RUNNING]

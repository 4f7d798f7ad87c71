"""What is special with libvirt: it goes away, it hangs, others use it too, or it cannot be used.

What holds whoever runs the guests is in the suites that are parametrised by EITHER.
"""

import os
import re
import signal
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path

import pytest

import boot_sectors
from libvirtds import Libvirtd
from system.counting import Tally
from system.guests import guests_in
from system.libvirt_sites import LibvirtSite
from system.sites import LIBVIRT, QEMU, Shape, Site
from tashi.domain.states import InstanceState as S
from tashi.wire.forms import ConsoleForm, InstanceForm, SnapshotForm

pytestmark = [pytest.mark.qemu, pytest.mark.libvirt]

SMALL = ("--disks", "idle.img", "--memory", "32")
BOOT_SECONDS = 180
NOBODY = 65534
THEIR_MIB = 64
MISUSED = 2
"""The exit code of a program whose settings must be changed."""


@pytest.fixture
def site(one_by_libvirt: LibvirtSite) -> Iterator[LibvirtSite]:
    with one_by_libvirt.taken() as site:
        yield site


@pytest.fixture
def libvirtd(site: LibvirtSite) -> Libvirtd:
    return site.libvirtds[0]


def web(now: SnapshotForm) -> InstanceForm:
    [only] = now.instances
    return only


def domain(site: Site) -> str:
    """What libvirt calls the only instance."""
    return f"tashi-{web(site.now()).id}"


def state(now: SnapshotForm) -> S | None:
    return now.instances[0].state if now.instances else None


def says(site: Site, pattern: str, offset: int = 0) -> tuple[re.Match[str], int]:
    """Wait until the only console says it, from that offset on; and the offset after."""
    instance = web(site.now()).id
    text, deadline = "", time.monotonic() + BOOT_SECONDS
    while time.monotonic() < deadline:
        piece = site.calls.call(
            "getConsole", ConsoleForm, instance_id=instance, offset=offset, timeout=10.0
        )
        text, offset = text + piece.text, piece.offset
        if found := re.search(pattern, text):
            return found, offset
    pytest.fail(f"The console never said {pattern!r}:\n{text}\n{site.story()}")


def domains(libvirtd: Libvirtd) -> list[str]:
    return libvirtd.virsh("list", "--name").stdout.split()


def test_a_real_guest_lives_through_everything_while_libvirtd_comes_and_goes(
    site: Site, libvirtd: Libvirtd, guest_image: Path
) -> None:
    (site.images / "real.qcow2").write_bytes(guest_image.read_bytes())
    site.do("createVm", "--name", "web", "--disks", "real.qcow2", "--wait")
    _, offset = says(site, "GUEST-READY")
    process, name = web(site.now()).vm_id, domain(site)

    libvirtd.kill()
    _, offset = says(site, "GUEST-TICK", offset)
    libvirtd.start()
    site.do("pauseVm", "--instance", "web", "--wait")
    libvirtd.kill()
    libvirtd.start()
    site.do("unpauseVm", "--instance", "web", "--wait")
    _, offset = says(site, "GUEST-TICK", offset)
    same = web(site.now()).vm_id
    site.do("suspendVm", "--instance", "web", "--wait")
    while_saved = domains(libvirtd)
    site.do("resumeVm", "--instance", "web", "--wait")
    says(site, "GUEST-TICK", offset)
    resumed = domains(libvirtd)
    site.do("shutdownVm", "--instance", "web", "--wait")
    site.until(lambda now: not now.instances)

    assert same == process
    assert (while_saved, resumed) == ([], [name])
    assert not libvirtd.virsh("list", "--all", "--name").stdout.split()


def by_its_own_word(libvirtd: Libvirtd, name: str) -> S | None:
    """What the books are to say of a domain that lives."""
    says = libvirtd.virsh("domstate", name).stdout.strip()
    return {"running": S.RUNNING, "paused": S.PAUSED}.get(says)


def test_an_order_waits_for_a_libvirtd_that_is_away(site: Site, libvirtd: Libvirtd) -> None:
    libvirtd.kill()

    site.do("createVm", "--name", "web", *SMALL)
    site.until(lambda now: state(now) is S.ACTIVATING)
    libvirtd.start()
    site.until(lambda now: state(now) is S.RUNNING)

    assert domains(libvirtd) == [domain(site)]
    assert web(site.now()).attempt == 1


def test_what_happened_while_libvirtd_was_away_is_found(site: Site, libvirtd: Libvirtd) -> None:
    site.do("createVm", "--name", "web", *SMALL, "--onLoss", "stop", "--wait")
    [guest] = guests_in(site.folder)

    libvirtd.kill()
    guest.process.kill()
    libvirtd.start()

    site.until(lambda now: state(now) is S.STOPPED)


def test_a_guest_that_powered_off_while_the_node_manager_was_away_is_known_to_have_done_so(
    site: Site, libvirtd: Libvirtd, guest_image: Path
) -> None:
    (site.images / "real.qcow2").write_bytes(guest_image.read_bytes())
    site.do("createVm", "--name", "web", "--disks", "real.qcow2", "--onExit", "stop", "--wait")
    says(site, "GUEST-READY")

    site.nodes[0].stop()
    libvirtd.virsh("shutdown", domain(site), "--mode", "acpi")
    while domains(libvirtd):
        time.sleep(0.1)
    site.nodes[0].start()

    site.until(lambda now: state(now) is S.STOPPED)


def test_a_libvirtd_that_hangs_holds_nothing_up_for_ever(site: Site, libvirtd: Libvirtd) -> None:
    site.do("createVm", "--name", "web", *SMALL, "--wait")
    process, log = web(site.now()).vm_id, site.nodes[0].log
    before = log.read_text().count("broke")

    libvirtd.send(signal.SIGSTOP)
    site.do("pauseVm", "--instance", "web")
    while log.read_text().count("broke") == before:
        time.sleep(0.1)
    meanwhile = site.now().hosts[0].up
    libvirtd.send(signal.SIGCONT)
    # What it was asked while it hung libvirtd may have kept, and does it now, or not: who asked has
    # gone. It is either, but the books say the same as libvirt does.
    site.until(lambda now: state(now) is by_its_own_word(libvirtd, domain(site)))
    site.do("resetVm", "--instance", "web")

    assert meanwhile
    assert web(site.now()).vm_id == process
    assert domains(libvirtd) == [domain(site)]


@contextmanager
def used_by_others(libvirtd: Libvirtd, folder: Path) -> Iterator[None]:
    """While a domain lives there that is somebody else's, described in that folder."""
    (folder / "theirs.xml").write_text(
        f"<domain type='qemu'><name>theirs</name><memory unit='MiB'>{THEIR_MIB}</memory>"
        "<os><type arch='x86_64' machine='q35'>hvm</type></os></domain>"
    )
    created = libvirtd.virsh("create", str(folder / "theirs.xml"))
    assert created.returncode == 0, created.stderr
    try:
        yield
    finally:
        libvirtd.virsh("destroy", "theirs")


def test_domains_of_others_are_left_alone(site: Site, libvirtd: Libvirtd, tmp_path: Path) -> None:
    with used_by_others(libvirtd, tmp_path):
        site.do("createVm", "--name", "web", *SMALL, "--wait")
        site.nodes[0].kill()
        site.nodes[0].start()
        site.do("destroyVm", "--instance", "web", "--wait")
        left = domains(libvirtd)

    assert left == ["theirs"]


@pytest.fixture
def whole(short_path: Path) -> Iterator[LibvirtSite]:
    """A site of the test's own, whose host offers all that the machine has."""
    site = LibvirtSite(short_path, Shape(memory=None, cores=None))
    boot_sectors.idle(site.images / "idle.img")
    boot_sectors.count(site.images / "count.img")
    site.start()
    yield site
    site.end_empty()


def test_what_domains_of_others_take_the_host_does_not_have(
    whole: LibvirtSite, tmp_path: Path
) -> None:
    whole.do("createVm", "--name", "web", *SMALL, "--wait")
    [before] = whole.now().hosts

    with used_by_others(whole.libvirtds[0], tmp_path):
        now = whole.until(lambda now: now.hosts[0].memory < before.memory)
    whole.until(lambda now: now.hosts[0].memory == before.memory)

    [meanwhile] = now.hosts
    assert before.memory - meanwhile.memory == THEIR_MIB
    assert before.cores - meanwhile.cores == 1
    assert state(now) is S.RUNNING


def begin_by(site: Site, vmm: str) -> None:
    """Stop the node manager, and start it with that backend."""
    node, settings = site.nodes[0], site.folder / "n1/NodeManager.cfg"
    node.stop()
    settings.write_text(re.sub(r"vmm = .*", f"vmm = {vmm}", settings.read_text()))
    node.start()


def guests_and_domains(site: LibvirtSite) -> tuple[list[int], list[str]]:
    """The instances whose QEMU is there, and what libvirt has."""
    return sorted(guest.instance for guest in guests_in(site.folder)), domains(site.libvirtds[0])


def test_a_host_changes_its_backend_only_while_it_is_empty(whole: LibvirtSite) -> None:
    resting = ("--name", "resting", "--disks", "count.img", "--memory", "32")
    node = whole.nodes[0]
    whole.do("createVm", *resting, "--wait")
    tally = Tally(whole.folder, whole.folder / "kept", web(whole.now()).id)
    tally.take_up()
    tally.goes_on()
    whole.do("stopVm", "--instance", "resting", "--wait")
    whole.do("createVm", "--name", "web", *SMALL, "--wait")

    begin_by(whole, QEMU)
    refused = node.ended()
    begin_by(whole, LIBVIRT)
    whole.do("destroyVm", "--instance", "web", "--wait")
    runs = []
    for vmm in (QEMU, LIBVIRT):
        begin_by(whole, vmm)
        whole.do("startVm", "--instance", "resting", "--wait")
        whole.do("createVm", "--name", "web", *SMALL, "--wait")
        tally.take_up()
        tally.goes_on()
        runs.append(guests_and_domains(whole))
        whole.do("destroyVm", "--instance", "web", "--wait")
        whole.do("stopVm", "--instance", "resting", "--wait")

    assert refused == MISUSED
    assert (
        "Guests of instances 2 are here that another vmm of [NodeManager] began: "
        "set that one again, empty this host (drain), and change it then."
    ) in node.log.read_text()
    assert runs == [([1, 3], []), ([1, 4], ["tashi-1", "tashi-4"])]
    assert tally.faults(deaths=2) == []


NO_LIBRARY = "raise ModuleNotFoundError('No module named libvirt')"
AN_OLD_ONE = """\
from pathlib import Path
exec(compile(Path({real!r}).read_text(), {real!r}, "exec"))
virConnect.getLibVersion = lambda _: 8_010_000
"""


@pytest.mark.parametrize(
    ("trouble", "code", "words"),
    [
        ("no library", 2, "run `make compiled` where Tashi is checked out"),
        ("no daemon", 3, r"Start it, or set uri in \[Libvirt\]"),
        ("too old", 2, "is 8.10.0, which is too old: Tashi needs 9.0.0 or newer"),
        ("not let in", 2, "does not let the node manager in: .* Run it as root, or as a member"),
    ],
)
def test_a_node_manager_without_a_libvirt_that_serves_says_what_is_wrong(
    trouble: str, code: int, words: str, short_path: Path
) -> None:
    closed = short_path / "closed"
    closed.mkdir(mode=0o700)
    os.chown(closed, NOBODY, NOBODY)
    uris = {
        "too old": "test:///default",
        "not let in": f"qemu+unix:///system?socket={closed}/sock",
    }
    uri = uris.get(trouble, f"qemu+unix:///system?socket={short_path}/none")
    site = Site(short_path, Shape(vmm=LIBVIRT, extra={"Libvirt": {"uri": uri}}))
    node = site.nodes[0]
    under: tuple[str, ...] = ()
    if trouble in {"no library", "too old"}:
        other = short_path / "other"
        other.mkdir()
        real = find_spec("libvirt")
        assert real is not None
        text = NO_LIBRARY if trouble == "no library" else AN_OLD_ONE.format(real=real.origin)
        (other / "libvirt.py").write_text(text)
        under = ("env", f"PYTHONPATH={os.pathsep.join([str(other), *sys.path])}")
    if trouble == "not let in":
        # Root without its privileges, whom the kernel does let be refused.
        under = ("setpriv", "--bounding-set=-all", "--inh-caps=-all")

    node.start(under=under)
    ended = node.ended()
    site.end()

    said = node.log.read_text()
    assert ended == code, said
    assert re.search(words, said)
    assert "Traceback" not in said

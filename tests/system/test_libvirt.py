"""A cluster whose only host runs its guests through libvirt, with a libvirtd of its own."""

import os
import re
import signal
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

import boot_sectors
from libvirtds import Libvirtd
from system.guests import processes_naming
from system.sites import LIBVIRT, Shape, Site
from tashi.domain.states import InstanceState as S
from tashi.wire.forms import ConsoleForm, InstanceForm, SnapshotForm

pytestmark = [pytest.mark.qemu, pytest.mark.libvirt]

SMALL = ("--disks", "idle.img", "--memory", "32")
BOOT_SECONDS = 180


@pytest.fixture
def libvirtd(short_path: Path) -> Iterator[Libvirtd]:
    made = Libvirtd(short_path / "lv", "host1")
    made.start()
    yield made
    made.stop()


@pytest.fixture
def site(short_path: Path, libvirtd: Libvirtd) -> Iterator[Site]:
    extra = {"Libvirt": {"uri": libvirtd.uri}}
    folder = short_path / "site"
    folder.mkdir()
    site = Site(folder, Shape(vmm=LIBVIRT, extra=extra))
    boot_sectors.idle(site.images / "idle.img")
    site.start()
    yield site
    site.end_empty()


def web(now: SnapshotForm) -> InstanceForm:
    [only] = now.instances
    return only


def state(now: SnapshotForm) -> S | None:
    return now.instances[0].state if now.instances else None


def says(site: Site, pattern: str, offset: int = 0) -> tuple[re.Match[str], int]:
    """Wait until the console of instance 1 says it, from that offset on; and the offset after."""
    text, deadline = "", time.monotonic() + BOOT_SECONDS
    while time.monotonic() < deadline:
        piece = site.calls.call(
            "getConsole", ConsoleForm, instance_id=1, offset=offset, timeout=10.0
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
    process = web(site.now()).vm_id

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
    assert (while_saved, resumed) == ([], ["tashi-1"])
    assert not libvirtd.virsh("list", "--all", "--name").stdout.split()


def test_an_order_waits_for_a_libvirtd_that_is_away(site: Site, libvirtd: Libvirtd) -> None:
    libvirtd.kill()

    site.do("createVm", "--name", "web", *SMALL)
    site.until(lambda now: state(now) is S.ACTIVATING)
    libvirtd.start()
    site.until(lambda now: state(now) is S.RUNNING)

    assert domains(libvirtd) == ["tashi-1"]
    assert web(site.now()).attempt == 1


def test_what_happened_while_libvirtd_was_away_is_found(site: Site, libvirtd: Libvirtd) -> None:
    site.do("createVm", "--name", "web", *SMALL, "--onLoss", "stop", "--wait")
    [guest] = [one for one in processes_naming(site.folder) if "tashi-1" in one.command]

    libvirtd.kill()
    guest.kill()
    libvirtd.start()

    site.until(lambda now: state(now) is S.STOPPED)


def test_a_guest_that_powered_off_while_the_node_manager_was_away_is_known_to_have_done_so(
    site: Site, libvirtd: Libvirtd, guest_image: Path
) -> None:
    (site.images / "real.qcow2").write_bytes(guest_image.read_bytes())
    site.do("createVm", "--name", "web", "--disks", "real.qcow2", "--onExit", "stop", "--wait")
    says(site, "GUEST-READY")

    site.nodes[0].kill()
    libvirtd.virsh("shutdown", "tashi-1", "--mode", "acpi")
    while domains(libvirtd):
        time.sleep(0.1)
    site.nodes[0].start()

    site.until(lambda now: state(now) is S.STOPPED)


def test_a_libvirtd_that_hangs_holds_nothing_up_for_ever(site: Site, libvirtd: Libvirtd) -> None:
    site.do("createVm", "--name", "web", *SMALL, "--wait")
    process = web(site.now()).vm_id

    libvirtd.send(signal.SIGSTOP)
    site.do("pauseVm", "--instance", "web")
    while "broke" not in site.nodes[0].log.read_text():
        time.sleep(0.1)
    meanwhile = site.now().hosts[0].up
    libvirtd.send(signal.SIGCONT)
    site.until(lambda now: state(now) in {S.PAUSED, S.RUNNING})
    site.do("resetVm", "--instance", "web")

    assert meanwhile
    assert web(site.now()).vm_id == process
    assert domains(libvirtd) == ["tashi-1"]


def test_domains_of_others_are_left_alone(site: Site, libvirtd: Libvirtd, tmp_path: Path) -> None:
    theirs = tmp_path / "theirs.xml"
    theirs.write_text(
        "<domain type='qemu'><name>theirs</name><memory unit='MiB'>32</memory>"
        "<os><type arch='x86_64' machine='q35'>hvm</type></os></domain>"
    )
    created = libvirtd.virsh("create", str(theirs))
    assert created.returncode == 0, created.stderr

    site.do("createVm", "--name", "web", *SMALL, "--wait")
    site.nodes[0].kill()
    site.nodes[0].start()
    site.do("destroyVm", "--instance", "web", "--wait")

    assert domains(libvirtd) == ["theirs"]


@pytest.mark.parametrize(
    ("trouble", "code", "words"),
    [
        ("no library", 2, "run `make compiled` where Tashi is checked out"),
        ("no daemon", 3, r"Start it, or set uri in \[Libvirt\]"),
    ],
)
def test_a_node_manager_without_libvirt_says_what_is_missing(
    trouble: str, code: int, words: str, short_path: Path
) -> None:
    extra = {"Libvirt": {"uri": f"qemu+unix:///system?socket={short_path}/none"}}
    site = Site(short_path, Shape(vmm=LIBVIRT, extra=extra))
    node = site.nodes[0]
    under: tuple[str, ...] = ()
    if trouble == "no library":
        missing = short_path / "missing"
        missing.mkdir()
        (missing / "libvirt.py").write_text("raise ModuleNotFoundError('No module named libvirt')")
        under = ("env", f"PYTHONPATH={os.pathsep.join([str(missing), *sys.path])}")

    node.start(under=under)
    ended = node.ended()
    site.end()

    said = node.log.read_text()
    assert ended == code, said
    assert re.search(words, said)
    assert "Traceback" not in said

"""The same guest through libvirt: `virsh start` of the very domain that Tashi begins there.

libvirt is used as it is found, at virsh's default connection (`LIBVIRT_DEFAULT_URI` chooses another
one). What libvirt tells of a domain of Tashi's is defined anew under another name and with other
files, so that the machine is the same to the last device; with a second monitor for whoever
measures.
"""

import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from socket import socket
from typing import Final
from xml.etree import ElementTree as ET

from instruments.starters import PATIENCE_SECONDS, ThroughTashi, make_overlay, wait_until
from tashi.adapters.hypervisor.libvirt.domain_xml import domain_name
from tashi.adapters.hypervisor.qemu.places import Places

_ITS_OWN: Final = {"uuid", "title", "metadata", "backingStore"}
_MONITOR: Final = """\
<commandline xmlns='http://libvirt.org/schemas/domain/qemu/1.0'>
  <arg value='-chardev'/>
  <arg value='socket,id=human,path={monitor},server=on,wait=off'/>
  <arg value='-mon'/>
  <arg value='chardev=human,mode=control'/>
</commandline>
"""


def default_uri() -> str:
    """The connection that virsh takes without being told."""
    return os.environ.get("LIBVIRT_DEFAULT_URI", "qemu:///system")


def answers() -> bool:
    """Whether there is a libvirt here."""
    return shutil.which("virsh") is not None and _virsh("list").returncode == 0


@contextmanager
def through_virsh(folder: Path, tashi: ThroughTashi, image: Path) -> Iterator["ThroughVirsh"]:
    """A domain in that folder like the one that Tashi makes for the image; undefined at the end."""
    starter = ThroughVirsh(f"tashi-bench-{os.getpid()}", folder)
    folder.mkdir()
    first = tashi.start(image)
    try:
        described = _told_of(domain_name(first.key))
    finally:
        first.end()
    places, disk = tashi.premises.of(first.key), tashi.premises.disk(first.key, "0")
    (folder / "domain.xml").write_text(starter.domain_like(described, places, disk), "utf-8")
    defined = _virsh("define", str(folder / "domain.xml"))
    if defined.returncode != 0:
        raise SystemExit(f"libvirt takes no such domain: {defined.stderr.strip()}")
    try:
        yield starter
    finally:
        _virsh("undefine", starter.domain_name)


def _told_of(domain: str) -> str:
    """What libvirt tells of a domain, once it runs."""
    wait_until("the domain", lambda: _virsh("domstate", domain).stdout.strip() == "running", 0.1)
    return _virsh("dumpxml", domain).stdout


class ThroughVirsh:
    """`virsh start` of one domain."""

    name = "virsh"

    def __init__(self, domain_name: str, folder: Path) -> None:
        self.domain_name = domain_name
        self._folder = folder
        self._disk = folder / "disk.qcow2"
        self._monitor = folder / "human.sock"
        self._console = folder / "console.log"

    def domain_like(self, described: str, places: Places, disk: Path) -> str:
        """That domain of Tashi's with a name and files of our own, in libvirt's XML."""
        for there, here in {places.folder: self._folder, disk: self._disk}.items():
            described = described.replace(str(there), str(here))
        domain = ET.fromstring(described)
        for parent in [domain, *domain.iter("disk")]:
            for child in [child for child in parent if child.tag in _ITS_OWN]:
                parent.remove(child)
        name = domain.find("name")
        assert name is not None
        name.text = self.domain_name
        domain.append(ET.fromstring(_MONITOR.format(monitor=self._monitor)))
        return ET.tostring(domain, encoding="unicode")

    def start(self, image: Path) -> "DomainOfLibvirt":
        """Make the overlay, let virsh start the domain."""
        self._console.unlink(missing_ok=True)
        self._monitor.unlink(missing_ok=True)
        make_overlay(image, self._disk)
        return DomainOfLibvirt(self.domain_name, self._monitor, self._console)


class DomainOfLibvirt:
    """A domain that virsh starts."""

    def __init__(self, name: str, monitor: Path, console: Path) -> None:
        self._name = name
        self._virsh = subprocess.Popen(["virsh", "--quiet", "start", name])
        self.monitor = monitor
        self.console = console

    def go(self, monitor: socket) -> None:
        """Nothing: libvirt lets it run."""

    def end(self) -> None:
        """Destroy it."""
        if self._virsh.wait() != 0:
            raise SystemExit("virsh start failed; its words stand above.")
        _virsh("destroy", self._name)


def _virsh(*words: str) -> "subprocess.CompletedProcess[str]":
    command = ["virsh", "--quiet", *words]
    try:
        return subprocess.run(
            command, capture_output=True, text=True, check=False, timeout=PATIENCE_SECONDS
        )
    except subprocess.TimeoutExpired:
        raise SystemExit(
            f"libvirt did not answer `{' '.join(command)}` within {PATIENCE_SECONDS:g} s; mend it, "
            "or set LIBVIRT_DEFAULT_URI to one that answers."
        ) from None

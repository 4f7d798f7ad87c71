"""The same guest through libvirt: `virsh start` of a domain as near to Tashi's QEMU as can be said.

libvirt is used as it is found, at virsh's default connection (`LIBVIRT_DEFAULT_URI` chooses another
one). The domain has the machine, processor, memory, disk, card and console of Tashi's guest, and a
second monitor for whoever measures. As root, QEMU runs as root too, for the folder is private.
"""

import os
import shutil
import socket
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from instruments.starters import MEMORY_MIB, PATIENCE_SECONDS, make_overlay

_DOMAIN: Final = """\
<domain type='{kind}' xmlns:qemu='http://libvirt.org/schemas/domain/qemu/1.0'>
  <name>{name}</name>
  <memory unit='MiB'>{memory}</memory>
  <vcpu>1</vcpu>
  <os><type arch='x86_64' machine='q35'>hvm</type></os>
  <features><acpi/>{features}</features>
  {cpu}
  <devices>
    <emulator>{qemu}</emulator>
    <controller type='usb' model='none'/>
    <disk type='file' device='disk'>
      <driver name='qemu' type='qcow2' discard='unmap'/>
      <source file='{disk}'/>
      <target dev='vda' bus='virtio'/>
    </disk>
    <interface type='user'><model type='virtio'/><rom enabled='no'/></interface>
    <serial type='file'><source path='{console}'/></serial>
    <rng model='virtio'><backend model='random'>/dev/urandom</backend></rng>
    <memballoon model='virtio'/>
    <video><model type='none'/></video>
  </devices>
  {owner}
  <qemu:commandline>
    <qemu:arg value='-chardev'/>
    <qemu:arg value='socket,id=human,path={monitor},server=on,wait=off'/>
    <qemu:arg value='-mon'/>
    <qemu:arg value='chardev=human,mode=control'/>
  </qemu:commandline>
</domain>
"""
_EMULATED: Final = {
    "kind": "qemu",
    "features": "<tcg><tb-cache unit='MiB'>32</tb-cache></tcg>",
    "cpu": "<cpu mode='custom' match='minimum' check='none'><model>qemu64</model></cpu>",
}
_ON_THE_PROCESSOR: Final = {
    "kind": "kvm",
    "features": "",
    "cpu": "<cpu mode='host-passthrough'/>",
}
_AS_ROOT: Final = "<seclabel type='static' model='dac' relabel='no'><label>+0:+0</label></seclabel>"


def default_uri() -> str:
    """The connection that virsh takes without being told."""
    return os.environ.get("LIBVIRT_DEFAULT_URI", "qemu:///system")


@contextmanager
def through_virsh(folder: Path, *, emulated: bool) -> Iterator["ThroughVirsh | None"]:
    """A domain in that folder, undefined at the end; None when libvirt does not answer here."""
    if shutil.which("virsh") is None or _virsh("list").returncode != 0:
        yield None
        return
    starter = ThroughVirsh(f"tashi-bench-{os.getpid()}", folder)
    folder.mkdir()
    (folder / "domain.xml").write_text(starter.domain(emulated=emulated), "utf-8")
    defined = _virsh("define", str(folder / "domain.xml"))
    if defined.returncode != 0:
        raise SystemExit(f"libvirt takes no such domain: {defined.stderr.strip()}")
    try:
        yield starter
    finally:
        _virsh("undefine", starter.domain_name)


class ThroughVirsh:
    """`virsh start` of one domain."""

    name = "virsh"

    def __init__(self, domain_name: str, folder: Path) -> None:
        self.domain_name = domain_name
        self._disk = folder / "disk.qcow2"
        self._monitor = folder / "human.sock"
        self._console = folder / "console.log"

    def domain(self, *, emulated: bool) -> str:
        """The domain in libvirt's XML."""
        return _DOMAIN.format(
            **(_EMULATED if emulated else _ON_THE_PROCESSOR),
            name=self.domain_name,
            memory=MEMORY_MIB,
            qemu=shutil.which("qemu-system-x86_64"),
            disk=self._disk,
            console=self._console,
            monitor=self._monitor,
            owner=_AS_ROOT if os.geteuid() == 0 else "",
        )

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

    def go(self, monitor: socket.socket) -> None:
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

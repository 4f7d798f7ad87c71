"""Sites whose hosts run guests through libvirt: each host has a libvirtd of its own.

It is killed with the node manager and started before it, so whatever a scenario does to the one
befalls the other. All tests of a session share a site with one host and one with two, because
libvirtds take seconds to begin; each test finds them empty.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final, Self

import pytest

from leaks import KEPT
from libvirtds import Libvirtd
from system.guests import LAIR
from system.many_hosts import ManyHosts
from system.sites import LIBVIRT, QEMU, Daemon, Shape, Site

EITHER: Final = pytest.mark.parametrize(
    "vmm",
    [
        pytest.param(QEMU, id="qemu"),
        pytest.param(LIBVIRT, id="libvirt", marks=pytest.mark.libvirt),
    ],
    scope="session",
)
"""For what a site promises whichever of them runs its guests."""

QEMU_ALONE: Final = pytest.mark.parametrize("vmm", [pytest.param(QEMU, id="qemu")], scope="session")
"""For what is tried with one of them, among tests of either; each says why."""


def accompany(node: Daemon, libvirtd: Libvirtd, own: Path) -> None:
    """Have a node manager, whose settings are in a file of that folder, use that libvirtd."""
    node.companion = libvirtd
    with (own / "NodeManager.cfg").open("a") as settings:
        settings.write(f"[NodeManager]\nvmm = {LIBVIRT}\n[Libvirt]\nuri = {libvirtd.uri}\n")


class SharedSite(Site):
    """A site with libvirtds that many tests use, one after the other."""

    def __init__(self, folder: Path, shape: Shape) -> None:
        self.libvirtds: list[Libvirtd] = []
        super().__init__(folder, shape)

    @contextmanager
    def taken(self) -> Iterator[Self]:
        """For one test, after which everything runs and no instance is left.

        It is asked over a line of the test's own, which is made anew with the cluster manager.
        """
        first = self.calls
        with self.another_link() as link:
            self.calls = self.calls_of(link)
            try:
                yield self
            finally:
                self._stand_up()
                self.empty()
                self.calls = first

    def _stand_up(self) -> None:
        """Start again what a test has ended."""
        for libvirtd in self.libvirtds:
            libvirtd.start()
            libvirtd.go_on()
        for daemon in self.daemons:
            if not daemon.is_alive():
                daemon.start()
        KEPT.update(daemon.pid for daemon in self.daemons)


class LibvirtSite(SharedSite):
    """A site on this machine with as many libvirtds as hosts."""

    def _node(self, number: int) -> Daemon:
        node, own = super()._node(number), self.folder / f"n{number}"
        self.libvirtds.append(Libvirtd(own / LAIR, f"host{number}"))
        accompany(node, self.libvirtds[-1], own)
        return node


class LibvirtHosts(SharedSite, ManyHosts):
    """Pretended machines with a libvirtd each, but for the last `BY_QEMU_ALONE` of them."""

    BY_QEMU_ALONE = 0

    def _node(self, number: int) -> Daemon:
        node = super()._node(number)
        if number <= self.shape.hosts - self.BY_QEMU_ALONE:
            machine = self.lab.hosts[number - 1]
            libvirtd = Libvirtd(machine.own / LAIR, machine.name, machine.inside)
            self.libvirtds.append(libvirtd)
            accompany(node, libvirtd, machine.own / "config")
        return node


EITHER_HOSTS: Final = (
    pytest.param(ManyHosts, id="qemu"),
    pytest.param(LibvirtHosts, id="libvirt", marks=pytest.mark.libvirt),
)
"""For what several hosts promise whichever backend they have: what makes their site."""

"""What the fault matrix strikes with where libvirt runs the guests; see `blows`.

Most moments are steps of libvirt's adapter. What libvirt does in one call has moments too: memory
crosses for as long as its QEMU may send hardly any of it, and the guest stands still on both hosts
for as long as the target's libvirtd hangs. There is no moment in which only disks cross: those of
these guests have crossed before anybody could look.
"""

from collections.abc import Callable, Container, Iterable, Mapping
from itertools import product
from typing import Final

import pytest
from _pytest.mark import ParameterSet  # has no public name

from libvirtds import Libvirtd
from system.blows import (
    BLOWS,
    DECLARED_DEAD,
    LOCAL,
    Blow,
    Case,
    StepwiseHosts,
    ambushed,
)
from system.counting import until
from system.libvirt_sites import LibvirtHosts
from system.sites import LIBVIRT, QEMU
from tashi.adapters.hypervisor.libvirt.domain_xml import domain_name
from tashi.domain.identity import InstanceId
from tashi.programs.demo.machines.lab import Machine

_SLOW_MIB: Final = "1"
_FAST_MIB: Final = "1000"
_HARDLY_ANY: Final = "migrate_set_parameter max-bandwidth 1K"


class StepwiseLibvirtHosts(StepwiseHosts, LibvirtHosts):
    """Such hosts with a libvirtd each."""

    under = "libvirt"
    move_seconds = 30
    """More than a move takes while other tests have the processors; hardly a cell waits for it."""

    def start(self) -> None:
        """Make the machines so that their libvirtds see what is mounted on them later."""
        self.lab.make()
        for host in self.lab.hosts:
            host.run("mount", "--make-rshared", "/")
        super().start()

    def libvirtd_on(self, machine: Machine) -> Libvirtd:
        """The libvirtd of a host."""
        return self.libvirtds[self.lab.hosts.index(machine)]

    def _stand_up(self) -> None:
        self.ambush.release()
        for host in self.lab.hosts:
            self.lab.plug(host)
        super()._stand_up()
        self.until(lambda now: all(one.up for one in now.hosts))


def _site(case: Case) -> StepwiseLibvirtHosts:
    assert isinstance(case.site, StepwiseLibvirtHosts)
    return case.site


Which = Callable[[Case], Machine]


def _source(case: Case) -> Machine:
    return case.source


def _target(case: Case) -> Machine:
    return case.target


def _caught(case: Case) -> Machine:
    return case.caught


def _node_manager_alone(which: Which) -> Blow:
    """Its libvirtd goes on."""

    def strike(case: Case) -> None:
        node = case.site.node_on(which(case))
        libvirtd, node.companion = node.companion, None
        node.kill()
        node.companion = libvirtd

    return Blow(strike, lambda case: case.site.node_on(which(case)).start())


def _with_libvirtd(which: Which) -> Blow:
    return Blow(
        lambda case: case.site.node_on(which(case)).kill(),
        lambda case: case.site.node_on(which(case)).start(),
    )


def _libvirtd(which: Which) -> Blow:
    return Blow(
        lambda case: _site(case).libvirtd_on(which(case)).kill(),
        lambda case: _site(case).libvirtd_on(which(case)).start(),
    )


DEAD: Final = "source host, declared dead"
MOVE_BLOWS: Final[Mapping[str, Blow]] = {
    **BLOWS,
    "source node manager": _node_manager_alone(_source),
    "target node manager": _node_manager_alone(_target),
    "source libvirtd": _libvirtd(_source),
    "target libvirtd": _libvirtd(_target),
    "source node manager and libvirtd": _with_libvirtd(_source),
    "target node manager and libvirtd": _with_libvirtd(_target),
    DEAD: DECLARED_DEAD,
}
LOCAL_BLOWS: Final[Mapping[str, Blow]] = {
    **LOCAL,
    "node manager": _node_manager_alone(_caught),
    "libvirtd": _libvirtd(_caught),
    "node manager and libvirtd": _with_libvirtd(_caught),
}

# ---- moments ------------------------------------------------------------------------------------


def _virsh(case: Case, *words: str) -> str:
    """What the source's libvirtd says of the guest's domain; nothing while it is away."""
    command, *more = words
    name = domain_name(InstanceId(case.instance))
    return _site(case).libvirtd_on(case.source).virsh(command, name, *more).stdout.strip()


def _hurry(case: Case) -> None:
    _virsh(case, "migrate-setspeed", _FAST_MIB)


def _until_it_crosses(case: Case, begin: Callable[[], None]) -> None:
    """Begin a move, and let hardly any more of its memory leave once some has."""

    def crosses() -> bool:
        told = _virsh(case, "domjobinfo")
        return "Memory processed:" in told and "Memory processed: 0" not in told

    _virsh(case, "migrate-setspeed", _SLOW_MIB)
    begin()
    until(crosses, case.site.story)
    _virsh(case, "qemu-monitor-command", "--hmp", _HARDLY_ANY)
    case.tally.take_up()


def crossing(case: Case, begin: Callable[[], None], blow: Blow) -> None:
    """Strike while its memory crosses."""
    _until_it_crosses(case, begin)
    blow.strike(case)
    _hurry(case)
    blow.mend(case)


def standing_still(case: Case, begin: Callable[[], None], blow: Blow) -> None:
    """Strike when all of it has crossed and the target's libvirtd has not heard that yet."""
    target = _site(case).libvirtd_on(case.target)
    _until_it_crosses(case, begin)
    target.hang()
    _hurry(case)
    until(lambda: _virsh(case, "domstate") == "paused", case.site.story)
    blow.strike(case)
    target.go_on()
    blow.mend(case)


Strike = Callable[[Case, Callable[[], None], Blow], None]


def at(step: str) -> Strike:
    """Strike when a host has come to that step."""

    def strike(case: Case, begin: Callable[[], None], blow: Blow) -> None:
        ambushed(case, step, begin, blow)

    return strike


MOVING: Final[Mapping[str, Strike]] = {
    "preparing": at("intent"),
    "let in": at("let in"),
    "sending memory": crossing,
    "standing still": standing_still,
    "crossed": at("completed"),
    "left": at("left"),
    "arriving": at("arrived"),
    "after": at("told"),
}
"""The moments of a move: the target has all but a QEMU, its door leads to its libvirtd, memory
crosses, the guest stands on both hosts, libvirt has ended it at its source, that it has left is
written down, the target knows that and is to let it run, it runs.
"""
CROSSED: Final = ("crossed", "left", "arriving", "after")
SWITCHING: Final = ("standing still", *CROSSED)
SUSPENDING: Final = {"about to be written": "writing", "written": "written", "in its place": "kept"}
"""libvirt writes it in one call; what is left of a half comes with a disk that is full."""
RESUMING: Final = {
    "disks made": "intent",
    "about to be read": "reading",
    "read": "read",
    "marked as used": "used",
    "going on": "begun",
}
QEMU_IS_GONE: Final = {(moment, "source QEMU") for moment in CROSSED} | {
    (moment, "QEMU") for moment in ("written", "in its place")
}
"""libvirt ends it when it has crossed, or is written."""
NO_QEMU_YET: Final = {(moment, "target QEMU") for moment in ("preparing", "let in")} | {
    (moment, "QEMU") for moment in ("disks made", "about to be read")
}
"""libvirt begins one when it is told to move or to read."""
NOBODY_KNOWS: Final = ("crossed", "source node manager and libvirtd")
"""A libvirtd that is started again has forgotten that a guest has crossed, and its node manager had
not written it down: it counts as ended, and is booted anew from the disks that it left.
"""
UNSOUND: Final = QEMU_IS_GONE | NO_QEMU_YET

# ---- a choice -----------------------------------------------------------------------------------

MOVES_ALWAYS_TRIED: Final = {
    ("preparing", "target libvirtd"),
    ("let in", "source libvirtd"),
    ("sending memory", "source QEMU"),
    ("sending memory", "target node manager"),
    ("sending memory", "source node manager and libvirtd"),
    ("standing still", "target node manager and libvirtd"),
    ("preparing", "the hosts from each other"),
    ("crossed", "source node manager"),
    ("left", "source's cable"),
    ("left", DEAD),
    ("arriving", "target QEMU"),
    ("after", "cluster manager"),
}
"""Every moment and every blow is among them."""
SHARED_ALWAYS_TRIED: Final = {("crossed", "source libvirtd")}
SAVES_ALWAYS_TRIED: Final = {
    ("about to be written", "node manager and libvirtd"),
    ("written", "libvirtd"),
    ("in its place", "node manager"),
}
RESTORES_ALWAYS_TRIED: Final = {
    ("disks made", "cluster manager"),
    ("about to be read", "node manager"),
    ("read", "libvirtd"),
    ("marked as used", "node manager and libvirtd"),
    ("going on", "QEMU"),
}
EVERY_FAULT: Final = (pytest.mark.libvirt, pytest.mark.every_fault)


def cells(
    moments: Iterable[str], blows: Iterable[str], always: Container[tuple[str, str]] = ()
) -> list[ParameterSet]:
    """Each moment with each blow; those that are not always tried are if all faults are."""
    return [
        pytest.param(*cell, id="-".join(cell), marks=() if cell in always else EVERY_FAULT)
        for cell in product(moments, blows)
        if cell not in UNSOUND
    ]


def dying(
    alone: Iterable[str], by_libvirt: Iterable[str], always: Container[str] = ()
) -> pytest.MarkDecorator:
    """Who dies with QEMU `alone`, and who with libvirt; of these only some always, see `cells`."""
    cases = [pytest.param(QEMU, who, id=f"qemu-{who}") for who in alone]
    for who in by_libvirt:
        marks = (pytest.mark.libvirt,) if who in always else EVERY_FAULT
        cases.append(pytest.param(LIBVIRT, who, id=f"libvirt-{who}", marks=marks))
    return pytest.mark.parametrize(("vmm", "who"), cases, scope="session")


EITHER_AT_TIMES: Final = pytest.mark.parametrize(
    "vmm",
    [pytest.param(QEMU, id="qemu"), pytest.param(LIBVIRT, id="libvirt", marks=EVERY_FAULT)],
    scope="session",
)
"""For what is done by the same code whichever of them runs the guests."""


def local_blows(site: StepwiseHosts) -> Mapping[str, Blow]:
    """What strikes one host, by who runs its guests."""
    return LOCAL_BLOWS if isinstance(site, StepwiseLibvirtHosts) else LOCAL

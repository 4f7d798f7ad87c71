"""A cluster manager for tests of its clients: a few records, the real rows, forms and desk."""

from dataclasses import dataclass, field
from functools import partial
from typing import TypeVar

import msgspec

from fakes.entrance import FakeEntrance
from fakes.links import DirectLink
from fakes.records import ADA, DB, MADE, OFFICE, PUBLIC, RACK1, RACK2, WEB
from tashi.domain.errors import (
    IncorrectState,
    InvalidInstance,
    NoSuchInstance,
    NotPermitted,
    Refused,
    TashiError,
)
from tashi.domain.journal import Kind
from tashi.domain.permissions import Caller
from tashi.domain.states import HostState, InstanceState
from tashi.wire import answers, versions
from tashi.wire import forms as f
from tashi.wire.drains import DrainPlanForm, EvacueeForm
from tashi.wire.images import ImageForm, ImportForm, JobForm, PieceForm
from tashi.wire.methods import CLUSTER_MANAGER
from tashi.wire.screens import VncForm
from tashi.wire.serving import Desk, Handler

T = TypeVar("T")

AFTER = {
    "destroyVm": InstanceState.DESTROYING,
    "shutdownVm": InstanceState.SHUTTING_DOWN,
    "stopVm": InstanceState.SHUTTING_DOWN,
    "startVm": InstanceState.PENDING,
    "pauseVm": InstanceState.PAUSING,
    "unpauseVm": InstanceState.UNPAUSING,
    "suspendVm": InstanceState.SUSPENDING,
    "resumeVm": InstanceState.PENDING,
    "resetVm": InstanceState.RUNNING,
}


def _told(answers: "list[T | TashiError]") -> "T":
    """The next answer, raised if it is an error."""
    answer = answers.pop(0)
    if isinstance(answer, TashiError):
        raise answer
    return answer


def entry(number: int, instance: f.InstanceForm | None, key: int = 3) -> f.EntryForm:
    """An event about an instance; without the instance, that it was removed."""
    key = key if instance is None else instance.id
    return f.EntryForm(
        number=number,
        at=1_700_000_000.0,
        line="CM VM UPDATE",
        by="rack1",
        kind=Kind.INSTANCE,
        key=key,
        instance=instance,
    )


@dataclass
class FakeClusterManager:
    """Answers the clients from what it holds, and remembers what it was asked to do.

    `coming` are the answers to `watch`, one a call, an error among them is raised; when none is
    left, time passes: `now` moves on by what the watcher was willing to wait.
    """

    instances: list[f.InstanceForm] = field(default_factory=lambda: [DB, WEB])
    hosts: list[f.HostForm] = field(default_factory=lambda: [RACK2, RACK1])
    users: list[f.UserForm] = field(default_factory=lambda: [f.UserForm(0, "root"), ADA])
    networks: list[f.NetworkForm] = field(default_factory=lambda: [OFFICE, PUBLIC])
    coming: list[tuple[f.EntryForm, ...] | TashiError] = field(default_factory=list)
    console: list[str] = field(default_factory=list)
    refusals: dict[str, TashiError] = field(default_factory=dict)
    asked: list[tuple[str, dict[str, object]]] = field(default_factory=list)
    now: float = 0.0
    event: int = 100
    plans: list[tuple[EvacueeForm, ...]] = field(default_factory=lambda: [()])
    """What is left on a host that is emptied, one answer after the other, the last for ever."""
    drains: bool = True
    jobs: list[JobForm | TashiError] = field(default_factory=lambda: [MADE])
    """What is told of a job, one answer after the other."""
    sent: bytes = b""
    pieces: list[PieceForm | TashiError] = field(default_factory=list)
    entrance: FakeEntrance = field(default_factory=FakeEntrance)

    def link(self) -> DirectLink:
        """A link to it."""
        handlers: dict[str, Handler] = {
            name: partial(self._answer, name) for name in CLUSTER_MANAGER
        }
        version, who = versions.CLUSTER_MANAGER, self.entrance.identify
        return DirectLink(Desk(CLUSTER_MANAGER, handlers, version, identify=who).answer)

    def clock(self) -> float:
        """The time, which only passes while somebody watches in vain."""
        return self.now

    def done(self) -> list[tuple[str, dict[str, object]]]:
        """What it was asked beyond mere questions."""
        return [one for one in self.asked if not one[0].startswith("get")]

    def _answer(self, name: str, caller: Caller, request_id: str, /, **arguments: object) -> object:
        assert request_id
        self.asked.append((name, arguments))
        if name in self.refusals:
            raise self.refusals[name]
        if name == "getInstances":
            arguments = {**arguments, "mine": caller.user_id if arguments["mine"] else None}
        if name in AFTER:
            return self._change(name, caller, arguments["instance_id"])
        room = self.entrance if hasattr(self.entrance, f"_{name}") else self
        return getattr(room, f"_{name}")(**arguments)

    def _change(self, name: str, caller: Caller, instance_id: object) -> f.InstanceForm:
        found = next((one for one in self.instances if one.id == instance_id), None)
        if found is None:
            raise NoSuchInstance(f"There is no instance {instance_id}.")
        if caller.user_id not in {0, found.user_id}:
            raise NotPermitted(f"Instance {found.id} ({found.name}) belongs to {found.user_id}.")
        if name == "pauseVm" and found.state is not InstanceState.RUNNING:
            raise IncorrectState(f"Instance {found.name} is {found.state.title}.")
        return msgspec.structs.replace(found, state=AFTER[name], operation=found.operation + 1)

    def _createVm(self, instance: f.NewInstanceForm) -> f.InstanceForm:  # noqa: N802
        if instance.cores < 1:
            raise InvalidInstance("0 cores is too little: an instance has at least 1 core.")
        if any(one.name == instance.name for one in self.instances):
            raise InvalidInstance(f"The name {instance.name!r} is taken: choose another.")
        made = f.InstanceForm(
            id=20 + len(self.instances),
            name=instance.name,
            user_id=1000 if instance.user_id is None else instance.user_id,
            cores=instance.cores,
            memory=instance.memory,
            disks=instance.disks,
            operation=50,
        )
        self.instances.append(made)
        return made

    def _getInstances(  # noqa: N802
        self, stats: bool, instance_id: int | None, name: str | None, mine: int | None
    ) -> object:
        found = [
            one
            for one in self.instances
            if instance_id in {None, one.id}
            and name in {None, one.name}
            and mine in {None, one.user_id}
        ]
        return found if stats else [msgspec.structs.replace(one, stats=None) for one in found]

    def _getHosts(self) -> object:  # noqa: N802
        return self.hosts

    def _getUsers(self, user_id: int | None, name: str | None) -> object:  # noqa: N802
        return [one for one in self.users if user_id in {None, one.id} and name in {None, one.name}]

    def _getNetworks(self) -> object:  # noqa: N802
        return self.networks

    def _getImages(self) -> object:  # noqa: N802
        return [
            ImageForm("web.qcow2", 52_428_800, 2_147_483_648, "qcow2", used_by=(3,), user_id=1000),
            ImageForm("empty.raw", 512, 512, "raw", backs=("teams/a.qcow2",)),
        ]

    def _make(self, **_: object) -> object:
        return _told(self.jobs)

    _copyImage = _cloneImage = _rebaseImage = _deleteImage = _finishImport = _cancelJob = _make  # noqa: N815

    def _getJob(self, **_: object) -> object:  # noqa: N802
        return _told(self.jobs)

    def _getJobs(self) -> object:  # noqa: N802
        return self.jobs

    def _beginImport(self, name: str, size: int) -> object:  # noqa: N802
        return ImportForm(5, name, size, 4, len(self.sent) // 4)

    def _sendPiece(self, import_id: int, number: int, content: bytes) -> object:  # noqa: N802
        assert number == len(self.sent) // 4
        self.sent += content
        return ImportForm(import_id, "new.img", 10, 4, number + 1)

    def _readImage(self, **_: object) -> object:  # noqa: N802
        return _told(self.pieces)

    def _getSlots(self, cores: int, memory: int) -> object:  # noqa: N802
        return answers.SlotsForm(7, cores, memory)

    def _getSnapshot(self) -> object:  # noqa: N802
        every = (tuple(self.instances), tuple(self.hosts), tuple(self.networks), tuple(self.users))
        return f.SnapshotForm(*every, next=self.event)

    def _watch(self, since: int | None, timeout: float, instance_id: int | None) -> object:
        if since is None:
            return f.EventsForm((), self.event)
        assert instance_id is None or isinstance(instance_id, int)
        if not self.coming:
            self.now += timeout
            return f.EventsForm((), since)
        events = self.coming.pop(0)
        if isinstance(events, TashiError):
            raise events
        return f.EventsForm(events, since + len(events))

    def _why(self, instance_id: int) -> object:
        reasons = (
            answers.ReasonForm("memory", "2048 MiB are asked for, 1024 MiB are free.", 1024),
            answers.ReasonForm("reserved", "It is kept for ada."),
        )
        hosts = (answers.HostWhyForm(2, "rack2", ()), answers.HostWhyForm(1, "rack1", reasons))
        words = "Instance db is held: The disk is not there."
        return answers.WhyForm(instance_id, "db", InstanceState.HELD, words, hosts)

    def _getConsole(self, instance_id: int, offset: int, timeout: float) -> object:  # noqa: N802
        assert instance_id
        if not self.console and timeout:
            raise Refused("Instance web is over.")
        text = self.console.pop(0) if self.console else ""
        return f.ConsoleForm(text, max(offset, 0) + len(text))

    def _renameVm(self, instance_id: int, name: str) -> object:  # noqa: N802
        return msgspec.structs.replace(self._instance(instance_id), name=name)

    def _resizeVm(self, instance_id: int, cores: int | None, memory: int | None) -> object:  # noqa: N802
        found = self._instance(instance_id)
        size = {"cores": cores or found.cores, "memory": memory or found.memory}
        return msgspec.structs.replace(found, **size)

    def _attachDisk(self, instance_id: int, disk: f.DiskForm) -> object:  # noqa: N802
        found = self._instance(instance_id)
        port = msgspec.structs.replace(disk, port=1)
        wanted = f.DevicesForm((*found.disks, port), found.nics)
        return self._altering(found, wanted)

    def _detachDisk(self, instance_id: int, uri: str) -> object:  # noqa: N802
        found = self._instance(instance_id)
        left = tuple(disk for disk in found.disks if disk.uri != uri)
        return self._altering(found, f.DevicesForm(left, found.nics))

    def _attachNic(self, instance_id: int, nic: f.NicForm) -> object:  # noqa: N802
        found = self._instance(instance_id)
        return self._altering(found, f.DevicesForm(found.disks, (*found.nics, nic)))

    def _detachNic(self, instance_id: int, mac: str) -> object:  # noqa: N802
        found = self._instance(instance_id)
        left = tuple(nic for nic in found.nics if nic.mac != mac)
        return self._altering(found, f.DevicesForm(found.disks, left))

    def _changeCdrom(self, instance_id: int, image: str) -> object:  # noqa: N802
        found = self._instance(instance_id)
        return self._altering(found, f.DevicesForm(found.disks, found.nics, image))

    def _startVnc(self, instance_id: int, password: str, on_socket: bool) -> object:  # noqa: N802
        assert instance_id
        socket = "/run/vnc.sock" if on_socket else ""
        place = ("", 0) if on_socket else ("127.0.0.1", 5900)
        return VncForm("rack1", password or "made-up1", *place, socket, tls=not on_socket)

    def _stopVnc(self, instance_id: int) -> object:  # noqa: N802
        return self._instance(instance_id)

    def _vmmSpecificCall(self, instance_id: int, arg: str) -> object:  # noqa: N802
        return f"{self._instance(instance_id).name}: {arg}"

    def _altering(self, found: f.InstanceForm, wanted: f.DevicesForm) -> f.InstanceForm:
        return msgspec.structs.replace(
            found, state=InstanceState.ALTERING, operation=found.operation + 1, wanted=wanted
        )

    def _instance(self, instance_id: int) -> f.InstanceForm:
        return next(one for one in self.instances if one.id == instance_id)

    def _addHost(self, name: str) -> object:  # noqa: N802
        return f.HostForm(id=9, name=name)

    def _delHost(self, host_id: int) -> object:  # noqa: N802
        return self._host(host_id)

    def _drainHost(self, host_id: int) -> object:  # noqa: N802
        return self._plan(host_id).host

    def _getDrainPlan(self, host_id: int) -> object:  # noqa: N802
        plan = self._plan(host_id)
        if len(self.plans) > 1:
            self.plans.pop(0)
        return plan

    def _cancelDrain(self, host_id: int) -> object:  # noqa: N802
        return self._host(host_id)

    def _undrainHost(self, host_id: int) -> object:  # noqa: N802
        return msgspec.structs.replace(self._host(host_id), state=HostState.NORMAL)

    def _declareHostDead(self, host_id: int) -> object:  # noqa: N802
        return self._host(host_id)

    def _setHostState(self, host_id: int, state: HostState) -> object:  # noqa: N802
        return msgspec.structs.replace(self._host(host_id), state=state)

    def _setHostNotes(self, host_id: int, notes: str) -> object:  # noqa: N802
        return msgspec.structs.replace(self._host(host_id), notes=notes)

    def _addReservation(self, host_id: int, user_id: int) -> object:  # noqa: N802
        return answers.ReservationForm(host_id, (1000, user_id))

    def _delReservation(self, host_id: int, user_id: int) -> object:  # noqa: N802
        return answers.ReservationForm(host_id, () if user_id == 1000 else (1000,))

    def _getReservation(self, host_id: int) -> object:  # noqa: N802
        return answers.ReservationForm(host_id, self._host(host_id).reserved)

    def _addNetwork(self, network_id: int, name: str) -> object:  # noqa: N802
        return f.NetworkForm(network_id, name)

    def _delNetwork(self, network_id: int) -> object:  # noqa: N802
        return next(one for one in self.networks if one.id == network_id)

    def _addUser(self, user_id: int, name: str) -> object:  # noqa: N802
        return f.UserForm(user_id, name)

    def _delUser(self, user_id: int) -> object:  # noqa: N802
        return next(one for one in self.users if one.id == user_id)

    def _plan(self, host_id: int) -> DrainPlanForm:
        """What is left on the host, as the next of `plans` says."""
        host, left = self._host(host_id), self.plans[0]
        empty = left == ()
        host = msgspec.structs.replace(
            host,
            draining=self.drains and not empty,
            state=HostState.DRAINED if empty and self.drains else HostState.NORMAL,
        )
        return DrainPlanForm(host, left, self.event)

    def _host(self, host_id: int) -> f.HostForm:
        return next(one for one in self.hosts if one.id == host_id)

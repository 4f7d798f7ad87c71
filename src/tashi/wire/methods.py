"""Every call that a daemon answers, one row each.

A row says what the call takes and gives, who may make it, how long it may take, since which version
it exists and whether it may be repeated blindly. Server, clients, permission checks, `doc/rpc.md`
and tests are loops over these rows; nobody else lists calls.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from enum import Enum
from typing import Final

import msgspec

from tashi.domain.permissions import Who
from tashi.domain.states import HostState
from tashi.wire import answers
from tashi.wire import forms as f
from tashi.wire import images as i
from tashi.wire.drains import DrainPlanForm
from tashi.wire.glimpses import GlimpseForm
from tashi.wire.screens import ScreenForm, TypedForm, VncForm
from tashi.wire.shape import Number
from tashi.wire.site import BookingForm, SiteToldForm


class Within(Enum):
    """How long a call may take; LONG is the migration time limit from the settings."""

    QUICK = 10.0
    SLOW = 60.0
    LONG = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Method:
    """One call. `repeatable`: a second one changes nothing that the first did not.

    `changes` says that somebody may want to know later who made it.
    """

    name: str
    takes: type[msgspec.Struct]
    gives: object
    who: Who
    within: Within
    since: tuple[int, int]
    repeatable: bool
    doc: str
    changes: bool = True


Row = Mapping[str, Method]


def takes(**fields: object) -> type[msgspec.Struct]:
    """The form of a call's arguments: names in snake_case, types, or (type, default) pairs."""
    rows = [
        (name, *kind) if isinstance(kind, tuple) else (name, kind) for name, kind in fields.items()
    ]
    return msgspec.defstruct(
        "Arguments", rows, frozen=True, rename="camel", forbid_unknown_fields=True, kw_only=True
    )


def _methods(rows: Iterable[Method]) -> Row:
    return {row.name: row for row in rows}


def _ask(name: str, arguments: type[msgspec.Struct], gives: object, doc: str) -> Method:
    """A question: anyone may ask it, as often as they like."""
    return Method(
        name=name, takes=arguments, gives=gives, who=Who.ANYONE, within=Within.QUICK,
        since=(1, 0), repeatable=True, doc=doc, changes=False,
    )  # fmt: skip


def _do(name: str, arguments: type[msgspec.Struct], gives: object, who: Who, doc: str) -> Method:
    """A change; its repeat under the same request id gets the first answer."""
    return Method(
        name=name, takes=arguments, gives=gives, who=who, within=Within.QUICK,
        since=(1, 0), repeatable=True, doc=doc,
    )  # fmt: skip


def _once(name: str, arguments: type[msgspec.Struct], gives: object, who: Who, doc: str) -> Method:
    """A push at a guest that is not booked; it must not be repeated blindly."""
    return Method(
        name=name, takes=arguments, gives=gives, who=who, within=Within.SLOW,
        since=(1, 0), repeatable=False, doc=doc,
    )  # fmt: skip


def _to(who: Who, row: Method) -> Method:
    """A call that is for those only."""
    return replace(row, who=who)


def _unnoted(row: Method) -> Method:
    """A call that changes nothing, or so little at a time that nobody will ask who made it."""
    return replace(row, changes=False)


def _since(minor: int, row: Method) -> Method:
    """A call that came with a later minor version."""
    return replace(row, since=(1, minor))


def _image(name: str, arguments: type[msgspec.Struct], gives: object, doc: str) -> Method:
    """Something done with images; its repeat under the same request id gets the same job."""
    return Method(
        name=name, takes=arguments, gives=gives, who=Who.PERSON, within=Within.SLOW,
        since=(1, 1), repeatable=True, doc=doc,
    )  # fmt: skip


_AN_INSTANCE: Final = takes(instance_id=Number)
_A_HOST: Final = takes(host_id=Number)

CLUSTER_MANAGER: Final = _methods((
    _do("createVm", takes(instance=f.NewInstanceForm), f.InstanceForm, Who.PERSON, "Accept an instance and queue it for a host."),
    _do("destroyVm", _AN_INSTANCE, f.InstanceForm, Who.OWNER, "Kill an instance's guest and forget the instance with its disks."),
    _do("shutdownVm", _AN_INSTANCE, f.InstanceForm, Who.OWNER, "Ask a guest to power off; what follows is the instance's onExit."),
    _do("stopVm", _AN_INSTANCE, f.InstanceForm, Who.OWNER, "Ask a guest to power off, and keep its record and disks."),
    _do("startVm", _AN_INSTANCE, f.InstanceForm, Who.OWNER, "Queue a stopped instance for a host again."),
    _do("pauseVm", _AN_INSTANCE, f.InstanceForm, Who.OWNER, "Freeze a running instance in its host's memory."),
    _do("unpauseVm", _AN_INSTANCE, f.InstanceForm, Who.OWNER, "Let a paused instance run again."),
    _do("suspendVm", _AN_INSTANCE, f.InstanceForm, Who.OWNER, "Write an instance's memory to the image store and free its host."),
    _do("resumeVm", _AN_INSTANCE, f.InstanceForm, Who.OWNER, "Queue a suspended instance for a host again."),
    _do("migrateVm", takes(instance_id=Number, host_id=Number), f.InstanceForm, Who.KEEPER, "Move a running instance to another host without stopping it."),
    _do("cancelMigration", _AN_INSTANCE, f.InstanceForm, Who.KEEPER, "Leave a migrating instance where it is, if it has not left yet."),
    _once("resetVm", _AN_INSTANCE, f.InstanceForm, Who.OWNER, "Press a running guest's reset button."),
    _since(1, _do("renameVm", takes(instance_id=Number, name=str), f.InstanceForm, Who.OWNER, "Call an instance something else.")),
    _since(1, _do("resizeVm", takes(instance_id=Number, cores=(Number | None, None), memory=(Number | None, None)), f.InstanceForm, Who.OWNER, "Give an instance that does not run other cores or memory.")),
    _since(1, _do("attachDisk", takes(instance_id=Number, disk=f.DiskForm), f.InstanceForm, Who.OWNER, "Plug a disk into a running or stopped instance.")),
    _since(1, _do("detachDisk", takes(instance_id=Number, uri=str), f.InstanceForm, Who.OWNER, "Plug a disk out that was plugged in; what was written to it is lost unless it is persistent.")),
    _since(1, _do("attachNic", takes(instance_id=Number, nic=f.NicForm), f.InstanceForm, Who.OWNER, "Plug a network card into a running or stopped instance.")),
    _since(1, _do("detachNic", takes(instance_id=Number, mac=str), f.InstanceForm, Who.OWNER, "Plug a network card out that was plugged in.")),
    _since(1, _do("changeCdrom", takes(instance_id=Number, image=(str, "")), f.InstanceForm, Who.OWNER, "Put an image into the CD drive; without one, take out what is there.")),
    _since(1, _once("startVnc", takes(instance_id=Number, password=(str, ""), on_socket=(bool, False)), VncForm, Who.OWNER, "Show a guest's display to who has the password; without one, it is made up.")),
    _since(1, _once("stopVnc", _AN_INSTANCE, f.InstanceForm, Who.OWNER, "Show a guest's display no more.")),
    _since(1, _once("vmmSpecificCall", takes(instance_id=Number, arg=str), str, Who.OWNER, "Do to a guest what only some hypervisors can; `list` says what that is.")),
    _to(Who.OWNER, _since(1, _ask("readConsole", takes(instance_id=Number, offset=(Number, -4096), timeout=(float, 0.0)), TypedForm, "Read a guest's serial console like getConsole, to the byte."))),
    _since(1, _once("typeConsole", takes(instance_id=Number, data=bytes), bool, Who.OWNER, "Type on a guest's serial console.")),
    _to(Who.OWNER, _ask("getConsole", takes(instance_id=Number, offset=(Number, -4096), timeout=(float, 0.0)), f.ConsoleForm, "Read a guest's serial console from an offset, also that of one at rest; wait up to `timeout` seconds for more.")),

    _ask("getInstances", takes(stats=(bool, False), instance_id=(Number | None, None), name=(str | None, None), mine=(bool, False)), tuple[f.InstanceForm, ...], "Every instance that is not over, or one, or all of a name, or with `mine` the caller's own; with `stats`, what their guests use."),
    _ask("getHosts", takes(), tuple[f.HostForm, ...], "Every host."),
    _ask("getNetworks", takes(), tuple[f.NetworkForm, ...], "Every network, and which is the default."),
    _ask("getUsers", takes(user_id=(Number | None, None), name=(str | None, None)), tuple[f.UserForm, ...], "Every user, or just one, or all of a name."),
    _ask("getImages", takes(), tuple[i.ImageForm, ...], "Every image, and who uses it."),
    _ask("getSlots", takes(cores=(Number, 1), memory=(Number, 128)), answers.SlotsForm, "How many instances of that size would fit now."),
    _ask("why", _AN_INSTANCE, answers.WhyForm, "Why an instance is where it is, or what keeps it from moving: for every host, each rule that keeps it away."),
    _since(2, _ask("getReign", takes(), answers.ReignForm, "Since when this cluster manager leads; one that does not refuses with NotLeader.")),
    _ask("getSnapshot", takes(), f.SnapshotForm, "Every record, and the number of the event to follow from."),
    _ask("watch", takes(since=(Number | None, None), timeout=(float, 30.0), instance_id=(Number | None, None)), f.EventsForm, "Events from a number on; wait up to `timeout` seconds for the first. Without a number: at once, which one is next."),

    _image("copyImage", takes(src=str, dst=str, replace=(bool, False)), i.JobForm, "Copy an image byte by byte."),
    _image("cloneImage", takes(src=str, dst=str, replace=(bool, False)), i.JobForm, "Make an empty qcow2 image that is based on another image."),
    _image("rebaseImage", takes(src=str, dst=str, backing=(str | None, None), replace=(bool, False)), i.JobForm, "Make a qcow2 image with the same content, based on `backing` or on nothing."),
    _image("deleteImage", takes(name=str), i.JobForm, "Delete an image of one's own that nobody uses."),
    _image("beginImport", takes(name=str, size=Number), i.ImportForm, "Begin to send a new image of so many bytes, or go on with it."),
    _unnoted(_image("sendPiece", takes(import_id=Number, number=Number, content=bytes), i.ImportForm, "Send the next piece of an image; one that was sent before changes nothing.")),
    _image("finishImport", takes(import_id=Number, sha256=str), i.JobForm, "Make the image of what was sent, if it is what was read."),
    _image("cancelImport", takes(import_id=Number), i.ImportForm, "Forget what was sent of an image."),
    _unnoted(_image("readImage", takes(name=str, offset=Number, length=Number), i.PieceForm, "Read a piece of an image's file.")),
    _to(Who.ANYONE, _unnoted(_image("getJob", takes(job_id=Number, seen=(Number, -1), timeout=(float, 0.0)), i.JobForm, "A job; wait up to `timeout` seconds until its `change` is another than `seen`."))),
    _to(Who.ANYONE, _unnoted(_image("getJobs", takes(), tuple[i.JobForm, ...], "The jobs of this cluster manager, also those that ended lately."))),
    _image("cancelJob", takes(job_id=Number), i.JobForm, "Give up a job of one's own."),

    _do("activateVm", takes(instance_id=Number, host_id=Number), f.VerdictForm, Who.SCHEDULER, "Propose a host for a waiting instance; may be refused with the reason."),
    _since(1, _do("moveVms", takes(proposals=tuple[f.ProposalForm, ...]), tuple[f.VerdictForm, ...], Who.SCHEDULER, "Propose where to move running instances of hosts that are being emptied, each accepted or refused by itself.")),
    _do("placeVms", takes(proposals=tuple[f.ProposalForm, ...]), tuple[f.VerdictForm, ...], Who.SCHEDULER, "Propose hosts for waiting instances, each accepted or refused by itself."),

    _since(2, _do("bookAddresses", takes(bookings=tuple[BookingForm, ...]), tuple[f.VerdictForm, ...], Who.SCHEDULER, "Book addresses and host names for instances' network cards, each accepted or refused by itself.")),
    _since(2, _do("tellSite", takes(instance_id=Number, told=SiteToldForm), bool, Who.SCHEDULER, "Say what the site's DNS and DHCP and the hooks know of an instance by now, and what keeps them from the rest.")),
    _since(2, _do("relistAddresses", takes(instance_id=Number, listings=tuple[f.ListingForm, ...]), bool, Who.ADMIN, "Have the scheduler enter addresses and host names again that the site's DNS or DHCP were seen to lack.")),

    _do("addHost", takes(name=str), f.HostForm, Who.ADMIN, "Add a host; its node manager can then register."),
    _do("delHost", _A_HOST, f.HostForm, Who.ADMIN, "Remove a host on which nothing is left."),
    _do("declareHostDead", _A_HOST, f.HostForm, Who.ADMIN, "Take it that a silent host is dead, and free what it held."),
    _do("setHostState", takes(host_id=Number, state=HostState), f.HostForm, Who.OPERATOR, "Open a host for new instances (Normal) or close it (Drained)."),
    _since(1, _do("drainHost", _A_HOST, f.HostForm, Who.OPERATOR, "Empty a host: nothing new is placed there, and what runs there is moved, until nothing is left and it is Drained.")),
    _since(1, _do("cancelDrain", _A_HOST, f.HostForm, Who.OPERATOR, "No longer empty a host: what has not left yet stays, and the host is what it was before.")),
    _since(1, _do("undrainHost", _A_HOST, f.HostForm, Who.OPERATOR, "Open a host again that is Drained or being emptied.")),
    _unnoted(_since(1, _do("getDrainPlan", _A_HOST, DrainPlanForm, Who.OPERATOR, "What emptying a host means for everything on it: where it goes, or why it stays. Changes nothing."))),
    _do("setHostNotes", takes(host_id=Number, notes=str), f.HostForm, Who.OPERATOR, "Write a note about a host."),
    _do("addReservation", takes(host_id=Number, user_id=Number), answers.ReservationForm, Who.OPERATOR, "Keep a host for a user, beside those it is kept for already."),
    _do("delReservation", takes(host_id=Number, user_id=Number), answers.ReservationForm, Who.OPERATOR, "No longer keep a host for a user."),
    _ask("getReservation", _A_HOST, answers.ReservationForm, "The users a host is kept for; none means anyone."),
    _do("addNetwork", takes(network_id=Number, name=str), f.NetworkForm, Who.ADMIN, "Add a network; its id is the VLAN number."),
    _do("delNetwork", takes(network_id=Number), f.NetworkForm, Who.ADMIN, "Remove a network that no instance has."),
    _do("addUser", takes(user_id=Number, name=str), f.UserForm, Who.ADMIN, "Add a user to Tashi's own list."),
    _do("delUser", takes(user_id=Number), f.UserForm, Who.ADMIN, "Remove a user who owns no instance from Tashi's own list."),

    _since(2, _do("renewCertificate", takes(certificate=str), str, Who.DAEMON, "A fresh certificate for the key of the caller's own, which ends soon; where the authority's key is at hand.")),
    _since(2, _once("logIn", takes(name=str, password=str), answers.TicketForm, Who.STRANGER, "Show who one is by a name and a password; the ticket goes with each request from then on.")),
    _since(2, _do("logOut", takes(ticket=str), bool, Who.STRANGER, "Let a ticket be worth nothing any more.")),
    _since(2, _do("setPassword", takes(password=str, user_id=(Number | None, None), current=(str, "")), f.UserForm, Who.PERSON, "Set one's own password, given the current one, or as an administrator anybody's.")),

    _do("registerNodeManager", takes(machine=f.MachineForm, register=(bool, False)), f.SessionForm, Who.NODE, "Open a session, to which orders and reports belong; `register` adds a host that is unknown."),
    _unnoted(_do("reportNode", takes(session=f.SessionForm, number=Number, reports=tuple[f.ReportForm, ...], inventory=(f.InventoryForm | None, None)), bool, Who.NODE, "Take a node's reports, in order; an empty one is a sign of life.")),
    replace(_ask("tellGuests", takes(host_id=Number, session=Number, guests=tuple[GlimpseForm, ...]), bool, "Hear what guests use and how far moves are; kept for a moment, never booked."), who=Who.NODE, since=(1, 1)),
))  # fmt: skip

NODE_MANAGER: Final = _methods((
    _do("takeOrders", takes(epoch=Number, session=Number, number=Number, orders=tuple[f.OrderForm, ...]), bool, Who.CLUSTER_MANAGER, "Take orders up, in order; outcomes come as reports."),
    _to(Who.CLUSTER_MANAGER, _ask("liveCheck", takes(epoch=Number), f.SessionForm, "Say which session is open; a newer epoch makes the node open another.")),
    _once("resetVm", takes(instance_id=Number, attempt=Number), bool, Who.CLUSTER_MANAGER, "Press a running guest's reset button."),
    _to(Who.CLUSTER_MANAGER, _ask("getConsole", takes(instance_id=Number, offset=Number, timeout=float), f.ConsoleForm, "Read a guest's serial console from an offset.")),
    _to(Who.CLUSTER_MANAGER, _since(1, _ask("readConsole", takes(instance_id=Number, offset=Number, timeout=float), TypedForm, "Read a guest's serial console from an offset, to the byte."))),
    _since(1, _once("typeConsole", takes(instance_id=Number, attempt=Number, data=bytes), bool, Who.CLUSTER_MANAGER, "Type on a guest's serial console.")),
    _since(1, _once("startVnc", takes(instance_id=Number, attempt=Number, password=str, on_socket=bool), ScreenForm, Who.CLUSTER_MANAGER, "Show a guest's display.")),
    _since(1, _once("stopVnc", takes(instance_id=Number, attempt=Number), bool, Who.CLUSTER_MANAGER, "Show a guest's display no more.")),
))  # fmt: skip

"""What the commands that alter an instance do: its name, size, devices and display.

Those that plug something are over when the guest has it, and can be waited for like the others. A
display's password is shown once; nobody keeps it.
"""

from collections.abc import Callable, Mapping
from typing import Any

from tashi.client import arguments as a
from tashi.client import sheets
from tashi.client.arguments import Argument, Given, Misused
from tashi.client.command import Session
from tashi.client.doing import Run, begun_wait, only_a_wait, shown_row
from tashi.client.waiting import Fate, Goal
from tashi.domain.errors import Failed
from tashi.domain.states import InstanceState
from tashi.wire.forms import DiskForm, InstanceForm
from tashi.wire.screens import VncForm

Asks = Callable[[Session, Given], Mapping[str, Any]]

_GOAL: Goal = frozenset({InstanceState.RUNNING, InstanceState.STOPPED})


def _alter(call: str, asks: Asks, said: str, when_done: str = "") -> Run:
    """What asks for something and says so; whoever waited for it hears that it is done."""

    def run(session: Session, given: Given) -> None:
        cluster = session.cluster
        instance_id = cluster.instance_id(given[a.INSTANCE])
        arguments = asks(session, given)
        awaited = begun_wait(session, given, _GOAL)
        altered = cluster.calls.call(call, InstanceForm, instance_id=instance_id, **arguments)
        if awaited is not None:
            with only_a_wait(session, altered.name), session.terminal.progress(1) as note:
                (fate,) = awaited.until_there([altered], note)
            altered = _checked(fate, altered)
        words = said if awaited is None else when_done or said
        session.terminal.say(f"{altered.name} {words}.", shown_row(session, altered))

    return run


def _checked(fate: Fate, asked: InstanceForm) -> InstanceForm:
    """The instance as it is now; Failed when it did not get what it was to have."""
    now, wanted = fate.instance, asked.wanted
    if wanted is None or now.operation != asked.operation:
        return now
    macs = {nic.mac for nic in now.nics}, {nic.mac for nic in wanted.nics}
    if (now.disks, now.cdrom) != (wanted.disks, wanted.cdrom) or macs[0] != macs[1]:
        raise Failed(f"{now.name} is as it was: {now.reason}", instance=now.id)
    return now


def _new_name(_session: Session, given: Given) -> Mapping[str, Any]:
    return {"name": given[a.NEW_NAME]}


def _size(_session: Session, given: Given) -> Mapping[str, Any]:
    cores, memory = given[a.NEW_CORES], given[a.NEW_MEMORY]
    if cores is None and memory is None:
        raise Misused("Say how many --cores or how much --memory it is to have.")
    return {"cores": cores, "memory": memory}


def _disk(_session: Session, given: Given) -> Mapping[str, Any]:
    disks: tuple[DiskForm, ...] = given[a.DISK]
    return {"disk": disks[0]}


def _uri(_session: Session, given: Given) -> Mapping[str, Any]:
    return {"uri": given[a.DISK][0].uri}


def _nic(session: Session, given: Given) -> Mapping[str, Any]:
    return {"nic": session.cluster.nic(given[a.NIC][0])}


def _text(name: str, argument: Argument[str]) -> Asks:
    return lambda _session, given: {name: given[argument]}


rename = _alter("renameVm", _new_name, "is its name now")
resize = _alter("resizeVm", _size, "has that size when it runs next")
attach_disk = _alter("attachDisk", _disk, "gets the disk", "has the disk")
detach_disk = _alter("detachDisk", _uri, "gives the disk back", "has given the disk back")
attach_nic = _alter("attachNic", _nic, "gets the network card", "has the network card")
detach_nic = _alter(
    "detachNic",
    _text("mac", a.MAC),
    "gives the network card back",
    "has given the network card back",
)
change_cdrom = _alter(
    "changeCdrom", _text("image", a.MEDIUM), "gets its CD changed", "has its CD changed"
)


def start_vnc(session: Session, given: Given) -> None:
    """Have a display shown, and say where and with which password."""
    instance_id = session.cluster.instance_id(given[a.INSTANCE])
    shown = session.cluster.calls.call(
        "startVnc",
        VncForm,
        instance_id=instance_id,
        password=given[a.PASSWORD],
        on_socket=given[a.SOCKET],
    )
    place = shown.socket or f"{shown.address}:{shown.port}"
    words = f"VNC running on {place} of {shown.host}{_with_tls(shown)}. "
    words += "The password, which is not shown again: "
    session.terminal.say(words + shown.password, sheets.row_of(shown))


def _with_tls(shown: VncForm) -> str:
    if not shown.tls:
        return ""
    place = shown.socket or f"{shown.address}::{shown.port}"
    trusting = f"vncviewer -X509CA ca-cert.pem {place}"
    return f" with TLS, which a viewer trusts by the cluster's authority: {trusting}"


def stop_vnc(session: Session, given: Given) -> None:
    """Have a display shown no more."""
    cluster = session.cluster
    instance_id = cluster.instance_id(given[a.INSTANCE])
    instance = cluster.calls.call("stopVnc", InstanceForm, instance_id=instance_id)
    words = f"The display of {instance.name} is shown to nobody new."
    session.terminal.say(words, shown_row(session, instance))


def vmm_call(session: Session, given: Given) -> None:
    """Do what Tashi's old call says, and repeat its words."""
    instance_id = session.cluster.instance_id(given[a.INSTANCE])
    said = session.cluster.calls.call(
        "vmmSpecificCall", str, instance_id=instance_id, arg=given[a.VMM_CALL]
    )
    session.terminal.say(said, {"text": said})

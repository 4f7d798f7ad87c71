"""Names, sizes and devices of instances that exist, in a whole cluster."""

from typing import Any

import pytest

from cluster.cluster import Cluster, NodeSite
from tashi.domain.errors import (
    BadRequest,
    IncorrectState,
    InvalidInstance,
    NoRoom,
    NoSuchImage,
    NoSuchNetwork,
    NotPermitted,
    Refused,
    TashiError,
)
from tashi.domain.identity import InstanceId, UserId
from tashi.domain.instance import PORTS
from tashi.domain.states import InstanceState as S
from tashi.wire.forms import DiskForm, InstanceForm, NetworkForm, NicForm
from tashi.wire.screens import TypedForm, VncForm

DATA = DiskForm("data.qcow2")
KEPT = DiskForm("data.qcow2", persistent=True)


class Running:
    """A cluster of one host with an instance that runs there."""

    def __init__(self) -> None:
        self.cluster = Cluster()
        self.node: NodeSite = self.cluster.add_node("h1")
        self.web = self.cluster.create("web")
        self.cluster.settle()

    def ask(self, call: str, instance: InstanceId | None = None, **arguments: Any) -> object:
        key = self.web if instance is None else instance
        done = self.cluster.calls().call(call, InstanceForm, instance_id=key, **arguments)
        self.cluster.settle()
        return done

    def devices(self) -> tuple[tuple[str, ...], tuple[str, ...], str]:
        """Images of the disks, MAC addresses and the CD; books and guest must agree."""
        record, guest = self.cluster.record(self.web), self.node.hypervisor.devices(self.web)
        assert record.devices == guest
        assert record.wanted is None
        disks = tuple(disk.uri for disk in guest.disks)
        return disks, tuple(nic.mac for nic in guest.nics), guest.cdrom


@pytest.fixture
def running() -> Running:
    return Running()


def test_a_disk_a_card_and_a_cd_are_plugged_in_and_out(running: Running) -> None:
    before = running.devices()

    running.ask("attachDisk", disk=DATA)
    running.ask("attachNic", nic=NicForm(1))
    running.ask("changeCdrom", image="data.qcow2")
    disks, macs, cdrom = running.devices()
    running.ask("changeCdrom")
    running.ask("detachNic", mac=macs[1])
    running.ask("detachDisk", uri="data.qcow2")

    assert (disks, cdrom) == (("web.qcow2", "data.qcow2"), "data.qcow2")
    assert len(set(macs)) == 2
    assert running.devices() == before
    assert running.cluster.state(running.web) is S.RUNNING


def test_what_could_not_be_plugged_in_is_not_in_the_books_and_the_reason_is(
    running: Running,
) -> None:
    before = running.devices()
    running.node.hypervisor.alter_fails = "There is no such slot."

    running.ask("attachDisk", disk=DATA)

    assert running.devices() == before
    assert running.cluster.record(running.web).reason == "There is no such slot."


@pytest.mark.parametrize("killed_after", ["taken", "done"])
def test_a_node_manager_that_dies_over_it_plugs_in_once(
    running: Running, killed_after: str
) -> None:
    running.node.workers.drop_all()
    call = running.cluster.calls().call
    call("attachDisk", InstanceForm, instance_id=running.web, disk=DATA)
    for _ in range(3):
        running.cluster.manager.turn(0.0)
        running.cluster.workers.run_all()
        if killed_after == "done":
            running.node.workers.run_all()
    running.node.kill()
    running.node.start()
    running.cluster.let_pass(3)

    assert running.devices()[0] == ("web.qcow2", "data.qcow2")
    assert running.cluster.state(running.web) is S.RUNNING


@pytest.mark.parametrize("node_dies", [False, True])
def test_a_guest_that_dies_over_a_detach_starts_again_without_the_disk(
    running: Running, node_dies: bool
) -> None:
    running.ask("attachDisk", disk=DATA)
    call = running.cluster.calls().call
    call("detachDisk", InstanceForm, instance_id=running.web, uri="data.qcow2")
    running.cluster.manager.turn(0.0)
    running.cluster.workers.run_all()
    if node_dies:
        running.node.kill()
    running.node.hypervisor.crash(running.web)
    if node_dies:
        running.node.start()
    running.cluster.let_pass(5)

    assert running.devices()[0] == ("web.qcow2",)
    assert running.cluster.state(running.web) is S.RUNNING


def test_a_cluster_manager_that_dies_over_it_plugs_in_once(running: Running) -> None:
    call = running.cluster.calls().call
    call("attachDisk", InstanceForm, instance_id=running.web, disk=DATA)
    running.cluster.kill_manager()
    running.cluster.start_manager()
    running.cluster.let_pass(15)

    assert running.devices()[0] == ("web.qcow2", "data.qcow2")
    assert running.cluster.state(running.web) is S.RUNNING


def test_what_was_plugged_in_is_there_after_suspension_and_stop(running: Running) -> None:
    running.ask("attachDisk", disk=DATA)

    for verbs in (("suspendVm", "resumeVm"), ("stopVm", "startVm")):
        for verb in verbs:
            running.ask(verb)

    assert running.devices()[0] == ("web.qcow2", "data.qcow2")


def test_a_stopped_instance_is_given_devices_and_starts_with_them(running: Running) -> None:
    running.ask("stopVm")

    running.ask("attachDisk", disk=DATA)
    running.ask("attachNic", nic=NicForm(1, "52:54:00:00:00:01"))
    running.ask("startVm")
    disks, macs, _ = running.devices()

    assert disks == ("web.qcow2", "data.qcow2")
    assert macs[1] == "52:54:00:00:00:01"


def test_a_persistent_disk_goes_to_one_instance_only(running: Running) -> None:
    other = running.cluster.create("db")
    running.cluster.settle()
    running.ask("attachDisk", disk=KEPT)

    with pytest.raises(NoRoom, match="detach it there"):
        running.ask("attachDisk", other, disk=KEPT)
    with pytest.raises(InvalidInstance, match="two persistent disks"):
        running.ask("attachDisk", disk=KEPT)


def test_there_are_so_many_ports_and_no_more(running: Running) -> None:
    for _ in range(PORTS):
        running.ask("attachDisk", disk=DATA)

    with pytest.raises(Refused, match="plug a disk or a network card out"):
        running.ask("attachNic", nic=NicForm(1))


@pytest.mark.parametrize(
    ("call", "arguments", "error", "words"),
    [
        ("attachDisk", {"disk": DiskForm("none.qcow2")}, NoSuchImage, "getImages"),
        ("attachDisk", {"disk": DiskForm("../web.qcow2")}, InvalidInstance, "below images/"),
        ("attachDisk", {"disk": DiskForm("a,b")}, InvalidInstance, "commas"),
        ("changeCdrom", {"image": "../../etc/shadow"}, InvalidInstance, "below images/"),
        ("changeCdrom", {"image": "none.iso"}, NoSuchImage, "getImages"),
        ("detachDisk", {"uri": "data.qcow2"}, Refused, "it has web.qcow2"),
        ("detachDisk", {"uri": "web.qcow2"}, Refused, "plugged in can be plugged out"),
        ("detachNic", {"mac": "52:54:00:00:00:09"}, Refused, "has no network card"),
        ("attachNic", {"nic": NicForm(7)}, NoSuchNetwork, "getNetworks"),
        ("attachNic", {"nic": NicForm(1, "01:54:00:00:00:01")}, InvalidInstance, "no MAC"),
        ("renameVm", {"name": "no name"}, InvalidInstance, "no name"),
        ("renameVm", {"name": "17"}, InvalidInstance, "taken for an id"),
        ("renameVm", {"name": "db"}, InvalidInstance, "is taken by instance 2"),
    ],
)
def test_what_cannot_be_is_refused_with_the_remedy_and_changes_nothing(
    running: Running, call: str, arguments: dict[str, Any], error: type[TashiError], words: str
) -> None:
    running.cluster.create("db")
    running.cluster.settle()
    before = running.cluster.manager.ledger.published

    with pytest.raises(error, match=words):
        running.ask(call, **arguments)

    assert running.cluster.manager.ledger.published == before


def test_a_card_that_another_instance_has_is_refused(running: Running) -> None:
    other = running.cluster.create("db")
    running.cluster.settle()
    mac = running.cluster.record(other).nics[0].mac

    with pytest.raises(InvalidInstance, match="is taken by instance 2"):
        running.ask("attachNic", nic=NicForm(1, mac))


def test_an_instance_is_renamed_and_its_old_name_is_free(running: Running) -> None:
    running.ask("renameVm", name="web-old")
    again = running.cluster.create("web")
    running.cluster.settle()

    assert running.cluster.record(running.web).name == "web-old"
    assert running.cluster.record(again).name == "web"


def test_renaming_to_its_own_name_is_no_clash(running: Running) -> None:
    running.ask("renameVm", name="web")

    assert running.cluster.record(running.web).name == "web"


def test_a_stopped_instance_starts_with_its_new_size(running: Running) -> None:
    running.ask("stopVm")

    running.ask("resizeVm", cores=2, memory=512)
    running.ask("startVm")
    record = running.cluster.record(running.web)

    assert (record.state, record.cores, record.memory) == (S.RUNNING, 2, 512)
    assert running.cluster.manager.ledger.books.used(record.hosts[0]).memory == 512


def test_an_instance_that_waits_for_room_can_be_made_smaller(running: Running) -> None:
    large = running.cluster.create("large", memory=4000)
    running.cluster.settle()
    waits = running.cluster.state(large)

    running.ask("resizeVm", large, memory=256)

    assert waits is S.PENDING
    assert running.cluster.state(large) is S.RUNNING
    assert running.cluster.record(large).cores == 1


def test_a_size_that_nobody_gives_is_refused(running: Running) -> None:
    running.ask("stopVm")

    with pytest.raises(InvalidInstance, match="at most"):
        running.ask("resizeVm", memory=1_000_000)
    with pytest.raises(InvalidInstance, match="more than any host has"):
        running.ask("resizeVm", memory=8000)
    with pytest.raises(InvalidInstance, match="at least 1 core"):
        running.ask("resizeVm", cores=0)


def test_an_instance_with_saved_memory_keeps_its_size(running: Running) -> None:
    running.cluster.scheduling = False
    running.ask("suspendVm")
    running.ask("resumeVm")

    with pytest.raises(IncorrectState, match="Resume it and stop it first"):
        running.ask("resizeVm", memory=512)


def test_only_the_owner_alters_an_instance(running: Running) -> None:
    stranger = running.cluster.calls(UserId(7))
    asked: tuple[tuple[str, type, dict[str, Any]], ...] = (
        ("renameVm", InstanceForm, {"name": "mine"}),
        ("attachDisk", InstanceForm, {"disk": DATA}),
        ("changeCdrom", InstanceForm, {}),
        ("typeConsole", bool, {"data": b"x"}),
        ("readConsole", TypedForm, {}),
        ("vmmSpecificCall", str, {"arg": "list"}),
    )

    for call, gives, arguments in asked:
        with pytest.raises(NotPermitted):
            stranger.call(call, gives, instance_id=running.web, **arguments)


def test_a_display_is_shown_with_a_password_given_or_made_up(running: Running) -> None:
    call = running.cluster.calls().call

    given = call("startVnc", VncForm, instance_id=running.web, password="secret")
    made_up = call("startVnc", VncForm, instance_id=running.web, on_socket=True)
    call("stopVnc", InstanceForm, instance_id=running.web)

    assert given == VncForm("h1", "secret", "h1", 5900)
    assert len(made_up.password) == 8
    assert made_up.socket
    with pytest.raises(BadRequest, match="at most 8"):
        call("startVnc", VncForm, instance_id=running.web, password="far too long")


def test_what_is_typed_reaches_the_guest_and_what_it_says_comes_back(running: Running) -> None:
    call = running.cluster.calls().call

    call("typeConsole", bool, instance_id=running.web, data=b"\x03\xff")
    said = call("readConsole", TypedForm, instance_id=running.web, offset=0)

    assert said.data == b"BOOT\n\x03\xff"


def test_nobody_types_to_an_instance_without_a_guest(running: Running) -> None:
    running.ask("stopVm")

    with pytest.raises(IncorrectState, match="start it first"):
        running.cluster.calls().call("typeConsole", bool, instance_id=running.web, data=b"x")


@pytest.mark.parametrize(
    ("arg", "said"),
    [
        ("list", "changeCdrom:IMAGE"),
        ("reset", "web is reset"),
        ("startVnc", "VNC running on h1:5900"),
        ("startVnc:secret", "password secret"),
        ("stopVnc", "VNC of web off"),
        ("changeCdrom:data.qcow2", "CD of web changed"),
        ("CHANGECDROM:", "CD of web changed"),
    ],
)
def test_tashis_old_calls_are_understood(running: Running, arg: str, said: str) -> None:
    text = running.cluster.calls().call("vmmSpecificCall", str, instance_id=running.web, arg=arg)

    assert said in text


def test_what_is_no_call_any_more_is_refused_with_what_to_use(running: Running) -> None:
    call = running.cluster.calls().call

    with pytest.raises(Refused, match="attachConsole"):
        call("vmmSpecificCall", str, instance_id=running.web, arg="startConsole")
    with pytest.raises(BadRequest, match="there are startVnc"):
        call("vmmSpecificCall", str, instance_id=running.web, arg="dance")


def test_a_network_is_kept_while_a_card_on_it_is_being_plugged_in(running: Running) -> None:
    root = running.cluster.calls(UserId(0))
    root.call("addNetwork", NetworkForm, network_id=7, name="lab")
    running.node.kill()
    running.cluster.calls().call("attachNic", InstanceForm, instance_id=running.web, nic=NicForm(7))

    with pytest.raises(Refused, match="still used"):
        root.call("delNetwork", NetworkForm, network_id=7)

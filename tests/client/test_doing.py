"""What commands ask of the cluster manager, and what they say of its answer."""

import msgspec
import pytest

from fakes.clients import Shell, admin_front
from fakes.clusters import FakeClusterManager
from fakes.records import WEB
from tashi.domain.errors import DirectoryFailed
from tashi.domain.instance import OnExit, OnLoss
from tashi.domain.states import HostState
from tashi.wire import forms as f


def test_everything_that_is_typed_of_a_new_instance_arrives() -> None:
    manager = FakeClusterManager()
    words = (
        "createVm --name db2 --disks system.qcow2,data.qcow2:True --cores 4 --memory 2048 "
        "--nics office:192.0.2.17,::52:54:00:12:34:56 --hints targetHost=rack1 --hints x-a=b "
        "--userId ada --group backend --onExit stop --onLoss forget"
    )

    ended = Shell(manager).type(*words.split())

    assert ended.err == ""
    assert manager.done() == [
        (
            "createVm",
            {
                "instance": f.NewInstanceForm(
                    name="db2",
                    disks=(f.DiskForm("system.qcow2"), f.DiskForm("data.qcow2", True)),
                    user_id=1000,
                    cores=4,
                    memory=2048,
                    nics=(f.NicForm(1, "", "192.0.2.17"), f.NicForm(1, "52:54:00:12:34:56")),
                    hints={"targetHost": "rack1", "x-a": "b"},
                    group_name="backend",
                    on_exit=OnExit.STOP,
                    on_loss=OnLoss.FORGET,
                )
            },
        )
    ]


def test_what_is_not_typed_is_left_to_the_cluster_manager() -> None:
    manager = FakeClusterManager()

    Shell(manager).type("createVm", "--name", "web2", "--disks", "web.qcow2")

    wish = f.NewInstanceForm(name="web2", disks=(f.DiskForm("web.qcow2"),))
    assert manager.done() == [("createVm", {"instance": wish})]


def test_many_are_numbered_with_as_many_digits_as_the_last_needs() -> None:
    manager = FakeClusterManager(instances=[])

    Shell(manager).type("createMany", "--basename", "w", "--count", "11", "--disks", "a")

    names = [one.name for one in manager.instances]
    assert names[0] == "w-00"
    assert names[-1] == "w-10"
    assert len(names) == 11


def test_when_one_of_many_is_refused_it_is_said_how_many_there_are() -> None:
    taken = msgspec.structs.replace(WEB, name="w-2")
    manager = FakeClusterManager(instances=[taken])

    ended = Shell(manager).type("createMany", "--basename", "w", "--count", "4", "--disks", "a")

    assert ended.err == (
        "tashi-client: The name 'w-2' is taken: choose another. (2 of 4 were created.)\n"
    )
    assert ended.code == 1
    assert [line.split()[2] for line in ended.out.splitlines()[1:]] == ["w-0", "w-1"]


def test_whoever_interrupts_the_making_of_many_hears_and_sees_how_many_there_are() -> None:
    manager = FakeClusterManager(instances=[])
    link = manager.link()

    class Interrupted:
        private = True

        def call(self, request: bytes, seconds: float, *, repeatable: bool = False) -> bytes:
            if len(manager.instances) == 2:
                raise KeyboardInterrupt
            return link.call(request, seconds, repeatable=repeatable)

    shell = Shell(manager, link=Interrupted)
    ended = shell.type("createMany", "--basename", "w", "--count", "10000", "--disks", "a")

    assert (ended.code, ended.err) == (130, "2 of 10000 were created.\n")
    assert "w-0001" in ended.out


@pytest.mark.parametrize(
    ("call", "said"),
    [
        ("shutdownVm", "web is asked to power off."),
        ("destroyVm", "web is being destroyed."),
        ("stopVm", "web is asked to power off, and will be kept."),
        ("startVm", "web is queued for a host."),
        ("pauseVm", "web is pausing."),
        ("unpauseVm", "web is unpausing."),
        ("suspendVm", "web is suspending."),
        ("resumeVm", "web is resuming."),
        ("resetVm", "web is reset."),
    ],
)
def test_a_command_takes_a_name_and_says_what_it_began(call: str, said: str) -> None:
    manager = FakeClusterManager()

    ended = Shell(manager).type(call, "--instance", "web")

    assert (ended.code, ended.out) == (0, f"{said}\n")
    assert manager.done() == [(call, {"instance_id": 3})]


def test_an_id_is_sent_without_asking_who_has_it() -> None:
    manager = FakeClusterManager()

    Shell(manager).type("pauseVm", "--instance", "3")

    assert manager.asked == [
        ("pauseVm", {"instance_id": 3}),
        ("getUsers", {"user_id": 1000, "name": None}),
    ]


def test_a_user_who_is_named_is_asked_for_alone() -> None:
    manager = FakeClusterManager()

    Shell(manager).type("createVm", "--name", "w", "--disks", "a", "--userId", "ada")
    Shell(manager, admin_front()).type("addReservation", "--host", "2", "--user", "ada")

    asked = [given for call, given in manager.asked if call == "getUsers"]
    assert {"user_id": None, "name": None} not in asked
    assert asked.count({"user_id": None, "name": "ada"}) == 2


def test_what_is_ones_own_is_asked_for_alone() -> None:
    manager = FakeClusterManager()

    ended = Shell(manager).type("getMyInstances", "--hide-all", "--show-name", "--show-user")

    assert ended.out.splitlines() == ["name  user", "web   ada"]
    assert [call for call, _ in manager.asked] == ["getInstances", "getUsers"]
    assert manager.asked[0][1]["mine"] is True
    assert manager.asked[1][1]["user_id"] == 1000


def test_a_command_that_was_accepted_is_shown_though_nobody_knows_the_owner() -> None:
    manager = FakeClusterManager(refusals={"getUsers": DirectoryFailed("The directory is away.")})

    ended = Shell(manager).type("pauseVm", "--instance", "3", "--output", "json")

    assert (ended.code, ended.err) == (0, "")
    assert msgspec.json.decode(ended.out)["user"] == "1000"


def series(*names: str) -> FakeClusterManager:
    return FakeClusterManager(
        instances=[
            msgspec.structs.replace(WEB, id=number, name=name)
            for number, name in enumerate(names, start=1)
        ]
    )


def test_a_series_is_what_its_basename_and_a_number_name() -> None:
    manager = series("w-0", "w-1", "w-x", "w", "ww-0", "w-1-2")

    ended = Shell(manager).type("destroyMany", "--basename", "w")

    assert ended.out == "2 instances are being destroyed.\n"
    assert [call["instance_id"] for _, call in manager.done()] == [1, 2]


def test_one_of_a_series_that_fails_does_not_keep_the_others() -> None:
    manager = series("w-0", "w-1")
    manager.instances[0] = msgspec.structs.replace(manager.instances[0], user_id=7)

    ended = Shell(manager).type("shutdownMany", "--basename", "w")

    assert ended.out == "1 instance is asked to power off.\n"
    assert ended.err.endswith("(1 of 2 were not asked to power off.)\n")
    assert ended.code == 1


ADMIN = [
    ("setHostState --host rack1 --state DRAINED", "Host rack1 is Drained.",
     ("setHostState", {"host_id": 1, "state": HostState.DRAINED})),
    ("setHostNotes --host 1 --notes old", "The note of host rack1 is written.",
     ("setHostNotes", {"host_id": 1, "notes": "old"})),
    ("addHost --host rack9", "Host rack9 is added as 9.", ("addHost", {"name": "rack9"})),
    ("delHost --host rack2", "Host rack2 is removed.", ("delHost", {"host_id": 2})),
    ("addReservation --host rack1 --user root", "Host rack1 is kept for ada, root.",
     ("addReservation", {"host_id": 1, "user_id": 0})),
    ("delReservation --host rack1 --user ada", "Host rack1 is open to everyone.",
     ("delReservation", {"host_id": 1, "user_id": 1000})),
    ("addNetwork --id 7 --name lab", "Network 7 (lab) is added.",
     ("addNetwork", {"network_id": 7, "name": "lab"})),
    ("delNetwork --network public", "Network 999 (public) is removed.",
     ("delNetwork", {"network_id": 999})),
    ("addUser --id 7 --name bob", "User 7 (bob) is added.",
     ("addUser", {"user_id": 7, "name": "bob"})),
    ("delUser --user ada", "User 1000 (ada) is removed.", ("delUser", {"user_id": 1000})),
]  # fmt: skip


@pytest.mark.parametrize(("typed", "said", "asked"), ADMIN)
def test_an_administrator_is_told_what_was_done(
    typed: str, said: str, asked: tuple[str, dict[str, object]]
) -> None:
    manager = FakeClusterManager()

    ended = Shell(manager, admin_front(), uid=0).type(*typed.split())

    assert (ended.code, ended.out) == (0, f"{said}\n")
    assert manager.done() == [asked]


def test_the_cluster_manager_decides_who_is_an_administrator() -> None:
    ended = Shell(FakeClusterManager(), admin_front()).type("addHost", "--host", "rack9")

    assert ended.err == "tashi-admin: addHost is for administrators; you are user 1000.\n"
    assert ended.code == 1


def test_a_reservation_is_told_by_names() -> None:
    ended = Shell(FakeClusterManager(), admin_front()).type("getReservation", "--host", "rack1")

    assert ended.out == "Host rack1 is kept for ada.\n"


def test_a_configuration_in_order_is_said_so_with_its_warnings() -> None:
    front = admin_front(warnings=("etc/Tashi.cfg:3: foo is no longer used.",))

    ended = Shell(FakeClusterManager(), front).type("checkConfig")

    assert ended.out == (
        "The configuration is in order.\netc/Tashi.cfg:3: foo is no longer used.\n"
    )

"""How a client waits for what becomes of a command, and follows what happens."""

import json

import msgspec
import pytest

from fakes.clients import Ended, Shell
from fakes.clusters import FakeClusterManager, entry
from fakes.records import WEB
from tashi.domain.errors import PeerSilent, StoreFailed, TooOld
from tashi.domain.states import InstanceState
from tashi.wire import forms as f
from tashi.wire.glimpses import ProgressForm

NEW = f.InstanceForm(id=22, name="web2", user_id=1000, cores=1, memory=128, disks=(), operation=50)
MANY = ("createMany", "--basename", "w", "--disks", "a", "--wait")


def became(instance: f.InstanceForm, *states: str, reason: str = "") -> tuple[f.EntryForm, ...]:
    """Events of an instance that goes through states, each under the next operation."""
    return tuple(
        entry(
            100 + step,
            msgspec.structs.replace(
                instance,
                state=InstanceState[state],
                operation=instance.operation + 1 + step,
                reason=reason,
            ),
        )
        for step, state in enumerate(states)
    )


def create_and_wait(*coming: tuple[f.EntryForm, ...], more: str = "") -> Ended:
    manager = FakeClusterManager(coming=list(coming))
    words = f"createVm --name web2 --disks web.qcow2 --wait {more}"
    return Shell(manager).type(*words.split())


def test_a_wait_ends_when_the_guest_runs() -> None:
    running = became(NEW, "PENDING", "ACTIVATING", "RUNNING")

    ended = create_and_wait(running[:2], (), running[2:])

    assert ended.code == 0
    assert "Running" in ended.out


def test_a_wait_ends_with_the_reason_when_the_start_fails() -> None:
    ended = create_and_wait(became(NEW, "ACTIVATING", "HELD", reason="The disk is broken."))

    assert (ended.code, ended.err) == (3, "tashi-client: web2 is Held: The disk is broken.\n")


def test_a_wait_ends_when_the_instance_is_gone() -> None:
    ended = create_and_wait((entry(100, None, key=NEW.id),))

    assert (ended.code, ended.err) == (3, "tashi-client: web2 is gone.\n")


def test_a_wait_follows_only_the_instance_it_is_for() -> None:
    manager = FakeClusterManager(coming=[became(NEW, "RUNNING")])

    Shell(manager).type("createVm", "--name", "web2", "--disks", "a", "--wait")

    [_, followed] = [given for call, given in manager.asked if call == "watch"]
    assert (followed["instance_id"], followed["since"]) == (NEW.id, manager.event)


def test_a_wait_for_an_instance_that_is_named_asks_for_no_other() -> None:
    manager = FakeClusterManager(coming=[became(WEB, "PAUSED")])

    Shell(manager).type("pauseVm", "--instance", "web", "--wait")

    asked = [(call, given.get("name")) for call, given in manager.asked if call != "getUsers"]
    assert asked == [("getInstances", "web"), ("watch", None), ("pauseVm", None), ("watch", None)]


def test_a_wait_is_over_when_its_time_is() -> None:
    ended = create_and_wait(became(NEW, "ACTIVATING"), more="--timeout 45")

    assert ended.code == 3
    assert ended.err == (
        "tashi-client: web2 is still Activating after 45 s; the wait is over, the work goes on.\n"
    )


def test_what_happened_before_the_command_does_not_end_a_wait() -> None:
    earlier = entry(99, msgspec.structs.replace(WEB, operation=11))
    manager = FakeClusterManager(coming=[(earlier,), became(WEB, "PAUSING", "PAUSED")])

    ended = Shell(manager).type("pauseVm", "--instance", "web", "--wait")

    assert ended.out == "web is Paused.\n"


def test_a_pause_that_fails_ends_the_wait_with_where_the_instance_is() -> None:
    manager = FakeClusterManager(coming=[became(WEB, "PAUSING", "RUNNING", reason="QMP died.")])

    ended = Shell(manager).type("pauseVm", "--instance", "web", "--wait")

    assert (ended.code, ended.err) == (3, "tashi-client: web is Running: QMP died.\n")


def test_waiting_for_a_power_off_is_not_over_while_it_is_asked_for() -> None:
    gone = (entry(120, None),)
    manager = FakeClusterManager(coming=[became(WEB, "SHUTTING_DOWN"), gone])

    ended = Shell(manager).type("shutdownVm", "--instance", "web", "--wait")

    assert (ended.code, ended.out) == (0, "web is gone.\n")


def test_waiting_goes_on_while_a_host_is_silent() -> None:
    manager = FakeClusterManager(coming=[became(WEB, "PAUSING", "ORPHANED", "PAUSED")])

    ended = Shell(manager).type("pauseVm", "--instance", "web", "--wait")

    assert ended.out == "web is Paused.\n"


def test_events_no_longer_kept_are_made_up_for_by_looking_at_the_whole() -> None:
    manager = FakeClusterManager(coming=[TooOld("Events before 200 are gone.")])
    manager.instances[1] = msgspec.structs.replace(WEB, operation=12)

    ended = Shell(manager).type("destroyVm", "--instance", "web", "--wait", "--timeout", "40")

    assert ended.code == 3
    assert "is still Destroying" in ended.err


def test_an_instance_that_is_not_in_the_whole_any_more_is_gone() -> None:
    manager = FakeClusterManager(coming=[TooOld("Events before 200 are gone.")])
    shell = Shell(manager)
    manager._getSnapshot = lambda: f.SnapshotForm((), (), (), (), next=300)  # type: ignore[method-assign]

    ended = shell.type("destroyVm", "--instance", "web", "--wait")

    assert ended.out == "web is gone.\n"


def test_waiting_for_many_names_the_first_that_failed() -> None:
    manager = FakeClusterManager(instances=[])
    first = msgspec.structs.replace(NEW, id=20, name="w-0")
    second = msgspec.structs.replace(NEW, id=21, name="w-1")
    manager.coming = [became(first, "RUNNING"), became(second, "HELD", reason="No disk.")]

    ended = Shell(manager).type(*MANY, "--count", "2")

    assert ended.err == "tashi-client: 1 of 2 have failed. The first: w-1 is Held: No disk.\n"


def test_waiting_for_many_says_how_many_are_not_there_yet() -> None:
    ended = Shell(FakeClusterManager(instances=[])).type(*MANY, "--count", "3", "--timeout", "0")

    assert ended.err == (
        "tashi-client: w-0 is still Pending after 0 s, and 2 more are not there yet; "
        "the wait is over, the work goes on. Instance db is held: The disk is not there.\n"
    )


def test_who_waits_for_a_host_is_told_once_why_there_is_none() -> None:
    manager = FakeClusterManager(instances=[])
    words = "createVm --name web2 --disks web.qcow2 --wait --timeout 60"

    ended = Shell(manager, width=120).type(*words.split())

    assert "web2 is Pending. Instance db is held: The disk is not there." in ended.err
    assert [name for name, _ in manager.asked].count("why") == 2, "one more for the last words"


def test_a_silence_ends_the_wait_and_is_said_to_end_nothing_else() -> None:
    ended = Shell(FakeClusterManager(coming=[PeerSilent("It is silent.")])).type(
        *["createVm", "--name", "web2", "--disks", "a", "--wait"]
    )

    words = "Only the wait for web2 is over, the work goes on."
    assert (ended.code, ended.err) == (3, f"tashi-client: It is silent. {words}\n")


def test_events_are_shown_as_they_come_until_an_error() -> None:
    manager = FakeClusterManager(
        coming=[became(WEB, "PAUSING", "PAUSED"), (entry(102, None),), StoreFailed("Full.")]
    )

    ended = Shell(manager).type("watch", "--instance", "web")

    lines = ended.out.splitlines()
    assert [line.split()[0] for line in lines] == ["100", "101", "102"]
    assert "instance 3 (web)" in lines[0]
    assert "Pausing" in lines[0]
    assert "by rack1" in lines[0]
    assert "removed" in lines[2]
    assert ended.code == 3


def test_scripts_get_one_event_a_line() -> None:
    manager = FakeClusterManager(coming=[became(WEB, "PAUSED"), StoreFailed("Full.")])

    ended = Shell(manager).type("watch", "--since", "7", "--output", "json")

    event = msgspec.json.decode(ended.out)
    assert event["instance"]["state"] == "Paused"
    assert manager.asked[0] == ("watch", {"since": 7, "timeout": 30.0, "instance_id": None})


def test_the_end_of_a_console_is_shown_however_much_the_guest_talks() -> None:
    manager = FakeClusterManager(console=["login: \r\n", "and so on"])

    ended = Shell(manager).type("getConsole", "--instance", "web")

    assert ended.out == "login: \r\n"


def test_a_console_is_followed_until_the_guest_is_gone() -> None:
    manager = FakeClusterManager(console=["boot", "ing"])

    ended = Shell(manager).type("getConsole", "--instance", "web", "--follow")

    assert ended.out == "booting"
    assert ended.err == "tashi-client: Instance web is over.\n"
    assert manager.asked[-1][1]["offset"] == 7


def test_a_console_cannot_speak_to_the_terminal_of_who_looks() -> None:
    manager = FakeClusterManager(console=["\x1b[31mred\x1b[0m\x1b]0;title\x07\r\nnext\x08"])

    ended = Shell(manager, width=80).type("getConsole", "--instance", "web")

    assert ended.out == "red\nnext"


def test_scripts_get_a_console_in_pieces() -> None:
    manager = FakeClusterManager(console=["boot"])

    ended = Shell(manager).type("getConsole", "--instance", "web", "--output", "json")

    assert msgspec.json.decode(ended.out) == {"text": "boot", "offset": 4}


def test_scripts_are_told_of_a_console_on_which_nothing_stands() -> None:
    ended = Shell(FakeClusterManager()).type("getConsole", "--instance", "web", "--output", "json")

    assert msgspec.json.decode(ended.out) == {"text": "", "offset": 0}


def test_whoever_looks_sees_what_is_waited_for() -> None:
    manager = FakeClusterManager(instances=[])
    made = [msgspec.structs.replace(NEW, id=20 + step, name=f"w-{step}") for step in range(2)]
    manager.coming = [became(made[0], "RUNNING"), became(made[1], "RUNNING")]

    ended = Shell(manager, width=80).type(*MANY, "--count", "2")

    assert ended.code == 0
    assert "w-1 is Running" in ended.err
    assert "2/2" in ended.err


def test_waiting_for_a_series_to_go_ends_when_all_are_gone() -> None:
    made = [msgspec.structs.replace(WEB, id=20 + step, name=f"w-{step}") for step in range(2)]
    manager = FakeClusterManager(instances=made)
    manager.coming = [(entry(1, None, key=21),), (entry(2, None, key=20),)]

    ended = Shell(manager).type("destroyMany", "--basename", "w", "--wait")

    assert (ended.code, ended.out) == (0, "2 instances are gone.\n")
    assert manager.coming == []


MOVING = msgspec.structs.replace(
    WEB,
    state=InstanceState.MIGRATE_TRANS,
    operation=60,
    progress=ProgressForm(3 << 20, 4 << 20, float(1 << 20), "memory, pass 2"),
)
ARRIVED = msgspec.structs.replace(WEB, host_id=2, operation=61)
MIGRATE = ("migrateVm", "--instance", "web", "--dst", "rack2", "--wait")


class Mover(FakeClusterManager):
    """Moves an instance when it is asked to; whoever waits too long is interrupted."""

    def _migrateVm(self, **_: object) -> object:  # noqa: N802
        return MOVING

    def _watch(self, since: int | None, timeout: float, instance_id: int | None) -> object:
        if since is not None and not self.coming:
            raise KeyboardInterrupt
        return super()._watch(since, timeout, instance_id)


def test_whoever_looks_sees_how_far_a_move_is_and_nobody_else_asks() -> None:
    seen, unseen = (
        Mover(instances=[MOVING], coming=[(), (entry(100, ARRIVED),)]) for _ in range(2)
    )

    shown = Shell(seen, width=120).type(*MIGRATE)
    quiet = Shell(unseen).type(*MIGRATE)

    assert (shown.code, quiet.code) == (0, 0)
    assert "3.0/4.0 MiB" in shown.err
    assert "memory, pass 2" in shown.err
    assert quiet.err == ""
    meanwhile = [[call for call, _ in one.asked].count("getInstances") for one in (seen, unseen)]
    assert meanwhile[0] > meanwhile[1]


def test_an_interruption_ends_the_wait_for_a_move_and_not_the_move() -> None:
    ended = Shell(Mover(instances=[MOVING])).type(*MIGRATE)

    assert ended.code == 130
    assert ended.err == (
        "Only the wait for web is over, the work goes on. cancelMigration --instance web leaves "
        "it where it is.\n"
    )


@pytest.mark.parametrize(
    ("words", "what"),
    [
        ("createVm --name w --disks a", "w"),
        ("createMany --basename w --count 2 --disks a", "2 instances"),
        ("destroyMany --basename web", "1 instance"),
        ("renameVm --instance 20 --name w", "w"),
        ("destroyVm --instance 20", "web-0"),
    ],
)
def test_whoever_interrupts_a_wait_is_told_that_nothing_else_is_over(words: str, what: str) -> None:
    made = msgspec.structs.replace(WEB, id=20, name="web-0", state=InstanceState.ALTERING)

    ended = Shell(Mover(instances=[made])).type(*words.split(), "--wait")

    assert (ended.code, ended.err) == (
        130,
        f"Only the wait for {what} is over, the work goes on.\n",
    )


def test_whoever_interrupts_a_wait_for_many_sees_what_was_made() -> None:
    ended = Shell(Mover(instances=[])).type(
        *[
            "createMany",
            "--basename",
            "w",
            "--count",
            "2",
            "--disks",
            "a",
            "--wait",
            "--output",
            "json",
        ]
    )

    assert [one["name"] for one in json.loads(ended.out)] == ["w-0", "w-1"]


def test_a_wait_for_many_that_is_in_vain_shows_what_was_made_as_it_is() -> None:
    manager = FakeClusterManager(instances=[])
    created = Shell(manager).type("createVm", "--name", "x", "--disks", "a")
    assert created.code == 0
    first, second = (manager.instances[0].id + 1, manager.instances[0].id + 2)
    running = msgspec.structs.replace(WEB, id=first, name="w-0", operation=900)
    held = msgspec.structs.replace(
        WEB, id=second, name="w-1", operation=901, state=InstanceState.HELD, reason="No."
    )
    manager.coming = [(entry(100, running), entry(101, held))]

    ended = Shell(manager).type(
        *[
            "createMany",
            "--basename",
            "w",
            "--count",
            "2",
            "--disks",
            "a",
            "--wait",
            "--hide-all",
            "--show-name",
        ],
        "--show-state",
    )

    assert ended.code == 3
    assert ended.out == "name  state\nw-0   Running\nw-1   Held\n"
    assert "1 of 2 have failed. The first: w-1 is Held: No." in ended.err

"""What is typed wrong: one sentence on the error stream, its exit code, and nothing done."""

import json
from collections.abc import Callable

import msgspec
import pytest

from fakes.clients import CLIENT, Shell, admin_front
from fakes.clusters import FakeClusterManager
from fakes.records import PUBLIC, WEB
from house import source
from tashi.client.door import Door
from tashi.domain.errors import (
    Broken,
    Failed,
    Misconfigured,
    NoRoom,
    NoSuchInstance,
    PeerSilent,
    Refused,
    StoreFailed,
    TashiError,
)

WEB2 = "createVm --name web2 --disks web.qcow2"

TYPED_WRONG = [
    ("", "Say what to do: tashi-client --help lists the functions."),
    ("--output json", None),
    ("getHost", "There is no function 'getHost': did you mean getHosts?"),
    ("fly", "There is no function 'fly': see tashi-client --help."),
    ("getHosts rack1", "getHosts takes no 'rack1': write arguments as in --name VALUE."),
    ("getHosts --show-note", "getHosts takes no --show-note: did you mean --show-notes?"),
    (
        "getInstances --instance web",
        "getInstances takes no --instance: see tashi-client getInstances --help.",
    ),
    ("getHosts --qqq", "getHosts takes no --qqq: see tashi-client getHosts --help."),
    ("getHosts --output xml", None),
    ("createVm", "createVm needs --name and --disks: see tashi-client createVm --help."),
    (f"{WEB2} --cores", "--cores: expected one argument: see tashi-client createVm --help."),
    (f"{WEB2} --cores two", "--cores takes a whole number, not 'two'."),
    (f"{WEB2} --cores 1.5", "--cores takes a whole number, not '1.5'."),
    (f"{WEB2} --memory {'9' * 30}", "--memory takes no number of more than 18 digits."),
    ("pauseVm --instance=", "--instance is empty: give it a value."),
    (f"{WEB2} --hints dense", "--hints takes NAME=VALUE, not 'dense'."),
    (f"{WEB2} --onExit explode", "--onExit takes forget or stop or restart, not 'explode'."),
    (f"{WEB2} --timeout 3", "--timeout goes with --wait."),
    (f"{WEB2} --wait --timeout soon", "--timeout takes a number of seconds, not 'soon'."),
    (f"{WEB2} --wait --timeout -1", "--timeout takes a number of seconds, not '-1'."),
    (
        "createVm --name w --disks web.qcow2:maybe",
        "--disks takes True or False after an image's colon, not 'maybe'.",
    ),
    (
        "createVm --name w --disks a,,b",
        "--disks names no image: write it as in web.qcow2 or web.qcow2:True.",
    ),
    (
        "createMany --basename w --count 0 --disks a",
        "--count takes a number from 1 to 10000, not '0'.",
    ),
    (
        "createMany --basename w --count 1000000000 --disks a",
        "--count takes a number from 1 to 10000, not '1000000000'.",
    ),
    ("pauseVm --instance \udcff\udcfe", "--instance is no UTF-8 text."),
    ("createVm --name w --disks \udcff", "--disks is no UTF-8 text."),
    ("importImage --file /tmp/\udcff", "--file is no UTF-8 text."),
    ("createVm --na ax", "createVm takes no --na: did you mean --name?"),
    (f"{WEB2} --name b", "--name is given twice: say it once."),
    ("getHosts --output json --output=json", None),
    ("--print-completion fish", "--print-completion takes bash, zsh, tcsh, not 'fish'."),
]

REFUSED = [
    (f"{WEB2} --cores 0", "0 cores is too little: an instance has at least 1 core."),
    ("createVm --name web --disks a", "The name 'web' is taken: choose another."),
    (
        "pauseVm --instance nobody",
        "There is no instance 'nobody': getInstances lists those there are.",
    ),
    ("pauseVm --instance 99", "There is no instance 99."),
    ("pauseVm --instance db", "Instance 12 (db) belongs to 0."),
    (f"{WEB2} --userId nobody", "There is no user 'nobody': getUsers lists those there are."),
    (f"{WEB2} --nics attic", "There is no network 'attic': getNetworks lists those there are."),
    ("destroyMany --basename web", "There is no instance web-0, nor any further one."),
]


@pytest.mark.parametrize(("typed", "sentence"), TYPED_WRONG)
def test_what_is_typed_wrong_is_said_and_nothing_is_asked(typed: str, sentence: str | None) -> None:
    manager = FakeClusterManager()

    ended = Shell(manager).type(*typed.split())

    assert (ended.code, ended.out, manager.asked) == (2, "", [])
    if sentence is not None:
        assert ended.err == f"tashi-client: {sentence}\n"
    assert ended.err.count("\n") == 1


@pytest.mark.parametrize(("typed", "sentence"), REFUSED)
def test_what_cannot_be_is_refused_with_its_sentence(typed: str, sentence: str) -> None:
    ended = Shell(FakeClusterManager()).type(*typed.split())

    assert (ended.code, ended.out, ended.err) == (1, "", f"tashi-client: {sentence}\n")


def test_a_name_that_several_have_is_refused_with_their_ids() -> None:
    manager = FakeClusterManager()
    web = manager.instances[1]
    manager.instances.append(msgspec.structs.replace(web, id=17))

    ended = Shell(manager).type("pauseVm", "--instance", "web")

    assert ended.err == (
        "tashi-client: Several are called 'web': say which by its id, one of 3, 17.\n"
    )
    assert ended.code == 1


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (Refused("No."), 1),
        (NoRoom("No."), 1),
        (Misconfigured("No."), 2),
        (Failed("No."), 3),
        (StoreFailed("No."), 3),
        (Broken("No."), 3),
    ],
)
def test_the_exit_code_says_what_can_be_done_about_an_error(error: TashiError, code: int) -> None:
    manager = FakeClusterManager(refusals={"getHosts": error})

    ended = Shell(manager).type("getHosts")

    assert (ended.code, ended.err) == (code, "tashi-client: No.\n")


def test_with_json_an_error_is_json_on_the_error_stream() -> None:
    error = NoRoom("Host 1 is full.", host=1)
    manager = FakeClusterManager(refusals={"getHosts": error})

    ended = Shell(manager).type("getHosts", "--output", "json")

    assert ended.out == ""
    assert msgspec.json.decode(ended.err) == {
        "error": {"kind": "NoRoom", "errno": 102, "msg": "Host 1 is full.", "about": {"host": 1}}
    }


def test_with_json_an_error_is_the_line_that_the_manual_shows() -> None:
    missing = NoSuchInstance("There is no instance 99.", instance=99)
    manager = FakeClusterManager(refusals={"pauseVm": missing})

    ended = Shell(manager).type("pauseVm", "--instance", "99", "--output", "json")

    assert f"    {ended.err}" in (source.TOP / "doc/operations.md").read_text()


def test_with_json_what_was_done_before_an_error_is_the_result() -> None:
    taken = msgspec.structs.replace(WEB, name="w-2")
    words = "createMany --basename w --count 4 --disks a --output json"

    ended = Shell(FakeClusterManager(instances=[taken])).type(*words.split())

    assert [one["name"] for one in msgspec.json.decode(ended.out)] == ["w-0", "w-1"]
    assert msgspec.json.decode(ended.err)["error"]["kind"] == "InvalidInstance"
    assert ended.code == 1


def test_with_json_misuse_is_json_too() -> None:
    ended = Shell(FakeClusterManager()).type("--output=json", "pauseVm")

    assert msgspec.json.decode(ended.err)["error"]["kind"] == "Misused"
    assert ended.code == 2


def test_an_error_cannot_speak_to_the_terminal() -> None:
    manager = FakeClusterManager(refusals={"getHosts": Refused("No\x1b[2J.")})

    ended = Shell(manager).type("getHosts")

    assert "\x1b" not in ended.err


class Nowhere:
    """A link to where nobody is."""

    private = True

    def __init__(self, sent: str) -> None:
        self.sent = sent
        self.calls: list[bool] = []

    def __str__(self) -> str:
        return "cm.example:9882"

    def call(self, request: bytes, timeout_seconds: float, *, repeatable: bool = False) -> bytes:
        self.calls.append(repeatable)
        raise PeerSilent("Connection refused.", sent=self.sent)


def test_nobody_listening_is_said_at_once_with_where_and_what_to_do() -> None:
    nowhere = Nowhere(sent="no")

    ended = Shell(FakeClusterManager(), link=lambda: nowhere).type("getHosts")

    assert ended.code == 3
    assert ended.err.startswith("tashi-client: No cluster manager answers. Connection refused. ")
    assert "TASHI_CM_HOST" in ended.err
    assert "clusterManagerHost" in ended.err
    assert nowhere.calls == [False]


def test_a_first_request_that_may_have_arrived_is_repeated_where_that_is_harmless() -> None:
    nowhere = Nowhere(sent="perhaps")

    ended = Shell(FakeClusterManager(), link=lambda: nowhere).type("getHosts")

    assert nowhere.calls == [False, True]
    assert ended.err == "tashi-client: Connection refused.\n"


def test_what_must_not_be_repeated_is_sent_once_also_at_first() -> None:
    nowhere = Nowhere(sent="perhaps")
    door = Door(lambda: nowhere)

    with pytest.raises(PeerSilent, match="Connection refused"):
        door.call(b"{}", 1.0, repeatable=False)
    assert nowhere.calls == [False]


def raising(error: BaseException) -> Callable[[], Nowhere]:
    def make() -> Nowhere:
        raise error

    return make


def test_an_interruption_ends_quietly() -> None:
    ended = Shell(FakeClusterManager(), link=raising(KeyboardInterrupt())).type("getHosts")

    assert (ended.code, ended.out, ended.err) == (130, "", "")


def test_a_reader_that_has_gone_is_no_reason_to_complain() -> None:
    ended = Shell(FakeClusterManager(), link=raising(BrokenPipeError())).type("getHosts")

    assert (ended.code, ended.err) == (141, "")


def test_a_mistake_of_ours_is_one_sentence_unless_somebody_debugs() -> None:
    shell = Shell(FakeClusterManager(), link=raising(ZeroDivisionError("oh")), debug=False)

    ended = shell.type("getHosts")

    assert ended.code == 3
    assert ended.err == (
        "tashi-client: tashi-client made a mistake (ZeroDivisionError: oh); DEBUG=1 shows where.\n"
    )


def test_what_needs_a_library_of_servers_says_so() -> None:
    missing = ModuleNotFoundError("No module named 'dns'", name="dns")
    shell = Shell(FakeClusterManager(), link=raising(missing), debug=False)

    ended = shell.type("getHosts")

    assert ended.code == 2
    assert ended.err.startswith("tashi-client: This needs dns, which is not installed here: ")


def test_somebody_who_debugs_sees_where() -> None:
    shell = Shell(FakeClusterManager(), link=raising(ZeroDivisionError("oh")))

    with pytest.raises(ZeroDivisionError):
        shell.type("getHosts")


def test_no_default_network_is_said_when_one_is_needed() -> None:
    manager = FakeClusterManager(networks=[PUBLIC])

    ended = Shell(manager).type(*f"{WEB2} --nics ::52:54:00:12:34:56".split())

    assert ended.err == ("tashi-client: There is no default network: name one, as in --nics 1.\n")


def test_mistakes_in_the_configuration_are_named_without_a_cluster_manager() -> None:
    front = admin_front(mistakes=("etc/Tashi.cfg:3: There is no key 'prefx'.",))
    manager = FakeClusterManager()

    ended = Shell(manager, front).type("checkConfig")

    assert ended.code == 2
    assert ended.err == (
        "tashi-admin: The configuration needs mending.\netc/Tashi.cfg:3: There is no key 'prefx'.\n"
    )
    assert manager.asked == []


def test_scripts_get_the_mistakes_in_the_configuration_where_they_get_their_absence() -> None:
    front = admin_front(mistakes=("There is no key 'prefx'.",), warnings=("[Old] is ignored.",))

    ended = Shell(FakeClusterManager(), front).type("checkConfig", "--output", "json")

    assert ended.code == 2
    assert json.loads(ended.out) == {
        "mistakes": ["There is no key 'prefx'."],
        "warnings": ["[Old] is ignored."],
    }


def test_what_only_says_a_sentence_has_no_columns() -> None:
    for words in ("pauseVm --instance web", "migrateVm --instance web --dst 1", "changeCdrom"):
        ended = Shell(FakeClusterManager()).type(*words.split(), "--show-id")

        assert (ended.code, "takes no --show-id" in ended.err) == (2, True)


def test_names_of_functions_are_not_the_admins_in_the_users_client() -> None:
    assert Shell(FakeClusterManager(), CLIENT).type("addHost", "--host", "x").code == 2

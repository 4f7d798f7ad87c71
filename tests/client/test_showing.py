"""What the clients show: tables for people, JSON for scripts, help and examples made from rows."""

import io
import math
from collections.abc import Callable

import msgspec
import pytest

from fakes.clients import CLIENT, Shell, admin_front
from fakes.clusters import FakeClusterManager
from fakes.records import RACK1, RACK2, WEB
from tashi.client import sheets, tables
from tashi.client.parser import Front
from tashi.client.tables import Row, sheet
from tashi.client.terminal import Terminal

Golden = Callable[[str, str], None]
CASES = {
    "getInstances": "getInstances",
    "getInstances-nics": "getInstances --hide-all --show-name --show-nics --show-disks",
    "getInstances-stats": "getInstances --hide-all --show-name --show-stats --show-progress",
    "getMyInstances": "getMyInstances",
    "getVmLayout": "getVmLayout",
    "getHosts": "getHosts",
    "getUsers": "getUsers",
    "getNetworks": "getNetworks",
    "getImages": "getImages --show-all",
    "getSlots": "getSlots --cores 2 --memory 512",
    "why": "why --instance db",
    "createVm": "createVm --name web2 --disks web.qcow2 --userId root",
    "createMany": "createMany --basename w --count 11 --disks web.qcow2",
    "vm-help": "createVm --help",
    "vm-examples": "createVm --examples",
    "nic-help": "attachNic --help",
    "help": "--help",
    "all-examples": "--examples",
}


@pytest.mark.parametrize("name", CASES)
def test_what_people_see_is_as_it_was(name: str, golden: Golden) -> None:
    ended = Shell(FakeClusterManager()).type(*CASES[name].split())

    assert (ended.code, ended.err) == (0, "")
    golden(f"{name}.txt", ended.out)


@pytest.mark.parametrize("name", ["getInstances", "getHosts", "getImages", "getSlots", "why"])
def test_what_scripts_get_is_as_it_was(name: str, golden: Golden) -> None:
    ended = Shell(FakeClusterManager()).type(*CASES[name].split(), "--output", "json")

    golden(f"{name}.json", ended.out)


def test_the_admins_help_is_as_it_was(golden: Golden) -> None:
    golden("admin-help.txt", Shell(FakeClusterManager(), admin_front()).type("help").out)


def test_a_table_is_cut_to_its_terminal(golden: Golden) -> None:
    ended = Shell(FakeClusterManager(), width=60).type("getInstances", "--show-nics")

    golden("getInstances-60.txt", ended.out)
    assert max(map(tables.places, ended.out.splitlines()[1:])) <= 60


def test_where_the_header_has_no_room_each_row_is_a_block_of_lines(golden: Golden) -> None:
    ended = Shell(FakeClusterManager(), width=80).type("getInstances", "--show-all")

    golden("getInstances-all.txt", ended.out)
    assert max(map(len, ended.out.splitlines())) <= 80


@pytest.mark.parametrize(
    ("days", "words"),
    [
        (30.0, "The certificate of rack1 expires in 30 days: "),
        (0.4, "The certificate of rack1 expires in 0 days: "),
        (-3.0, "The certificate of rack1 has expired: "),
        (30.1, ""),
        (None, ""),
    ],
)
def test_a_hosts_certificate_that_ends_within_a_month_is_told_of(
    days: float | None, words: str
) -> None:
    rack1 = msgspec.structs.replace(RACK1, certificate_days=days)

    manager = FakeClusterManager(hosts=[rack1, RACK2])
    ended = Shell(manager).type("getHosts", "--hide-all", "--show-certificateDays")
    shown = [line.strip() for line in ended.out.splitlines()]

    assert ended.code == 0
    assert shown == ["certificateDays", "-" if days is None else str(math.floor(days)), "-"]
    assert ended.err.startswith(words)
    assert ended.err.count("\n") == bool(words)


@pytest.mark.parametrize("front", [CLIENT, admin_front()], ids=["client", "admin"])
def test_every_function_has_help_and_examples_that_are_understood(front: Front) -> None:
    for command in front.commands:
        shell = Shell(FakeClusterManager(), front)
        assert command.help in shell.type(command.name, "--help").out
        assert shell.type("help", command.name).code == 0
        assert shell.type(command.name, "--examples").out


@pytest.mark.parametrize("typed", ["GETHOSTS", "gethosts", "getHosts"])
def test_names_of_functions_are_read_in_any_case(typed: str) -> None:
    assert Shell(FakeClusterManager()).type(typed).code == 0


def test_json_gives_every_field_whatever_columns_are_seen() -> None:
    ended = Shell(FakeClusterManager()).type("getInstances", "--hide-all", "--output=json")

    rows = msgspec.json.decode(ended.out, type=list[dict[str, object]])
    names = {"user", "disk", *WEB.__struct_encode_fields__}
    assert [set(row) for row in rows] == [names, names]
    assert rows[1]["state"] == "Running"


def test_one_created_instance_is_one_object() -> None:
    words = "createVm --name web2 --disks web.qcow2 --output json"

    ended = Shell(FakeClusterManager()).type(*words.split())

    assert msgspec.json.decode(ended.out)["name"] == "web2"


def test_a_cluster_without_instances_shows_the_header_only() -> None:
    ended = Shell(FakeClusterManager(instances=[])).type("getInstances")

    assert ended.out == "id  hostId  name  user  state  disk  memory  cores\n"


def test_hiding_every_column_shows_nothing() -> None:
    assert Shell(FakeClusterManager()).type("getInstances", "--hide-all").out.strip() == ""


def test_a_later_wish_goes_before_an_earlier_one() -> None:
    words = "getNetworks --hide-all --show-name --show-default --hide-default"

    ended = Shell(FakeClusterManager()).type(*words.split())

    assert ended.out == "name\noffice\npublic\n"


def test_no_cell_can_speak_to_the_terminal() -> None:
    ended = Shell(FakeClusterManager(), width=200).type("getHosts", "--hide-all", "--show-notes")

    assert ended.out == "\x1b[1mnotes\x1b[0m\nnew fans\ufffd[2J\n-\n"


def test_a_host_that_is_silent_is_shown_as_down() -> None:
    ended = Shell(FakeClusterManager(hosts=[RACK2])).type("getVmLayout")

    assert "Down" in ended.out


def test_wide_letters_are_counted_as_the_terminal_does() -> None:
    rows: list[Row] = [{"name": "山田", "note": "x"}, {"name": "ada", "note": "y"}]

    assert tables.lines(sheet("name note").columns, rows) == [
        "name  note",
        "ada   y",
        "山田  x",
    ]


def test_a_cell_of_wide_letters_is_cut_to_its_places() -> None:
    rows: list[Row] = [{"name": "山田太郎さん"}]

    (_, line) = tables.lines(sheet("name").columns, rows, 8)

    assert line == "山田太…"


def test_what_is_no_part_of_a_form_is_not_shown_as_one() -> None:
    with pytest.raises(TypeError, match="object is no part of a form"):
        sheets.plain(object())


@pytest.mark.parametrize(
    ("size", "text"),
    [
        (0, "0 B"),
        (1023, "1023 B"),
        (1024, "1.0 KiB"),
        (5 * 2**20, "5.0 MiB"),
        (2**50, "1024.0 TiB"),
    ],
)
def test_sizes_are_shown_in_a_unit_that_keeps_them_short(size: int, text: str) -> None:
    assert tables.as_size(size) == text


def test_settings_and_version_are_shown_without_a_cluster_manager() -> None:
    shell = Shell(FakeClusterManager())

    assert shell.type("--version").out == "tashi-client 0.1.0\n"
    assert shell.type("--show-settings").out == "[Client]\n"
    assert shell.type("--show-settings", "--output", "json").out == '{"json": true}\n'
    assert shell.manager.asked == []


@pytest.mark.parametrize("shell", ["bash", "zsh", "tcsh"])
def test_completion_knows_every_function(shell: str) -> None:
    text = Shell(FakeClusterManager()).type("--print-completion", shell).out

    assert all(command.name in text for command in CLIENT.commands)


def test_completion_asks_for_the_names_of_instances() -> None:
    text = Shell(FakeClusterManager()).type("--print-completion", "bash").out

    assert " getInstances --hide-all --show-name" in text


@pytest.mark.parametrize(("width", "shown"), [(80, "\ufffd[2J"), (None, "\x1b[2J")])
def test_a_terminal_gets_nothing_to_obey_as_csv_and_a_file_gets_what_there_is(
    width: int | None, shown: str
) -> None:
    out, err = io.StringIO(), io.StringIO()
    terminal = Terminal(out=out, err=err, out_width=width, csv=True)

    terminal.show(sheet("name cores"), [{"name": "\x1b[2J", "cores": 1}])

    assert out.getvalue() == f"name,cores\n{shown},1\n"

"""Files are looked for where the set-up guide says, in its order."""

from pathlib import Path

from tashi.settings.search import Program, files, folders


def test_the_four_folders_are_searched_in_the_guides_order() -> None:
    assert folders({"HOME": "/srv/alice"}) == (
        Path("etc"),
        Path("/usr/share/tashi"),
        Path("/etc/tashi"),
        Path("/srv/alice/.tashi"),
    )


def test_each_folder_holds_four_files_in_the_guides_order() -> None:
    names = [path.name for path in files(Program.NODE_MANAGER, {"TASHI_CONFIG_DIRS": "/a"})]

    assert names == ["TashiDefaults.cfg", "Tashi.cfg", "NodeManagerDefaults.cfg", "NodeManager.cfg"]


def test_a_variable_replaces_the_folders_and_empty_parts_of_it_are_nothing() -> None:
    environment = {"TASHI_CONFIG_DIRS": "/a::~/b:~", "HOME": "/srv/alice"}

    assert folders(environment) == (Path("/a"), Path("/srv/alice/b"), Path("/srv/alice"))


def test_an_empty_variable_replaces_nothing() -> None:
    assert folders({"TASHI_CONFIG_DIRS": "", "HOME": "/h"}) == folders({"HOME": "/h"})


def test_without_a_home_variable_the_account_says_where_home_is() -> None:
    assert folders({})[3] == Path("~/.tashi").expanduser()


def test_a_home_that_does_not_exist_is_not_looked_for_where_the_program_happens_to_run() -> None:
    environment = {"TASHI_CONFIG_DIRS": "/a:~nobody-of-this-name/etc"}

    assert folders(environment) == (Path("/a"),)


def test_all_files_of_a_folder_come_before_those_of_the_next() -> None:
    paths = files(Program.CLIENT, {"TASHI_CONFIG_DIRS": "/a:/b"})

    assert [path.parent for path in paths] == [Path("/a")] * 4 + [Path("/b")] * 4

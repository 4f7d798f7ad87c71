"""What every directory promises: everybody, each id once, or a clear failure."""

from collections.abc import Callable
from pathlib import Path

import pytest

from fakes.commands import ScriptedCommands, fails, hangs, says
from fakes.users import FakeDirectory
from tashi.adapters.system.commands import SystemCommands
from tashi.adapters.users.getent import GetentDirectory, NoDirectory
from tashi.domain.errors import DirectoryFailed
from tashi.ports.users import Directory

PASSWD = "root:x:0:0::/root:/bin/sh\nalice:x:1000:1000::/:/bin/sh\n"

Make = Callable[[Path], Directory]


def the_machines(_: Path) -> Directory:
    return GetentDirectory(SystemCommands())


def a_files(folder: Path) -> Directory:
    file = folder / "passwd"
    file.write_text(PASSWD + "toor:x:0:0::/root:/bin/sh\n")
    return GetentDirectory(ScriptedCommands(), file)


def a_commands(_: Path) -> Directory:
    return GetentDirectory(ScriptedCommands(getent=says(PASSWD)))


def nobodys(_: Path) -> Directory:
    return NoDirectory()


def a_tests(_: Path) -> Directory:
    return FakeDirectory("alice", "bob")


@pytest.fixture(params=[the_machines, a_files, a_commands, nobodys, a_tests])
def directory(request: pytest.FixtureRequest, tmp_path: Path) -> Directory:
    made: Directory = request.param(tmp_path)
    return made


def test_everybody_has_an_id_and_a_name_of_their_own(directory: Directory) -> None:
    users = list(directory.users())

    assert len({user.id for user in users}) == len(users)
    assert all(user.id >= 0 and user.name for user in users)


def test_a_directory_can_be_asked_again(directory: Directory) -> None:
    assert list(directory.users()) == list(directory.users())


def a_file_that_is_not_there(folder: Path) -> Directory:
    return GetentDirectory(ScriptedCommands(), folder / "passwd")


def a_file_that_is_a_folder(folder: Path) -> Directory:
    return GetentDirectory(ScriptedCommands(), folder)


def a_command_that_hangs(_: Path) -> Directory:
    return GetentDirectory(ScriptedCommands(getent=hangs))


def a_command_that_fails(_: Path) -> Directory:
    return GetentDirectory(ScriptedCommands(getent=fails("the directory is down")))


def a_command_that_is_not_there(_: Path) -> Directory:
    return GetentDirectory(ScriptedCommands())


def a_test_that_is_away(_: Path) -> Directory:
    directory = FakeDirectory()
    directory.is_away = True
    return directory


@pytest.mark.parametrize(
    "make",
    [
        a_file_that_is_not_there,
        a_file_that_is_a_folder,
        a_command_that_hangs,
        a_command_that_fails,
        a_command_that_is_not_there,
        a_test_that_is_away,
    ],
)
def test_a_directory_that_cannot_be_read_says_so(make: Make, tmp_path: Path) -> None:
    directory = make(tmp_path)

    with pytest.raises(DirectoryFailed):
        list(directory.users())

"""The users of a machine, read from lines that anybody may have written."""

from pathlib import Path

import pytest

from fakes.commands import ScriptedCommands, hangs, says
from tashi.adapters.system.commands import SystemCommands
from tashi.adapters.users.getent import GetentDirectory
from tashi.domain.catalogue import User
from tashi.domain.errors import DirectoryFailed
from tashi.domain.identity import UserId
from tashi.domain.permissions import Role


def read(*lines: str) -> list[User]:
    commands = ScriptedCommands(getent=says("\n".join(lines)))
    return list(GetentDirectory(commands).read().users)


def test_this_machine_has_a_root() -> None:
    users = {user.id: user.name for user in GetentDirectory(SystemCommands()).read().users}

    assert users[UserId(0)] == "root"


def test_a_file_is_read_instead_of_running_anything(tmp_path: Path) -> None:
    commands = ScriptedCommands()
    (tmp_path / "passwd").write_text("alice:x:1000:1000:Alice:/:/bin/sh\n")

    users = list(GetentDirectory(commands, tmp_path / "passwd").read().users)

    assert users == [User(UserId(1000), "alice")]
    assert commands.ran == []


def test_the_first_name_of_an_id_counts() -> None:
    assert read("root:x:0:0", "toor:x:0:0") == [User(UserId(0), "root")]


@pytest.mark.parametrize(
    "line",
    [
        *("", "alice", "alice:x", "alice:x:", ":x:7:7", "alice:x:-1:7", "alice:x:+1:7"),
        *("alice:x:²:7", "alice:x:1e3:7", "alice:x:99999999999:7", "+::::::", "\0:\0:\0"),
    ],
)
def test_lines_of_another_form_are_passed_over(line: str) -> None:
    assert read(line, "bob:x:8:8") == [User(UserId(8), "bob")]


def test_a_file_that_is_not_all_text_is_read_as_far_as_it_is(tmp_path: Path) -> None:
    (tmp_path / "passwd").write_bytes(b"\xff\xfe:x:1:1\nbob:x:8:8\n")

    users = list(GetentDirectory(ScriptedCommands(), tmp_path / "passwd").read().users)

    assert users[-1] == User(UserId(8), "bob")


def test_a_directory_service_that_hangs_is_given_up_on_with_words() -> None:
    commands = ScriptedCommands(getent=hangs)

    with pytest.raises(DirectoryFailed, match=r"getent had not ended after 10 s"):
        GetentDirectory(commands).read()

    assert commands.ran == [("getent", "passwd")]


def test_members_of_groups_have_their_roles_whether_listed_or_by_their_own_group() -> None:
    passwd = "ada:x:8:80::\nbob:x:9:70::\ncyd:x:10:60::\ndan:x:11:50::\n"
    known = {"passwd": passwd, "runs": "runs:x:60:ada,eve\n", "rules": "rules:x:70:ada\n"}
    commands = ScriptedCommands(getent=lambda arguments, _: known[arguments[-1]])
    groups = [(Role.OPERATOR, "runs"), (Role.ADMIN, "rules")]

    roles = GetentDirectory(commands, groups=groups).read().roles

    assert roles == {UserId(8): Role.ADMIN, UserId(9): Role.ADMIN, UserId(10): Role.OPERATOR}


@pytest.mark.parametrize("line", ["", "runs", "runs:x:one:ada", "runs:x:60"])
def test_a_group_that_is_not_understood_makes_nobody_anything(line: str) -> None:
    commands = ScriptedCommands(getent=says(line))

    with pytest.raises(DirectoryFailed, match="the group 'runs'"):
        GetentDirectory(commands, groups=[(Role.OPERATOR, "runs")]).read()

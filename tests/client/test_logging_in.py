"""A client whose cluster manager asks who is there."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from fakes.clients import FakePocket, Shell, admin_front
from fakes.clusters import FakeClusterManager
from fakes.entrance import FakeEntrance
from tashi.client.person import Login, Ticket
from tashi.programs.pocket import TicketFile


@pytest.fixture
def manager() -> FakeClusterManager:
    return FakeClusterManager(entrance=FakeEntrance({"ada": "open sesame", "root": "toor"}))


def test_who_must_log_in_is_asked_once_and_the_ticket_is_kept(manager: FakeClusterManager) -> None:
    shell = Shell(manager, hidden=["open sesame"])

    first, second = shell.type("getHosts"), shell.type("getHosts")

    assert (first.code, first.err, second.code) == (0, "", 0)
    assert "rack1" in first.out
    assert shell.asked == ["Password of ada: "]
    assert shell.pocket.held == Ticket("ticket 0", 1000)


def test_a_password_in_the_settings_asks_nobody(manager: FakeClusterManager) -> None:
    shell = Shell(manager, login=Login("ada", "open sesame"))

    assert shell.type("getHosts").code == 0


def test_a_ticket_that_is_over_is_replaced(manager: FakeClusterManager) -> None:
    shell = Shell(manager, hidden=["open sesame"], pocket=FakePocket(Ticket("old", 1000)))

    assert shell.type("createVm", "--name", "w2", "--disks", "a").code == 0
    assert shell.pocket.held == Ticket("ticket 0", 1000)
    assert [name for name, _ in manager.done()] == ["logIn", "createVm"]


def test_a_wrong_password_is_refused_and_nothing_is_kept(manager: FakeClusterManager) -> None:
    shell = Shell(manager, hidden=["guess"], pocket=FakePocket(Ticket("old", 1000)))

    ended = shell.type("getHosts")

    assert (ended.code, ended.out) == (1, "")
    assert ended.err == "tashi-client: The name or the password is not right.\n"
    assert shell.pocket.held is None


def test_where_nobody_can_be_asked_the_sentence_says_what_is_needed(
    manager: FakeClusterManager,
) -> None:
    ended = Shell(manager).type("getHosts")

    assert ended.code == 1
    assert "getHosts is for those who show who they are: log in" in ended.err


def test_ones_own_instances_are_those_of_whom_one_logged_in_as(manager: FakeClusterManager) -> None:
    shell = Shell(manager, uid=4242, hidden=["open sesame"])

    assert "web" in shell.type("getMyInstances").out


def test_logging_in_and_out_by_hand(manager: FakeClusterManager) -> None:
    shell = Shell(manager, hidden=["toor"])

    came = shell.type("logIn", "--user", "root")
    kept = shell.pocket.held
    left, again = shell.type("logOut"), shell.type("logOut", "--output", "json")

    assert (came.out, shell.asked) == ("You are logged in as user 0.\n", ["Password of root: "])
    assert kept == Ticket("ticket 0", 0)
    assert (left.out, again.out) == ("You are logged out.\n", '{\n  "ended": false\n}\n')
    assert (shell.pocket.held, manager.entrance.tickets) == (None, {})


def test_a_password_of_the_settings_is_for_the_name_in_the_settings(
    manager: FakeClusterManager,
) -> None:
    shell = Shell(manager, login=Login("ada", "open sesame"))

    ended = shell.type("logIn", "--user", "root")

    assert ended.code == 1
    assert "Nobody is here to be asked for the password" in ended.err


def overheard(manager: FakeClusterManager, **more: Any) -> Shell:
    return Shell(manager, link=lambda: replace(manager.link(), private=False), **more)


def admins(manager: FakeClusterManager, *hidden: str) -> Shell:
    manager.entrance.passwords = None
    return Shell(manager, front=admin_front(), hidden=list(hidden))


def test_a_password_is_asked_for_twice_and_the_current_one_first(
    manager: FakeClusterManager,
) -> None:
    shell = admins(manager, "old", "new and long", "new and long")

    ended = shell.type("setPassword")

    assert ended.out == "The password of user 1000 (ada) is set.\n"
    assert manager.done() == [
        ("setPassword", {"password": "new and long", "user_id": None, "current": "old"})
    ]
    assert shell.asked == [
        "Current password (just Enter if there is none): ",
        "New password: ",
        "The new password again: ",
    ]


def test_an_administrator_names_somebody(manager: FakeClusterManager, tmp_path: Path) -> None:
    (tmp_path / "new").write_text("new and long\nmore\n")
    shell = admins(manager)

    ended = shell.type("setPassword", "--user", "ada", "--file", str(tmp_path / "new"))

    assert ended.code == 0
    assert manager.done() == [
        ("setPassword", {"password": "new and long", "user_id": 1000, "current": ""})
    ]


def test_two_that_are_not_the_same_change_nothing(manager: FakeClusterManager) -> None:
    ended = admins(manager, "new and long", "new and lnog").type("setPassword", "--user", "ada")

    assert ended.code == 1
    assert "The two are not the same; nothing was changed." in ended.err
    assert manager.done() == []


def test_without_anybody_to_ask_a_file_is_needed(
    manager: FakeClusterManager, tmp_path: Path
) -> None:
    manager.entrance.passwords = None
    shell = Shell(manager, front=admin_front())

    without = shell.type("setPassword", "--user", "ada")
    missing = shell.type("setPassword", "--user", "ada", "--file", str(tmp_path / "none"))

    assert "give it with --file" in without.err
    assert "cannot be read: " in missing.err
    assert manager.done() == []


# ---- where somebody on the way could read it ----------------------------------------------------


@pytest.mark.parametrize("words", [("logIn",), ("getHosts",)])
@pytest.mark.parametrize("login", [Login("ada"), Login("ada", "open sesame")])
def test_no_password_is_asked_for_or_sent_where_others_can_read_it(
    manager: FakeClusterManager, words: tuple[str, ...], login: Login
) -> None:
    shell = overheard(manager, login=login, hidden=["open sesame"])

    ended = shell.type(*words)

    assert (ended.code, ended.out, shell.asked) == (1, "", [])
    assert "is not encrypted, so no password is sent over it: set authAndEncrypt" in ended.err
    assert "logIn" not in [name for name, _ in manager.asked]


def test_no_new_password_is_asked_for_or_sent_where_others_can_read_it(
    manager: FakeClusterManager, tmp_path: Path
) -> None:
    manager.entrance.passwords = None
    (tmp_path / "new").write_text("new and long\n")
    shell = overheard(manager, front=admin_front(), hidden=["old", "new", "new"])

    asked = shell.type("setPassword")
    given = shell.type("setPassword", "--user", "1000", "--file", str(tmp_path / "new"))

    assert (asked.code, given.code, shell.asked) == (1, 1, [])
    assert "no password is sent over it" in given.err
    assert manager.asked == []


# ---- where the ticket is kept -------------------------------------------------------------------


def test_a_ticket_is_kept_for_its_owners_eyes_only(tmp_path: Path) -> None:
    path = tmp_path / "tickets/cm:9882"
    pocket = TicketFile(path)
    before = pocket.find()

    pocket.keep(Ticket("one", 7))
    pocket.keep(Ticket("two", 7))

    assert before is None
    assert TicketFile(path).find() == Ticket("two", 7)
    assert path.stat().st_mode & 0o777 == 0o600
    assert path.parent.stat().st_mode & 0o777 == 0o700
    pocket.keep(None)
    assert not path.exists()


def test_a_ticket_that_others_could_see_or_that_is_none_is_not_used(tmp_path: Path) -> None:
    path = tmp_path / "cm:9882"
    pocket = TicketFile(path)
    pocket.keep(Ticket("one", 7))
    path.chmod(0o644)
    seen = pocket.find()
    path.write_text("{")
    path.chmod(0o600)
    cut = pocket.find()
    path.write_bytes(b'{"ticket":"\xff","user_id":7}')

    assert (seen, cut) == (None, None)
    assert pocket.find() is None


def test_who_has_no_name_here_is_told_how_to_give_one(manager: FakeClusterManager) -> None:
    shell = Shell(manager, hidden=["open sesame"], login=Login(""))

    nameless = shell.type("logIn")
    named = shell.type("logIn", "--user", "ada")

    assert (nameless.code, named.code) == (1, 0)
    assert "give one with logIn --user, or as username in [AccessClusterManager]" in nameless.err


def test_where_no_ticket_can_be_kept_one_does_without(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    pocket = TicketFile(tmp_path / "file/tickets/cm:9882")

    pocket.keep(Ticket("one", 7))

    assert pocket.find() is None
    assert TicketFile(None).find() is None

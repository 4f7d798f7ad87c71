"""tashi-admin usage: what is asked of the journal, and how the answer is shown."""

import csv
import io
import time
from collections.abc import Iterator
from dataclasses import dataclass, field

import msgspec
import pytest

from fakes.clients import Ended, Shell
from fakes.clusters import FakeClusterManager
from tashi.client import usage
from tashi.client.parser import Front
from tashi.domain.errors import Misconfigured, NoSuchUser, PeerSilent
from tashi.domain.identity import UserId
from tashi.domain.usage import Account, Usage

NOW = 1_764_428_285.0
USED = {
    UserId(1000): Usage(3, 7200.0, 14_400.5, 7200.0 * 512),
    UserId(77): Usage(1, 90.0, 90.0, 90.0 * 128),
}
GAP = ((1_763_000_000.0, 1_763_000_060.0),)


@dataclass
class Bookkeeper:
    """Answers with what it holds, and remembers what it was asked."""

    account: Account = field(default_factory=lambda: Account(USED))
    asked: list[tuple[float, float]] = field(default_factory=list)
    width: int | None = None

    def type(self, *words: str, manager: FakeClusterManager | None = None) -> Ended:
        accounts = usage.Accounts(self._account, lambda: NOW)
        front = Front("tashi-admin", "What administrators do.", usage.commands(accounts))
        return Shell(manager or FakeClusterManager(), front, width=self.width).type("usage", *words)

    def _account(self, begin: float, end: float) -> Account:
        self.asked.append((begin, end))
        return self.account


@pytest.fixture
def bookkeeper() -> Bookkeeper:
    return Bookkeeper()


@pytest.fixture
def in_pittsburgh(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("TZ", "EST5EDT,M3.2.0,M11.1.0")
    time.tzset()
    yield
    monkeypatch.undo()
    time.tzset()


def test_people_see_hours_by_user(bookkeeper: Bookkeeper) -> None:
    ended = bookkeeper.type("--from", "2025-11-01")

    assert ended.out == (
        "user  userId  instances  instanceHours  coreHours  memoryHours\n"
        "77        77          1           0.03       0.03         0.00\n"
        "ada     1000          3           2.00       4.00         1.00\n"
    )
    assert (ended.code, ended.err) == (0, "")


def test_whoever_looks_sees_that_the_journal_is_read(bookkeeper: Bookkeeper) -> None:
    bookkeeper.width = 80

    assert "reading the journal" in bookkeeper.type("--from", "2025-11-01").err


def test_scripts_get_every_figure_to_the_second(bookkeeper: Bookkeeper) -> None:
    rows = msgspec.json.decode(bookkeeper.type("--from", "2025-11-01", "--output", "json").out)

    assert rows[0] == {
        "user": "ada",
        "userId": 1000,
        "instances": 3,
        "instanceHours": 2.0,
        "coreHours": 4.000139,
        "memoryHours": 1.0,
        "instanceSeconds": 7200.0,
        "coreSeconds": 14_400.5,
        "memorySeconds": 3_686_400.0,
    }


def test_spreadsheets_get_the_columns_asked_for(bookkeeper: Bookkeeper) -> None:
    manager = FakeClusterManager()
    manager.users[1] = msgspec.structs.replace(manager.users[1], name='a,d"a')

    ended = bookkeeper.type(
        *("--from", "2025-11-01", "--output=csv", "--show-coreSeconds", "--hide-userId"),
        manager=manager,
    )

    header, ada, other = csv.reader(io.StringIO(ended.out))
    assert header == [
        *("user", "instances", "instanceHours", "coreHours", "memoryHours", "coreSeconds")
    ]
    assert ada == ['a,d"a', "3", "2.0", "4.000139", "1.0", "14400.5"]
    assert other[0] == "77"


@pytest.mark.parametrize(
    ("typed", "begin"),
    [
        ("2025-11-01", 1_761_969_600.0),
        ("2025-11-01T12:30", 1_762_014_600.0),
        ("2025-11-01 12:30:15", 1_762_014_615.0),
        ("2025-11-01T12:30Z", 1_762_000_200.0),
        ("2025-11-01T12:30:00.5+01:00", 1_761_996_600.5),
        ("2025-11-03", 1_762_146_000.0),
    ],
)
@pytest.mark.usefixtures("in_pittsburgh")
def test_times_are_local_ones_unless_they_say_otherwise(
    bookkeeper: Bookkeeper, typed: str, begin: float
) -> None:
    bookkeeper.type("--from", typed)

    assert bookkeeper.asked == [(begin, NOW)]


@pytest.mark.parametrize("typed", ["yesterday", "", "2025-13-01", "0001-01-01", "1762000200"])
def test_what_is_no_time_is_refused_with_what_would_be(bookkeeper: Bookkeeper, typed: str) -> None:
    ended = bookkeeper.type("--from", typed)

    assert ended.code == 2
    assert "such as 2026-11-01" in ended.err
    assert bookkeeper.asked == []


@pytest.mark.parametrize(
    ("words", "than"),
    [
        (("--from", "2025-11-02", "--to", "2025-11-01"), "--to"),
        (("--from", "2025-11-02", "--to", "2025-11-02"), "--to"),
        (("--from", "2999-01-01"), "now"),
        (("--from", "2999-01-01", "--to", "2999-02-01"), "now"),
    ],
)
def test_time_does_not_run_backwards(
    bookkeeper: Bookkeeper, words: tuple[str, ...], than: str
) -> None:
    ended = bookkeeper.type(*words)

    assert (ended.code, ended.err) == (2, f"tashi-admin: --from must be earlier than {than}.\n")


def test_nothing_is_charged_for_times_to_come(bookkeeper: Bookkeeper) -> None:
    bookkeeper.type("--from", "2025-11-01", "--to", "2999-01-01")

    assert bookkeeper.asked[0][1] == NOW


def test_one_user_is_shown_by_name_or_id(bookkeeper: Bookkeeper) -> None:
    by_name = bookkeeper.type("--from", "2025-11-01", "--user", "ada", "--output", "json")
    by_id = bookkeeper.type("--from", "2025-11-01", "--user", "1000", "--output", "json")

    assert [row["user"] for row in msgspec.json.decode(by_name.out)] == ["ada"]
    assert by_id.out == by_name.out


def test_a_number_that_can_be_nobodys_is_no_user(bookkeeper: Bookkeeper) -> None:
    ended = bookkeeper.type("--from", "2025-11-01", "--user", "9" * 5000)

    assert ended.code == 1
    assert "There is no user '999" in ended.err


def test_a_user_who_used_nothing_is_shown_with_nothing(bookkeeper: Bookkeeper) -> None:
    ended = bookkeeper.type("--from", "2025-11-01", "--user", "root", "--output", "json")

    [row] = msgspec.json.decode(ended.out)
    assert (row["user"], row["instances"], row["coreSeconds"]) == ("root", 0, 0.0)


def test_an_unknown_name_is_refused(bookkeeper: Bookkeeper) -> None:
    manager = FakeClusterManager(refusals={"getUsers": NoSuchUser("There is no user eve.")})

    assert bookkeeper.type("--from", "2025-11-01", "--user", "eve", manager=manager).code == 1


def test_without_a_cluster_manager_users_are_shown_by_their_ids(bookkeeper: Bookkeeper) -> None:
    manager = FakeClusterManager(refusals={"getUsers": PeerSilent("Nobody answers.")})

    ended = bookkeeper.type("--from", "2025-11-01", "--user", "1000", manager=manager)

    assert ended.out.splitlines()[1].startswith("1000    1000")
    assert ended.err == "Names of users are not known: Nobody answers.\n"


def test_a_gap_is_told_to_people(bookkeeper: Bookkeeper) -> None:
    bookkeeper.account = Account(USED, GAP)

    ended = bookkeeper.type("--from", "2025-11-01")

    assert "is not in the journal: only what is proven is charged there." in ended.err


def test_a_gap_is_told_to_scripts_beside_the_figures(bookkeeper: Bookkeeper) -> None:
    bookkeeper.account = Account(USED, GAP)

    ended = bookkeeper.type("--from", "2025-11-01", "--output", "json")

    assert len(msgspec.json.decode(ended.out)) == len(USED)
    assert "is not in the journal" in msgspec.json.decode(ended.err)["warning"]


def test_what_is_wrong_with_the_journal_ends_it() -> None:
    def fail(_begin: float, _end: float) -> Account:
        raise Misconfigured("There is no journal yet.")

    front = Front("tashi-admin", "", usage.commands(usage.Accounts(fail, lambda: NOW)))
    ended = Shell(FakeClusterManager(), front).type("usage", "--from", "2025-11-01")

    assert (ended.code, ended.err) == (2, "tashi-admin: There is no journal yet.\n")


def test_its_help_says_how_it_is_asked(bookkeeper: Bookkeeper) -> None:
    ended = bookkeeper.type("--help")

    assert "--output {table,json,csv}" in ended.out
    assert "usage --from 2026-11-01 --to 2026-12-01" in ended.out

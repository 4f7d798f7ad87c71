"""What every outlet promises: what it took stays taken, and it knows how far it has got."""

import json
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Protocol

import pytest

from contracts.test_journal import FIRST
from fakes.clock import HandTurnedClock
from fakes.outlets import MemoryOutlet
from receivers import Receiver
from tashi.adapters.accounting import webhook
from tashi.adapters.accounting.bookmark import Bookmark
from tashi.adapters.accounting.lines import LineLog
from tashi.adapters.accounting.webhook import Webhook
from tashi.adapters.store.sql.accounting import AccountingTable
from tashi.adapters.store.sql.address import address_of
from tashi.domain.identity import EventNumber
from tashi.ports.outlets import BEGINNING, Outlet, Place


class Made(Protocol):
    """An outlet's other end, which outlives the outlets that are opened on it."""

    def open(self) -> Outlet:
        """The outlet, as a daemon that is started makes it."""
        ...

    def taken(self) -> list[int]:
        """The numbers of the events that have arrived."""
        ...

    def close(self) -> None:
        """Let go of everything."""
        ...


class Memory:
    def __init__(self, _: Path) -> None:
        self._outlet = MemoryOutlet()

    def open(self) -> Outlet:
        return self._outlet

    def taken(self) -> list[int]:
        return self._outlet.taken

    def close(self) -> None:
        """Nothing is held."""


class Log:
    def __init__(self, folder: Path) -> None:
        self._path = folder / "logs/accounting.log"
        self._bookmark = Bookmark(folder / "log.json")

    def open(self) -> Outlet:
        return LineLog(self._path, self._bookmark)

    def taken(self) -> list[int]:
        lines = self._path.read_text().splitlines()
        return [int(line.split("|")[1].removeprefix("EVENT ")) for line in lines]

    def close(self) -> None:
        """Nothing is held."""


class Table:
    def __init__(self, folder: Path) -> None:
        self._path = folder / "accounting.db"

    def open(self) -> Outlet:
        return AccountingTable(address_of(f"sqlite://{self._path}"))

    def taken(self) -> list[int]:
        with closing(sqlite3.connect(self._path)) as database:
            rows = database.execute("SELECT number FROM accounting ORDER BY volume, number")
            return [number for (number,) in rows]

    def close(self) -> None:
        """Nothing is held."""


class Hook:
    def __init__(self, folder: Path) -> None:
        self._receiver = Receiver()
        self._bookmark = Bookmark(folder / "hook.json")

    def open(self) -> Outlet:
        url = f"http://127.0.0.1:{self._receiver.port}/hook"
        return Webhook(webhook.Receiver(url, "secret"), self._bookmark, HandTurnedClock())

    def taken(self) -> list[int]:
        return [json.loads(post.body)["number"] for post in self._receiver.posts]

    def close(self) -> None:
        self._receiver.stop()


KINDS: dict[str, Callable[[Path], Made]] = {
    "memory": Memory,
    "log": Log,
    "table": Table,
    "webhook": Hook,
}


@pytest.fixture(params=KINDS)
def made(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Made]:
    one = KINDS[request.param](tmp_path)
    yield one
    one.close()


def event(number: int) -> bytes:
    host = b'{"id":1,"name":"rack1"}'
    return b'{"number":%d,"at":1.5,"line":"EVENT %d","by":"","kind":"host","key":1,"host":%b}\n' % (
        number,
        number,
        host,
    )


def begun(outlet: Outlet) -> Place:
    return outlet.place(lambda: BEGINNING)


def test_it_begins_at_the_beginning_of_a_new_journal(made: Made) -> None:
    outlet = made.open()

    assert begun(outlet) == BEGINNING
    outlet.close()


def test_events_arrive_in_their_order(made: Made) -> None:
    outlet = made.open()
    begun(outlet)

    outlet.hear(FIRST % 1)
    outlet.take(1, [event(1), event(2)])
    outlet.take(1, [event(3)])
    outlet.close()

    assert made.taken() == [1, 2, 3]


def test_it_knows_how_far_it_has_got(made: Made) -> None:
    first = made.open()
    begun(first)
    first.take(1, [event(1), event(2)])
    first.take(3, [event(9)])
    same = begun(first)
    first.close()

    second = made.open()
    place = begun(second)
    second.hear(event(9))
    second.take(3, [event(10)])
    second.close()

    assert same == place == Place(3, EventNumber(9))
    assert made.taken() == [1, 2, 9, 10]


def test_it_can_be_closed_twice_and_has_a_name(made: Made) -> None:
    outlet = made.open()
    begun(outlet)

    outlet.close()
    outlet.close()

    assert outlet.name

"""What an operator reads in the cluster manager's log."""

from dataclasses import replace

import pytest

from examples import a_host, held, running, waiting
from tashi.clustermanager.history import in_words
from tashi.domain.books import books_of
from tashi.domain.catalogue import Network
from tashi.domain.identity import EventNumber, NetworkId
from tashi.domain.journal import Change, Drop, Entry, Kind, Put

HOST = a_host(1)
RUNNING = running(waiting(7), host=1)
HELD = replace(held(8), reason="No room.")


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (Put(RUNNING), "instance 7 (i7) is Running on n1"),
        (Put(HELD), "instance 8 (i8) is Held: No room."),
        (Put(HOST), "host n1"),
        (Put(Network(NetworkId(9), "lab")), "network 9 (lab)"),
        (Drop(Kind.HOST, 1), "host 1 is removed"),
    ],
)
def test_an_event_is_one_line_with_names(change: Change, words: str) -> None:
    entry = Entry(EventNumber(1), 0.0, "CM VM UPDATE", "n1", change)

    line = in_words(entry, books_of([HOST, RUNNING, HELD]))

    assert line == f"CM VM UPDATE by n1: {words}"

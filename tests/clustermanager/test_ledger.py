"""The ledger: what is acknowledged is durable, and what is not durable was never visible."""

from collections.abc import Iterable
from concurrent.futures import Future
from dataclasses import dataclass, field
from typing import Any

import pytest

from fakes.clock import HandTurnedClock
from fakes.faulty_store import Fault, FaultyStore
from tashi.adapters.store.memory import MemoryStore
from tashi.clustermanager.answers import KEPT_SECONDS
from tashi.clustermanager.draft import Draft
from tashi.clustermanager.ledger import Ledger
from tashi.domain.catalogue import Network
from tashi.domain.errors import BadRequest, Broken, OutcomeUnknown, Refused, StoreFailed
from tashi.domain.host import Host
from tashi.domain.identity import EventNumber, HostId, InstanceId, NetworkId
from tashi.domain.instance import Spent
from tashi.domain.instructions import DeleteSpent, Instruction
from tashi.domain.journal import Entry
from tashi.wire.forms import HostForm, NetworkForm, to_form


@dataclass
class Bench:
    """A ledger, its store, and what it gave out."""

    clock: HandTurnedClock = field(default_factory=HandTurnedClock)
    store: FaultyStore = field(default_factory=lambda: FaultyStore(MemoryStore()))
    instructions: list[Instruction] = field(default_factory=list)
    entries: list[Entry] = field(default_factory=list)

    def open(self, most_events: int = 100) -> Ledger:
        return Ledger(self.store, self.clock, most_events, self._give, self._note)

    def _give(self, instructions: Iterable[Instruction]) -> None:
        self.instructions.extend(instructions)

    def _note(self, entries: Iterable[Entry]) -> None:
        self.entries.extend(entries)


def deletion(name: str) -> DeleteSpent:
    return DeleteSpent(InstanceId(1), Spent(name))


def add_network(number: int) -> Any:
    def act(draft: Draft) -> NetworkForm:
        network = Network(NetworkId(number), f"net{number}")
        draft.put(network, "CM NETWORK ADD", "somebody")
        draft.instruct(deletion(f"{number}"))
        return to_form(network, NetworkForm)

    return act


def refuse(draft: Draft) -> None:
    draft.put(Network(NetworkId(99), "half"), "half")
    draft.instruct(deletion("half"))
    raise Refused("No.")


def stumble(draft: Draft) -> None:
    draft.put(Network(NetworkId(98), "half"), "half")
    raise ZeroDivisionError


def networks(ledger: Ledger) -> set[int]:
    return {int(key) for key in ledger.books.networks}


def test_a_change_is_visible_and_acknowledged_once_it_is_committed() -> None:
    bench = Bench()
    ledger = bench.open()

    answer = ledger.ask(add_network(1))
    before = networks(ledger)
    ledger.turn(0)

    assert before == set()
    assert answer.result(0).name == "net1"
    assert networks(ledger) == {1}
    assert bench.store.load().number == 1


def test_changes_that_are_queued_together_are_committed_together() -> None:
    bench = Bench()
    ledger = bench.open()

    answers = [ledger.ask(add_network(number)) for number in (1, 2, 3)]
    ledger.turn(0)

    assert [answer.result(0).id for answer in answers] == [1, 2, 3]
    assert bench.store.load().number == 1
    assert [entry.number for entry in bench.entries] == [1, 2, 3]


def test_a_refused_change_leaves_no_trace_in_its_batch() -> None:
    bench = Bench()
    ledger = bench.open()

    refused, accepted = ledger.ask(refuse), ledger.ask(add_network(1))
    ledger.turn(0)

    assert isinstance(refused.exception(0), Refused)
    assert accepted.result(0).id == 1
    assert networks(ledger) == {1}
    assert bench.instructions == [deletion("1")]
    assert [entry.number for entry in bench.entries] == [1]


def test_a_change_that_breaks_is_answered_without_its_details_and_harms_nobody() -> None:
    bench = Bench()
    ledger = bench.open()

    broken, accepted = ledger.ask(stumble), ledger.ask(add_network(1))
    ledger.turn(0)

    assert isinstance(broken.exception(0), Broken)
    assert "Zero" not in str(broken.exception(0))
    assert accepted.result(0).id == 1
    assert networks(ledger) == {1}


def test_a_failed_commit_changes_nothing_and_tells_the_whole_batch() -> None:
    bench = Bench()
    ledger = bench.open()
    bench.store.will(Fault.FAILS)

    answers = [ledger.ask(add_network(1)), ledger.ask(refuse)]
    ledger.turn(0)
    retried = ledger.ask(add_network(2))
    ledger.turn(0)

    assert all(isinstance(answer.exception(0), StoreFailed) for answer in answers)
    assert retried.result(0).id == 2
    assert networks(ledger) == {2}
    assert bench.instructions == [deletion("2")]


@pytest.mark.parametrize(
    ("fault", "left"), [(Fault.UNKNOWN_KEPT, {1}), (Fault.UNKNOWN_LOST, set())]
)
def test_an_unknown_commit_is_settled_before_anything_else(fault: Fault, left: set[int]) -> None:
    bench = Bench()
    ledger = bench.open()
    bench.store.will(fault)

    unknown = ledger.ask(add_network(1))
    ledger.turn(0)
    bench.store.cannot_settle(1)
    while_unsettled = ledger.ask(add_network(2))
    ledger.turn(0)
    after = ledger.ask(add_network(3))
    ledger.turn(0)

    assert isinstance(unknown.exception(0), OutcomeUnknown)
    assert isinstance(while_unsettled.exception(0), StoreFailed)
    assert after.result(0).id == 3
    assert networks(ledger) == left | {3}
    assert deletion("2") not in bench.instructions
    assert (deletion("1") in bench.instructions) == (left == {1})


def test_a_repeated_request_gets_its_first_answer_even_from_the_next_manager() -> None:
    bench = Bench()
    first = bench.open()
    answer = first.ask(add_network(1), "request-1", NetworkForm)
    first.turn(0)

    second = bench.open()
    repeated = second.ask(add_network(7), "request-1", NetworkForm)
    second.turn(0)

    assert repeated.result(0) == answer.result(0)
    assert networks(second) == {1}


def test_a_repeat_gets_its_answer_however_much_happened_meanwhile() -> None:
    bench = Bench()
    ledger = bench.open(most_events=2)
    answer = ledger.ask(add_network(1), "request-1", NetworkForm)
    ledger.turn(0)
    for number in range(2, 10):
        ledger.ask(add_network(number))
        ledger.turn(0)
    bench.clock.turn(KEPT_SECONDS / 2)

    repeated = [ledger.ask(add_network(77), "request-1", NetworkForm)]
    ledger.turn(0)
    ledger = bench.open(most_events=2)
    repeated.append(ledger.ask(add_network(77), "request-1", NetworkForm))
    ledger.turn(0)

    assert [one.result(0) for one in repeated] == [answer.result(0)] * 2


def test_an_old_answer_is_forgotten_in_memory_and_in_the_store() -> None:
    bench = Bench()
    ledger = bench.open()
    ledger.ask(add_network(1), "old", NetworkForm)
    ledger.turn(0)
    bench.clock.turn(KEPT_SECONDS)
    ledger.ask(add_network(2), "new", NetworkForm)
    ledger.turn(0)

    again = ledger.ask(add_network(3), "old", NetworkForm)
    ledger.turn(0)

    assert again.result(0).id == 3
    assert [one.request for one in bench.store.load().answers] == ["new", "old"]


def test_a_repeated_request_in_the_same_batch_happens_once() -> None:
    bench = Bench()
    ledger = bench.open()

    answers = [ledger.ask(add_network(number), "same", NetworkForm) for number in (1, 2)]
    ledger.turn(0)

    assert [answer.result(0).id for answer in answers] == [1, 1]
    assert networks(ledger) == {1}


def test_a_request_id_that_was_given_to_another_call_is_refused_and_harms_nobody() -> None:
    bench = Bench()
    ledger = bench.open()
    ledger.ask(add_network(1), "r", NetworkForm)
    ledger.turn(0)

    confused = ledger.ask(add_network(2), "r", HostForm)
    other = ledger.ask(add_network(3))
    ledger.turn(0)

    assert isinstance(confused.exception(0), BadRequest)
    assert other.result(0).id == 3
    assert networks(ledger) == {1, 3}


def test_an_answer_that_cannot_be_kept_is_a_mistake_that_leaves_no_trace() -> None:
    bench = Bench()
    ledger = bench.open()

    def give_nonsense(draft: Draft) -> object:
        add_network(1)(draft)
        return object()

    broken, other = ledger.ask(give_nonsense, "r", NetworkForm), ledger.ask(add_network(2))
    ledger.turn(0)

    assert isinstance(broken.exception(0), Broken)
    assert other.result(0).id == 2
    assert networks(ledger) == {2}


def test_a_work_whose_caller_has_given_up_is_done_all_the_same() -> None:
    bench = Bench()
    ledger = bench.open()

    gone, other = ledger.ask(add_network(1)), ledger.ask(add_network(2))
    gone.cancel()
    ledger.turn(0)

    assert other.result(0).id == 2
    assert networks(ledger) == {1, 2}


def test_a_refused_request_may_be_repeated_with_another_outcome() -> None:
    bench = Bench()
    ledger = bench.open()

    ledger.ask(refuse, "r", NetworkForm)
    ledger.turn(0)
    second = ledger.ask(add_network(4), "r", NetworkForm)
    ledger.turn(0)

    assert second.result(0).id == 4


def test_every_reign_has_a_higher_epoch_that_survives() -> None:
    bench = Bench()

    epochs = []
    for _ in range(3):
        ledger = bench.open()
        ledger.begin_reign()
        epochs.append(ledger.epoch)

    assert epochs == [1, 2, 3]


def test_numbers_are_never_given_twice_even_when_their_change_was_refused_at_the_end() -> None:
    bench = Bench()
    ledger = bench.open()
    given: list[InstanceId] = []

    def take(draft: Draft) -> None:
        given.append(draft.next_instance())
        draft.put(Host(id=HostId(1), name=f"h{len(given)}"))

    for _ in range(2):
        ledger.ask(take)
        ledger.turn(0)

    assert given == [1, 2]
    assert bench.open().counters.instance == 3


def watch(ledger: Ledger, since: int, until: float) -> Future[Any]:
    return ledger.history.watch(EventNumber(since), until)


def test_a_watcher_hears_of_the_next_commit_and_of_nothing_when_its_time_is_up() -> None:
    bench = Bench()
    ledger = bench.open()
    now = bench.clock.monotonic()

    waiting = watch(ledger, 1, now + 10)
    ledger.ask(add_network(1))
    ledger.turn(0)
    empty = watch(ledger, 2, now + 10)
    bench.clock.turn(11)
    ledger.history.expire(bench.clock.monotonic())

    assert [entry.number for entry in waiting.result(0).entries] == [1]
    assert waiting.result(0).next == 2
    assert empty.result(0).entries == ()
    assert empty.result(0).next == 2


def test_events_are_kept_over_a_restart_up_to_their_number_and_older_ones_are_too_old() -> None:
    bench = Bench()
    ledger = bench.open(most_events=3)
    for number in range(1, 6):
        ledger.ask(add_network(number))
        ledger.turn(0)

    again = bench.open(most_events=3)
    kept = watch(again, 3, 0.0).result(0)

    assert [entry.number for entry in kept.entries] == [3, 4, 5]
    assert type(watch(again, 2, 0.0).exception(0)).__name__ == "TooOld"


def test_books_in_danger_are_said_to_be_so_once(caplog: pytest.LogCaptureFixture) -> None:
    bench = Bench()
    ledger = bench.open()

    for trouble in ("It is gone.", "It is gone.", "", "It is gone."):
        bench.store.has_lost(trouble)
        ledger.tend()

    assert caplog.text.count("The books are in danger: It is gone.") == 2

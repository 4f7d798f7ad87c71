"""A batch of changes in the making: the books as they will stand if the commit succeeds.

Changes are made one after the other on the same draft, each seeing those before it. One that is
refused half-way leaves no trace: the draft goes back to the mark that was set before it. Nothing
here is visible to anybody until the ledger has committed it.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from logging import getLogger

from tashi.domain.books import Books, concerned_hosts
from tashi.domain.errors import TashiError
from tashi.domain.events import Event
from tashi.domain.identity import CommitNumber, EventNumber, HostId, InstanceId, Operation, Session
from tashi.domain.instance import Instance
from tashi.domain.instructions import Instruction, NodeOrder
from tashi.domain.journal import Answer, Change, Commit, Counters, Drop, Entry, Kind, Put, Record
from tashi.domain.states import Order
from tashi.domain.transitions import is_forgotten, step

_log = getLogger(__name__)


def addressed(books: Books, order: NodeOrder) -> NodeOrder:
    """An order to receive a guest, with the address that it comes from; any other as it is."""
    if order.order is not Order.PREPARE_TARGET or order.instance is None:
        return order
    source = order.instance.host_id
    return order if source is None else replace(order, peer=books.host(source).moves_from)


@dataclass(frozen=True, slots=True)
class Mark:
    """Where a draft stood, to go back to."""

    books: Books
    counters: Counters
    entries: int
    instructions: int
    afterwards: int


class Draft:
    """Books that change; `at` is the wall time that the changes carry.

    Its `counters` count everything but the events, which are numbered when they are a commit.
    """

    def __init__(self, books: Books, counters: Counters, at: float) -> None:
        self.books = books
        self.counters = counters
        self.at = at
        self.entries: list[Entry] = []
        self.answers: dict[str, Answer] = {}
        self.instructions: list[Instruction] = []
        self.afterwards: list[Callable[[], None]] = []
        self._insists = False

    # ---- changing -----------------------------------------------------------------------------

    def put(self, record: Record, line: str = "", by: str = "") -> None:
        """Let the record stand in the books as it is."""
        self._change(Put(record), line, by)

    def drop(self, kind: Kind, key: int, line: str = "", by: str = "") -> None:
        """Take a record out of the books."""
        self._change(Drop(kind, key), line, by)

    def befall(self, key: InstanceId, event: Event, by: str = "") -> Instance:
        """Let an event befall an instance; the record as it then stands.

        Raises IncorrectState for a command that does not fit, NoSuchInstance if there is none.
        """
        before = self.books.instances.get(key) or self.books.instance(key)
        result = step(before, event)
        if result.stale:
            _log.info("%s is %s: %s comes too late.", before, before.state.title, event)
            return before
        after = result.record
        if after.state is not before.state:
            after = replace(after, changed_at=self.at)
        if after != before:
            self.put(after, result.line, by)
        if is_forgotten(after):
            self.drop(Kind.INSTANCE, after.id)
        self.note_the_empty(concerned_hosts(before))
        self.instructions += (
            addressed(self.books, one) if isinstance(one, NodeOrder) else one
            for one in result.instructions
        )
        return after

    def note_the_empty(self, hosts: Iterable[HostId]) -> None:
        """Make those of the hosts Drained that were to be emptied and have nothing left."""
        for key in hosts:
            host = self.books.hosts.get(key)
            if host is not None and host.draining and key not in self.books.on_host:
                self.put(host.emptied(), "CM HOST DRAINED")

    def instruct(self, instruction: Instruction) -> None:
        """Give an instruction once the draft is committed."""
        self.instructions.append(instruction)

    def once_durable(self, act: Callable[[], None]) -> None:
        """Do something in the ledger's thread once the draft is committed, not before."""
        self.afterwards.append(act)

    def insist(self) -> None:
        """Have a commit made even if there is nothing in it."""
        self._insists = True

    def answer(self, request: str, text: str) -> None:
        """Keep what a request was answered, for its repeats."""
        self.answers[request] = Answer(request, text, self._next_event)

    # ---- numbers ------------------------------------------------------------------------------

    def next_instance(self) -> InstanceId:
        """An instance id that was never given before."""
        number = self.counters.instance
        self.counters = replace(self.counters, instance=InstanceId(number + 1))
        return number

    def next_host(self) -> HostId:
        """A host id that was never given before."""
        number = self.counters.host
        self.counters = replace(self.counters, host=HostId(number + 1))
        return number

    def reserve_host(self, key: HostId) -> None:
        """Never give this host id, which somebody else chose."""
        if key >= self.counters.host:
            self.counters = replace(self.counters, host=HostId(key + 1))

    def next_operation(self) -> Operation:
        """An operation number that was never given before."""
        number = self.counters.operation
        self.counters = replace(self.counters, operation=Operation(number + 1))
        return number

    def next_session(self) -> Session:
        """A session number that was never given before."""
        number = self.counters.session
        self.counters = replace(self.counters, session=Session(number + 1))
        return number

    # ---- the batch ----------------------------------------------------------------------------

    def mark(self) -> Mark:
        """Remember how the draft stands."""
        return Mark(
            self.books,
            self.counters,
            len(self.entries),
            len(self.instructions),
            len(self.afterwards),
        )

    def go_back(self, mark: Mark) -> None:
        """Forget everything since the mark."""
        self.books, self.counters = mark.books, mark.counters
        del self.entries[mark.entries :]
        del self.instructions[mark.instructions :]
        del self.afterwards[mark.afterwards :]

    def attempt(self, act: Callable[[], object]) -> str:
        """Do something, or leave no trace of it; empty words, or why it cannot be."""
        mark = self.mark()
        try:
            act()
        except TashiError as error:
            self.go_back(mark)
            return error.message
        return ""

    def changes_anything_since(self, counters: Counters) -> bool:
        """Whether there is something to commit."""
        return self._insists or bool(self.entries) or self.counters != counters

    def as_commit(
        self, number: CommitNumber, forget_before: EventNumber, forget_answers_before: EventNumber
    ) -> Commit:
        """All changes as one commit."""
        return Commit(
            number=number,
            entries=tuple(self.entries),
            answers=tuple(self.answers.values()),
            counters=replace(self.counters, event=self._next_event),
            forget_before=forget_before,
            forget_answers_before=forget_answers_before,
        )

    def _change(self, change: Change, line: str, by: str) -> None:
        self.books = self.books.apply(change)
        self.entries.append(Entry(self._next_event, self.at, line, by, change))

    @property
    def _next_event(self) -> EventNumber:
        return EventNumber(self.counters.event + len(self.entries))

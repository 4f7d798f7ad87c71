"""What every succession promises (`tashi.ports.succession`), held against each of them.

Two take part in it, at different addresses.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from functools import partial
from typing import Protocol

import pytest

from contracts.commits import a_commit, held, plain_commits
from databases import Server, empty
from fakes.succession import FakeLease, FakeSuccession
from tashi.adapters.store.sql import connecting
from tashi.adapters.store.sql.store import SqlStore
from tashi.adapters.store.steps import OnSqlStep, SqlStep, unheard
from tashi.domain.errors import ReignLost, StoreFailed, TashiError
from tashi.domain.identity import CommitNumber
from tashi.domain.succession import Sighting
from tashi.ports.succession import Succession

ONE, TWO = "10.0.0.1:9882", "10.0.0.2:9882"
FIRST, SECOND = plain_commits(2)
OF_EVERY_SERVER = connecting._OF_SESSIONS[:3]
"""The limits of sessions that MySQL has as well; MariaDB is asked for no others then."""


class Pair(Protocol):
    """Two that share a lease."""

    @property
    def one(self) -> Succession: ...
    @property
    def two(self) -> Succession: ...

    def commit(self) -> None:
        """Let the one that has claimed the lease, and loaded, commit once."""
        ...


class FakePair:
    def __init__(self) -> None:
        self._lease = FakeLease()
        self.one = FakeSuccession(self._lease, ONE)
        self.two = FakeSuccession(self._lease, TWO)

    def commit(self) -> None:
        self._lease.move()

    def close(self) -> None:
        """There is nothing to close."""


class SqlPair:
    def __init__(self, servers: Sequence[Server]) -> None:
        empty("led", servers)
        self.one = SqlStore(servers[0].address("led"), holder=ONE)
        self.two = SqlStore(servers[-1].address("led"), holder=TWO)
        self._loaded = False

    def commit(self) -> None:
        if not self._loaded:
            self.one.load()
            self._loaded = True
        self.one.commit(a_commit(self.two.sight().commit + 1))

    def close(self) -> None:
        self.one.close()
        self.two.close()


REAL = [pytest.mark.system, pytest.mark.timeout(300)]


@pytest.fixture(
    scope="session",
    params=["fake", *(pytest.param(name, marks=REAL) for name in ("mariadb", "galera_nodes"))],
)
def make_pair(request: pytest.FixtureRequest) -> Callable[[], FakePair | SqlPair]:
    if request.param == "fake":
        return FakePair
    found: Server | Sequence[Server] = request.getfixturevalue(request.param)
    return partial(SqlPair, [found] if isinstance(found, Server) else found)


@pytest.fixture
def pair(make_pair: Callable[[], FakePair | SqlPair]) -> Iterator[Pair]:
    made = make_pair()
    yield made
    made.close()


def test_at_first_nobody_has_the_lease(pair: Pair) -> None:
    assert pair.one.sight() == Sighting()


def test_who_has_claimed_it_is_seen_by_the_other(pair: Pair) -> None:
    pair.one.claim(pair.one.sight())

    seen = pair.two.sight()

    assert (seen.holder, seen.epoch) == (ONE, 1)


def test_looking_changes_nothing(pair: Pair) -> None:
    pair.one.claim(pair.one.sight())

    assert pair.two.sight() == pair.two.sight() == pair.one.sight()


def test_a_commit_is_seen(pair: Pair) -> None:
    pair.one.claim(pair.one.sight())
    before = pair.two.sight()

    pair.commit()

    after = pair.two.sight()
    assert after.commit == before.commit + 1
    assert after.holder == ONE


def test_a_lease_that_stood_still_is_claimed_by_the_other(pair: Pair) -> None:
    pair.one.claim(pair.one.sight())
    pair.commit()

    pair.two.claim(pair.two.sight())

    seen = pair.one.sight()
    assert seen.holder == TWO
    assert seen.epoch > 1


def test_of_two_that_claim_what_they_saw_one_is_too_late(pair: Pair) -> None:
    seen = pair.one.sight()
    pair.one.claim(seen)
    seen = pair.two.sight()
    pair.two.claim(seen)

    with pytest.raises(ReignLost):
        pair.one.claim(seen)

    assert pair.one.sight().holder == TWO


def test_a_lease_that_has_moved_since_it_was_seen_is_not_claimed(pair: Pair) -> None:
    pair.one.claim(pair.one.sight())
    pair.commit()
    seen = pair.two.sight()
    pair.commit()

    with pytest.raises(ReignLost):
        pair.two.claim(seen)

    assert pair.two.sight().holder == ONE


# ---- what only a store can promise --------------------------------------------------------------


class Stores:
    """Stores of one database, opened as tests need them."""

    def __init__(self, servers: Sequence[Server], stack: ExitStack) -> None:
        empty("led", servers)
        self._servers = servers
        self._stack = stack

    def open(self, holder: str = "", on_step: OnSqlStep = unheard) -> SqlStore:
        """A store that claims nothing yet."""
        server = self._servers[-1 if holder == TWO else 0]
        made = SqlStore(server.address("led"), holder=holder, on_step=on_step)
        self._stack.callback(made.close)
        return made

    def led(self, holder: str, on_step: OnSqlStep = unheard) -> SqlStore:
        """A store that has claimed the lease and loaded the books."""
        store = self.open(holder, on_step)
        store.claim(store.sight())
        store.load()
        return store


@pytest.fixture
def stores(servers: Sequence[Server]) -> Iterator[Stores]:
    with ExitStack() as stack:
        yield Stores(servers, stack)


def test_an_old_owner_writes_nothing_once_another_has_claimed_the_lease(
    stores: Stores,
) -> None:
    old = stores.led(ONE)
    old.commit(FIRST)
    new = stores.led(TWO)

    with pytest.raises(ReignLost, match=TWO):
        old.commit(SECOND)

    assert held(new.load()) == held(stores.open().look())
    assert stores.open().look().number == FIRST.number


def test_who_claimed_and_was_succeeded_before_loading_does_not_take_the_lease_back(
    stores: Stores,
) -> None:
    slow, quick = stores.open(ONE), stores.open(TWO)
    slow.claim(slow.sight())
    quick.claim(quick.sight())

    with pytest.raises(ReignLost, match=TWO):
        slow.load()

    assert quick.load().number == CommitNumber(0)


def test_who_ends_in_order_leaves_the_lease_to_nobody(stores: Stores) -> None:
    owner, other = stores.led(ONE), stores.open(TWO)
    owner.commit(FIRST)

    owner.close()

    assert other.sight().holder == ""
    assert stores.led(TWO).look().number == FIRST.number


def test_who_was_succeeded_leaves_the_lease_alone_at_its_end(
    stores: Stores,
) -> None:
    old = stores.led(ONE)
    old.commit(FIRST)
    new = stores.led(TWO)

    old.close()

    assert new.sight().holder == TWO


@pytest.mark.parametrize("limits", [connecting._OF_SESSIONS, OF_EVERY_SERVER])
def test_an_owner_that_is_frozen_inside_a_transaction_does_not_keep_others_out(
    stores: Stores, limits: tuple[str, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connecting, "_OF_SESSIONS", limits)
    other = stores.open(TWO)
    seen: list[Sighting] = []
    taken: list[bool] = []

    def freeze(step: SqlStep) -> None:
        if step is SqlStep.LEASE_WRITTEN and seen:
            taken.append(insisting(other, seen[0]))

    owner = stores.led(ONE, freeze)
    owner.commit(FIRST)
    seen.append(other.sight())

    # One server has undone the transaction meanwhile; under Galera it fails at certification.
    with pytest.raises((StoreFailed, ReignLost)):
        owner.commit(SECOND)
    seen.clear()
    with pytest.raises(ReignLost, match=TWO):
        owner.commit(SECOND)

    assert taken == [True]
    assert other.load().number == FIRST.number


def insisting(store: SqlStore, seen: Sighting) -> bool:
    """Claim it as a standby does, look by look, until a lock is let go of."""
    for _ in range(20):
        try:
            store.claim(seen)
        except ReignLost:
            return False
        except TashiError:
            continue
        return True
    return False

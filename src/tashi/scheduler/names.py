"""Which addresses and names are to be booked for waiting instances, and who may start. Pure.

The scheduler chooses addresses, since it alone knows the site's ranges; the cluster manager books
them. An instance may start once what is booked for its cards stands in the site's servers, or, if
that is how it is configured, once that was tried.

Its pools follow the books: whatever is booked there is not free, whoever booked it. What was chosen
is not free either, until it is seen in the books or refused; as long as neither happens, an
instance that asks again asks for the same.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field

from tashi.domain.books import Books
from tashi.domain.identity import InstanceId, NetworkId
from tashi.domain.instance import Instance, Listing, ListingStage, Nic
from tashi.domain.listings import current, names_for, places_of
from tashi.domain.placement.plan import Verdict
from tashi.domain.pools import Pool, Span
from tashi.domain.states import InstanceState, Phase, facts
from tashi.scheduler.queue import Pauses

Wish = tuple[InstanceId, tuple[Listing, ...]]


@dataclass(frozen=True, slots=True)
class Range:
    """The addresses that guests of a network may have: a span, without those kept out of it."""

    span: Span
    kept_out: tuple[Span, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Site:
    """What the settings say: ranges, whether there are hooks to tell, and what to do without names.

    `starts_without` lets an instance start whose names were tried in vain.
    """

    ranges: Mapping[NetworkId, Range] = field(default_factory=dict)
    has_hooks: bool = False
    starts_without: bool = False


NO_SITE = Site()


@dataclass(slots=True)
class _Try:
    """When an instance is looked at again, and after how many vain looks."""

    due: float
    failures: int = 0


class Names:
    """What is booked and what is wanted. Times are seconds on a monotonic clock."""

    def __init__(self, site: Site = NO_SITE, pauses: Pauses | None = None) -> None:
        self._site = site
        self._pauses = pauses or Pauses()
        self._pools: dict[NetworkId, Pool] = {}
        self._wanting: dict[InstanceId, _Try] = {}
        self._chosen: dict[InstanceId, dict[str, Listing]] = {}
        self._changed: dict[InstanceId, Instance | None] = {}
        self._troubles: dict[InstanceId, str] = {}

    # ---- what it is told ------------------------------------------------------------------------

    def begin(self, books: Books, now: float) -> None:
        """Forget everything and go on from those books."""
        self._pools = {key: Pool(one.span, one.kept_out) for key, one in self._site.ranges.items()}
        self._wanting, self._chosen, self._changed, self._troubles = {}, {}, {}, {}
        for one in books.instances.values():
            self.enter(one.id, None, one, now)

    def enter(
        self, key: InstanceId, before: Instance | None, after: Instance | None, now: float
    ) -> None:
        """Follow a change of a record."""
        had = places_of(before) if before is not None else ()
        has = places_of(after) if after is not None else ()
        if had != has:
            self._exchange(set(had), set(has), now)
        self._changed[key] = after
        if after is None or not self.lacks(after):
            self._wanting.pop(key, None)
            self._troubles.pop(key, None)
        else:
            known = self._wanting.get(key)
            if known is None or before is None or _differs(before, after):
                self._wanting[key] = _Try(now)

    def answered(self, books: Books, verdicts: Iterable[Verdict], now: float) -> None:
        """Enter what became of the wishes of the last look."""
        for verdict in verdicts:
            if not verdict.accepted:
                self._release(verdict.instance_id, books)
                self._put_off(verdict.instance_id, verdict.words, now)

    def unanswered(self, now: float) -> None:
        """What became of the last wishes is not known: they are due again."""
        for key in self._chosen:
            if key in self._wanting:
                self._wanting[key].due = now

    # ---- what it says ---------------------------------------------------------------------------

    def may_start(self, record: Instance) -> bool:
        """Whether everything is done that goes before the start of a waiting instance."""
        if self._site.has_hooks and not record.announced:
            return False
        booked = current(record.listings)
        tried = self._site.starts_without and bool(record.trouble)
        for nic in self._ranged(record):
            listing = booked.get(nic.mac)
            if listing is None or listing.stage is ListingStage.ASKED:
                return False
            if listing.stage is not ListingStage.LISTED and not tried:
                return False
        return True

    def wishes(self, books: Books, now: float) -> tuple[Wish, ...]:
        """The bookings to ask for now; they count as booked until they are answered."""
        self._let_go(books, now)
        made = []
        due = [key for key, one in self._wanting.items() if one.due <= now]
        for key in sorted(due):
            record = books.instances[key]
            wanted, trouble = self._choices(record)
            if trouble:
                self._release(key, books)
                self._put_off(key, trouble, now)
            else:
                self._wanting[key].due = now + self._pauses.longest_seconds
                made.append((key, wanted))
        return tuple(made)

    def lacks(self, record: Instance | None) -> bool:
        """Whether something is to be booked for the instance."""
        return record is not None and any(self._lacking(record))

    def changed(self) -> list[tuple[InstanceId, Instance | None]]:
        """The records that changed since the last call, as they are, ``None`` for what is gone."""
        changed, self._changed = self._changed, {}
        return list(changed.items())

    def troubles(self) -> dict[InstanceId, str]:
        """Why nothing can be booked for some instances, as far as that is news."""
        troubles, self._troubles = self._troubles, {}
        return troubles

    def due_in(self, now: float) -> float | None:
        """Seconds until there is something to book; ``None`` when that depends on news."""
        return min((max(one.due - now, 0.0) for one in self._wanting.values()), default=None)

    # ---- what is wanted -------------------------------------------------------------------------

    def _ranged(self, record: Instance) -> Iterator[Nic]:
        """The cards on networks that have a range."""
        more = record.wanted.nics if record.wanted is not None else ()
        cards = {nic.mac: nic for nic in (*record.nics, *more)}
        return (nic for nic in cards.values() if nic.network in self._site.ranges)

    def _lacking(self, record: Instance) -> Iterator[tuple[Nic, int, str, Listing | None]]:
        """The cards for which something is to be booked: number, name, and what is known."""
        if not self._site.ranges or record.state is InstanceState.EXITED:
            return
        waits = facts(record.state).phase is Phase.WAITING
        cards = {nic.mac: nic for nic in self._ranged(record)}
        booked = current(record.listings)
        follows = waits or any(one.stage is not ListingStage.ASKED for one in record.listings)
        for mac, number, name in names_for(record, tuple(cards)):
            known = booked.get(mac)
            right = known is not None and known.name == name
            if right:
                continue
            chosen = mac in self._chosen.get(record.id, ())
            # A guest that ran before there were ranges keeps the address that it was seen with.
            if follows or chosen or self._is_free(cards[mac]):
                yield cards[mac], number, name, known

    def _is_free(self, nic: Nic) -> bool:
        return nic.ip is not None and self._pools[nic.network].is_free(nic.ip)

    def _choices(self, record: Instance) -> tuple[tuple[Listing, ...], str]:
        """What to book for an instance, taken out of the pools; and why not, if it cannot be."""
        wanted: list[Listing] = []
        chosen = self._chosen.setdefault(record.id, {})
        for nic, number, name, known in self._lacking(record):
            ip, trouble = self._choice(nic, known, chosen.get(nic.mac))
            if ip is None:
                return tuple(wanted), trouble
            self._pools[nic.network].take(ip)
            chosen[nic.mac] = Listing(nic.mac, nic.network, ip, name, number)
            wanted.append(chosen[nic.mac])
        return tuple(wanted), ""

    def _choice(
        self, nic: Nic, known: Listing | None, chosen: Listing | None
    ) -> tuple[str | None, str]:
        pool = self._pools[nic.network]
        if known is not None:
            asked = known.stage is ListingStage.ASKED
            why_not = pool.why_not(known.ip) if asked else ""
            if why_not:
                return None, (
                    f"The address {known.ip} that was asked for {why_not} of network "
                    f"{nic.network}: destroy the instance and ask for another address, or for none."
                )
            return known.ip, ""
        if chosen is not None:
            return chosen.ip, ""
        if self._is_free(nic):
            return nic.ip, ""
        return pool.choose(), (
            f"All addresses of ipRange{nic.network} ({pool.span}) are taken: make the range larger "
            "or destroy what is not needed."
        )

    # ---- how it keeps its pools -----------------------------------------------------------------

    def _exchange(
        self, had: set[tuple[NetworkId, str]], has: set[tuple[NetworkId, str]], now: float
    ) -> None:
        for network, ip in had - has:
            if network in self._pools:
                self._pools[network].give_back(ip)
                self._look_again(now)
        for network, ip in has - had:
            if network in self._pools:
                self._pools[network].take(ip)

    def _look_again(self, now: float) -> None:
        """An address is free again: whoever waits for one may have it."""
        for one in self._wanting.values():
            one.due = min(one.due, now)

    def _let_go(self, books: Books, now: float) -> None:
        """Put back what was chosen for cards that have since got an address, or need none."""
        for key, chosen in list(self._chosen.items()):
            record = books.instances.get(key)
            lacking = () if record is None else self._lacking(record)
            wanted = {nic.mac: (nic.network, known and known.ip) for nic, _, _, known in lacking}
            for one in list(chosen.values()):
                network, ip = wanted.get(one.mac, (None, None))
                if network != one.network or ip not in {None, one.ip}:
                    self._give_back(chosen.pop(one.mac), books)
                    self._look_again(now)
            if not chosen:
                del self._chosen[key]

    def _release(self, key: InstanceId, books: Books) -> None:
        """Put back what was chosen for an instance in vain."""
        for one in self._chosen.pop(key, {}).values():
            self._give_back(one, books)

    def _give_back(self, one: Listing, books: Books) -> None:
        """Put an address back, unless it is somebody's by the books."""
        if (one.network, one.ip) not in books.places:
            self._pools[one.network].give_back(one.ip)

    def _put_off(self, key: InstanceId, words: str, now: float) -> None:
        place = self._wanting.get(key)
        if place is None:
            return
        place.failures += 1
        place.due = now + self._pauses.after(place.failures)
        self._troubles[key] = words


def _differs(before: Instance, after: Instance) -> bool:
    """Whether there is reason to look at once."""
    return (before.state, before.name, before.macs, before.listings) != (
        after.state,
        after.name,
        after.macs,
        after.listings,
    )

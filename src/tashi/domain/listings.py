"""Names and addresses that are booked for instances' network cards. Pure.

A *listing* is booked before the site's DNS and DHCP hear of it, and it stays in the record until
they have forgotten it: so no address ever has two owners, and none is forgotten in a server,
whoever is killed when. What the servers have yet to be told follows from the record alone.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

from tashi.domain.errors import AddressTaken, IncorrectState, InvalidInstance, Refused
from tashi.domain.hostnames import check_host_name
from tashi.domain.identity import InstanceId, NetworkId
from tashi.domain.instance import Instance, Listing, ListingStage, Nic
from tashi.domain.states import InstanceState

Place = tuple[NetworkId, str]
"""An address on a network; two networks may use the same numbers."""


class Duty(NamedTuple):
    """What the site's servers have yet to be told: first what to forget, then what to list."""

    forget: tuple[Listing, ...]
    enter: tuple[Listing, ...]

    def __bool__(self) -> bool:
        return bool(self.forget or self.enter)


@dataclass(frozen=True, slots=True)
class SiteEntry:
    """A host name, its address and its card, as the site's servers hear of them, and whose."""

    owner: InstanceId
    name: str
    ip: str
    mac: str

    def __str__(self) -> str:
        return f"{self.name} ({self.ip}, {self.mac})"


def entry_of(owner: InstanceId, one: Listing) -> SiteEntry:
    """What the site's servers hear of a listing."""
    return SiteEntry(owner, one.name, one.ip, one.mac)


def entries_of(record: Instance) -> dict[SiteEntry, Listing]:
    """What the site's servers may have of an instance, with the listing that each comes from."""
    return {entry_of(record.id, one): one for one in record.listings if not _is_asked(one)}


def current(listings: Iterable[Listing]) -> dict[str, Listing]:
    """The listing that counts for each card, by MAC address."""
    return {one.mac: one for one in listings}


def places_of(record: Instance) -> tuple[Place, ...]:
    """The addresses that nobody else may have."""
    over = record.state is InstanceState.EXITED
    found = ((one.network, one.ip) for one in record.listings if not (over and _is_asked(one)))
    return tuple(dict.fromkeys(found))


def host_names_of(record: Instance) -> tuple[str, ...]:
    """The names that nobody else may have in DNS, in small letters."""
    return tuple(dict.fromkeys(one.name.lower() for one in record.listings if one.name))


def duty_of(record: Instance) -> Duty:
    """What the site's servers have yet to be told of an instance."""
    known = tuple(one for one in record.listings if not _is_asked(one))
    if record.state is InstanceState.EXITED:
        return Duty(known, ())
    there = {one.mac: one for one in known if one.mac in record.macs}
    return Duty(
        forget=tuple(one for one in known if there.get(one.mac) != one),
        enter=tuple(one for one in there.values() if one.stage is ListingStage.BOOKED),
    )


def owes(record: Instance) -> bool:
    """Whether an instance that is over has left something with hooks or the site's servers."""
    return record.announced or any(not _is_asked(one) for one in record.listings)


def names_for(record: Instance, macs: Sequence[str]) -> Iterator[tuple[str, int, str]]:
    """For each of these cards its MAC, its number and its host name; numbers once given stay."""
    given = {one.mac: one.number for one in record.listings if not _is_asked(one)}
    taken = {number for mac, number in given.items() if mac in record.macs}
    for position, mac in enumerate(record.macs):
        if mac not in macs:
            continue
        number = given.get(mac)
        if number is None:
            number = position if position not in taken else max(taken) + 1
            taken.add(number)
        yield mac, number, host_name(record, number)


def host_name(record: Instance, number: int) -> str:
    """The name of the card of that number, below the site's domain."""
    name = record.name if number == 0 else f"{record.name}-nic{number}"
    below = record.hints.get("subDomain")
    return f"{name}.{below}" if below else name


def asked_for(nics: Iterable[Nic]) -> tuple[Listing, ...]:
    """The addresses that the owner of an instance asks for."""
    return tuple(Listing(nic.mac, nic.network, nic.ip) for nic in nics if nic.ip is not None)


def with_booked(nics: tuple[Nic, ...], listings: Iterable[Listing]) -> tuple[Nic, ...]:
    """The cards, each with the address that is booked for it, whatever was seen."""
    booked = {one.mac: one.ip for one in listings if not _is_asked(one)}
    if not booked:
        return nics
    return tuple(replace(nic, ip=booked.get(nic.mac, nic.ip)) for nic in nics)


def is_booked(record: Instance, mac: str) -> bool:
    """Whether an address is booked for that card."""
    return any(one.mac == mac and not _is_asked(one) for one in record.listings)


def check_asked(places: Mapping[Place, InstanceId], asked: Sequence[Listing]) -> None:
    """Raise AddressTaken unless a new card can have these addresses."""
    for one in asked:
        holder = places.get((one.network, one.ip))
        if holder is not None:
            raise _taken(one, holder)
    if len({(one.network, one.ip) for one in asked}) < len(asked):
        raise InvalidInstance("Two network cards of one instance cannot have the same address.")


def _taken(one: Listing, holder: InstanceId) -> AddressTaken:
    return AddressTaken(
        f"The address {one.ip} is taken by instance {holder}: ask for another, or for none.",
        instance=holder,
    )


def check_booking(
    places: Mapping[Place, InstanceId],
    host_names: Mapping[str, InstanceId],
    record: Instance,
    wanted: Iterable[Listing],
) -> None:
    """Raise Refused unless these can be booked for cards of that instance.

    `places` and `host_names` say who has which address and name now.
    """
    if record.state is InstanceState.EXITED:
        raise IncorrectState(f"{record} is over.".capitalize(), instance=record.id)
    for one in wanted:
        check_host_name(one.name)
        if one.mac not in record.macs:
            raise Refused(f"{record} has no card {one.mac}.".capitalize(), instance=record.id)
        holder = places.get((one.network, one.ip), record.id)
        if holder != record.id:
            raise _taken(one, holder)
        holder = host_names.get(one.name.lower(), record.id)
        if holder != record.id:
            raise AddressTaken(
                f"The host name {one.name} is booked for instance {holder}; rename one of them.",
                instance=holder,
            )


def after_booking(listings: Iterable[Listing], new: Iterable[Listing]) -> tuple[Listing, ...]:
    """The listings with those that are booked now; what is booked alike already stays as it is."""
    kept = list(listings)
    for one in new:
        known = current(kept).get(one.mac)
        if known is not None and _alike(known, one) and not _is_asked(known):
            continue
        kept = [old for old in kept if not (old.mac == one.mac and _gives_way(old, one))]
        kept.append(replace(one, stage=ListingStage.BOOKED))
    return tuple(kept)


def after_telling(
    listings: Iterable[Listing], listed: Iterable[Listing], forgotten: Iterable[Listing]
) -> tuple[Listing, ...]:
    """The listings once the site's servers have some of them, and have forgotten others."""
    entered = {_booking(one) for one in listed}
    gone = {_booking(one) for one in forgotten}
    return tuple(
        replace(one, stage=ListingStage.LISTED) if _booking(one) in entered else one
        for one in listings
        if _booking(one) not in gone
    )


def after_losing(listings: Iterable[Listing], lost: Iterable[Listing]) -> tuple[Listing, ...]:
    """The listings once it was seen that the site's servers lack some: they are to be entered."""
    lacking = {_booking(one) for one in lost}
    return tuple(
        replace(one, stage=ListingStage.BOOKED)
        if _booking(one) in lacking and not _is_asked(one)
        else one
        for one in listings
    )


def without_cards_gone(listings: Iterable[Listing], macs: Iterable[str]) -> tuple[Listing, ...]:
    """The listings without what was only asked for, for cards that are no longer there."""
    there = set(macs)
    return tuple(one for one in listings if one.mac in there or not _is_asked(one))


def _booking(one: Listing) -> tuple[str, str, str]:
    """What makes two listings the same booking, whatever became of it since."""
    return one.mac, one.ip, one.name


def _gives_way(old: Listing, new: Listing) -> bool:
    return _is_asked(old) or _alike(old, new)


def _alike(one: Listing, other: Listing) -> bool:
    return _booking(one) == _booking(other)


def _is_asked(one: Listing) -> bool:
    return one.stage is ListingStage.ASKED

"""A model of the site's servers and of the scheduler that tells them of names and addresses.

The scheduler may die at any moment: after the servers have heard something and before the books
say so. There are fewer addresses than wishes, so one that is free again is soon given away.
"""

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from simulator.store import Violation
from tashi.domain.books import books_of
from tashi.domain.errors import Refused
from tashi.domain.identity import InstanceId, NetworkId
from tashi.domain.instance import Instance, Listing
from tashi.domain.listings import check_booking, duty_of, names_for
from tashi.domain.notices import BookAddresses, SiteTold

if TYPE_CHECKING:
    from simulator.world import World

ADDRESSES = ("192.0.2.101", "192.0.2.102", "192.0.2.103")


@dataclass(slots=True)
class Site:
    """Which instance each address belongs to, as DNS and DHCP have it."""

    entries: dict[str, InstanceId] = field(default_factory=dict)

    def enter(self, key: InstanceId, listing: Listing) -> None:
        """Enter an address; two owners are what must never be."""
        if self.entries.setdefault(listing.ip, key) != key:
            raise Violation(f"{listing.ip} is entered for {key} and has an owner.")

    def forget(self, key: InstanceId, listing: Listing) -> None:
        """Remove an address; harmless when it is not there."""
        if self.entries.get(listing.ip) == key:
            del self.entries[listing.ip]


def book(world: "World") -> None:
    """The scheduler wants an address for a card that has none; its books may be old."""
    one = world.any_record()
    if one is not None:
        book_for(world, one)


def book_for(world: "World", one: Instance) -> None:
    """Book an address for each card of an instance, unless the books refuse."""
    wanted = tuple(
        Listing(mac, NetworkId(1), world.random.choice(ADDRESSES), name, number)
        for mac, number, name in names_for(one, one.macs)
        if mac not in {listing.mac for listing in one.listings}
    )
    books = books_of(world.manager.records.values())
    try:
        check_booking(books.places, books.host_names, one, wanted)
    except Refused:
        return
    if wanted:
        world.befall(one.id, BookAddresses(wanted))


def serve(world: "World") -> None:
    """The scheduler tells the servers what they have yet to hear, or dies on the way."""
    one = world.any_record()
    if one is not None:
        serve_one(world, one, lucky=world.likely(0.7))


def serve_one(world: "World", one: Instance, *, lucky: bool) -> None:
    """Tell the servers of one instance; without luck, the scheduler dies before it is booked."""
    duty = duty_of(one)
    for listing in duty.forget:
        world.site.forget(one.id, listing)
    for listing in duty.enter:
        world.site.enter(one.id, listing)
    if lucky and duty and one.id in world.manager.records:
        world.befall(one.id, SiteTold(listed=duty.enter, forgotten=duty.forget))


def check(world: "World") -> None:
    """At rest the servers have what the books say, and nothing else."""
    booked = {
        listing.ip: one.id for one in world.manager.records.values() for listing in one.listings
    }
    if booked != world.site.entries:
        raise Violation(f"The books have {booked}, the site {world.site.entries}.")

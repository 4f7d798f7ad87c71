"""Addresses and host names in the books: booked for one owner, until the site has forgotten them.

The scheduler chooses, since it alone knows the ranges; here it is checked once more against the
books, by the one writer, so that of two schedulers the second is refused.
"""

from collections.abc import Iterable

from tashi.clustermanager.draft import Draft
from tashi.domain.errors import NoSuchInstance, TashiError
from tashi.domain.identity import InstanceId
from tashi.domain.instance import Listing
from tashi.domain.listings import check_booking
from tashi.domain.notices import BookAddresses, SiteTold

Wish = tuple[InstanceId, tuple[Listing, ...]]


def book(draft: Draft, key: InstanceId, wanted: tuple[Listing, ...], by: str) -> None:
    """Book these addresses and names for an instance; raises Refused when one is another's."""
    books = draft.books
    check_booking(books.places, books.host_names, books.instance(key), wanted)
    draft.befall(key, BookAddresses(wanted), by)


def book_many(draft: Draft, wishes: Iterable[Wish], by: str) -> list[tuple[InstanceId, str]]:
    """Book every wish that is possible; for each, empty words or why it was not."""
    verdicts = []
    for key, wanted in wishes:
        mark = draft.mark()
        try:
            book(draft, key, wanted, by)
            verdicts.append((key, ""))
        except TashiError as error:
            draft.go_back(mark)
            verdicts.append((key, error.message))
    return verdicts


def take_notice(draft: Draft, key: InstanceId, told: SiteTold, by: str) -> None:
    """Enter what the site's servers and hooks were told; also of an instance that is over.

    Raises NoSuchInstance when there is no record any more: then the servers must forget again
    what was entered.
    """
    if key not in draft.books.instances:
        raise NoSuchInstance(f"There is no instance {key}.", instance=key)
    draft.befall(key, told, by)

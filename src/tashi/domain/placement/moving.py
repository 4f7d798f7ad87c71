"""Which rules keep a running instance off a host that it might move to.

The rules are those of placement; what differs is only how the instance is seen: as one that is on
no host yet, but goes on with what it was booted on.
"""

from dataclasses import replace

from tashi.domain.books import Books
from tashi.domain.host import Host
from tashi.domain.instance import Instance
from tashi.domain.placement import filters
from tashi.domain.placement.filters import Policy, Refusal


def newcomer(instance: Instance) -> Instance:
    """The instance as the rules of placement see one that is on no host yet.

    Whoever moves it has chosen the target, so the hint about a target host does not bind any more.
    """
    hints = {name: value for name, value in instance.hints.items() if name != "targetHost"}
    return replace(instance, hints=hints, host_id=None, target_id=None)


def refusals(books: Books, host: Host, instance: Instance, policy: Policy) -> tuple[Refusal, ...]:
    """Everything that keeps the instance from moving to the host; empty when it may."""
    moving = newcomer(instance)
    # In the books, too, so that it does not count as its own company where it is now.
    return filters.refusals(books.put(moving), host, moving, policy)


def first_refusal(books: Books, host: Host, instance: Instance, policy: Policy) -> Refusal | None:
    """The first of `refusals`, without the work of finding the others."""
    moving = newcomer(instance)
    return filters.first_refusal(books.put(moving), host, moving, policy)

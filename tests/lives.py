"""The states that instances went through, as the cluster's events tell them."""

from collections.abc import Iterable

from tashi.domain.journal import Kind
from tashi.domain.states import InstanceState
from tashi.wire.forms import EntryForm

Life = list[InstanceState | None]
"""Each state once, in order; ``None`` stands before the first, and where the record was removed."""


def lives(events: Iterable[EntryForm]) -> dict[int, Life]:
    """The life of every instance that the events are about, by its id."""
    found: dict[int, Life] = {}
    for event in events:
        if event.kind is not Kind.INSTANCE:
            continue
        life = found.setdefault(event.key, [None])
        state = None if event.instance is None else event.instance.state
        if life[-1] is not state:
            life.append(state)
    return found

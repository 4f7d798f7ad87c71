"""What there is to see of a node's guests right now, as readings of its metrics; pure."""

from collections import Counter
from collections.abc import Collection, Iterator

from tashi.domain import metrics
from tashi.domain.guest import GuestState
from tashi.domain.metrics import Reading
from tashi.nodemanager.guests import Note


def readings(notes: Collection[Note]) -> Iterator[Reading]:
    """How many guests are in each state, and how much is still to be told."""
    numbers = Counter(note.state for note in notes if not note.cleared)
    for state in GuestState:
        yield Reading(metrics.GUESTS, numbers[state], (state.value,))
    yield Reading(metrics.UNHEARD, sum(len(note.unheard) for note in notes))

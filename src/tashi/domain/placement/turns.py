"""Whose turn it is: the fair order in which waiting instances are looked at.

Users take turns, one instance each; within one user the lowest id goes first. What has never failed
goes before what is Held. Whoever was served last waits until the others have had their turn, also
from one round to the next, so that a user with a thousand waiting instances never keeps anybody
from the first free place for longer than one instance.
"""

from collections import deque
from collections.abc import Iterable, Iterator
from itertools import groupby

from tashi.domain.identity import UserId
from tashi.domain.instance import Instance
from tashi.domain.states import InstanceState


def in_turns(waiting: Iterable[Instance], served_last: UserId | None) -> Iterator[Instance]:
    """Those instances in fair order; the first turn is that of the user after `served_last`."""
    ordered = sorted(waiting, key=lambda one: (_is_held(one), one.user_id, one.id))
    for _, class_ in groupby(ordered, key=_is_held):
        yield from _round_robin(class_, served_last)


def _round_robin(ordered: Iterable[Instance], served_last: UserId | None) -> Iterator[Instance]:
    lines = [deque(line) for _, line in groupby(ordered, key=lambda one: one.user_id)]
    if served_last is not None:
        lines.sort(key=lambda line: line[0].user_id <= served_last)
    turn = deque(lines)
    while turn:
        line = turn.popleft()
        yield line.popleft()
        if line:
            turn.append(line)


def _is_held(one: Instance) -> bool:
    return one.state is InstanceState.HELD

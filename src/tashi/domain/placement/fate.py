"""What can become of an instance whose host is emptied.

A room of its own beside `drain`, because it travels: clients, which start often, need not wait for
the rules of placement to be loaded.
"""

from enum import StrEnum


class Fate(StrEnum):
    """What becomes of an instance when its host is emptied."""

    MOVES = "moves"
    """There is a host that takes it."""
    LEAVES = "leaves"
    """It is on its way off already."""
    LATER = "later"
    """It can be moved once what is under way has ended."""
    STAYS = "stays"
    """It cannot be moved as things are."""

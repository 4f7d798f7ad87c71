"""Networks and users of Tashi's own list: added and removed by an administrator."""

import re
from typing import Final

from tashi.clustermanager.draft import Draft
from tashi.clustermanager.people import Roster
from tashi.domain.catalogue import Network, User
from tashi.domain.errors import NoSuchNetwork, NoSuchUser, Refused
from tashi.domain.identity import NetworkId, UserId
from tashi.domain.journal import Kind

LARGEST_VLAN: Final = 4094
_LARGEST_UID: Final = 2**32 - 2
_NAME: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_.@-]{0,63}\Z")


def add_network(draft: Draft, key: NetworkId, name: str, by: str) -> Network:
    """Add a network under its VLAN number; raises if number or name is taken or impossible."""
    if not 0 <= key <= LARGEST_VLAN:
        raise Refused(f"{key} is no VLAN number: give one from 0 to {LARGEST_VLAN}.")
    _check_name(name, "network")
    for network in draft.books.networks.values():
        if network.id == key or network.name == name:
            raise Refused(f"Network {network.id} is named {network.name!r} already.")
    network = Network(key, name)
    draft.put(network, "CM NETWORK ADD", by)
    return network


def remove_network(draft: Draft, key: NetworkId, by: str) -> Network:
    """Remove a network; raises Refused while an instance has a card on it."""
    network = draft.books.networks.get(key)
    if network is None:
        raise NoSuchNetwork(f"There is no network {key}.")
    for instance in draft.books.visible():
        coming = () if instance.wanted is None else instance.wanted.nics
        if any(nic.network == key for nic in (*instance.nics, *coming)):
            raise Refused(f"Network {key} is still used by {instance}.")
    draft.drop(Kind.NETWORK, key, "CM NETWORK REMOVE", by)
    return network


def add_user(draft: Draft, key: UserId, name: str, roster: Roster, by: str) -> User:
    """Add a user; raises if id or name is impossible, or taken here or in the directory.

    Whoever is added stands before the directory's: somebody else's instances would be theirs.
    """
    if not 0 <= key <= _LARGEST_UID:
        raise Refused(f"{key} is no user id: give one from 0 to {_LARGEST_UID}.")
    _check_name(name, "user")
    for user in draft.books.users.values():
        if user.id == key or user.name == name:
            raise Refused(f"User {user.id} is named {user.name!r} already.")
    user = User(key, name)
    other = roster.mistaken_for(user)
    if other is not None:
        raise Refused(
            f"The directory of users has {other} already: choose a number and a name that nobody "
            "has there, or add just that user."
        )
    draft.put(user, "CM USER ADD", by)
    return user


def remove_user(draft: Draft, key: UserId, roster: Roster, by: str) -> User:
    """Remove a user; raises Refused while an instance of theirs would be nobody's."""
    user = draft.books.users.get(key)
    if user is None:
        raise NoSuchUser(f"There is no user {key} in Tashi's own list.")
    for instance in draft.books.visible():
        if instance.user_id == key and key not in roster.users:
            raise Refused(f"User {key} still owns {instance}.")
    draft.drop(Kind.USER, key, "CM USER REMOVE", by)
    return user


def _check_name(name: str, what: str) -> None:
    if not _NAME.match(name):
        raise Refused(
            f"{name!r} is no name for a {what}: use letters, digits and . _ @ -, a letter first."
        )

"""From an LDAP server's entries to a roll: what counts as a user, and what groups make of them.

Whatever is not one name and one number is passed over, as a malformed line of /etc/passwd is. The
number 0 is, too: to Tashi it is root, which a machine has and no directory can give.
"""

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from tashi.domain.catalogue import User
from tashi.domain.identity import UserId
from tashi.domain.permissions import Role
from tashi.ports.users import Roll

Entry = tuple[str, Mapping[str, Sequence[bytes]]]
"""The name of an entry, and its attributes."""

MEMBERS: Final = ("member", "uniqueMember", "memberUid")
"""Where a group's entry names who is in it."""

_NUMBER: Final = re.compile(r"[1-9][0-9]{0,9}")
_RANGE: Final = re.compile(r"member;range=[0-9]+-(?P<last>[0-9]+|\*)")


@dataclass(frozen=True, slots=True)
class Members:
    """Who is in a group: by the names of their entries, in comparable form, or their own names."""

    dns: frozenset[str]
    names: frozenset[str]


def members_of(
    ask: Callable[[Sequence[str]], Mapping[str, Sequence[bytes]]],
    comparable: Callable[[str], str] = str,
) -> Members:
    """All members of a group, whose entry answers `ask` with its values for those attributes.

    Active Directory names many members a range at a time (MS-ADTS 3.1.1.3.1.3.3): it shows
    ``member;range=0-1499``, wants to be asked for ``member;range=1500-*``, and ends the last with a
    star.
    """
    dns: set[str] = set()
    names: set[str] = set()
    asked: Sequence[str] = MEMBERS
    while asked:
        values = {name.lower(): found for name, found in ask(asked).items()}
        asked = ()
        for name, found in values.items():
            if name == "memberuid":
                names.update(_texts(found))
                continue
            dns.update(map(comparable, _texts(found)))
            some = _RANGE.fullmatch(name)
            if some is not None and some["last"] != "*":
                asked = (f"member;range={int(some['last']) + 1}-*",)
    return Members(frozenset(dns), frozenset(names))


def roll_of(
    entries: Iterable[Entry],
    name_key: str,
    id_key: str,
    groups: Iterable[tuple[Role, Members]] = (),
    comparable: Callable[[str], str] = str,
) -> Roll:
    """The users among the entries; of a number that two have, the first name in the alphabet's.

    Of several groups that somebody is in, the last one counts.
    """
    found = sorted(
        (
            (user.id, user.name, dn)
            for dn, values in entries
            if (user := _user(values, name_key, id_key))
        ),
    )
    users = {key: (name, dn) for key, name, dn in reversed(found)}
    roles = {
        key: role
        for role, members in groups
        for key, (name, dn) in users.items()
        if name in members.names or comparable(dn) in members.dns
    }
    return Roll(tuple(User(key, users[key][0]) for key in sorted(users)), roles)


def _user(values: Mapping[str, Sequence[bytes]], name_key: str, id_key: str) -> User | None:
    shown = {key.lower(): value for key, value in values.items()}
    name, number = (_only(shown.get(key.lower(), ())) for key in (name_key, id_key))
    if not name or not name.isprintable() or not _NUMBER.fullmatch(number):
        return None
    return User(UserId(int(number)), name)


def _texts(values: Iterable[bytes]) -> Iterator[str]:
    return (value.decode(errors="replace") for value in values)


def _only(values: Sequence[bytes]) -> str:
    """The one value there is, or the first; an empty text for none, and for what is no text."""
    try:
        return values[0].decode() if values else ""
    except UnicodeDecodeError:
        return ""

"""Who somebody is: Tashi's own list first, then the directory.

Asked at every call, so it answers at once, and nothing costs more for more users. Whom Tashi's own
list names stands before whomever the directory has under that name or that number: neither a name
nor a role of the directory's may reach somebody else through a number that both use.
"""

from collections.abc import Callable, Mapping

from tashi.clustermanager.people import People
from tashi.domain.catalogue import User
from tashi.domain.identity import UserId
from tashi.domain.permissions import ROOT, Role
from tashi.domain.proofs import Known

Own = Mapping[UserId, User]


class Persons:
    """Answers for everybody; `own` gives Tashi's own list as it is at the moment."""

    def __init__(self, people: People, own: Callable[[], Own]) -> None:
        self._people = people
        self._own = own
        self._names: tuple[Own, dict[str, User]] = ({}, {})

    @property
    def known(self) -> Known:
        """These questions, for whoever turns a proof into a caller."""
        return Known(self.named, self.user, self.role_of)

    def named(self, name: str) -> User | None:
        """Whoever has exactly that name.

        Raises DirectoryFailed when that is not known, since the directory was never read.
        """
        own = self._own()
        user = self._own_names(own).get(name)
        if user is not None:
            return user
        user = self._people.now().names.get(name)
        if user is None:
            self._people.check_was_read()
        return None if user is None or user.id in own else user

    def user(self, key: UserId) -> User | None:
        """Whoever has that number; root is root, whatever is known.

        Raises DirectoryFailed when that is not known, since the directory was never read.
        """
        user = self._own().get(key) or self._people.now().users.get(key)
        if user is None and key != ROOT:
            self._people.check_was_read()
        return user

    def role_of(self, key: UserId) -> Role:
        """What the directory's groups make of whoever has that number."""
        roster = self._people.now()
        own = self._own().get(key)
        if own is not None and own != roster.users.get(key):
            return Role.USER
        return roster.roles.get(key, Role.USER)

    def is_own(self, name: str) -> bool:
        """Whether Tashi's own list has that name."""
        return name in self._own_names(self._own())

    def is_local(self, name: str) -> bool:
        """Whether no directory keeps the password of whoever has that name."""
        return self.is_own(name) or name in self._people.now().local

    def may_know(self, name: str) -> bool:
        """Whether nobody has that name so far, and a list that is on its way may say otherwise."""
        return not self.is_own(name) and self._people.hears_more_of(name)

    def are_awaited(self) -> bool:
        """Whether the directory's first list is on its way."""
        return self._people.is_beginning()

    def wait(self) -> None:
        """Wait for a list that is on its way, though not for ever; the one thing here that does."""
        self._people.wait()

    def _own_names(self, own: Own) -> dict[str, User]:
        """Tashi's own list by name, made anew only when the list is another."""
        of, names = self._names
        if of is not own:
            names = {user.name: user for user in own.values()}
            self._names = own, names
        return names

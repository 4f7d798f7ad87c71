"""The users that stand in the configuration, alone or beside those of another directory."""

from collections.abc import Mapping, Sequence

from tashi.domain.catalogue import User
from tashi.domain.identity import UserId
from tashi.domain.permissions import Role
from tashi.ports.users import Directory, Roll


class ConfiguredUsers:
    """Users by the lines of a file; alone, or with those of a `base`.

    Of the base only those count whose ids and names the lines leave free: a password that the base
    keeps must not let anybody be a configured user of that name.
    """

    def __init__(
        self,
        users: Sequence[User],
        base: Directory | None = None,
        roles: Mapping[UserId, Role] = Roll().roles,
    ) -> None:
        """The `roles` are those of the configured users who are more than users."""
        self._users = tuple(users)
        self._base = base
        self._roles = dict(roles)

    def read(self) -> Roll:
        """Everybody; of an id or name that both have, the configuration counts, role and all.

        Who is the same in both by id and name keeps the password of the base.
        """
        listed = self._base.read() if self._base else Roll()
        ids = {user.id for user in self._users}
        names = {user.name for user in self._users}
        others = {
            user.id: user for user in listed.users if user.id not in ids and user.name not in names
        }
        roles = {key: role for key, role in listed.roles.items() if key in others}
        local = frozenset(user.name for user in set(self._users) - set(listed.users))
        return Roll((*others.values(), *self._users), roles | self._roles, local)

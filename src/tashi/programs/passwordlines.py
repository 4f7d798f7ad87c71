"""Where Tashi's own passwords are: in a file, or in the database of the books."""

import logging

from tashi.adapters.users.passwords import PasswordFile
from tashi.domain.errors import PasswordsFailed
from tashi.ports.passwords import PasswordLines
from tashi.ports.store import Store
from tashi.programs.directories import base_data
from tashi.settings.load import Settings
from tashi.settings.sections.parts import DATABASE
from tashi.settings.sections.security import SecuritySettings

_log = logging.getLogger(__name__)


def password_file(settings: Settings) -> PasswordFile:
    """The file of passwords, which counts unless the books are in a database."""
    return PasswordFile(settings.of(SecuritySettings).password_table)


def chosen_passwords(settings: Settings, store: Store) -> PasswordLines:
    """The passwords that go with the books in that store, as the settings choose."""
    if base_data(settings) != DATABASE:
        return password_file(settings)
    # Its libraries cost those who have no database memory and time.
    from tashi.programs.databases import passwords_beside

    return passwords_beside(store) or password_file(settings)


def warn_of_unread(settings: Settings, lines: PasswordLines) -> None:
    """Say so in the log where a file has passwords and the database, which counts, has none."""
    if isinstance(lines, PasswordFile):
        return
    file = password_file(settings)
    try:
        unread = file.all() and not lines.all()
    except PasswordsFailed as error:
        _log.warning("%s", error)
        return
    if unread:
        _log.warning(
            "The passwords in %s are not read: the books are in a database, which has none. To "
            "take them over, stop the cluster manager and run tashi-admin upgradeDatabase.",
            file,
        )


def carry(source: PasswordLines, to: PasswordLines) -> int:
    """Let a place without passwords begin with those of another; how many were carried.

    Raises PasswordsFailed. Where there are some already, they are newer, and left as they are.
    """
    found = source.all()
    if not found or to.all():
        return 0
    to.begin_with(found)
    return len(found)

"""Stores in a database, as the settings name them. Whoever has none does not import this."""

from collections.abc import Callable

from tashi.adapters.store.sql.address import Address, Tls, address_of, has_password
from tashi.adapters.store.sql.store import SqlStore
from tashi.domain.errors import Misconfigured
from tashi.ports.passwords import PasswordLines
from tashi.ports.store import Store
from tashi.ports.succession import Succession
from tashi.programs.passwords import password_in
from tashi.settings.load import Settings
from tashi.settings.sections.stores import SqlSettings


def chosen_database(
    settings: Settings, on_step: Callable[[str], None], holder: str = ""
) -> SqlStore:
    """The store that [SQL] describes, owned in that name; raises Misconfigured."""
    return SqlStore(named_database(settings), on_step=on_step, holder=holder)


def shared(store: Store) -> Succession | None:
    """The succession to the books in that store; ``None`` for those that only one may open."""
    return store if isinstance(store, SqlStore) and store.is_shared else None


def passwords_beside(store: Store) -> PasswordLines | None:
    """The passwords in the same database; ``None`` for a store in none."""
    return store.passwords() if isinstance(store, SqlStore) else None


def named_database(settings: Settings) -> Address:
    """The address of the database that [SQL] describes; raises Misconfigured."""
    ours = settings.of(SqlSettings)
    if ours.uri is None:
        raise Misconfigured(
            "The books are to be in a database, and none is named: set uri in [SQL], as in "
            "mysql://user@host/database or sqlite:///path."
        )
    return described(ours.uri, ours)


def described(uri: str, ours: SqlSettings) -> Address:
    """The address of the database at a URI, with what else [SQL] says; raises Misconfigured.

    The socket is that of the database which [SQL] itself names, and of no other. So is the password
    where another URI has one of its own.
    """
    own = uri != ours.uri and has_password(uri)
    password = None if own else _password(ours)
    return address_of(
        uri,
        password=password,
        socket=ours.socket if uri == ours.uri else None,
        tls=Tls(ours.tls_ca, ours.tls_cert, ours.tls_key),
        timeout=ours.timeout,
    )


def _password(ours: SqlSettings) -> str | None:
    if ours.password is None and ours.password_file is not None:
        return password_in(ours.password_file, "[SQL] passwordFile")
    return ours.password

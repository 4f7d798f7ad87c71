"""The schema of a database: which one it is of, the first one made, and the steps to the present.

`schema_steps` is made first and gets its row last, so that a making that was cut off goes on where
it ended. Of a database that holds tables but not that one, nothing is touched.

Several may make the tables of one database at once, as cluster managers do that are started
together. No lock is of use: under Galera each node has its own. So each makes what is not there,
and whoever finds that another was quicker looks again at what there is.
"""

from collections.abc import Sequence
from typing import Final

from sqlalchemy import Connection, Table, insert, select, text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.schema import CreateTable

from tashi.adapters.store.schema import STEPS, SchemaStep
from tashi.adapters.store.sql import faults, tables
from tashi.adapters.store.sql.address import Address
from tashi.adapters.store.sql.lease import Lease, keep
from tashi.adapters.store.sql.writing import counter_rows
from tashi.domain.errors import Misconfigured
from tashi.domain.journal import Counters
from tashi.domain.states import InstanceState

NO_SCHEMA: Final = 0
_NAMES: Final = {  # without opening a table, as SQLAlchemy would: somebody may just be making it
    "mysql": text("SHOW TABLES"),
    "sqlite": text("SELECT name FROM sqlite_master WHERE type = 'table'"),
}
_LOOKS: Final = 100
"""More than there are tables, indices and first rows: each can be met half-made but once."""


def schema_of(connection: Connection, address: Address) -> int:
    """Which schema the books there are of; 0 when there are none yet, or only half of the tables.

    Raises Misconfigured when the tables there are not ours.
    """
    names = connection.execute(_NAMES[connection.dialect.name]).scalars()
    there = set(names) - set(tables.ACCOUNTING_METADATA.tables)
    if tables.SCHEMA_STEPS.name not in there:
        if there:
            raise Misconfigured(
                f"{address} holds tables of something else ({', '.join(sorted(there)[:3])}): name "
                "an empty database in [SQL] uri."
            )
        return NO_SCHEMA
    numbers = connection.execute(select(tables.SCHEMA_STEPS.c.number)).scalars()
    return max(numbers, default=NO_SCHEMA)


def make_ready(connection: Connection, address: Address, steps: Sequence[SchemaStep]) -> None:
    """Let there be every table, if there is none yet; raises Misconfigured for another schema."""
    for left in reversed(range(_LOOKS)):
        try:
            _make_what_is_not_there(connection, address, steps)
        except DBAPIError as wrong:
            connection.rollback()
            if not left or not faults.is_overtaken(wrong):
                raise
        else:
            return


def _make_what_is_not_there(
    connection: Connection, address: Address, steps: Sequence[SchemaStep]
) -> None:
    schema = schema_of(connection, address)
    if schema == NO_SCHEMA:
        make_tables(connection, steps)
    else:
        refuse_other_schemas(schema, address, steps)
    name_states(connection)
    connection.commit()


def make_tables(connection: Connection, steps: Sequence[SchemaStep] = STEPS) -> None:
    """Make every table, as of the present schema, with the books empty."""
    for table in (tables.SCHEMA_STEPS, *tables.METADATA.sorted_tables):
        _make(connection, table)
    if connection.execute(select(tables.LEASE.c.id)).first() is None:
        lease = {"id": 1, "epoch": 0, "commit_no": 0, "token": "", "holder": ""}
        connection.execute(insert(tables.LEASE), lease)
        connection.execute(insert(tables.COUNTERS), counter_rows(Counters(), None))
    _note(connection, 1 + len(steps), "all tables, as they are in this schema")
    connection.commit()


def refuse_other_schemas(schema: int, address: Address, steps: Sequence[SchemaStep]) -> None:
    """Raise Misconfigured unless books of that schema can be used as they are."""
    present = 1 + len(steps)
    if schema > present:
        raise Misconfigured(
            f"{address} was written by a newer Tashi (its schema is {schema}; this one knows those "
            f"up to {present}): run that version, or restore an older backup."
        )
    if schema < present:
        raise Misconfigured(
            f"{address} is of schema {schema}, and this Tashi needs {present}: stop the cluster "
            "manager, make a backup, and run tashi-admin upgradeDatabase."
        )


def upgrade(
    connection: Connection, lease: Lease, schema: int, steps: Sequence[SchemaStep] = STEPS
) -> list[str]:
    """Take the steps that are due, in order, each noted when it is done; their words.

    The lease is ours. A statement that changes a table is for good at once, so what the lease can
    guard are the notes: each is in a transaction that writes it, as a commit is. Raises ReignLost
    when another has it by then.
    """
    done: list[str] = []
    for number, step in enumerate(steps, start=2):
        if number > schema:
            for statement in step.statements:
                connection.execute(text(statement))
            lease = keep(connection, lease)
            _note(connection, number, step.words)
            connection.commit()
            done.append(step.words)
    return done


def name_states(connection: Connection) -> None:
    """Let `instance_states` name every state that there is."""
    table = tables.INSTANCE_STATES
    known = set(connection.execute(select(table.c.number)).scalars())
    fresh = [one for one in InstanceState if one.value not in known]
    if fresh:
        rows = [{"number": one.value, "name": one.title} for one in fresh]
        connection.execute(insert(table), rows)


def _make(connection: Connection, table: Table) -> None:
    """Let there be the table with its indices; its maker may have died between the two."""
    connection.execute(CreateTable(table, if_not_exists=True))
    for index in table.indexes:
        index.create(connection, checkfirst=True)


def _note(connection: Connection, number: int, words: str) -> None:
    connection.execute(insert(tables.SCHEMA_STEPS), {"number": number, "words": words})

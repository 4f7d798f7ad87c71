"""An upgrade of the database `upgraded` that is killed after so many of its statements.

    upgrader.py SOCKET STATEMENTS

`STEPS` are steps as a later version may have them.
"""

import os
import signal
import sys
from pathlib import Path
from typing import Any, Final

from sqlalchemy import Engine, event

from tashi.adapters.store import schema
from tashi.adapters.store.schema import SchemaStep
from tashi.adapters.store.sql.address import MYSQL, Address
from tashi.adapters.store.sql.store import SqlStore

STEPS: Final = (
    *schema.STEPS,
    SchemaStep(
        "a column for a colour, and how to find it",
        lambda line: line,
        (
            "ALTER TABLE hosts ADD COLUMN IF NOT EXISTS colour TEXT",
            "CREATE INDEX IF NOT EXISTS hosts_by_colour ON hosts (colour(20))",
        ),
    ),
    SchemaStep(
        "a table of colours",
        lambda line: line,
        (
            "CREATE TABLE IF NOT EXISTS colours (name VARCHAR(20) PRIMARY KEY)",
            "INSERT IGNORE INTO colours VALUES ('red')",
        ),
    ),
)
_OURS: Final = ("ALTER", "CREATE INDEX", "CREATE TABLE IF NOT EXISTS colours", "INSERT IGNORE")


def main(socket: str, statements: str) -> None:
    """Upgrade until the kill."""
    left = int(statements)

    def count(_connection: Any, _cursor: Any, statement: str, *_rest: Any) -> None:
        nonlocal left
        left -= statement.startswith(_OURS)
        if left == 0:
            os.kill(os.getpid(), signal.SIGKILL)

    event.listen(Engine, "after_cursor_execute", count)
    address = Address(kind=MYSQL, user="root", database="upgraded", socket=Path(socket))
    SqlStore(address, steps=STEPS).upgrade()


if __name__ == "__main__":
    main(*sys.argv[1:])

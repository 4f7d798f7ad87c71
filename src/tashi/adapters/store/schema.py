"""The numbered steps from one schema of the books to the next: one list for every kind of store.

A flat file is brought up to date line by line as it is read (`lines`), a database by
`tashi-admin upgradeDatabase` (`sql.upgrading`), which runs what is due in order and notes each step
that is done. So a number means the same wherever the books are.

A step may be run again after it was cut off half-way (MariaDB ends its transaction with every
statement that changes a table), so its statements are those that do no harm a second time.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

JsonObject = dict[str, object]


@dataclass(frozen=True, slots=True)
class SchemaStep:
    """From one schema to the next; `words` say what changes, for the administrator.

    `line` turns a line of the flat file so far into one of the next schema; `statements` are what a
    database is told, in a form that every database of ours understands. What is between `/*!` and
    `*/` is read by MariaDB and MySQL only.
    """

    words: str
    line: Callable[[JsonObject], JsonObject]
    statements: tuple[str, ...] = ()


_PASSWORDS: Final = (
    "CREATE TABLE IF NOT EXISTS passwords (id BIGINT NOT NULL, name MEDIUMTEXT NOT NULL, "
    "scrypt MEDIUMTEXT NOT NULL, PRIMARY KEY (id)) "
    "/*! ENGINE=InnoDB CHARSET=utf8mb4 COLLATE=utf8mb4_bin */"
)

STEPS: Final[tuple[SchemaStep, ...]] = (
    SchemaStep(
        "a table for passwords",
        lambda line: line,
        (_PASSWORDS,),
    ),
)
"""The first row leads from schema 1 to schema 2, and so on."""

SCHEMA: Final = 1 + len(STEPS)

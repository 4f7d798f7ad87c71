"""A private MariaDB, as the tests have them, whose every commit is durable."""

from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

from databases import Server
from instruments.turns import in_turns


@contextmanager
def running(folder: Path) -> Iterator[Server]:
    """The server with its data in that folder, which ends with the block."""
    server = Server(folder, "--innodb-flush-log-at-trx-commit=1")
    server.install()
    server.start()
    try:
        yield server
    finally:
        server.stop()


def insert(server: Server, text: str, seconds: float) -> float:
    """Single rows a second that one connection commits, tried for so many seconds."""
    server.do(
        "CREATE DATABASE IF NOT EXISTS bare",
        "CREATE TABLE IF NOT EXISTS bare.bare "
        "(number BIGINT AUTO_INCREMENT PRIMARY KEY, text MEDIUMTEXT)",
    )
    with closing(server.connect()) as connection, connection.cursor() as cursor:
        return in_turns(
            lambda: cursor.execute("INSERT INTO bare.bare (text) VALUES (%s)", (text,)), seconds
        )

"""The functions of tashi-admin about the place where the books are kept.

They need no cluster manager, only what its configuration names: the program hands in who opens the
books. Backups may be made at any time; everything else wants the cluster manager stopped.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final, Protocol

from tashi.client import arguments as a
from tashi.client.arguments import Argument, Given
from tashi.client.command import Command, Session
from tashi.client.tables import Json, counted

SHOWN_DIGITS: Final = 16


@dataclass(frozen=True, slots=True)
class Copied:
    """What was written somewhere and read back: how much, and its digest in hexadecimal.

    `passwords` is how many went with it; none do where there are some already.
    """

    to: str
    instances: int
    hosts: int
    events: int
    digest: str
    passwords: int = 0


@dataclass(frozen=True, slots=True)
class Restored:
    """What was put back from a backup.

    `since` is when the last event of the backup was; ``None`` if it has none. The ids from
    `lost_from` to before `next_instance` are those that nothing is known of.
    """

    copied: Copied
    since: datetime | None
    lost_from: int
    next_instance: int


class Bookkeeper(Protocol):
    """Who opens the books; each may raise a TashiError, and has then changed nothing."""

    def upgrade(self) -> Sequence[str]:
        """Take the steps of the schema that are due; the words of each."""
        ...

    def copy(self, source: str, to: str) -> Copied:
        """Let the empty place at one URI begin with what is kept at another."""
        ...

    def back_up(self, file: str) -> Copied:
        """Write what is kept into a new file."""
        ...

    def restore(self, file: str, next_instance: int | None) -> Restored:
        """Let the empty place that is configured begin with what is in a backup."""
        ...


_Run = Callable[[Bookkeeper, Session, Given], None]

_URIS: Final = "file:///path, sqlite:///path or mysql://user@host/database"
FROM: Final = Argument(
    name="from", read=a.text, metavar="URI", required=True, words=f"where they are: {_URIS}"
)
TO: Final = Argument(
    name="to", read=a.text, metavar="URI", required=True, words="where they are to be; it is empty"
)
NEW_FILE: Final = Argument(
    name="file", read=a.text, metavar="FILE", required=True, words="the file to make"
)
BACKUP: Final = Argument(
    name="file",
    read=a.text,
    metavar="FILE",
    required=True,
    words="the backup, or a copy of a flat file",
)
NEXT_INSTANCE: Final[Argument[int | None]] = Argument(
    name="nextInstance",
    read=a.count,
    metavar="NUMBER",
    words="the id that the next instance gets (default: the next full 100000)",
)


def commands(bookkeeper: Callable[[], Bookkeeper]) -> tuple[Command, ...]:
    """The rows; who does the work is made when there is some."""

    def done_by(run: _Run) -> Callable[[Session, Given], None]:
        return lambda session, given: run(bookkeeper(), session, given)

    return (
        Command(
            name="upgradeDatabase",
            run=done_by(_upgrade),
            help="Bring a database of the books up to date, while no cluster manager runs.",
            examples=("",),
        ),
        Command(
            name="copyState",
            run=done_by(_copy),
            takes=(FROM, TO),
            help="Copy the books from one place to another, while no cluster manager runs.",
            examples=(
                "--from file:///var/tmp/cm.dat --to mysql://tashi@localhost/tashi",
                "--from mysql://tashi@localhost/tashi --to sqlite:////var/lib/tashi/books",
            ),
        ),
        Command(
            name="backup",
            run=done_by(_back_up),
            takes=(NEW_FILE,),
            help="Write the books into a new file; the cluster manager may run.",
            examples=("--file /backup/tashi-monday",),
        ),
        Command(
            name="restore",
            run=done_by(_restore),
            takes=(BACKUP, NEXT_INSTANCE),
            help="Begin empty books with a backup, while no cluster manager runs.",
            examples=(
                "--file /backup/tashi-monday",
                "--file /backup/tashi-monday --nextInstance 300000",
            ),
        ),
    )


def _upgrade(bookkeeper: Bookkeeper, session: Session, _given: Given) -> None:
    with session.terminal.busy("upgrading the database"):
        done = bookkeeper.upgrade()
    words = [f"Done: {words}." for words in done] or ["Nothing is due."]
    session.terminal.say("\n".join(words), {"done": list(done)})


def _copy(bookkeeper: Bookkeeper, session: Session, given: Given) -> None:
    with session.terminal.busy("copying the books"):
        copied = bookkeeper.copy(given[FROM], given[TO])
    session.terminal.say(_written(copied), _as_json(copied))


def _back_up(bookkeeper: Bookkeeper, session: Session, given: Given) -> None:
    with session.terminal.busy("backing up the books"):
        copied = bookkeeper.back_up(given[NEW_FILE])
    session.terminal.say(_written(copied), _as_json(copied))


def _restore(bookkeeper: Bookkeeper, session: Session, given: Given) -> None:
    with session.terminal.busy("putting the books back"):
        done = bookkeeper.restore(given[BACKUP], given[NEXT_INSTANCE])
    told = {
        **_as_json(done.copied),
        "since": done.since.isoformat() if done.since else None,
        "lostFrom": done.lost_from,
        "nextInstance": done.next_instance,
    }
    session.terminal.say(_put_back(done), told)


def _written(copied: Copied) -> str:
    beside = f" {counted(copied.passwords, 'password')} went with them." if copied.passwords else ""
    return (
        f"{counted(copied.instances, 'instance')}, {counted(copied.hosts, 'host')} and "
        f"{counted(copied.events, 'event')} are in {copied.to}; read back, they are the same "
        f"(digest {copied.digest[:SHOWN_DIGITS]}).{beside}"
    )


_PUT_BACK: Final = """{written}
What happened after {since} is lost. When nodes report to a cluster manager:
- A guest that is where the books have it goes on.
- A guest that the books have elsewhere, or not running, is ended.
- A guest with an id from {lost} to {last} is of an instance that the books do not know: it is
  left alone and named in the log.
Every host is drained, so that nothing starts twice: once all hosts have reported, open them with
undrain."""


def _put_back(done: Restored) -> str:
    return _PUT_BACK.format(
        written=_written(done.copied),
        since=f"{done.since:%Y-%m-%d %H:%M:%S}" if done.since else "it was made",
        lost=done.lost_from,
        last=done.next_instance - 1,
    )


def _as_json(copied: Copied) -> dict[str, Json]:
    return {
        "to": copied.to,
        "instances": copied.instances,
        "hosts": copied.hosts,
        "events": copied.events,
        "digest": copied.digest,
        "passwords": copied.passwords,
    }

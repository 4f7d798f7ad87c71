"""The functions about logging in: into tashi-client and out of it, and setting passwords."""

from pathlib import Path
from typing import Final

from tashi.client import arguments as a
from tashi.client.arguments import Argument, Given
from tashi.client.command import Command, Session
from tashi.client.terminal import Terminal
from tashi.domain.errors import NotLoggedIn, Refused
from tashi.wire.forms import UserForm

NAME: Final[Argument[str | None]] = Argument(
    name="user", read=a.text, metavar="NAME", words="the name to log in under (default: yours)"
)
WHOSE: Final[Argument[str | None]] = Argument(
    name="user", read=a.text, metavar="USER", words="whose, by id or name (default: your own)"
)
FILE: Final[Argument[str | None]] = Argument(
    name="file",
    read=a.text,
    metavar="FILE",
    words="a file whose first line is the new password (default: it is asked for)",
)


def _log_in(session: Session, given: Given) -> None:
    person, calls = session.person, session.cluster.calls
    person.name = given[NAME] or ""
    refusal = NotLoggedIn(
        "Nobody is here to be asked for the password: name a passwordFile in "
        "[AccessClusterManager]."
    )
    person.log_in(calls, refusal)
    key = person.user_id()
    session.terminal.say(f"You are logged in as user {key}.", {"userId": key})


def _log_out(session: Session, _given: Given) -> None:
    ended = session.person.log_out(session.cluster.calls)
    words = "You are logged out." if ended else "You were not logged in."
    session.terminal.say(words, {"ended": ended})


def _set_password(session: Session, given: Given) -> None:
    session.person.check_private()
    terminal, whose = session.terminal, given[WHOSE]
    user_id = None if whose is None else session.cluster.user_id(whose)
    current = ""
    if user_id is None and terminal.hidden is not None:
        current = terminal.hidden("Current password (just Enter if there is none): ")
    password = _new_password(terminal, given[FILE])
    user = session.cluster.calls.call(
        "setPassword", UserForm, password=password, user_id=user_id, current=current
    )
    terminal.say(
        f"The password of user {user.id} ({user.name}) is set.",
        {"id": user.id, "name": user.name},
    )


def _new_password(terminal: Terminal, file: str | None) -> str:
    if file is not None:
        try:
            with Path(file).open(encoding="utf-8") as lines:
                return lines.readline().rstrip("\r\n")
        except (OSError, UnicodeDecodeError) as wrong:
            why = wrong.strerror if isinstance(wrong, OSError) else "it is not UTF-8"
            raise Refused(f"The password in {file} cannot be read: {why}.") from wrong
    if terminal.hidden is None:
        raise Refused("Nobody is here to be asked for the password: give it with --file.")
    password = terminal.hidden("New password: ")
    if terminal.hidden("The new password again: ") != password:
        raise Refused("The two are not the same; nothing was changed.")
    return password


PEOPLES: Final = (
    Command(
        name="logIn",
        run=_log_in,
        takes=(NAME,),
        help="Log in with a password; commands ask for it by themselves when they must.",
        examples=("", "--user ada"),
    ),
    Command(
        name="logOut",
        run=_log_out,
        help="Let the log-in that is kept here be worth nothing.",
        examples=("",),
    ),
)
ADMINS: Final = (
    Command(
        name="setPassword",
        run=_set_password,
        takes=(WHOSE, FILE),
        help="Set your password, or as an administrator somebody's; it is asked for.",
        examples=("", "--user ada", "--user ada --file ./new-password"),
    ),
)

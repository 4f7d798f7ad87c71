"""Logging in: names and passwords, checked without holding anybody up, and not too often.

What is counted and given out belongs to one lane of jobs, the desk of log-ins. Checking a password
takes a while, and asking a directory may take long: both happen in lanes of their own, those of
Tashi's own passwords apart from those of the directory, so that a directory that hangs is no
trouble to who is not in it. Only so many are checked at a time; who comes then is told to try
again.

A refusal never says whether there is such a user, and comes no sooner than a while after the
question, whatever was looked up for it.
"""

from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass, field
from functools import partial
from logging import getLogger
from typing import Any
from zlib import crc32

from tashi.clustermanager.persons import Persons
from tashi.clustermanager.tickets import Tickets
from tashi.domain.catalogue import User
from tashi.domain.errors import (
    Broken,
    NotLoggedIn,
    NotPermitted,
    PasswordsFailed,
    Refused,
    TashiError,
    TooManyTries,
)
from tashi.domain.permissions import Caller, check_may_set_password
from tashi.domain.tries import Allowance, Tries, counted_as
from tashi.ports.clock import Clock
from tashi.ports.users import PasswordCheck, PasswordTable
from tashi.ports.workers import Workers
from tashi.wire.answers import TicketForm
from tashi.wire.forms import UserForm

_log = getLogger(__name__)

OF_A_NAME = Allowance(tries=5, seconds=20.0)
OF_AN_ADDRESS = Allowance(tries=20, seconds=5.0)
MOST_AT_ONCE = 32
REFUSED_AFTER_SECONDS = 1.0
SHORTEST, LONGEST = 8, 1024

_DESK = "log-ins"
_LANES = 4
_OURS, _THEIRS = "passwords", "passwords of the directory"


@dataclass(frozen=True, slots=True, kw_only=True)
class _Try:
    """One password under way: `prove` checks it in a worker, `won` follows at the desk.

    `prove` returns whose password it is, and None for nobody's.
    """

    name: str
    address: str
    lane: str
    began: float
    prove: Callable[[], User | None]
    won: Callable[[User], object]
    lost: TashiError
    answer: "Future[Any]" = field(default_factory=Future)


class LogIns:
    """Checks names and passwords, and gives tickets out.

    `check` asks whoever keeps the passwords of the directory's users; ``None`` where nobody does
    but Tashi.
    """

    def __init__(
        self,
        persons: Persons,
        table: PasswordTable,
        check: PasswordCheck | None,
        tickets: Tickets,
        clock: Clock,
        workers: Workers,
    ) -> None:
        self._persons = persons
        self._table = table
        self._check = check
        self._tickets = tickets
        self._clock = clock
        self._workers = workers
        self._names = Tries(OF_A_NAME)
        self._addresses = Tries(OF_AN_ADDRESS)
        self._under_way = {_OURS: 0, _THEIRS: 0}

    # -- what is asked, on any thread

    def log_in(self, caller: Caller, name: str, password: str) -> "Future[TicketForm]":
        """The ticket that a name and a password give.

        Raises Refused where somebody may listen; else NotLoggedIn, TooManyTries, or why nobody can
        say.
        """
        if not caller.private:
            raise Refused(
                "Passwords are only taken over an encrypted connection: set authAndEncrypt = True "
                "in [Security]."
            )
        _check_length(name)
        _check_length(password)
        return self._begun(
            _Try(
                name=name,
                address=caller.address,
                lane=_OURS if self._is_ours(name) else _THEIRS,
                began=self._clock.monotonic(),
                prove=partial(self._proven, name, password),
                won=self._ticket,
                lost=NotLoggedIn("The name or the password is not right."),
            )
        )

    def log_out(self, ticket: str) -> "Future[bool]":
        """Let a ticket be worth nothing; whether it was worth something."""
        answer: Future[bool] = Future()
        self._workers.run(_DESK, lambda: answer.set_result(self._tickets.end(ticket)))
        return answer

    def set_password(
        self, caller: Caller, user: User, password: str, current: str
    ) -> "Future[UserForm]":
        """Let that be a user's password; who is no administrator must know the current one.

        The user's tickets end. Raises NotPermitted, Refused, and as `log_in` does.
        """
        check_may_set_password(user.id, caller)
        _check_length(password)
        if len(password) < SHORTEST:
            raise Refused(f"A password has at least {SHORTEST} characters.")
        if not self._is_ours(user.name):
            raise Refused(f"The directory of users keeps the password of {user}: change it there.")

        def prove() -> User | None:
            free = caller.is_admin or not self._table.has(user)
            return user if free or self._table.proves(user, current) else None

        def won(user: User) -> UserForm:
            if self._persons.user(user.id) != user:
                raise NotPermitted(f"There is no {user} any more; nothing was changed.")
            self._table.set(user, password)
            self._tickets.end_all_of(user.id)
            return UserForm(user.id, user.name)

        return self._begun(
            _Try(
                name=user.name,
                address=caller.address,
                lane=_OURS,
                began=self._clock.monotonic(),
                prove=prove,
                won=won,
                lost=NotPermitted("That is not the current password; nothing was changed."),
            )
        )

    def forget(self, user: User) -> None:
        """Let nobody be that user any longer by a ticket or by a password of Tashi's own."""

        def act() -> None:
            self._tickets.end_all_of(user.id)
            try:
                self._table.forget(user)
            except PasswordsFailed as error:
                _log.warning("The password of %s is kept, though nobody has it: %s", user, error)

        self._workers.run(_DESK, act)

    def _is_ours(self, name: str) -> bool:
        return self._check is None or self._persons.is_local(name)

    # -- checking, in a worker

    def _proven(self, name: str, password: str) -> User | None:
        if self._persons.may_know(name):
            self._persons.wait()
        user = self._persons.named(name)
        if self._check is None or self._is_ours(name):
            return user if self._table.proves(user, password) else None
        return user if self._check.proves(name, password) else None

    # -- the desk, in its lane

    def _begun(self, one: _Try) -> "Future[Any]":
        self._workers.run(_DESK, partial(self._begin, one))
        return one.answer

    def _begin(self, one: _Try) -> None:
        now = self._clock.monotonic()
        wait = max(
            self._names.wait_seconds(one.name, now),
            self._addresses.wait_seconds(counted_as(one.address), now),
        )
        if wait > 0:
            one.answer.set_exception(
                TooManyTries(f"Too many log-ins have failed: try again in {wait + 0.5:.0f} s.")
            )
        elif self._under_way[one.lane] >= MOST_AT_ONCE:
            one.answer.set_exception(
                TooManyTries("Too many log-ins are under way: try again in a moment.")
            )
        else:
            self._names.use(one.name, now)
            self._addresses.use(counted_as(one.address), now)
            self._under_way[one.lane] += 1
            lane = f"{one.lane} {crc32(one.name.encode(errors='replace')) % _LANES}"
            self._workers.run(lane, partial(self._try, one))

    def _try(self, one: _Try) -> None:
        outcome: User | TashiError | None = Broken("Tashi made a mistake; its log says more.")
        try:
            outcome = one.prove()
        except TashiError as error:
            outcome = error
        finally:
            self._workers.run(_DESK, partial(self._end, one, outcome))

    def _end(self, one: _Try, outcome: User | TashiError | None) -> None:
        self._under_way[one.lane] -= 1
        if outcome is None:
            left = one.began + REFUSED_AFTER_SECONDS - self._clock.monotonic()
            self._workers.after(max(0.0, left), _DESK, lambda: one.answer.set_exception(one.lost))
            return
        self._names.give_back(one.name)
        self._addresses.give_back(counted_as(one.address))
        if isinstance(outcome, TashiError):
            one.answer.set_exception(outcome)
            return
        self._names.forgive(one.name)
        try:
            one.answer.set_result(one.won(outcome))
        except TashiError as error:
            one.answer.set_exception(error)

    def _ticket(self, user: User) -> TicketForm:
        ticket = self._tickets.give(user)
        return TicketForm(ticket, self._tickets.seconds, user.id, user.name)


def _check_length(text: str) -> None:
    if len(text) > LONGEST:
        raise Refused(f"A name and a password have at most {LONGEST} characters.")

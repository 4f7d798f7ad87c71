"""A client of a fake cluster manager: words in, output and exit code out, as a shell has them."""

import io
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

from fakes.clusters import FakeClusterManager
from tashi.client import admin, commands
from tashi.client.command import Command
from tashi.client.door import Way
from tashi.client.parser import Front
from tashi.client.person import Login, Ticket
from tashi.client.run import World, run
from tashi.client.terminal import Terminal

CLIENT = Front("tashi-client", "What users do.", commands.COMMANDS)


@dataclass(frozen=True)
class Ended:
    """How a run ended."""

    code: int
    out: str
    err: str


def admin_front(
    mistakes: tuple[str, ...] = (), warnings: tuple[str, ...] = (), rooms: Iterable[Command] = ()
) -> Front:
    """tashi-admin on a machine whose configuration has these mistakes and warnings."""
    rows = admin.commands(lambda: (mistakes, warnings), rooms)
    return Front("tashi-admin", "What administrators do.", rows)


@dataclass
class FakePocket:
    """Keeps the protocol `Pocket` in memory."""

    held: Ticket | None = None

    def find(self) -> Ticket | None:
        return self.held

    def keep(self, ticket: Ticket | None) -> None:
        self.held = ticket


@dataclass
class Shell:
    """Where clients are started: by which user, on how wide a terminal (None: into a file)."""

    manager: FakeClusterManager
    front: Front = CLIENT
    uid: int = 1000
    width: int | None = None
    link: Callable[[], Way] | None = None
    debug: bool = True
    caution: str | None = None
    typed: str | None = None
    """What is typed when the client asks; None: nobody is there."""
    hidden: list[str] | None = None
    """The same for what is not shown."""
    login: Login = Login("ada")
    pocket: FakePocket = field(default_factory=FakePocket)
    asked: list[str] = field(default_factory=list)
    """The questions whose answers are not shown."""

    def _type_hidden(self, question: str) -> str:
        self.asked.append(question)
        assert self.hidden is not None
        return self.hidden.pop(0)

    def type(self, *words: str) -> Ended:
        """Run a client with these words."""
        out, err = io.StringIO(), io.StringIO()
        world = World(
            terminal=Terminal(
                out=out,
                err=err,
                out_width=self.width,
                err_width=self.width,
                keys=None if self.typed is None else io.StringIO(self.typed),
                hidden=None if self.hidden is None else self._type_hidden,
            ),
            link=self.link or self.manager.link,
            uid=self.uid,
            login=lambda: self.login,
            pocket=lambda: self.pocket,
            clock=self.manager.clock,
            local_time=lambda at: f"at {at:.0f}",
            environment={"DEBUG": "1"} if self.debug else {},
            version="0.1.0",
            show_settings=lambda as_json: '{"json": true}' if as_json else "[Client]",
            caution=lambda: self.caution,
        )
        code = run(self.front, words, world)
        return Ended(code, out.getvalue(), err.getvalue())

"""What both clients find around them: the streams, the settings, the way to the cluster manager.

Nothing is read or connected before it is needed: most of what can be wrong with a command line is
said without a configuration file or a cluster manager.
"""

import gc
import io
import os
import sys
import time
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, TextIO

import tashi
from tashi.client.door import Way
from tashi.client.parser import Front
from tashi.client.person import Login, Pocket
from tashi.client.run import World, run
from tashi.client.terminal import Terminal
from tashi.domain.errors import Refused
from tashi.programs.printing import let_go
from tashi.supervisor.background import fill_standard_descriptors

if TYPE_CHECKING:
    from tashi.adapters.rpyc.peers import Link as Line
    from tashi.settings.load import Settings


def enter(front: Front, words: Sequence[str]) -> int:
    """Run a client on this process's streams and environment; returns the exit code."""
    gc.freeze()
    gc.enable()
    fill_standard_descriptors()
    out, err = sys.stdout, sys.stderr = _there(sys.stdout, 1), _there(sys.stderr, 2)
    for stream in (out, err):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")
    if isinstance(sys.stdin, io.TextIOWrapper):
        sys.stdin.reconfigure(errors="replace")  # what is typed is answered, whatever it is
    world = World(
        terminal=Terminal(
            out=out,
            err=err,
            out_width=_width(out),
            err_width=_width(err),
            keys=sys.stdin if sys.stdin and sys.stdin.isatty() else None,
            hidden=_ask_hidden if sys.stdin and sys.stdin.isatty() else None,
        ),
        link=_link,
        uid=os.getuid(),
        login=_login,
        pocket=_pocket,
        clock=time.monotonic,
        local_time=lambda at: time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(at)),
        environment=os.environ,
        version=tashi.__version__,
        show_settings=_show_settings,
        caution=_caution,
    )
    code = run(front, words, world)
    for stream in (out, err):
        try:
            stream.flush()
        except OSError:  # it was said already, and is no better at the end
            let_go(stream.fileno())
    return code


def _there(stream: TextIO | None, number: int) -> TextIO:
    """A standard stream; where the caller has closed it, one that leads nowhere."""
    return os.fdopen(number, "w") if stream is None else stream


def _width(stream: TextIO) -> int | None:
    return os.get_terminal_size(stream.fileno()).columns or 80 if stream.isatty() else None


def _ask_hidden(question: str) -> str:
    from getpass import getpass

    try:
        return getpass(question, sys.stderr)
    except EOFError as nothing:
        sys.stderr.write("\n")
        raise Refused("No password was typed; nothing was done.") from nothing
    except UnicodeDecodeError as wrong:
        raise Refused("What was typed is no UTF-8 text; nothing was done.") from wrong


def _login() -> Login:
    from tashi.programs.passwords import password_in
    from tashi.settings.sections.security import AccessClusterManagerSettings

    ours = _settings().of(AccessClusterManagerSettings)
    password = ours.password or None
    if password is None and ours.password_file is not None:
        password = password_in(ours.password_file, "[AccessClusterManager] passwordFile")
    return Login(ours.username or _user_name(), password)


def _user_name() -> str:
    """Who runs this, by the environment or the machine's users; empty for nobody of these."""
    from getpass import getuser

    try:
        return getuser()
    except KeyError:
        return ""


def _pocket() -> Pocket:
    from tashi.programs.pocket import TicketFile
    from tashi.settings.sections.client import ClientSettings
    from tashi.settings.sections.security import SecuritySettings

    settings = _settings()
    if not settings.of(SecuritySettings).auth_and_encrypt:
        return TicketFile(None)
    try:
        folder = Path("~/.tashi/tickets").expanduser()
    except RuntimeError:  # whoever has no home keeps nothing there
        return TicketFile(None)
    client = settings.of(ClientSettings)
    name = ",".join(f"{host}:{port}" for host, port in client.cluster_managers)
    return TicketFile(folder / name)


@cache
def _settings() -> "Settings":
    from tashi.settings.load import load
    from tashi.settings.search import Program

    return load(Program.CLIENT, os.environ)


def _caution() -> str | None:
    from tashi.settings.sections.security import SecuritySettings

    if not _settings().of(SecuritySettings).auth_and_encrypt:
        return None
    from tashi.programs import proving

    return proving.warning_to_person()


def _link() -> Way:
    from tashi.adapters.rpyc.leading import LeaderLink

    return LeaderLink(list(ways().values()))


def ways() -> "dict[str, Line]":
    """A link to each of the cluster managers, by its address; raises Misconfigured."""
    from tashi.adapters.rpyc.peers import CONNECT_SECONDS, LocalLink
    from tashi.adapters.rpyc.peers import Link as OverNetwork
    from tashi.adapters.system.addresses import is_this_machine
    from tashi.settings.sections.client import ClientSettings
    from tashi.settings.sections.security import SecuritySettings

    settings = _settings()
    client = settings.of(ClientSettings)
    # Where there are several, one that is gone must not take all the time there is.
    alone = len(client.cluster_managers) == 1
    seconds = client.cluster_manager_timeout if alone else CONNECT_SECONDS
    security = settings.of(SecuritySettings)
    path = security.local_socket
    here = path if path is not None and os.access(path, os.W_OK) else None
    secrets = None
    if security.auth_and_encrypt:
        from tashi.programs import proving

        secrets = proving.persons(settings)

    def link(address: tuple[str, int]) -> "Line":
        if here is not None and is_this_machine(address[0]):
            return LocalLink(here, connect_seconds=seconds)
        return OverNetwork(address, connect_seconds=seconds, secrets=secrets)

    return {f"{host}:{port}": link((host, port)) for host, port in client.cluster_managers}


def _show_settings(as_json: bool) -> str:
    from tashi.settings import show

    settings = _settings()
    return show.as_json(settings) if as_json else show.as_text(settings)

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
from typing import TextIO

import tashi
from tashi.client.parser import Front
from tashi.client.run import NOBODY_READS, World, run
from tashi.client.terminal import Terminal
from tashi.wire.calls import Link


def enter(front: Front, words: Sequence[str]) -> int:
    """Run a client on this process's streams and environment; returns the exit code."""
    gc.freeze()
    gc.enable()
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")
    world = World(
        terminal=Terminal(
            out=sys.stdout,
            err=sys.stderr,
            out_width=_width(sys.stdout),
            err_width=_width(sys.stderr),
            keys=sys.stdin if sys.stdin and sys.stdin.isatty() else None,
        ),
        link=_link,
        uid=os.getuid(),
        clock=time.monotonic,
        local_time=lambda at: time.strftime("%H:%M:%S", time.localtime(at)),
        environment=os.environ,
        version=tashi.__version__,
        show_settings=_show_settings,
    )
    code = run(front, words, world)
    if code == NOBODY_READS:  # nor is there anybody for what is flushed at the end
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return code


def _width(stream: TextIO) -> int | None:
    return os.get_terminal_size(stream.fileno()).columns or 80 if stream.isatty() else None


def _link() -> Link:
    from tashi.adapters.rpyc.peers import Link as Line
    from tashi.settings.load import load
    from tashi.settings.search import Program
    from tashi.settings.sections.client import ClientSettings

    client = load(Program.CLIENT, os.environ).of(ClientSettings)
    address = (client.cluster_manager_host, client.cluster_manager_port)
    return Line(address, connect_seconds=client.cluster_manager_timeout)


def _show_settings(as_json: bool) -> str:
    from tashi.settings import show
    from tashi.settings.load import load
    from tashi.settings.search import Program

    settings = load(Program.CLIENT, os.environ)
    return show.as_json(settings) if as_json else show.as_text(settings)

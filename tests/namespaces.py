"""Network namespaces as hosts: each with loopback and a thread that lives in it.

What runs in that thread opens its sockets and TAPs, and starts its programs, in the namespace.
"""

import itertools
import os
import subprocess
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import TypeVar

from pyroute2.netns import setns

T = TypeVar("T")

_numbers = itertools.count(1)


class Namespace:
    """A network namespace; to be closed."""

    def __init__(self) -> None:
        self.name = f"tashi-{os.getpid()}-{next(_numbers)}"
        _run("ip", "netns", "add", self.name)
        self._inside = ThreadPoolExecutor(1, self.name, setns, (self.name,))
        self.ip("link", "set", "lo", "up")

    def close(self) -> None:
        """Remove it with all that is in it."""
        self._inside.shutdown()
        _run("ip", "netns", "del", self.name)

    def take(self, card: str) -> None:
        """Have a network card of the outside, with the name that it has."""
        _run("ip", "link", "set", card, "netns", self.name)

    def call(self, function: Callable[..., T], *arguments: object, **more: object) -> T:
        """What the function returns in there."""
        return self._inside.submit(function, *arguments, **more).result()

    def run(self, *command: str) -> str:
        """What a program says that is run in there."""
        return _run("ip", "netns", "exec", self.name, *command)

    def ip(self, *arguments: str) -> str:
        """What `ip` says in there."""
        return _run("ip", "-n", self.name, *arguments)

    def devices(self) -> set[str]:
        """The names of all network devices but loopback, and of those that the kernel brings."""
        lines = self.ip("-o", "link").splitlines()
        names = {line.split(": ")[1].split("@")[0] for line in lines}
        return {name for name in names if not name.startswith(("lo", "ifb"))}


@contextmanager
def namespaces(number: int) -> Iterator[list[Namespace]]:
    """So many namespaces."""
    made: list[Namespace] = []
    try:
        for _ in range(number):
            made.append(Namespace())  # noqa: PERF401  those made so far are closed after a failure
        yield made
    finally:
        for each in made:
            each.close()


def cable(one: Namespace, other: Namespace, name: str = "eth0") -> None:
    """Connect two namespaces by a network card of that name in each."""
    _run(
        *("ip", "link", "add", "name", name, "netns", one.name, "type", "veth"),
        *("peer", "name", name, "netns", other.name),
    )
    for number, each in enumerate((one, other), start=1):
        each.ip("addr", "add", f"10.9.9.{number}/24", "dev", name)
        each.ip("link", "set", name, "up")


def _run(*command: str) -> str:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"{' '.join(command)}: {done.stderr}"
    return done.stdout

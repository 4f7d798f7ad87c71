"""What a test leaves behind: threads, child processes, open descriptors.

`tests/conftest.py` takes one picture before each test and one after it; what is only in the second
is a leak, and the test fails with its name. Fixtures of a wider scope are set up before the first
picture, so what they hold is not counted.
"""

import gc
import os
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

GRACE_SECONDS = 10.0
"""How long a thread or child that was told to end may take to be gone."""
KEPT: set[int] = set()
"""Children, by number, of a fixture with a wider scope that a test had started again."""


@dataclass(frozen=True, slots=True)
class Belongings:
    """What this process holds at one moment, each thing with the words a report needs."""

    threads: dict[int, str]
    children: dict[int, str]
    descriptors: dict[int, str]

    @classmethod
    def now(cls) -> "Belongings":
        """Take a picture."""
        return cls(_threads(), _children(), _descriptors())

    def gained_since(self, before: "Belongings") -> list[str]:
        """Say in one line each what is here that was not there before."""
        return [
            f"{kind} {key}: {words}"
            for kind, new, old in (
                ("thread", self.threads, before.threads),
                ("child process", self.children, before.children),
                ("descriptor", self.descriptors, before.descriptors),
            )
            for key, words in sorted(new.items())
            if old.get(key) != words
        ]


def left_since(before: Belongings, clock: Callable[[], float] = time.monotonic) -> list[str]:
    """Say what has been left behind, once what is ending has had its grace."""
    left = Belongings.now().gained_since(before)
    if not left:
        return []

    gc.collect()
    deadline = clock() + GRACE_SECONDS
    for thread in threading.enumerate():
        if thread.ident not in before.threads and thread is not threading.current_thread():
            thread.join(max(0.0, deadline - clock()))
    return Belongings.now().gained_since(before)


def _threads() -> dict[int, str]:
    return {thread.ident or 0: thread.name for thread in threading.enumerate()}


def _descriptors() -> dict[int, str]:
    found = {}
    for entry in Path("/proc/self/fd").iterdir():
        try:
            found[int(entry.name)] = str(entry.readlink())
        except FileNotFoundError:  # the one that read the folder
            continue
    return found


def _children() -> dict[int, str]:
    if not _has_children():
        return {}
    found = {}
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            name, _, rest = (folder / "stat").read_text().partition("(")[2].rpartition(")")
            words = (folder / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
        except (FileNotFoundError, ProcessLookupError):  # ended while we looked
            continue
        if int(rest.split()[1]) == os.getpid() and int(folder.name) not in KEPT:
            found[int(folder.name)] = words.strip() or f"{name} (ended, nobody waited for it)"
    return found


def _has_children() -> bool:
    """One system call that spares most tests the walk through /proc."""
    try:
        os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT)
    except ChildProcessError:
        return False
    return True

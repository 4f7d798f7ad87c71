"""Flat files for the tests of this room: made, opened, and made to fail."""

import errno
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from tashi.adapters.store.flatfile import FlatFile
from tashi.adapters.store.steps import OnStep, Step, unheard
from tashi.domain.journal import Commit, Kept


@contextmanager
def loaded(path: Path, on_step: OnStep = unheard, least_growth: int = 10**6) -> Iterator[FlatFile]:
    """A store on that file, loaded, and closed afterwards."""
    store = FlatFile(path, on_step=on_step, least_growth=least_growth)
    store.load()
    try:
        yield store
    finally:
        store.close()


def contents(path: Path) -> Kept:
    """What a store loads from that file."""
    store = FlatFile(path)
    try:
        return store.load()
    finally:
        store.close()


def write_journal(path: Path, commits: Sequence[Commit]) -> list[int]:
    """Make a file with those commits; gives the offsets where its lines begin, and its size."""
    with loaded(path) as store:
        offsets = [0, path.stat().st_size]
        for commit in commits:
            store.commit(commit)
            offsets.append(path.stat().st_size)
    return offsets


def failing(*steps: Step, after: int = 0, number: int = errno.EIO) -> OnStep:
    """A listener that lets these steps fail, once each and in that order, after so many."""
    left = [*[None] * after, *steps]

    def on_step(step: Step) -> None:
        awaited = next((one for one in left if one is not None), None)
        if step is not awaited:
            return
        if left.pop(0) is not None:
            raise OSError(number, os.strerror(number))

    return on_step

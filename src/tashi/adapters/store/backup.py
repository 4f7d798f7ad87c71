"""Copies of the books: one file, one store from another, and how they are told to be the same.

A backup is a flat file at rest: JSON lines with checksums, the first of which names the schema and
how many follow. So it is read like one, an older one is brought up to date, and a copy that
somebody made of a flat file is a backup as well.

A digest depends on what is kept and on nothing else, so it is the same wherever that is.
"""

import hashlib
import os
from collections.abc import Callable
from pathlib import Path
from typing import Final

from tashi.adapters.store.holdings import kept
from tashi.adapters.store.lines import beginning, texts_of
from tashi.adapters.store.ownership import open_trusted, said_plainly
from tashi.adapters.store.reading import read_books
from tashi.adapters.store.snapshot import fresh_file
from tashi.adapters.store.steps import unheard
from tashi.domain.errors import Misconfigured, Refused, StoreFailed
from tashi.domain.journal import Kept
from tashi.ports.store import Store

_FILE: Final = "--file"


def digest_of(books: Kept) -> str:
    """SHA-256 over all that is kept, in hexadecimal."""
    lines = sorted(beginning(texts_of(books)))  # stores differ in the order of records
    return hashlib.sha256(b"".join(lines)).hexdigest()


def write_backup(path: Path, books: Kept) -> str:
    """Make the file, whole and durable or not at all, and read it back; the digest.

    Raises Refused when there is something of that name, or of that with .new behind it,
    Misconfigured and StoreFailed.
    """
    new = path.with_name(f"{path.name}.new")
    for each in (path, new):
        expect_no_file(each)
    with said_plainly(path, _FILE):
        file = fresh_file(new, texts_of(books), unheard)
        try:
            file.take_the_place_of(path, unheard)
        finally:
            file.close()
    return _proven(books, read_backup(path), path)


def expect_no_file(path: Path) -> None:
    """Raise Refused when there is something of that name."""
    if os.path.lexists(path):
        raise Refused(f"{path} is there already: name another file, or remove it.")


def read_backup(path: Path) -> Kept:
    """What the backup holds; raises Misconfigured and StoreFailed."""
    with said_plainly(path, _FILE):
        file = open_trusted(path, _FILE)
        if file is None:
            raise Misconfigured(f"There is no file {path}: name a backup.")
        with file:
            return kept(read_books(path, file, setting=_FILE).records)


def expect_empty(store: Store, name: str) -> None:
    """Raise Refused unless the store holds nothing, and what `look` raises."""
    there = store.look()
    if there != Kept():
        raise Refused(
            f"{name} holds books already ({len(there.records)} records, {there.number} commits), "
            "and nothing is written over them: name an empty place, or move these away first."
        )


def put_into(
    store: Store, name: str, books: Kept, first: Callable[[], object] = lambda: None
) -> str:
    """Let an empty store begin with those books, and read them back; the digest.

    `first` is called when the store is ours, and before it has books. Raises Refused, what that
    raises, and what `load` and `fill` raise; no books are there then, or all of them.
    """
    expect_empty(store, name)
    try:
        store.load()
        first()
        store.fill(books)
    finally:
        store.close()
    return _proven(books, store.look(), name)


def _proven(books: Kept, there: Kept, place: object) -> str:
    digest = digest_of(books)
    if digest_of(there) != digest:
        raise StoreFailed(f"What stands in {place} is not what was written: do not use it.")
    return digest

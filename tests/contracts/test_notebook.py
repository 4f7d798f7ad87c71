"""What every notebook promises: pages whole or not at all, and kept when a method returns."""

import resource
import tempfile
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Protocol

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fakes.notebook import MemoryNotebook
from tashi.adapters.journal.notebook import FolderNotebook
from tashi.domain.errors import StoreFailed
from tashi.domain.identity import Epoch, InstanceId
from tashi.ports.notebook import Notebook

ONE, TWO = InstanceId(1), InstanceId(2)


class Place(Protocol):
    """Where notes lie; it outlives the notebooks that are opened on it."""

    def open(self) -> Notebook:
        """A notebook on the notes, in place of the one before."""
        ...

    def full(self) -> AbstractContextManager[None]:
        """While the disk takes nothing more."""
        ...

    def close(self) -> None:
        """Let go of the notes."""
        ...


class MemoryPlace:
    """The memory of this process."""

    def __init__(self, _: Path) -> None:
        self._notebook = MemoryNotebook()

    def open(self) -> Notebook:
        return self._notebook

    @contextmanager
    def full(self) -> Iterator[None]:
        self._notebook.is_full = True
        yield
        self._notebook.is_full = False

    def close(self) -> None:
        """Nothing is held."""


class FolderPlace:
    """A folder on a real disk; full means that the kernel lets no file of ours grow."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder / "notes"
        self._notebook: FolderNotebook | None = None

    def open(self) -> Notebook:
        self.close()
        self._notebook = FolderNotebook(self._folder, "h1")
        return self._notebook

    @contextmanager
    def full(self) -> Iterator[None]:
        soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
        resource.setrlimit(resource.RLIMIT_FSIZE, (0, hard))
        try:
            yield
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))

    def close(self) -> None:
        if self._notebook is not None:
            self._notebook.close()
        self._notebook = None


Make = Callable[[Path], Place]
PLACES: dict[str, Make] = {"memory": MemoryPlace, "folder": FolderPlace}


@pytest.fixture(params=PLACES)
def place(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Place]:
    made = PLACES[request.param](tmp_path)
    yield made
    made.close()


def test_a_new_notebook_is_empty(place: Place) -> None:
    notebook = place.open()

    assert dict(notebook.pages()) == {}
    assert notebook.epoch() == 0


def test_a_page_is_kept_in_place_of_the_old_one(place: Place) -> None:
    notebook = place.open()

    notebook.write(ONE, b"first, and long")
    notebook.write(TWO, b"another guest")
    notebook.write(ONE, b"second")

    assert dict(notebook.pages()) == {ONE: b"second", TWO: b"another guest"}


@pytest.mark.parametrize("page", [b"", bytes(range(256)), b"\n" * 100_000])
def test_a_page_may_hold_anything(place: Place, page: bytes) -> None:
    notebook = place.open()

    notebook.write(ONE, page)

    assert dict(place.open().pages()) == {ONE: page}


def test_a_page_that_is_torn_out_is_gone_and_the_others_stay(place: Place) -> None:
    notebook = place.open()
    notebook.write(ONE, b"one")
    notebook.write(TWO, b"two")

    notebook.tear_out(ONE)
    notebook.tear_out(ONE)

    assert dict(place.open().pages()) == {TWO: b"two"}


def test_the_epoch_is_kept_apart_from_the_pages(place: Place) -> None:
    notebook = place.open()
    notebook.write(ONE, b"one")

    notebook.keep_epoch(Epoch(7))
    notebook.tear_out(ONE)

    again = place.open()
    assert again.epoch() == 7
    assert dict(again.pages()) == {}


def test_a_full_disk_refuses_and_what_was_kept_stays(place: Place) -> None:
    notebook = place.open()
    notebook.write(ONE, b"old")
    notebook.keep_epoch(Epoch(3))

    with place.full():
        with pytest.raises(StoreFailed):
            notebook.write(ONE, b"new")
        with pytest.raises(StoreFailed):
            notebook.write(TWO, b"new")
        with pytest.raises(StoreFailed):
            notebook.keep_epoch(Epoch(4))
        kept = dict(notebook.pages()), notebook.epoch()
    notebook.write(TWO, b"room again")

    assert kept == ({ONE: b"old"}, 3)
    assert dict(place.open().pages()) == {ONE: b"old", TWO: b"room again"}
    assert place.open().epoch() == 3


def test_a_page_can_be_torn_out_on_a_full_disk(place: Place) -> None:
    notebook = place.open()
    notebook.write(ONE, b"one")

    with place.full():
        notebook.tear_out(ONE)

    assert dict(place.open().pages()) == {}


Change = tuple[int, bytes | None]

guests = st.integers(1, 3)
changes = st.lists(st.tuples(guests, st.none() | st.binary(max_size=20)), max_size=12)


@pytest.mark.parametrize("make", PLACES.values(), ids=PLACES.keys())
@given(changes=changes, reopened_after=st.sets(st.integers(0, 11), max_size=2))
def test_whatever_is_written_and_torn_out_the_last_word_on_each_guest_holds(
    make: Make, changes: list[Change], reopened_after: set[int]
) -> None:
    with tempfile.TemporaryDirectory() as folder:
        place = make(Path(folder))
        notebook = place.open()
        expected: dict[InstanceId, bytes] = {}

        for at, (guest, page) in enumerate(changes):
            key = InstanceId(guest)
            if page is None:
                notebook.tear_out(key)
                expected.pop(key, None)
            else:
                notebook.write(key, page)
                expected[key] = page
            if at in reopened_after:
                notebook = place.open()

        found = dict(place.open().pages())
        place.close()
        assert found == expected

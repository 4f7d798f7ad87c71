"""What every journal promises: whole lines in their order, durable, whoever reads meanwhile."""

import resource
from collections.abc import Iterator
from pathlib import Path

import pytest

from tashi.adapters.accounting.reading import FolderReader
from tashi.adapters.accounting.writing import FolderWriter
from tashi.domain.errors import StoreFailed
from tashi.ports.journal import JournalReader, JournalWriter

AT = 1_700_000_000.0
FIRST = b'{"instances":[],"hosts":[],"networks":[],"users":[],"next":%d,"at":1.0}\n'


def event(number: int) -> bytes:
    return b'{"number":%d,"at":1.0,"line":"","by":"","kind":"host","key":1}\n' % number


def lines(reader: JournalReader) -> list[list[bytes]]:
    """What stands in each volume."""
    return [[line for line, _ in reader.lines(volume)] for volume in reader.volumes()]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "journal"


@pytest.fixture
def writer(folder: Path) -> Iterator[JournalWriter]:
    made = FolderWriter(folder)
    yield made
    made.close()


@pytest.fixture
def reader(folder: Path) -> JournalReader:
    return FolderReader(folder)


def test_a_new_journal_is_empty(writer: JournalWriter, reader: JournalReader) -> None:
    assert writer.next() is None
    assert lines(reader) == []


def test_lines_stand_in_the_order_in_which_they_came(
    writer: JournalWriter, reader: JournalReader
) -> None:
    writer.begin(FIRST % 7, AT)
    before = writer.next()

    writer.append(event(7) + event(8))
    writer.append(b"")
    writer.append(event(9))

    assert (before, writer.next()) == (7, 10)
    assert lines(reader) == [[FIRST % 7, event(7), event(8), event(9)]]


def test_volumes_follow_each_other(writer: JournalWriter, reader: JournalReader) -> None:
    writer.begin(FIRST % 1, AT)
    writer.append(event(1))
    grown = writer.grown

    writer.begin(FIRST % 2, AT + 60)

    assert (grown, writer.grown) == (len(event(1)), 0)
    assert [(one.number, one.began) for one in reader.volumes()] == [(1, AT), (2, AT + 60)]
    assert lines(reader) == [[FIRST % 1, event(1)], [FIRST % 2]]


def test_reading_goes_on_where_it_ended(writer: JournalWriter, reader: JournalReader) -> None:
    writer.begin(FIRST % 1, AT)
    [volume] = reader.volumes()
    [(_, place)] = reader.lines(volume)

    writer.append(event(1))

    assert [line for line, _ in reader.lines(volume, place)] == [event(1)]


def test_what_was_written_is_there_for_the_next_writer(folder: Path) -> None:
    one = FolderWriter(folder)
    one.begin(FIRST % 1, AT)
    one.append(event(1))
    one.close()
    one.close()

    another = FolderWriter(folder)
    following, grown = another.next(), another.grown
    another.close()

    assert (following, grown) == (2, len(event(1)))


def test_a_full_disk_takes_nothing_and_everything_once_it_is_mended(
    writer: JournalWriter, reader: JournalReader
) -> None:
    writer.begin(FIRST % 1, AT)
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (len(FIRST % 1) + 10, hard))
    try:
        with pytest.raises(StoreFailed, match="could not be written"):
            writer.append(event(1))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))

    following = writer.next()
    writer.append(event(1))

    assert following == 1
    assert lines(reader) == [[FIRST % 1, event(1)]]

"""The journal's files after crashes, in the wrong hands, compressed and moved away."""

import gzip
import logging
from pathlib import Path

import pytest

from contracts.test_journal import AT, FIRST, event, lines
from tashi.adapters.accounting import writing
from tashi.adapters.accounting.reading import FolderReader
from tashi.adapters.accounting.writing import FolderWriter
from tashi.domain.errors import Misconfigured, Refused, StoreFailed

NAME = "000001-20231114T221320Z.jsonl"


def a_volume(folder: Path, *numbers: int) -> bytes:
    """Write a volume with these events; what stands in it."""
    writer = FolderWriter(folder)
    writer.begin(FIRST % 1, AT)
    writer.append(b"".join(map(event, numbers)))
    writer.close()
    return (folder / NAME).read_bytes()


def next_after(folder: Path) -> int | None:
    writer = FolderWriter(folder)
    try:
        return writer.next()
    finally:
        writer.close()


def test_whatever_a_crash_left_of_the_last_line_is_cut_off(tmp_path: Path) -> None:
    whole = a_volume(tmp_path, 1, 2)
    good = len(whole) - len(event(2))

    for end in range(good, len(whole)):
        (tmp_path / NAME).write_bytes(whole[:end])
        assert next_after(tmp_path) == 2
        assert (tmp_path / NAME).read_bytes() == whole[:good]
    assert not list(tmp_path.glob("*.cut"))


def test_what_stands_behind_damage_is_put_aside(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    whole = a_volume(tmp_path, 1)
    hole = b"\0" * 40 + b"\n" + event(3)
    (tmp_path / NAME).write_bytes(whole + hole)

    with caplog.at_level(logging.WARNING):
        following = next_after(tmp_path)

    assert following == 2
    assert (tmp_path / NAME).read_bytes() == whole
    assert (tmp_path / f"{NAME}.cut").read_bytes() == hole
    assert "put aside" in caplog.text


def test_an_event_that_comes_after_a_later_one_is_damage(tmp_path: Path) -> None:
    whole = a_volume(tmp_path, 1, 2)
    (tmp_path / NAME).write_bytes(whole + event(2))

    assert next_after(tmp_path) == 3
    assert (tmp_path / NAME).read_bytes() == whole


def test_a_volume_without_its_beginning_is_left_alone(tmp_path: Path) -> None:
    a_volume(tmp_path, 1)
    (tmp_path / NAME).write_bytes(b"broken\n" + event(1))

    with pytest.raises(Misconfigured, match=r"damaged at its beginning .* move it away"):
        next_after(tmp_path)
    assert (tmp_path / NAME).read_bytes() == b"broken\n" + event(1)


def test_a_volume_that_was_never_finished_is_none(tmp_path: Path) -> None:
    a_volume(tmp_path, 1)
    (tmp_path / "000002-20231114T221330Z.jsonl.new").write_bytes(b"half")

    assert next_after(tmp_path) == 2
    assert [path.name for path in tmp_path.glob("0*")] == [NAME]


def test_two_do_not_write_one_journal(tmp_path: Path) -> None:
    writer = FolderWriter(tmp_path)

    with pytest.raises(Refused, match="Another accounting daemon writes the journal"):
        FolderWriter(tmp_path)
    writer.close()


def test_a_folder_that_cannot_be_made_is_named_with_its_setting(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")

    with pytest.raises(Misconfigured, match=r"file/journal .*set journal in \[AccountingService\]"):
        FolderWriter(tmp_path / "file/journal")


def test_a_compressed_volume_is_read_like_any_other(tmp_path: Path) -> None:
    whole = a_volume(tmp_path, 1, 2)
    (tmp_path / f"{NAME}.gz").write_bytes(gzip.compress(whole))
    both = lines(FolderReader(tmp_path))
    (tmp_path / NAME).unlink()

    reader = FolderReader(tmp_path)
    [volume] = reader.volumes()

    assert lines(reader) == both == [[FIRST % 1, event(1), event(2)]]
    assert [line for line, _ in reader.lines(volume, len(FIRST % 1))] == [event(1), event(2)]


def test_the_newest_volume_is_not_to_be_compressed(tmp_path: Path) -> None:
    whole = a_volume(tmp_path, 1)
    (tmp_path / f"{NAME}.gz").write_bytes(gzip.compress(whole))
    (tmp_path / NAME).unlink()

    with pytest.raises(Misconfigured, match="gunzip"):
        next_after(tmp_path)


def test_a_compressed_volume_that_is_torn_is_named(tmp_path: Path) -> None:
    whole = gzip.compress(a_volume(tmp_path, 1) * 100)
    (tmp_path / NAME).unlink()
    (tmp_path / f"{NAME}.gz").write_bytes(whole[:-20])

    with pytest.raises(StoreFailed, match=f"{NAME}.gz cannot be read"):
        lines(FolderReader(tmp_path))


def test_a_line_in_the_making_is_not_read(tmp_path: Path) -> None:
    whole = a_volume(tmp_path, 1, 2)
    (tmp_path / NAME).write_bytes(whole[:-5])

    assert lines(FolderReader(tmp_path)) == [[FIRST % 1, event(1)]]


def test_a_folder_that_may_not_be_read_is_named_with_its_setting(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")

    with pytest.raises(Misconfigured, match=r"set journal in \[AccountingService\]"):
        FolderReader(tmp_path / "file").volumes()


def test_no_journal_at_all_has_no_volumes(tmp_path: Path) -> None:
    assert list(FolderReader(tmp_path / "nothing").volumes()) == []


def test_nothing_more_goes_into_a_volume_that_has_a_successor(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(folder: Path) -> None:
        raise OSError(5, "Input/output error")

    writer = FolderWriter(tmp_path)
    writer.begin(FIRST % 1, AT)
    writer.append(event(1))
    with monkeypatch.context() as broken:
        broken.setattr(writing, "sync_folder", fail)
        with pytest.raises(StoreFailed):
            writer.begin(FIRST % 2, AT + 60)

    following = writer.next()
    writer.append(event(2))
    writer.close()

    assert following == 2
    assert lines(FolderReader(tmp_path)) == [
        [FIRST % 1, event(1)],
        [FIRST % 2, event(2)],
    ]


def test_a_compressed_volume_that_is_damaged_is_told(tmp_path: Path) -> None:
    whole = gzip.compress(a_volume(tmp_path, *range(1, 50)))
    (tmp_path / NAME).unlink()
    middle = len(whole) // 2
    damaged = whole[:middle] + bytes([whole[middle] ^ 0xFF]) + whole[middle + 1 :]
    (tmp_path / f"{NAME}.gz").write_bytes(damaged)

    with pytest.raises(StoreFailed, match="cannot be read"):
        lines(FolderReader(tmp_path))

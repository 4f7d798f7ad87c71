"""Tashi's lines: their form, each of them once, whatever happens to the file."""

import ast
import shutil
from pathlib import Path

import msgspec
import pytest

from fakes.history import RACK, instance
from tashi.adapters.accounting.bookmark import Bookmark
from tashi.adapters.accounting.lines import LineLog
from tashi.domain.errors import BadRequest, Misconfigured, StoreFailed
from tashi.domain.identity import EventNumber
from tashi.domain.journal import Kind
from tashi.domain.states import InstanceState as S
from tashi.ports.outlets import BEGINNING, Place
from tashi.wire import forms as f
from tashi.wire import history

FIRST = history.first_line(f.SnapshotForm((), (RACK,), (), (), 1), 1.0)
WEB = instance(
    7,
    S.RUNNING,
    host_id=1,
    vm_id=4711,
    disks=(f.DiskForm("web.qcow2"), f.DiskForm("data.qcow2", persistent=True)),
    nics=(f.NicForm(1, "52:54:00:00:00:01", "10.0.0.7"),),
    hints={"targetHost": "rack1"},
    reason="line\nbreak",
)


def event(number: int, line: str = "CM VM UPDATE", **record: object) -> bytes:
    """A line of the journal about what is given, or about nothing that is there any more."""
    kind, form = next(iter(record.items()), ("instance", None))
    key = getattr(form, "id", 9)
    return history.event_lines(
        [f.EntryForm(number, 12.25, line, "test", Kind(kind), key, **record)]  # type: ignore[arg-type]
    )


class Written:
    """A log, opened as a daemon does that is started."""

    def __init__(self, folder: Path, name: str = "accounting.log") -> None:
        self.path = folder / name
        self.bookmark = Bookmark(folder / "outlets/log.json")
        self.log = LineLog(self.path, self.bookmark)
        self.place = self.log.place(lambda: BEGINNING)
        self.log.hear(FIRST)

    def take(self, *lines: bytes) -> None:
        self.log.take(1, lines)

    @property
    def lines(self) -> list[str]:
        return self.path.read_text().splitlines()


@pytest.fixture
def written(tmp_path: Path) -> Written:
    return Written(tmp_path)


def test_a_line_has_time_event_host_and_instance_as_tashi_had_them(written: Written) -> None:
    written.take(event(1, "CM VM ACTIVATE", instance=WEB))
    written.log.close()

    [line] = written.lines
    at, what, records = line.split("|", 2)
    host, one = records.removeprefix("Host(").removesuffix(")").split("),Instance(")
    assert (at, what) == ("12.25", "CM VM ACTIVATE")
    assert list(ast.literal_eval(host)) == [
        *("id", "name", "up", "decayed", "state", "memory", "cores", "version", "notes"),
        "reserved",
    ]
    assert ast.literal_eval(one) == {
        "id": 7,
        "vmId": 4711,
        "hostId": 1,
        "decayed": False,
        "state": 3,
        "userId": 1000,
        "name": "i7",
        "cores": 2,
        "memory": 512,
        "disks": [
            {"uri": "web.qcow2", "persistent": False},
            {"uri": "data.qcow2", "persistent": True},
        ],
        "nics": [{"network": 1, "mac": "52:54:00:00:00:01", "ip": "10.0.0.7"}],
        "hints": {"targetHost": "rack1"},
        "groupName": "",
    }


def test_a_line_has_the_records_that_there_are(written: Written) -> None:
    written.take(
        event(1, "CM VM REQUEST", instance=instance(1, S.PENDING)),
        event(2, "CM HOST REGISTER", host=msgspec.structs.replace(RACK, id=2, name="rack2")),
        event(3, "", instance=WEB),
        event(4, "CM VM UPDATE", instance=instance(1, S.RUNNING, host_id=2)),
        event(5, "CM NETWORK ADD", network=f.NetworkForm(9, "n")),
    )
    written.log.close()

    shapes = [
        (line.split("|")[1], "Host(" in line, "Instance(" in line, "rack2" in line)
        for line in written.lines
    ]
    assert shapes == [
        ("CM VM REQUEST", False, True, False),
        ("CM HOST REGISTER", True, False, True),
        ("CM VM UPDATE", True, True, True),
        ("CM NETWORK ADD", False, False, False),
    ]


def test_a_host_that_is_removed_is_named_once_more(written: Written) -> None:
    removed = f.EntryForm(1, 1.0, "CM HOST UNREGISTER", "", Kind.HOST, 1)
    written.take(history.event_lines([removed]))
    written.log.close()

    assert "'name': 'rack1'" in written.lines[0]


@pytest.mark.parametrize("name", ["accounting.log", "accounting[1].log"])
def test_what_a_crash_left_beyond_the_bookmark_is_written_anew(tmp_path: Path, name: str) -> None:
    written = Written(tmp_path, name)
    written.take(event(1, instance=WEB))
    before = written.path.read_bytes()
    written.log.close()
    written.path.write_bytes(before + b"1.0|CM VM DESTROY|Inst")

    again = Written(tmp_path, name)
    again.take(event(2, instance=WEB))
    again.log.close()

    assert again.place == Place(1, EventNumber(1))
    assert written.path.read_bytes() == before * 2


def test_a_file_that_is_renamed_is_followed_by_another(written: Written, tmp_path: Path) -> None:
    written.take(event(1, instance=WEB))
    written.path.rename(tmp_path / "accounting.log.1")
    written.take(event(2, instance=WEB))
    written.path.unlink()
    written.take(event(3, instance=WEB))
    written.log.close()

    assert len(written.lines) == 1
    assert len((tmp_path / "accounting.log.1").read_text().splitlines()) == 1


def test_a_crash_and_a_rename_double_nothing(written: Written, tmp_path: Path) -> None:
    written.take(event(1, instance=WEB))
    written.log.close()
    whole = written.path.read_bytes()
    written.path.write_bytes(whole + whole)
    written.path.rename(tmp_path / "accounting.log.1")

    again = Written(tmp_path)
    again.take(event(2, instance=WEB))
    again.log.close()

    assert (tmp_path / "accounting.log.1").read_bytes() == whole
    assert written.path.read_bytes() == whole


def test_another_file_that_got_the_number_of_ours_on_the_disk_is_left_alone(
    written: Written, tmp_path: Path
) -> None:
    written.take(event(1, instance=WEB))
    written.log.close()
    packed = tmp_path / "accounting.log.2.gz"
    written.path.rename(packed)
    packed.write_bytes(packed.read_bytes() + b"\x1f\x8b packed")

    again = Written(tmp_path)
    again.log.close()

    assert packed.read_bytes().endswith(b"\x1f\x8b packed")


def test_lines_that_stood_there_before_are_left_alone(tmp_path: Path) -> None:
    (tmp_path / "accounting.log").write_text("1|OLD|\n")

    written = Written(tmp_path)
    written.take(event(1, instance=WEB))
    written.log.close()

    assert written.lines[0] == "1|OLD|"
    assert len(written.lines) == 2


def test_a_file_that_cannot_be_written_is_said(tmp_path: Path) -> None:
    (tmp_path / "accounting.log").mkdir()

    with pytest.raises(StoreFailed, match="It cannot be written"):
        Written(tmp_path)


def test_what_is_no_line_of_the_journal_is_refused(written: Written) -> None:
    with pytest.raises(BadRequest, match="is not understood"):
        written.log.hear(b"{")
    written.log.close()


def test_a_damaged_bookmark_is_named(written: Written, tmp_path: Path) -> None:
    written.log.close()
    (tmp_path / "outlets/log.json").write_text("{")

    with pytest.raises(Misconfigured, match=r"log\.json is damaged"):
        written.log.place(lambda: BEGINNING)


def test_a_bookmark_that_cannot_be_kept_is_said(written: Written, tmp_path: Path) -> None:
    shutil.rmtree(tmp_path / "outlets")
    (tmp_path / "outlets").write_text("")

    with pytest.raises(StoreFailed, match=r"log\.json cannot be used"):
        written.take(event(1, instance=WEB))
    with pytest.raises(StoreFailed, match=r"log\.json cannot be used"):
        written.log.place(lambda: BEGINNING)

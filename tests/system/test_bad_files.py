"""Configuration, state and notes that cannot be used: a program says so in a sentence and ends.

The table stands in golden/: what is wrong, the program, its exit code, its sentence. No file that
was there before is touched.
"""

import os
import re
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from system.sites import PROGRAMS, SIMULATED, Shape, Site, environment
from tashi.adapters.store.flatfile import FlatFile
from tashi.domain.errors import Misconfigured

Golden = Callable[[str, str], None]
Spoil = Callable[[Path], object]

CM, NM = "clustermanager", "nodemanager"
DATABASE = {"ClusterManager": {"data": "tashi.clustermanager.data.SQL"}}
PICKLE = b"\x80\x04\x95\x0c\x00\x00\x00\x00\x00\x00\x00\x8c\x08Instance\x94."


@dataclass(frozen=True, slots=True)
class Case:
    """Something wrong: in the state file, in another file, or in a section of the configuration."""

    words: str
    program: str
    settings: Mapping[str, Mapping[str, object]] = field(default_factory=dict)
    spoil: Spoil = lambda _: None


def state(content: bytes) -> Spoil:
    return lambda folder: (folder / "cm.dat").write_bytes(content)


def in_the_middle(folder: Path) -> None:
    journal = folder / "cm.dat"
    lines = journal.read_bytes().splitlines(keepends=True)
    lines[1] = lines[1].replace(b":", b";", 1)
    journal.write_bytes(b"".join(lines))


def torn(folder: Path) -> None:
    journal = folder / "cm.dat"
    journal.write_bytes(journal.read_bytes()[:30])


def replaced_by(what: Callable[[Path], object], name: str = "cm.dat") -> Spoil:
    def spoil(folder: Path) -> None:
        (folder / name).unlink(missing_ok=True)
        what(folder / name)

    return spoil


def note(content: bytes) -> Spoil:
    def spoil(folder: Path) -> None:
        notes = folder / "info/notes"
        notes.mkdir(parents=True)
        (notes / "7.json").write_bytes(content)

    return spoil


CASES = (
    Case("a misspelt key", CM, {"ClusterManagerService": {"expireHostTme": 5}}),
    Case("a misspelt key", NM, {"NodeManagerService": {"registerHosts": True}}),
    Case("a misspelt key", "scheduler", {"Primitive": {"densPack": True}}),
    Case("a misspelt section", CM, {"ClusterManagerServce": {"port": 5}}),
    Case("a value of the wrong kind", CM, {"ClusterManagerService": {"port": "many"}}),
    Case("a port that is none", NM, {"NodeManagerService": {"port": 99999}}),
    Case(
        "three mistakes at once",
        CM,
        {
            "ClusterManagerService": {"port": -1, "maxMemry": 5},
            "Primitive": {"densePack": "maybe"},
        },
    ),
    Case("no hypervisor of that name", NM, {"NodeManager": {"vmm": "os.system"}}),
    Case("proof without an authority", CM, {"Security": {"authAndEncrypt": True, "pkiDir": "/no"}}),
    Case("proof without an authority", NM, {"Security": {"authAndEncrypt": True, "pkiDir": "/no"}}),
    Case("a database that nobody names", CM, DATABASE),
    Case("a database of another make", CM, {**DATABASE, "SQL": {"uri": "oracle://u@host/db"}}),
    Case(
        "a database's password nobody has",
        CM,
        {**DATABASE, "SQL": {"uri": "mysql://u@h/db", "passwordFile": "/missing/secret"}},
    ),
    Case("a database in no folder", CM, {**DATABASE, "SQL": {"uri": "sqlite:///missing/books"}}),
    Case(
        "a database that is away", CM, {**DATABASE, "SQL": {"uri": "mysql://u:pw@127.0.0.1:1/db"}}
    ),
    Case("an address for all without trust", CM, {"ClusterManagerService": {"host": "0.0.0.0"}}),
    Case(
        "an address that is not ours",
        CM,
        {
            "ClusterManagerService": {"host": "192.0.2.1"},
            "Security": {"trustedNetworks": "192.0.2.0/24"},
        },
    ),
    Case("a host name that is none", NM, {"NodeManagerService": {"hostName": "a;b"}}),
    Case(
        "a log where no file can be",
        "scheduler",
        {
            "handler_fileHandler": {"args": "('/proc/no/such.log',)"},
            "handlers": {"keys": "fileHandler"},
            "logger_root": {"handlers": "fileHandler"},
        },
    ),
    Case("state that is words", CM, spoil=state(b"These are words.\n")),
    Case("state that is no text", CM, spoil=state(bytes(range(256)) * 20)),
    Case("state that is a pickle", CM, spoil=state(PICKLE)),
    Case("state of nothing but zeros", CM, spoil=state(bytes(4096))),
    Case("state damaged in the middle", CM, spoil=in_the_middle),
    Case("state torn in its first line", CM, spoil=torn),
    Case("state that is a folder", CM, spoil=replaced_by(Path.mkdir)),
    Case("state that is a pipe", CM, spoil=replaced_by(os.mkfifo)),
    Case(
        "state that is a link", CM, spoil=replaced_by(lambda path: path.symlink_to("/etc/hostname"))
    ),
    Case(
        "state that is another user's",
        CM,
        spoil=lambda folder: os.chown(folder / "cm.dat", 12345, 12345),
    ),
    Case("state that anybody may write", CM, spoil=lambda folder: (folder / "cm.dat").chmod(0o666)),
    Case("no folder for the state", CM, {"Pickled": {"file": "FOLDER/nowhere/cm.dat"}}),
    Case("a file for a folder of the state", CM, {"Pickled": {"file": "FOLDER/cm.dat/cm.dat"}}),
    Case("a note that is no text", NM, spoil=note(b"\xff\xfe")),
    Case("a note of another form", NM, spoil=note(b'{"instanceId": "seven"}')),
    Case("a file for the folder of notes", NM, {"Qemu": {"infoDir": "FOLDER/cm.dat"}}),
)


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    site = Site(tmp_path_factory.mktemp("s"), Shape(vmm=SIMULATED))
    site.start()
    yield site
    assert not site.end()


def make(folder: Path, case: Case, journal: bytes) -> None:
    """A configuration beside a sound state file, and what the case makes of them."""
    sections: dict[str, dict[str, object]] = {
        "ClusterManagerService": {"port": 0},
        "NodeManagerService": {"port": 0, "hostName": "host9"},
        "NodeManager": {"vmm": SIMULATED},
        "Pickled": {"file": "FOLDER/cm.dat"},
        "Qemu": {"infoDir": "FOLDER/info"},
        "Vfs": {"prefix": "FOLDER"},
    }
    for section, values in case.settings.items():
        sections.setdefault(section, {}).update(values)
    lines = []
    for section, values in sections.items():
        lines += [f"[{section}]", *(f"{key} = {value}" for key, value in values.items())]
    (folder / "Tashi.cfg").write_text("\n".join(lines).replace("FOLDER", str(folder)) + "\n")
    (folder / "cm.dat").write_bytes(journal)
    (folder / "cm.dat").chmod(0o600)
    case.spoil(folder)


def run(program: str, *configuration: Path) -> str:
    """What a program says when it is started, and its exit code; it must end by itself."""
    ended = subprocess.run(
        [sys.executable, *PROGRAMS[program]],
        env=environment(*configuration),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    return f"{program} {ended.returncode}: {(ended.stdout + ended.stderr).strip()}"


def plain(text: str, folder: Path) -> str:
    """The text without what differs between two runs."""
    text = text.replace(str(folder), "SITE")
    return re.sub(r"process \d+", "process PID", re.sub(r"(127\.0\.0\.1:)\d+", r"\1PORT", text))


def contents(folder: Path) -> dict[str, object]:
    """What every file says, but for locks, which hold a number of a process."""
    files = (path for path in folder.rglob("*") if path.is_file() and not path.is_symlink())
    return {str(path): said_in(path) for path in files if "lock" not in path.name}


def said_in(path: Path) -> object:
    """The books in a file, which may be written anew at any time, or else the file's bytes."""
    store = FlatFile(path)
    try:
        return store.load() if path.name == "cm.dat" else path.read_bytes()
    except Misconfigured:
        return path.read_bytes()
    finally:
        store.close()


def test_what_cannot_be_used_is_named_in_a_sentence_and_left_alone(
    site: Site, tmp_path: Path, golden: Golden
) -> None:
    journal = (site.folder / "cm.dat").read_bytes()

    table = []
    for number, case in enumerate(CASES):
        folder = tmp_path / str(number)
        folder.mkdir()
        make(folder, case, journal)
        before = contents(folder)
        said = plain(run(case.program, folder), folder)
        table.append(f"{case.words}\n    {said}\n")
        assert contents(folder) == before, case.words

    golden("bad-files.txt", "\n".join(table))
    assert "Traceback" not in "".join(table)


def test_what_is_no_note_is_left_alone_among_the_notes(short_path: Path) -> None:
    site = Site(short_path, Shape(vmm=SIMULATED))
    stray = site.folder / "n1/info/notes/words.json"
    stray.parent.mkdir(parents=True)
    stray.write_text("These are words.")

    site.start()
    left = site.end()

    assert stray.read_text() == "These are words."
    assert not left


def port_of(node: Path, spare: Path) -> Path:
    """A folder of configuration that has no more of that node's than its port."""
    port = re.search(r"^port = \d+$", (node / "NodeManager.cfg").read_text(), re.MULTILINE)
    assert port is not None
    (spare / "NodeManager.cfg").write_text(f"[NodeManagerService]\n{port[0]}\n")
    return spare


def test_a_second_daemon_in_the_same_place_is_refused(site: Site, golden: Golden) -> None:
    node = site.folder / "n1"
    elsewhere = site.folder / "elsewhere"
    elsewhere.mkdir()
    (elsewhere / "Tashi.cfg").write_text(
        "[ClusterManagerService]\nport = 0\n[NodeManagerService]\nport = 0\n"
    )

    same_port = site.folder / "same-port"
    same_port.mkdir()
    (same_port / "Tashi.cfg").write_text(
        f"[Pickled]\nfile = {same_port}/cm.dat\n[Qemu]\ninfoDir = {same_port}/info\n"
    )

    table = [
        run(CM, site.configuration),
        run(CM, site.configuration, elsewhere),
        run(CM, site.configuration, same_port),
        run(NM, site.configuration, node),
        run(NM, site.configuration, node, elsewhere),
        run(NM, site.configuration, same_port, port_of(node, same_port)),
        run("scheduler", site.configuration),
    ]

    golden("second-daemons.txt", plain("\n".join(table), site.folder) + "\n")


def test_check_config_names_every_mistake_at_once(
    site: Site, tmp_path: Path, golden: Golden
) -> None:
    (tmp_path / "Tashi.cfg").write_text(
        "[ClusterManagerService]\nprot = 9\nport = x\n[Qemuu]\ninfoDir = /\n[Qemu]\naccel = fast\n"
    )

    ended = site.run("admin", "checkConfig", TASHI_CONFIG_DIRS=str(tmp_path))

    said = plain(f"{ended.returncode}: {ended.stdout}{ended.stderr}", tmp_path)
    golden("check-config.txt", said)

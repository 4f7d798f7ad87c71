"""What people and files get wrong: one sentence, an exit code, and nothing has changed.

Each table stands in golden/: what was typed, the exit code, the sentence. It is compared as a
whole, so that a sentence that gets worse is seen beside its neighbours.
"""

import hashlib
import os
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from subprocess import CompletedProcess

import pytest

from system.sites import SIMULATED, Shape, Site
from tashi.domain.errors import TashiError
from tashi.domain.states import InstanceState
from tashi.wire.forms import DiskForm, InstanceForm, NewInstanceForm, NicForm

Golden = Callable[[str, str], None]

DISKS = ("--disks", "empty.qcow2")
CLIENT_ROWS: Sequence[tuple[str, ...]] = (
    ("createVm", "--name", "a", "--disks", "none.qcow2"),
    ("createVm", "--name", "a", "--disks", "folder"),
    ("createVm", "--name", "a", "--disks", "words.txt"),
    ("createVm", "--name", "a", "--disks", "broken.qcow2"),
    ("createVm", "--name", "a", "--disks", "nothing.qcow2"),
    ("createVm", "--name", "a", "--disks", "pipe"),
    ("createVm", "--name", "a", "--disks", "dangling.qcow2"),
    ("createVm", "--name", "a", "--disks", "../../cm.dat"),
    ("createVm", "--name", "a", "--disks", "/etc/passwd"),
    ("createVm", "--name", "a", "--disks", "json:{}"),
    ("createVm", "--name", "a", "--disks", "a b.qcow2"),
    ("createVm", "--name", "a", *DISKS, "--cores", "0"),
    ("createVm", "--name", "a", *DISKS, "--cores", "-1"),
    ("createVm", "--name", "a", *DISKS, "--cores", "9"),
    ("createVm", "--name", "a", *DISKS, "--cores", "5"),
    ("createVm", "--name", "a", *DISKS, "--memory", "0"),
    ("createVm", "--name", "a", *DISKS, "--memory", "5000"),
    ("createVm", "--name", "a", *DISKS, "--memory", "999999999"),
    ("createVm", "--name", "a", *DISKS, "--memory", "much"),
    ("createVm", "--name", "a\nb", *DISKS),
    ("createVm", "--name", "a;reboot", *DISKS),
    ("createVm", "--name", "$(reboot)", *DISKS),
    ("createVm", "--name", "-a", *DISKS),
    ("createVm", "--name", "17", *DISKS),
    ("createVm", "--name", "", *DISKS),
    ("createVm", "--name", "a" * 64, *DISKS),
    ("createVm", "--name", "\u00e4", *DISKS),
    ("createVm", "--name", "\x1b[31mred", *DISKS),
    ("createVm", "--name", "taken", *DISKS),
    ("createMany", "--basename", "a b", "--count", "2", *DISKS),
    ("createVm", "--name", "a", *DISKS, "--group", "g;h"),
    ("createVm", "--name", "a", *DISKS, "--hints", "cpumodel=qemu64,-S"),
    ("createVm", "--name", "a", *DISKS, "--hints", "cpumodel=qemu64 -S"),
    ("createVm", "--name", "a", *DISKS, "--hints", "diskInterface=virtio,readonly=on"),
    ("createVm", "--name", "a", *DISKS, "--hints", "nicModel=e1000 -S"),
    ("createVm", "--name", "a", *DISKS, "--hints", "targethost=host1"),
    ("createVm", "--name", "a", *DISKS, "--hints", "__resume_source=x"),
    ("createVm", "--name", "a", *DISKS, "--hints", "targetHost=host1;reboot"),
    ("createVm", "--name", "a", *DISKS, "--hints", "targetHost=nowhere"),
    ("createVm", "--name", "a", *DISKS, "--hints", "targetHost=99"),
    ("createVm", "--name", "a", *DISKS, "--nics", "1::this-is-none"),
    ("createVm", "--name", "a", *DISKS, "--nics", "1::53:54:00:00:00:01"),
    ("createVm", "--name", "a", *DISKS, "--nics", "1::52:54:00:aa:aa:01,1::52:54:00:aa:aa:01"),
    ("createVm", "--name", "a", *DISKS, "--nics", "1:192.0.2.299"),
    ("createVm", "--name", "a", *DISKS, "--nics", "77"),
    ("createVm", "--name", "a", *DISKS, "--userId", "nobody-at-all"),
    ("destroyVm", "--instance", "nobody"),
    ("destroyVm", "--instance", "99"),
    ("destroyVm", "--instance", "99999999999999999999999999"),
    ("unpauseVm", "--instance", "taken"),
    ("startVm", "--instance", "taken"),
    ("resumeVm", "--instance", "taken"),
    ("destroyMany", "--basename", "nobody"),
    ("getSlots", "--cores", "0"),
    ("getSlots", "--memory", "0"),
    ("getConsole", "--instance", "nobody"),
)
ADMIN_ROWS: Sequence[tuple[str, ...]] = (
    ("setHostNotes", "--host", "nowhere", "--notes", "fans"),
    ("setHostNotes", "--host", "host1", "--notes", "two\nlines"),
    ("setHostState", "--host", "host1", "--state", "sleepy"),
    ("addHost", "--host", "host1"),
    ("addHost", "--host", "a;b"),
    ("addHost", "--host", "a\nb"),
    ("delHost", "--host", "host1"),
    ("delHost", "--host", "99"),
    ("addReservation", "--host", "host1", "--user", "nobody-at-all"),
    ("addNetwork", "--name", "x;y", "--id", "7"),
    ("addNetwork", "--name", "x", "--id", "99999"),
    ("addNetwork", "--name", "default", "--id", "1"),
    ("delNetwork", "--network", "default"),
    ("delUser", "--user", "nobody-at-all"),
)
FORGED: Mapping[str, NewInstanceForm] = {
    "a comma in a hint": NewInstanceForm(
        "a", (DiskForm("empty.qcow2"),), hints={"cpumodel": "qemu64,-S"}
    ),
    "a line break after a hint": NewInstanceForm(
        "a", (DiskForm("empty.qcow2"),), hints={"cpumodel": "qemu64\n"}
    ),
    "a comma in a hint's name": NewInstanceForm(
        "a", (DiskForm("empty.qcow2"),), hints={"x-a,b": "c"}
    ),
    "a comma in a disk": NewInstanceForm("a", (DiskForm("empty.qcow2,readonly=on"),)),
    "a zero byte in a disk": NewInstanceForm("a", (DiskForm("empty.qcow2\0"),)),
    "no disk": NewInstanceForm("a", ()),
    "nine hundred disks": NewInstanceForm("a", (DiskForm("empty.qcow2"),) * 900),
    "nine hundred cards": NewInstanceForm(
        "a", (DiskForm("empty.qcow2"),), nics=(NicForm(1),) * 900
    ),
    "a comma in a MAC": NewInstanceForm(
        "a", (DiskForm("empty.qcow2"),), nics=(NicForm(1, "52:54:00:12:34:56,x=y"),)
    ),
    "a line break after a name": NewInstanceForm("a\n", (DiskForm("empty.qcow2"),)),
    "a negative network": NewInstanceForm("a", (DiskForm("empty.qcow2"),), nics=(NicForm(-1),)),
    "somebody else's user id": NewInstanceForm("a", (DiskForm("empty.qcow2"),), user_id=-5),
    "more cores than fit into 64 bits": NewInstanceForm(
        "a", (DiskForm("empty.qcow2"),), cores=2**70
    ),
}


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    site = Site(tmp_path_factory.mktemp("s"), Shape(vmm=SIMULATED, cores=4))
    site.add_image("empty.qcow2")
    (site.images / "folder").mkdir()
    (site.images / "words.txt").write_text("These are words.\n")
    (site.images / "broken.qcow2").write_bytes(b"QFI\xfb" + b"\xff" * 200)
    (site.images / "nothing.qcow2").touch()
    (site.images / "dangling.qcow2").symlink_to("/nowhere/at-all.qcow2")
    os.mkfifo(site.images / "pipe")
    site.start()
    wanted = NewInstanceForm("taken", (DiskForm("empty.qcow2"),))
    site.calls.call("createVm", InstanceForm, instance=wanted)
    site.until(lambda now: [one.state for one in now.instances] == [InstanceState.RUNNING])
    yield site
    assert not site.end()


def digest(site: Site) -> str:
    return hashlib.sha256(site.journal.read_bytes()).hexdigest()


def row(site: Site, typed: Sequence[str], ended: CompletedProcess[str]) -> str:
    """One row of a table, without what differs between two runs."""
    words = " ".join(repr(word) if re.search(r"[^\w.:=/,-]", word) else word for word in typed)
    said = (ended.stdout + ended.stderr).replace(str(site.folder), "SITE")
    said = re.sub(r"(127\.0\.0\.1:)\d+", r"\1PORT", said)
    said = re.sub(r"process \d+", "process PID", said)
    return f"{words}\n    {ended.returncode}: {said.strip()}\n"


@pytest.mark.parametrize(("program", "rows"), [("client", CLIENT_ROWS), ("admin", ADMIN_ROWS)])
def test_what_is_asked_for_wrongly_is_refused_in_a_sentence_and_changes_nothing(
    site: Site, golden: Golden, program: str, rows: Sequence[tuple[str, ...]]
) -> None:
    before = digest(site)

    table = [row(site, typed, site.run(program, *typed)) for typed in rows]

    golden(f"bad-{program}.txt", "\n".join(table))
    assert "Traceback" not in "".join(table)
    assert digest(site) == before


def test_what_no_client_would_send_is_refused_too(site: Site, golden: Golden) -> None:
    before = digest(site)

    table = []
    with site.another_link() as link:
        calls = site.calls_of(link)
        for words, wanted in FORGED.items():
            with pytest.raises(TashiError) as refused:
                calls.call("createVm", InstanceForm, instance=wanted)
            error = refused.value
            table.append(f"{words}\n    {error.kind}: {error.message}\n")

    golden("bad-forged.txt", "\n".join(table))
    assert digest(site) == before

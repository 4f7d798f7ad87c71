"""What people and files get wrong: one sentence, an exit code, and nothing has changed.

Each table stands in golden/: what was typed, the exit code, the sentence. It is compared as a
whole, so that a sentence that gets worse is seen beside its neighbours.
"""

import os
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from subprocess import CompletedProcess

import pytest

from system.books import Place
from system.sites import SIMULATED, Shape, Site
from tashi.adapters.store.backup import digest_of
from tashi.domain.errors import TashiError
from tashi.domain.identity import CommitNumber
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
    ("migrateVm", "--instance", "taken", "--dst", "host1"),
    ("migrateVm", "--instance", "taken", "--dst", "nowhere"),
    ("migrateVm", "--instance", "taken", "--dst", "-1"),
    ("migrateVm", "--instance", "nobody", "--dst", "host1"),
    ("migrateVm", "--instance", "taken"),
    ("cancelMigration", "--instance", "taken"),
    ("drain",),
    ("drain", "--host", "nowhere"),
    ("drain", "--host", "nowhere", "--plan"),
    ("drain", "--host", "host1", "--timeout", "5"),
    ("drain", "--host", "host1", "--wait", "--timeout", "soon"),
    ("cancelDrain", "--host", "host1"),
    ("cancelDrain", "--host", "nowhere"),
    ("undrain", "--host", "host1"),
    ("undrain", "--host", "nowhere"),
    ("getInstances", "--show-colour"),
    ("getInstances", "--output", "xml"),
    ("createVms", "--name", "a"),
    ("watch", "--since", "-1"),
    ("watch", "--since", "99999999999999999999999"),
    ("watch", "--instance", "nobody"),
    ("why", "--instance", "nobody"),
)
IMAGE_ROWS: Sequence[tuple[str, ...]] = (
    ("copyImage", "--src", "none.qcow2", "--dst", "b.qcow2"),
    ("copyImage", "--src", "empty.qcow2", "--dst", "empty.qcow2"),
    ("copyImage", "--src", "empty.qcow2", "--dst", "../b.qcow2"),
    ("copyImage", "--src", "empty.qcow2", "--dst", "a,b.qcow2"),
    ("copyImage", "--src", "empty.qcow2", "--dst", "json:b"),
    ("copyImage", "--src", "empty.qcow2", "--dst", "folder"),
    ("copyImage", "--src", "empty.qcow2", "--dst", "a\nb"),
    ("copyImage", "--src", "empty.qcow2"),
    ("cloneImage", "--src", "none.qcow2", "--dst", "b.qcow2"),
    ("cloneImage", "--src", "broken.qcow2", "--dst", "b.qcow2"),
    ("cloneImage", "--src", "empty.qcow2", "--dst", "words.txt/b.qcow2"),
    ("rebaseImage", "--src", "empty.qcow2", "--dst", "b.qcow2", "--backing", "none.qcow2"),
    ("rebaseImage", "--src", "empty.qcow2", "--dst", "b.qcow2", "--backing", "/etc/passwd"),
    ("deleteImage", "--image", "empty.qcow2"),
    ("deleteImage", "--image", "none.qcow2"),
    ("deleteImage", "--image", "folder"),
    ("deleteImage", "--image", ".."),
    ("importImage", "--file", "/nowhere/at-all.qcow2"),
    ("importImage", "--file", "/dev"),
    ("importImage", "--file", "/dev/null"),
    ("importImage", "--file", "/etc/hostname", "--name", "empty.qcow2"),
    ("importImage", "--file", "/etc/hostname", "--name", "../b.qcow2"),
    ("exportImage", "--image", "none.qcow2", "--file", "/nowhere/b.qcow2"),
    ("exportImage", "--image", "empty.qcow2", "--file", "/nowhere/b.qcow2"),
    ("exportImage", "--image", "empty.qcow2", "--file", "/dev"),
    ("cancelJob", "--job", "77"),
    ("cancelJob", "--job", "-1"),
    ("cancelJob", "--job", "first"),
)
DEVICE_ROWS: Sequence[tuple[str, ...]] = (
    ("renameVm", "--instance", "taken", "--name", "a b"),
    ("renameVm", "--instance", "taken", "--name", "17"),
    ("renameVm", "--instance", "taken", "--name", "other"),
    ("renameVm", "--instance", "nobody", "--name", "a"),
    ("resizeVm", "--instance", "taken"),
    ("resizeVm", "--instance", "taken", "--cores", "2"),
    ("resizeVm", "--instance", "taken", "--cores", "0"),
    ("resizeVm", "--instance", "taken", "--cores", "99"),
    ("resizeVm", "--instance", "taken", "--memory", "-1"),
    ("resizeVm", "--instance", "taken", "--memory", "much"),
    ("attachDisk", "--instance", "taken", "--disk", "none.qcow2"),
    ("attachDisk", "--instance", "taken", "--disk", "broken.qcow2"),
    ("attachDisk", "--instance", "taken", "--disk", "../../cm.dat"),
    ("attachDisk", "--instance", "taken", "--disk", "a.qcow2,b.qcow2"),
    ("attachDisk", "--instance", "taken", "--disk", "empty.qcow2:maybe"),
    ("detachDisk", "--instance", "taken", "--disk", "empty.qcow2"),
    ("detachDisk", "--instance", "taken", "--disk", "none.qcow2"),
    ("attachNic", "--instance", "taken", "--nic", "77"),
    ("attachNic", "--instance", "taken", "--nic", "1::this-is-none"),
    ("attachNic", "--instance", "taken", "--nic", "1,1"),
    ("attachNic", "--instance", "taken", "--nic", "1:192.0.2.299"),
    ("detachNic", "--instance", "taken", "--mac", "52:54:00:00:00:01"),
    ("detachNic", "--instance", "taken", "--mac", "this-is-none"),
    ("changeCdrom", "--instance", "taken", "--image", "none.iso"),
    ("changeCdrom", "--instance", "taken", "--image", "a,readonly=off"),
    ("changeCdrom", "--instance", "nobody"),
    ("startVnc", "--instance", "nobody"),
    ("stopVnc", "--instance", "nobody"),
    ("attachConsole", "--instance", "nobody"),
    ("attachConsole", "--instance", "taken"),
    ("vmmSpecificCall", "--instance", "taken", "--arg", "explode"),
    ("vmmSpecificCall", "--instance", "taken", "--arg", "changeCdrom:a,b"),
    ("vmmSpecificCall", "--instance", "taken", "--arg", "reset:now"),
    ("vmmSpecificCall", "--instance", "taken", "--arg", "startVnc:\x1b"),
    ("vmmSpecificCall", "--instance", "taken"),
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
    ("addReservation", "--host", "host1", "--user", "4999999"),
    ("delReservation", "--host", "host1", "--user", "0"),
    ("addNetwork", "--name", "x", "--id", "-1"),
    ("addNetwork", "--name", "x", "--id", "one"),
    ("addUser", "--name", "x", "--id", "-1"),
    ("drain", "--host", "nowhere"),
    ("drain", "--host", "host1", "--plan", "--wait", "--timeout", "-1"),
    ("cancelDrain", "--host", "host1"),
    ("undrain", "--host", "host1"),
    ("undrain", "--host", "nowhere"),
    ("declareHostDead", "--host", "host1", "--yes"),
    ("declareHostDead", "--host", "host1"),
    ("declareHostDead", "--host", "nowhere", "--yes"),
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
def site(tmp_path_factory: pytest.TempPathFactory, books: Place) -> Iterator[Site]:
    site = Site(tmp_path_factory.mktemp("s"), Shape(vmm=SIMULATED, cores=4, books=books))
    site.add_image("empty.qcow2")
    (site.images / "folder").mkdir()
    (site.images / "words.txt").write_text("These are words.\n")
    (site.images / "broken.qcow2").write_bytes(b"QFI\xfb" + b"\xff" * 200)
    (site.images / "nothing.qcow2").touch()
    (site.images / "dangling.qcow2").symlink_to("/nowhere/at-all.qcow2")
    os.mkfifo(site.images / "pipe")
    site.start()
    for name in ("taken", "other"):
        wanted = NewInstanceForm(name, (DiskForm("empty.qcow2"),))
        site.calls.call("createVm", InstanceForm, instance=wanted)
    site.until(lambda now: {one.state for one in now.instances} == {InstanceState.RUNNING})
    yield site
    assert not site.end()


def digest(site: Site) -> str:
    """What the books say, but not how often a leader has committed nothing to keep its lease."""
    return digest_of(replace(site.books.opened().look(), number=CommitNumber(0)))


def row(site: Site, typed: Sequence[str], ended: CompletedProcess[str]) -> str:
    """One row of a table, without what differs between two runs."""
    words = " ".join(repr(word) if re.search(r"[^\w.:=/,-]", word) else word for word in typed)
    said = (ended.stdout + ended.stderr).replace(str(site.folder), "SITE")
    said = re.sub(r"(127\.0\.0\.1:)\d+", r"\1PORT", said)
    said = re.sub(r"process \d+", "process PID", said)
    said = re.sub(r"it has (\w\w:){5}\w\w", "it has MAC", said)
    return f"{words}\n    {ended.returncode}: {said.strip()}\n"


@pytest.mark.parametrize(
    ("table_name", "program", "rows"),
    [
        ("client", "client", CLIENT_ROWS),
        ("images", "client", IMAGE_ROWS),
        ("devices", "client", DEVICE_ROWS),
        ("admin", "admin", ADMIN_ROWS),
    ],
)
def test_what_is_asked_for_wrongly_is_refused_in_a_sentence_and_changes_nothing(
    site: Site, golden: Golden, table_name: str, program: str, rows: Sequence[tuple[str, ...]]
) -> None:
    before = digest(site)

    table = [row(site, typed, site.run(program, *typed)) for typed in rows]

    golden(f"bad-{table_name}.txt", "\n".join(table))
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

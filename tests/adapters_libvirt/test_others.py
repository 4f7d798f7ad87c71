"""What others take of a host, by the word of its libvirtd."""

from pathlib import Path

import pytest

from adapters_libvirt.pairs import Pair, wait_until
from contracts.machines import a_spec
from tashi.domain.identity import Mib
from tashi.ports.hypervisor import Others

pytestmark = [
    pytest.mark.system,
    pytest.mark.qemu,
    pytest.mark.libvirt,
    pytest.mark.timeout(300),
]

NOBODYS = """\
<domain type='qemu'><name>{name}</name><memory unit='KiB'>{kib}</memory><vcpu>{cores}</vcpu>\
<os><type arch='x86_64' machine='q35'>hvm</type></os></domain>
"""


def test_domains_that_live_and_are_no_guests_of_this_node_are_counted(
    pair: Pair, tmp_path: Path
) -> None:
    libvirtd, opened = pair.here.daemon, pair.open(pair.here)

    def made(how: str, name: str, kib: int, cores: int) -> None:
        described = tmp_path / f"{name}.xml"
        described.write_text(NOBODYS.format(name=name, kib=kib, cores=cores))
        done = libvirtd.virsh(how, str(described))
        assert done.returncode == 0, done.stderr

    def takes(cores: int, mib: int) -> None:
        wait_until(lambda: opened.others() == Others(cores, Mib(mib)))

    opened.start(a_spec(7))
    takes(0, 0)
    made("define", "off", 32 << 10, 4)
    takes(0, 0)
    made("create", "theirs", (32 << 10) + 1, 2)
    takes(2, 33)
    libvirtd.virsh("suspend", "theirs")
    takes(2, 33)
    # Another node's guest under the same libvirtd.
    pair.there.daemons = [libvirtd, libvirtd]
    pair.open(pair.there).start(a_spec(8))
    takes(3, 65)
    libvirtd.virsh("destroy", "theirs")
    takes(1, 32)

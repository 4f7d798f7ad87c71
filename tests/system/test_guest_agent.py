"""Addresses by a guest's own agent: a real agent, and a guest that nobody can overhear."""

import asyncio
import base64
import re
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from namespaces import Namespace
from system.books import Place
from system.guests import guests_in
from system.libvirt_sites import EITHER, LibvirtSite
from system.sites import Shape, Site
from tashi.adapters.hypervisor.qemu.agent import addresses

MAC, IP = "52:54:00:00:00:07", "192.0.2.7"
SECONDS = 60.0
BOOT_SECONDS = 180.0
READY = re.compile(r"GUEST-READY host=\S+ address=(\S+)")
AGENT = """\
mac=$(cat /sys/class/net/eth0/address)
ip=$(ip addr show dev eth0 | sed -n 's/.*inet \\([0-9.]*\\).*/\\1/p')
at='{"ip-address":"'$ip'","ip-address-type":"ipv4","prefix":24}'
card='{"name":"eth0","hardware-address":"'$mac'","ip-addresses":['$at']}'
answer() {
    case $1 in
    *sync*) id=${1##*:}; mark=; case $1 in *delimited*) mark='\\377' ;; esac
            printf "$mark"'{"return": %s}\\n' "${id%%\\}*}" ;;
    *interfaces*) printf '{"return": [%s]}\\n' "$card" ;;
    esac
}
exec 3<>$(ls /dev/vport*)
while :; do
    while read -r line <&3; do answer "$line" >&3; done
    sleep 0.2
done
"""


@pytest.fixture
def host() -> Iterator[Namespace]:
    made = Namespace()
    made.ip("link", "add", "name", "eth0", "address", MAC, "type", "veth", "peer", "name", "out")
    made.ip("addr", "add", f"{IP}/24", "dev", "eth0")
    yield made
    made.close()


def test_the_real_agent_is_understood(host: Namespace, short_path: Path) -> None:
    place = short_path / "agent.sock"
    words = ("--method=unix-listen", f"--path={place}", f"--statedir={short_path}")
    agent = subprocess.Popen(["ip", "netns", "exec", host.name, "qemu-ga", *words])
    try:
        deadline = time.monotonic() + SECONDS
        while not (found := asyncio.run(addresses(place))):
            assert agent.poll() is None
            assert time.monotonic() < deadline
            time.sleep(0.05)
    finally:
        agent.terminate()
        agent.wait(SECONDS)

    assert (MAC, IP) in found


@pytest.fixture
def site(
    one_shared: LibvirtSite | None, short_path: Path, guest_image: Path, books: Place
) -> Iterator[Site]:
    if one_shared is not None:
        with one_shared.taken() as shared:
            (shared.images / "guest.qcow2").write_bytes(guest_image.read_bytes())
            yield shared
        return
    site = Site(short_path, Shape(books=books))
    (site.images / "guest.qcow2").write_bytes(guest_image.read_bytes())
    site.start()
    yield site
    site.end_empty()


@EITHER
@pytest.mark.qemu
def test_a_guest_on_qemus_own_network_tells_its_address_by_its_agent(site: Site) -> None:
    words = ("--name", "web", "--disks", "guest.qcow2", "--memory", "80", "--wait")
    assert site.run("client", "createVm", *words).returncode == 0, site.story()
    [guest] = guests_in(site.folder)
    deadline = time.monotonic() + BOOT_SECONDS
    while (ready := READY.search(guest.console())) is None:
        assert time.monotonic() < deadline, guest.console()
        time.sleep(0.1)

    guest.carry_out(
        "while read m; do insmod /lib/modules/$m; done </lib/modules/virtio_console; "
        f"echo {base64.b64encode(AGENT.encode()).decode()} | base64 -d >/tmp/agent; "
        "(setsid sh /tmp/agent </dev/null >/dev/null 2>&1 &)"
    )

    site.until(lambda now: [nic.ip for nic in now.instances[0].nics] == [ready[1]])
    # The next node manager finds the agent there already.
    site.nodes[0].kill()
    site.nodes[0].start()
    site.until(lambda now: all(one.up for one in now.hosts))
    assert [nic.ip for one in site.instances().values() for nic in one.nics] == ["10.0.2.15"]

"""`make demo-cluster`: several hosts, pretended on this machine, with guests on two VLANs.

The cluster manager, the scheduler and DHCP for the guests are on the switch's machine; every host
has a node manager. The clients of the checkout reach all of it from outside, as from any machine of
the same network.
"""

from contextlib import closing, suppress
from pathlib import Path
from typing import Final

from tashi.adapters.system.commands import SystemCommands
from tashi.domain.errors import CommandFailed, Failed
from tashi.programs.demo.cluster import Cluster
from tashi.programs.demo.daemons import Daemons, Seat, program
from tashi.programs.demo.machines.lab import Lab, Machine, check_root
from tashi.programs.demo.machines.wiring import GROUP, VLANS
from tashi.programs.demo.one_host import destroy_instances, say_where_clients_look
from tashi.programs.demo.place import IMAGE, Place
from tashi.programs.demo.saying import aside, show, step
from tashi.settings.search import FOLDERS_VARIABLE
from tashi.wire.forms import DiskForm, InstanceForm, NewInstanceForm, NicForm

HOSTS: Final = 3
GUESTS: Final = {"web": 999, "db": 999, "lab": 1001}
MOVED: Final = "web"
NAMES: Final = {999: "public", 1001: "private"}
_MEMORY: Final = 2048
_CORES: Final = 4
_PORT: Final = 9882
_TABLES: Final = (("getHosts",), ("getVmLayout",), ("getInstances", "--show-nics"))
_SECONDS: Final = 30.0


class ManyPlace(Place):
    """The place of a demo of many hosts; its configuration names the lab's addresses."""

    target = "demo-cluster"

    def prepare_for(self, lab: Lab) -> None:
        """Make what is missing; raises as `prepare` does."""
        (self.home / "run").mkdir(mode=0o700, exist_ok=True)
        self.add_image(self.home / "store/images")
        self.configure(_configuration(self.home, lab))
        for host in lab.hosts:
            text = f"[NodeManagerService]\nhost = {host.address}\n"
            (host.own / "config" / "NodeManager.cfg").write_text(text, encoding="utf-8")
        self.lead_clients_here()


def up(place: ManyPlace) -> None:
    """Make the machines and the cluster, boot the guests, move one, and show all."""
    check_root()
    place.check_image()
    commands = SystemCommands()
    place.home.mkdir(exist_ok=True)
    lab = Lab(place.home, commands, hosts=HOSTS, by_hand=False)
    with step(f"Making a switch and {HOSTS} hosts out of network namespaces"):
        lab.make()
        place.prepare_for(lab)
    with step("Starting the daemons on them, each kept alive by nmd"):
        Daemons(place, commands, seats(place, lab)).start()
    with closing(Cluster(place.manager_address())) as cluster:
        addresses = _fill(cluster, lab)
        elsewhere = cluster.elsewhere(MOVED)
    print()
    for table in _TABLES:
        print(commands.run([program("tashi-client"), *table], timeout_seconds=_SECONDS))
    say_where_clients_look(place)
    print(_next(lab, addresses, elsewhere))


def down(place: ManyPlace) -> None:
    """End every guest and daemon, and remove the machines and the folder."""
    check_root()
    if place.home.exists():
        commands = SystemCommands()
        lab = Lab(place.home, commands, hosts=HOSTS, by_hand=False)
        destroy_instances(place)
        with step("Stopping the daemons"):
            for trouble in Daemons(place, commands, seats(place, lab)).stop():
                aside(trouble)
        with step("Removing the machines"):
            lab.remove()
    place.remove()
    print("Nothing of the demo is left.")


def _fill(cluster: Cluster, lab: Lab) -> dict[str, str]:
    """Start the guests, move one the first time, and return the address of each."""
    with step(f"Waiting for {HOSTS} hosts to register"):
        cluster.wait_for_hosts(HOSTS)
    for number, name in NAMES.items():
        cluster.add_network(number, name)
    is_first_time = not cluster.has(MOVED)
    with step(f"Starting {len(GUESTS)} instances on the VLANs {' and '.join(map(str, VLANS))}"):
        instances = [cluster.start_instance(_wanted(name)) for name in GUESTS]
    with step("Waiting for their guests to boot (half a minute where they are emulated)"):
        addresses = {one.name: _address_of(cluster, lab, one) for one in instances}
    if is_first_time:
        _move(cluster, lab, addresses[MOVED])
    return addresses


def _move(cluster: Cluster, lab: Lab, address: str) -> None:
    with step(f"Asking {MOVED} over HTTP, from the switch"):
        before = _page(lab, address)
    with step("Moving it to another host while it runs"):
        source, target = cluster.move(MOVED)
    with step("Asking it again"):
        after = _page(lab, address)
    show(f"{MOVED} on {source}", before)
    show(f"{MOVED} on {target}: the same boot, and it went on counting", after)


def _wanted(name: str) -> NewInstanceForm:
    return NewInstanceForm(name, (DiskForm(IMAGE),), nics=(NicForm(GUESTS[name]),))


def seats(place: ManyPlace, lab: Lab) -> list[Seat]:
    """Where each daemon runs, as far as the machines stand."""
    shared = place.config.parent
    seats = [
        _seat(lab.switch, daemon, daemon, shared) for daemon in ("clustermanager", "scheduler")
    ]
    for host in lab.hosts:
        own = place.home / "own/config"
        seats.append(_seat(host, "nodemanager", f"nodemanager-{host.name}", shared, own))
    return [seat for seat in seats if seat is not None]


def _seat(machine: Machine, daemon: str, name: str, *config: Path) -> Seat | None:
    if not machine.namespace.is_whole():
        return None
    folders = ":".join(map(str, config))
    return Seat(daemon, name, (*machine.inside(), "env", f"{FOLDERS_VARIABLE}={folders}"))


def _address_of(cluster: Cluster, lab: Lab, instance: InstanceForm) -> str:
    """The address of a guest, once it answers there."""
    [nic] = instance.nics
    known = lab.leases().get(nic.mac)
    if known is None or not _page(lab, known):  # else its boot may be on another host's console
        cluster.boot_lines(instance)
        known = lab.leases().get(nic.mac)
    if known is None:
        raise Failed(f"The guest of {instance.name} got no address by DHCP: see log/dnsmasq.log.")
    return known


def _page(lab: Lab, address: str) -> list[str]:
    """What a guest answers over HTTP; nothing, if it does not."""
    with suppress(CommandFailed):
        said = lab.switch.run("curl", "--silent", "--max-time", "10", f"http://{address}/")
        return said.splitlines()
    return []


def _next(lab: Lab, addresses: dict[str, str], elsewhere: str) -> str:
    switch, host = lab.switch.namespace.name, lab.hosts[0].namespace.name
    return f"""\
Try next:
    bin/tashi-client migrateVm --instance {MOVED} --dst {elsewhere} --wait
    bin/tashi-client createVm --name more --disks {IMAGE} --nics 1001 --wait
    bin/tashi-client getConsole --instance db --follow
    ip netns exec {switch} curl http://{addresses["web"]}/
    ip netns exec {switch} ping {addresses["lab"]}
    ip -n {switch} link set host1 down      # pull host1's cable; "up" plugs it in again
    ip netns exec {host} bridge link        # what hangs on a host's bridges
    make demo-cluster-down
"""


def _configuration(home: Path, lab: Lab) -> str:
    return f"""\
# Written by `make demo-cluster`; `make demo-cluster-down` removes it.
[Security]
trustedNetworks = {lab.network}

[Client]
clusterManagerHost = {lab.switch.address}
clusterManagerPort = {_PORT}

[ClusterManagerService]
host = {lab.switch.address}
port = {_PORT}
# The demo's guests are small: several may share a core.
cpuOvercommit = 4

[Pickled]
file = {home}/books

[NodeManager]
network = bridges

[Bridges]
uplink = eth0
uplinkKind = vxlan
vxlanGroup = {GROUP}

[NodeManagerService]
clusterManagerHost = {lab.switch.address}
clusterManagerPort = {_PORT}
registerHost = True
registerFrequency = 2
memory = {_MEMORY}
cores = {_CORES}
bootIdFile = {home}/own/boot-id

[Qemu]
infoDir = {home}/own/info
scratchDir = {home}/own/scratch

[Vfs]
prefix = {home}/mnt
"""

"""Hypothesis strategies for hosts, instances and whole books.

Small ranges on purpose: collisions (two instances of one name, a full host, a reserved one) are
what tests are after, so they should be likely.
"""

from dataclasses import replace

from hypothesis import strategies as st
from hypothesis.strategies import DrawFn, SearchStrategy

from tashi.domain.books import Books, books_of
from tashi.domain.host import Host
from tashi.domain.identity import Attempt, HostId, InstanceId, Mib, NetworkId, UserId, VmId
from tashi.domain.instance import Disk, Instance, Nic
from tashi.domain.states import HostState, InstanceState

VERSION = "1.1"
USERS = [UserId(number) for number in (500, 501, 502)]
NETWORKS = [NetworkId(number) for number in (1, 2)]
GROUPS = ["", "web", "db"]
NAMES = ["a", "b", "c"]

SETTLED_ON_A_HOST = [InstanceState.RUNNING, InstanceState.PAUSED, InstanceState.SHUTTING_DOWN]
WAITING = [InstanceState.PENDING, InstanceState.HELD]


@st.composite
def hosts(draw: DrawFn, number: int = 1, *, open_only: bool = False) -> Host:
    """A host with that id: most of them up and usable, unless asked for only such."""
    usable = {"up": True, "state": HostState.NORMAL, "version": VERSION, "reserved": ()}
    chosen = {
        "up": draw(st.sampled_from([True, True, True, False])),
        "state": draw(st.sampled_from([HostState.NORMAL, HostState.NORMAL, *HostState])),
        "version": draw(st.sampled_from([VERSION, VERSION, "1.0", "0.9", "2.0", ""])),
        "reserved": draw(st.sampled_from([(), (), (USERS[0],), (USERS[1], USERS[2])])),
        "networks": draw(st.sampled_from([None, None, (NETWORKS[0],)])),
        "draining": draw(st.sampled_from([False, False, False, True])),
    }
    host = Host(
        id=HostId(number),
        name=f"n{number}",
        memory=Mib(draw(st.integers(0, 8)) * 512),
        cores=draw(st.integers(0, 8)),
    )
    return replace(host, **(usable if open_only else chosen))


def peers() -> SearchStrategy[str]:
    """The value of an affinity hint."""
    one = st.sampled_from(["group:web", "group:db", "instance:a", "instance:b"])
    return st.lists(one, min_size=1, max_size=2, unique=True).map("+".join)


def placement_hints() -> SearchStrategy[dict[str, str]]:
    """Hints that bear on placement; often none."""
    some = st.fixed_dictionaries(
        {},
        optional={
            "targetHost": st.sampled_from(["n1", "n2", "1", "nowhere"]),
            "allowElsewhere": st.sampled_from(["True", "False"]),
            "densePack": st.sampled_from(["True", "False"]),
            "near": peers(),
            "away": peers(),
            "preferNear": peers(),
            "preferAway": peers(),
        },
    )
    return st.one_of(st.just({}), st.just({}), some)


def disks() -> SearchStrategy[tuple[Disk, ...]]:
    """One disk, now and then a persistent one."""
    return st.sampled_from(
        [(Disk("root"),), (Disk("root"),), (Disk("root"), Disk("shared", persistent=True))]
    )


@st.composite
def waiting_instances(draw: DrawFn, number: int = 1) -> Instance:
    """A Pending or Held instance with that id."""
    state = draw(st.sampled_from(WAITING))
    return Instance(
        id=InstanceId(number),
        name=draw(st.sampled_from(NAMES)),
        user_id=draw(st.sampled_from(USERS)),
        cores=draw(st.integers(1, 4)),
        memory=Mib(draw(st.integers(1, 6)) * 256),
        disks=draw(disks()),
        nics=tuple(
            Nic(network, f"52:54:00:00:00:{number:02x}")
            for network in draw(st.lists(st.sampled_from(NETWORKS), max_size=1))
        ),
        hints=draw(placement_hints()),
        group_name=draw(st.sampled_from(GROUPS)),
        state=state,
        tries=draw(st.integers(1, 3)) if state is InstanceState.HELD else 0,
    )


@st.composite
def placed_instances(draw: DrawFn, number: int, host: HostId) -> Instance:
    """An instance with that id that occupies that host, whether it fits there or not."""
    return replace(
        draw(waiting_instances(number)),
        state=draw(st.sampled_from(SETTLED_ON_A_HOST)),
        tries=0,
        host_id=host,
        vm_id=VmId(1000 + number),
        attempt=Attempt(1),
    )


@st.composite
def instances(draw: DrawFn, number: int, host_ids: list[HostId]) -> Instance:
    """An instance with that id that waits, is placed, or is stopped with its disks on a host."""
    fate = draw(st.sampled_from(["waits", "waits", "placed", "has disks"])) if host_ids else "waits"
    if fate == "waits":
        return draw(waiting_instances(number))
    host = draw(st.sampled_from(host_ids))
    if fate == "placed":
        return draw(placed_instances(number, host))
    return replace(draw(waiting_instances(number)), disks_on=host)


@st.composite
def books(draw: DrawFn, *, most_hosts: int = 4, most_instances: int = 10) -> Books:
    """Books of a small cluster in which every persistent disk is attached once at most."""
    machines = [draw(hosts(n)) for n in range(1, draw(st.integers(0, most_hosts)) + 1)]
    held: set[str] = set()
    records = []
    for number in range(1, draw(st.integers(0, most_instances)) + 1):
        one = draw(instances(number, [host.id for host in machines]))
        if one.hosts and held & set(one.persistent_disks):
            one = replace(one, disks=(Disk("root"),))
        if one.hosts:
            held.update(one.persistent_disks)
        records.append(one)
    return books_of([*machines, *records])

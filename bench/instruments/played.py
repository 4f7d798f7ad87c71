"""A cluster manager in this process, its books in memory, its nodes and its users played.

What it is asked goes in as the bytes of a request and comes out as those of the answer.
"""

import time
from collections.abc import Sequence
from concurrent.futures import Future
from itertools import count
from random import Random
from typing import Final, TypeVar

from fakes.clock import HandTurnedClock
from fakes.images import FakeImages
from fakes.nodes import FakeNodes
from fakes.users import FakePasswords
from fakes.workers import AtOnce
from tashi import __version__
from tashi.adapters.store.memory import MemoryStore
from tashi.adapters.users.getent import NoDirectory
from tashi.clustermanager.daemon import ClusterManager, Plan, World
from tashi.clustermanager.instances import Rules
from tashi.clustermanager.monitor import Times
from tashi.domain.admission import Limits
from tashi.domain.catalogue import Network
from tashi.domain.host import Host
from tashi.domain.identity import (
    CommitNumber,
    EventNumber,
    HostId,
    InstanceId,
    Mib,
    NetworkId,
    Session,
    UserId,
)
from tashi.domain.instance import Disk, Instance, Nic
from tashi.domain.journal import Counters, Entry, Kept, Put, Record
from tashi.domain.permissions import Caller, Role
from tashi.domain.placement.filters import Policy
from tashi.domain.states import InstanceState
from tashi.wire import codec, envelope, forms, methods, versions
from tashi.wire.serving import Desk

T = TypeVar("T")

IMAGE: Final = "bench.qcow2"
NETWORK: Final = Network(NetworkId(1), "default")
NODE: Final = Caller(Role.NODE, name="n1")


class Manager:
    """One cluster manager, asked in groups; its node `n1` is up and has room for everything."""

    def __init__(self, hosts: int, instances: int) -> None:
        store = MemoryStore()
        store.fill(_kept(hosts, instances))
        clock = HandTurnedClock(1000.0)
        world = World(
            store=store, clock=clock, nodes=FakeNodes(), workers=AtOnce(),
            directory=NoDirectory(), passwords=FakePasswords(), images=FakeImages({IMAGE}),
            draws=Random(1),
        )  # fmt: skip
        policy = Policy(version=__version__, cpu_overcommit=1e6, memory_overcommit=1e6)
        plan = Plan(
            rules=Rules(Limits(8192, 8), policy, NETWORK.id),
            times=Times(expire_host=1e9, decay=1e9, activate=1e9, monitor=1e9, migrate=1e9),
            most_events=10_000, fetch_threshold=1e9, version=__version__, largest_image=1 << 30,
        )  # fmt: skip
        self.manager = ClusterManager(world, plan)
        self.manager.begin()
        self._desk = Desk(
            methods.CLUSTER_MANAGER, self.manager.handlers(), versions.CLUSTER_MANAGER
        )
        self._numbers = count(1)
        machine = forms.MachineForm("n1", 65536, 64, __version__, "n1", 1, "boot")
        asked = self.request("registerNodeManager", NODE, machine=machine, register=True)
        self.session = result(forms.SessionForm, self.ask([asked])[1][0])
        self.reports = count(1)
        self.running = instances

    def request(self, call: str, who: Caller, **arguments: object) -> bytes:
        """The bytes of a call, with an id of its own."""
        version = str(versions.CLUSTER_MANAGER.version)
        args = codec.encode(methods.CLUSTER_MANAGER[call].takes(**arguments))
        return envelope.write_request(version, str(next(self._numbers)), call, args, who)

    def ask(self, requests: Sequence[bytes]) -> tuple[float, list[bytes]]:
        """Microseconds of the processor for each of these calls, and their answers."""
        began = time.thread_time()
        asked = [self._desk.answer(request, "bench") for request in requests]
        self.manager.turn(0.0)
        answers = [one.result(0) if isinstance(one, Future) else one for one in asked]
        return (time.thread_time() - began) / len(requests) * 1e6, answers

    def tick(self) -> float:
        """Microseconds for what the passing of time costs."""
        began = time.thread_time()
        self.manager.tick()
        self.manager.turn(0.0)
        return (time.thread_time() - began) * 1e6


def result(form: type[T], answer: bytes) -> T:
    """What an answer says that came of its call."""
    request_id, _ = envelope.glance(answer)
    return codec.decode(form, envelope.read_answer(answer, request_id), "The answer")


def _kept(hosts: int, instances: int) -> Kept:
    """What a cluster of that size keeps: all hosts up, each with its share of the instances."""
    machines = [
        Host(
            id=HostId(number), name=f"n{number}", up=True, memory=Mib(65536), cores=64,
            version=__version__, address=f"n{number}", port=1, session=Session(number),
        )
        for number in range(1, hosts + 1)
    ]  # fmt: skip
    running = [
        Instance(
            id=InstanceId(number), name=f"i{number}", user_id=UserId(1000), cores=1,
            memory=Mib(512), disks=(Disk(IMAGE),), state=InstanceState.RUNNING,
            nics=(Nic(NETWORK.id, "52:54:01:" + number.to_bytes(3).hex(":")),),
            host_id=HostId(number % hosts + 1),
        )
        for number in range(1, instances + 1)
    ]  # fmt: skip
    records: tuple[Record, ...] = (NETWORK, *machines, *running)
    events = tuple(
        Entry(EventNumber(number), 0.0, "", "", Put(record))
        for number, record in enumerate(running, 1)
    )
    counters = Counters(
        instance=InstanceId(instances + 1), host=HostId(hosts + 1), session=Session(hosts + 1),
        event=EventNumber(instances + 1),
    )  # fmt: skip
    return Kept(CommitNumber(1), records, events, (), counters)

"""Short ways to write the hosts and instances that examples are made of.

Whatever a test is not about has a plain value; `dataclasses.replace` sets the rest.
"""

from dataclasses import replace

from tashi.domain.host import Host
from tashi.domain.identity import HostId, InstanceId, Mib, UserId, VmId
from tashi.domain.instance import Disk, Instance
from tashi.domain.states import InstanceState

VERSION = "1.1"


def a_host(number: int = 1, *, memory: int = 8192, cores: int = 8) -> Host:
    """A host named ``n<number>`` that is up and open to all."""
    return Host(
        id=HostId(number),
        name=f"n{number}",
        up=True,
        memory=Mib(memory),
        cores=cores,
        version=VERSION,
    )


def waiting(
    number: int = 1, *, memory: int = 1024, cores: int = 1, user: int = 500, group: str = ""
) -> Instance:
    """A Pending instance named ``i<number>``."""
    return Instance(
        id=InstanceId(number),
        name=f"i{number}",
        user_id=UserId(user),
        cores=cores,
        memory=Mib(memory),
        disks=(Disk("root"),),
        group_name=group,
    )


def held(number: int = 1, *, tries: int = 1, user: int = 500) -> Instance:
    """An instance whose start has failed so often."""
    return replace(waiting(number, user=user), state=InstanceState.HELD, tries=tries)


def running(one: Instance, host: int = 1) -> Instance:
    """That instance, running on that host."""
    return replace(one, state=InstanceState.RUNNING, host_id=HostId(host), vm_id=VmId(1000))


def hinting(one: Instance, **hints: str) -> Instance:
    """That instance with those hints."""
    return replace(one, hints=hints)

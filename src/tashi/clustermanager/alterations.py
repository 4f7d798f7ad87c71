"""What becomes of an instance's making on its owner's request: name, size, devices.

Like `instances`: every function changes a draft and returns the record as it then stands. That the
state allows the command is asked first, so that who comes at the wrong time hears of that.
"""

from collections.abc import Callable, Container
from dataclasses import dataclass, replace
from random import Random

from tashi.clustermanager.draft import Draft
from tashi.clustermanager.instances import Rules, check_some_host_is_large_enough, with_mac
from tashi.domain import alterations as a
from tashi.domain import making
from tashi.domain.admission import Surroundings
from tashi.domain.errors import NoRoom
from tashi.domain.identity import InstanceId, Mib
from tashi.domain.instance import Devices, Disk, Instance, Nic
from tashi.domain.listings import asked_for, check_asked
from tashi.domain.permissions import Caller, check_owner
from tashi.domain.placement.filters import attached_elsewhere
from tashi.domain.transitions import check_fits


@dataclass(frozen=True, slots=True)
class Asker:
    """Who asks, for which instance, and which images were seen to exist."""

    caller: Caller
    key: InstanceId
    images: Container[str] = ()

    def instance(self, draft: Draft) -> Instance:
        """The instance; raises NoSuchInstance or NotPermitted."""
        record = draft.books.instance(self.key)
        check_owner(record.user_id, self.caller, str(record).capitalize())
        return record


def rename(draft: Draft, asker: Asker, name: str, rules: Rules) -> Instance:
    """Call the instance something else."""
    record = asker.instance(draft)
    check_fits(record, a.Rename)
    making.check_new_name(record, name, rules.limits, draft.books.names)
    return draft.befall(record.id, a.Rename(draft.next_operation(), name), asker.caller.name)


def resize(
    draft: Draft, asker: Asker, cores: int | None, memory: int | None, rules: Rules
) -> Instance:
    """Give the instance other cores, other memory, or both, when it runs next."""
    record = asker.instance(draft)
    check_fits(record, a.Resize)
    cores = record.cores if cores is None else cores
    memory = record.memory if memory is None else memory
    making.check_new_size(record, cores, memory, rules.limits)
    wanted = replace(record, cores=cores, memory=Mib(memory))
    check_some_host_is_large_enough(wanted, draft.books, rules.policy)
    command = a.Resize(draft.next_operation(), cores, Mib(memory))
    return draft.befall(record.id, command, asker.caller.name)


def attach_disk(draft: Draft, asker: Asker, disk: Disk) -> Instance:
    """Plug a disk in; raises NoRoom when another instance has it."""

    def devices(record: Instance) -> Devices:
        wanted = making.with_disk(record, disk, _around(draft, asker.images))
        taken = attached_elsewhere(draft.books, replace(record, wanted=wanted))
        if taken is not None and record.hosts:
            uri, holder = taken
            other = draft.books.instances[holder]
            raise NoRoom(f"Disk {uri} is attached to {other}, and persistent: detach it there.")
        return wanted

    return _alter(draft, asker, a.AttachDisk, devices)


def detach_disk(draft: Draft, asker: Asker, uri: str) -> Instance:
    """Plug a disk out."""
    return _alter(draft, asker, a.DetachDisk, lambda record: making.without_disk(record, uri))


def attach_nic(draft: Draft, asker: Asker, nic: Nic, draws: Random) -> Instance:
    """Plug a network card in; raises NoRoom when the instance's host lacks the network."""

    def devices(record: Instance) -> Devices:
        card = with_mac(nic, draft.books, draws)
        wanted = making.with_nic(record, card, _around(draft, ()))
        check_asked(draft.books.places, asked_for(wanted.nics[-1:]))
        for host in (draft.books.host(key) for key in record.hosts):
            if host.networks is not None and nic.network not in host.networks:
                raise NoRoom(f"{host.name}, where {record} runs, has no network {nic.network}.")
        return wanted

    return _alter(draft, asker, a.AttachNic, devices)


def detach_nic(draft: Draft, asker: Asker, mac: str) -> Instance:
    """Plug a network card out."""
    return _alter(draft, asker, a.DetachNic, lambda record: making.without_nic(record, mac))


def change_cdrom(draft: Draft, asker: Asker, uri: str) -> Instance:
    """Put an image into the CD drive, or take out what is there."""
    return _alter(
        draft, asker, a.ChangeCdrom, lambda record: making.with_cd(record, uri, asker.images)
    )


def _alter(
    draft: Draft, asker: Asker, kind: type[a.Alter], devices: Callable[[Instance], Devices]
) -> Instance:
    record = asker.instance(draft)
    check_fits(record, kind)
    command = kind(draft.next_operation(), devices(record))
    return draft.befall(record.id, command, asker.caller.name)


def _around(draft: Draft, images: Container[str]) -> Surroundings:
    books = draft.books
    return Surroundings(names={}, macs=books.macs, networks=books.networks, images=images)

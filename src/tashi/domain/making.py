"""What an instance that exists already may be made into: its name, its size, its devices.

Pure: each function says what the devices would be after a change, or refuses with the remedy. Only
what was plugged in can be plugged out, since the disks and cards that a guest starts with have
their numbers, and the guest its habits, from their order.
"""

from collections.abc import Collection, Container, Mapping
from dataclasses import replace
from typing import Final

from tashi.domain.admission import (
    MOST_DISKS,
    MOST_NICS,
    Limits,
    Surroundings,
    check_free_name,
    check_sizes,
    check_texts,
    checked_disk,
    checked_nic,
)
from tashi.domain.errors import IncorrectState, InvalidInstance, Refused
from tashi.domain.identity import InstanceId
from tashi.domain.instance import PORTS, Devices, Disk, Instance, Nic


def check_new_name(
    record: Instance, name: str, limits: Limits, names: Mapping[str, Collection[InstanceId]]
) -> None:
    """Raise InvalidInstance unless the instance can be called that from now on."""
    others = (one for one in names.get(name, ()) if one != record.id)
    check_free_name(name, limits, min(others, default=None))


def check_new_size(record: Instance, cores: int, memory: int, limits: Limits) -> None:
    """Raise InvalidInstance or IncorrectState unless the instance can have that size."""
    check_sizes(cores, memory, limits)
    if record.saved is not None:
        raise IncorrectState(
            f"resizeVm does not fit: {record} waits to go on from its saved memory, which has the "
            "size that it had. Resume it and stop it first.",
            instance=record.id,
        )


def with_disk(record: Instance, disk: Disk, around: Surroundings) -> Devices:
    """The devices with one disk more, in a port of its own."""
    if len(record.disks) >= MOST_DISKS:
        raise InvalidInstance(f"{record} has {MOST_DISKS} disks already, and can have no more.")
    checked = replace(checked_disk(disk, around), port=_free_port(record))
    if checked.persistent and checked.uri in record.persistent_disks:
        raise InvalidInstance("One image cannot be two persistent disks of the same instance.")
    return _bounded(record, replace(record.devices, disks=(*record.disks, checked)))


def without_disk(record: Instance, uri: str) -> Devices:
    """The devices without the disk of that image that was plugged in last."""
    found = [disk for disk in record.disks if disk.uri == uri.strip("/")]
    plugged = [disk for disk in found if disk.port]
    if not found:
        has = ", ".join(disk.uri for disk in record.disks)
        raise Refused(
            f"{str(record).capitalize()} has no disk {uri!r}; it has {has}.", instance=record.id
        )
    if not plugged:
        raise Refused(
            _NOT_PLUGGED.format(record=str(record).capitalize(), what=f"disk {uri}"),
            instance=record.id,
        )
    left = tuple(disk for disk in record.disks if disk != plugged[-1])
    return replace(record.devices, disks=left)


def with_nic(record: Instance, nic: Nic, around: Surroundings) -> Devices:
    """The devices with one network card more, in a port of its own."""
    if len(record.nics) >= MOST_NICS:
        raise InvalidInstance(
            f"{record} has {MOST_NICS} network cards already, and can have no more."
        )
    checked = replace(checked_nic(nic, around), port=_free_port(record))
    return replace(record.devices, nics=(*record.nics, checked))


def without_nic(record: Instance, mac: str) -> Devices:
    """The devices without the network card of that MAC address."""
    found = next((nic for nic in record.nics if nic.mac == mac.lower()), None)
    if found is None:
        has = ", ".join(nic.mac for nic in record.nics) or "none"
        raise Refused(
            f"{str(record).capitalize()} has no network card {mac!r}; it has {has}.",
            instance=record.id,
        )
    if not found.port:
        raise Refused(
            _NOT_PLUGGED.format(record=str(record).capitalize(), what=f"card {mac}"),
            instance=record.id,
        )
    return replace(record.devices, nics=tuple(nic for nic in record.nics if nic != found))


def with_cd(record: Instance, uri: str, images: Container[str] | None) -> Devices:
    """The devices with that image in the CD drive; with none when the name is empty."""
    if not uri:
        return replace(record.devices, cdrom="")
    around = Surroundings(names={}, macs={}, networks=(), images=images)
    checked = checked_disk(Disk(uri), around)
    return _bounded(record, replace(record.devices, cdrom=checked.uri))


_NOT_PLUGGED: Final = (
    "{record} has had its {what} since it was created: only what was plugged in can be plugged out."
)


def _bounded(record: Instance, devices: Devices) -> Devices:
    check_texts(record.hints, devices)
    return devices


def _free_port(record: Instance) -> int:
    taken = {disk.port for disk in record.disks} | {nic.port for nic in record.nics}
    free = [port for port in range(1, PORTS + 1) if port not in taken]
    if not free:
        raise Refused(
            f"All {PORTS} ports of {record} are taken: plug a disk or a network card out first.",
            instance=record.id,
        )
    return free[0]

"""What may become an instance: the rules that a request meets before the cluster takes it on.

Each rule refuses with one sentence that says what was wrong and what would be right. A request
that passes here is safe to put on a command line, into a file name and into a DNS message.
"""

import re
from collections.abc import Container, Mapping
from dataclasses import dataclass, field
from ipaddress import ip_address
from typing import Final

from tashi.domain.errors import InvalidInstance, NoSuchImage, NoSuchNetwork
from tashi.domain.hints import check_hints
from tashi.domain.identity import InstanceId, Mib, NetworkId, UserId
from tashi.domain.instance import Devices, Disk, Instance, Nic, OnExit, OnLoss
from tashi.domain.listings import asked_for
from tashi.domain.states import InstanceState

_PART: Final = r"[A-Za-z0-9]([A-Za-z0-9-]*[A-Za-z0-9])?"
_NAME: Final = re.compile(rf"(?=.{{1,63}}\Z){_PART}(\.{_PART})*\Z")
_GROUP: Final = re.compile(r"[A-Za-z0-9.-]{0,63}\Z")
_MAC: Final = re.compile(r"[0-9a-f]{2}(:[0-9a-f]{2}){5}\Z")
_MULTICAST_BIT: Final = 1
_LEADING_ELSEWHERE: Final = frozenset(("", ".", ".."))
_SIGNS_OF_OPTIONS: Final = frozenset(',:\\"')
MOST_DISKS: Final = 16
MOST_NICS: Final = 8
MOST_HINT_LETTERS: Final = 4096
MOST_TEXT_BYTES: Final = 8192
"""The hints and the names of the images of an instance: orders and lists, which have limits of
their own, carry them all."""


@dataclass(frozen=True, slots=True)
class Limits:
    """What one instance may ask for at most; memory in MiB."""

    max_memory: int
    max_cores: int
    allow_duplicate_names: bool = False


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What a request is checked against: who has a name or a MAC, and what exists.

    `images` is ``None`` when the image store could not be read; the node then finds out.
    """

    names: Mapping[str, InstanceId]
    macs: Mapping[str, InstanceId]
    networks: Container[NetworkId]
    images: Container[str] | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Wish:
    """All that a user may choose of an instance; `memory` is in MiB."""

    name: str
    cores: int
    memory: Mib
    disks: tuple[Disk, ...]
    nics: tuple[Nic, ...] = ()
    hints: Mapping[str, str] = field(default_factory=dict)
    group_name: str = ""
    on_exit: OnExit = OnExit.FORGET
    on_loss: OnLoss = OnLoss.RESTART


def admit(
    asked: Wish, limits: Limits, around: Surroundings, *, key: InstanceId, owner: UserId, at: float
) -> Instance:
    """The wish as a fresh Pending record with that id, if every rule lets it pass.

    The addresses that it asks for are listed in it; `at` is now, in seconds since 1970.
    Raises InvalidInstance, NoSuchImage or NoSuchNetwork with the first rule that does not.
    """
    check_free_name(asked.name, limits, around.names.get(asked.name))
    check_sizes(asked.cores, asked.memory, limits)
    if len(asked.disks) > MOST_DISKS:
        raise InvalidInstance(f"{len(asked.disks)} disks are too many: at most {MOST_DISKS}.")
    check_texts(asked.hints, Devices(asked.disks))
    check_hints(asked.hints)
    if not _GROUP.match(asked.group_name):
        raise InvalidInstance(
            f"Group {asked.group_name!r} is no group name: use letters, digits, dots and hyphens."
        )
    nics = _checked_nics(asked.nics, around)
    return Instance(
        id=key,
        name=asked.name,
        user_id=owner,
        cores=asked.cores,
        memory=asked.memory,
        disks=_checked_disks(asked.disks, around),
        nics=nics,
        hints=dict(asked.hints),
        group_name=asked.group_name,
        on_exit=asked.on_exit,
        on_loss=asked.on_loss,
        state=InstanceState.PENDING,
        changed_at=at,
        listings=asked_for(nics),
    )


def check_name(name: str) -> None:
    """Raise InvalidInstance unless this can be an instance's name."""
    if not _NAME.match(name):
        raise InvalidInstance(
            f"{name!r} is no name for an instance: use 1 to 63 letters, digits, dots and hyphens, "
            "a letter or digit first and last in each part between dots."
        )


def check_free_name(name: str, limits: Limits, holder: InstanceId | None) -> None:
    """Raise InvalidInstance unless an instance can have that name, which `holder` has already."""
    check_name(name)
    if name.isdigit():
        raise InvalidInstance(
            f"{name!r} is no name for an instance: it would be taken for an id. Add a letter."
        )
    if holder is not None and not limits.allow_duplicate_names:
        raise InvalidInstance(
            f"The name {name!r} is taken by instance {holder}: choose another.", instance=holder
        )


def check_sizes(cores: int, memory: int, limits: Limits) -> None:
    """Raise InvalidInstance unless an instance can have so many cores and MiB of memory."""
    _check_size("core", "cores", cores, limits.max_cores)
    _check_size("MiB of memory", "MiB of memory", memory, limits.max_memory)


def check_texts(hints: Mapping[str, str], devices: Devices) -> None:
    """Raise InvalidInstance for texts that are too long, whatever is right about them."""
    for name, value in hints.items():
        if len(value) > MOST_HINT_LETTERS:
            raise InvalidInstance(
                f"Hint {name[:40]!r} has {len(value)} letters: at most {MOST_HINT_LETTERS}."
            )
    images = (*(disk.uri for disk in devices.disks), devices.cdrom)
    texts = (*hints, *hints.values(), *images)
    size = sum(len(text.encode(errors="replace")) for text in texts)
    if size > MOST_TEXT_BYTES:
        raise InvalidInstance(
            f"The hints and the names of the images have {size} bytes together: an instance has "
            f"at most {MOST_TEXT_BYTES}. Leave some out, or use shorter ones."
        )


def _check_size(one: str, many: str, wanted: int, most: int) -> None:
    if wanted < 1:
        raise InvalidInstance(f"{wanted} {many} is too little: an instance has at least 1 {one}.")
    if wanted > most:
        raise InvalidInstance(f"{wanted} {many} is too much: this cluster gives at most {most}.")


def _checked_disks(disks: tuple[Disk, ...], around: Surroundings) -> tuple[Disk, ...]:
    if not disks:
        raise InvalidInstance("An instance needs a disk: name an image, as in --disks web.qcow2.")
    checked = tuple(checked_disk(disk, around) for disk in disks)
    persistent = [disk.uri for disk in checked if disk.persistent]
    if len(set(persistent)) < len(persistent):
        raise InvalidInstance("One image cannot be two persistent disks of the same instance.")
    return checked


def checked_disk(disk: Disk, around: Surroundings) -> Disk:
    """The disk by the place of its image; raises InvalidInstance or NoSuchImage."""
    checked = Disk(image_path(disk.uri), disk.persistent)
    if around.images is not None and checked.uri not in around.images:
        raise NoSuchImage(
            f"There is no disk image {checked.uri!r}: getImages lists those there are."
        )
    return checked


def image_path(uri: str) -> str:
    """The place under ``images/`` that `uri` names; InvalidInstance if it leads elsewhere."""
    path = uri.strip("/")
    if not (path.isprintable() and _LEADING_ELSEWHERE.isdisjoint(path.split("/"))):
        raise InvalidInstance(f"{uri!r} is no image: give a path below images/, without '..'.")
    if not _SIGNS_OF_OPTIONS.isdisjoint(path):
        raise InvalidInstance(f"{uri!r} is no image: commas, colons, quotes and \\ cannot be used.")
    return path


def _checked_nics(nics: tuple[Nic, ...], around: Surroundings) -> tuple[Nic, ...]:
    if len(nics) > MOST_NICS:
        raise InvalidInstance(f"{len(nics)} network cards are too many: at most {MOST_NICS}.")
    checked = tuple(checked_nic(nic, around) for nic in nics)
    macs = [nic.mac for nic in checked]
    if len(set(macs)) < len(macs):
        raise InvalidInstance("Two network cards of one instance cannot have the same MAC address.")
    return checked


def checked_nic(nic: Nic, around: Surroundings) -> Nic:
    """The network card, written as it is kept; raises InvalidInstance or NoSuchNetwork."""
    checked = Nic(nic.network, _checked_mac(nic.mac, around), _checked_ip(nic.ip))
    if nic.network not in around.networks:
        raise NoSuchNetwork(
            f"There is no network {nic.network}: getNetworks lists those there are."
        )
    return checked


def check_mac(mac: str) -> None:
    """Raise InvalidInstance unless this is a MAC address as a network card is kept with."""
    if not _MAC.match(mac) or int(mac[:2], 16) & _MULTICAST_BIT:
        raise InvalidInstance(
            f"{mac!r} is no MAC address for a network card: give six pairs of hexadecimal digits, "
            "the first pair even, as in 52:54:00:12:34:56."
        )


def _checked_mac(text: str, around: Surroundings) -> str:
    mac = text.lower()
    check_mac(mac)
    holder = around.macs.get(mac)
    if holder is not None:
        raise InvalidInstance(
            f"The MAC address {mac} is taken by instance {holder}.", instance=holder
        )
    return mac


def _checked_ip(text: str | None) -> str | None:
    if text is None:
        return None
    # A zone, after a percent sign, may hold any character, and means nothing on another host.
    address = None if "%" in text else _address(text)
    if address is None:
        raise InvalidInstance(f"{text!r} is no IP address: write one as in 192.0.2.17.")
    return address


def _address(text: str) -> str | None:
    try:
        return str(ip_address(text))
    except ValueError:
        return None

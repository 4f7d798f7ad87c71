"""What the clients show of each kind of thing: its columns, and its forms as rows of plain values.

The names of columns are Tashi's. A row holds every field of its form under the name that it has on
the wire, seen as a column or not, since a row is also what `--output json` gives: removing or
renaming one breaks scripts. States stand in it by their titles.
"""

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from enum import Enum
from typing import Final

import msgspec

from tashi.client import syntax
from tashi.client.tables import (
    NOTHING,
    Json,
    Row,
    as_moment,
    as_percent,
    as_rate,
    as_size,
    as_text,
    sheet,
)
from tashi.domain.states import HostState, InstanceState, facts
from tashi.wire import forms
from tashi.wire.answers import WhyForm
from tashi.wire.images import ImageForm


def plain(value: object) -> Json:
    """A form, or what a form holds, as plain values."""
    match value:
        case InstanceState() | HostState():
            return value.title
        case Enum():
            return str(value.value)
        case msgspec.Struct():
            return row_of(value)
        case Mapping():
            return {str(name): plain(one) for name, one in value.items()}
        case tuple() | list():
            return [plain(one) for one in value]
        case None | bool() | int() | float() | str():
            return value
    raise TypeError(f"{type(value).__name__} is no part of a form")


def row_of(form: msgspec.Struct) -> dict[str, Json]:
    """Every field of a form, also those that the wire leaves out for being at their default."""
    names = zip(form.__struct_fields__, form.__struct_encode_fields__, strict=True)
    return {wire: plain(getattr(form, ours)) for ours, wire in names}


# ---- cells --------------------------------------------------------------------------------------


def _state(row: Row) -> str:
    return f"{row['state']} (decayed)" if row["decayed"] else as_text(row["state"])


def _host_state(row: Row) -> str:
    """A host that is being emptied is not Normal to people, though it is in the books."""
    return f"{row['state']} (draining)" if row["draining"] else as_text(row["state"])


def _days(days: Json) -> str:
    return str(math.floor(days)) if isinstance(days, int | float) else NOTHING


def _nics(row: Row) -> str:
    return ", ".join(map(_nic, _rows(row["nics"]))) or NOTHING


def _nic(nic: Row) -> str:
    ip = nic["ip"] if isinstance(nic["ip"], str) else None
    card = syntax.write_nics([syntax.NicWish(str(nic["network"]), ip, str(nic["mac"]))])
    forwards = _rows(nic["forwards"])
    return " ".join(
        [card, *(f"{one['guestPort']}→127.0.0.1:{one['hostPort']}" for one in forwards)]
    )


def _disks(row: Row) -> str:
    disks = [
        forms.DiskForm(str(one["uri"]), one["persistent"] is True) for one in _rows(row["disks"])
    ]
    return syntax.write_disks(disks) or NOTHING


def _rows(value: Json) -> list[Row]:
    return [one for one in value if isinstance(one, Mapping)] if isinstance(value, list) else []


def _progress(row: Row) -> str:
    progress = row["progress"]
    if not isinstance(progress, Mapping):
        return NOTHING
    done, total, words = progress["done"], progress["total"], as_text(progress["words"])
    assert isinstance(done, int)
    assert isinstance(total, int)
    part = as_percent(min(done / total, 1.0)) if total else as_size(done)
    return f"{part}, {as_rate(progress['rate'])}, {words}"


def _used(name: str) -> Callable[[Row], Json]:
    """Something that a guest uses."""

    def value(row: Row) -> Json:
        stats = row["stats"]
        return stats[name] if isinstance(stats, Mapping) else None

    return value


def _in_all(devices: str, name: str) -> Callable[[Row], Json]:
    """What all of a guest's disks, or all its network cards, do together."""

    def value(row: Row) -> Json:
        found = _rows(_used(devices)(row))
        return sum(float(str(one[name])) for one in found) if found else None

    return value


def _about_job(row: Row) -> str:
    """What a job does, and why it failed."""
    return f"{row['words']}: {row['error']}" if row["error"] else as_text(row["words"])


def _far(row: Row) -> str:
    """How far a job is."""
    done, total = row["done"], row["total"]
    assert isinstance(done, int)
    assert isinstance(total, int)
    return f"{100 * done // total} % of {as_size(total)}" if total else NOTHING


# ---- sheets -------------------------------------------------------------------------------------

INSTANCES: Final = sheet(
    "id hostId name user state disk memory cores",
    "userId groupName nics disks hints onExit onLoss vmId targetId attempt operation tries reason "
    "was saved stored disksOn leftovers keep changedAt decayed progress",
    state=_state,
    nics=_nics,
    disks=_disks,
    changedAt=lambda row: as_moment(row["changedAt"]),
    progress=_progress,
).and_group(
    "stats",
    cpuLoad=(_used("cpuLoad"), as_percent),
    rss=(_used("rss"), as_size),
    balloon=(_used("balloon"), as_size),
    read=(_in_all("disks", "readBytes"), as_rate),
    written=(_in_all("disks", "writtenBytes"), as_rate),
    received=(_in_all("nics", "receivedBytes"), as_rate),
    sent=(_in_all("nics", "sentBytes"), as_rate),
)
HOSTS: Final = sheet(
    "id reserved name decayed up state version memory cores notes",
    "address port bootId networks session draining certificateDays",
    state=_host_state,
    certificateDays=lambda row: _days(row["certificateDays"]),
    reserved=lambda row: as_text(row["keptFor"]),
)
CLUSTER_MANAGERS: Final = sheet("address state since words", "epoch")
EVACUEES: Final = sheet("instanceId name state fate target", "targetId words")
LAYOUT: Final = sheet("id name state instances usedMemory memory usedCores cores")
USERS: Final = sheet("id name")
NETWORKS: Final = sheet("id name default")
IMAGES: Final = sheet(
    "imageName imageSize virtualSize format backing usedBy",
    "backs user userId",
    imageSize=lambda row: as_size(row["imageSize"]),
    virtualSize=lambda row: as_size(row["virtualSize"]),
)
JOBS: Final = sheet(
    "id state words done",
    "userId total rate error errno kind change",
    words=_about_job,
    done=_far,
    total=lambda row: as_size(row["total"]),
    rate=lambda row: f"{as_size(row['rate'])}/s",
)
DIFFERENCES: Final = sheet(
    "where name ip flaw words",
    "instanceId mac mended",
    flaw=lambda row: f"{row['flaw']}{', mended' if row['mended'] else ''}",
)
REASONS: Final = sheet("host rule words", "hostId shortBy")


def instance_rows(
    instances: Iterable[forms.InstanceForm], users: Iterable[forms.UserForm]
) -> list[Row]:
    """Instances, each with its owner's name; an owner nobody knows is shown by the number."""
    names = {user.id: user.name for user in users}
    return [
        {
            **row_of(one),
            "user": _known(one.user_id, names),
            "disk": one.disks[0].uri if one.disks else None,
        }
        for one in instances
    ]


def host_rows(hosts: Iterable[forms.HostForm], users: Iterable[forms.UserForm]) -> list[Row]:
    """Hosts, each with the names of the users whom it is kept for."""
    names = {user.id: user.name for user in users}
    return [
        {**row_of(host), "keptFor": [_known(user, names) for user in host.reserved]}
        for host in hosts
    ]


def image_rows(images: Iterable[ImageForm], users: Iterable[forms.UserForm]) -> list[Row]:
    """Images, under the names that Tashi had for their columns, each with its owner's name."""
    names = {user.id: user.name for user in users}
    rows = [row_of(image) | {"user": _name(image.user_id, names)} for image in images]
    return [{"imageName": row.pop("name"), "imageSize": row.pop("size"), **row} for row in rows]


def _name(user: int | None, names: Mapping[int, str]) -> str | None:
    return None if user is None else _known(user, names)


def _known(user: int, names: Mapping[int, str]) -> str:
    return names.get(user, str(user))


def layout_rows(
    hosts: Iterable[forms.HostForm], instances: Sequence[forms.InstanceForm]
) -> list[Row]:
    """Hosts with the instances on them, and what of their memory and cores those take."""
    return [_layout_row(host, [one for one in instances if _is_on(one, host)]) for host in hosts]


def _is_on(instance: forms.InstanceForm, host: forms.HostForm) -> bool:
    occupies = facts(instance.state).hosts != {0}
    return occupies and host.id in {instance.host_id, instance.target_id}


def _layout_row(host: forms.HostForm, guests: Sequence[forms.InstanceForm]) -> Row:
    return {
        "id": host.id,
        "name": host.name,
        "state": _host_state(row_of(host)) if host.up else "Down",
        "instances": [guest.name for guest in guests],
        "usedMemory": sum(guest.memory for guest in guests),
        "memory": host.memory,
        "usedCores": sum(guest.cores for guest in guests),
        "cores": host.cores,
    }


def reason_rows(why: WhyForm) -> list[Row]:
    """For each host each rule that keeps the instance off it; a host without one fits."""
    return [
        {"hostId": host.host_id, "host": host.host, **reason}
        for host in why.hosts
        for reason in ([row_of(one) for one in host.reasons] or [_FITS])
    ]


_FITS: Final[dict[str, Json]] = {"rule": None, "words": "fits", "shortBy": None}

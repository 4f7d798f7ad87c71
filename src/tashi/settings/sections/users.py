"""Where users come from, and hosts, networks and users that stand in the configuration itself."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

from tashi.settings import kinds
from tashi.settings.declare import family, section, setting
from tashi.settings.kinds import Kind, Unsuitable
from tashi.settings.literals import Form, Part, record
from tashi.settings.sections.parts import DATABASE, FLAT_FILE, FROM_CONFIG

_ID: Final = Part((int, type(None)), default=None)
_TEXT: Final = Part((str,))
_OPTIONAL_TEXT: Final = Part((str, type(None)), default=None)

_HIGHEST_ID: Final = 2**32 - 2
"""The highest number of a user; one more means nobody."""
_MOST_MEMORY: Final = 10**15
_MOST_CORES: Final = 1_000_000

ROLES: Final = ("user", "operator", "admin")
"""What the configuration may make of a user; the first is what everybody is."""


@dataclass(frozen=True, slots=True)
class ConfiguredHost:
    """A host as [FromConfig] writes it; without an `id` the line's number is its id."""

    id: int | None
    name: str
    memory: int
    cores: int
    notes: str | None
    reserved: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class ConfiguredNetwork:
    """A network as [FromConfig] writes it; without an `id` the line's number is its id."""

    id: int | None
    name: str


@dataclass(frozen=True, slots=True)
class ConfiguredUser:
    """A user as [FromConfig] writes it; without an `id` the line's number is its id."""

    id: int | None
    name: str
    passwd: str | None
    role: str


def _check_id(number: int | None) -> None:
    if number is not None and not 0 <= number <= _HIGHEST_ID:
        raise Unsuitable(f"has the id {number}, which is not from 0 to {_HIGHEST_ID}")


def _host(
    *,
    id: int | None,  # noqa: A002  the files call it so
    name: str,
    memory: int,
    cores: int,
    notes: str | None,
    reserved: list[object],
) -> ConfiguredHost:
    users = tuple(user for user in reserved if type(user) is int)
    _check_id(id)
    if memory < 1 or cores < 1:
        raise Unsuitable("has less than 1 MiB of memory or less than 1 core")
    if memory > _MOST_MEMORY or cores > _MOST_CORES:
        raise Unsuitable(f"has more than {_MOST_MEMORY} MiB of memory or {_MOST_CORES} cores")
    if len(users) != len(reserved):
        raise Unsuitable("is reserved for something else than users' ids")
    for user in users:
        _check_id(user)
    return ConfiguredHost(id, kinds.word.read(name), memory, cores, notes, users)


def _user(*, id: int | None, name: str, passwd: str | None, role: str) -> ConfiguredUser:  # noqa: A002  the files call it so
    _check_id(id)
    if role not in ROLES:
        raise Unsuitable(f"has a role that is none of {', '.join(ROLES)}")
    return ConfiguredUser(id, name, passwd, role)


def _network(*, id: int | None, name: str) -> ConfiguredNetwork:  # noqa: A002  the files call it so
    _check_id(id)
    return ConfiguredNetwork(id, name)


_HOST: Final[Kind[ConfiguredHost]] = record(
    Form(
        "Host",
        {
            "id": _ID,
            "name": _TEXT,
            "memory": Part((int,)),
            "cores": Part((int,)),
            "notes": _OPTIONAL_TEXT,
            "reserved": Part((list,), default=[]),
        },
        ignored=("up", "decayed", "state", "version"),  # Tashi saved them; they are seen, not said
    ),
    _host,
    "Host(name='node1', memory=8192, cores=4)",
)
_NETWORK: Final[Kind[ConfiguredNetwork]] = record(
    Form("Network", {"id": _ID, "name": _TEXT}),
    _network,
    "Network(id=999, name='cluster')",
)
_USER: Final[Kind[ConfiguredUser]] = replace(
    record(
        Form(
            "User",
            {
                "id": _ID,
                "name": _TEXT,
                "passwd": _OPTIONAL_TEXT,
                "role": Part((str,), default=ROLES[0]),
            },
        ),
        _user,
        "User(id=1000, name='alice')",
    ),
    hidden=True,  # it may hold a password
)


@section(
    "FromConfig",
    obsolete={
        "machineType<N>": "an instance says its own cores and memory",
        "hostlist": "each host has a line of its own, host1, host2 …",
    },
)
class FromConfigSettings:
    """Hosts, networks and users that are written down here, for data = …FromConfig."""

    hosts: Mapping[int, ConfiguredHost] = family(
        "host",
        _HOST,
        default={},
        words="A host, such as host1 = Host(name='node1', memory=8192, cores=4), memory in MiB.",
    )
    networks: Mapping[int, ConfiguredNetwork] = family(
        "network",
        _NETWORK,
        default={},
        words="""A network, such as network999 = Network(name='cluster'). Its number is the one in
        /etc/qemu-ifup.999.""",
    )
    users: Mapping[int, ConfiguredUser] = family(
        "user",
        _USER,
        default={},
        words="""A user, such as user1000 = User(name='alice'). With role='operator' or role='admin'
        one that runs the hosts, or may do everything.""",
    )


BASE: Final = kinds.implementation(FLAT_FILE, DATABASE, FROM_CONFIG)
BASE_WORDS: Final = """Where everything but these users is kept; FromConfig is the flat file with
the hosts, networks and users of [FromConfig] beside."""


@section("GetentOverride")
class GetentSettings:
    """Users as this machine knows them (passwd, or whatever nsswitch.conf names)."""

    base_data: str = setting("baseData", BASE, default=FLAT_FILE, words=BASE_WORDS)
    fetch_threshold: float = setting(
        "fetchThreshold",
        kinds.seconds_or_never,
        default=60.0,
        words="Seconds for which users are remembered before they are asked for again.",
    )
    getent_from_local_file: bool = setting(
        "getentFromLocalFile",
        kinds.flag,
        default=False,
        words="Whether users are read from getentLocalFile and not from the system.",
    )
    getent_local_file: Path | None = setting(
        "getentLocalFile", kinds.path, default=None, words="A file in the form of /etc/passwd."
    )
    admin_group: str | None = setting(
        "adminGroup",
        kinds.word,
        default=None,
        words="The machine's group whose members are administrators of Tashi.",
    )
    operator_group: str | None = setting(
        "operatorGroup", kinds.word, default=None, words="The same for operators."
    )

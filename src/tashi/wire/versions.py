"""Versions of the services' interfaces, and who may talk to whom.

An interface has one version, `major.minor`, and a line of history for each. Adding a call or an
optional field raises the minor number, anything else the major one.

The rule: two programs of the same major version and at most one minor version apart speak the
older of the two. So a cluster is upgraded in any order, one minor version at a time. A caller says
in its request which version it speaks: first its own, and when the service turns out to serve the
one before, that. `relaxed` (the setting `allowMismatchedVersions`) lets every pair of minor
versions try; programs of different major versions would not understand each other, and are refused.
"""

import re
from dataclasses import dataclass
from functools import lru_cache
from typing import Final, NamedTuple

from tashi.domain.errors import BadRequest, VersionMismatch

_WRITTEN: Final = re.compile(r"(\d{1,4})\.(\d{1,4})", re.ASCII)


class Version(NamedTuple):
    """The version of an interface; compares by age."""

    major: int
    minor: int

    @staticmethod
    @lru_cache(maxsize=64)  # every request is written in one, and nearly all in the same
    def read(text: str) -> "Version":
        """Read "major.minor"; BadRequest if it is not that."""
        found = _WRITTEN.fullmatch(text)
        if found is None:
            raise BadRequest('A version is written "major.minor", as in "1.0".')
        return Version(int(found[1]), int(found[2]))

    def __str__(self) -> str:
        return f"{self.major}.{self.minor}"


class Line(NamedTuple):
    """What a version of an interface brought."""

    version: Version
    brought: str


@dataclass(frozen=True, slots=True)
class Interface:
    """What a service answers, and how that came about, oldest line first."""

    name: str
    history: tuple[Line, ...]

    @property
    def version(self) -> Version:
        """The version that this program serves and speaks."""
        return self.history[-1].version


CLUSTER_MANAGER: Final = Interface(
    "the cluster manager",
    (
        Line(Version(1, 0), "The calls of Apache Tashi, and watching numbered events."),
        Line(
            Version(1, 1),
            "Many hosts: what guests use, how far moves are, disks at rest, images, jobs, more.",
        ),
        Line(
            Version(1, 2),
            "Logging in with a password, operators and agents; booked addresses; who leads.",
        ),
        Line(Version(1, 3), "Pieces of images and of consoles may travel raw."),
    ),
)

NODE_MANAGER: Final = Interface(
    "the node manager",
    (
        Line(Version(1, 0), "Orders with session, attempt and operation numbers."),
        Line(
            Version(1, 1),
            "Many hosts: the order to put disks into the image store, and more calls.",
        ),
        Line(Version(1, 2), "Roles of callers as the cluster manager has them."),
        Line(Version(1, 3), "Pieces of consoles may travel raw."),
    ),
)

RAW: Final = Version(1, 3)
"""From which version of either on a peer understands raw bytes behind the JSON."""


def agree(interface: Interface, theirs: Version, *, relaxed: bool = False) -> Version:
    """Say which version of `interface` we speak with a peer of version `theirs`.

    Raises VersionMismatch, naming both, when the two are too far apart.
    """
    ours = interface.version
    near = relaxed or abs(ours.minor - theirs.minor) <= 1
    if near and ours.major == theirs.major:
        return min(ours, theirs)
    raise VersionMismatch(
        f"{interface.name.capitalize()} speaks version {ours} of its interface, the caller "
        f"version {theirs}: upgrade the older one.",
        ours=str(ours),
        theirs=str(theirs),
    )


def admit(interface: Interface, spoken: str, *, relaxed: bool = False) -> Version:
    """Check the version that a request is written in; returns it.

    Raises VersionMismatch when this service cannot answer a request of that version.
    """
    version = Version.read(spoken)
    if agree(interface, version, relaxed=relaxed) < version and not relaxed:
        raise VersionMismatch(
            f"The request is written in version {version} of the interface of {interface.name}, "
            f"which serves version {interface.version}: speak that one.",
            ours=str(interface.version),
            theirs=str(version),
        )
    return version


def spoken_to(ours: Version, mismatch: VersionMismatch) -> Version:
    """The version to speak with a service that refused ours, if it serves the one before.

    Raises the refusal otherwise.
    """
    served = Version.read(str(mismatch.about.get("ours", "")))
    if (served.major, served.minor + 1) != ours:
        raise mismatch
    return served

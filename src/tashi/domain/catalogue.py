"""What instances refer to: networks, users and images."""

from dataclasses import dataclass

from tashi.domain.identity import InstanceId, NetworkId, UserId


@dataclass(frozen=True, slots=True)
class Network:
    """A network; its id is the site's VLAN number."""

    id: NetworkId
    name: str

    def __str__(self) -> str:
        return f"network {self.id} ({self.name})"


@dataclass(frozen=True, slots=True)
class User:
    """Somebody who owns instances."""

    id: UserId
    name: str

    def __str__(self) -> str:
        return f"user {self.id} ({self.name})"


@dataclass(frozen=True, slots=True)
class Image:
    """A disk image in the store, by its place under ``images/``; sizes are in bytes.

    `size` is what it takes up, `virtual_size` what a guest sees. `backing` is the image that it is
    based on, or whatever else its file names. `backs` are the images that are based on it or are
    links to it. `user_id` is its owner, who brought it in; ``None`` for one that was put there by
    hand.
    """

    name: str
    size: int
    virtual_size: int
    format: str
    backing: str | None = None
    used_by: tuple[InstanceId, ...] = ()
    backs: tuple[str, ...] = ()
    user_id: UserId | None = None

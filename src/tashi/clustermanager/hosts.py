"""What an administrator does to hosts, and who they are kept for."""

from collections.abc import Container
from dataclasses import replace

from tashi.clustermanager.draft import Draft
from tashi.domain.errors import HostStateError, InvalidInstance, NoSuchUser, Refused
from tashi.domain.host import Host
from tashi.domain.hostnames import check_host_name
from tashi.domain.identity import HostId, UserId
from tashi.domain.journal import Kind
from tashi.domain.states import HostState

_NAMED = 3
_LONGEST_NOTE = 1000


def add(draft: Draft, name: str, by: str) -> Host:
    """Add a host that its node manager has not registered yet; raises if the name is taken."""
    check_host_name(name)
    if any(host.name == name for host in draft.books.hosts.values()):
        raise Refused(f"There is a host named {name!r} already.")
    host = Host(id=draft.next_host(), name=name)
    draft.put(host, "CM HOST REGISTER", by)
    return host


def remove(draft: Draft, key: HostId, by: str) -> Host:
    """Remove a host; raises HostStateError while it has or keeps anything of an instance."""
    host = draft.books.host(key)
    left = [str(instance) for instance in draft.books.concerning(key)]
    if left:
        more = f" and {len(left) - _NAMED} more" if len(left) > _NAMED else ""
        remedy = "drain it, or end them" if host.up else "wait for it, or declareHostDead it"
        raise HostStateError(
            f"{host.name} still has {', '.join(left[:_NAMED])}{more}: {remedy} first.", host=key
        )
    draft.drop(Kind.HOST, key, "CM HOST UNREGISTER", by)
    return host


def open_state(version: str, our_version: str | None) -> HostState:
    """The state of an open host whose node is of that version; ours is None when any will do."""
    fits = our_version is None or version in {"", our_version}
    return HostState.NORMAL if fits else HostState.VERSION_MISMATCH


def set_state(
    draft: Draft, key: HostId, state: HostState, our_version: str | None, by: str
) -> Host:
    """Open or close a host for new instances; to open it ends its emptying.

    Raises HostStateError when its node is of another version than ours.
    """
    host = draft.books.host(key)
    if state is HostState.VERSION_MISMATCH:
        raise HostStateError("A host becomes VersionMismatch by itself: set Normal or Drained.")
    if state is HostState.DRAINED:
        return _replace(draft, replace(host, state=state), by)
    if open_state(host.version, our_version) is not HostState.NORMAL:
        raise HostStateError(
            f"{host.name} cannot be Normal: {of_another_version(host, our_version)}", host=key
        )
    return _replace(draft, replace(host, state=state, draining=False), by)


def reopen(draft: Draft, key: HostId, our_version: str | None, by: str) -> Host:
    """Open a host that is Drained or being emptied again; moves under way come to their end.

    Raises HostStateError when it is neither.
    """
    host = draft.books.host(key)
    becomes = open_state(host.version, our_version)
    if not host.draining and host.state is not HostState.DRAINED:
        fits = becomes is HostState.NORMAL
        more = "drain empties it." if fits else of_another_version(host, our_version)
        raise HostStateError(
            f"{host.name} is neither Drained nor being emptied: it is {host.state.title}, and "
            f"{more}",
            host=key,
        )
    opened = replace(host, draining=False, state=becomes)
    draft.put(opened, "CM HOST UNDRAIN", by)
    return opened


def of_another_version(host: Host, our_version: str | None) -> str:
    """What is wrong with a host whose node is of another version, and the remedies."""
    return (
        f"its node manager is of version {host.version}, the cluster manager of {our_version}: "
        "upgrade the older one, or set allowMismatchedVersions."
    )


def set_notes(draft: Draft, key: HostId, notes: str, by: str) -> Host:
    """Write a note about a host; one line of at most 1,000 characters."""
    if not notes.isprintable() or len(notes) > _LONGEST_NOTE:
        raise InvalidInstance(
            f"Notes are one line of at most {_LONGEST_NOTE} printable characters."
        )
    return _replace(draft, replace(draft.books.host(key), notes=notes), by)


def reserve(draft: Draft, key: HostId, user: UserId, directory: Container[UserId], by: str) -> Host:
    """Keep a host for a user, beside those it is kept for already; raises NoSuchUser.

    `directory` has the users of the site, beside Tashi's own.
    """
    host = draft.books.host(key)
    if user not in directory and user not in draft.books.users:
        raise NoSuchUser(f"There is no user {user}: getUsers lists those there are.")
    users = tuple(dict.fromkeys((*host.reserved, user)))
    return _replace(draft, replace(host, reserved=users), by)


def unreserve(draft: Draft, key: HostId, user: UserId, by: str) -> Host:
    """No longer keep a host for a user; raises HostStateError if it was not."""
    host = draft.books.host(key)
    if user not in host.reserved:
        raise HostStateError(
            f"{host.name} is not reserved for user {user}: getReservation lists those it is.",
            host=key,
        )
    users = tuple(one for one in host.reserved if one != user)
    return _replace(draft, replace(host, reserved=users), by)


def _replace(draft: Draft, host: Host, by: str) -> Host:
    if host != draft.books.host(host.id):
        draft.put(host, "CM HOST UPDATE", by)
    return host

"""Notes that a node manager finds when it starts: on disk, and for guests that have none."""

import msgspec

from tashi.domain.errors import Misconfigured
from tashi.domain.guest import GuestState
from tashi.domain.identity import InstanceId
from tashi.nodemanager.guests import Note
from tashi.ports.hypervisor import Found, FoundGuest


def read(key: InstanceId, page: bytes) -> Note:
    """The note on that page; raises Misconfigured when it is none."""
    try:
        return msgspec.json.decode(page, type=Note)
    except (msgspec.DecodeError, msgspec.ValidationError) as error:
        raise Misconfigured(
            f"The note about the guest of instance {key} cannot be read ({error}): move {key}.json "
            "out of notes/ in infoDir once you know what became of the guest."
        ) from error


def stranger(found: FoundGuest) -> Note:
    """A note for a guest that has none; the cluster manager will say what becomes of it."""
    state = {
        Found.RUNNING: GuestState.RUNNING,
        Found.FROZEN: GuestState.FROZEN,
        Found.NOT_BEGUN: GuestState.STARTING,
        Found.RECEIVING: GuestState.RECEIVING,
        Found.LEFT: GuestState.LEFT,
        Found.GONE: GuestState.GONE,
    }[found.found]
    return Note(found.instance_id, found.attempt, 0, state)

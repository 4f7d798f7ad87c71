"""What a repeat is: the same request of the same caller, for the same call and arguments.

The id of a request is its caller's to choose, and whoever repeats it gets the first answer, without
the work that checks whose instance it is. So an id alone must not be what answers are kept under:
who took the id of one request of theirs for another would be let through to somebody else's guest,
and who learnt an id of somebody else's would be told what that was answered.
"""

from collections.abc import Mapping
from hashlib import sha256
from typing import Any

from tashi.clustermanager.service.office import Handler
from tashi.domain.permissions import Caller
from tashi.wire import codec


def told_apart(call: str, handler: Handler) -> Handler:
    """The handler of that call, which hears of each request under a name that no other has."""

    def handle(caller: Caller, request: str, **arguments: Any) -> Any:
        return handler(caller, _name(call, caller, request, arguments), **arguments)

    return handle


def _name(call: str, caller: Caller, request: str, arguments: Mapping[str, object]) -> str:
    """Under what name the request is known; empty for one without an id, which has no repeats."""
    if not request:
        return ""
    # Not by the caller's name or role: a repeat may come over another connection, or after a
    # change of the directory's groups.
    who = caller.role.value if caller.user_id is None else caller.user_id
    return sha256(codec.encode((who, caller.host, call, request, arguments))).hexdigest()

"""Many clients that have instances created, no two alike, in a cluster of their own.

There is no scheduler, so instances stay pending and each creation is one commit's worth of work.
"""

from collections.abc import Callable, Iterator, Mapping
from itertools import count
from pathlib import Path
from typing import Final

from instruments import daemons
from instruments.callers import Round, call_for
from tashi.domain.identity import UserId
from tashi.domain.instance import Instance
from tashi.domain.journal import Kept
from tashi.domain.permissions import Caller, Role
from tashi.ports.store import Store
from tashi.wire import codec, envelope, methods, versions
from tashi.wire.forms import DiskForm, NewInstanceForm

_IMAGE: Final = "bench.qcow2"
_STAND_IN: Final = "@"

Sections = Mapping[str, Mapping[str, object]]


def template() -> bytes:
    """A `createVm` with a stand-in for its id and for the instance's name."""
    row = methods.CLUSTER_MANAGER["createVm"]
    wanted = NewInstanceForm(name=_STAND_IN, disks=(DiskForm(_IMAGE),))
    version = str(versions.CLUSTER_MANAGER.version)
    args = codec.encode(row.takes(instance=wanted))
    return envelope.write_request(
        version, _STAND_IN, row.name, args, Caller(Role.USER, UserId(1000))
    )


def sources(clients: int) -> list[Iterator[bytes]]:
    """Requests for each client, no two alike."""
    text, numbers = template(), count()

    def requests() -> Iterator[bytes]:
        for number in numbers:
            yield text.replace(_STAND_IN.encode(), b"b%031x" % number)

    return [requests() for _ in range(clients)]


def create(folder: Path, books: Sections, clients: int, seconds: float) -> Round:
    """Have instances created in a new cluster with those books, whose manager is killed then."""
    (folder / "images").mkdir(parents=True)
    (folder / "images" / _IMAGE).write_bytes(bytes(1 << 20))
    port = daemons.free_port()
    sections = {**books, "ClusterManagerService": {"port": port}, "Vfs": {"prefix": folder}}
    lines = []
    for section, values in sections.items():
        lines += [f"[{section}]", *(f"{key} = {value}" for key, value in values.items())]
    (folder / "Tashi.cfg").write_text("\n".join(lines), "utf-8")
    with daemons.running("clustermanager", folder, port) as manager:
        return call_for(seconds, port, sources(clients), _is_done, server=manager.pid)


def read_back(opened: Callable[[], Store], created: Round) -> Kept:
    """What the store holds, which must be what was acknowledged and nothing else."""
    kept = opened().look()
    instances = sum(isinstance(record, Instance) for record in kept.records)
    if instances != created.calls:
        raise SystemExit(f"{created.calls} were acknowledged, but {instances} are there.")
    return kept


def _is_done(answer: bytes) -> bool:
    """Whether an answer says that its call was done."""
    return b'"ok":' in answer

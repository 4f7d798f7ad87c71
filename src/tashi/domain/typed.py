"""What people type for what the rules and the wire call otherwise, for the sentences they read."""

from collections.abc import Mapping
from typing import Final

from tashi.domain import alterations as a
from tashi.domain import events as e

_COMMANDS: Final[Mapping[type[e.Command], str]] = {
    e.ShutDown: "shutdownVm",
    e.Stop: "stopVm",
    e.Start: "startVm",
    e.Destroy: "destroyVm",
    e.Suspend: "suspendVm",
    e.Resume: "resumeVm",
    e.Pause: "pauseVm",
    e.Unpause: "unpauseVm",
    e.Reset: "resetVm",
    e.Migrate: "migrateVm",
    e.CancelMigrate: "cancelMigration",
    a.Rename: "renameVm",
    a.Resize: "resizeVm",
    a.AttachDisk: "attachDisk",
    a.DetachDisk: "detachDisk",
    a.AttachNic: "attachNic",
    a.DetachNic: "detachNic",
    a.ChangeCdrom: "changeCdrom",
    a.StartVnc: "startVnc",
    a.StopVnc: "stopVnc",
}
_CALLS: Final[Mapping[str, str]] = {
    "beginImport": "importImage",
    "sendPiece": "importImage",
    "finishImport": "importImage",
    "cancelImport": "importImage",
    "readImage": "exportImage",
    "typeConsole": "attachConsole",
    "readConsole": "attachConsole",
    "relistAddresses": "checkDhcpDns",
    "drainHost": "drain",
    "undrainHost": "undrain",
    "getDrainPlan": "drain",
}


def command(kind: type[e.Command]) -> str:
    """The function that gives that command; the scheduler's have none and keep their name."""
    return _COMMANDS.get(kind, kind.__name__)


def function(call: str) -> str:
    """The function that makes that call, which is called like it, mostly."""
    return _CALLS.get(call, call)

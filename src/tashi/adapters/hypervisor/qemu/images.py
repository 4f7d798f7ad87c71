"""What disk images are: their format, and whether a guest may be given them.

An image may name other files (a backing file, a data file) that QEMU would open in its turn. An
image that reaches outside the image store that way is refused, else whoever may write an image may
read any file of the host.

`qemu-img info` takes as long as starting a guest; what it said is kept for as long as the file
stays the same.
"""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import msgspec

from tashi.domain.errors import CommandFailed, HypervisorFailed
from tashi.ports.commands import Commands

_SECONDS: Final = 30.0
_SECTOR_BYTES: Final = 512
_FORMATS: Final = frozenset({"raw", "qcow2"})
_MOST_KEPT: Final = 4096


class _Specific(msgspec.Struct):
    data: dict[str, object] = {}


class _Layer(msgspec.Struct, rename="kebab"):
    """One image as `qemu-img info --output=json` describes it."""

    filename: str
    format: str
    full_backing_filename: str | None = None
    format_specific: _Specific | None = None


_Fingerprint = tuple[str, int, int]


@dataclass(frozen=True, slots=True)
class Images:
    """The image store, as a folder, seen with QEMU's eyes."""

    folder: Path
    commands: Commands
    _known: dict[_Fingerprint, str] = field(default_factory=dict)

    def path(self, uri: str) -> Path:
        """Where an image is; raises HypervisorFailed when the name leads out of the store."""
        parts = Path(uri.strip("/")).parts
        if not parts or ".." in parts:
            raise HypervisorFailed(f"Disk {uri!r} is not the name of an image.")
        return self.folder.joinpath(*parts)

    def format_of(self, uri: str) -> str:
        """The format of an image, raw or qcow2; raises HypervisorFailed when it is no image."""
        path = self.path(uri)
        try:
            there = path.stat()
        except OSError as error:
            if not self.folder.is_dir():
                raise HypervisorFailed(
                    f"The image folder {self.folder} is not there on this host: is it mounted?"
                ) from error
            raise HypervisorFailed(f"Disk {uri} cannot be opened: {error.strerror}.") from error
        if not path.is_file():
            raise HypervisorFailed(f"Disk {uri} is not a file.")
        fingerprint = (str(path), there.st_mtime_ns, there.st_size)
        if fingerprint not in self._known:
            if len(self._known) >= _MOST_KEPT:
                self._known.clear()
            self._known[fingerprint] = self._look(uri, path, there.st_size)
        return self._known[fingerprint]

    def _look(self, uri: str, path: Path, size: int) -> str:
        layers = self._layers(uri, path)
        top = layers[0].format
        if top == "raw" and (size == 0 or size % _SECTOR_BYTES):
            raise HypervisorFailed(
                f"Disk {uri} is no disk image: neither qcow2 nor whole sectors of {_SECTOR_BYTES} "
                "bytes."
            )
        if top not in _FORMATS:
            raise HypervisorFailed(
                f"Disk {uri} is in the format {top}, which Tashi does not open: make it qcow2 with "
                "`qemu-img convert -O qcow2`."
            )
        for layer in layers:
            self._check_reach(uri, layer)
        return top

    def _layers(self, uri: str, path: Path) -> list[_Layer]:
        question = ["qemu-img", "info", "--output=json", "--backing-chain", "-U", str(path)]
        try:
            answer = self.commands.run(question, timeout_seconds=_SECONDS)
            layers = msgspec.json.decode(answer, type=list[_Layer])
        except CommandFailed as failed:
            raise HypervisorFailed(f"Disk {uri} is no usable disk image: {failed}") from failed
        except msgspec.MsgspecError as error:
            raise HypervisorFailed(f"Disk {uri}: qemu-img does not describe it.") from error
        if not layers:
            raise HypervisorFailed(f"Disk {uri}: qemu-img does not describe it.")
        return layers

    def _check_reach(self, uri: str, layer: _Layer) -> None:
        backing = layer.full_backing_filename
        if layer.format_specific is not None and "data-file" in layer.format_specific.data:
            raise HypervisorFailed(f"Disk {uri} keeps its data in another file: refused.")
        if backing is None:
            return
        real = Path(backing).resolve()
        if ":" in backing.partition("/")[0] or not real.is_relative_to(self.folder.resolve()):
            raise HypervisorFailed(
                f"Disk {uri} is based on {backing}, which is outside the image store: refused."
            )

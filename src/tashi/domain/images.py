"""What disk images are: their names, what their first bytes say, and how sizes are written.

A format is told by what the file itself says, and a qcow2 header is read here and not by
`qemu-img`: it is a few dozen bytes, a store has thousands of them, and whoever lets QEMU open an
image to learn about it lets the image's author choose which other files are opened with it.
The header is described in QEMU's docs/interop/qcow2.txt.
"""

import posixpath
import struct
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from tashi.domain.admission import image_path
from tashi.domain.errors import InvalidInstance, Refused

SECTOR_BYTES: Final = 512
FORMATS: Final = frozenset({"raw", "qcow2"})
"""The formats that guests are given."""

UNKNOWN: Final = "unknown"
_MOST_LETTERS: Final = 512
_MOST_BYTES_OF_A_PART: Final = 200
"""A file name has 255 (NAME_MAX), and what stands beside an image while it is made is longer."""

_QCOW2: Final = b"QFI\xfb"
_HEADER: Final = struct.Struct(">4sIQIIQIIQQIIQ")
_FEATURES: Final = struct.Struct(">QQQII")
_EXTENSION: Final = struct.Struct(">II")
_VERSIONS: Final = {2, 3}
_CLUSTER_BITS: Final = range(9, 22)
_LONGEST_BACKING: Final = 1023
_EXTERNAL_DATA: Final = 1 << 2
_BACKING_FORMAT: Final = 0xE2792ACA
_MOST_EXTENSION_BYTES: Final = 1 << _CLUSTER_BITS[-1]
"""What stands between header and backing file's name is in the first cluster, else QEMU refuses."""

_MAGICS: Final = (
    (0, b"KDMV", "vmdk"),
    (0, b"COWD", "vmdk"),
    (0, b"# Disk Descriptor", "vmdk"),
    (0, b"vhdxfile", "vhdx"),
    (0, b"conectix", "vpc"),
    (0, b"QED\0", "qed"),
    (0, b"WithoutFreeSpace", "parallels"),
    (0, b"WithouFreSpacExt", "parallels"),
    (0, b"LUKS\xba\xbe", "luks"),
    (0x40, b"\x7f\x10\xda\xbe", "vdi"),
)
_HEAD_BYTES: Final = 512

Read = Callable[[int, int], bytes]
"""Reads so many bytes from an offset on, or fewer where the file ends."""


@dataclass(frozen=True, slots=True)
class ImageFacts:
    """What an image says of itself; `backing` is the name that it has for its backing file.

    `data_elsewhere` says that its data is in yet another file.
    """

    format: str = UNKNOWN
    virtual_size: int = 0
    backing: str | None = None
    backing_format: str | None = None
    data_elsewhere: bool = False

    @property
    def is_disk(self) -> bool:
        """Whether a guest can be given it, as far as the file alone can tell."""
        return self.format in FORMATS


def check_is_disk(name: str, form: str) -> None:
    """Raise Refused unless guests are given images of that format."""
    if form in FORMATS:
        return
    remedy = (
        f"it is no disk image, neither sound qcow2 nor whole sectors of {SECTOR_BYTES} bytes"
        if form == UNKNOWN
        else f"its format is {form}, which Tashi does not open: make it qcow2 with "
        "`qemu-img convert -O qcow2`"
    )
    raise Refused(f"Image {name!r} cannot be used: {remedy}.")


def complaint_about_base(facts: ImageFacts, below: ImageFacts) -> str:
    """What is wrong with how an image names its backing file, which is really so; nothing if fine.

    Where its format is not said QEMU goes by its content, which a guest may have written: a header
    that names any file of the host.
    """
    if facts.backing is None or facts.backing_format == below.format:
        return ""
    said = facts.backing_format
    how = f"as if that were {said}" if said else "without saying of what format"
    return (
        f"is based on {facts.backing!r} {how}, and it is {below.format}: refused. "
        f"Put that right with `qemu-img rebase -u -b {facts.backing} -F {below.format}`."
    )


def read_facts(read: Read, size: int) -> ImageFacts:
    """What an image of `size` bytes says of itself; what makes no sense is of no known format."""
    head = read(0, _HEAD_BYTES)
    if head.startswith(_QCOW2):
        return _qcow2(head, read, size) or ImageFacts()
    for offset, magic, name in _MAGICS:
        if head.startswith(magic, offset):
            return ImageFacts(name)
    if size > 0 and size % SECTOR_BYTES == 0:
        return ImageFacts("raw", size)
    return ImageFacts()


def new_image_name(typed: str) -> str:
    """The place under ``images/`` for a new image; Refused if no image can be called that."""
    name = checked_image_name(typed)
    parts = name.split("/")
    if len(name) > _MOST_LETTERS or max(len(part.encode()) for part in parts) > (
        _MOST_BYTES_OF_A_PART
    ):
        raise Refused(
            f"{name[:40]!r}… is too long for an image: at most {_MOST_BYTES_OF_A_PART} bytes for "
            f"each folder and name, {_MOST_LETTERS} letters in all."
        )
    return name


def checked_image_name(typed: str) -> str:
    """The place under ``images/`` that was typed; Refused if it leads elsewhere or is hidden."""
    try:
        name = image_path(typed)
    except InvalidInstance as wrong:
        raise Refused(wrong.message) from wrong
    if is_hidden(name):
        raise Refused(f"{name!r} is no image: no folder or name may begin with a dot.")
    return name


def is_hidden(name: str) -> bool:
    """Whether a place under ``images/`` is not for images: what is in the making, and by whom."""
    return any(part.startswith(".") for part in name.split("/"))


def relative_name(base: str, of: str) -> str:
    """How the image `of` refers to the image `base`: from its own folder, so that both can move."""
    return posixpath.relpath(base, posixpath.dirname(of) or ".")


def names_another_protocol(backing: str) -> bool:
    """Whether QEMU would take a backing file's name for something other than a file's path."""
    return ":" in backing.partition("/")[0]


def size_in_words(size: int) -> str:
    """A number of bytes as people read it."""
    amount: float = size
    for unit in ("bytes", "KiB", "MiB", "GiB"):
        if amount < 1024:  # noqa: PLR2004  the step between the units
            return f"{size} bytes" if unit == "bytes" else f"{amount:.1f} {unit}"
        amount /= 1024
    return f"{amount:.1f} TiB"


def _qcow2(head: bytes, read: Read, size: int) -> ImageFacts | None:
    """What a qcow2 header says, None if it cannot be one."""
    if len(head) < _HEADER.size:
        return None
    fields = _HEADER.unpack_from(head)
    _, version, backing_at, backing_length, cluster_bits, virtual_size, _, l1_size, l1_at, *_ = (
        fields
    )
    sound = (
        version in _VERSIONS
        and cluster_bits in _CLUSTER_BITS
        and backing_length <= _LONGEST_BACKING
        and l1_at + 8 * l1_size <= size
    )
    if not sound:
        return None
    features, after = 0, _HEADER.size
    if version > min(_VERSIONS):
        if len(head) < _HEADER.size + _FEATURES.size:
            return None
        features, _, _, _, after = _FEATURES.unpack_from(head, _HEADER.size)
    backing = read(backing_at, backing_length) if backing_at else b""
    if len(backing) < (backing_length if backing_at else 0):
        return None
    return ImageFacts(
        "qcow2",
        virtual_size,
        backing.decode("utf-8", "surrogateescape") or None,
        _backing_format(read, after, backing_at),
        bool(features & _EXTERNAL_DATA),
    )


def _backing_format(read: Read, at: int, end: int) -> str | None:
    """The format that the header gives its backing file, if any; as for QEMU, the last counts."""
    found = None
    extensions = read(at, min(max(end - at, 0), _MOST_EXTENSION_BYTES))
    place = 0
    while place + _EXTENSION.size <= len(extensions):
        kind, length = _EXTENSION.unpack_from(extensions, place)
        place += _EXTENSION.size
        if kind == 0:
            break
        if kind == _BACKING_FORMAT:
            found = extensions[place : place + length].decode("ascii", "replace")
        place += (length + 7) & ~7
    return found

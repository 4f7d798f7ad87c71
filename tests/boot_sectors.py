"""Guests of a few bytes: boot sectors that do one thing, on a raw disk of 1 MiB.

They run a few hundred milliseconds after their QEMU, where an operating system takes seconds.
"""

from pathlib import Path
from typing import Final

_DISK_BYTES: Final = 1 << 20
_SECTOR_BYTES: Final = 512
_TEXT_AT: Final = 0x80
"""0x7c80 in memory: where the code below looks for its text or its disk address packet."""

_POWER_OFF: Final = (
    "ba0406 b80020 ef"          # mov dx, 0x604; mov ax, 0x2000; out dx, ax: ACPI's power off
    "f4 ebfd"                   # hlt; jmp to the hlt
)  # fmt: skip
_SPEAK: Final = (
    "31c0 8ed8 fc"              # xor ax, ax; mov ds, ax; cld
    "baf803 be807c"             # mov dx, 0x3f8 (first serial line); mov si, 0x7c80
    "ac 84c0 7403 ee ebf8"      # lodsb; test al, al; jz on; out dx, al; jmp to the lodsb
    "fb f4 ebfd"                # on: sti; hlt; jmp to the hlt
)  # fmt: skip
_FILL: Final = (
    "31c0 8ed8"                 # xor ax, ax; mov ds, ax
    "b443 b000 b280"            # mov ah, 0x43 (extended write); mov al, 0; mov dl, 0x80
    "be807c cd13"               # mov si, 0x7c80; int 0x13
    "668306887c40 ebed"         # add dword [0x7c88], 64; again
)  # fmt: skip
_PACKET: Final = "1000 4000 0000 0010 4000000000000000"
"""Write 64 sectors from 0x1000:0000 to sector 64."""


def power_off(path: Path) -> None:
    """A guest that powers itself off as soon as it runs."""
    _write(path, _POWER_OFF)


def speak(path: Path, words: str) -> None:
    """A guest that says these words on its serial line, then waits."""
    _write(path, _SPEAK, words.encode())


def fill(path: Path, size_bytes: int) -> None:
    """A guest that fills its disk, of this size, from the beginning to the end."""
    _write(path, _FILL, bytes.fromhex(_PACKET))
    with path.open("r+b") as disk:
        disk.truncate(size_bytes)


def idle(path: Path) -> None:
    """A guest that stays in its firmware: its disk is empty."""
    path.write_bytes(bytes(_DISK_BYTES))


def _write(path: Path, code: str, text: bytes = b"") -> None:
    sector = bytes.fromhex(code).ljust(_TEXT_AT, b"\0") + text
    whole = sector.ljust(_SECTOR_BYTES - 2, b"\0") + b"\x55\xaa"
    path.write_bytes(whole.ljust(_DISK_BYTES, b"\0"))

"""Guests of a few bytes: boot sectors that do one thing, on a raw disk of 1 MiB.

They run a few hundred milliseconds after their QEMU, where an operating system takes seconds.
"""

import re
from pathlib import Path
from typing import Final

_DISK_BYTES: Final = 1 << 20
_SECTOR_BYTES: Final = 512
_NUMBER: Final = re.compile("[A-P]{8}")
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
_COUNT: Final = (
    "bb0010"                        # mov bx, 0x1000
    "8ec3 31ff b9ffff b043"         # fill: mov es, bx; xor di, di; mov cx, 0xffff; mov al, "C"
    "f3aa 80c710 80ff90 72ed"       # rep stosb; add bh, 0x10; cmp bh, 0x90; jb fill
    "31c0 8ed8 8ec0 8ed0 bc007c"    # xor ax, ax; ds, es and ss too; mov sp, 0x7c00
    "ba0206 b401 ef"                # mov dx, 0x602; mov ah, 1; out dx, ax: hear the power button
    "e85800 66a3d07c"               # call read; mov [0x7cd0], eax
    "e8af00 663b06d07c 7538"        # again: call let_go; cmp eax, [0x7cd0]; jne bad
    "6640 66a3d07c 66a3007e"        # inc eax; mov [0x7cd0], eax; mov [0x7e00], eax
    "b80043 e84400"                 # mov ax, 0x4300 (extended write); call disk
    "b90800 668b1ed07c baf803"      # mov cx, 8; mov ebx, [0x7cd0]; mov dx, 0x3f8
    "66c1c304 88d8 240f 0441 ee"    # digit: rol ebx, 4; mov al, bl; and al, 15; add al, "A"; out
    "e2f3 b00a ee"                  # loop digit; mov al, newline; out dx, al
    "ba0006 ed f6c401 750d"         # mov dx, 0x600; in ax, dx; test ah, 1 (pressed); jnz off
    "fb f4 ebbe"                    # sti; hlt (until the clock ticks); jmp again
    "baf803 b058 ee f4 ebfd"        # bad: mov dx, 0x3f8; mov al, "X"; out dx, al; hlt for ever
    "ba0406 b80020 ef ebf4"         # off: mov dx, 0x604; mov ax, 0x2000; out dx, ax; hlt for ever
    "b442 e80500 66a1007e c3"       # read: mov ah, 0x42; call disk; mov eax, [0x7e00]; ret
    "b280 bec07c cd13 c3"           # disk: mov dl, 0x80; mov si, 0x7cc0; int 0x13; ret
)  # fmt: skip
_LET_GO: Final = (
    "6631c9 b108"                   # let_go: xor ecx, ecx; mov cl, 8
    "6689c8 6648"                   # bus: mov eax, ecx; dec eax
    "bad00c 66ef bac40c 66ed"       # mov dx, 0xcd0; out dx, eax; mov dx, 0xcc4; in eax, dx
    "6685c0 7405"                   # test eax, eax (slots that are asked back); jz next
    "bac80c 66ef"                   # mov dx, 0xcc8; out dx, eax: ejected
    "e2e5 e97fff"                   # next: loop bus; jmp read
)  # fmt: skip
"""QEMU's docs/specs/acpi_pci_hotplug.rst, at the place of the q35 machine; 0x7ce0 in memory."""
_DIRTY: Final = (
    "fa 31c0 8ed8 660f0116807c"     # cli; xor ax, ax; mov ds, ax; lgdtl [0x7c80]
    "0f20c0 0c01 0f22c0"            # mov eax, cr0; or al, 1; mov cr0, eax: 32 bits from here on
    "ea207c0800 0000000000000000"   # ljmp 8:0x7c20, which is after the next eight bytes
    "66b81000 8ed8"                 # mov ax, 16; mov ds, ax
    "66baf803 b042 ee"              # mov dx, 0x3f8; mov al, "B"; out dx, al
    "bf00002000"                    # again: mov edi, 2 MiB
    "ff07 81c700100000"             # page: inc dword [edi]; add edi, 4096
    "81ff0000c001 72f0 ebe9"        # cmp edi, 28 MiB; jb page; jmp again
)  # fmt: skip
_SEGMENTS: Final = "1700887c00000000 0000000000000000 ffff0000009acf00 ffff00000092cf00"
"""All 4 GiB, for code (8) and for data (16)."""
_ECHO: Final = (
    "bafd03 ec a801 74fb"       # mov dx, 0x3fd; wait: in al, dx; test al, 1; jz wait
    "baf803 ec ee ebf1"         # mov dx, 0x3f8; in al, dx; out dx, al; again from the start
)  # fmt: skip
_COUNT_AT: Final = 0xC0
_LET_GO_AT: Final = 0xE0
_NUMBER_SECTOR: Final = 64
_ONE_SECTOR: Final = "1000 0100 007e 0000 4000000000000000"
"""Sector 64, to or from 0x0000:0x7e00."""
_PACKET: Final = "1000 4000 0000 0010 4000000000000000"
"""Write 64 sectors from 0x1000:0000 to sector 64."""


def power_off(path: Path) -> None:
    """A guest that powers itself off as soon as it runs."""
    _write(path, _POWER_OFF)


def speak(path: Path, words: str) -> None:
    """A guest that says these words on its serial line, then waits."""
    _write(path, _SPEAK, words.encode())


def echo(path: Path) -> None:
    """A guest that says on its serial line what is typed there."""
    _write(path, _ECHO)


def fill(path: Path, size_bytes: int) -> None:
    """A guest that fills its disk, of this size, from the beginning to the end."""
    _write(path, _FILL, bytes.fromhex(_PACKET))
    with path.open("r+b") as disk:
        disk.truncate(size_bytes)


def count(path: Path) -> None:
    """A guest that counts in its memory and on its disk, and says each number on its serial line.

    Half a MiB of its memory is full, so that it takes a while to cross. It counts about 18 times a
    second, in eight letters from A (0) to P (15), and goes on from what its disk says when it
    boots. Where memory and disk differ it says X and stands still. It powers itself off when it is
    asked to, and lets go of devices that it is asked for.
    """
    packet = bytes.fromhex(_ONE_SECTOR).ljust(_LET_GO_AT - _COUNT_AT, b"\0")
    _write(path, _COUNT, packet + bytes.fromhex(_LET_GO), at=_COUNT_AT)


def counted(console: bytes) -> list[int]:
    """The numbers that a guest which counts has said; fails when it said anything else."""
    lines = console.decode().splitlines()
    numbers = [line for line in lines if _NUMBER.fullmatch(line)]
    assert "X" not in lines, f"Its memory and its disk differ: {lines[-3:]}"
    digits = str.maketrans("ABCDEFGHIJKLMNOP", "0123456789abcdef")
    return [int(line.translate(digits), 16) for line in numbers]


def number_in(path: Path) -> int:
    """The number that a guest which counts has written to its disk last."""
    with path.open("rb") as disk:
        disk.seek(_NUMBER_SECTOR * _SECTOR_BYTES)
        return int.from_bytes(disk.read(4), "little")


def dirty(path: Path) -> None:
    """A guest that says B and then writes to 26 MiB of its memory, again and again."""
    _write(path, _DIRTY, bytes.fromhex(_SEGMENTS))


def idle(path: Path) -> None:
    """A guest that stays in its firmware: its disk is empty."""
    path.write_bytes(bytes(_DISK_BYTES))


def _write(path: Path, code: str, text: bytes = b"", at: int = _TEXT_AT) -> None:
    sector = bytes.fromhex(code).ljust(at, b"\0") + text
    whole = sector.ljust(_SECTOR_BYTES - 2, b"\0") + b"\x55\xaa"
    path.write_bytes(whole.ljust(_DISK_BYTES, b"\0"))

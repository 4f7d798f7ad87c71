"""The smallest guest: a boot sector that says one word on the serial line and resets the machine.

It does what every kernel does first, since a virtualisation that is broken may well run a few
instructions: from real mode to protected mode, on to 64 bits with paging, a loop of some millions
of turns, then the word. The machine code stands here as bytes, each with its assembly.
"""

from typing import Final

WORD: Final = "TASHI"
"""What the guest says when all went well."""

DISK_BYTES: Final = 1 << 20
"""SeaBIOS boots from no virtio disk that is smaller than half a MiB."""

_SECTOR_BYTES: Final = 512
_SIGNATURE: Final = b"\x55\xaa"

_REAL: Final = (
    "fa"                # cli
    "31c0 8ed8"         # xor ax, ax; mov ds, ax
    "0f0116 c07c"       # lgdt [0x7cc0]
    "0f20c0 0c01"       # mov eax, cr0; or al, 1
    "0f22c0"            # mov cr0, eax
    "ea 177c 0800"      # jmp 0x08:0x7c17
)  # fmt: skip
_PROTECTED: Final = (
    "66b81000"                  # mov ax, 0x10
    "8ed8 8ec0"                 # mov ds, ax; mov es, ax
    "bf00000100"                # mov edi, 0x10000: three empty page tables
    "31c0 b9000c0000 f3ab"      # xor eax, eax; mov ecx, 0xc00; rep stosd
    "c70500000100 03100100"     # mov dword [0x10000], 0x11003
    "c70500100100 03200100"     # mov dword [0x11000], 0x12003
    "c70500200100 83000000"     # mov dword [0x12000], 0x83: one page of 2 MiB
    "0f20e0 0c20 0f22e0"        # mov eax, cr4; or al, 0x20 (PAE); mov cr4, eax
    "b800000100 0f22d8"         # mov eax, 0x10000; mov cr3, eax
    "b9800000c0 0f32"           # mov ecx, 0xc0000080 (EFER); rdmsr
    "80cc01 0f30"               # or ah, 1 (long mode); wrmsr
    "0f20c0 0d00000080 0f22c0"  # mov eax, cr0; or eax, 1 << 31 (paging); mov cr0, eax
    "ea 797c0000 1800"          # jmp 0x18:0x7c79
)  # fmt: skip
_LONG: Final = (
    "b900000001 e2fe"           # mov ecx, 1 << 24; loop to itself
    "be987c0000 b905000000"     # mov esi, 0x7c98; mov ecx, 5
    "66baf803 f36e"             # mov dx, 0x3f8 (first serial line); rep outsb
    "66baf90c b006 ee"          # mov dx, 0xcf9; mov al, 6; out dx, al: reset
    "f4"                        # hlt
)  # fmt: skip
_SEGMENTS: Final = (
    "0000000000000000"          # none
    "ffff0000009acf00"          # 0x08: code, 32 bits
    "ffff00000092cf00"          # 0x10: data
    "ffff0000009aaf00"          # 0x18: code, 64 bits
    "1f00 a07c0000"             # their size - 1, and where they are
)  # fmt: skip
_SEGMENTS_AT: Final = 0xA0


def boot_disk() -> bytes:
    """A raw disk that holds nothing but the boot sector."""
    code = bytes.fromhex(_REAL + _PROTECTED + _LONG) + WORD.encode()
    sector = code.ljust(_SEGMENTS_AT, b"\x90") + bytes.fromhex(_SEGMENTS)
    return (sector.ljust(_SECTOR_BYTES - 2, b"\0") + _SIGNATURE).ljust(DISK_BYTES, b"\0")

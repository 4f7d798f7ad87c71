"""A door that stands for any: whoever has its key is let in."""

from typing import Final

from tashi.adapters.hypervisor.libvirt.door import KEY_BYTES, Door

HERE: Final = "127.0.0.1"
KEY: Final = "k" * KEY_BYTES
DOOR: Final = Door(
    address=HERE,
    port=0,
    key=KEY,
    libvirt="/system",
    info="/info",
    overlays="/overlays",
    images="/images",
    folder="/info/7",
)

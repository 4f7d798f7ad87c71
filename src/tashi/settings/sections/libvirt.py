"""libvirt on a host: where it answers. Everything else of guests is as in [Qemu]."""

from tashi.settings import kinds
from tashi.settings.declare import section, setting


@section("Libvirt")
class LibvirtSettings:
    """How libvirt is reached, where it is the vmm of a node manager."""

    uri: str = setting(
        "uri",
        kinds.word,
        default="qemu:///system",
        words="Where libvirt answers on this machine, in its own words.",
    )

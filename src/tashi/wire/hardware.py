"""The forms of what runs guests on a host, and of what a guest was booted on."""

from tashi.wire.shape import Form, Number


class EngineForm(Form, frozen=True, omit_defaults=True):
    """What a host runs guests with; what it says of its processor, it says under kvm only."""

    qemu: str
    accel: str
    machines: tuple[str, ...] = ()
    processor: str = ""
    features: tuple[str, ...] = ()
    models: tuple[str, ...] = ()
    backend: str = "qemu"


class HardwareForm(Form, frozen=True, omit_defaults=True):
    """What a guest was booted on, and the version of the QEMU that it runs in."""

    machine: str
    cpu: str
    accel: str
    qemu: str
    processor: str = ""
    host_id: Number | None = None
    backend: str = "qemu"

"""Ears that hear what a test says."""

from tashi.ports.frames import Hears, Overheard


class FakeFrames:
    """Keeps `Frames`: what is said at a device is heard if somebody listens for that MAC there."""

    def __init__(self) -> None:
        self._hears: Hears = lambda _: None
        self.watched: dict[str, str] = {}

    def listen(self, hears: Hears) -> None:
        self._hears = hears

    def watch(self, device: str, mac: str) -> None:
        self.watched[device] = mac

    def forget(self, device: str) -> None:
        self.watched.pop(device, None)

    def close(self) -> None:
        self.watched.clear()
        self._hears = lambda _: None

    def say(self, device: str, mac: str, ip: str, *, given: bool = False) -> None:
        """Let a guest announce an address, or have it given one."""
        if self.watched.get(device) == mac:
            self._hears(Overheard(device, mac, ip, given))

"""dnsmasq, told by files in the folder that its option --dhcp-hostsdir names: one for each card.

dnsmasq sees new files by itself. That one is gone or changed it notices when it gets SIGHUP, and of
course when it starts; so a dnsmasq that is away needs to be told nothing.

Files whose names begin with ``tashi-`` are ours; what others have in the folder is read, so that
nothing of theirs is given away, and left alone.
"""

import os
import re
import signal
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from ipaddress import IPv6Address, ip_address
from pathlib import Path
from typing import Final

from tashi.domain.admission import check_mac
from tashi.domain.differences import DHCP, Difference, Flaw
from tashi.domain.errors import AddressTaken, DhcpFailed
from tashi.domain.hostnames import check_host_name, is_host_name
from tashi.domain.identity import InstanceId
from tashi.domain.listings import SiteEntry

_OURS: Final = "tashi-"
_OWNER: Final = re.compile(r"# instance (\d{1,18})\Z")
_MAC: Final = re.compile(r"[0-9a-f]{2}(:[0-9a-f]{2}){5}\Z")
_SHORTEST_LEASE: Final = 120
"""dnsmasq knows no shorter one."""


@dataclass(frozen=True, slots=True)
class _Line:
    """A host as a file has it; what is not said is empty. One without an `owner` is not ours."""

    file: str
    owner: InstanceId | None
    mac: str
    ip: str
    name: str

    def __str__(self) -> str:
        return " ".join(filter(None, (self.mac or "a host", self.ip, self.name)))


class Dnsmasq:
    """A folder of hosts, and the file with the process id of the dnsmasq that reads it."""

    def __init__(self, folder: Path, pid_file: Path, lease_seconds: int) -> None:
        self._folder = folder
        self._pid_file = pid_file
        self._lease_seconds = max(lease_seconds, _SHORTEST_LEASE)

    def serves(self, ip: str) -> bool:
        """Any address: dnsmasq gives both kinds."""
        del ip
        return True

    def enter(self, entry: SiteEntry) -> None:
        """Write the card's file, unless it says so already."""
        _check(entry)
        path, content = self._path(entry), self._content(entry)
        with self._errors("be told of"):
            for line in self._lines():
                if line.file != path.name and _meet(line, entry):
                    raise AddressTaken(
                        f"DHCP has {line} already (in {self._folder / line.file}), which is not "
                        f"{entry}."
                    )
            before = path.read_text() if path.exists() else None
            if before == content:
                return
            self._write(path, content)
            if before is not None:
                self._reread()

    def remove(self, entry: SiteEntry) -> None:
        """Remove the card's file, if it bears that name."""
        _check(entry)
        path = self._path(entry)
        with self._errors("forget"):
            if any(line.file == path.name and line.name == entry.name for line in self._lines()):
                path.unlink(missing_ok=True)
            # Also when it was gone: whoever removed it may have died before dnsmasq heard of it.
            self._reread()

    def difference(self, entry: SiteEntry) -> Difference | None:
        """How the card's file differs from that, and what of others is in its way."""
        _check(entry)
        with self._errors("be asked about"):
            lines = list(self._lines())
        ours = next((line for line in lines if line.file == self._path(entry).name), None)
        others = [line for line in lines if line is not ours and _meet(line, entry)]
        if others:
            return _differs(entry, Flaw.TAKEN, f"DHCP has {others[0]}, not {entry}")
        if ours is None:
            return _differs(entry, Flaw.MISSING, f"DHCP has no host {entry.name}")
        if (ours.mac, ours.ip, ours.name) != (entry.mac, str(ip_address(entry.ip)), entry.name):
            return _differs(entry, Flaw.WRONG, f"DHCP has {ours}, not {entry}")
        return None

    def entries(self) -> Sequence[SiteEntry] | None:
        """Every card that has a file of ours."""
        with self._errors("be asked about"):
            return [
                SiteEntry(line.owner, line.name, line.ip, line.mac)
                for line in self._lines()
                if line.owner is not None and line.mac and line.ip and is_host_name(line.name)
            ]

    # ---- the folder -----------------------------------------------------------------------------

    def _path(self, entry: SiteEntry) -> Path:
        return self._folder / f"{_OURS}{entry.mac.replace(':', '-')}"

    def _content(self, entry: SiteEntry) -> str:
        address = ip_address(entry.ip)
        shown = f"[{address}]" if isinstance(address, IPv6Address) else str(address)
        host = f"{entry.mac},{shown},{entry.name},{self._lease_seconds}"
        return f"# instance {entry.owner}\n{host}\n"

    def _write(self, path: Path, content: str) -> None:
        # dnsmasq reads no file whose name begins with a dot, and sees one that gets its name.
        draft = path.with_name(f".{path.name}")
        with draft.open("w") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        draft.chmod(0o644)
        draft.replace(path)

    def _lines(self) -> Iterator[_Line]:
        for path in sorted(self._folder.iterdir()):
            if path.name.startswith(".") or not path.is_file():
                continue
            try:
                lines = path.read_text(errors="replace").splitlines()
            except FileNotFoundError:  # another thread has just removed it
                continue
            owner = _owner(path.name, lines)
            for line in lines:
                if line.strip() and not line.lstrip().startswith("#"):
                    yield _read(path.name, owner, line)

    def _reread(self) -> None:
        """Let dnsmasq read the folder again, if it runs."""
        try:
            pid = int(self._pid_file.read_text())
            program = Path(f"/proc/{pid}/comm").read_text()
        except (FileNotFoundError, ProcessLookupError):
            return
        if program.strip() == "dnsmasq":
            os.kill(pid, signal.SIGHUP)

    @contextmanager
    def _errors(self, what: str) -> Iterator[None]:
        try:
            yield
        except (OSError, ValueError) as wrong:
            why = wrong.strerror if isinstance(wrong, OSError) else wrong
            raise DhcpFailed(
                f"dnsmasq cannot {what} hosts by the folder {self._folder}: {why}."
            ) from wrong


def _check(entry: SiteEntry) -> None:
    check_host_name(entry.name)
    check_mac(entry.mac)
    ip_address(entry.ip)


def _differs(entry: SiteEntry, flaw: Flaw, words: str) -> Difference:
    return Difference(DHCP, entry, flaw, words)


def _owner(file: str, lines: Sequence[str]) -> InstanceId | None:
    found = _OWNER.fullmatch(lines[0]) if lines and file.startswith(_OURS) else None
    return InstanceId(int(found[1])) if found else None


def _read(file: str, owner: InstanceId | None, line: str) -> _Line:
    """What a line of dnsmasq's says of card, address and name; other words do not matter here."""
    mac = ip = name = ""
    for word in (part.strip() for part in line.split(",")):
        if _MAC.match(word.lower()):
            mac = word.lower()
        elif address := _address(word.strip("[]")):
            ip = address
        elif not name and not word.isdigit() and ":" not in word:
            name = word
    return _Line(file, owner, mac, ip, name)


def _address(word: str) -> str:
    try:
        return str(ip_address(word))
    except ValueError:
        return ""


def _meet(line: _Line, entry: SiteEntry) -> bool:
    same_name = bool(line.name) and line.name.lower() == entry.name.lower()
    return line.mac == entry.mac or line.ip == str(ip_address(entry.ip)) or same_name

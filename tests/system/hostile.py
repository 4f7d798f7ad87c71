"""Hostile conversations with the daemons of a site, made up from a seed.

Who talks is a stranger, somebody whose certificate is another authority's, a user, or a node. What
they send is nothing that a program of Tashi sends: requests that are not theirs to make, requests
of rpyc for anything but the one method, frames that lie about their length, bombs, nesting without
end, requests with bits turned over, and noise; whole, torn, or a byte now and again. Only a refusal
may come of it.

A longer run by hand, against daemons of its own in a new folder:

    PYTHONPATH=src:tests .venv/bin/python -m system.hostile --conversations 100000 --seed 7
"""

import argparse
import json
import random
import socket
import ssl
import struct
import sys
import tempfile
import zlib
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from adapters_rpyc.raw import call_message
from certificates import Office
from plain_forms import whole
from system.books import Place, in_a_file
from system.sites import SIMULATED, Shape, Site
from tashi.adapters.rpyc import frames, plain, protocol
from tashi.adapters.rpyc.papers import AUTHORITY, CERTIFICATE, KEY
from tashi.domain.permissions import Role, Who
from tashi.wire import codec, envelope, versions
from tashi.wire.forms import HostForm, SnapshotForm
from tashi.wire.methods import CLUSTER_MANAGER, NODE_MANAGER, Method

CONNECTING_SECONDS: Final = 10.0
HEARING_SECONDS: Final = 0.5
"""For an answer; there is none where the bytes before a request were torn."""
MOST_DRIBBLING: Final = 30
LOCAL: Final = "cm.sock"
"""In the folder of a site: where its cluster manager hears who is on the machine."""
BOMB: Final = zlib.compress(bytes(50 << 20), 9)
NAMES: Final = (
    "__class__", "__dict__", "__globals__", "__init__", "_conn", "____conn__", "exposed_call",
    "get_service_name", "modules", "eval", "close", "call ", "Call", "", "\0", "x" * 5000,
)  # fmt: skip
PERSONS: Final = (Who.PERSON, Who.OWNER, Who.KEEPER, Who.OPERATOR, Who.ADMIN)

Message = Callable[[random.Random], bytes]


# -- what is sent: bytes of one message, or of something that looks like one


def another_handler(draw: random.Random) -> bytes:
    """A request of rpyc that is none of ours, for one of the two objects or none that there is."""
    which = draw.choice([protocol.Ours.ROOT, protocol.Ours.METHOD, ("builtins.object", 7, 7)])
    about = draw.choice([which, (which[0], draw.getrandbits(60), draw.getrandbits(60))])
    given = (2, ((3, about), (1, draw.choice(NAMES)), (1, draw.getrandbits(30))))
    asked = draw.choice([2, 4, *range(5, 7), *range(8, 15), *range(16, 25), 999, -1])
    return frames.frame(b"\x01" + plain.write((draw.getrandbits(20), (asked, given))))


def a_reference_for_an_argument(draw: random.Random) -> bytes:
    """A call of our method with something else than bytes."""
    odd: list[plain.Plain] = [
        (4, ("builtins.dict", 1, 1)),
        (3, protocol.Ours.ROOT),
        (1, "text"),
        (9, 9),
    ]
    given = (2, ((3, protocol.Ours.METHOD), (2, (draw.choice(odd),)), (1, ())))
    return frames.frame(b"\x01" + plain.write((1, (7, given))))


def a_lie_about_its_length(draw: random.Random) -> bytes:
    """A frame that is longer than any may be, or than what follows."""
    length = draw.choice([2**32 - 1, 2**31, 1 << 20, (1 << 20) + 1, 5000, 0])
    return struct.pack("!LB", length, draw.choice([0, 1, 2, 255])) + draw.randbytes(20)


def a_bomb(_: random.Random) -> bytes:
    """A small frame that would fill 50 MiB."""
    return struct.pack("!LB", len(BOMB), 1) + BOMB + b"\n"


def deep_nesting(draw: random.Random) -> bytes:
    """Tuples in tuples, or lists in lists where JSON should be."""
    deep = draw.choice([10, 100, 1000, 100_000])
    tuples = frames.frame(b"\x01" + b"\x10" * deep)
    return draw.choice([tuples, frames.frame(call_message(b"[" * deep + b"]" * deep))])


def numbers_without_end(draw: random.Random) -> bytes:
    """Digits that would take a processor for long to read, here as a number and there as JSON."""
    digits = b"9" * draw.choice([21, 255, 5000])
    brine = frames.frame(b"\x01\x11\x17" + struct.pack("!L", len(digits)) + digits)
    said = b'{"v":"1.2","id":"x","call":"why","args":{"instanceId":' + digits + b"}}"
    return draw.choice([brine, frames.frame(call_message(said))])


def noise(draw: random.Random) -> bytes:
    """Bytes of no kind, in a frame or out of one."""
    content = draw.randbytes(draw.choice([1, 10, 1000, 60_000]))
    return draw.choice([content, frames.frame(content), frames.frame(call_message(content))])


def a_request(draw: random.Random, rows: Sequence[Method], role: Role) -> bytes:
    """Some call, well formed, from somebody who claims to have that role."""
    row = draw.choice(rows)
    args = json.dumps(whole(row.takes)).encode()
    said = json.loads(
        envelope.write_request(
            str(versions.CLUSTER_MANAGER.version),
            f"hostile {draw.getrandbits(60)}",
            row.name,
            args,
            ticket=draw.choice(["", "x" * 40]),
        )
    )
    said |= {"role": role.value, "user": 0}
    raw = draw.choice([None, None, b"", b"\0\0", draw.randbytes(5000)])
    return codec.joined(json.dumps(said).encode(), raw)


def turned_over(draw: random.Random, content: bytes) -> bytes:
    """The same with a few bits turned over, or with a piece gone, or twice there."""
    bent = bytearray(content)
    for _ in range(draw.choice([0, 1, 3, 20])):
        bent[draw.randrange(len(bent))] ^= 1 << draw.randrange(8)
    start, end = sorted(draw.randrange(len(bent)) for _ in range(2))
    return bytes(draw.choice([bent, bent[:start], bent[end:], bent + bent[start:end]]))


SHAPES: Final[tuple[Message, ...]] = (
    another_handler, a_reference_for_an_argument, a_lie_about_its_length, a_bomb, deep_nesting,
    numbers_without_end, noise,
)  # fmt: skip


# -- who sends it, to whom


@dataclass(frozen=True)
class Guise:
    """Somebody: what they show, which calls they must not make, as what, and of whom.

    `where` is a port of the site's address, or a socket of this machine.
    """

    name: str
    papers: Path | None
    rows: tuple[Method, ...]
    where: int | Path
    plain: bool = False


@dataclass
class Attack:
    """Conversations with a site; `answered` counts the errors by kind, and "ok" for none."""

    site: Site
    draw: random.Random
    answered: Counter[str] = field(default_factory=Counter)
    wrongs: list[str] = field(default_factory=list)
    _dribbling: list[tuple[socket.socket, Iterator[int]]] = field(default_factory=list)

    def __post_init__(self) -> None:
        pki = self.site.folder / "pki"
        away = Office(self.site.folder / "away")
        office = self.site.office
        assert office is not None
        (host,) = self.site.now().hosts
        ours, theirs = tuple(CLUSTER_MANAGER.values()), tuple(NODE_MANAGER.values())
        known = [row for row in ours if row.who is not Who.STRANGER]
        for_daemons = [row for row in ours if row.who in {Who.NODE, Who.SCHEDULER}]
        for_people = [row for row in ours if row.who in {*PERSONS, Who.SCHEDULER}]
        user = office.issued("user", "nobody")
        node = office.issued("nodemanager", "host77")
        nodes_rows = [row for row in for_daemons if row.who is Who.NODE]
        self.guises = (
            Guise("a stranger", None, tuple(known), self.site.port),
            Guise("a stranger without TLS", None, tuple(known), self.site.port, plain=True),
            Guise("somebody of another authority", away.issued("scheduler"), ours, self.site.port),
            Guise("a user as a daemon", user, tuple(for_daemons), self.site.port),
            Guise("a node as a person", node, tuple(for_people), self.site.port),
            Guise("a node for another host", node, tuple(nodes_rows), self.site.port),
            Guise("a user, to a node", user, theirs, host.port),
            Guise("a node, to a node", node, theirs, host.port),
            Guise("a stranger, to a node", None, theirs, host.port),
            Guise("root of the machine", None, tuple(for_daemons), self.site.folder / LOCAL, True),
        )
        self._authority = pki / AUTHORITY

    def talk(self) -> None:
        """Hold one conversation."""
        guise = self.draw.choice(self.guises)
        self._dribble()
        with suppress(OSError, plain.Malformed):  # who speaks no TLS is told so in TLS
            sock = self._connected(guise)
            if self.draw.random() < 0.05 and len(self._dribbling) < MOST_DRIBBLING:
                self._dribbling.append((sock, iter(frames.frame(call_message(b"x" * 500)))))
                return
            with closing(sock):
                sock.settimeout(HEARING_SECONDS)
                for _ in range(self.draw.choice([1, 1, 2, 5])):
                    self._say(sock, guise)

    def end(self) -> None:
        """Let go of what still dribbles."""
        for sock, _ in self._dribbling:
            sock.close()
        self._dribbling.clear()

    def _connected(self, guise: Guise) -> socket.socket:
        if isinstance(guise.where, Path):
            line = socket.socket(socket.AF_UNIX)
            line.settimeout(CONNECTING_SECONDS)
            line.connect(str(guise.where))
        else:
            line = socket.create_connection((self.site.address, guise.where), CONNECTING_SECONDS)
        if guise.plain:
            return line
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
        if guise.papers is not None:
            context.load_cert_chain(guise.papers / CERTIFICATE, guise.papers / KEY)
        try:
            return context.wrap_socket(line)
        except BaseException:
            line.close()
            raise

    def _say(self, sock: socket.socket, guise: Guise) -> None:
        if self.draw.random() < 0.5:
            self._send(sock, self.draw.choice(SHAPES)(self.draw))
            return
        said = a_request(self.draw, guise.rows, self.draw.choice(list(Role)))
        if self.draw.random() < 0.4:
            self._send(sock, frames.frame(call_message(turned_over(self.draw, said))))
            return
        self._send(sock, frames.frame(call_message(said)))
        self._hear(sock, guise, said)

    def _send(self, sock: socket.socket, content: bytes) -> None:
        at = self.draw.randrange(len(content) + 1)
        for part in (content[:at], content[at:]):
            sock.sendall(part)

    def _hear(self, sock: socket.socket, guise: Guise, said: bytes) -> None:
        """The answer to a request that is well formed, which must be a refusal."""
        own, _ = envelope.glance(said)
        for answer in self._answers(sock):
            if answer["id"] != own:  # to what was sent before
                continue
            error = answer.get("error")
            self.answered["ok" if error is None else error["kind"]] += 1
            if error is None or error["kind"] == "Broken":
                self.wrongs.append(f"{guise.name}: {said[:200]!r}: {answer}"[:500])
            return

    def _answers(self, sock: socket.socket) -> Iterator[dict[str, Any]]:
        gathered = frames.Gatherer(1 << 26)
        while received := sock.recv(1 << 16):
            gathered.feed(received)
            while (message := gathered.take()) is not None:
                heard = protocol.hear(message)
                if isinstance(heard, protocol.Reply) and isinstance(heard.content, bytes):
                    yield json.loads(codec.text_of(heard.content))

    def _dribble(self) -> None:
        """One byte more of each request that comes a byte now and again."""
        for one in list(self._dribbling):
            sock, left = one
            try:
                sock.sendall(bytes((next(left),)))
            except (OSError, StopIteration):
                sock.close()
                self._dribbling.remove(one)


# -- what a process takes


@dataclass(frozen=True)
class Taken:
    """What a process has taken: memory in KiB, now and at most, threads, descriptors."""

    memory: int
    peak: int
    threads: int
    descriptors: int


def taken_by(pid: int) -> Taken:
    """What the process of that number has taken now."""
    said = dict(line.split(":", 1) for line in Path(f"/proc/{pid}/status").read_text().splitlines())
    return Taken(
        memory=int(said["VmRSS"].split()[0]),
        peak=int(said["VmHWM"].split()[0]),
        threads=int(said["Threads"]),
        descriptors=len(list(Path(f"/proc/{pid}/fd").iterdir())),
    )


def secure_site(folder: Path, books: Place = in_a_file) -> Site:
    """A site with authAndEncrypt and one simulated host, not started yet."""
    extra = {"Security": {"localSocket": folder / LOCAL}}
    return Site(folder, Shape(vmm=SIMULATED, secure=True, books=books, extra=extra))


def say(*things: object) -> None:
    """Say something to whoever runs this by hand."""
    sys.stdout.write(f"{' '.join(map(str, things))}\n")
    sys.stdout.flush()


def main() -> int:
    """Hold many conversations, and say what the daemons took; returns the exit code."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--conversations", type=int, default=10_000)
    parser.add_argument("--seed", type=int, default=7)
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        site = secure_site(Path(folder))
        try:
            site.start()
            attack = Attack(site, random.Random(asked.seed))
            for number in range(asked.conversations):
                if number % max(1, asked.conversations // 10) == 0:
                    say(number, *(taken_by(one.pid) for one in site.daemons))
                attack.talk()
                if number % 50 == 0:
                    site.calls.call("getHosts", tuple[HostForm, ...])
            attack.end()
            site.calls.call("getSnapshot", SnapshotForm)
            say(asked.conversations, *(taken_by(one.pid) for one in site.daemons))
            say(attack.answered, *attack.wrongs)
            surprised = "Traceback" in site.story(lines=10**7)
            return int(surprised or bool(attack.wrongs))
        finally:
            site.end()


if __name__ == "__main__":
    sys.exit(main())

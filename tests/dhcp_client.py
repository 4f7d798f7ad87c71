"""A DHCP client that borrows a network card: it asks as any MAC address, and says what it got."""

import secrets
import socket
import struct
import time
from dataclasses import dataclass

import dpkt

from namespaces import Namespace

_BROADCAST = b"\xff" * 6
_TRIES = 5
_TRY_SECONDS = 1.0
_REPLY_IN_BROADCAST = 0x8000


@dataclass(frozen=True, slots=True)
class Lease:
    """What a server gave: an address and a host name."""

    ip: str
    host_name: str


def ask(where: Namespace, card: str, mac: str, tries: int = _TRIES) -> Lease | None:
    """Get a lease by that card of that namespace; ``None`` when nobody gives one."""
    return where.call(_ask, card, mac, tries)


def _ask(card: str, mac: str, tries: int) -> Lease | None:
    with socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(0x0800)) as line:
        line.bind((card, 0))
        for _ in range(tries):
            number = secrets.randbits(32)
            offer = _exchange(line, mac, number, dpkt.dhcp.DHCPDISCOVER, ())
            if offer is None:
                continue
            options = dict(offer.opts)
            more = (
                (dpkt.dhcp.DHCP_OPT_REQ_IP, struct.pack("!I", offer.yiaddr)),
                (dpkt.dhcp.DHCP_OPT_SERVER_ID, options[dpkt.dhcp.DHCP_OPT_SERVER_ID]),
            )
            given = _exchange(line, mac, number, dpkt.dhcp.DHCPREQUEST, more)
            if given is not None:
                name = dict(given.opts).get(dpkt.dhcp.DHCP_OPT_HOSTNAME, b"")
                return Lease(socket.inet_ntoa(struct.pack("!I", given.yiaddr)), name.decode())
    return None


def _exchange(
    line: socket.socket, mac: str, number: int, kind: int, more: tuple[tuple[int, bytes], ...]
) -> dpkt.dhcp.DHCP | None:
    """Send a message, and wait for its answer, at most for one try."""
    line.send(_frame(mac, number, kind, more))
    deadline = time.monotonic() + _TRY_SECONDS
    while (left := deadline - time.monotonic()) > 0:
        line.settimeout(left)
        try:
            heard = _read(line.recv(2048), number)
        except TimeoutError:
            return None
        if heard is not None:
            return heard
    return None


def _frame(mac: str, number: int, kind: int, more: tuple[tuple[int, bytes], ...]) -> bytes:
    hardware = bytes.fromhex(mac.replace(":", ""))
    wanted = bytes([dpkt.dhcp.DHCP_OPT_HOSTNAME, dpkt.dhcp.DHCP_OPT_NETMASK])
    message = dpkt.dhcp.DHCP(
        xid=number,
        flags=_REPLY_IN_BROADCAST,
        chaddr=hardware,
        opts=(
            (dpkt.dhcp.DHCP_OPT_MSGTYPE, bytes([kind])),
            (dpkt.dhcp.DHCP_OPT_PARAM_REQ, wanted),
            *more,
        ),
    )
    datagram = dpkt.udp.UDP(sport=68, dport=67, data=bytes(message))
    datagram.ulen = len(datagram)
    packet = dpkt.ip.IP(src=bytes(4), dst=b"\xff" * 4, p=dpkt.ip.IP_PROTO_UDP, data=datagram)
    packet.len = len(packet)
    return bytes(dpkt.ethernet.Ethernet(src=hardware, dst=_BROADCAST, data=packet))


def _read(frame: bytes, number: int) -> dpkt.dhcp.DHCP | None:
    """The server's message in a frame, if it is for us and no refusal."""
    try:
        packet = dpkt.ethernet.Ethernet(frame).data
        if not isinstance(packet, dpkt.ip.IP) or not isinstance(packet.data, dpkt.udp.UDP):
            return None
        if packet.data.dport != 68:  # the client's port
            return None
        message = dpkt.dhcp.DHCP(packet.data.data)
    except dpkt.UnpackError:
        return None
    kind = dict(message.opts).get(dpkt.dhcp.DHCP_OPT_MSGTYPE, b"")
    good = kind in {bytes([dpkt.dhcp.DHCPOFFER]), bytes([dpkt.dhcp.DHCPACK])}
    return message if message.xid == number and good else None

"""Frames as guests and DHCP servers send them."""

from ipaddress import ip_address
from typing import Final

from dpkt import arp as arps
from dpkt import dhcp, ethernet, icmp6, ip, ip6, udp

_BROADCAST: Final = b"\xff" * 6
_SERVER: Final = bytes.fromhex("525400ffffff")


def arp(mac: bytes, address: str, *, source: bytes | None = None, reply: bool = False) -> bytes:
    """An announcement of that address; `source` is who sent it, if that is somebody else."""
    packed = ip_address(address).packed
    inner = arps.ARP(
        sha=mac, spa=packed, tpa=packed, op=arps.ARP_OP_REPLY if reply else arps.ARP_OP_REQUEST
    )
    outer = ethernet.Ethernet(
        src=source or mac, dst=_BROADCAST, type=ethernet.ETH_TYPE_ARP, data=inner
    )
    return bytes(outer)


def advertisement(mac: bytes, address: str) -> bytes:
    """An IPv6 neighbour advertisement of that address."""
    packed = ip_address(address).packed
    body = bytes([0x20, 0, 0, 0]) + packed + bytes([2, 1]) + mac
    inner = icmp6.ICMP6(type=136, code=0, data=body)
    middle = ip6.IP6(
        src=packed, dst=ip_address("ff02::1").packed, nxt=ip.IP_PROTO_ICMP6, hlim=255, data=inner
    )
    middle.plen = len(inner)
    return bytes(
        ethernet.Ethernet(
            src=mac, dst=bytes.fromhex("333300000001"), type=ethernet.ETH_TYPE_IP6, data=middle
        )
    )


def ack(mac: bytes, address: str, *, kind: int = dhcp.DHCPACK, port: int = 67) -> bytes:
    """What a DHCP server answers: by default, that the guest may have the address."""
    answer = dhcp.DHCP(
        op=2,
        chaddr=mac,
        yiaddr=int(ip_address(address)),
        opts=((dhcp.DHCP_OPT_MSGTYPE, bytes([kind])), (dhcp.DHCP_OPT_LEASE_SEC, bytes(4))),
    )
    datagram = udp.UDP(sport=port, dport=68, data=answer)
    datagram.ulen = len(datagram)
    packet = ip.IP(src=bytes([192, 0, 2, 1]), dst=b"\xff" * 4, p=ip.IP_PROTO_UDP, data=datagram)
    packet.len = len(packet)
    return bytes(
        ethernet.Ethernet(src=_SERVER, dst=_BROADCAST, type=ethernet.ETH_TYPE_IP, data=packet)
    )

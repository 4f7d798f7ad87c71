"""Addresses in frames: from the guest's own MAC, or given by a server; never an exception."""

import struct
from typing import Final

import pytest
from dpkt import dhcp
from hypothesis import given
from hypothesis import strategies as st

from packets import ack, advertisement, arp
from tashi.adapters.system.packets import Address, address_in

MAC: Final = bytes.fromhex("525400000007")
OTHER: Final = bytes.fromhex("525400000008")


def test_who_asks_for_or_announces_an_address_has_one() -> None:
    assert address_in(arp(MAC, "192.0.2.7"), MAC, to_guest=False) == Address(
        "192.0.2.7", given=False
    )
    assert address_in(arp(MAC, "192.0.2.7", reply=True), MAC, to_guest=False) == Address(
        "192.0.2.7", given=False
    )


def test_a_neighbour_advertises_its_global_address() -> None:
    frame = advertisement(MAC, "2001:db8::7")

    assert address_in(frame, MAC, to_guest=False) == Address("2001:db8::7", given=False)


def test_what_a_server_acknowledges_is_given() -> None:
    assert address_in(ack(MAC, "192.0.2.7"), MAC, to_guest=True) == Address("192.0.2.7", given=True)


@pytest.mark.parametrize(
    ("frame", "to_guest"),
    [
        pytest.param(arp(MAC, "0.0.0.0"), False, id="a probe"),
        pytest.param(arp(OTHER, "192.0.2.7"), False, id="another's"),
        pytest.param(arp(OTHER, "192.0.2.7", source=MAC), False, id="about another"),
        pytest.param(arp(MAC, "192.0.2.7", source=OTHER), False, id="by another"),
        pytest.param(arp(MAC, "192.0.2.7"), True, id="sent to the guest as if by itself"),
        pytest.param(advertisement(MAC, "fe80::1"), False, id="of its link only"),
        pytest.param(advertisement(OTHER, "2001:db8::7"), False, id="another's advertisement"),
        pytest.param(ack(MAC, "192.0.2.7"), False, id="acknowledged by the guest itself"),
        pytest.param(ack(OTHER, "192.0.2.7"), True, id="for another"),
        pytest.param(ack(MAC, "192.0.2.7", kind=dhcp.DHCPOFFER), True, id="an offer"),
        pytest.param(ack(MAC, "192.0.2.7", kind=dhcp.DHCPNAK), True, id="a refusal"),
        pytest.param(ack(MAC, "0.0.0.0"), True, id="without an address"),
        pytest.param(ack(MAC, "192.0.2.7", port=68), True, id="from no server"),
        pytest.param(MAC * 2 + struct.pack("!H", 0x88CC) + bytes(60), False, id="something else"),
    ],
)
def test_nothing_else_says_anything(frame: bytes, to_guest: bool) -> None:
    assert address_in(frame, MAC, to_guest=to_guest) is None


@given(
    whole=st.sampled_from(
        [arp(MAC, "192.0.2.7"), advertisement(MAC, "2001:db8::7"), ack(MAC, "192.0.2.7")]
    ),
    at=st.integers(0, 400),
    noise=st.binary(max_size=40),
    to_guest=st.booleans(),
)
def test_whatever_a_guest_sends_is_an_address_or_nothing(
    whole: bytes, at: int, noise: bytes, to_guest: bool
) -> None:
    frame = whole[:at] + noise + whole[at + len(noise) :]

    found = address_in(frame, MAC, to_guest=to_guest)

    assert found is None or found.given is to_guest


@given(kind=st.sampled_from([0x0806, 0x0800, 0x86DD]), body=st.binary(), to_guest=st.booleans())
def test_noise_is_an_address_or_nothing(kind: int, body: bytes, to_guest: bool) -> None:
    frame = MAC + MAC + struct.pack("!H", kind) + body

    found = address_in(frame, MAC, to_guest=to_guest)

    assert found is None or found.given is to_guest

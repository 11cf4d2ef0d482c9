import asyncio
import ipaddress

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scapy.layers.inet6 import ICMPv6ND_RA, ICMPv6ND_RS, ICMPv6NDOptPrefixInfo, ICMPv6NDOptSrcLLAddr

from pxe import ra
from pxe.errors import ListenFault, MalformedPacket


def test_smallest_advertisement_says_go_on():
    found = ICMPv6ND_RA(ra.advertisement())
    assert (found.type, found.M, found.O, found.routerlifetime) == (134, 0, 0, 0)
    assert len(ra.advertisement()) == 16


def test_advertisement_with_prefix():
    found = ICMPv6ND_RA(ra.advertisement(ipaddress.IPv6Network("fd77::/64")))[ICMPv6NDOptPrefixInfo]
    assert (found.prefix, found.prefixlen, found.L, found.A, found.len) == ("fd77::", 64, 1, 1, 4)


def test_solicitations_of_scapy():
    ra.check_solicitation(bytes(ICMPv6ND_RS()))
    ra.check_solicitation(bytes(ICMPv6ND_RS() / ICMPv6NDOptSrcLLAddr(lladdr="52:54:00:77:00:01")))


@given(st.binary(max_size=200))
def test_any_bytes_are_a_solicitation_or_malformed(data):
    for candidate in (data, b"\x85\0" + bytes(6) + data):
        try:
            ra.check_solicitation(candidate)
        except MalformedPacket:
            continue


@pytest.mark.parametrize("data", [b"", b"\x86\0" + bytes(14), b"\x85\1" + bytes(6), b"\x85\0" + bytes(6) + b"\1\0"])
def test_malformed(data):
    with pytest.raises(MalformedPacket):
        ra.check_solicitation(data)


def test_missing_interface_is_named():
    async def main():
        with pytest.raises(ListenFault, match="nosuch0"):
            ra.RouterAdvertiser().open("nosuch0")

    asyncio.run(main())

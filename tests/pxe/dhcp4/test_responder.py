from ipaddress import IPv4Address

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pxe.dhcp4 import packet as frame
from pxe.dhcp4 import responder
from pxe.dhcp4.classify import classify
from pxe.dhcp4.options import MessageType, Tag
from pxe.types import Action, BootPlan
from tests.fakes.dhcp_client import BIOS, IPXE, SYSTEM, UEFI, UEFI_HTTP, network, request

BOOT = BootPlan(action=Action.BOOT, why="test")
LOCAL = BootPlan(action=Action.LOCAL, why="test")
IGNORE = BootPlan(action=Action.IGNORE, why="test")
PLACE = network().place


def offer(options, plan=BOOT, **more):
    asked = request(MessageType.DISCOVER, options=options, **more)
    data = responder.lend(
        asked,
        MessageType.OFFER,
        client=classify(asked),
        plan=plan,
        place=PLACE,
        address=IPv4Address("10.0.0.100"),
        lease_s=3600,
        hostname="n1",
    )
    return frame.parse(data)


@pytest.mark.parametrize(
    ("options", "file"),
    [
        (BIOS, b"undionly.kpxe"),
        (UEFI, b"snponly.efi"),
        (UEFI_HTTP, b"http://10.0.0.1:8080/boot/snponly.efi"),
        (IPXE, b"http://10.0.0.1:8080/boot.ipxe?mac=02:00:00:00:00:01&platform=pcbios"),
        ({**IPXE, Tag.ARCHITECTURE: b"\0\7"}, b"http://10.0.0.1:8080/boot.ipxe?mac=02:00:00:00:00:01&platform=efi"),
        (SYSTEM, b""),
        ({}, b""),
        ({**UEFI, Tag.ARCHITECTURE: b"\0\x0b"}, b""),
    ],
)
def test_boot_file_by_client(options, file):
    reply = offer(options)
    assert reply.file == file
    assert reply.siaddr == (IPv4Address("10.0.0.1") if file else IPv4Address(0))
    assert reply.yiaddr == IPv4Address("10.0.0.100")


@pytest.mark.parametrize("plan", [LOCAL, IGNORE, None])
@pytest.mark.parametrize("options", [BIOS, UEFI, UEFI_HTTP, IPXE])
def test_no_boot_file_without_a_boot_plan(options, plan):
    reply = offer({**options, Tag.PARAMETER_LIST: bytes((66, 67))}, plan)
    assert reply.file == reply.sname == b""
    assert not {Tag.BOOT_FILE, Tag.TFTP_SERVER} & set(reply.options)
    assert Tag.LEASE_TIME in reply.options


def test_http_firmware_gets_its_vendor_class_back_and_pxe_firmware_does_not():
    assert offer(UEFI_HTTP).options[Tag.VENDOR_CLASS] == b"HTTPClient"
    assert Tag.VENDOR_CLASS not in offer(UEFI).options
    assert Tag.VENDOR_CLASS not in offer(UEFI_HTTP, LOCAL).options


def test_ipxe_is_told_that_there_is_no_proxy():
    assert offer(IPXE).options[Tag.IPXE] == b"\xb0\x01\x01"
    assert offer(IPXE, LOCAL).options[Tag.IPXE] == b"\xb0\x01\x01"


def test_boot_options_are_given_when_asked_for():
    reply = offer({**UEFI, Tag.PARAMETER_LIST: bytes((66, 67))})
    assert reply.options[Tag.TFTP_SERVER] == b"10.0.0.1"
    assert reply.options[Tag.BOOT_FILE] == b"snponly.efi"


def test_network_options():
    options = offer(SYSTEM).options
    assert options[Tag.SUBNET_MASK] == bytes((255, 255, 255, 0))
    assert options[Tag.DNS_SERVER] == options[Tag.SERVER_ID] == bytes((10, 0, 0, 1))
    assert options[Tag.HOST_NAME] == b"n1"
    assert options[Tag.DOMAIN_NAME] == b"rack.internal"
    assert Tag.ROUTER not in options
    assert int.from_bytes(options[Tag.LEASE_TIME], "big") == 3600
    assert int.from_bytes(options[Tag.RENEWAL_TIME], "big") == 1800


@given(st.binary(max_size=255), st.integers(0, 65535), st.sampled_from([BIOS, UEFI, UEFI_HTTP, IPXE, SYSTEM]))
def test_reply_fits_whatever_is_asked(parameters, size, options):
    more = {Tag.PARAMETER_LIST: parameters, Tag.MAX_SIZE: size.to_bytes(2, "big"), Tag.CLIENT_ID: b"x" * 255}
    asked = request(MessageType.DISCOVER, options={**options, **more})
    data = responder.lend(
        asked,
        MessageType.OFFER,
        client=classify(asked),
        plan=BOOT,
        place=PLACE,
        address=IPv4Address("10.0.0.100"),
        lease_s=0xFFFFFFFF + 5,
        hostname="n" * 63,
    )
    assert 300 <= len(data) <= max(548, min(size, 1500) - 28)
    assert Tag.LEASE_TIME in frame.parse(data).options


def test_relay_information_is_echoed_to_a_relay_and_counted():
    relay_info = b"x" * 200
    reply = offer({**UEFI, Tag.RELAY_INFO: relay_info}, giaddr=IPv4Address("10.0.0.2"))
    assert reply.options[Tag.RELAY_INFO] == relay_info
    assert list(reply.options)[-1] == Tag.RELAY_INFO
    assert len(frame.serialize(reply)) <= 548
    assert Tag.RELAY_INFO not in offer({**UEFI, Tag.RELAY_INFO: relay_info}).options


def test_refusal():
    reply = frame.parse(responder.refuse(request(MessageType.REQUEST), server=PLACE.server, why="no é"))
    assert reply.options[Tag.MESSAGE_TYPE] == b"\x06"
    assert reply.options[Tag.MESSAGE] == b"no ?"
    assert reply.yiaddr == IPv4Address(0)
    assert Tag.LEASE_TIME not in reply.options

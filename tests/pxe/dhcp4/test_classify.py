import pytest

from pxe.dhcp4.classify import classify
from pxe.dhcp4.packet import Packet
from pxe.types import Firmware, Stage

PXE = b"PXEClient:Arch:00000:UNDI:002001"
HTTP = b"HTTPClient:Arch:00016:UNDI:003001"


def client(**options):
    tags = {"vendor": 60, "user": 77, "ipxe": 175, "arch": 93}
    return classify(
        Packet(op=1, xid=1, chaddr=b"\2\0\0\0\0\1", options={tags[name]: value for name, value in options.items()})
    )


@pytest.mark.parametrize(
    ("options", "firmware", "stage"),
    [
        ({"vendor": PXE, "arch": b"\0\0"}, Firmware.BIOS, Stage.FIRMWARE),
        ({"vendor": b"PXEClient", "arch": b"\0\7"}, Firmware.UEFI, Stage.FIRMWARE),
        ({"vendor": PXE, "arch": b"\0\x09"}, Firmware.UEFI, Stage.FIRMWARE),
        ({"vendor": HTTP, "arch": b"\0\x10"}, Firmware.UEFI_HTTP, Stage.FIRMWARE),
        ({"vendor": PXE, "arch": b"\0\x10"}, Firmware.UNKNOWN, Stage.FIRMWARE),
        ({"vendor": HTTP, "arch": b"\0\7"}, Firmware.UNKNOWN, Stage.FIRMWARE),
        ({"vendor": PXE, "arch": b"\0\x0b"}, Firmware.UNKNOWN, Stage.FIRMWARE),  # 64-bit ARM: nothing to give
        ({"vendor": PXE, "arch": b"\0\x06"}, Firmware.UNKNOWN, Stage.FIRMWARE),  # 32-bit UEFI
        ({"vendor": PXE, "arch": b"\0"}, Firmware.UNKNOWN, Stage.FIRMWARE),
        ({"vendor": PXE}, Firmware.UNKNOWN, Stage.FIRMWARE),
        ({"vendor": b"PXEClient" * 33, "arch": b"\0\0"}, Firmware.UNKNOWN, Stage.OTHER),
        ({"vendor": b"HTTPClientX", "arch": b"\0\x10"}, Firmware.UNKNOWN, Stage.OTHER),
        ({"vendor": b"udhcp 1.35"}, Firmware.UNKNOWN, Stage.OTHER),
        ({}, Firmware.UNKNOWN, Stage.OTHER),
        ({"vendor": PXE, "arch": b"\0\0", "user": b"iPXE"}, Firmware.BIOS, Stage.IPXE),
        ({"vendor": PXE, "arch": b"\0\7", "user": b"\x04iPXE"}, Firmware.UEFI, Stage.IPXE),
        ({"arch": b"\0\7", "ipxe": b"\x01\x01\x01"}, Firmware.UEFI, Stage.IPXE),
        ({"user": b"iPXE"}, Firmware.UNKNOWN, Stage.IPXE),
        ({"user": b"iPXE2", "vendor": PXE, "arch": b"\0\0"}, Firmware.BIOS, Stage.FIRMWARE),
    ],
)
def test_table(options, firmware, stage):
    found = client(**options)
    assert (found.firmware, found.stage) == (firmware, stage)
    assert found.mac == "02:00:00:00:00:01"

"""Who sends a DHCP request: which firmware, and which program of the machine.

Firmware (how it loads us) is kept apart from architecture (what it runs). Architectures without a boot program of ours
are UNKNOWN and get a plain lease. The fields are claims of the peer: a plain client that calls itself iPXE merely gets
the address of a script, which holds no secret without a boot session.
"""

from collections.abc import Mapping

from pxe.dhcp4.options import Tag, u16_list
from pxe.dhcp4.packet import Packet
from pxe.types import Client, Firmware, Stage

# RFC 4578 §2.1 and the IANA registry "Processor Architecture Types". Both 7 and 9 are seen on x86-64 UEFI.
_FIRMWARE: Mapping[tuple[bytes, int], Firmware] = {
    (b"PXEClient", 0): Firmware.BIOS,
    (b"PXEClient", 7): Firmware.UEFI,
    (b"PXEClient", 9): Firmware.UEFI,
    (b"HTTPClient", 16): Firmware.UEFI_HTTP,
}
_IPXE_FIRMWARE: Mapping[int, Firmware] = {0: Firmware.BIOS, 7: Firmware.UEFI, 9: Firmware.UEFI, 16: Firmware.UEFI}


def classify(packet: Packet) -> Client:
    """packet: a request from an Ethernet client (`Packet.is_ethernet`)."""
    architectures = u16_list(packet.options.get(Tag.ARCHITECTURE, b""))
    architecture = architectures[0] if architectures else None
    vendor = packet.options.get(Tag.VENDOR_CLASS, b"").split(b":", 1)[0]
    stage = _stage(packet.options, vendor)
    if architecture is None:
        firmware = Firmware.UNKNOWN
    elif stage is Stage.IPXE:
        firmware = _IPXE_FIRMWARE.get(architecture, Firmware.UNKNOWN)
    else:
        firmware = _FIRMWARE.get((vendor, architecture), Firmware.UNKNOWN)
    return Client(mac=packet.mac, architecture=architecture, firmware=firmware, stage=stage)


def _stage(options: Mapping[int, bytes], vendor: bytes) -> Stage:
    # iPXE sends the bare word; RFC 3004 §4 wants each class with a length in front.
    if options.get(Tag.USER_CLASS) in (b"iPXE", b"\x04iPXE") or Tag.IPXE in options:
        return Stage.IPXE
    return Stage.FIRMWARE if vendor in (b"PXEClient", b"HTTPClient") else Stage.OTHER

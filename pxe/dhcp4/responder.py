"""Writes DHCP replies: the fields and options of OFFER, ACK and NAK. Pure; the decision was taken in `conversation`.

Surprises, each seen on real boot programs:
- iPXE waits about two seconds for a ProxyDHCP server unless its option 175.176 says that there is none.
- UEFI HTTP Boot takes the URL only from a server that echoes the vendor class `HTTPClient`.
- UEFI PXE must *not* get the vendor class `PXEClient`, or it goes looking for a boot server on port 4011.
"""

import struct
from dataclasses import dataclass
from ipaddress import IPv4Address

from pxe.dhcp4 import options as opt
from pxe.dhcp4 import packet as frame
from pxe.dhcp4.options import MessageType, Tag
from pxe.dhcp4.packet import Packet
from pxe.types import Action, BootPlan, Client, Firmware, Stage, Subnet

TFTP_FILES = {Firmware.BIOS: "undionly.kpxe", Firmware.UEFI: "snponly.efi"}
HTTP_FILE = "snponly.efi"

_NO_PXEDHCP = b"\xb0\x01\x01"  # iPXE option 176, one octet, true
_NOBODY = IPv4Address(0)
_HEADER_SIZE = 240


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Where the client is: its subnet and our address there."""

    subnet: Subnet
    server: IPv4Address
    http_port: int
    serves_dns: bool = True


def boot_file(client: Client, plan: BootPlan | None, place: Place) -> str | None:
    """What the client shall load; `None` leaves it to its own disk."""
    if plan is None or plan.action is not Action.BOOT:
        return None
    base = f"http://{place.server}:{place.http_port}"
    if client.stage is Stage.IPXE:
        platform = "pcbios" if client.firmware is Firmware.BIOS else "efi"
        return f"{base}/boot.ipxe?mac={client.mac}&platform={platform}"
    if client.firmware is Firmware.UEFI_HTTP:
        return f"{base}/boot/{HTTP_FILE}"
    return TFTP_FILES.get(client.firmware) if client.stage is Stage.FIRMWARE else None


def lend(
    request: Packet,
    kind: MessageType,
    *,
    client: Client,
    plan: BootPlan | None,
    place: Place,
    address: IPv4Address | None,
    lease_s: int,
    hostname: str | None,
) -> bytes:
    """An OFFER or ACK. address `None`: the answer to INFORM, which lends nothing (RFC 2131 §4.3.5)."""
    file = boot_file(client, plan, place)
    wanted = [(Tag.MESSAGE_TYPE, bytes((kind,))), (Tag.SERVER_ID, place.server.packed)]
    if address is not None:
        wanted.append((Tag.LEASE_TIME, _seconds(lease_s)))
    wanted += _boot_options(request, client, file, place)
    wanted += _network_options(place, hostname)
    if address is not None:
        wanted += [(Tag.RENEWAL_TIME, _seconds(lease_s // 2)), (Tag.REBINDING_TIME, _seconds(lease_s * 7 // 8))]
    return frame.serialize(
        Packet(
            op=frame.BOOTREPLY,
            xid=request.xid,
            chaddr=request.chaddr,
            flags=request.flags,
            ciaddr=request.ciaddr if kind is MessageType.ACK else _NOBODY,
            yiaddr=address or _NOBODY,
            siaddr=place.server if file is not None else _NOBODY,
            giaddr=request.giaddr,
            sname=str(place.server).encode() if file is not None else b"",
            file=_header_file(file),
            options=_fit(request, wanted),
        )
    )


def refuse(request: Packet, *, server: IPv4Address, why: str) -> bytes:
    """A NAK (RFC 2131 table 3): no address, and broadcast even when a relay must do it."""
    wanted = [
        (Tag.MESSAGE_TYPE, bytes((MessageType.NAK,))),
        (Tag.SERVER_ID, server.packed),
        (Tag.MESSAGE, why.encode("ascii", "replace")[:128]),
    ]
    return frame.serialize(
        Packet(
            op=frame.BOOTREPLY,
            xid=request.xid,
            chaddr=request.chaddr,
            flags=request.flags | (frame.BROADCAST_FLAG if request.giaddr != _NOBODY else 0),
            giaddr=request.giaddr,
            options=_fit(request, wanted),
        )
    )


def _boot_options(request: Packet, client: Client, file: str | None, place: Place) -> list[tuple[Tag, bytes]]:
    found: list[tuple[Tag, bytes]] = []
    if client.stage is Stage.IPXE:
        found.append((Tag.IPXE, _NO_PXEDHCP))
    if file is None:
        return found
    asked = request.options.get(Tag.PARAMETER_LIST, b"")
    if client.firmware is Firmware.UEFI_HTTP:
        found.append((Tag.VENDOR_CLASS, b"HTTPClient"))
    if Tag.TFTP_SERVER in asked:
        found.append((Tag.TFTP_SERVER, str(place.server).encode()))
    if Tag.BOOT_FILE in asked or not _header_file(file):
        found.append((Tag.BOOT_FILE, file.encode()))
    return found


def _network_options(place: Place, hostname: str | None) -> list[tuple[Tag, bytes]]:
    subnet = place.subnet
    found = [(Tag.SUBNET_MASK, subnet.network.netmask.packed)]
    if subnet.gateway is not None:
        found.append((Tag.ROUTER, subnet.gateway.packed))
    if place.serves_dns:
        found.append((Tag.DNS_SERVER, place.server.packed))
    if hostname:
        found.append((Tag.HOST_NAME, hostname.encode()))
    if subnet.domain:
        found.append((Tag.DOMAIN_NAME, subnet.domain.encode()))
    found.append((Tag.BROADCAST, subnet.network.broadcast_address.packed))
    return found


def _fit(request: Packet, wanted: list[tuple[Tag, bytes]]) -> dict[int, bytes]:
    """As many options as the client's message size allows, the most needed first; 82 is echoed last (RFC 3046 §2.2)."""
    relay = request.options.get(Tag.RELAY_INFO) if request.giaddr != _NOBODY else None
    room = opt.reply_limit(request.options) - _HEADER_SIZE - 1
    if relay is not None:
        room -= opt.encoded_size(relay)
    chosen: dict[int, bytes] = {}
    for tag, value in wanted:
        room -= opt.encoded_size(value)
        if room < 0:
            break
        chosen[tag] = value
    if relay is not None:
        chosen[Tag.RELAY_INFO] = relay
    return chosen


def _header_file(file: str | None) -> bytes:
    name = (file or "").encode()
    return name if len(name) <= 127 else b""


def _seconds(value: int) -> bytes:
    return struct.pack("!I", min(value, 0xFFFFFFFF))

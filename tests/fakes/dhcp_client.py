"""Builds the DHCP requests of machines and reads replies; independent of the server's decisions, not of its codec."""

from ipaddress import IPv4Address, IPv4Network

from pxe.dhcp4 import packet as frame
from pxe.dhcp4.book import AddressBook
from pxe.dhcp4.conversation import Network
from pxe.dhcp4.options import MessageType, Tag
from pxe.dhcp4.packet import Packet
from pxe.dhcp4.responder import Place
from pxe.types import Mac, Reservation, Subnet

SERVER = IPv4Address("10.0.0.1")
NOBODY = IPv4Address(0)

BIOS = {Tag.VENDOR_CLASS: b"PXEClient:Arch:00000:UNDI:002001", Tag.ARCHITECTURE: b"\0\0"}
UEFI = {Tag.VENDOR_CLASS: b"PXEClient:Arch:00007:UNDI:003001", Tag.ARCHITECTURE: b"\0\7"}
UEFI_HTTP = {Tag.VENDOR_CLASS: b"HTTPClient:Arch:00016:UNDI:003001", Tag.ARCHITECTURE: b"\0\x10"}
IPXE = {Tag.VENDOR_CLASS: b"PXEClient:Arch:00000:UNDI:002001", Tag.ARCHITECTURE: b"\0\0", Tag.USER_CLASS: b"iPXE"}
SYSTEM = {Tag.VENDOR_CLASS: b"systemd"}


def mac(number: int) -> Mac:
    return Mac(f"02:00:00:{number >> 16:02x}:{number >> 8 & 255:02x}:{number & 255:02x}")


def request(
    kind: MessageType,
    number: int = 1,
    *,
    wanted: str | None = None,
    server: IPv4Address | None = None,
    ciaddr: IPv4Address = NOBODY,
    giaddr: IPv4Address = NOBODY,
    flags: int = 0,
    options: dict[int, bytes] | None = None,
) -> Packet:
    found: dict[int, bytes] = {Tag.MESSAGE_TYPE: bytes((kind,))}
    if wanted is not None:
        found[Tag.REQUESTED_ADDRESS] = IPv4Address(wanted).packed
    if server is not None:
        found[Tag.SERVER_ID] = server.packed
    found |= {int(tag): value for tag, value in (options or {}).items()}
    chaddr = bytes.fromhex(mac(number).replace(":", ""))
    return Packet(op=1, xid=number, chaddr=chaddr, ciaddr=ciaddr, giaddr=giaddr, flags=flags, options=found)


def kind_of(reply: bytes) -> MessageType:
    return MessageType(frame.parse(reply).options[Tag.MESSAGE_TYPE][0])


def network(
    *,
    size: int = 50,
    reservations: tuple[Reservation, ...] = (),
    hostnames: dict[Mac, str] | None = None,
    relays: tuple[str, ...] = (),
    interface: str = "br0",
    cidr: str = "10.0.0.0/24",
    server: IPv4Address = SERVER,
    name: str = "lab",
) -> Network:
    net = IPv4Network(cidr)
    subnet = Subnet(
        name=name,
        network=net,
        pool_start=net.network_address + 100,
        pool_end=net.network_address + 99 + size,
        interface=interface,
        gateway=None,
        domain="rack.internal",
        lease_s=3600,
        reservations=reservations,
        relays=frozenset(IPv4Address(relay) for relay in relays),
    )
    place = Place(subnet=subnet, server=server, http_port=8080)
    return Network(book=AddressBook(subnet, [], taken=[server]), place=place, hostnames=hostnames or {})

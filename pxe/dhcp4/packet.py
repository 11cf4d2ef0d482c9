"""The BOOTP frame around DHCP options (RFC 2131 §2). Bytes in, values out; any bytes give a Packet or
MalformedPacket.
"""

import struct
from dataclasses import dataclass, field
from ipaddress import IPv4Address

from pxe.dhcp4 import options as opt
from pxe.dhcp4.options import Tag
from pxe.errors import MalformedPacket
from pxe.types import Mac

BOOTREQUEST = 1
BOOTREPLY = 2
BROADCAST_FLAG = 0x8000
ETHERNET = 1

_COOKIE = b"\x63\x82\x53\x63"
_HEADER = struct.Struct("!BBBBIHH4s4s4s4s16s64s128s4s")
_SMALLEST = 300  # some relays and clients drop a shorter BOOTP message (RFC 951 §3)
_NOBODY = IPv4Address(0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Packet:
    """One DHCP message. chaddr holds exactly `hlen` octets; options are joined and in order of first appearance."""

    op: int
    xid: int
    chaddr: bytes
    htype: int = ETHERNET
    hops: int = 0
    secs: int = 0
    flags: int = 0
    ciaddr: IPv4Address = _NOBODY
    yiaddr: IPv4Address = _NOBODY
    siaddr: IPv4Address = _NOBODY
    giaddr: IPv4Address = _NOBODY
    sname: bytes = b""
    file: bytes = b""
    options: dict[int, bytes] = field(default_factory=dict)

    @property
    def is_ethernet(self) -> bool:
        """True for an address that can belong to one Ethernet interface."""
        return self.htype == ETHERNET and len(self.chaddr) == 6 and any(self.chaddr) and not self.chaddr[0] & 1

    @property
    def mac(self) -> Mac:
        return Mac(self.chaddr.hex(":"))

    @property
    def wants_broadcast(self) -> bool:
        return bool(self.flags & BROADCAST_FLAG)


def parse(data: bytes) -> Packet:
    """Raises MalformedPacket."""
    if len(data) < _HEADER.size:
        raise MalformedPacket("shorter than a DHCP header")
    op, htype, hlen, hops, xid, secs, flags, ci, yi, si, gi, chaddr, sname, file, cookie = _HEADER.unpack_from(data)
    if cookie != _COOKIE:
        raise MalformedPacket("no DHCP cookie")
    if op not in (BOOTREQUEST, BOOTREPLY):
        raise MalformedPacket("neither request nor reply")
    if hlen > 16:
        raise MalformedPacket("hardware address too long")
    options = opt.decode(data[_HEADER.size :])
    file, sname = _overloaded(options, file, sname)
    return Packet(
        op=op,
        htype=htype,
        hops=hops,
        xid=xid,
        secs=secs,
        flags=flags,
        ciaddr=IPv4Address(ci),
        yiaddr=IPv4Address(yi),
        siaddr=IPv4Address(si),
        giaddr=IPv4Address(gi),
        chaddr=chaddr[:hlen],
        sname=sname.split(b"\0", 1)[0],
        file=file.split(b"\0", 1)[0],
        options=options,
    )


def _overloaded(options: dict[int, bytes], file: bytes, sname: bytes) -> tuple[bytes, bytes]:
    """Move options out of `file` and `sname` when option 52 says so (RFC 2131 §4.1)."""
    where = options.pop(Tag.OVERLOAD, None)
    if where is None:
        return file, sname
    if len(where) != 1 or where[0] not in (1, 2, 3):
        raise MalformedPacket("option overload is not 1, 2 or 3")
    fields = ([file] if where[0] & 1 else []) + ([sname] if where[0] & 2 else [])
    for extra in fields:
        for tag, value in opt.decode(extra).items():
            if tag != Tag.OVERLOAD:
                options[tag] = options.get(tag, b"") + value
    return (b"" if where[0] & 1 else file), (b"" if where[0] & 2 else sname)


def serialize(packet: Packet) -> bytes:
    """The message as sent, padded to 300 octets. Raises ValueError when a field is longer than its place."""
    if len(packet.chaddr) > 16 or len(packet.sname) > 63 or len(packet.file) > 127:
        raise ValueError("a field is longer than its place in the DHCP header")
    head = _HEADER.pack(
        packet.op,
        packet.htype,
        len(packet.chaddr),
        packet.hops,
        packet.xid,
        packet.secs,
        packet.flags,
        packet.ciaddr.packed,
        packet.yiaddr.packed,
        packet.siaddr.packed,
        packet.giaddr.packed,
        packet.chaddr,
        packet.sname,
        packet.file,
        _COOKIE,
    )
    return (head + opt.encode(packet.options)).ljust(_SMALLEST, b"\0")

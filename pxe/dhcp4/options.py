"""DHCP options: tag-length-value bytes to a dict and back, and the values that we read or write.

Repeated options are joined (RFC 3396 §7) and long ones split. What is not here: which options a reply carries
(`responder`).
"""

from collections.abc import Iterable, Mapping
from enum import IntEnum
from ipaddress import IPv4Address

from pxe.errors import MalformedPacket


class Tag(IntEnum):
    """Option numbers that we know (RFC 2132 unless named)."""

    PAD = 0
    SUBNET_MASK = 1
    ROUTER = 3
    DNS_SERVER = 6
    HOST_NAME = 12
    DOMAIN_NAME = 15
    BROADCAST = 28
    REQUESTED_ADDRESS = 50
    LEASE_TIME = 51
    OVERLOAD = 52
    MESSAGE_TYPE = 53
    SERVER_ID = 54
    PARAMETER_LIST = 55
    MESSAGE = 56
    MAX_SIZE = 57
    RENEWAL_TIME = 58
    REBINDING_TIME = 59
    VENDOR_CLASS = 60
    CLIENT_ID = 61
    TFTP_SERVER = 66
    BOOT_FILE = 67
    USER_CLASS = 77  # RFC 3004
    RELAY_INFO = 82  # RFC 3046
    ARCHITECTURE = 93  # RFC 4578
    CLIENT_UUID = 97  # RFC 4578
    IPXE = 175  # Etherboot encapsulated options
    END = 255


class MessageType(IntEnum):
    """Option 53 (RFC 2132 §9.6)."""

    DISCOVER = 1
    OFFER = 2
    REQUEST = 3
    DECLINE = 4
    ACK = 5
    NAK = 6
    RELEASE = 7
    INFORM = 8


def decode(data: bytes) -> dict[int, bytes]:
    """Options of one field; a missing END is tolerated, bytes behind END are not looked at."""
    parts: dict[int, bytes] = {}
    at, size = 0, len(data)
    while at < size:
        tag = data[at]
        at += 1
        if tag == Tag.PAD:
            continue
        if tag == Tag.END:
            break
        if at >= size or at + 1 + data[at] > size:
            raise MalformedPacket(f"option {tag} runs past the end")
        length = data[at]
        value = data[at + 1 : at + 1 + length]
        parts[tag] = parts[tag] + value if tag in parts else value
        at += 1 + length
    return parts


def encode(options: Mapping[int, bytes] | Iterable[tuple[int, bytes]]) -> bytes:
    """Options in the order given, with END. Values longer than 255 octets are split (RFC 3396 §6)."""
    out = bytearray()
    pairs = options.items() if isinstance(options, Mapping) else options
    for tag, value in pairs:
        for start in range(0, max(len(value), 1), 255):
            piece = value[start : start + 255]
            out += bytes((tag, len(piece)))
            out += piece
    out.append(Tag.END)
    return bytes(out)


def encoded_size(value: bytes) -> int:
    """Octets that an option with this value takes."""
    return len(value) + 2 * max(1, -(-len(value) // 255))


def message_type(options: Mapping[int, bytes]) -> MessageType:
    """Raises MalformedPacket when option 53 is absent, not one octet, or not a known type."""
    value = options.get(Tag.MESSAGE_TYPE, b"")
    if len(value) != 1 or not MessageType.DISCOVER <= value[0] <= MessageType.INFORM:
        raise MalformedPacket("no usable message type")
    return MessageType(value[0])


def address(options: Mapping[int, bytes], tag: Tag) -> IPv4Address | None:
    """An option that holds one IPv4 address, `None` when absent; exactly 4 octets (RFC 2132 §9.1, §9.7)."""
    value = options.get(tag)
    if value is None:
        return None
    if len(value) != 4:
        raise MalformedPacket(f"option {int(tag)} is not an address")
    return IPv4Address(value)


def reply_limit(options: Mapping[int, bytes], *, mtu: int = 1500) -> int:
    """The largest DHCP message (UDP payload) that the client can take, 548 to mtu - 28 octets.

    Option 57 counts the IP datagram (RFC 2132 §9.10); hostile or silly values are clamped to 576..mtu.
    """
    value = options.get(Tag.MAX_SIZE, b"")
    asked = int.from_bytes(value, "big") if len(value) == 2 else 576
    return max(576, min(asked, mtu)) - 28


def u16_list(value: bytes) -> tuple[int, ...]:
    """Big-endian 16-bit numbers (option 93, RFC 4578 §2.1); an odd or empty value is no list at all."""
    if not value or len(value) % 2:
        return ()
    return tuple(int.from_bytes(value[i : i + 2], "big") for i in range(0, len(value), 2))

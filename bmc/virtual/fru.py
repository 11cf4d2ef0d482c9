"""The inventory storage of FRU 0 (Platform Management FRU Information Storage Definition 1.0, revision 1.3)."""

from bmc.rmcp.message import checksum

VERSION = 1
ENGLISH = 25
CHASSIS_RACK_MOUNT = 0x17
END_OF_FIELDS = 0xC1


def _field(text: str) -> bytes:
    raw = text.encode("latin-1", "replace")[:63]
    # A field of one character would read as the end mark C1h (§13), so it is padded.
    raw = raw + b" " if len(raw) == 1 else raw
    return bytes([0xC0 | len(raw)]) + raw


def _area(head: bytes, fields: list[str]) -> bytes:
    body = bytes([VERSION, 0]) + head + b"".join(map(_field, fields)) + bytes([END_OF_FIELDS])
    body += bytes(-(len(body) + 1) % 8)
    body = body[:1] + bytes([(len(body) + 1) // 8]) + body[2:]
    return body + bytes([checksum(body)])


def inventory(*, manufacturer: str, product: str, serial: str) -> bytes:
    """Common header, then chassis, board and product areas, each a multiple of eight octets."""
    chassis = _area(bytes([CHASSIS_RACK_MOUNT]), [product, serial])
    board = _area(bytes([ENGLISH, 0, 0, 0]), [manufacturer, product, serial, product, ""])
    goods = _area(bytes([ENGLISH]), [manufacturer, product, product, "1", serial, "", ""])
    at_board = 8 + len(chassis)
    at_goods = at_board + len(board)
    header = bytes([VERSION, 0, 1, at_board // 8, at_goods // 8, 0, 0])
    return header + bytes([checksum(header)]) + chassis + board + goods

"""LLDP: which switch port is at the other end of the cable. Frames in, values out; the sockets are in agent.neighbours.

Specification: IEEE 802.1AB-2016, clause 8. Anything malformed gives None.
"""

from agent.inventory.clean import text

ETHERTYPE = 0x88CC
GROUP = bytes.fromhex("0180c200000e")
_CHASSIS_ID, _PORT_ID, _SYSTEM_NAME = 1, 2, 5
_MAC_CHASSIS, _MAC_PORT = 4, 3
_ADDRESS_CHASSIS, _ADDRESS_PORT = 5, 4


def parse(frame: bytes) -> dict[str, str] | None:
    """chassis_id, port_id and system_name of an Ethernet frame, VLAN tag or not; None if the first two are absent."""
    payload = _payload(frame)
    if payload is None:
        return None
    found: dict[str, str | None] = {}
    position = 0
    while position + 2 <= len(payload):
        head = int.from_bytes(payload[position : position + 2], "big")
        kind, length = head >> 9, head & 0x1FF
        value = payload[position + 2 : position + 2 + length]
        if kind == 0 or len(value) < length:
            break
        if kind == _CHASSIS_ID:
            found.setdefault("chassis_id", _identity(value, _MAC_CHASSIS, _ADDRESS_CHASSIS))
        elif kind == _PORT_ID:
            found.setdefault("port_id", _identity(value, _MAC_PORT, _ADDRESS_PORT))
        elif kind == _SYSTEM_NAME:
            found.setdefault("system_name", text(value))
        position += 2 + length
    known = {name: value for name, value in found.items() if value is not None}
    return known if "chassis_id" in known and "port_id" in known else None


def _payload(frame: bytes) -> bytes | None:
    offset = 12
    if frame[offset : offset + 2] == b"\x81\x00":
        offset += 4
    return frame[offset + 2 :] if frame[offset : offset + 2] == ETHERTYPE.to_bytes(2, "big") else None


def _identity(value: bytes, mac_kind: int, address_kind: int) -> str | None:
    """First octet is the subtype: a MAC, a network address (family 1 is IPv4) or a text."""
    if len(value) < 2:
        return None
    kind, rest = value[0], value[1:]
    if kind == mac_kind and len(rest) == 6:
        return rest.hex(":")
    if kind == address_kind and rest[:1] == b"\x01" and len(rest) == 5:
        return ".".join(str(octet) for octet in rest[1:])
    return text(rest)

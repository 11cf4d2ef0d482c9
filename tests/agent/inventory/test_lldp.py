from hypothesis import given
from hypothesis import strategies as st
from scapy.contrib import lldp as peer
from scapy.layers.l2 import Dot1Q, Ether

from agent.inventory import lldp


def _frame(*layers, tag=False):
    head = Ether(dst="01:80:c2:00:00:0e", src="02:00:00:00:00:01")
    head = head / Dot1Q(vlan=7) if tag else head
    body = peer.LLDPDUChassisID(subtype=4, id="02:11:22:33:44:55") / peer.LLDPDUPortID(subtype=5, id=b"Ethernet1/7")
    body = body / peer.LLDPDUTimeToLive(ttl=120)
    for layer in layers:
        body = body / layer
    return bytes(head / body / peer.LLDPDUEndOfLLDPDU())


def test_neighbour_as_scapy_writes_it():
    frame = _frame(peer.LLDPDUSystemName(system_name=b"leaf-1\x1b[2J"))
    assert lldp.parse(frame) == {
        "chassis_id": "02:11:22:33:44:55",
        "port_id": "Ethernet1/7",
        "system_name": "leaf-1 [2J",
    }


def test_a_vlan_tag_is_stepped_over():
    assert (lldp.parse(_frame(tag=True)) or {})["port_id"] == "Ethernet1/7"


def test_addresses_as_identities():
    chassis = bytes([1 << 1, 6, 5, 1, 10, 0, 0, 1])
    port = bytes([2 << 1, 7, 3]) + bytes.fromhex("020000000009")
    frame = bytes(12) + b"\x88\xcc" + chassis + port + b"\0\0"
    assert lldp.parse(frame) == {"chassis_id": "10.0.0.1", "port_id": "02:00:00:00:00:09"}


def test_other_frames_and_half_frames_are_nothing():
    assert lldp.parse(b"") is None
    assert lldp.parse(bytes(12) + b"\x08\x00" + bytes(40)) is None
    assert lldp.parse(_frame()[:24]) is None


@given(st.binary(max_size=300))
def test_any_payload(payload):
    found = lldp.parse(bytes(12) + b"\x88\xcc" + payload)
    assert found is None or all(0 < len(value) <= 128 and value.isprintable() for value in found.values())

"""Against a pretend controller that keeps the rules of IPMI 2.0 for users."""

import pytest

from agent import bmc_user
from agent.errors import IpmiFailed, Refused
from agent.inventory import bmc


class PretendBmc:
    """slots: names by number. long_passwords: whether the 20 octet form is served."""

    def __init__(self, *, slots=None, size=10, long_passwords=True, lan_channel=8, enable_wants_field=False):
        self.slots = {2: b"ADMIN"} | (slots or {})
        self.size = size
        self.long_passwords = long_passwords
        self.lan_channel = lan_channel
        self.enable_wants_field = enable_wants_field
        self.passwords, self.enabled, self.access, self.requests = {}, set(), {}, []

    def __call__(self, function, command, data):
        self.requests.append((function, command))
        handler = getattr(self, f"do_{function:02x}_{command:02x}", None)
        if handler is None:
            raise IpmiFailed("pretend", 0xC1)
        return handler(data)

    def do_06_01(self, _):
        return bytes([0x20, 1, 2, 3, 0x02, 0xBF])

    def do_06_42(self, data):
        if data[0] > self.lan_channel:
            raise IpmiFailed("pretend", 0xCC)
        return bytes([data[0], 4 if data[0] == self.lan_channel else 5, 1, 0x80])

    def do_0c_02(self, data):
        values = {3: bytes([10, 0, 0, 9]), 5: bytes.fromhex("0a0b0c0d0e0f"), 6: bytes([255, 255, 255, 0]), 12: bytes(4)}
        assert data[0] == self.lan_channel
        return b"\x11" + values[data[1]]

    def do_06_44(self, data):
        return bytes([self.size, len(self.enabled), 1, 0])

    def do_06_46(self, data):
        if data[0] not in self.slots:
            raise IpmiFailed("pretend", 0xCB)
        return self.slots[data[0]].ljust(16, b"\0")

    def do_06_45(self, data):
        assert len(data) == 17
        self.slots[data[0]] = data[1:].rstrip(b"\0")
        return b""

    def do_06_47(self, data):
        slot, operation, secret = data[0] & 0x3F, data[1] & 3, data[2:]
        if operation == 1:
            if self.enable_wants_field and len(secret) != 16:
                raise IpmiFailed("pretend", 0xC7)
            self.enabled.add(slot)
            return b""
        if data[0] & 0x80 and not self.long_passwords:
            raise IpmiFailed("pretend", 0xC7)
        assert len(secret) == (20 if data[0] & 0x80 else 16)
        if operation == 2:
            self.passwords[slot] = secret
        elif self.passwords[slot] != secret:
            raise IpmiFailed("pretend", 0x80)
        return b""

    def do_06_43(self, data):
        self.access[data[1]] = (data[0], data[2])
        return b""


def test_a_new_user_in_the_first_free_slot():
    pretend = PretendBmc(slots={3: b"other"})
    found = bmc_user.setup(pretend, username="rackwright", password="p" * 20)
    assert found == {"address": "10.0.0.9", "mac": "0a:0b:0c:0d:0e:0f", "user_id": 4}
    assert pretend.slots[4] == b"rackwright"
    assert pretend.passwords[4] == b"p" * 20
    assert pretend.access[4] == (0x98, 4)
    assert pretend.enabled == {4}
    assert pretend.slots[2] == b"ADMIN"


def test_repeating_keeps_the_slot_and_renews_the_password():
    pretend = PretendBmc()
    for password in ("first", "second"):
        assert bmc_user.setup(pretend, username="rackwright", password=password)["user_id"] == 3
    assert pretend.passwords[3].rstrip(b"\0") == b"second"


def test_a_controller_with_short_passwords_only():
    pretend = PretendBmc(long_passwords=False, enable_wants_field=True)
    bmc_user.setup(pretend, username="rackwright", password="p" * 16)
    assert pretend.passwords[3] == b"p" * 16
    with pytest.raises(IpmiFailed):
        bmc_user.setup(pretend, username="rackwright", password="p" * 17)


def test_no_free_slot_and_no_touching_of_others():
    pretend = PretendBmc(slots={number: b"u%d" % number for number in range(3, 11)})
    before = dict(pretend.slots)
    with pytest.raises(Refused, match="no free user slot"):
        bmc_user.setup(pretend, username="rackwright", password="secret")
    assert pretend.slots == before


@pytest.mark.parametrize(("name", "password"), [("", "x"), ("x" * 17, "x"), ("x", "p" * 21), ("x", ""), ("ü", "x")])
def test_what_does_not_fit_is_refused_before_anything_is_sent(name, password):
    pretend = PretendBmc()
    with pytest.raises(Refused) as refused:
        bmc_user.setup(pretend, username=name, password=password)
    assert pretend.requests == []
    assert "p" * 21 not in str(refused.value)


def test_a_controller_is_described():
    assert bmc.describe(PretendBmc()) == {
        "ipmi_version": "2.0",
        "address": "10.0.0.9",
        "mac": "0a:0b:0c:0d:0e:0f",
        "netmask": "255.255.255.0",
        "gateway": None,
    }


def test_a_controller_without_lan_is_described_too():
    assert bmc.describe(PretendBmc(lan_channel=99))["address"] is None

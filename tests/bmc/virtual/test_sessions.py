"""The session core without sockets: a console made of `bmc.rmcp` talks to it."""

import struct

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bmc.rmcp import packet
from bmc.rmcp.message import Code, Envelope, NetFn, Request, ask
from bmc.rmcp.packet import Bare, Clear, PayloadType, Sealed
from bmc.rmcp.sol import DEACTIVATED, SolPayload
from bmc.rmcp.suites import SUITE_3, SUITE_17, Handshake
from bmc.virtual.commands import COMMANDS
from bmc.virtual.controller import Controller
from bmc.virtual.session_commands import SESSION_COMMANDS
from bmc.virtual.sessions import IDLE_S, MAX_IN_SETUP, MAX_SESSIONS, Sessions
from tests.fakes.bmcs import GUID, LAN
from tests.fakes.machine import PretendMachine

PEER = ("10.1.1.1", 40000)
POWER_STATUS = Request(netfn=NetFn.CHASSIS, command=0x01)


def make(users=None):
    controller = Controller(
        PretendMachine(),
        commands=COMMANDS,
        users=users or {"admin": "secret"},
        guid=GUID,
        lan=LAN,
        udp_port=623,
        serial="s",
        product="p",
    )
    return Sessions(controller, SESSION_COMMANDS)


class Console:
    def __init__(self, sessions, *, suite=SUITE_17, user=b"admin", password=b"secret", peer=PEER, role=0x14):
        self.sessions, self.suite, self.user, self.password = sessions, suite, user, password
        self.peer, self.role, self.now = peer, role, 0.0
        self.sequence = 0
        self.message = 0

    def clear(self, kind, payload):
        [(datagram, peer)] = self.sessions.receive(packet.clear(kind, payload), self.peer, self.now)
        assert peer == self.peer
        read = packet.parse(datagram)
        assert isinstance(read, Clear)
        return read.payload

    def open(self, algorithms=None):
        chosen = self.suite.algorithms if algorithms is None else algorithms
        proposal = b"".join(bytes([place, 0, 0, 8, one, 0, 0, 0]) for place, one in enumerate(chosen))
        answer = self.clear(PayloadType.OPEN_SESSION_REQUEST, struct.pack("<BBxxI", 1, 0, 77) + proposal)
        if answer[1]:
            return answer[1]
        self.system_id = struct.unpack_from("<I", answer, 8)[0]
        return 0

    def rakp1(self):
        head = struct.pack("<BxxxI", 2, self.system_id) + bytes(16)
        answer = self.clear(PayloadType.RAKP_1, head + bytes([self.role, 0, 0, len(self.user)]) + self.user)
        if answer[1]:
            return answer[1]
        self.handshake = Handshake(
            suite=self.suite,
            console_id=77,
            system_id=self.system_id,
            console_random=bytes(16),
            system_random=answer[8:24],
            guid=answer[24:40],
            role=self.role,
            user=self.user,
        )
        self.proof_of_bmc = answer[40:]
        return 0

    def rakp3(self, code=None):
        code = self.handshake.rakp3_code(self.password) if code is None else code
        answer = self.clear(PayloadType.RAKP_3, struct.pack("<BBxxI", 3, 0, self.system_id) + code)
        if answer[1]:
            return answer[1]
        self.keys = self.handshake.keys(self.password)
        assert answer[8:] == self.handshake.rakp4_code(self.keys)
        return 0

    def log_in(self):
        return self.open() or self.rakp1() or self.rakp3()

    def seal(self, payload, *, kind=PayloadType.IPMI, sequence=None):
        self.sequence = self.sequence + 1 if sequence is None else sequence
        return packet.sealed(kind, payload, session_id=self.system_id, sequence=self.sequence, keys=self.keys)

    def put(self, datagram, *, peer=None):
        out = self.sessions.receive(datagram, peer or self.peer, self.now)
        return [self.read(one) for one, _ in out]

    def read(self, datagram):
        read = packet.parse(datagram)
        assert isinstance(read, Sealed)
        return read.kind, read.open(self.keys)

    def ask(self, request):
        self.message += 1
        datagram = self.seal(ask(request, self.message).encode())
        # Behind the answer there may be a notice to the owner of another session.
        answer, *self.notices = self.sessions.receive(datagram, self.peer, self.now)
        assert answer[1] == self.peer
        return Envelope.decode(self.read(answer[0])[1]).data


@pytest.mark.parametrize("suite", [SUITE_3, SUITE_17], ids=["3", "17"])
def test_log_in_and_ask(suite):
    console = Console(make(), suite=suite)
    assert console.log_in() == 0
    assert console.proof_of_bmc == console.handshake.rakp2_code(b"secret")
    assert console.ask(POWER_STATUS)[:2] == bytes([0, 0])


@pytest.mark.parametrize(
    "algorithms", [(0, 0, 0), (1, 0, 0), (1, 1, 0), (1, 0, 1), (2, 2, 1), (3, 1, 1), (3, 4, 0), (1, 1, 2)]
)
def test_every_other_suite_is_refused(algorithms):
    assert Console(make()).open(algorithms) == 0x11


def test_unknown_user_wrong_role_and_wrong_password():
    sessions = make()
    stranger = Console(sessions, user=b"stranger")
    assert (stranger.open(), stranger.rakp1()) == (0, 0x0D)
    nameless = Console(sessions, user=b"")
    assert (nameless.open(), nameless.rakp1()) == (0, 0x0D)
    sessions.controller.users.slot(2).privilege = 3
    assert Console(sessions).log_in() == 0x0A
    assert Console(sessions, role=0x13).log_in() == 0
    assert Console(sessions, role=0x13, password=b"wrong").log_in() == 0x0F


def test_a_password_that_was_set_empty_lets_nobody_in():
    sessions = make()
    sessions.controller.users.slot(2).password = b""
    assert Console(sessions, password=b"").log_in() == 0x0D


def test_a_step_cannot_be_left_out_or_done_by_another_address():
    sessions = make()
    console = Console(sessions)
    console.open()
    console.handshake = Handshake(
        suite=SUITE_17,
        console_id=77,
        system_id=console.system_id,
        console_random=bytes(16),
        system_random=bytes(16),
        guid=GUID.bytes_le,
        role=0x14,
        user=b"admin",
    )
    assert console.rakp3() == 0x02
    console.open()
    thief = Console(sessions, peer=("10.9.9.9", 1))
    thief.system_id = console.system_id
    assert thief.rakp1() == 0x02
    assert console.rakp1() == 0


def test_packets_from_another_address_replays_and_far_numbers_are_dropped():
    console = Console(make())
    console.log_in()
    datagram = console.seal(ask(POWER_STATUS, 1).encode())
    assert console.put(datagram, peer=("10.9.9.9", 40000)) == []
    assert console.put(datagram, peer=(PEER[0], 40001)) == []
    assert len(console.put(datagram)) == 1
    assert console.put(datagram) == []
    for sequence in (0, 1000):
        assert console.put(console.seal(ask(POWER_STATUS, 2).encode(), sequence=sequence)) == []
    assert console.sessions.dropped == 5


def test_a_repeated_request_is_answered_and_not_done_again():
    console = Console(make())
    console.log_in()
    console.ask(Request(netfn=NetFn.APP, command=0x3B, data=b"\x04"))
    console.sessions.controller.machine.power_on()
    cycle = ask(Request(netfn=NetFn.CHASSIS, command=0x02, data=b"\x02"), 9).encode()
    first, second = (console.put(console.seal(cycle)) for _ in range(2))
    assert first == second
    assert console.sessions.controller.machine.history == ["on", "off", "on"]


def test_privilege_starts_low_and_has_its_limit():
    console = Console(make(), role=0x13)
    console.log_in()
    power_on = Request(netfn=NetFn.CHASSIS, command=0x02, data=b"\x01")
    assert console.ask(power_on)[0] == Code.INSUFFICIENT_PRIVILEGE
    set_privilege = Request(netfn=NetFn.APP, command=0x3B, data=b"\x04")
    assert console.ask(set_privilege)[0] == 0x81
    assert console.ask(Request(netfn=NetFn.APP, command=0x3B, data=b"\x03")) == b"\x00\x03"
    assert console.ask(power_on)[0] == Code.OK
    assert console.ask(Request(netfn=NetFn.APP, command=0x45, data=bytes(17)))[0] == Code.INSUFFICIENT_PRIVILEGE


def test_sessionless_commands_are_three():
    sessions = make()

    def bare(request):
        out = sessions.receive(packet.bare(ask(request, 1).encode()), PEER, 0.0)
        if not out:
            return None
        read = packet.parse(out[0][0])
        assert isinstance(read, Bare)
        return Envelope.decode(read.payload).data

    assert bare(Request(netfn=NetFn.APP, command=0x38, data=b"\x8e\x04"))[:5] == bytes([0, 1, 0x80, 0x04, 0x02])
    assert bare(Request(netfn=NetFn.APP, command=0x54, data=b"\x0e\x00\x80"))[2:] == bytes.fromhex(
        "c003014181c011034481"
    )
    assert bare(Request(netfn=NetFn.APP, command=0x37))[1:] == GUID.bytes_le
    assert bare(POWER_STATUS) is None
    assert bare(Request(netfn=NetFn.CHASSIS, command=0x02, data=b"\x01")) is None
    assert sessions.controller.machine.history == []


def test_half_open_sessions_push_each_other_out_and_open_ones_are_limited():
    sessions = make()
    user = Console(sessions)
    assert user.log_in() == 0
    for place in range(MAX_IN_SETUP * 2):
        assert Console(sessions, peer=("10.2.2.2", place + 1)).open() == 0
    assert user.ask(POWER_STATUS)[0] == 0
    others = [Console(sessions, peer=("10.3.3.3", place + 1)).log_in() for place in range(MAX_SESSIONS)]
    assert others == [0] * (MAX_SESSIONS - 1) + [0x01]


def test_an_idle_session_ends_and_a_closed_one_is_gone():
    console = Console(make())
    console.log_in()
    console.now = IDLE_S - 1
    assert console.ask(POWER_STATUS)[0] == 0
    console.now += IDLE_S + 1
    assert console.put(console.seal(ask(POWER_STATUS, 5).encode())) == []
    console.log_in()
    console.sequence = 0
    close = Request(netfn=NetFn.APP, command=0x3C, data=struct.pack("<I", console.system_id))
    assert console.ask(close) == b"\x00"
    assert console.put(console.seal(ask(POWER_STATUS, 6).encode())) == []


def test_serial_over_lan_is_for_one_and_needs_encryption():
    sessions = make()
    first, second = Console(sessions), Console(sessions, peer=("10.4.4.4", 9))
    activate = Request(netfn=NetFn.APP, command=0x48, data=bytes([1, 1, 0xC0, 0, 0, 0]))
    for console in (first, second):
        assert console.log_in() == 0
    assert first.ask(Request(netfn=NetFn.APP, command=0x48, data=bytes([1, 1, 0, 0, 0, 0])))[0] == 0x84
    assert first.ask(activate)[0] == 0
    assert second.ask(activate)[0] == 0x80
    [(datagram, peer)] = sessions.console_bytes(b"login:", 1.0)
    assert peer == PEER
    kind, payload = first.read(datagram)
    said = SolPayload.decode(payload)
    assert (kind, said.data) == (PayloadType.SOL, b"login:")
    assert len(sessions.on_time(2.0)) == 1, "not acknowledged, so said again"
    acknowledgement = SolPayload(acknowledges=said.sequence, accepted=6, sequence=1, data=b"root")
    answers = first.put(first.seal(acknowledgement.encode(), kind=PayloadType.SOL))
    assert SolPayload.decode(answers[0][1]).acknowledges == 1
    assert sessions.controller.machine.typed == b"root"
    assert second.ask(Request(netfn=NetFn.APP, command=0x49, data=bytes([1, 1, 0, 0, 0, 0])))[0] == 0
    [(notice, peer)] = second.notices
    assert peer == PEER
    assert SolPayload.decode(first.read(notice)[1]).status == DEACTIVATED
    assert sessions.console_bytes(b"lost", 3.0) == []


@settings(max_examples=40)
@given(st.lists(st.binary(max_size=120) | st.binary(max_size=60).map(lambda tail: b"\x06\x00\xff\x07" + tail)))
def test_noise_never_breaks_it(datagrams):
    sessions = make()
    for datagram in datagrams:
        sessions.receive(datagram, PEER, 0.0)
    assert Console(sessions).log_in() == 0


@given(st.sampled_from(sorted(COMMANDS)), st.binary(max_size=24))
def test_every_command_survives_any_data(command, data):
    console = Console(make())
    assert console.log_in() == 0
    console.ask(Request(netfn=NetFn.APP, command=0x3B, data=b"\x04"))
    answer = console.ask(Request(netfn=command[0], command=command[1], data=data))
    assert len(answer) >= 1

"""RMCP+ sessions as the BMC sees them: bytes and time in, datagrams out. No socket, no clock.

Open session and RAKP 1-4 (§13.17-13.24), then signed and encrypted messages. Suite 0, and every suite that is not 3
or 17, is refused with `no cipher suite match`. Whatever does not parse, does not verify, is repeated or comes from
another address than its session is dropped and counted.
"""

import secrets
import struct
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from bmc.rmcp.errors import MalformedPacket
from bmc.rmcp.message import Envelope, NetFn, Request, Response
from bmc.rmcp.packet import Bare, Clear, PayloadType, Ping, Sealed, bare, clear, parse, pong, sealed
from bmc.rmcp.sol import DEACTIVATED, SolLink, SolPayload
from bmc.rmcp.suites import CipherSuite, Handshake, Keys, same, suite_for
from bmc.rmcp.window import SequenceWindow
from bmc.virtual.controller import LAN_CHANNEL, Controller, Origin
from bmc.virtual.users import ADMINISTRATOR, User

Peer = tuple[str, int]
Datagram = tuple[bytes, Peer]
SessionCommand = Callable[["Sessions", "Session", Request], Response]

IDLE_S = 60.0
SETUP_S = 10.0
MAX_SESSIONS = 32
MAX_IN_SETUP = 64
STARTING_PRIVILEGE = 2
PRE_SESSION = frozenset({(NetFn.APP, 0x37), (NetFn.APP, 0x38), (NetFn.APP, 0x54)})

# RMCP+ status codes, §13.24, table 13-15
OK, NO_RESOURCES, BAD_SESSION_ID = 0x00, 0x01, 0x02
UNAUTHORIZED_ROLE, UNAUTHORIZED_NAME, BAD_CHECK_VALUE = 0x0A, 0x0D, 0x0F
NO_SUITE_MATCH = 0x11


@dataclass(slots=True, kw_only=True)
class Session:
    system_id: int
    console_id: int
    peer: Peer
    suite: CipherSuite
    touched_at: float
    handshake: Handshake | None = None
    password: bytes = field(default=b"", repr=False)
    user: User | None = None
    limit: int = 0
    privilege: int = STARTING_PRIVILEGE
    keys: Keys | None = None
    rakp4: bytes = b""
    window: SequenceWindow = field(default_factory=SequenceWindow)
    sequence: int = 0
    last_request: bytes = b""
    last_answer: bytes = b""
    is_closing: bool = False
    sol: SolLink | None = None

    def seal(self, kind: PayloadType, payload: bytes) -> Datagram:
        assert self.keys is not None
        self.sequence = self.sequence % 0xFFFFFFFF + 1
        datagram = sealed(kind, payload, session_id=self.console_id, sequence=self.sequence, keys=self.keys)
        return datagram, self.peer

    def origin(self) -> Origin:
        assert self.user is not None
        return Origin(
            channel=LAN_CHANNEL, user_id=self.user.user_id, privilege=self.privilege, session_id=self.system_id
        )


class Sessions:
    """own_commands: (netfn, command) → what concerns the session itself (bmc.virtual.session_commands)."""

    def __init__(
        self,
        controller: Controller,
        own_commands: "Mapping[tuple[int, int], SessionCommand]",
        *,
        execute: Callable[[Request, Origin], Response] | None = None,
    ) -> None:
        self.controller = controller
        self._own_commands = own_commands
        self._execute = execute or controller.execute
        self.before: Callable[[Request], None] | None = None
        self._sessions: dict[int, Session] = {}
        self._notices: list[Datagram] = []
        self.dropped = 0
        controller.session_ids = lambda: [one.system_id for one in self._sessions.values() if one.keys]

    # ---- datagrams

    def receive(self, datagram: bytes, peer: Peer, now: float) -> list[Datagram]:
        self._expire(now)
        try:
            match parse(datagram):
                case Ping(tag=tag):
                    return [(pong(tag), peer)]
                case Bare(payload=payload):
                    return [(bare(self._sessionless(payload)), peer)]
                case Clear(kind=PayloadType.IPMI, payload=payload):
                    return [(clear(PayloadType.IPMI, self._sessionless(payload)), peer)]
                case Clear(kind=kind, payload=payload):
                    return self._set_up(kind, payload, peer, now)
                case Sealed() as packet:
                    return self._in_session(packet, peer, now)
        except (MalformedPacket, struct.error, IndexError):
            self.dropped += 1
        return []

    def _sessionless(self, payload: bytes) -> bytes:
        envelope = Envelope.decode(payload)
        request = envelope.request()
        if (request.netfn, request.command) not in PRE_SESSION:
            raise MalformedPacket("this command needs a session")
        return envelope.answer(self._execute(request, Origin(channel=LAN_CHANNEL, user_id=0, privilege=0))).encode()

    def _expire(self, now: float) -> None:
        for session in list(self._sessions.values()):
            limit = IDLE_S if session.keys is not None else SETUP_S
            if now > session.touched_at + limit:
                self.close(session)

    # ---- setting up

    def _set_up(self, kind: PayloadType, payload: bytes, peer: Peer, now: float) -> list[Datagram]:
        handlers = {
            PayloadType.OPEN_SESSION_REQUEST: (PayloadType.OPEN_SESSION_RESPONSE, self._open),
            PayloadType.RAKP_1: (PayloadType.RAKP_2, self._rakp1),
            PayloadType.RAKP_3: (PayloadType.RAKP_4, self._rakp3),
        }
        if kind not in handlers:
            raise MalformedPacket("only a BMC sends this")
        answer_kind, handler = handlers[kind]
        return [(clear(answer_kind, handler(payload, peer, now)), peer)]

    def _open(self, payload: bytes, peer: Peer, now: float) -> bytes:
        tag, role, console_id = struct.unpack_from("<BBxxI", payload)
        proposal = payload[8:32]
        if len(proposal) != 24 or console_id == 0:
            raise MalformedPacket("open session request is cut short")
        suite = suite_for(proposal[4], proposal[12], proposal[20])
        if suite is None:
            return struct.pack("<BBxxI", tag, NO_SUITE_MATCH, console_id)
        if not self._has_room():
            return struct.pack("<BBxxI", tag, NO_RESOURCES, console_id)
        system_id = self._fresh_id()
        self._sessions[system_id] = Session(
            system_id=system_id, console_id=console_id, peer=peer, suite=suite, touched_at=now
        )
        chosen = b"".join(bytes([number, 0, 0, 8, one, 0, 0, 0]) for number, one in enumerate(suite.algorithms))
        return struct.pack("<BBBxII", tag, OK, role or ADMINISTRATOR, console_id, system_id) + chosen

    def _has_room(self) -> bool:
        """Half-open sessions push each other out, so that a flood of them cannot keep users away."""
        half_open = [one for one in self._sessions.values() if one.keys is None]
        if len(half_open) >= MAX_IN_SETUP:
            self.close(min(half_open, key=lambda one: one.touched_at))
        return len(self._sessions) - len(half_open) < MAX_SESSIONS

    def _fresh_id(self) -> int:
        while True:
            number = secrets.randbits(32)
            if number and number not in self._sessions:
                return number

    def _rakp1(self, payload: bytes, peer: Peer, now: float) -> bytes:
        tag, system_id = struct.unpack_from("<BxxxI", payload)
        console_random, role, size = payload[8:24], payload[24], payload[27]
        name = payload[28 : 28 + size]
        session = self._sessions.get(system_id)
        if session is None or session.peer != peer or session.keys is not None or len(name) != size:
            return struct.pack("<BBxxI", tag, BAD_SESSION_ID, 0)
        wanted = role & 0x0F
        user = self.controller.users.may_log_in(name, 0)
        if user is None or wanted > user.privilege:
            self.close(session)
            status = UNAUTHORIZED_NAME if user is None else UNAUTHORIZED_ROLE
            return struct.pack("<BBxxI", tag, status, session.console_id)
        session.user, session.password, session.touched_at = user, user.password, now
        session.limit = wanted or user.privilege
        session.handshake = Handshake(
            suite=session.suite,
            console_id=session.console_id,
            system_id=system_id,
            console_random=console_random,
            system_random=secrets.token_bytes(16),
            guid=self.controller.guid.bytes_le,
            role=role,
            user=name,
        )
        head = struct.pack("<BBxxI", tag, OK, session.console_id)
        code = session.handshake.rakp2_code(user.password)
        return head + session.handshake.system_random + session.handshake.guid + code

    def _rakp3(self, payload: bytes, peer: Peer, now: float) -> bytes:
        tag, status, system_id = struct.unpack_from("<BBxxI", payload)
        session = self._sessions.get(system_id)
        if session is None or session.peer != peer or session.handshake is None or status != OK:
            if session is not None and session.peer == peer and session.keys is None:
                self.close(session)
            return struct.pack("<BBxxI", tag, BAD_SESSION_ID, 0)
        if not same(session.handshake.rakp3_code(session.password), payload[8:]):
            if session.keys is None:
                self.close(session)
            return struct.pack("<BBxxI", tag, BAD_CHECK_VALUE, session.console_id)
        if session.keys is None:
            session.keys = session.handshake.keys(session.password)
            session.password = b""
            session.rakp4 = session.handshake.rakp4_code(session.keys)
            session.touched_at = now
        return struct.pack("<BBxxI", tag, OK, session.console_id) + session.rakp4

    # ---- inside a session

    def _in_session(self, packet: Sealed, peer: Peer, now: float) -> list[Datagram]:
        session = self._sessions.get(packet.session_id)
        if session is None or session.keys is None or session.peer != peer:
            raise MalformedPacket("no such session")
        payload = packet.open(session.keys)
        if not session.window.accept(packet.sequence):
            raise MalformedPacket("sequence number was used before or is far away")
        session.touched_at = now
        if packet.kind is PayloadType.SOL:
            return self._sol(session, payload, now)
        return self._message(session, payload)

    def _message(self, session: Session, payload: bytes) -> list[Datagram]:
        if payload == session.last_request:
            # The console repeats itself because our answer was lost: do not cycle power twice (§6.12.4).
            return [session.seal(PayloadType.IPMI, session.last_answer)]
        envelope = Envelope.decode(payload)
        request = envelope.request()
        if self.before is not None:
            self.before(request)
        own = self._own_commands.get((request.netfn, request.command))
        response = own(self, session, request) if own else self._execute(request, session.origin())
        answer = envelope.answer(response).encode()
        session.last_request, session.last_answer = payload, answer
        out = [session.seal(PayloadType.IPMI, answer), *self._notices]
        self._notices = []
        if session.is_closing:
            self.close(session)
        return out

    def close_all(self, *, but: Session | None = None) -> None:
        for session in list(self._sessions.values()):
            if session is not but:
                self.close(session)

    def find(self, system_id: int) -> Session | None:
        return self._sessions.get(system_id)

    def close(self, session: Session) -> None:
        self._sessions.pop(session.system_id, None)
        if session.sol is not None:
            self.stop_sol(session)

    # ---- serial over LAN

    def start_sol(self, session: Session, link: SolLink) -> None:
        session.sol = link
        self.controller.sol_session_id = session.system_id
        self.controller.machine.on_console(self.controller.console_sink)

    def tell_sol_is_over(self, owner: Session) -> None:
        """Somebody else ended the console of `owner` (§15.9, status bit 4)."""
        self._notices.append(owner.seal(PayloadType.SOL, SolPayload(status=DEACTIVATED).encode()))

    def stop_sol(self, session: Session) -> None:
        session.sol = None
        self.controller.sol_session_id = 0
        self.controller.machine.on_console(None)

    def _sol(self, session: Session, payload: bytes, now: float) -> list[Datagram]:
        if session.sol is None:
            raise MalformedPacket("serial over LAN is not active")
        typed, answers = session.sol.on_payload(SolPayload.decode(payload), now)
        if typed:
            self.controller.machine.console_write(typed)
        return self._seal_sol(session, answers)

    def console_bytes(self, data: bytes, now: float) -> list[Datagram]:
        """The serial port of the machine said this."""
        session = self._sessions.get(self.controller.sol_session_id)
        if session is None or session.sol is None:
            return []
        return self._seal_sol(session, session.sol.write(data, now))

    def on_time(self, now: float) -> list[Datagram]:
        session = self._sessions.get(self.controller.sol_session_id)
        if session is None or session.sol is None:
            return []
        out = self._seal_sol(session, session.sol.on_time(now))
        if session.sol.is_lost:
            self.stop_sol(session)
        return out

    def deadline(self) -> float | None:
        session = self._sessions.get(self.controller.sol_session_id)
        return session.sol.deadline() if session is not None and session.sol is not None else None

    def _seal_sol(self, session: Session, payloads: list[SolPayload]) -> list[Datagram]:
        return [session.seal(PayloadType.SOL, payload.encode()) for payload in payloads]

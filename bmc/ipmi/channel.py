"""The conversation with one BMC: commands wait in a queue, one is under way; the session is kept between them.

`submit` may be called from any thread; all else runs on pyghmi's thread. A command fails at its own deadline whatever
the BMC does, and nothing here waits, so a dead BMC delays no other. A session found lost is renewed once for a command
that may be repeated. Idle sessions are kept open by asking for the device id.
"""

import ipaddress
import logging
import socket
import threading
import time
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass, field
from typing import Any

from pyghmi.exceptions import IpmiException

from bmc.breaker import Breaker
from bmc.errors import BmcError, Busy, Denied, Nonsense, Unreachable
from bmc.ipmi.codes import fault_of_login
from bmc.ipmi.gate import LoginGate, Ticket
from bmc.ipmi.loop import PyghmiLoop, Timer
from bmc.ipmi.session import GuardedSession
from bmc.rmcp.message import NetFn, Request, Response

log = logging.getLogger(__name__)

KEEP_ALIVE_S = 25.0
IDLE_SLACK_S = 1.0
GET_DEVICE_ID = Request(netfn=NetFn.APP, command=0x01)


@dataclass(frozen=True, slots=True, kw_only=True)
class Login:
    address: str
    udp_port: int
    username: str
    password: str = field(repr=False)


@dataclass(slots=True, kw_only=True)
class _Command:
    request: Request
    deadline: float
    may_repeat: bool
    result: "Future[Response]"
    timer: Timer | None = None
    was_repeated: bool = False
    heard_before: int = 0


class Channel:
    def __init__(self, login: Login, *, loop: PyghmiLoop, gate: LoginGate, breaker: Breaker) -> None:
        self._login = login
        self._loop = loop
        self._gate = gate
        self._ticket: Ticket | None = None
        self._breaker = breaker
        self._queue: deque[_Command] = deque()
        self._under_way: _Command | None = None
        self._session: GuardedSession | None = None
        self._is_ready = False
        self._used_at = 0.0
        self._keeper: Timer | None = None
        self._is_closed = False
        self.on_lost: Callable[[], None] | None = None

    # ---- from any thread

    def submit(self, request: Request, *, deadline: float, may_repeat: bool = True) -> "Future[Response]":
        """deadline: by the monotonic clock. The future fails with a `BmcError` at that time at the latest."""
        command = _Command(request=request, deadline=deadline, may_repeat=may_repeat, result=Future())
        self._loop.call(lambda: self._enqueue(command))
        return command.result

    def close(self) -> None:
        """Log out; what waits fails."""
        self._loop.call(self._close)

    @property
    def cipher_suite(self) -> int | None:
        session = self._session
        return session.cipher_suite if session is not None and self._is_ready else None

    # ---- on pyghmi's thread

    def _enqueue(self, command: _Command) -> None:
        refusal = self._breaker.refusal(time.monotonic())
        if self._is_closed:
            refusal = Unreachable("This connection was closed.")
        if refusal is not None:
            command.result.set_exception(refusal)
            return
        command.timer = self._loop.call_at(command.deadline, lambda: self._expired(command))
        self._queue.append(command)
        self._pump()

    def _pump(self) -> None:
        while self._under_way is None and self._queue and not self._is_closed:
            command = self._queue.popleft()
            if command.result.done():
                continue
            self._under_way = command
            command.heard_before = self._session.heard if self._session is not None else 0
            if self._session is None:
                self._log_in()
            elif self._is_ready:
                self._send(command)

    def _log_in(self) -> None:
        """A name is looked up on a thread of its own first: name service may be slow, and this thread is for all."""
        try:
            ipaddress.ip_address(self._login.address)
        except ValueError:
            threading.Thread(target=self._look_up, name="bmc-name", daemon=True).start()
        else:
            self._log_in_at(self._login.address)

    def _look_up(self) -> None:
        try:
            found = socket.getaddrinfo(self._login.address, self._login.udp_port, type=socket.SOCK_DGRAM)
            address = str(found[0][4][0])
        except (OSError, UnicodeError):
            address = ""
        self._loop.call(lambda: self._looked_up(address))

    def _looked_up(self, address: str) -> None:
        if self._session is not None or self._under_way is None or self._is_closed:
            return
        if address:
            self._log_in_at(address)
        else:
            self._fail(Unreachable("The BMC's address is a name that nobody knows."))

    def _log_in_at(self, address: str) -> None:
        self._ticket = self._gate.enter(lambda: self._start_log_in(address))

    def _start_log_in(self, address: str) -> None:
        if self._session is not None or self._under_way is None or self._is_closed:
            return  # given up before its turn came
        made: list[GuardedSession] = []

        def on_login(error: str | None) -> None:
            if made:
                self._logged_in(made[0], error)

        def on_lost() -> None:
            if made:
                self._lost(made[0])

        try:
            made.append(
                GuardedSession(
                    address=address,
                    udp_port=self._login.udp_port,
                    username=self._login.username,
                    password=self._login.password,
                    later=self._loop.call,
                    on_login=on_login,
                    on_lost=on_lost,
                )
            )
        except (IpmiException, OSError) as error:
            log.info("bmc address is unusable address=%s error=%s", self._login.address, type(error).__name__)
            self._fail(Unreachable("The BMC's address cannot be used."))
            return
        self._session, self._is_ready = made[0], False

    def _logged_in(self, session: GuardedSession, error: str | None) -> None:
        if session is not self._session:
            return
        if error is not None:
            fault = fault_of_login(session.refusal, was_heard=session.heard > 0)
            log.info("bmc log-in failed address=%s kind=%s reason=%s", self._login.address, fault.kind, fault)
            self._discard()
            self._fail(fault, final=isinstance(fault, Denied))
            return
        log.info("bmc session opened address=%s suite=%d", self._login.address, session.cipher_suite)
        self._is_ready = True
        self._leave_gate()
        self._keep()
        if self._under_way is not None:
            self._send(self._under_way)
        else:
            self._pump()

    def _send(self, command: _Command) -> None:
        assert self._session is not None
        session = self._session
        request = command.request
        command.heard_before = session.heard
        self._used_at = time.monotonic()
        try:
            session.send(
                request.netfn,
                request.command,
                request.data,
                request.lun,
                lambda response: self._answered(session, command, response),
            )
        except IpmiException:
            self._lost(session)

    def _answered(self, session: GuardedSession, command: _Command, response: dict[str, Any]) -> None:
        if session is not self._session or command is not self._under_way:
            return
        if "error" in response and response.get("code", 0xFFFF) > 0xFF:
            self._lost(session)
            return
        self._breaker.succeeded()
        self._finish(command)
        command.result.set_result(Response(code=response["code"], data=bytes(response["data"])))
        self._pump()

    def _lost(self, session: GuardedSession) -> None:
        """The BMC has stopped answering inside the session: perhaps it restarted and knows the session no more."""
        if session is not self._session:
            return
        log.info("bmc session lost address=%s", self._login.address)
        self._discard()
        command = self._under_way
        if command is None:
            return
        if command.may_repeat and not command.was_repeated:
            command.was_repeated = True
            command.heard_before = 0
            self._log_in()
        else:
            self._fail(Unreachable("The BMC stopped answering; whether it did what it was asked is not known."))

    def _expired(self, command: _Command) -> None:
        if command is not self._under_way:
            if not command.result.done():
                command.result.set_exception(Busy("The BMC was busy with other requests until the deadline."))
            return
        fault = self._why_silent(command)
        self._discard()
        self._fail(fault)

    def _why_silent(self, command: _Command) -> BmcError:
        session = self._session
        if session is None:
            return Unreachable()
        was_heard = session.heard > command.heard_before
        if self._is_ready:
            return Nonsense() if was_heard else Unreachable()
        if session.has_begun and session.refusal is None:
            return Unreachable("The BMC stopped answering during the log-in.")
        return fault_of_login(session.refusal, was_heard=was_heard)

    def _fail(self, error: BmcError, *, final: bool = False) -> None:
        self._breaker.failed(error, time.monotonic(), final=final)
        command = self._under_way
        if command is not None:
            self._finish(command)
            command.result.set_exception(error)
        if self._breaker.is_open:
            # Those who wait behind it would only wait for the same.
            while self._queue:
                waiting = self._queue.popleft()
                if not waiting.result.done():
                    self._finish(waiting)
                    waiting.result.set_exception(type(error)(str(error)))
        self._pump()

    def _finish(self, command: _Command) -> None:
        if command.timer is not None:
            command.timer.cancel()
        if command is self._under_way:
            self._under_way = None

    def _discard(self) -> None:
        session, self._session = self._session, None
        self._is_ready = False
        self._leave_gate()
        if session is not None:
            session.abandon()
        if self.on_lost is not None:
            lost, self.on_lost = self.on_lost, None
            lost()

    def _leave_gate(self) -> None:
        ticket, self._ticket = self._ticket, None
        if ticket is not None:
            ticket.leave()

    def _keep(self) -> None:
        """Look again when the session will have been idle for long."""
        if self._keeper is not None:
            self._keeper.cancel()
        self._keeper = self._loop.call_at(time.monotonic() + KEEP_ALIVE_S, self._kept)

    def _kept(self) -> None:
        if not self._is_ready:
            return
        now = time.monotonic()
        if self._under_way is None and now - self._used_at >= KEEP_ALIVE_S - IDLE_SLACK_S:
            self._enqueue(_Command(request=GET_DEVICE_ID, deadline=now + 10.0, may_repeat=False, result=Future()))
        self._keep()

    def _close(self) -> None:
        self._is_closed = True
        if self._keeper is not None:
            self._keeper.cancel()
        self._discard()
        command = self._under_way
        if command is not None:
            self._queue.appendleft(command)
        while self._queue:
            waiting = self._queue.popleft()
            if not waiting.result.done():
                self._finish(waiting)
                waiting.result.set_exception(Unreachable("This connection was closed."))

    # ---- serial over LAN

    def ready_session(self) -> GuardedSession | None:
        return self._session if self._is_ready else None

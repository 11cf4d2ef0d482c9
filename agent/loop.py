"""What to say to the appliance and when: decisions only, with the time passed in.

Two channels share one state. TALK carries all that is answered at once (look-up, inventory, results, heartbeat, log);
LISTEN carries the long poll for commands. Each asks `next` what to do and reports with `on_answer` or `on_silence`.
The rules:
- one command at a time; while one runs or its result is not acknowledged, LISTEN is silent;
- a result is kept and repeated until the appliance has taken it; a command that comes again gets its kept result;
- no answer, 429 or 5xx: again with back-off, for ever; 401: the session is over, and after IDLE_LIMIT_S we reboot.
Not here: sockets, threads, clocks (agent.runner), and what a command does (agent.commands).
"""

from collections import OrderedDict, deque
from collections.abc import Callable, Mapping
from enum import Enum
from typing import Any, Literal, NamedTuple

from agent.backoff import delay_s
from agent.wire import HEARTBEAT_S, MAX_LINE_CHARS, MAX_LOG_LINES, POLL_WAIT_S, CommandUpdate, Progress

IDLE_LIMIT_S = 600.0
PROGRESS_EVERY_S = 1.0
# Even without progress: the answer to an update is how a cancellation reaches us.
UPDATE_EVERY_S = 10.0
LOG_EVERY_S = 2.0
KEPT_LINES = 2000
_KEPT_RESULTS = 32
_ANSWER_S = 20.0
_RETRYABLE = frozenset({408, 425, 429})


class Channel(Enum):
    TALK = "talk"
    LISTEN = "listen"


class Kind(Enum):
    LOOKUP = "lookup"
    INVENTORY = "inventory"
    HEARTBEAT = "heartbeat"
    UPDATE = "update"
    LOG = "log"
    POLL = "poll"


class Request(NamedTuple):
    channel: Channel
    kind: Kind
    method: str
    path: str
    body: Mapping[str, Any] | None
    session: str | None
    timeout_s: float
    about: str = ""  # the command that an UPDATE speaks of

    def __repr__(self) -> str:
        return f"<{self.kind.value} {self.about}>"


class Wait(NamedTuple):
    """Nothing to do before `until` (infinity: only an event changes that)."""

    until: float


Departure = Literal["reboot", "power_off", "kexec"]


class Leave(NamedTuple):
    how: Departure


class Task(NamedTuple):
    """A command to run. params may hold secrets, so it does not show itself."""

    uuid: str
    name: str
    params: Mapping[str, Any]

    def __repr__(self) -> str:
        return f"<command {self.name} {self.uuid}>"


class Outcome(NamedTuple):
    """The end of a command. error is None on success. then: what to do once the appliance knows."""

    result: dict[str, Any]
    error: str | None = None
    then: Departure | None = None


class _Pace:
    """Back-off of one channel."""

    def __init__(self) -> None:
        self.failures = 0
        self.not_before = 0.0


class Loop:
    """Not locked: the caller holds one lock around every call. now: seconds since the kernel started."""

    def __init__(
        self,
        *,
        boot_secret: str,
        macs: list[str],
        boot_mac: str | None,
        agent_version: str,
        random: Callable[[], float],
        session: str | None = None,
    ) -> None:
        self.session = session
        self.node: str | None = None
        self.running: Task | None = None
        self._lookup = {
            "boot_secret": boot_secret,
            "macs": macs,
            "agent_version": agent_version,
            "boot_mac": boot_mac or "",
        }
        self._random = random
        self._pace = {Channel.TALK: _Pace(), Channel.LISTEN: _Pace()}
        self._over_since: float | None = None
        self._heartbeat_s = float(HEARTBEAT_S)
        self._heartbeat_at = 0.0
        self._inventory: Mapping[str, Any] | None = None
        self._waiting: Task | None = None
        self._is_cancelled = False
        self._progress: Progress | None = None
        self._progress_at = 0.0
        self._finished: OrderedDict[str, Outcome] = OrderedDict()
        self._unacknowledged: str | None = None
        self._leaving: Departure | None = None
        self._lines: deque[str] = deque(maxlen=KEPT_LINES)
        self._lines_in_flight = 0
        self._log_at = 0.0

    # What to do

    def next(self, channel: Channel, now: float) -> Request | Wait | Leave:
        if self._leaving is not None:
            return Leave(self._leaving)
        if self._over_since is not None:
            end = self._over_since + IDLE_LIMIT_S
            return Leave("reboot") if now >= end else Wait(end)
        pace = self._pace[channel]
        if now < pace.not_before:
            return Wait(pace.not_before)
        return self._listen() if channel is Channel.LISTEN else self._talk(now)

    def _listen(self) -> Request | Wait:
        is_busy = self._waiting or self.running or self._unacknowledged
        if self.session is None or is_busy:
            return Wait(float("inf"))
        path = f"/agent/v1/command?wait={POLL_WAIT_S}"
        return Request(Channel.LISTEN, Kind.POLL, "GET", path, None, self.session, POLL_WAIT_S + _ANSWER_S)

    def _talk(self, now: float) -> Request | Wait:
        if self.session is None:
            return self._post(Kind.LOOKUP, "/agent/v1/lookup", self._lookup)
        if self._unacknowledged is not None:
            return self._update(self._unacknowledged, _final(self._finished[self._unacknowledged]))
        if self._inventory is not None:
            return self._post(Kind.INVENTORY, "/agent/v1/inventory", self._inventory)
        return self._talk_by_time(now)

    def _talk_by_time(self, now: float) -> Request | Wait:
        if self.running is not None and now >= self._update_at():
            return self._update(self.running.uuid, self._running_update())
        if now >= self._heartbeat_at:
            beat = {"uptime_s": round(now, 1), "busy": self.running.name if self.running else None}
            return self._post(Kind.HEARTBEAT, "/agent/v1/heartbeat", beat)
        if self._lines and now >= self._log_at:
            return self._post(Kind.LOG, "/agent/v1/log", {"lines": self._next_lines()})
        times = [self._heartbeat_at]
        times += [self._log_at] if self._lines else []
        times += [self._update_at()] if self.running else []
        return Wait(min(times))

    def _update_at(self) -> float:
        return self._progress_at + (UPDATE_EVERY_S if self._progress is None else PROGRESS_EVERY_S)

    def _running_update(self) -> CommandUpdate:
        update: CommandUpdate = {"status": "running"}
        if self._progress is not None:
            update["progress"] = self._progress
        return update

    def _update(self, uuid: str, update: CommandUpdate) -> Request:
        return self._post(Kind.UPDATE, f"/agent/v1/command/{uuid}", update, about=uuid)

    def _post(self, kind: Kind, path: str, body: Mapping[str, Any], about: str = "") -> Request:
        session = None if kind is Kind.LOOKUP else self.session
        return Request(Channel.TALK, kind, "POST", path, body, session, _ANSWER_S, about)

    def _next_lines(self) -> list[str]:
        self._lines_in_flight = min(len(self._lines), MAX_LOG_LINES)
        return [self._lines[index] for index in range(self._lines_in_flight)]

    # What came back

    def on_answer(self, request: Request, status: int, body: Mapping[str, object], now: float) -> str | None:
        """A sentence for the log when the answer was not a plain success."""
        if status == 401:
            return self._on_session_over(now)
        if status >= 500 or status in _RETRYABLE:
            self.on_silence(request, now)
            return f"the appliance answered {status} to {request.kind.value}"
        if request.kind is Kind.LOOKUP:
            return self._on_lookup(request, status, body, now)
        self._pace[request.channel] = _Pace()
        if request.kind is Kind.POLL:
            return self._on_poll(request, status, body, now)
        self._settle(request, status, body, now)
        return None if status < 300 else f"the appliance refused {request.kind.value} with {status}"

    def on_silence(self, request: Request, now: float) -> None:
        """No usable answer: the same again, later."""
        pace = self._pace[request.channel]
        pace.failures += 1
        pace.not_before = now + delay_s(pace.failures, self._random())

    def _on_session_over(self, now: float) -> str:
        self._over_since = now if self._over_since is None else self._over_since
        self._is_cancelled = True
        return f"the appliance ended this session; reboot in {IDLE_LIMIT_S:.0f} s"

    def _on_lookup(self, request: Request, status: int, body: Mapping[str, object], now: float) -> str | None:
        session, node, beat = body.get("session"), body.get("node"), body.get("heartbeat_s")
        if status != 200 or not isinstance(session, str) or not session.isascii() or not session.isprintable():
            self.on_silence(request, now)
            return f"the appliance answered {status} to the look-up"
        self._pace[request.channel] = _Pace()
        self.session = session
        self.node = node if isinstance(node, str) else None
        if isinstance(beat, int) and 1 <= beat <= 3600:
            self._heartbeat_s = float(beat)
        self._plan_heartbeat(now)
        return None

    def _on_poll(self, request: Request, status: int, body: Mapping[str, object], now: float) -> str | None:
        if status == 204:
            return None
        task = _task(body) if status == 200 else None
        if task is None:
            self.on_silence(request, now)
            return f"the appliance answered {status} and no command to the poll"
        if task.uuid in self._finished:
            self._unacknowledged = task.uuid
            return f"command {task.uuid} came again; its result is sent again"
        self._waiting = task
        return None

    def _settle(self, request: Request, status: int, body: Mapping[str, object], now: float) -> None:
        """The appliance has taken (or for good refused) what was sent, so it is not sent again."""
        if request.kind is Kind.INVENTORY and request.body is self._inventory:
            self._inventory = None
        elif request.kind is Kind.HEARTBEAT:
            self._plan_heartbeat(now)
        elif request.kind is Kind.LOG:
            for _ in range(min(self._lines_in_flight, len(self._lines))):
                self._lines.popleft()
            self._lines_in_flight = 0
            self._log_at = now + LOG_EVERY_S
        elif request.kind is Kind.UPDATE:
            self._settle_update(request, status, body, now)

    def _settle_update(self, request: Request, status: int, body: Mapping[str, object], now: float) -> None:
        if request.about == self._unacknowledged:
            if request.body is not None and request.body.get("status") != "running":
                self._unacknowledged = None
                self._leaving = self._finished[request.about].then
        elif self.running is not None and request.about == self.running.uuid:
            # A command that the appliance does not know any more is not worth finishing.
            if body.get("cancelled") is True or status >= 400:
                self._is_cancelled = True
            if request.body is not None and request.body.get("progress") is self._progress:
                self._progress = None
            self._progress_at = now

    def _plan_heartbeat(self, now: float) -> None:
        self._heartbeat_at = now + self._heartbeat_s * (0.6 + 0.4 * self._random())

    # What the machine says

    def take(self, now: float) -> Task | None:
        """The command to run now, once; None if there is none."""
        task, self._waiting = self._waiting, None
        if task is not None:
            self.running, self._is_cancelled, self._progress, self._progress_at = task, False, None, now
        return task

    def is_cancelled(self) -> bool:
        return self._is_cancelled

    def on_progress(self, progress: Progress) -> None:
        self._progress = progress

    def on_finished(self, outcome: Outcome) -> None:
        assert self.running is not None
        self._finished[self.running.uuid] = outcome
        self._unacknowledged = self.running.uuid
        self.running = None
        while len(self._finished) > _KEPT_RESULTS:
            self._finished.popitem(last=False)

    def on_inventory(self, inventory: Mapping[str, Any]) -> None:
        self._inventory = inventory

    def on_line(self, line: str, now: float) -> None:
        if not self._lines:
            self._log_at = max(self._log_at, now + LOG_EVERY_S)
        if len(self._lines) == KEPT_LINES:
            self._lines_in_flight = max(0, self._lines_in_flight - 1)
        self._lines.append(line[:MAX_LINE_CHARS])


def _final(outcome: Outcome) -> CommandUpdate:
    if outcome.error is None:
        return {"status": "done", "result": outcome.result}
    return {"status": "failed", "error": outcome.error, "result": outcome.result}


def _task(body: Mapping[str, object]) -> Task | None:
    uuid, name, params = body.get("uuid"), body.get("name"), body.get("params")
    if not isinstance(uuid, str) or not isinstance(name, str) or not isinstance(params, dict):
        return None
    # The uuid becomes part of a path.
    if not 0 < len(uuid) <= 64 or set(uuid.lower()) - set("0123456789abcdef-"):
        return None
    return Task(uuid, name, params)

"""Threads around the loop: two channels to the appliance and one worker. The only lock of the agent is here."""

import json
import logging
import os
import ssl
import threading
from collections.abc import Callable

from agent.errors import AgentError, BadAnswer, NoAnswer
from agent.host import Host
from agent.loop import Channel, Kind, Leave, Loop, Outcome, Request, Task, Wait
from agent.transport import Client, json_body
from agent.wire import Progress

log = logging.getLogger(__name__)

_LONGEST_WAIT_S = 60.0
Execute = Callable[[Task, Callable[[Progress], None], Callable[[], bool]], Outcome]


class Runner:
    """execute: runs one command, with a function for progress and one that says whether it was cancelled."""

    def __init__(self, loop: Loop, host: Host, api_url: str, context: ssl.SSLContext, execute: Execute) -> None:
        self._loop = loop
        self._host = host
        self._api_url = api_url
        self._context = context
        self._execute = execute
        self._changed = threading.Condition(threading.RLock())
        self._clock_is_set = False

    def run(self) -> None:
        """Until the agent leaves this machine."""
        threading.excepthook = self._on_death
        for target in (self._listen, self._work):
            threading.Thread(target=target, name=target.__name__.strip("_"), daemon=True).start()
        self._serve(Channel.TALK)

    def line(self, line: str) -> None:
        """One line for the appliance, stamped with our uptime. It wakes nobody: it leaves with the next round."""
        with self._changed:
            now = self._host.uptime_s()
            self._loop.on_line(f"{now:.2f} {line}", now)

    def inventory(self, inventory: dict[str, object]) -> None:
        with self._changed:
            self._loop.on_inventory(inventory)
            self._changed.notify_all()

    def await_session(self) -> None:
        with self._changed:
            self._changed.wait_for(lambda: self._loop.session is not None)

    def _on_death(self, args: threading.ExceptHookArgs) -> None:
        """A thread met a fault of ours. Half an agent is worse than none: end, and the start script begins anew."""
        name = args.thread.name if args.thread else "unknown"
        log.error("thread ended name=%s: %s", name, where(args.exc_value) if args.exc_value else "?")
        if name in ("listen", "work"):
            os._exit(70)

    # Channels

    def _listen(self) -> None:
        self._serve(Channel.LISTEN)

    def _serve(self, channel: Channel) -> None:
        client = Client(self._api_url, context=self._context)
        while True:
            with self._changed:
                action = self._loop.next(channel, self._host.uptime_s())
                if isinstance(action, Wait):
                    wait_s = min(action.until - self._host.uptime_s(), _LONGEST_WAIT_S)
                    self._changed.wait(max(wait_s, 0.01))
                    continue
            if isinstance(action, Leave):
                if channel is Channel.TALK:
                    self._host.leave(action.how)
                return
            self._ask(client, action)

    def _ask(self, client: Client, request: Request) -> None:
        said: str | None
        try:
            status, body = self._exchange(client, request)
        except (NoAnswer, BadAnswer) as failure:
            with self._changed:
                self._loop.on_silence(request, self._host.uptime_s())
            said = f"{request.kind.value}: {failure}"
        else:
            with self._changed:
                said = self._loop.on_answer(request, status, body, self._host.uptime_s())
                self._changed.notify_all()
            if request.kind is Kind.LOOKUP and self._loop.session:
                self._host.keep_session(self._loop.session)
                log.info("the appliance answered node=%s", self._loop.node or "none yet")
        if said and request.kind is not Kind.LOG:
            log.info("%s", said)

    def _exchange(self, client: Client, request: Request) -> tuple[int, dict[str, object]]:
        headers = {"Accept": "application/json"}
        if request.session is not None:
            headers["Authorization"] = f"Bearer {request.session}"
        body = None
        if request.body is not None:
            headers["Content-Type"] = "application/json"
            body = json.dumps(request.body).encode()
        answer = client.request(request.method, request.path, timeout_s=request.timeout_s, body=body, headers=headers)
        if not self._clock_is_set:
            self._clock_is_set = True
            self._host.set_clock(answer.headers.get("date", ""))
        return answer.status, json_body(answer) if answer.status < 300 else {}

    # Commands

    def _work(self) -> None:
        while True:
            with self._changed:
                task = self._loop.take(self._host.uptime_s())
                if task is None:
                    self._changed.wait()
                    continue
            log.info("command begins name=%s uuid=%s", task.name, task.uuid)
            outcome = self._outcome(task)
            log.info("command ended name=%s uuid=%s error=%s", task.name, task.uuid, outcome.error)
            with self._changed:
                self._loop.on_finished(outcome)
                self._changed.notify_all()

    def _outcome(self, task: Task) -> Outcome:
        try:
            return self._execute(task, self._progress, self._loop.is_cancelled)
        except AgentError as failure:
            return Outcome({}, error=str(failure))
        except Exception as failure:  # noqa: BLE001  (loop top: one broken command must not end the agent)
            # The text of an unforeseen exception may quote parameters, so only its type and place are told.
            return Outcome({}, error=f"the agent failed unexpectedly: {where(failure)}")

    def _progress(self, progress: Progress) -> None:
        with self._changed:
            self._loop.on_progress(progress)
            self._changed.notify_all()


def where(failure: BaseException) -> str:
    """Type and place of a fault, without its text, which may quote a secret."""
    trace = failure.__traceback__
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    if trace is None:
        return type(failure).__name__
    return f"{type(failure).__name__} in {trace.tb_frame.f_code.co_filename}, line {trace.tb_lineno}"

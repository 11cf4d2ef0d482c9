"""Waiting for nodes to come to rest: the loop behind `--wait` and `node wait`.

Polling, and not the event stream, because bytes of progress are no events. The appliance may restart meanwhile: its
silence is waited out. Ctrl-C leaves the work running and says how to come back to it.
"""

import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from appliance.main.cli.exits import Exit, Failure, from_client
from appliance.main.cli.invocation import Invocation
from appliance.main.cli.live import Display
from appliance.main.cli.progress import Track, clock
from appliance.main.client_errors import ApiError, Unreachable

Json = dict[str, Any]

RESTING = frozenset({"enroll", "manageable", "available", "active", "rescue", "error"})
FIRST_POLL_S = 0.1
LONGEST_POLL_S = 1.0
ONE_BY_ONE = 10


@dataclass(slots=True, kw_only=True)
class Target:
    """A node we asked something of. goal: the state that is success; None: any state of rest that is no failure."""

    ref: str
    name: str
    goal: str | None
    node: Json = field(default_factory=dict)
    exit_code: Exit = Exit.OK
    result: str = "requested"
    reason: str = ""
    flow: str | None = None

    def row(self) -> Json:
        """For the table of results."""
        return {
            "name": self.name,
            "uuid": self.node.get("uuid"),
            "result": self.result,
            "state": self.node.get("provision_state"),
            "reason": self.reason or None,
            "flow": self.flow,
            "exit_code": int(self.exit_code),
        }


def is_resting(node: Json) -> bool:
    """Whether nothing more will happen to the node by itself."""
    state = str(node.get("provision_state"))
    return state in RESTING or state.endswith((" failed", " hold"))


def judge(target: Target, node: Json) -> None:
    """Write down how a node that came to rest did."""
    state = str(node.get("provision_state"))
    is_bad = state == "error" or state.endswith(" failed")
    if state == target.goal or (target.goal is None and not is_bad):
        target.result, target.exit_code = "done", Exit.OK
        return
    failure = node.get("failure")
    words = [node.get("last_error")]
    if isinstance(failure, dict):
        words = [f"{failure.get('step')}: {failure.get('reason')}", failure.get("next") and f"next: {failure['next']}"]
    target.result, target.exit_code = "failed", Exit.FAILED
    target.reason = "; ".join(str(word) for word in words if word) or f"it is {state}, not {target.goal}"


def wait_for(inv: Invocation, targets: Sequence[Target], limit_s: float) -> None:
    """Wait until every target rests or the time is up; each target then holds its result.

    Raises Failure with INTERRUPTED on Ctrl-C.
    """
    started = time.monotonic()
    tracks = {
        target.ref: Track(number=number, name=target.name, started=started) for number, target in enumerate(targets, 1)
    }
    try:
        with Display(inv.environment) as display:
            _loop(inv, targets, tracks, started + limit_s, display)
    except KeyboardInterrupt as cause:
        names = " ".join(target.name for target in targets)
        raise Failure(
            "detached; the work goes on",
            exit_code=Exit.INTERRUPTED,
            kind="interrupted",
            next_step=f"rackwright node wait {names}   (or stop it: rackwright node abort {names})",
        ) from cause
    for target in targets:
        if tracks[target.ref].ended is None:
            target.result, target.exit_code = "waiting", Exit.TIMED_OUT
            target.reason = f"not at rest after {clock(limit_s)}; the work goes on"


def _loop(
    inv: Invocation, targets: Sequence[Target], tracks: dict[str, Track], deadline: float, display: Display
) -> None:
    pause, silent = FIRST_POLL_S, False
    while True:
        pending = [target for target in targets if tracks[target.ref].ended is None]
        try:
            seen = _look(inv, pending)
            silent = False
        except Unreachable as error:
            if not silent:
                display.say(f"the appliance does not answer ({error.why}); still trying")
            silent, seen = True, {}
        now = time.monotonic()
        for target in pending:
            _take_in(target, tracks[target.ref], seen.get(target.ref), now, display, many=len(targets) > ONE_BY_ONE)
        failed = sum(target.exit_code is not Exit.OK for target in targets)
        display.draw(list(tracks.values()), failed, now)
        if all(track.ended is not None for track in tracks.values()) or now >= deadline:
            return
        time.sleep(max(0.0, min(pause, deadline - now)))
        pause = min(LONGEST_POLL_S, pause * 1.5)


def _take_in(
    target: Target, track: Track, node: Json | Failure | None, now: float, display: Display, *, many: bool
) -> None:
    if node is None:
        return
    if isinstance(node, Failure):
        target.result, target.exit_code, target.reason = "failed", node.exit_code, node.message
        track.ended = now
        return
    target.node = node
    track.see(node, now)
    if is_resting(node):
        judge(target, node)
        track.ended = now
        if many and target.exit_code is not Exit.OK:
            display.say(f"[{track.number}] {target.name} failed: {target.reason}")


def _look(inv: Invocation, pending: Sequence[Target]) -> dict[str, Json | Failure]:
    """Fresh readings by ref. Many nodes are read by page; a node that is gone from the pages is asked for by itself."""
    from appliance.main.client import part

    client = inv.client()
    seen: dict[str, Json | Failure] = {}
    if len(pending) > ONE_BY_ONE:
        wanted = {target.node.get("uuid"): target.ref for target in pending if target.node.get("uuid")}
        for node in client.items("/v1/nodes"):
            if ref := wanted.get(node.get("uuid")):
                seen[ref] = node
    for target in pending:
        if target.ref not in seen:
            try:
                seen[target.ref] = client.get(f"/v1/nodes/{part(target.ref)}")
            except ApiError as error:
                failure = from_client(error)
                if failure.exit_code is Exit.DENIED:
                    raise
                if error.status < 500:  # a server in trouble may recover; a missing node will not
                    seen[target.ref] = failure
    return seen

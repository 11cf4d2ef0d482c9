"""The loop against a pretend appliance that loses requests and answers, is restarted and repeats itself."""

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from agent.loop import IDLE_LIMIT_S, KEPT_LINES, Channel, Kind, Leave, Loop, Outcome, Request, Wait
from agent.wire import HEARTBEAT_S, MAX_LOG_LINES

_PROGRESS = {"phase": "write", "done": 1, "total": 2, "unit": "bytes", "message": ""}


def _loop(**more):
    given = {"boot_secret": "s", "macs": ["m"], "boot_mac": "m", "agent_version": "1", "random": lambda: 0.5}
    return Loop(**(given | more))


def _known():
    """A loop after its look-up."""
    loop = _loop()
    request = loop.next(Channel.TALK, 0.0)
    assert loop.on_answer(request, 200, {"session": "t", "node": "n1", "heartbeat_s": 30}, 0.0) is None
    return loop


def _given(loop, uuid="a1", name="inspect", now=1.0):
    request = loop.next(Channel.LISTEN, now)
    assert request.kind is Kind.POLL
    loop.on_answer(request, 200, {"uuid": uuid, "name": name, "params": {}}, now)


def test_lookup_comes_first_and_carries_the_secret_only_then():
    loop = _loop()
    assert loop.next(Channel.LISTEN, 0.0) == Wait(float("inf"))
    request = loop.next(Channel.TALK, 0.0)
    assert request.kind is Kind.LOOKUP
    assert request.session is None
    assert request.body == {"boot_secret": "s", "macs": ["m"], "agent_version": "1", "boot_mac": "m"}
    assert "boot_secret" not in repr(request)
    loop.on_answer(request, 200, {"session": "t", "node": None, "heartbeat_s": 30}, 0.0)
    assert loop.next(Channel.LISTEN, 0.0).session == "t"


def test_a_kept_session_needs_no_second_lookup():
    assert _loop(session="t").next(Channel.TALK, 0.0).kind is Kind.HEARTBEAT


@pytest.mark.parametrize("body", [{}, {"session": 5}, {"session": "a\nb"}, {"session": "é"}])
def test_a_lookup_reply_without_a_usable_session_is_asked_again(body):
    loop = _loop()
    loop.on_answer(loop.next(Channel.TALK, 0.0), 200, body, 0.0)
    assert isinstance(loop.next(Channel.TALK, 0.0), Wait)
    assert loop.next(Channel.TALK, 60.0).kind is Kind.LOOKUP


def test_back_off_grows_and_stays_bounded():
    loop, now, gaps = _loop(), 0.0, []
    for _ in range(12):
        loop.on_silence(loop.next(Channel.TALK, now), now)
        wait = loop.next(Channel.TALK, now)
        gaps.append(wait.until - now)
        now = wait.until
    assert gaps == sorted(gaps)
    assert 0.2 < gaps[0] < 1
    assert gaps[-1] <= 20


def test_heartbeats_come_in_time_and_with_jitter():
    loop = _known()
    wait = loop.next(Channel.TALK, 0.0)
    assert 0.6 * HEARTBEAT_S <= wait.until <= HEARTBEAT_S
    request = loop.next(Channel.TALK, wait.until)
    assert request.kind is Kind.HEARTBEAT
    assert request.body == {"uptime_s": wait.until, "busy": None}


def test_inventory_until_it_is_taken_and_the_newer_one_wins():
    loop = _known()
    loop.on_inventory({"a": 1})
    first = loop.next(Channel.TALK, 0.0)
    loop.on_inventory({"a": 2})
    loop.on_answer(first, 200, {}, 0.0)
    second = loop.next(Channel.TALK, 0.0)
    assert (second.kind, second.body) == (Kind.INVENTORY, {"a": 2})
    loop.on_answer(second, 200, {}, 0.0)
    assert isinstance(loop.next(Channel.TALK, 0.0), Wait)


def test_one_command_at_a_time():
    loop = _known()
    _given(loop)
    assert loop.next(Channel.LISTEN, 1.0) == Wait(float("inf"))
    task = loop.take(1.0)
    assert (task.uuid, task.name) == ("a1", "inspect")
    assert loop.take(1.0) is None
    assert loop.next(Channel.LISTEN, 1.0) == Wait(float("inf"))
    loop.on_finished(Outcome({"x": 1}))
    assert loop.next(Channel.LISTEN, 1.0) == Wait(float("inf"))
    update = loop.next(Channel.TALK, 1.0)
    assert (update.path, update.body) == ("/agent/v1/command/a1", {"status": "done", "result": {"x": 1}})
    loop.on_answer(update, 200, {"cancelled": False}, 1.0)
    assert loop.next(Channel.LISTEN, 1.0).kind is Kind.POLL


def test_a_finished_command_that_comes_again_gets_its_kept_result():
    loop = _known()
    _given(loop)
    loop.take(1.0)
    loop.on_finished(Outcome({}, error="disk is gone"))
    loop.on_answer(loop.next(Channel.TALK, 1.0), 200, {}, 1.0)
    _given(loop)
    assert loop.take(1.0) is None
    assert loop.next(Channel.TALK, 1.0).body == {"status": "failed", "error": "disk is gone", "result": {}}


def test_progress_at_most_once_a_second_and_cancellation():
    loop = _known()
    _given(loop, name="erase")
    loop.take(1.0)
    loop.on_progress(_PROGRESS)
    assert loop.next(Channel.TALK, 1.5) == Wait(2.0)
    request = loop.next(Channel.TALK, 2.0)
    assert request.body == {"status": "running", "progress": _PROGRESS}
    assert not loop.is_cancelled()
    loop.on_answer(request, 200, {"cancelled": True}, 2.0)
    assert loop.is_cancelled()
    # Nothing new to tell: the next update only keeps the line open.
    assert loop.next(Channel.TALK, 2.1) == Wait(12.0)


def test_a_command_that_the_appliance_forgot_is_cancelled():
    loop = _known()
    _given(loop, name="erase")
    loop.take(1.0)
    loop.on_answer(loop.next(Channel.TALK, 11.0), 404, {}, 11.0)
    assert loop.is_cancelled()


def test_leaving_waits_until_the_result_was_taken():
    loop = _known()
    _given(loop, name="reboot")
    loop.take(1.0)
    loop.on_finished(Outcome({}, then="reboot"))
    request = loop.next(Channel.TALK, 1.0)
    loop.on_silence(request, 1.0)
    assert isinstance(loop.next(Channel.TALK, 1.0), Wait)
    request = loop.next(Channel.TALK, 100.0)
    loop.on_answer(request, 200, {}, 100.0)
    assert loop.next(Channel.TALK, 100.0) == Leave("reboot")
    assert loop.next(Channel.LISTEN, 100.0) == Leave("reboot")


def test_401_ends_the_session_cancels_and_reboots_in_the_end():
    loop = _known()
    _given(loop, name="erase")
    loop.take(1.0)
    loop.on_answer(loop.next(Channel.TALK, 11.0), 401, {}, 11.0)
    assert loop.is_cancelled()
    loop.on_finished(Outcome({}, error="cancelled"))
    assert loop.next(Channel.TALK, 11.0) == Wait(11.0 + IDLE_LIMIT_S)
    assert loop.next(Channel.LISTEN, 11.0) == Wait(11.0 + IDLE_LIMIT_S)
    assert loop.next(Channel.TALK, 11.0 + IDLE_LIMIT_S) == Leave("reboot")


@pytest.mark.parametrize(
    "body",
    [{}, {"uuid": "../x", "name": "erase", "params": {}}, {"uuid": "a1", "name": 1, "params": {}}, {"uuid": "a1"}],
)
def test_what_is_no_command_is_not_run(body):
    loop = _known()
    loop.on_answer(loop.next(Channel.LISTEN, 1.0), 200, body, 1.0)
    assert loop.take(1.0) is None
    assert isinstance(loop.next(Channel.LISTEN, 1.0), Wait)


def test_log_lines_travel_in_bounded_batches_and_none_twice():
    loop, taken, now = _known(), [], 0.0
    for number in range(KEPT_LINES + 10):
        loop.on_line(f"line {number}", now)
    while True:
        now += 3
        request = loop.next(Channel.TALK, now)
        if isinstance(request, Wait):
            break
        if request.kind is Kind.LOG:
            assert len(request.body["lines"]) <= MAX_LOG_LINES
            taken += request.body["lines"]
            # What comes meanwhile waits for its own batch.
            if len(taken) == MAX_LOG_LINES:
                loop.on_line("late", now)
        loop.on_answer(request, 200, {}, now)
    assert taken == [f"line {number}" for number in range(10, KEPT_LINES + 10)] + ["late"]


class _Appliance:
    """Holds orders until their result arrives; forgets nothing when restarted."""

    def __init__(self, orders):
        self.orders = list(orders)
        self.results = {}
        self.inventory = None

    def answer(self, request: Request):
        if request.kind is Kind.LOOKUP:
            return 200, {"session": "t", "node": "n", "heartbeat_s": 30}
        assert request.session == "t"
        if request.kind is Kind.POLL:
            return (200, {"uuid": self.orders[0], "name": "x", "params": {}}) if self.orders else (204, {})
        if request.kind is Kind.INVENTORY:
            self.inventory = request.body
        if request.kind is Kind.UPDATE and request.body["status"] != "running":
            assert self.results.setdefault(request.about, request.body) == request.body
            self.orders = [order for order in self.orders if order != request.about]
        return 200, {}


@settings(max_examples=200)
@given(st.lists(st.sampled_from(["ok", "lost", "unheard", "500", "503", "garbage"]), max_size=60), st.integers(0, 3))
@example(weather=["lost"] * 9 + ["ok"], count=0)
def test_every_command_runs_once_and_is_acknowledged_whatever_gets_lost(weather, count):
    orders = [f"{number:x}" for number in range(count)]
    appliance, loop, now, runs = _Appliance(orders), _loop(), 0.0, []
    loop.on_inventory({"i": 1})
    for _ in range(600):
        actions = [(channel, loop.next(channel, now)) for channel in Channel]
        requests = [action for _, action in actions if isinstance(action, Request)]
        task = loop.take(now)
        if task is not None:
            runs.append(task.uuid)
            loop.on_progress(_PROGRESS)
            loop.on_finished(Outcome({"of": task.uuid}))
        elif requests:
            _deliver(appliance, loop, requests[0], weather.pop() if weather else "ok", now)
            now += 1.0  # else 600 polls without an order take less than one pause after many losses
        elif not appliance.orders and appliance.inventory:
            break
        else:
            now = max(now + 0.01, min(action.until for _, action in actions))
    assert runs == orders
    assert set(appliance.results) == set(orders)
    assert appliance.inventory == {"i": 1}


def _deliver(appliance, loop, request, how, now):
    if how in ("ok", "unheard"):
        status, body = appliance.answer(request)
        if how == "ok":
            loop.on_answer(request, status, body, now)
            return
    if how in ("500", "503"):
        loop.on_answer(request, int(how), {}, now)
    else:
        loop.on_silence(request, now)

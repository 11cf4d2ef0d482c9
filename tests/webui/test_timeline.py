"""Phases out of an event log like that of a real deployment."""

from datetime import UTC, datetime, timedelta

from appliance.models.event import Event
from tests.webui.screenshot import recorded
from webui import timeline

T0 = datetime(2026, 11, 21, 8, 0, tzinfo=UTC)


class Log:
    """Events by seconds since T0."""

    def __init__(self) -> None:
        self.events: list[Event] = []

    def add(self, second, kind, message="", *, actor="netboot", **data):
        at = T0 + timedelta(seconds=second)
        number = len(self.events) + 1
        self.events.append(Event(id=number, at=at, kind=kind, actor=actor, message=message, data=data, node_id=1))
        return self

    def engine(self, second, kind, step, *, work="f1", flow_kind="deploy", **more):
        return self.add(second, kind, actor="engine", flow=work, kind_=flow_kind, step=step, **more)

    def boot(self, second):
        self.add(second, "dhcp.discover", stage="firmware").add(second + 2, "boot.script")
        self.add(second + 3, "http.start", "fetches /boot/initrd").add(second + 5, "http.done", "/boot/initrd 200")
        return self.add(second + 25, "agent.alive", actor="agent")

    def phases(self, now=200):
        for event in self.events:
            if "kind_" in event.data:
                event.data["kind"] = event.data.pop("kind_")
        found = timeline.phases(self.events, T0 + timedelta(seconds=now))
        return [
            (p.work, p.name, p.kind, (p.start - T0).total_seconds(), (p.end - T0).total_seconds(), p.is_open)
            for p in found
        ]


def test_a_wait_for_the_agent_is_cut_at_what_the_network_saw():
    log = Log()
    log.engine(0, "flow.start", "agent_power_on").engine(0, "step.start", "agent_power_on")
    log.engine(1, "step.done", "agent_power_on").engine(1, "step.start", "agent_await_on")
    log.engine(3, "step.done", "agent_await_on").engine(3, "step.start", "await_agent")
    log.engine(3, "step.wait", "await_agent", **{"for": "agent.alive"})
    log.boot(10)
    log.engine(35, "step.start", "agent_is_up").engine(35, "flow.done", "agent_is_up")
    assert [phase for phase in log.phases() if phase[4] > phase[3]] == [
        ("Deploy", "power on", "power", 0, 3, False),
        ("Deploy", "firmware starts", "boot", 3, 10, False),
        ("Deploy", "address and boot script", "boot", 10, 12, False),
        ("Deploy", "kernel and ramdisk load", "boot", 12, 15, False),
        ("Deploy", "kernel starts, agent calls", "boot", 15, 35, False),
    ]


def test_the_boot_by_which_a_machine_was_found_comes_before_all_work():
    log = Log().boot(0)
    log.add(26, "agent.command", "agent starts setup_bmc", actor="agent")
    log.add(27, "agent.done", "setup_bmc done", actor="agent")
    assert [phase[:4] for phase in log.phases()] == [
        ("First boot", "address and boot script", "boot", 0),
        ("First boot", "kernel and ramdisk load", "boot", 2),
        ("First boot", "kernel starts, agent calls", "boot", 5),
        ("First boot", "agent makes our account on the BMC", "agent", 26),
    ]


def test_what_goes_on_is_open_until_now():
    log = Log()
    log.engine(0, "step.start", "write_image").engine(1, "step.wait", "write_image", **{"for": "agent.command:1"})
    assert log.phases(now=60)[-1] == ("Deploy", "agent writes the image", "agent", 1, 60, True)


def test_the_installed_system_is_cut_at_its_first_question_for_an_address():
    log = Log()
    log.engine(0, "step.wait", "agent_left", **{"for": "call-home"})
    log.add(30, "dhcp.discover", stage="other")
    log.engine(50, "step.start", "is_home").engine(50, "flow.done", "is_home")
    assert [phase[1:5] for phase in log.phases() if phase[4] > phase[3]] == [
        ("installed system starts", "system", 0, 30),
        ("first boot (cloud-init), calls home", "system", 30, 50),
    ]


def test_waiting_for_a_free_place_and_pauses_between_tries_are_seen():
    log = Log()
    log.add(0, "state", actor="ann", flow="f1").engine(4, "flow.start", "read_bmc", flow_kind="verify")
    log.engine(4, "step.start", "read_bmc", flow_kind="verify").engine(5, "step.retry", "read_bmc", flow_kind="verify")
    log.engine(9, "step.start", "read_bmc", flow_kind="verify").engine(
        10, "flow.failed", "read_bmc", flow_kind="verify"
    )
    found = [phase for phase in log.phases() if phase[4] > phase[3]]
    assert found == [
        ("Manage", "waits its turn", "turn", 0, 4, False),
        ("Manage", "log in to the BMC", "power", 4, 5, False),
        ("Manage", "log in to the BMC: pause before the next try", "turn", 5, 9, False),
        ("Manage", "log in to the BMC", "power", 9, 10, False),
    ]


def test_a_night_begins_a_new_picture_and_trifles_are_counted():
    log = Log()
    log.engine(0, "step.start", "read_bmc", work="a").engine(0.01, "step.start", "write_image", work="a")
    log.engine(0.01, "step.wait", "write_image", work="a", **{"for": "agent.command:1"})
    log.engine(40, "flow.done", "write_image", work="a")
    log.engine(5000, "step.start", "read_bmc", work="b").engine(5010, "flow.done", "read_bmc", work="b")
    log.phases()
    newest, older = timeline.pictures(timeline.phases(log.events, T0 + timedelta(seconds=6000)))
    assert (newest.start - T0).total_seconds() == 5000
    assert [bar.phase.name for bar in older.bars] == ["agent writes the image"]
    assert older.trifles[0] == 1
    assert older.totals == [("agent", "agent at work", 39.99)]
    assert [tick.text for tick in older.ticks] == ["0", "10 s", "20 s", "30 s"]
    assert all(0 <= bar.left <= 100 and bar.left + bar.width <= 100.5 for bar in older.bars)


def test_no_event_is_no_picture():
    assert timeline.pictures(timeline.phases([], T0)) == []


def test_a_recorded_deployment_from_the_first_dhcp_question_to_active():
    (picture,) = timeline.pictures(timeline.phases(recorded(1, T0), T0 + timedelta(hours=1)))
    assert [(bar.phase.work, bar.phase.name, round(bar.phase.seconds)) for bar in picture.bars] == [
        ("First boot", "kernel and ramdisk load", 2),
        ("First boot", "kernel starts, agent calls", 29),
        ("Deploy", "agent writes the image", 13),
        ("Deploy", "agent starts the installed system", 3),
        ("Deploy", "installed system starts", 78),
        ("Deploy", "first boot (cloud-init), calls home", 45),
    ]
    assert picture.works == ["First boot", "Manage", "Inspect", "Clean", "Deploy"]
    drawn = sum(seconds for _kind, _text, seconds in picture.totals)
    assert picture.seconds - drawn - picture.trifles[1] < 3  # what is left are pauses between two pieces of work

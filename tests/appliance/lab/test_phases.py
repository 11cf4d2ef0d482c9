from datetime import UTC, datetime, timedelta
from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from appliance.lab import phases
from appliance.lab.phases import MachineReport, Phase, Report, Step

BEGIN = datetime(2026, 1, 1, tzinfo=UTC)


def event(second, kind, **more):
    at = (BEGIN + timedelta(seconds=second)).isoformat().replace("+00:00", "Z")
    return {"at": at, "kind": kind, "message": kind, "data": {}, **more}


BOOT = [
    event(5.0, "dhcp.discover"),
    event(6.0, "dhcp.ack"),
    event(7.0, "boot.script"),
    event(8.0, "http.done", data={"path": "/boot/vmlinuz"}),
    event(10.0, "http.done", data={"path": "/boot/initrd"}),
    event(17.0, "agent.alive"),
    event(18.0, "bmc.set-up"),
]


def cut(events, *, power_s=1.0, enrolled_s=19.0):
    found = phases.boot_phases(events, power_s=power_s, enrolled_s=enrolled_s, begin=BEGIN)
    return [(p.name, p.start_s, p.end_s) for p in found]


def test_a_boot_is_cut_at_its_marks():
    assert cut(BOOT) == [
        ("firmware", 1.0, 5.0),
        ("ipxe", 5.0, 7.0),
        ("load", 7.0, 10.0),
        ("agent start", 10.0, 17.0),
        ("enroll", 17.0, 19.0),
    ]


def test_the_order_of_the_log_does_not_matter():
    assert cut(BOOT[::-1]) == cut(BOOT)


def test_a_missing_mark_joins_its_neighbours():
    assert cut([e for e in BOOT if e["kind"] != "boot.script"])[1] == ("load", 5.0, 10.0)
    assert cut([]) == [("enroll", 1.0, 19.0)]


def test_what_was_before_the_power_button_or_after_the_enrolment_is_left_out():
    assert cut([event(0.1, "dhcp.ack"), event(30.0, "agent.alive")]) == [("enroll", 1.0, 19.0)]


@given(
    st.lists(
        st.tuples(
            st.floats(-100, 100), st.sampled_from(["dhcp.ack", "boot.script", "http.done", "agent.alive", "state", ""])
        )
    ),
    st.floats(0, 50),
    st.floats(0, 50),
)
def test_phases_have_no_gap_and_never_go_backwards(drawn, power_s, more_s):
    events = [event(second, kind, message="/boot/initrd") for second, kind in drawn]
    found = phases.boot_phases(events, power_s=power_s, enrolled_s=power_s + more_s, begin=BEGIN)
    assert found[0].start_s == power_s
    assert found[-1].end_s == power_s + more_s
    for before, after in pairwise(found):
        assert before.end_s == after.start_s
    assert all(phase.start_s <= phase.end_s for phase in found)


def test_spans_are_the_events_that_took_time():
    found = phases.spans(
        [event(9, "step.done", duration_s=4.0), event(9, "x"), event(9, "y", duration_s=0)], begin=BEGIN
    )
    assert [(s.name, s.start_s, s.end_s) for s in found] == [("step.done", 5.0, 9.0)]


def test_an_event_without_a_time_is_not_placed():
    assert phases.seconds_since(BEGIN, {}) is None
    assert phases.seconds_since(BEGIN, {"at": "yesterday"}) is None
    assert phases.seconds_since(BEGIN, {"at": "2026-01-01T00:00:00"}) is None, "a naive time"


def report(**changes):
    machine = MachineReport(
        name="node1", firmware="bios", phases=[Phase(name="firmware", start_s=0, end_s=1.23456)], has_ssh=True
    )
    for name, value in changes.items():
        setattr(machine, name, value)
    return machine


def test_the_report_is_ok_only_when_everything_was():
    good = Step(name="ssh", machine="node1", is_ok=True, start_s=0, end_s=1)
    bad = Step(name="ssh", machine="node1", is_ok=False, start_s=0, end_s=1)
    assert Report(machines=[report()], steps=[good]).is_ok
    assert not Report(machines=[], steps=[]).is_ok
    assert not Report(machines=[report(has_ssh=False)], steps=[good]).is_ok
    assert not Report(machines=[report(error={"message": "x"})], steps=[good]).is_ok
    assert not Report(machines=[report()], steps=[bad]).is_ok


def test_the_json_has_the_promised_keys():
    document = Report(machines=[report()], steps=[]).to_json()
    assert document["ok"] is True
    machine = document["machines"][0]
    assert machine["name"] == "node1"
    assert machine["firmware"] == "bios"
    assert machine["ssh"] is True
    assert machine["phases"] == [{"name": "firmware", "start_s": 0, "end_s": 1.235}]

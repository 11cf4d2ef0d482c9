from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from appliance.lab import picture
from appliance.lab.phases import MachineReport, Phase


def phase(name, start, end):
    return Phase(name=name, start_s=start, end_s=end)


MACHINE = MachineReport(
    name="node1",
    firmware="bios",
    address="10.77.0.50",
    phases=[phase("firmware", 1, 5), phase("deploy", 5, 101)],
    spans=[phase("write image", 10, 40), phase("blink", 50, 50.1), phase("elsewhere", 200, 300)],
)


def test_each_phase_and_each_long_span_has_its_line():
    lines = picture.timeline(MACHINE, width=80)
    assert lines[0] == "node1 (bios): 100.0 s from power on, address 10.77.0.50"
    assert [line.split(" ")[0] for line in lines[1:3]] == ["firmware", "deploy"]
    assert lines[3].startswith("  write image")
    assert "30.0 s" in lines[3]
    assert len(lines) == 4
    assert lines[2].count("█") > 10 * lines[1].count("█")


def test_a_step_and_the_command_it_waits_for_are_one_line():
    spans = [phase("deploy: image_written", 10, 40), phase("write_image done", 10.2, 39.9), phase("boot", 40, 44)]
    machine = MachineReport(name="n", firmware="bios", phases=[phase("deploy", 5, 101)], spans=spans)
    lines = picture.timeline(machine)
    assert [line.split("  ")[1] for line in lines[2:]] == ["deploy: image_written", "boot"]


def test_plain_characters_where_the_terminal_knows_no_others():
    assert all(line.isascii() for line in picture.timeline(MACHINE, is_unicode=False))


def test_a_machine_that_never_started():
    assert picture.timeline(MachineReport(name="n", firmware="uefi")) == ["n (uefi): nothing happened"]


@given(st.lists(st.floats(0, 1e6), min_size=2, max_size=20), st.integers(0, 300), st.text(max_size=80))
def test_no_line_is_wider_than_asked(ends, width, name):
    ordered = sorted(ends)
    machine = MachineReport(
        name="n",
        firmware="bios",
        phases=[phase(name or "x", a, b) for a, b in pairwise(ordered)],
        spans=[phase("s" * 60, a, b) for a, b in pairwise(ordered)],
    )
    assert all(len(line) <= max(60, width) for line in picture.timeline(machine, width=width)[1:])

import json

import pytest

from appliance.domain.errors import RackwrightError
from appliance.lab import checks, demo
from appliance.lab.phases import MachineReport, Phase, Report, Step

LACK = checks.Lack(what="root is needed", why="bridges", next_step="sudo make demo")


def test_a_computer_that_cannot_is_told_before_anything_is_begun(monkeypatch, capsys, tmp_path):
    monkeypatch.setattr(checks, "lacks", lambda **_: [LACK])
    words = ["up", "--state", str(tmp_path / "state"), "--run-dir", str(tmp_path / "run")]
    assert demo.main(words) == demo.CANNOT
    said = capsys.readouterr().err
    assert "error: root is needed" in said
    assert "next: sudo make demo" in said
    assert list(tmp_path.iterdir()) == []


def test_down_without_a_rack_is_no_error(tmp_path):
    assert demo.main(["down", "--run-dir", str(tmp_path / "absent")]) == demo.OK


def test_somebodys_appliance_is_never_taken_for_the_demos(tmp_path):
    state = tmp_path / "state"
    state.mkdir()
    (state / "rackwright.db").touch()
    with pytest.raises(RackwrightError, match="not a demo's"):
        demo._fresh_state(state)
    assert (state / "rackwright.db").exists()


def test_the_demos_own_state_begins_anew(tmp_path):
    state = tmp_path / "deep" / "state"
    demo._fresh_state(state)
    state.mkdir(parents=True)
    (state / "login.json").touch()
    demo._fresh_state(state)
    assert not state.exists()


def test_a_fault_of_the_stage_ends_in_the_json_and_in_the_exit_code(monkeypatch, tmp_path, capsys):
    monkeypatch.setattr(checks, "lacks", lambda **_: [])

    class Broken:
        def __init__(self, places, report):
            self.steps = [Step(name="rack", machine=None, is_ok=False, start_s=0, end_s=1, detail="no bridge")]

        def raise_stage(self, wanted):
            raise RackwrightError("no bridge", why="the kernel has none", next_step="modprobe bridge")

    monkeypatch.setattr(demo, "Setting", Broken)
    out = tmp_path / "deep" / "out.json"
    words = ["up", "--once", "--json", str(out), "--state", str(tmp_path / "s"), "--run-dir", str(tmp_path / "r")]
    assert demo.main(words) == demo.FAILED
    document = json.loads(out.read_text())
    assert document["ok"] is False
    assert document["machines"] == []
    assert document["setup"][0]["detail"] == "no bridge"
    assert "modprobe bridge" in capsys.readouterr().err


def test_a_failed_machine_is_printed_with_console_and_logs(capsys):
    error = {
        "message": "enroll was not over",
        "why": "silence",
        "next": "",
        "appliance_says": "",
        "console": ["Booting from ROM..."],
        "logs": ["/run/node1"],
    }
    phase = Phase(name="enroll", start_s=0, end_s=9)
    demo._print_report(
        Report(machines=[MachineReport(name="node1", firmware="bios", phases=[phase], error=error)], steps=[])
    )
    said = capsys.readouterr().out
    for expected in ("node1 FAILED: enroll was not over", "why: silence", "Booting from ROM...", "/run/node1"):
        assert expected in said

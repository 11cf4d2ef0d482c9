"""The whole story, once, as by `make demo DEMO_ARGS="--once --json FILE"`: two machines, real IPMI and PXE."""

import json

import pytest

from appliance.lab import checks, demo, netns

NAMESPACE = "lab-e2e"
MACHINES = 2


@pytest.mark.story
@pytest.mark.timeout(1500)
def test_from_the_power_button_to_a_login_and_back(tmp_path, capsys):
    lacks = checks.lacks(machines=MACHINES)
    if lacks:
        pytest.skip("; ".join(lack.what for lack in lacks))
    out = tmp_path / "story.json"
    code = demo.main(
        [
            *["up", "--once", "--json", str(out), "--namespace", NAMESPACE],
            *["--state", str(tmp_path / "state"), "--run-dir", str(tmp_path / "rack")],
        ]
    )
    said = capsys.readouterr()
    document = json.loads(out.read_text())
    assert code == demo.OK, f"{said.out}\n{said.err}"
    assert document["ok"]
    assert {m["firmware"] for m in document["machines"]} == {"bios", "uefi"}
    for machine in document["machines"]:
        assert machine["ssh"]
        names = [phase["name"] for phase in machine["phases"]]
        assert names[-6:] == ["manage", "inspect", "provide", "deploy", "ssh", "undeploy"]
        assert all(phase["start_s"] <= phase["end_s"] for phase in machine["phases"])
    assert all(step["ok"] for step in document["steps"] + document["setup"])
    assert not netns.exists(NAMESPACE), "everything was torn down"
    assert list((tmp_path / "rack" / "node1").iterdir()), "the logs stay"

from pathlib import Path

from appliance.domain.lifecycle import Verb
from appliance.models.database import Database
from tests.appliance.flows.harness import rig
from tests.fakes.clock import FakeClock


def test_deploy_writes_the_image_and_ends_active(database: Database, clock: FakeClock, tmp_path: Path) -> None:
    r = rig(database, clock, tmp_path)
    r.add_node("available", boot_mode="uefi")
    r.ask(Verb.DEPLOY)
    r.drive()
    node = r.node()
    assert (node.provision_state, node.target_provision_state, node.power_state) == ("active", None, "power on")
    assert node.instance_address == "10.0.0.50"
    assert r.machine.disk == "debian"
    assert r.machine.commands == ["write_image", "boot_disk"]
    assert r.machine.acts == ["boot pxe", "on", "boot disk"]
    assert r.flow().status == "done"

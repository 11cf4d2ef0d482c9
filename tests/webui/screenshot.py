"""The picture of the README: one node's page after a recorded deployment of a QEMU machine.

    .venv/bin/python -m tests.webui.screenshot        writes webui/screenshot.png

Needs Debian's chromium and chromium-driver. The event log is that of a real run (recorded_deploy.json).
"""

import json
import tempfile
from datetime import timedelta
from pathlib import Path

from appliance.domain.clock import system_clock
from appliance.models import schema
from appliance.models.database import Database
from appliance.models.event import Event
from appliance.models.node import Inventory, Node, Port
from tests.fakes import browser
from tests.fakes.appliance import PASSWORD, Appliance
from tests.fakes.console import https
from tests.fakes.rack import inventory

RECORDED = Path(__file__).parent / "recorded_deploy.json"
MAC = "52:54:00:4c:00:01"
LIMIT_BYTES = 150_000
HARDWARE = {
    "manufacturer": "Rackwright", "product": "Lab", "serial": "LAB00001",
    "cpu": {"model": "QEMU TCG CPU", "sockets": 1, "threads": 1, "architecture": "x86_64"},
    "firmware": {"vendor": "SeaBIOS", "version": "1.16.2"},
}  # fmt: skip


def recorded(node_id: int | None, begin) -> list[Event]:
    """The log of a machine from its first DHCP question to `active`."""
    return [
        Event(
            id=number, at=begin + timedelta(seconds=second), kind=kind, actor=actor, message=message, data=data,
            duration_s=duration_s, node_id=node_id,
        )
        for number, (second, kind, actor, message, data, duration_s) in enumerate(json.loads(RECORDED.read_text()), 1)
    ]  # fmt: skip


def main() -> None:
    with tempfile.TemporaryDirectory(prefix="rackwright-screenshot-") as name:
        state = Path(name)
        (state / "tls").mkdir()
        url = f"sqlite:///{state}/rackwright.db"
        schema.upgrade(url, state)
        appliance = Appliance(Database.at(url), state)
        appliance.now = system_clock()
        fill(appliance)
        appliance.token()
        picture = draw(appliance, state)
        appliance.close()
        appliance.database.dispose()
    assert len(picture) <= LIMIT_BYTES, f"{len(picture)} bytes are too many for a README"
    target = Path("webui/screenshot.png")
    target.write_bytes(picture)
    print(f"{target} {len(picture)} bytes")


def fill(appliance: Appliance) -> None:
    begin = appliance.now - timedelta(seconds=175)
    with appliance.database.write() as session:
        node = Node(
            name="node-4c0001", driver="ipmi", provision_state="active", power_state="power on", boot_mode="bios",
            power_observed_at=appliance.now, bmc_address="10.77.0.201", bmc_username="rackwright",
            bmc_verified_at=begin + timedelta(seconds=33), instance={"image": "debian-12", "hostname": "node-4c0001"},
            instance_address="10.77.0.50", created_at=begin, updated_at=begin,
            provision_updated_at=appliance.now,
        )  # fmt: skip
        node.ports = [Port(mac=MAC, created_at=begin)]
        session.add(node)
        session.flush()
        session.add_all(recorded(node.id, begin))
        session.add(Inventory(node_id=node.id, reported_at=begin, report=inventory(MAC) | HARDWARE))


def draw(appliance: Appliance, state: Path) -> bytes:
    with https(appliance, state) as server, browser.chromium() as chrome:
        chrome.size(1240, 720)
        chrome.open(f"https://127.0.0.1:{server.address.port}/login?next=/nodes/node-4c0001")
        chrome.find("input[name=username]").clear()
        chrome.find("input[name=username]").type("user-admin")
        chrome.find("input[name=password]").type(PASSWORD + "\ue007")
        chrome.until(lambda: chrome.find_all(".timeline"), 15, "the node's page")
        chrome.until(lambda: chrome.find("#freshness").text == "Live", 10, "a live page")
        return chrome.picture()


if __name__ == "__main__":
    main()

"""What netboot asks of control over the unix socket."""

import pytest
from sqlalchemy import select

from appliance.domain.boot import Discovery
from appliance.models.event import Event
from appliance.models.network import Lease
from appliance.models.node import Node, Sighting
from appliance.services import nodes
from appliance.services.discovery import Policy
from tests.fakes.rack import MAC, NOW, vault, wish

EVENT = {"at": NOW.timestamp(), "mac": MAC, "kind": "dhcp.ack", "message": "ack", "data": {"address": "10.77.0.100"}}
LEASE = {"address": "10.77.0.100", "mac": MAC, "hostname": None, "subnet": "lab", "expires_at": NOW.timestamp() + 600}


def enrolled(appliance, **changes):
    with appliance.database.write() as session:
        return nodes.create(session, vault(), wish(**changes), actor="ann", now=NOW)


def kinds(appliance):
    with appliance.database.read() as session:
        return [row.kind for row in session.scalars(select(Event).order_by(Event.id))]


def test_events_of_a_node_join_its_timeline(appliance, netboot):
    node = enrolled(appliance)
    assert netboot.post("/internal/events", json={"events": [EVENT]}).status_code == 204
    with appliance.database.read() as session:
        kept = session.scalars(select(Event).where(Event.kind == "dhcp.ack")).one()
    assert (kept.node_id, kept.mac, kept.actor) == (node.id, MAC, "netboot")


def test_an_event_of_a_machine_without_a_lease_is_kept(appliance, netboot):
    """netboot does not know the MAC of everybody who asks for a file."""
    asked = EVENT | {"mac": None, "kind": "tftp.failed"}
    assert netboot.post("/internal/events", json={"events": [asked, EVENT]}).status_code == 204
    assert kinds(appliance) == ["tftp.failed", "dhcp.ack"]


@pytest.mark.parametrize(
    "bad",
    [
        7,
        {},
        EVENT | {"mac": "aa:bb"},
        EVENT | {"at": "soon"},
        EVENT | {"at": 1e300},
        {key: value for key, value in EVENT.items() if key != "at"},
    ],
)
def test_one_bad_event_does_not_hold_the_others_up(appliance, netboot, bad):
    """netboot sends a batch again until it is taken: a bad entry must not stop all reports for ever."""
    assert netboot.post("/internal/events", json={"events": [bad, EVENT]}).status_code == 204
    assert kinds(appliance) == ["dhcp.ack"]


@pytest.mark.parametrize("bad", [7, {}, LEASE | {"mac": "x"}, LEASE | {"address": "x"}, LEASE | {"expires_at": "x"}])
def test_one_bad_lease_does_not_hold_the_others_up(appliance, netboot, bad):
    assert netboot.post("/internal/leases", json={"leases": [bad, LEASE]}).status_code == 204
    with appliance.database.read() as session:
        assert [row.mac for row in session.scalars(select(Lease))] == [MAC]


def test_texts_of_machines_lose_their_control_characters(appliance, netboot):
    said = EVENT | {"message": "\x1b]52;c;evil\x07 \x00", "data": {"hostname": "\x1b[2Jx\x00"}}
    assert netboot.post("/internal/events", json={"events": [said]}).status_code == 204
    with appliance.database.read() as session:
        kept = session.scalars(select(Event)).one()
    assert (kept.message, kept.data) == ("]52;c;evil ", {"hostname": "[2Jx"})


def plan(netboot, mac=MAC, **more):
    return netboot.post("/internal/boot/plan", json={"mac": mac, "firmware": "bios"} | more).get_json()


def test_the_plan_of_a_known_machine_follows_its_state(appliance, netboot):
    enrolled(appliance)
    assert plan(netboot)["action"] == "boot"
    with appliance.database.write() as session:
        session.scalars(select(Node)).one().provision_state = "active"
    assert plan(netboot) == {"action": "local", "why": "n1 is active: its disk holds an instance", "node": "n1"}


def test_repeated_questions_of_one_boot_write_once(appliance, netboot, monkeypatch):
    """DHCP asks several times per boot; only the first question may cost a write."""
    plan(netboot)
    writes = []
    monkeypatch.setattr(appliance.database, "write", lambda: writes.append(1))
    assert plan(netboot)["action"] == "boot"
    assert writes == []


def test_with_discovery_off_an_unknown_machine_costs_no_write(appliance, netboot, monkeypatch):
    object.__setattr__(appliance.context, "discovery", Policy(discovery=Discovery.OFF, in_band_bmc=True))
    monkeypatch.setattr(appliance.database, "write", lambda: pytest.fail("a write for an unknown machine"))
    assert plan(netboot)["action"] == "ignore"


def test_the_script_of_an_instance_holds_no_secret(appliance, netboot):
    enrolled(appliance)
    query = {"mac": MAC, "address": "10.77.0.100", "server": "10.77.0.1", "platform": "pcbios"}
    assert "rackwright.boot=" in netboot.get("/internal/boot/script", query_string=query).get_data(as_text=True)
    with appliance.database.write() as session:
        session.scalars(select(Node)).one().provision_state = "active"
    assert "rackwright.boot=" not in netboot.get("/internal/boot/script", query_string=query).get_data(as_text=True)


def test_a_flood_of_unknown_machines_leaves_bounded_rows(appliance, netboot, monkeypatch):
    monkeypatch.setattr("appliance.services.boot.SIGHTINGS_MOST", 20)
    for number in range(60):
        plan(netboot, mac=f"52:54:00:00:00:{number:02x}")
    with appliance.database.read() as session:
        macs = [row.mac for row in session.scalars(select(Sighting).order_by(Sighting.id))]
    assert len(macs) == 20
    assert macs[-1] == "52:54:00:00:00:3b"


def test_a_guessed_call_home_token_costs_no_write(appliance, netboot, monkeypatch):
    monkeypatch.setattr(appliance.database, "write", lambda: pytest.fail("a write for a stranger"))
    body = {"token": "x" * 43, "address": "10.77.0.9"}
    assert netboot.post("/internal/call-home", json=body).status_code == 404


def test_the_picture_is_sent_again_only_when_it_changed(netboot):
    first = netboot.get("/internal/netboot").get_json()
    assert netboot.get(f"/internal/netboot?revision={first['revision']}&wait=0").status_code == 304


@pytest.mark.parametrize("path", ["/image/x/../y", "/etc/passwd", "/image/u/", "/image/u/..", ""])
def test_files_need_a_token(netboot, path):
    assert netboot.get("/internal/file", query_string={"path": path, "token": "x"}).status_code == 404

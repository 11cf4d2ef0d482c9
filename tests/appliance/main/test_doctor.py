"""Each check of the doctor says what is wrong, and what to do; nothing when all is well."""

from datetime import timedelta

import pytest

from appliance.config import Config
from appliance.domain.access import Role
from appliance.main.doctor import Doctor
from appliance.models.flow import Worker
from appliance.services import clouds, identity, images, network, nodes
from appliance.services.identity import Rules, users
from tests.fakes.rack import NOW, vault, wish


@pytest.fixture
def checks(database, tmp_path):
    doctor = Doctor(Config(state=tmp_path), lambda: NOW, Rules())

    def look():
        with database.read() as session:
            return {check["name"]: check for check in doctor.checks(session)}

    return look


def test_a_new_appliance_is_told_what_to_do_next(checks):
    found = checks()
    for name in ("boot files", "subnets", "images", "worker"):
        assert found[name]["ok"] is False
        assert found[name]["next"]
    assert found["database"]["ok"] is True


def test_what_is_well_asks_for_nothing(database, checks, tmp_path):
    with database.write() as session:
        body = {"name": "lab", "cidr": "10.77.0.0/24", "pool": "10.77.0.100-10.77.0.180", "interface": "br0"}
        network.create_subnet(session, body, actor="ann", now=NOW)
        images.create(session, name="debian-12", sha256=None, properties={}, actor="ann", now=NOW).status = "active"
        session.add(Worker(id="w", host="h", started_at=NOW, expires_at=NOW + timedelta(seconds=10)))
    (tmp_path / "boot").mkdir()
    for name in ("vmlinuz", "initrd", "undionly.kpxe", "snponly.efi", "ca.pem"):
        (tmp_path / "boot" / name).write_bytes(b"x")
    found = checks()
    for name in ("boot files", "subnets", "images", "worker", "nodes"):
        assert (found[name]["ok"], found[name]["next"]) == (True, ""), found[name]


def test_a_node_with_a_fault_is_named(database, checks):
    with database.write() as session:
        nodes.create(session, vault(), wish(), actor="ann", now=NOW).fault = "power failure"
    assert "n1: power failure" in checks()["nodes"]["detail"]


def test_a_worker_whose_lease_is_over_counts_as_gone(database, checks):
    with database.write() as session:
        session.add(Worker(id="w", host="h", started_at=NOW, expires_at=NOW))
    assert checks()["worker"]["ok"] is False


def test_a_clouds_file_that_no_longer_logs_in_is_said(database, checks, tmp_path):
    assert "clouds.yaml" not in checks()
    with database.write() as session:
        identity.create_user(session, name="admin", password="first horse", role=Role.ADMIN, now=NOW)
    clouds.write(tmp_path, "https://127.0.0.1:8443", "admin", "first horse")
    assert checks()["clouds.yaml"]["ok"] is True
    with database.write() as session:
        users.named(session, "admin").password_set_at = NOW - timedelta(days=80)
    assert "expires" in checks()["clouds.yaml"]["detail"]
    with database.write() as session:
        identity.set_password(
            session, user=users.named(session, "admin"), password="second horse", must_change=False, now=NOW
        )
    found = checks()["clouds.yaml"]
    assert (found["ok"], "does not log in" in found["detail"], "clouds.yaml" in found["next"]) == (False, True, True)
    assert "horse" not in str(found)

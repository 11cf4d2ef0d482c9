"""What instance_info asks for, as clients of standalone deployments give it; `validate` and deploy say the same."""

import pytest
from sqlalchemy import select

from appliance.models.flow import Flow
from appliance.models.node import Node
from appliance.services import images, instance_secrets
from tests.fakes.ironic_client import fault
from tests.fakes.rack import NOW

IPMI = {"ipmi_address": "10.0.0.5", "ipmi_username": "admin", "ipmi_password": "x"}
URL = "https://mirror.example.com/images/debian.qcow2"
SIGNED = f"{URL}?sig=canary"
SHA256, MD5, SHA512 = "a" * 64, "b" * 32, "c" * 128
MISSING = "must be provided in instance_info for node"


@pytest.fixture
def node(ironic, appliance):
    made = ironic.post("/v1/nodes", {"driver": "ipmi", "name": "n1", "driver_info": IPMI}).get_json()
    put_in(appliance, "available")
    return made


@pytest.fixture
def fake(ironic, appliance):
    made = ironic.post("/v1/nodes", {"driver": "fake-hardware", "name": "n1"}).get_json()
    put_in(appliance, "available")
    return made


def put_in(appliance, state):
    with appliance.database.write() as session:
        session.scalars(select(Node)).one().provision_state = state


def ask(ironic, **info):
    answer = ironic.patch("/v1/nodes/n1", [{"op": "add", "path": "/instance_info", "value": info}])
    assert answer.status_code == 200, answer.get_data(as_text=True)


def verdict(ironic):
    return ironic.get("/v1/nodes/n1/validate").get_json()["deploy"]


def deploy(ironic, target="active"):
    return ironic.put("/v1/nodes/n1/states/provision", {"target": target})


def work(appliance):
    with appliance.database.read() as session:
        node, flow = session.scalars(select(Node)).one(), session.scalars(select(Flow)).one()
        return flow.data["spec"], node, instance_secrets.read(appliance.vault, node)


@pytest.mark.parametrize(
    ("info", "checksum"),
    [
        ({"image_checksum": SHA256}, ["sha256", SHA256]),
        ({"image_checksum": MD5}, ["md5", MD5]),
        ({"image_checksum": f"sha512:{SHA512}"}, ["sha512", SHA512]),
        ({"image_os_hash_algo": "sha512", "image_os_hash_value": SHA512}, ["sha512", SHA512]),
        ({"image_checksum": MD5, "image_os_hash_algo": "sha256", "image_os_hash_value": SHA256}, ["sha256", SHA256]),
        ({"image_checksum": "https://mirror.example.com/SUMS?sig=canary"}, None),
        ({"image_checksum": SHA256, "image_disk_format": "qcow2", "image_type": "whole-disk"}, ["sha256", SHA256]),
        ({"image_checksum": SHA256, "image_type": "whole-disk", "kernel": "http://x/k"}, ["sha256", SHA256]),
    ],
)
def test_a_deploy_by_url_is_written_down_and_answered_at_once(ironic, appliance, node, info, checksum):
    ask(ironic, image_source=SIGNED, **info)
    assert verdict(ironic) == {"result": True}
    assert deploy(ironic).status_code == 202
    spec, row, hidden = work(appliance)
    assert spec["source"]["checksum"] == checksum
    assert spec["source"]["disk_format"] == info.get("image_disk_format")
    assert (row.provision_state, row.instance["image"], row.instance["image_uuid"]) == ("deploying", URL, None)
    assert hidden["source"]["url"] == SIGNED
    assert "canary" not in str(spec) + str(row.instance)


@pytest.mark.parametrize(
    ("info", "said"),
    [
        ({}, "Missing are: ['instance_info.image_source']"),
        ({"image_source": URL}, MISSING),
        ({"image_source": URL, "image_os_hash_algo": "sha256"}, MISSING),
        ({"image_source": URL, "image_os_hash_value": SHA256}, MISSING),
        ({"image_source": URL, "image_checksum": SHA256, "image_os_hash_algo": "sha256"}, MISSING),
        ({"image_source": SIGNED, "image_checksum": "12"}, "hexadecimal digits"),
        ({"image_source": SIGNED, "image_os_hash_algo": "sha3_256", "image_os_hash_value": SHA256}, "hexadecimal"),
        ({"image_source": SIGNED, "image_checksum": SHA256, "image_disk_format": "vmdk"}, "raw or qcow2"),
        ({"image_source": "file:///etc/shadow", "image_checksum": SHA256}, "Path /etc/shadow is not allowed for image"),
        ({"image_source": "oci://registry/x", "image_checksum": SHA256}, "plain http:// or https://"),
        ({"image_source": "http://", "image_checksum": SHA256}, "plain http:// or https://"),
        ({"image_source": URL, "image_checksum": SHA256, "image_type": "disc"}, 'Invalid image_type "disc"'),
        ({"image_source": URL, "image_checksum": SHA256, "image_type": "partition"}, "partition image"),
        ({"image_source": URL, "image_checksum": SHA256, "kernel": "http://x/k"}, "partition image"),
        ({"image_source": URL, "image_checksum": SHA256, "ramdisk": "http://x/r"}, "partition image"),
        ({"image_source": URL, "image_checksum": SHA256, "boot_iso": "http://x/i"}, "at the same time"),
        ({"image_source": "nope"}, "no image 'nope'"),
        ({"image_source": "coming"}, "is queued"),
    ],
)
def test_validate_and_deploy_refuse_the_same_for_the_same_reason(ironic, appliance, node, info, said):
    with appliance.database.write() as session:
        images.create(session, name="coming", sha256=None, properties={}, actor="ann", now=NOW)
    ask(ironic, **info)
    found = verdict(ironic)
    refused = deploy(ironic)
    assert found["result"] is False
    assert said in found["reason"]
    assert refused.status_code == 400
    text = fault(refused)["faultstring"]
    assert text == f"Failed to validate deploy or power info for node {node['uuid']}. Error: {found['reason']}"
    assert "canary" not in text
    with appliance.database.read() as session:
        assert session.scalars(select(Flow)).all() == []


def test_a_rebuild_takes_the_url_too(ironic, appliance, node):
    put_in(appliance, "active")
    ask(ironic, image_source=URL, image_checksum=SHA256)
    assert deploy(ironic, "rebuild").status_code == 202
    assert work(appliance)[0]["source"]["shown"] == URL


def test_hardware_that_is_not_there_takes_any_and_keeps_no_secret_of_it(ironic, appliance, fake):
    """Nothing is fetched for it, and `validate` asks for nothing either."""
    ask(ironic, image_source=SIGNED)
    assert verdict(ironic) == {"result": True}
    assert deploy(ironic).status_code == 202
    spec, row, _hidden = work(appliance)
    assert "source" not in spec
    assert row.instance["image"] == URL


@pytest.mark.parametrize("form", ["{}", "glance://{}", "https://h/v2/images/{}/file", "http://h:1/image/v2/images/{}"])
def test_an_image_of_ours_is_meant_by_each_of_its_addresses_and_only_by_who_sees_it(
    ironic, appliance, client_for, node, form
):
    with appliance.database.write() as session:
        row = images.create(session, name="secret", sha256=None, properties={}, actor="ann", now=NOW)
        row.visibility, row.status, row.stream = "private", "active", {"data": "image.data"}
        uuid = row.uuid
    token, project = appliance.project_token()
    with appliance.database.write() as session:
        session.scalars(select(Node)).one().owner = project
    ask(ironic, image_source=form.format(uuid))
    refused = deploy(client_for(token))
    assert refused.status_code == 400
    assert f"no image '{uuid}'" in fault(refused)["faultstring"]
    assert verdict(ironic) == {"result": True}
    assert deploy(ironic).status_code == 202
    assert work(appliance)[0]["image_uuid"] == uuid


def test_a_rebuild_that_says_nothing_of_an_image_needs_the_one_before(ironic, appliance, node):
    with appliance.database.write() as session:
        row = images.create(session, name="debian", sha256=None, properties={}, actor="ann", now=NOW)
        row.status, row.stream, uuid = "active", {"data": "image.data"}, row.uuid
        session.scalars(select(Node)).one().instance = {"image": "debian", "image_uuid": uuid}
    put_in(appliance, "active")
    assert verdict(ironic) == {"result": True}
    with appliance.database.write() as session:
        images.delete(session, images.fetch(session, uuid), actor="ann", now=NOW)
    said = verdict(ironic)["reason"]
    assert f"no image '{uuid}'" in said
    refused = deploy(ironic, "rebuild")
    assert refused.status_code == 400
    assert said in fault(refused)["faultstring"]

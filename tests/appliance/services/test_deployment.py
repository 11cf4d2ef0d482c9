"""A deploy's wishes: refused before anything is powered, and secret from then on."""

import base64

import orjson
import pytest
from sqlalchemy import select, text

from appliance.domain.errors import Conflict, Invalid, TooLarge
from appliance.domain.lifecycle import Verb
from appliance.models.image import Image
from appliance.models.node import Inventory, Node
from appliance.services import deployment, images, nodes
from tests.fakes.appliance import Appliance
from tests.fakes.rack import NOW, inventory, vault, wish

KEY = "ssh-ed25519 " + base64.b64encode(b"\x00\x00\x00\x0bssh-ed25519" + bytes(36)).decode() + " ann"
CANARY = "hunter2-canary"
USER_DATA = f"#cloud-config\npassword: {CANARY}\n"


@pytest.fixture
def appliance(database, tmp_path):
    made = Appliance(database, tmp_path)
    with database.write() as session:
        node = nodes.create(session, vault(), wish(), actor="ann", now=NOW)
        node.provision_state, node.appliance_address = "available", "10.77.0.1"
        for name, size in (("debian", 4 << 30), ("huge", 64 << 30)):
            row = images.create(session, name=name, sha256=None, properties={}, actor="ann", now=NOW)
            row.status, row.virtual_size_bytes, row.stream = "active", size, {"data": "image.data"}
        images.create(session, name="coming", sha256=None, properties={}, actor="ann", now=NOW)
        session.add(Inventory(node_id=node.id, reported_at=NOW, report=inventory()))
    yield made
    made.close()


def check(appliance, verb=Verb.DEPLOY, examined=None, **spec):
    spec = ({"image": "debian"} if verb is Verb.DEPLOY else {}) | spec
    with appliance.database.write() as session:
        node = nodes.fetch(session, "n1")
        return deployment.check(
            session, appliance.vault, appliance.images, node, verb=verb, spec=spec, examined=examined
        )


def hidden(appliance):
    with appliance.database.read() as session:
        node = nodes.fetch(session, "n1")
        return orjson.loads(appliance.vault.open(node.instance_secret, deployment.instance_context(node)))


def test_what_was_asked_is_kept_and_its_secrets_are_sealed(appliance):
    kept = check(appliance, ssh_keys=[KEY], user_data=USER_DATA, hostname="Web1")
    assert kept["image"] == "debian"
    assert CANARY not in str(kept)
    with appliance.database.read() as session:
        node = nodes.fetch(session, "n1")
        assert (node.instance["hostname"], node.instance["ssh_keys"]) == ("web1", [KEY])
    assert base64.b64decode(hidden(appliance)["user_data"]).decode() == USER_DATA


def test_no_table_holds_user_data_in_the_clear(appliance):
    check(appliance, user_data=USER_DATA)
    with appliance.database.read() as session:
        for table in Node.metadata.sorted_tables:
            for row in session.execute(text(f'SELECT * FROM "{table.name}"')):
                assert CANARY.encode() not in b"".join(
                    bytes(value) if isinstance(value, bytes | memoryview) else str(value).encode() for value in row
                )


@pytest.mark.parametrize(
    ("spec", "said"),
    [
        ({"image": ""}, "needs an image"),
        ({"image": "nope"}, "no image"),
        ({"image": "coming"}, "queued"),
        ({"image": "huge"}, "too big"),
        ({"boot": "tape"}, "boot"),
        ({"colour": "red"}, "unknown field"),
        ({"network_data": []}, "network_data"),
        ({"hostname": "a b"}, "host name"),
        ({"ssh_keys": "x"}, "list"),
        ({"ssh_keys": [KEY] * 65}, "at most 64"),
        ({"ssh_keys": ['command="x" ' + KEY]}, "without options"),
        ({"ssh_keys": [KEY + "\nssh-rsa AAAA"]}, "one line"),
        ({"ssh_keys": ["ssh-rsa " + KEY.split()[1]]}, "another kind"),
        ({"ssh_keys": ["ssh-dss " + KEY.split()[1]]}, "SSH key"),
        ({"user_data": 7}, "text"),
        ({"user_data": "#cloud-config\na: [\n"}, "not valid cloud-config"),
    ],
)
def test_a_bad_wish_is_refused_by_name_and_changes_nothing(appliance, spec, said):
    with pytest.raises((Invalid, Conflict, deployment.images.NotFound)) as refusal:
        check(appliance, **spec)
    assert said in str(refusal.value)
    with appliance.database.read() as session:
        assert nodes.fetch(session, "n1").instance is None


def test_a_private_key_is_refused_and_not_repeated(appliance):
    with pytest.raises(Invalid) as refusal:
        check(appliance, ssh_keys=["-----BEGIN OPENSSH PRIVATE KEY-----\n" + CANARY])
    assert CANARY not in str(refusal.value) + refusal.value.why


def test_user_data_is_capped(appliance):
    with pytest.raises(TooLarge):
        check(appliance, user_data="#cloud-config\n" + "x" * 65_536)


@pytest.mark.parametrize("method", ["dd", "", 7])
def test_a_clean_names_its_method(appliance, method):
    with pytest.raises(Invalid):
        check(appliance, Verb.CLEAN, method=method)


def test_user_data_is_looked_at_outside_the_transaction(appliance, monkeypatch):
    """64 KiB of YAML take a second; on SQLite every other writer would wait."""
    spec = {"image": "debian", "user_data": USER_DATA}
    examined = deployment.examine(appliance.database, appliance.images, "n1", spec)
    monkeypatch.setattr(deployment.userdata, "validate", lambda *_: pytest.fail("validated under the lock"))
    check(appliance, examined=examined, user_data=USER_DATA)
    assert CANARY not in repr(examined)


def test_an_examination_of_other_user_data_does_not_count(appliance):
    spec = {"image": "debian", "user_data": USER_DATA}
    examined = deployment.examine(appliance.database, appliance.images, "n1", spec)
    with pytest.raises(Invalid):
        check(appliance, examined=examined, user_data="#cloud-config\na: [\n")


def test_a_rebuild_keeps_what_it_does_not_name(appliance):
    check(appliance, ssh_keys=[KEY], user_data=USER_DATA)
    check(appliance, Verb.REBUILD, network_data={"links": []})
    assert base64.b64decode(hidden(appliance)["user_data"]).decode() == USER_DATA
    assert hidden(appliance)["network_data"] == {"links": []}
    with appliance.database.read() as session:
        assert nodes.fetch(session, "n1").instance["ssh_keys"] == [KEY]


def write_params(appliance):
    with appliance.database.write() as session:
        node = nodes.fetch(session, "n1")
        return deployment.write_params(session, appliance.vault, appliance.images, node, http_port=8080, now=NOW)


def test_what_the_agent_is_told_in_the_clear_holds_no_secret(appliance):
    check(appliance, ssh_keys=[KEY], user_data=USER_DATA)
    public, sealed = write_params(appliance)
    assert public["base_url"].startswith("http://10.77.0.1:8080/image/")
    assert CANARY not in str(public)
    assert CANARY.encode() not in sealed
    with appliance.database.read() as session:
        node = nodes.fetch(session, "n1")
        opened = orjson.loads(appliance.vault.open(sealed, f"node:{node.uuid}:command"))
        assert CANARY.encode() in base64.b64decode(opened["config_drive"])
        assert node.call_home_hash not in str(public)


def test_an_image_that_went_meanwhile_is_named(appliance):
    check(appliance)
    with appliance.database.write() as session:
        session.delete(session.scalars(select(Image).where(Image.name == "debian")).one())
    with pytest.raises(Conflict, match="gone"):
        write_params(appliance)


def test_a_machine_that_never_booted_from_us_is_told_no_address(appliance):
    check(appliance)
    with appliance.database.write() as session:
        nodes.fetch(session, "n1").appliance_address = None
    with pytest.raises(Conflict, match="never seen"):
        write_params(appliance)

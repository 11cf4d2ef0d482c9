"""A deploy's wishes: refused before anything is powered, and secret from then on."""

import base64
import gzip

import orjson
import pytest
from sqlalchemy import select, text

from appliance.domain.errors import Conflict, Invalid, TooLarge
from appliance.domain.lifecycle import Verb
from appliance.models.image import Image
from appliance.models.node import Inventory, Node
from appliance.services import config_drive, deployment, images, instance_secrets, nodes, rescue
from images import configdrive
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
        return orjson.loads(appliance.vault.open(node.instance_secret, instance_secrets.context(node)))


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


DRIVE = base64.b64encode(gzip.compress(configdrive.build({"uuid": "u"}, None, USER_DATA.encode()))).decode()
ERASE = {"interface": "deploy", "step": "erase_devices", "args": {}, "priority": 90}


def test_a_drive_of_their_own_is_written_as_it_came_and_never_calls_home(appliance):
    kept = check(appliance, configdrive=DRIVE)
    assert kept["call_home"] is False
    _, sealed = write_params(appliance)
    with appliance.database.read() as session:
        node = nodes.fetch(session, "n1")
        opened = orjson.loads(appliance.vault.open(sealed, f"node:{node.uuid}:command"))
        assert CANARY not in str(node.instance)
    assert (opened["config_drive_gzip"], "config_drive" in opened) == (DRIVE, False)


def test_a_drive_that_lies_elsewhere_is_fetched_by_the_flow(appliance):
    kept = check(appliance, configdrive="https://203.0.113.9/" + CANARY)
    assert (kept["drive"], CANARY in str(kept)) == ("url", False)


def test_a_rebuild_writes_the_same_drive_again_unless_it_says_more(appliance):
    check(appliance, configdrive=DRIVE)
    assert check(appliance, Verb.REBUILD)["call_home"] is False
    assert check(appliance, Verb.REBUILD, hostname="web2")["call_home"] is False, "as before, unless it is asked"
    with appliance.database.read() as session:
        assert config_drive.kind_of(session, nodes.fetch(session, "n1")) is None
    assert check(appliance, Verb.REBUILD, call_home=True)["call_home"] is True


@pytest.mark.parametrize(
    ("more", "value"), [("user_data", USER_DATA), ("ssh_keys", [KEY]), ("hostname", "a"), ("network_data", {})]
)
def test_what_goes_into_a_drive_excludes_one_of_their_own(appliance, more, value):
    with pytest.raises(Invalid, match=f"configdrive and {more} exclude each other"):
        check(appliance, configdrive=DRIVE, **{more: value})


@pytest.mark.parametrize(
    ("spec", "match"),
    [
        ({"configdrive": DRIVE, "call_home": True}, "cannot tell|needs a config-drive of ours"),
        ({"call_home": "yes"}, "call_home"),
        ({"call_home": False, "boot": "kexec"}, "kexec"),
        ({"configdrive": DRIVE, "boot": "kexec"}, "kexec"),
        ({"configdrive": "not base64!"}, "base64"),
        ({"deploy_steps": "erase"}, "deploy_steps"),
        ({"deploy_steps": [{"interface": "raid", "step": "magic", "priority": 90}]}, "not support this deploy step"),
        ({"deploy_steps": [ERASE | {"priority": 70}]}, "erase the image"),
        ({"image": "https://example.com/debian.qcow2"}, "needs a checksum"),
        ({"image": "file:///etc/shadow", "checksum": "sha256:" + "0" * 64}, "plain http"),
        ({"image": "debian", "checksum": "sha256:" + "0" * 64}, "fetched from a URL"),
    ],
)  # fmt: skip
def test_wishes_that_cannot_be_met_are_refused_before_anything_is_powered(appliance, spec, match):
    with pytest.raises(Invalid, match=match):
        check(appliance, **spec)


def test_deploy_steps_surround_the_image(appliance):
    after = {"interface": "power", "step": "wait", "args": {"seconds": 5}, "priority": 60}
    plan = check(appliance, deploy_steps=[after, ERASE])["plan"]
    assert [step["step"] for step in plan] == ["erase_devices", "write_image", "wait"]


@pytest.mark.parametrize("form", ["{}", "glance://{}", "https://localhost:8443/image/v2/images/{}/file"])
def test_an_image_is_named_as_clients_name_it(appliance, form):
    with appliance.database.read() as session:
        uuid = images.fetch(session, "debian").uuid
    assert check(appliance, image=form.format(uuid))["image"] == "debian"


def make_fake(appliance):
    with appliance.database.write() as session:
        nodes.fetch(session, "n1").driver = "fake"
        nodes.fetch(session, "n1").driver_options = {"deploy_interface": "fake"}


@pytest.mark.parametrize("image", [None, "http://example.com/x.img", "nobody-knows-it", "debian"])
def test_hardware_that_is_not_there_is_deployed_with_any_image_and_with_none(appliance, image):
    make_fake(appliance)
    assert check(appliance, image=image, configdrive="QUJD", deploy_steps=[])["image"] == image


def test_hardware_that_is_not_there_has_steps_of_its_own(appliance):
    make_fake(appliance)
    """Nobody reads their arguments, so those are not kept in the work that is begun: there may be secrets in them."""
    step = {"interface": "raid", "step": "create_configuration", "args": {"raid_config": {"password": "canary"}}}
    assert check(appliance, Verb.CLEAN, clean_steps=[step])["plan"] == [step | {"args": {}}]
    with pytest.raises(Invalid, match="no argument 'colour'"):
        check(appliance, Verb.CLEAN, clean_steps=[step | {"args": {"colour": 1}}])


def test_a_clean_by_steps(appliance):
    step = {"interface": "deploy", "step": "erase_devices_metadata"}
    kept = check(appliance, Verb.CLEAN, clean_steps=[step])
    assert kept == {"plan": [step | {"args": {}}], "disable_ramdisk": False}


@pytest.mark.parametrize(
    ("verb", "spec", "match"),
    [
        (Verb.CLEAN, {"clean_steps": [], "method": "shred"}, "exclude each other"),
        (Verb.CLEAN, {"disable_ramdisk": True}, "needs clean_steps"),
        (Verb.CLEAN, {"clean_steps": [ERASE], "disable_ramdisk": True}, "needs the ramdisk"),
        (Verb.SERVICE, {}, "service_steps"),
        (Verb.SERVICE, {"service_steps": [ERASE]}, "does not support this service step"),
        (Verb.SERVICE, {"service_steps": [{"step": "hold"}], "disable_ramdisk": 1}, "disable_ramdisk"),
        (Verb.UNHOLD, {"x": 1}, "unknown field"),
        (Verb.RESCUE, {}, "rescue_password"),
        (Verb.RESCUE, {"rescue_password": ""}, "rescue_password"),
        (Verb.RESCUE, {"rescue_password": "a\nb"}, "rescue_password"),
        (Verb.RESCUE, {"rescue_password": 7}, "rescue_password"),
    ],
)
def test_other_verbs_are_checked_too(appliance, verb, spec, match):
    with pytest.raises(Invalid, match=match):
        check(appliance, verb, **spec)


def test_a_rescue_password_is_hashed_outside_the_transaction_and_goes_with_the_rescue(appliance, monkeypatch):
    spec = {"rescue_password": CANARY}
    examined = deployment.examine(appliance.database, appliance.images, "n1", spec)
    assert CANARY not in repr(examined)
    monkeypatch.setattr(rescue.shadow, "hashed", lambda *_: pytest.fail("hashed under the lock"))
    assert check(appliance, Verb.RESCUE, examined=examined, **spec) == {}
    with appliance.database.write() as session:
        node = nodes.fetch(session, "n1")
        sealed = rescue.params(appliance.vault, node)
        opened = orjson.loads(appliance.vault.open(sealed, f"node:{node.uuid}:command"))
        assert opened["password_hash"].startswith("$6$")
        assert CANARY not in str(opened)
        rescue.forget(appliance.vault, node)
        rescue.forget(appliance.vault, node)
        with pytest.raises(Conflict, match="gone"):
            rescue.params(appliance.vault, node)


def test_a_rescue_keeps_the_secrets_of_the_instance(appliance):
    check(appliance, user_data=USER_DATA)
    check(appliance, Verb.RESCUE, rescue_password="x")
    assert base64.b64decode(hidden(appliance)["user_data"]).decode() == USER_DATA


def test_a_drive_is_looked_into_outside_the_transaction(appliance, monkeypatch):
    spec = {"image": "debian", "configdrive": DRIVE}
    examined = deployment.examine(appliance.database, appliance.images, "n1", spec)
    assert CANARY not in repr(examined)
    monkeypatch.setattr(configdrive, "unpack", lambda *_: pytest.fail("unfolded under the lock"))
    check(appliance, examined=examined, configdrive=DRIVE)


def test_a_call_may_be_hoped_for(appliance):
    assert check(appliance, call_home="hoped")["call_home"] == "hoped"
    assert check(appliance, Verb.REBUILD)["call_home"] == "hoped"
    assert check(appliance, configdrive=DRIVE, call_home="hoped")["call_home"] is False


def test_a_machine_that_is_never_switched_off_refuses_the_step(appliance):
    with appliance.database.write() as session:
        nodes.fetch(session, "n1").keeps_power = True
    with pytest.raises(Invalid, match="power_off"):
        check(appliance, Verb.SERVICE, service_steps=[{"step": "power_off"}])
    check(appliance, Verb.SERVICE, service_steps=[{"step": "reboot"}])


URL, SIGNED = "https://example.com/debian.qcow2", f"https://example.com/debian.qcow2?sig={CANARY}"


def test_an_image_behind_a_url_is_fetched_by_the_work_and_its_address_is_sealed(appliance):
    kept = check(appliance, image=SIGNED, checksum="sha256:" + "A" * 64, image_format="qcow2", user_data=USER_DATA)
    assert (kept["image"], kept["image_uuid"]) == (URL, None)
    assert kept["source"]["checksum"] == ["sha256", "a" * 64]
    assert hidden(appliance)["source"]["url"] == SIGNED
    assert CANARY not in str(kept)
    test_no_table_holds_user_data_in_the_clear(appliance)


def test_a_rebuild_that_names_no_image_fetches_the_one_that_never_came(appliance):
    first = check(appliance, image=SIGNED, checksum="https://example.com/SUMS", image_format="raw")
    again = check(appliance, verb=Verb.REBUILD)
    assert again["source"] == first["source"]
    assert hidden(appliance)["source"]["checksum"] == "https://example.com/SUMS"


def test_another_image_forgets_the_address(appliance):
    check(appliance, image=SIGNED, checksum="sha256:" + "a" * 64)
    kept = check(appliance, verb=Verb.REBUILD, image="debian")
    assert "source" not in kept
    assert "source" not in hidden(appliance)

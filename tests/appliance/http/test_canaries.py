"""Canaries of the three OpenStack faces: a secret that was given is found in no answer, table or log, in the clear.

Each is planted under every name that a client may give it, in requests that succeed and in requests that are refused.
"""

import base64
import json
import logging
from urllib.parse import quote

import pytest
from sqlalchemy import text

from appliance.main.packing import checker
from appliance.models.database import Base
from images import fetch
from tests.fakes import ironic_things as things

BMC_SECRETS = (
    "ipmi_password",
    "ipmi_hex_kg_key",
    "redfish_password",
    "snmp_auth_key",
    "snmp_priv_key",
    "snmp_community",
    "snmp_community_read",
    "snmp_community_write",
    "ssh_password",
    "ssh_key_contents",
    "irmc_password",
    "drac_password",
    "auth_token",
    "console_passphrase",
)


class Field:
    """Requests of an admin to the whole app, and all that it answered."""

    def __init__(self, appliance):
        self.app = appliance.operators()
        self.client, self.token = self.app.test_client(), appliance.token()
        self.planted, self.answers = {}, []

    def canary(self, name):
        """A new secret; it is looked for in the end."""
        self.planted[name] = f"canary.{name}.7f3Q"
        return self.planted[name]

    def ask(self, method, path, body=None, *, gives=(), status=None, headers=None, **more):
        """gives: canaries that this answer alone may hold, for it is how the caller gets them."""
        sent = {"X-Auth-Token": self.token, "X-OpenStack-Ironic-API-Version": "1.110"} | (headers or {})
        if body is not None and "data" not in more:
            more["json"] = body
        answer = self.client.open(path, method=method, headers=sent, buffered=True, **more)
        assert answer.status_code < 500, (method, path, answer.get_data(as_text=True))
        assert status in (None, answer.status_code), (method, path, answer.status_code, answer.get_data(as_text=True))
        self.answers.append((f"{method} {path}", str(answer.headers) + answer.get_data(as_text=True), gives))
        return answer

    def look(self, *paths):
        for path in paths:
            self.ask("GET", path)

    def leaks(self, database, log):
        """Where each canary was found."""
        places = [(where, said, gives) for where, said, gives in self.answers] + [("the log", log, ())]
        with database.read() as session:
            for table in Base.metadata.sorted_tables:
                for row in session.execute(text(f'SELECT * FROM "{table.name}"')).mappings():
                    for column, value in row.items():
                        raw = bytes(value).decode("latin-1") if isinstance(value, bytes | memoryview) else value
                        said = raw if isinstance(raw, str) else json.dumps(raw, default=str)
                        places.append((f"table {table.name}.{column}", said, ()))
        for name, canary in self.planted.items():
            for spelling in {canary, base64.b64encode(canary.encode()).decode().rstrip("="), quote(canary)}:
                for where, said, gives in places:
                    if spelling in said and name not in gives:
                        yield f"{name}: {where}"


@pytest.fixture
def field(appliance):
    return Field(appliance)


@pytest.fixture
def found(field, database, caplog):
    """Call it at the end: all leaks."""
    caplog.set_level(logging.DEBUG)
    return lambda: sorted(set(field.leaks(database, caplog.text)))


NODE = "/baremetal/v1/nodes"
SIDES = (
    "",
    "/states",
    "/validate",
    "/history",
    "/inventory",
    "/vifs",
    "/traits",
    "/ports",
    "/bios",
    "/firmware",
    "/volume",
    "/vmedia",
    "/children",
    "/allocation",
    "/states/console",
)


def look_at_node(field, ref):
    field.look(
        *(f"{NODE}/{ref}{side}" for side in SIDES),
        f"{NODE}/detail",
        NODE,
        f"{NODE}?fields=uuid,driver_info,instance_info,last_error,driver_internal_info",
        "/v1/events?last=500",
        "/v1/nodes",
        "/v1/flows?state=all",
        f"/v1/nodes/{ref}",
        f"/v1/nodes/{ref}/timeline",
        f"/v1/nodes/{ref}/why",
    )
    for flow in field.ask("GET", "/v1/flows?state=all").get_json()["items"]:
        field.ask("GET", f"/v1/flows/{flow['uuid']}")


def test_secrets_that_the_native_face_is_given(field, found):
    bmc = {"address": "10.77.0.201", "username": "admin", "password": field.canary("bmc")}
    node = {"name": "n1", "driver": "ipmi", "bmc": bmc, "driver_options": {"password": field.canary("option")}}
    field.ask("POST", "/v1/nodes", node, status=400)
    field.ask("POST", "/v1/nodes", node | {"name": "n2", "driver": "fake", "bmc": {}}, status=400)
    field.ask("POST", "/v1/nodes", node | {"driver_options": {}}, status=201)
    field.ask("POST", "/v1/nodes/bulk", {"nodes": [node, node, node | {"bmc": [bmc]}, {"bmc": bmc}]}, status=200)
    field.ask("POST", "/v1/nodes", node | {"bmc": {"password": [field.canary("bmc-list")]}})
    field.ask("PATCH", "/v1/nodes/n1", {"bmc": {"password": field.canary("bmc-2")}, "version": 99})
    look_at_node(field, "n1")
    assert found() == []


@pytest.mark.parametrize("driver", ["ipmi", "redfish", "fake-hardware"])
def test_secrets_of_driver_info(field, found, driver):
    info = {name: field.canary(f"{driver}.{name}") for name in BMC_SECRETS}
    info["deep"] = {"list": [{"password": field.canary("deep")}]}
    if driver != "fake-hardware":
        prefix = "https://" if driver == "redfish" else ""
        info |= {f"{driver}_address": f"{prefix}10.77.0.201", f"{driver}_username": "root"}
    body = {"driver": driver, "name": "n1", "driver_info": info}
    field.ask("POST", NODE, body, status=201)
    field.ask("POST", NODE, body, status=409)
    field.ask("POST", NODE, body | {"name": "n2", "colour": 1}, status=400)
    field.ask("POST", NODE, body | {"name": "no name"}, status=400)
    field.ask("POST", NODE, {"driver": driver, "driver_info": [info]}, status=400)
    field.ask("POST", NODE, {"driver": "nothing", "driver_info": info}, status=400)
    for name in info:
        field.ask("PATCH", f"{NODE}/n1", [{"op": "test", "path": f"/driver_info/{name}", "value": info[name]}])
        field.ask("PATCH", f"{NODE}/n1", [{"op": "add", "path": f"/driver_info/{name}/x", "value": info[name]}])
        field.ask(
            "PATCH", f"{NODE}/n1", [{"op": "replace", "path": f"/driver_info/{name}", "value": info[name]}], status=200
        )
    too_long = field.canary("too-long") + "x" * 5000
    for name in ("ipmi_password", "redfish_password"):
        for value in (too_long, [too_long], {"a": too_long}, too_long[:30] + "\0"):
            field.ask("PATCH", f"{NODE}/n1", [{"op": "replace", "path": f"/driver_info/{name}", "value": value}])
    look_at_node(field, "n1")
    assert found() == []


def test_secrets_of_instances(field, found, database, appliance):
    """Config-drives, user-data, rescue passwords and addresses with a password, in verbs that are done and refused."""
    uuid = things.node(database)
    drive = {
        "user_data": f"#cloud-config\nx: {field.canary('user-data')}\n",
        "meta_data": {"k": field.canary("meta")},
        "vendor_data": {"k": field.canary("vendor")},
        "network_data": {"links": [field.canary("network")]},
    }
    url = f"https://user:{field.canary('url')}@images.example/x.raw?sig={field.canary('signature')}"
    field.ask(
        "PATCH",
        f"{NODE}/{uuid}",
        [
            {"op": "add", "path": "/instance_info/configdrive", "value": field.canary("drive-by-patch")},
            {"op": "add", "path": "/instance_info/adminPass", "value": field.canary("admin-pass")},
            {"op": "add", "path": "/instance_info/image_pull_secret", "value": field.canary("pull-secret")},
        ],
        status=200,
    )
    for name in ("image_source", "kernel"):
        field.ask(
            "PATCH", f"{NODE}/{uuid}", [{"op": "add", "path": f"/instance_info/{name}", "value": url}], status=400
        )
        field.ask(
            "PATCH", f"{NODE}/{uuid}", [{"op": "add", "path": f"/driver_info/{name}", "value": [url]}], status=400
        )
    provision = f"{NODE}/{uuid}/states/provision"
    look_at_node(field, uuid)
    field.ask("PUT", provision, {"target": "active", "configdrive": drive})
    field.ask("PUT", provision, {"target": "active", "configdrive": drive | {"colour": field.canary("part")}})
    field.ask("PUT", provision, {"target": "active", "configdrive": [field.canary("list")]})
    field.ask("PUT", provision, {"target": "active", "configdrive": url})
    field.ask(
        "PUT", provision, {"target": "active", "configdrive": base64.b64encode(b"canary.user-data.7f3Q").decode()}
    )
    field.ask("PUT", provision, {"target": "rescue", "rescue_password": field.canary("rescue-early")})
    field.ask("PUT", provision, {"target": "active", "rescue_password": field.canary("rescue-astray")})
    field.ask("POST", f"/v1/nodes/{uuid}/deploy", {"image": url, "user_data": drive["user_data"]})
    field.ask("POST", f"/v1/nodes/{uuid}/deploy", {"configdrive": drive, "password": field.canary("native")})
    look_at_node(field, uuid)
    active = things.node(database, name="n2", provision_state="active")
    for password in (field.canary("rescue"), field.canary("rescue-line") + "\n", [field.canary("rescue-list")]):
        field.ask("PUT", f"{NODE}/{active}/states/provision", {"target": "rescue", "rescue_password": password})
    third = things.node(database, name="n3", provision_state="active")
    field.ask("POST", f"/v1/nodes/{third}/rescue", {"rescue_password": field.canary("rescue-native")}, status=202)
    look_at_node(field, active)
    look_at_node(field, third)
    assert found() == []


def test_secrets_of_a_deployed_fake(field, found, database):
    """What was accepted is kept for the machine: sealed, also in the work that was begun."""
    uuid = things.node(database)
    field.ask("PATCH", f"{NODE}/{uuid}", [{"op": "add", "path": "/instance_info/image_source", "value": "x"}])
    drive = {"user_data": f"#cloud-config\nx: {field.canary('data')}\n", "meta_data": {"k": field.canary("meta")}}
    steps = [
        {
            "interface": "deploy",
            "step": "erase_devices_metadata",
            "args": {"password": field.canary("step")},
            "priority": 10,
        }
    ]
    field.ask("PUT", f"{NODE}/{uuid}/states/provision", {"target": "active", "configdrive": drive})
    look_at_node(field, uuid)
    second = things.node(database, name="n2", provision_state="manageable")
    body = {"target": "clean", "clean_steps": [{key: value for key, value in steps[0].items() if key != "priority"}]}
    field.ask("PUT", f"{NODE}/{second}/states/provision", body)
    look_at_node(field, second)
    assert found() == []


def test_secrets_of_a_runbook_that_is_run(field, found, database):
    """The steps are run as they were given, and what was secret in them stays so in the work that was begun."""
    options = {"deploy_interface": "fake"}
    uuid = things.node(database, provision_state="manageable", traits=["CUSTOM_A"], driver_options=options)
    args = {"settings": [{"name": "AdminPassword", "admin_password": field.canary("setting")}]}
    step = {"interface": "bios", "step": "apply_configuration", "args": args, "order": 1}
    field.ask("POST", "/baremetal/v1/runbooks", {"name": "CUSTOM_A", "steps": [step]}, status=201)
    patch = [{"op": "replace", "path": "/steps/0/order", "value": 2}]
    field.ask("PATCH", "/baremetal/v1/runbooks/CUSTOM_A", patch, status=200)
    body = {"target": "clean", "runbook": "CUSTOM_A"}
    field.ask("PUT", f"{NODE}/{uuid}/states/provision", body, status=202)
    look_at_node(field, uuid)
    assert found() == []


def test_what_a_sensitive_inspection_rule_asks_and_does(field, found):
    where = "/baremetal/v1/inspection_rules"
    action = {"op": "set-attribute", "args": {"path": "/extra/key", "value": field.canary("action")}}
    condition = {"op": "eq", "args": {"values": ["{inventory[key]}", field.canary("condition")]}}
    rule = {"actions": [action], "conditions": [condition], "sensitive": True}
    uuid = field.ask("POST", where, rule, status=201).get_json()["uuid"]
    field.ask("POST", where, rule | {"uuid": uuid}, status=409)
    field.ask("POST", where, rule | {"priority": -1}, status=400)
    field.ask("PATCH", f"{where}/{uuid}", [{"op": "add", "path": "/actions/-", "value": action}], status=200)
    field.ask("PATCH", f"{where}/{uuid}", [{"op": "replace", "path": "/priority", "value": -1}], status=400)
    field.ask("PATCH", f"{where}/{uuid}", [{"op": "replace", "path": "/sensitive", "value": False}], status=400)
    field.look(where, f"{where}?detail=True", f"{where}/{uuid}", f"{where}/{uuid}?fields=actions,conditions")
    assert found() == []


def test_secrets_of_things_on_the_shelf(field, found, database):
    uuid = things.node(database)
    secret = {"auth_password": field.canary("chap"), "auth_username": "u", "deep": {"secret": field.canary("deep")}}
    target = {"node_uuid": uuid, "volume_type": "iscsi", "volume_id": "v", "boot_index": 0, "properties": secret}
    made = field.ask("POST", "/baremetal/v1/volume/targets", target, status=201).get_json()["uuid"]
    field.ask("POST", "/baremetal/v1/volume/targets", target, status=409)
    field.ask("POST", "/baremetal/v1/volume/targets", target | {"colour": 1}, status=400)
    field.ask(
        "PATCH",
        f"/baremetal/v1/volume/targets/{made}",
        [{"op": "replace", "path": "/properties/auth_password", "value": field.canary("chap-2")}],
    )
    args = {"password": field.canary("step"), "url": "https://x.example"}
    step = {"interface": "deploy", "step": "x", "args": args}
    for kind, number in (("deploy_templates", "priority"), ("runbooks", "order")):
        body = {"name": "CUSTOM_A", "steps": [step | {number: 1}]}
        field.ask("POST", f"/baremetal/v1/{kind}", body, status=201)
        field.ask("POST", f"/baremetal/v1/{kind}", body, status=409)
        field.ask("POST", f"/baremetal/v1/{kind}", body | {"steps": [step | {number: "x"}]}, status=400)
        field.look(f"/baremetal/v1/{kind}", f"/baremetal/v1/{kind}?detail=True", f"/baremetal/v1/{kind}/CUSTOM_A")
    field.look(
        "/baremetal/v1/volume/targets?detail=True",
        f"/baremetal/v1/volume/targets/{made}",
        "/v1/events?last=500",
        f"{NODE}/{uuid}/volume/targets?detail=True",
    )
    field.ask(
        "POST",
        f"{NODE}/{uuid}/vmedia",
        {
            "device_type": "CDROM",
            "image_url": "https://x.example/i.iso",
            "username": "u",
            "password": field.canary("vmedia"),
        },
    )
    field.ask("DELETE", f"/baremetal/v1/volume/targets/{made}")
    assert found() == []


def test_secrets_of_people(field, found, database):
    password, other = field.canary("password") + "Aa1!", field.canary("password-2") + "Aa1!"
    users = "/identity/v3/users"
    made = field.ask("POST", users, {"user": {"name": "bob", "password": password}}, status=201).get_json()["user"]
    field.ask("POST", users, {"user": {"name": "bob", "password": password}}, status=409)
    field.ask("POST", users, {"user": {"name": 5, "password": password}}, status=400)
    field.ask("POST", users, {"user": {"name": "x", "password": {"a": password}}}, status=400)
    field.ask("PATCH", f"{users}/{made['id']}", {"user": {"password": [other]}}, status=400)
    field.ask("POST", f"{users}/{made['id']}/password", {"user": {"password": other, "original_password": other}})
    mine = {"user": {"password": other, "original_password": password}}
    field.ask("POST", f"{users}/{made['id']}/password", mine, status=204)
    field.ask("POST", "/v1/login", {"username": "bob", "password": password}, status=401)
    field.ask("POST", "/v1/login", {"username": "bob", "password": [other]})
    field.ask("POST", "/v1/password", {"old": password, "new": other})
    own = {"user": {"name": "bob", "domain": {"id": "default"}, "password": password}}
    tokens = "/identity/v3/auth/tokens"
    for proof in (
        own,
        {"user": own["user"] | {"id": 5}},
        {"user": [password]},
        {"user": own["user"] | {"name": password}},
    ):
        field.ask("POST", tokens, {"auth": {"identity": {"methods": ["password"], "password": proof}}})
    own["user"]["password"] = other
    answer = field.ask(
        "POST", tokens, {"auth": {"identity": {"methods": ["password"], "password": own}}}, gives={"token"}, status=201
    )
    token = field.planted["token"] = answer.headers["X-Subject-Token"]
    field.ask("GET", tokens, headers={"X-Subject-Token": token}, gives={"token"})
    field.ask("GET", tokens, headers={"X-Auth-Token": token[:-4] + "AAAA", "X-Subject-Token": token}, status=401)
    field.planted["cut token"] = token[:-8]
    for path in (users, NODE, "/image/v2/images", "/v1/nodes"):
        field.ask("GET", path, headers={"X-Auth-Token": token[:-8] + "AAAAAAAA"}, status=401)
        field.ask("GET", f"{path}?token={token}", gives={"token", "cut token"})  # a link repeats its own query
    field.planted.pop("cut token")
    field.ask("DELETE", tokens, headers={"X-Subject-Token": token}, status=204)
    field.look(users, f"{users}/{made['id']}", "/v1/events?last=500", "/identity/v3/role_assignments?include_names")
    assert found() == []


def test_secrets_of_application_credentials(field, found, appliance):
    token, project = appliance.project_token()
    field.token, admin = token, field.token
    me = field.ask("GET", "/identity/v3/auth/tokens", headers={"X-Subject-Token": token}).get_json()["token"]["user"][
        "id"
    ]
    path = f"/identity/v3/users/{me}/application_credentials"
    secret = field.canary("credential")
    body = {"application_credential": {"name": "c", "secret": secret}}
    made = field.ask("POST", path, body, gives={"credential"}, status=201).get_json()["application_credential"]
    field.ask("POST", path, body, status=409)
    field.ask("POST", path, {"application_credential": {"name": "d", "secret": [secret]}}, status=400)
    field.ask("POST", path, {"application_credential": {"name": "d", "secret": secret, "expires_at": "x"}}, status=400)
    for known in (secret, secret + "x", [secret]):
        proof = {"methods": ["application_credential"], "application_credential": {"id": made["id"], "secret": known}}
        field.ask("POST", "/identity/v3/auth/tokens", {"auth": {"identity": proof}})
    field.look(path, f"{path}/{made['id']}")
    field.token = admin
    field.look(f"/identity/v3/users/{me}", "/v1/events?last=500", f"/identity/v3/projects/{project}")
    assert found() == []


def test_secrets_of_image_addresses(field, found, appliance, monkeypatch):
    """A password in an address is refused; a signature opens the mirror, and nobody is shown it."""
    monkeypatch.setattr(appliance.images, "check_url", checker(fetch.Limits()))
    bad = f"https://user:{field.canary('url')}@9.9.9.9/x.raw"
    images = "/image/v2/images"
    made = field.ask("POST", images, {"name": "i", "disk_format": "raw", "container_format": "bare"}).get_json()["id"]
    url = f"https://9.9.9.9/x.raw?sig={field.canary('signature')}"
    for address in (url, bad):
        body = {"method": {"name": "web-download", "uri": address}}
        field.ask("POST", f"{images}/{made}/import", body | {"validation_data": 5}, status=400)
    field.ask("POST", f"{images}/{made}/import", body, status=400)
    body["method"]["uri"] = url
    field.ask("POST", f"{images}/{made}/import", body, status=202)
    field.ask("POST", f"{images}/{made}/import", body)
    appliance.settle()
    field.look(
        images, f"{images}/{made}", f"{images}/{made}/tasks", "/image/v2/tasks", "/v1/images", "/v1/events?last=500"
    )
    for number, address in enumerate((url, bad)):
        field.ask("POST", "/v1/images", {"name": f"j{number}", "url": address})
        field.ask("POST", "/v1/images", {"name": "k", "url": address, "colour": 1}, status=400)
    appliance.settle()
    field.look("/v1/images", "/v1/images/j0", images)
    assert found() == []

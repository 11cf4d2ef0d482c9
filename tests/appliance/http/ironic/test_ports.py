"""/v1/ports: attributes by version, filters, pages, patches, who sees and may do what."""

import pytest

from appliance.domain.access import Role
from tests.fakes import ironic_things as things
from tests.fakes.ironic_client import fault

MAC, OTHER = "52:54:00:77:00:01", "52:54:00:77:00:02"


@pytest.fixture
def node(database):
    return things.node(database, provision_state="manageable")


def make(ironic, node, address=MAC, **values):
    answer = ironic.post("/v1/ports", {"node_uuid": node, "address": address, **values})
    assert answer.status_code == 201, answer.get_json()
    return answer.get_json()


def test_a_port_is_shown_whole(ironic, node):
    made = ironic.post("/v1/ports", {"node_uuid": node, "address": MAC.upper(), "extra": {"a": 1}, "name": "eth0"})
    port = made.get_json()
    assert made.headers["Location"].endswith(f"/baremetal/v1/ports/{port['uuid']}")
    assert port == ironic.get(f"/v1/ports/{port['uuid']}").get_json() == ironic.get("/v1/ports/eth0").get_json()
    assert {key: port[key] for key in ("address", "node_uuid", "extra", "pxe_enabled", "updated_at", "category")} == {
        "address": MAC, "node_uuid": node, "extra": {"a": 1}, "pxe_enabled": True, "updated_at": None, "category": None,
    }  # fmt: skip
    assert port["links"][0]["href"].endswith(f"/v1/ports/{port['uuid']}")


@pytest.mark.parametrize(
    ("minor", "since"),
    [(1, set()), (18, {"internal_info"}), (19, {"pxe_enabled", "local_link_connection"}), (24, {"portgroup_uuid"}),
     (34, {"physical_network"}), (53, {"is_smartnic"}), (88, {"name"}), (97, {"description"}), (100, {"vendor"}),
     (101, {"category"}), (111, {"available_for_dynamic_portgroup"})],
)  # fmt: skip
def test_attributes_come_with_their_versions(ironic, node, minor, since):
    port = make(ironic, node)
    before = set(ironic.get(f"/v1/ports/{port['uuid']}", version=f"1.{max(1, minor - 1)}").get_json())
    now = set(ironic.get(f"/v1/ports/{port['uuid']}", version=f"1.{minor}").get_json())
    assert now - before == since
    for name in since - {"internal_info"}:
        answer = ironic.get(f"/v1/ports?fields={name}", version=f"1.{minor - 1}")
        assert answer.status_code == 406
        body = {"node_uuid": node, "address": OTHER, name: None}
        assert ironic.post("/v1/ports", body, version=f"1.{minor - 1}").status_code == 406


def test_a_port_may_be_kept_out_of_groups_that_others_form(ironic, node):
    port = make(ironic, node)
    assert port["available_for_dynamic_portgroup"] is True
    patch = [{"op": "replace", "path": "/available_for_dynamic_portgroup", "value": False}]
    assert ironic.patch(f"/v1/ports/{port['uuid']}", patch).get_json()["available_for_dynamic_portgroup"] is False
    assert make(ironic, node, OTHER, available_for_dynamic_portgroup=False)["available_for_dynamic_portgroup"] is False


def test_whose_port_has_an_address_is_for_those_who_see_the_node(appliance, client_for, database, ironic, node):
    make(ironic, node)
    token, project = appliance.project_token(Role.MANAGER)
    mine = things.node(database, name="mine", owner=project)
    refused = ironic.post("/v1/ports", {"node_uuid": mine, "address": MAC})
    assert "n1" in fault(refused)["faultstring"]
    hidden = client_for(token).post("/v1/ports", {"node_uuid": mine, "address": MAC})
    assert (refused.status_code, hidden.status_code) == (409, 409)
    assert "n1" not in fault(hidden)["faultstring"]


def test_a_node_is_named_by_its_name_since_94(ironic, node):
    assert ironic.post("/v1/ports", {"node_ident": "n1", "address": MAC}).status_code == 201
    assert ironic.post("/v1/ports", {"node_ident": "n1", "address": OTHER}, version="1.93").status_code == 406


@pytest.mark.parametrize(
    ("body", "status", "said"),
    [
        ({}, 400, "node_uuid"),
        ({"node_uuid": "NODE"}, 400, "'address' is a required property"),
        ({"node_uuid": "NODE", "address": "xx"}, 400, "MAC"),
        ({"node_uuid": "NODE", "address": OTHER, "colour": 1}, 400, "'colour' was unexpected"),
        ({"node_uuid": "NODE", "address": OTHER, "internal_info": {}}, 400, "unexpected"),
        ({"node_uuid": "1be26c0b-03f2-4d2e-ae87-c02d7f33c123", "address": OTHER}, 400, "could not be found"),
        ({"node_uuid": "NODE", "address": MAC}, 409, "already exists"),
        ({"node_uuid": "NODE", "address": OTHER, "extra": []}, 400, "object"),
        ({"node_uuid": "NODE", "address": OTHER, "pxe_enabled": "maybe"}, 400, "maybe"),
        ({"node_uuid": "NODE", "address": OTHER, "local_link_connection": {"switch_id": "x", "port_id": "y"}}, 400,
         "switch_id"),
        ({"node_uuid": "NODE", "address": OTHER, "local_link_connection": {"port_id": "y"}}, 400, "required"),
        ({"node_uuid": "NODE", "address": OTHER, "local_link_connection": {"port_id": 7}}, 400, "port_id is a text"),
        ({"node_uuid": "NODE", "address": OTHER, "local_link_connection": {"colour": 7}}, 400, "'colour'"),
        ({"node_uuid": "NODE", "address": OTHER, "is_smartnic": True}, 400, "Smart NIC"),
        ({"node_uuid": "NODE", "address": OTHER, "physical_network": ""}, 400, "non-empty"),
        ({"node_uuid": "NODE", "address": OTHER, "name": "a b"}, 400, "invalid"),
        ({"node_uuid": "NODE", "address": OTHER, "name": "taken"}, 409, "taken"),
        ({"node_uuid": "NODE", "address": OTHER, "portgroup_uuid": "1be26c0b-03f2-4d2e-ae87-c02d7f33c123"}, 400,
         "Portgroup"),
        ({"node_uuid": "NODE", "address": OTHER, "extra": {"x": "y" * 70000}}, 400, "larger"),
        ({"node_uuid": "NODE", "address": OTHER, "vendor": "v" * 33}, 400, "longer"),
    ],
)  # fmt: skip
def test_what_cannot_be_a_port_is_refused(ironic, node, body, status, said):
    make(ironic, node, name="taken")
    body = {key: node if value == "NODE" else value for key, value in body.items()}
    answer = ironic.post("/v1/ports", body)
    assert answer.status_code == status
    assert said in fault(answer)["faultstring"]
    assert len(ironic.get("/v1/ports").get_json()["ports"]) == 1


def test_a_switch_is_named_by_a_mac_or_a_datapath(ironic, node):
    link = {"switch_id": "0A:1B:2C:3D:4E:5F", "port_id": "Ethernet3/1", "switch_info": "switch1"}
    assert make(ironic, node, local_link_connection=link)["local_link_connection"]["switch_id"] == "0a:1b:2c:3d:4e:5f"
    assert make(ironic, node, OTHER, local_link_connection={"network_type": "unmanaged"})["local_link_connection"]


def test_a_patch_changes_removes_and_leaves(ironic, node):
    port = make(ironic, node, extra={"a": 1, "b": 2}, description="blue")
    answer = ironic.patch(
        f"/v1/ports/{port['uuid']}",
        [
            {"op": "replace", "path": "/address", "value": OTHER},
            {"op": "remove", "path": "/extra/a"},
            {"op": "add", "path": "/extra/c", "value": [3]},
            {"op": "remove", "path": "/description"},
            {"op": "add", "path": "/pxe_enabled", "value": False},
        ],
    )
    changed = answer.get_json()
    assert answer.status_code == 200
    assert changed["updated_at"] is not None
    expected = {"address": OTHER, "extra": {"b": 2, "c": [3]}, "description": None, "pxe_enabled": False}
    assert changed == {**port, **expected, "updated_at": changed["updated_at"]}


@pytest.mark.parametrize(
    ("operation", "status"),
    [
        ({"op": "replace", "path": "/uuid", "value": "x"}, 400),
        ({"op": "remove", "path": "/address"}, 400),
        ({"op": "replace", "path": "/internal_info", "value": {}}, 400),
        ({"op": "test", "path": "/extra", "value": {}}, 400),
        ({"op": "replace", "path": "/extra/nope", "value": 1}, 400),
        ({"op": "replace", "path": "/node_uuid", "value": "1be26c0b-03f2-4d2e-ae87-c02d7f33c123"}, 400),
        ({"op": "replace", "path": "/address", "value": OTHER}, 409),
    ],
)
def test_a_patch_that_cannot_be_is_refused(ironic, node, operation, status):
    port = make(ironic, node)
    make(ironic, node, OTHER)
    assert ironic.patch(f"/v1/ports/{port['uuid']}", [operation]).status_code == status
    assert ironic.get(f"/v1/ports/{port['uuid']}").get_json() == port


def test_a_port_moves_to_another_node(ironic, database, node):
    other = things.node(database, "n2")
    port = make(ironic, node)
    assert change(ironic, port, {"/node_uuid": other}).get_json()["node_uuid"] == other
    assert ironic.get(f"/v1/nodes/{other}/ports").get_json()["ports"][0]["uuid"] == port["uuid"]


def test_an_inspected_node_keeps_its_ports(ironic, database, node):
    port = make(ironic, node)
    things.change(database, node, provision_state="inspecting")
    assert change(ironic, port, {"/extra": {}}).status_code == 409


LINK = {"switch_id": "0a:1b:2c:3d:4e:5f", "port_id": "p"}
REWIRED = [{"/pxe_enabled": False}, {"/physical_network": "net"}, {"/local_link_connection": LINK}]


def change(ironic, port, values, **more):
    patch = [{"op": "add", "path": path, "value": value} for path, value in values.items()]
    return ironic.patch(f"/v1/ports/{port['uuid']}", patch, **more)


@pytest.mark.parametrize("state", ["available", "active", "deploying", "clean failed", "rescue"])
def test_a_port_of_a_node_in_use_is_rewired_in_maintenance_alone(ironic, database, node, state):
    port = make(ironic, node)
    things.change(database, node, provision_state=state)
    for values in REWIRED:
        refused = change(ironic, port, values)
        assert refused.status_code == 409
        assert fault(refused)["faultstring"].startswith(
            f"Port {port['uuid']} can not have any connectivity attributes (portgroup_uuid, pxe_enabled, "
            f"local_link_connection, physical_network) updated unless node {node} is in a enroll, inspecting, "
            f"inspect wait, manageable state or in maintenance mode. The current state is {state}."
        )
    assert ironic.get(f"/v1/ports/{port['uuid']}").get_json() == port
    assert change(ironic, port, {"/pxe_enabled": True, "/extra": {"a": 1}}).status_code == 200  # as it was
    things.change(database, node, maintenance=True)
    assert [change(ironic, port, values).status_code for values in REWIRED] == [200] * 3


@pytest.mark.parametrize("state", ["enroll", "manageable", "inspect wait"])
def test_a_port_of_a_node_that_nobody_uses_is_rewired(ironic, database, node, state):
    port = make(ironic, node)
    things.change(database, node, provision_state=state)
    assert [change(ironic, port, values).status_code for values in REWIRED] == [200] * 3


@pytest.mark.parametrize(
    "use", [{"provision_state": "active"}, {"instance_uuid": "1be26c0b-03f2-4d2e-ae87-c02d7f33c123"}]
)
def test_the_machine_of_an_instance_keeps_its_addresses(ironic, database, node, use):
    port = make(ironic, node)
    other = things.node(database, "n2", provision_state="manageable")
    things.change(database, node, **use)
    for values in ({"/address": OTHER}, {"/node_uuid": other}):
        refused = change(ironic, port, values)
        assert refused.status_code == 409
        assert (
            f"Cannot update hardware address for port {port['uuid']} as node {node} is active or has instance UUID "
            "assigned"
        ) in fault(refused)["faultstring"]
    things.change(database, node, maintenance=True)
    assert change(ironic, port, {"/address": OTHER}).get_json()["address"] == OTHER


def test_a_port_with_a_network_of_an_instance_stays(ironic, database, node):
    port = make(ironic, node)
    assert ironic.post(f"/v1/nodes/{node}/vifs", {"id": "v1", "port_uuid": port["uuid"]}).status_code == 204
    refused = ironic.delete(f"/v1/ports/{port['uuid']}")
    assert refused.status_code == 409
    said = f"Cannot delete the port {port['uuid']} as it is bound to VIF v1 for use."
    assert said in fault(refused)["faultstring"]
    things.change(database, node, maintenance=True)
    assert ironic.delete(f"/v1/ports/{port['uuid']}").status_code == 204
    assert ironic.get(f"/v1/nodes/{node}/vifs").get_json() == {"vifs": []}


def test_before_102_a_port_of_a_group_may_be_given_the_groups_network(ironic, node):
    group = ironic.post("/v1/portgroups", {"node_uuid": node}).get_json()["uuid"]
    first = make(ironic, node, portgroup_uuid=group)
    refused = change(ironic, first, {"/physical_network": "net"})
    assert (refused.status_code, "belongs to a portgroup" in fault(refused)["faultstring"]) == (400, True)
    assert change(ironic, first, {"/physical_network": "net"}, version="1.101").status_code == 200
    second = make(ironic, node, OTHER, portgroup_uuid=group, physical_network="net")
    assert change(ironic, second, {"/physical_network": "other"}, version="1.101").status_code == 409


def addresses(answer):
    assert answer.status_code == 200, answer.get_json()
    return [port["address"] for port in answer.get_json()["ports"]]


def test_lists_are_filtered(ironic, database, node):
    other = things.node(database, "n2", shard="s1", conductor_group="g1")
    group = ironic.post("/v1/portgroups", {"node_uuid": other, "name": "bond0"}).get_json()
    make(ironic, node, description="blue cable")
    make(ironic, other, OTHER, portgroup_uuid=group["uuid"])
    for query, expected in {
        "": [MAC, OTHER], "?node=n2": [OTHER], f"?node_uuid={node}": [MAC], f"?address={OTHER.upper()}": [OTHER],
        "?address=52:54:00:77:00:09": [], "?portgroup=bond0": [OTHER], "?shard=s1,s2": [OTHER],
        "?conductor_groups=g1": [OTHER], "?description_contains=BLUE": [MAC],
        "?sort_key=address&sort_dir=desc": [OTHER, MAC],
    }.items():  # fmt: skip
        assert addresses(ironic.get(f"/v1/ports{query}")) == expected, query
        assert addresses(ironic.get(f"/v1/ports/detail{query}")) == expected, query
    assert addresses(ironic.get("/v1/nodes/n2/ports")) == [OTHER]
    assert addresses(ironic.get("/v1/nodes/n2/ports/detail")) == [OTHER]
    assert addresses(ironic.get("/v1/portgroups/bond0/ports")) == [OTHER]


@pytest.mark.parametrize(
    ("query", "status", "version"),
    [
        ("?node=nope", 404, "1.110"), ("?node=n1&portgroup=x", 400, "1.110"), ("?shard=s", 406, "1.81"),
        ("?conductor_groups=g", 406, "1.98"), ("?conductor_groups=g&node=n1", 400, "1.110"),
        ("?sort_key=extra", 400, "1.110"), ("?limit=0", 400, "1.110"), ("?limit=abc", 400, "1.110"),
        ("?marker=1be26c0b-03f2-4d2e-ae87-c02d7f33c123", 404, "1.110"), ("?fields=colour", 400, "1.110"),
        ("?colour=blue", 400, "1.110"), ("?address=zz", 400, "1.110"), ("?detail=True&fields=uuid", 400, "1.110"),
        ("?sort_key=name", 406, "1.87"),
    ],
)  # fmt: skip
def test_a_list_that_cannot_be_is_refused(ironic, node, query, status, version):
    assert ironic.get(f"/v1/ports{query}", version=version).status_code == status


def test_pages_lead_to_the_next(ironic, node):
    for number in range(5):
        make(ironic, node, f"52:54:00:77:00:0{number}")
    first = ironic.get("/v1/ports?limit=2&fields=address").get_json()
    assert set(first["ports"][0]) == {"address", "links"}
    rest = ironic.get(first["next"].partition("/baremetal")[2]).get_json()
    assert len(first["ports"]) == len(rest["ports"]) == 2
    last = ironic.get(rest["next"].partition("/baremetal")[2]).get_json()
    assert len(last["ports"]) == 1
    assert "next" not in last


def test_a_port_goes(ironic, node):
    port = make(ironic, node)
    assert ironic.delete(f"/v1/ports/{port['uuid']}").status_code == 204
    assert ironic.get(f"/v1/ports/{port['uuid']}").status_code == 404
    assert ironic.delete(f"/v1/ports/{port['uuid']}").status_code == 404


def test_projects_see_what_hangs_on_their_nodes(appliance, client_for, ironic, database):
    token, project = appliance.project_token(Role.READER)
    mine, foreign = things.node(database, "mine", owner=project), things.node(database, "foreign")
    lent = things.node(database, "lent", lessee=project)
    ports = {make(ironic, uuid, f"52:54:00:77:00:0{n}")["uuid"]: uuid for n, uuid in enumerate((mine, foreign, lent))}
    client = client_for(token)
    assert len(client.get("/v1/ports").get_json()["ports"]) == 2
    for port, node in ports.items():
        seen = 404 if node == foreign else 200
        assert client.get(f"/v1/ports/{port}").status_code == seen
        assert client.get(f"/v1/nodes/{node}/ports").status_code == seen
        assert client.get(f"/v1/ports?node={node}").status_code == seen
        assert client.get(f"/v1/ports?marker={port}").status_code == seen
        forbidden = 404 if node == foreign else 403
        assert client.delete(f"/v1/ports/{port}").status_code == forbidden
        patch = [{"op": "add", "path": "/extra/a", "value": 1}]
        assert client.patch(f"/v1/ports/{port}", patch).status_code == forbidden
    body = {"node_uuid": mine, "address": "52:54:00:77:00:09"}
    assert client.post("/v1/ports", body).status_code == 403
    manager = client_for(appliance.project_token(Role.MANAGER)[0])
    assert manager.post("/v1/ports", body).status_code == 201
    assert manager.post("/v1/ports", {**body, "node_uuid": foreign}).status_code == 403
    move = [{"op": "replace", "path": "/node_uuid", "value": foreign}]
    own = next(port for port, node in ports.items() if node == mine)
    assert manager.patch(f"/v1/ports/{own}", move).status_code in (400, 403)

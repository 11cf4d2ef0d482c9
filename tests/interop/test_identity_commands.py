"""The identity commands of an OpenStack guide, as typed."""

import secrets

import pytest

from tests.fakes.serving import Appliance
from tests.interop.clients import Terminal

PASSWORD = "An-0perators-long-password"


@pytest.fixture
def name() -> str:
    """Nobody has it yet."""
    return f"n{secrets.token_hex(4)}"


@pytest.fixture
def project(typed: Terminal, name: str):
    made = typed.shows(f"openstack project create --domain default --description 'Rack 7' p{name}")
    yield made
    typed.does(f"openstack project delete {made['id']}")


@pytest.fixture
def user(typed: Terminal, name: str):
    made = typed.shows(f"openstack user create --domain default --password {PASSWORD} u{name}")
    yield made
    typed.does(f"openstack user delete {made['id']}")


def names(typed: Terminal, line: str, column: str = "Name") -> set[str]:
    return {one[column] for one in typed.shows(line)}


def as_user(name: str, project: str | None = None, password: str = PASSWORD) -> str:
    where = f"--os-project-name {project} " if project else ""
    return f"openstack --os-username {name} --os-password {password} {where}"


# -- tokens


def test_token_issue(typed: Terminal):
    issued = typed.shows("openstack token issue")
    assert set(issued) == {"expires", "id", "project_id", "user_id"}
    assert issued["expires"].endswith("+0000")


def test_token_of_the_system(typed: Terminal):
    assert typed.shows("openstack token issue", cloud="rackwright-system")["system"] == "all"


def test_token_revoke(typed: Terminal, cloud: Appliance):
    issued = typed.shows("openstack token issue")
    with_it = {
        "OS_AUTH_TYPE": "token", "OS_AUTH_URL": f"{cloud.url}/identity/v3", "OS_CACERT": str(cloud.ca),
        "OS_TOKEN": issued["id"], "OS_PROJECT_ID": issued["project_id"],
    }  # fmt: skip
    typed.does("openstack project list", variables=with_it)
    typed.does(f"openstack token revoke {issued['id']}")
    assert typed("openstack project list", variables=with_it).code == 1


# -- services and endpoints


def test_service(typed: Terminal, name: str):
    made = typed.shows(f"openstack service create --name {name} --description 'Tape robots' tape-{name}")
    assert (made["type"], made["enabled"]) == (f"tape-{name}", True)
    assert name in names(typed, "openstack service list")
    typed.does(f"openstack service set --disable {name}")
    assert typed.shows(f"openstack service show {name}")["enabled"] is False
    typed.does(f"openstack service delete {name}")
    assert name not in names(typed, "openstack service list")


@pytest.mark.parametrize("interface", ["public", "internal", "admin"])
def test_endpoint(typed: Terminal, name: str, interface: str):
    typed.does(f"openstack service create --name {name} tape-{name}")
    url = "https://tape.example.net:9000/v1"
    made = typed.shows(f"openstack endpoint create --region RegionOne {name} {interface} {url}")
    assert (made["interface"], made["region"], made["url"], made["enabled"]) == (interface, "RegionOne", url, True)
    listed = typed.shows(f"openstack endpoint list --service {name}")
    assert [one["ID"] for one in listed] == [made["id"]]
    catalogue = {one["Name"]: one["Endpoints"] for one in typed.shows("openstack catalog list")}
    assert [one["url"] for one in catalogue[name]] == [url]
    typed.does(f"openstack endpoint delete {made['id']}")
    typed.does(f"openstack service delete {name}")


def test_endpoint_list_has_the_faces(typed: Terminal):
    listed = typed.shows("openstack endpoint list")
    assert {one["Service Type"] for one in listed} >= {"identity", "baremetal", "image"}
    assert {one["Region"] for one in listed} == {"RegionOne"}


def test_region(typed: Terminal, name: str):
    made = typed.shows(f"openstack region create --description 'Second hall' {name}")
    assert made["region"] == name
    assert {"RegionOne", name} <= names(typed, "openstack region list", "Region")
    typed.does(f"openstack region delete {name}")


# -- domains, projects, users, groups


def test_domain(typed: Terminal, name: str):
    typed.does(f"openstack domain create --description 'Customers' {name}")
    assert {"Default", name} <= names(typed, "openstack domain list")
    assert typed(f"openstack domain delete {name}").code != 0, "an enabled domain is not deleted"
    typed.does(f"openstack domain set --disable {name}")
    typed.does(f"openstack domain delete {name}")
    assert name not in names(typed, "openstack domain list")


def test_project(typed: Terminal, project, name: str):
    assert (project["name"], project["description"], project["enabled"]) == (f"p{name}", "Rack 7", True)
    assert f"p{name}" in names(typed, "openstack project list")
    typed.does(f"openstack project set --description 'Rack 8' --property floor=2 p{name}")
    shown = typed.shows(f"openstack project show p{name}")
    assert (shown["description"], shown["floor"]) == ("Rack 8", "2")
    assert typed(f"openstack project create --domain default p{name}").code != 0, "a name is given once"
    typed.does(f"openstack project set --disable p{name}")
    assert typed.shows(f"openstack project show p{name}")["enabled"] is False


def test_project_of_nobody(typed: Terminal):
    said = typed("openstack project show no-such-project")
    assert said.code == 1
    assert "No project found for no-such-project" in said.err or "No Project found for no-such-project" in said.err


def test_user(typed: Terminal, user, name: str):
    assert (user["name"], user["domain_id"], user["enabled"]) == (f"u{name}", "default", True)
    assert "password" not in user
    assert f"u{name}" in names(typed, "openstack user list")
    assert names(typed, "openstack user list --long", "Domain") >= {"default"}
    typed.does(f"openstack user set --email ops@example.net u{name}")
    assert typed.shows(f"openstack user show u{name}")["email"] == "ops@example.net"


def test_user_logs_in_until_disabled(typed: Terminal, user, project, name: str):
    typed.does(f"openstack role add --project p{name} --user u{name} member")
    issue = as_user(f"u{name}", f"p{name}") + "token issue"
    assert typed.shows(issue)["user_id"] == user["id"]
    typed.does(f"openstack user set --disable u{name}")
    said = typed(issue)
    assert said.code == 1
    assert "(HTTP 401)" in said.err
    typed.does(f"openstack user set --enable u{name}")
    typed.does(issue)


def test_user_with_another_password(typed: Terminal, user, project, name: str):
    typed.does(f"openstack role add --project p{name} --user u{name} member")
    typed.does(f"openstack user set --password {PASSWORD}-2 u{name}")
    assert typed(as_user(f"u{name}", f"p{name}") + "token issue").code == 1
    typed.does(as_user(f"u{name}", f"p{name}", f"{PASSWORD}-2") + "token issue")


def test_user_changes_their_own_password(typed: Terminal, user, project, name: str):
    typed.does(f"openstack role add --project p{name} --user u{name} member")
    me = as_user(f"u{name}", f"p{name}")
    typed.does(f"{me} user password set --original-password {PASSWORD} --password {PASSWORD}-3")
    assert typed(f"{me} token issue").code == 1
    typed.does(as_user(f"u{name}", f"p{name}", f"{PASSWORD}-3") + "token issue")


def test_user_without_rights(typed: Terminal, user, project, name: str):
    typed.does(f"openstack role add --project p{name} --user u{name} member")
    said = typed(as_user(f"u{name}", f"p{name}") + "user list")
    assert said.code == 1
    assert "403" in said.err


def test_group(typed: Terminal, user, project, name: str):
    typed.does(f"openstack group create --domain default --description 'Night shift' g{name}")
    typed.does(f"openstack group add user g{name} u{name}")
    assert f"u{name} in group g{name}" in typed(f"openstack group contains user g{name} u{name}").out
    assert names(typed, f"openstack user list --group g{name}") == {f"u{name}"}
    typed.does(f"openstack role add --project p{name} --group g{name} reader")
    assert typed.shows(as_user(f"u{name}", f"p{name}") + "token issue")["project_id"] == project["id"]
    typed.does(f"openstack group remove user g{name} u{name}")
    assert typed(as_user(f"u{name}", f"p{name}") + "token issue").code == 1
    typed.does(f"openstack group delete g{name}")


# -- roles


def test_role_list(typed: Terminal):
    assert names(typed, "openstack role list") >= {"admin", "manager", "member", "reader"}


def test_implied_roles(typed: Terminal):
    implied = {(one["Prior Role Name"], one["Implied Role Name"]) for one in typed.shows("openstack implied role list")}
    assert implied >= {("admin", "manager"), ("manager", "member"), ("member", "reader")}


def test_role(typed: Terminal, name: str):
    typed.does(f"openstack role create --description 'May look at sensors' {name}")
    assert name in names(typed, "openstack role list")
    assert typed.shows(f"openstack role show {name}")["description"] == "May look at sensors"
    typed.does(f"openstack role set --name {name}b {name}")
    typed.does(f"openstack role delete {name}b")
    assert not {name, f"{name}b"} & names(typed, "openstack role list")


def test_role_assignment(typed: Terminal, user, project, name: str):
    typed.does(f"openstack role add --project p{name} --user u{name} member")
    listed = typed.shows(f"openstack role assignment list --names --user u{name}")
    assert listed == [
        {
            "Role": "member", "User": f"u{name}@Default", "Group": "", "Project": f"p{name}@Default", "Domain": "",
            "System": "", "Inherited": False,
        }
    ]  # fmt: skip
    assert typed.shows(f"openstack role assignment list --project p{name}")[0]["User"] == user["id"]
    typed.does(f"openstack role remove --project p{name} --user u{name} member")
    assert typed.shows(f"openstack role assignment list --user u{name}") == []


def test_role_on_the_system_and_on_a_domain(typed: Terminal, user, name: str):
    typed.does(f"openstack role add --system all --user u{name} reader")
    typed.does(f"openstack role add --domain default --user u{name} member --inherited")
    listed = typed.shows(f"openstack role assignment list --names --user u{name}")
    found = {(one["Role"], one["System"], one["Domain"], one["Inherited"]) for one in listed}
    assert found == {("reader", "all", "", False), ("member", "", "Default", True)}


# -- application credentials


def test_application_credential(typed: Terminal, cloud: Appliance, name: str):
    made = typed.shows(f"openstack application credential create --role reader --description CI {name}")
    listed = typed.shows("openstack application credential list")
    assert name in {one["Name"] for one in listed}
    assert made["Secret"] not in str(listed)
    with_it = {
        "OS_AUTH_TYPE": "v3applicationcredential",
        "OS_AUTH_URL": f"{cloud.url}/identity/v3", "OS_CACERT": str(cloud.ca),
        "OS_APPLICATION_CREDENTIAL_ID": made["ID"], "OS_APPLICATION_CREDENTIAL_SECRET": made["Secret"],
    }  # fmt: skip
    assert typed.shows("openstack token issue", variables=with_it)["user_id"]
    typed.does("openstack baremetal node list", variables=with_it)
    refused = typed(f"openstack project create --domain default x{name}", variables=with_it)
    assert refused.code == 1, "it can do no more than its roles"
    assert "403" in refused.err
    typed.does(f"openstack application credential delete {name}")
    assert typed("openstack token issue", variables=with_it).code == 1

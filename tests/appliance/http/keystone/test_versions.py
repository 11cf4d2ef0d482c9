"""Discovery, and the address that links name."""

import pytest


def test_the_root_names_the_one_version(cloud):
    for path in ("/identity", "/identity/"):
        answer = cloud.client.get(path, headers={"Host": "localhost:8443"})
        assert answer.status_code == 300
        assert answer.headers["Location"] == "https://localhost:8443/identity/v3/"
        (version,) = answer.get_json()["versions"]["values"]
        assert (version["id"], version["status"]) == ("v3.14", "stable")


def test_the_version_describes_itself(cloud):
    for path in ("/identity/v3", "/identity/v3/"):
        version = cloud.client.get(path, headers={"Host": "127.0.0.1:8443"}).get_json()["version"]
        assert version["links"] == [{"rel": "self", "href": "https://127.0.0.1:8443/identity/v3/"}]
        assert version["media-types"][0]["type"] == "application/vnd.openstack.identity-v3+json"


@pytest.mark.parametrize(
    "host",
    ["evil.example", "evil.example:8443", "127.0.0.1.evil.example", "127.0.0.1@evil.example", "[::2]:1", ""],
)
def test_a_host_that_is_not_ours_is_never_named(cloud, host):
    version = cloud.client.get("/identity/v3", headers={"Host": host}).get_json()["version"]
    assert version["links"][0]["href"] == "https://127.0.0.1:8443/identity/v3/"


@pytest.mark.parametrize("host", ["localhost:9000", "127.0.0.1:1", "[::1]:8443", "LOCALHOST:9000", "127.0.0.1"])
def test_an_address_of_ours_is_kept_with_its_port(cloud, host):
    version = cloud.client.get("/identity/v3", headers={"Host": host}).get_json()["version"]
    assert version["links"][0]["href"] == f"https://{host.lower()}/identity/v3/"

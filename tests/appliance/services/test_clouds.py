"""clouds.yaml: whole, private, and kept right when the password changes."""

from pathlib import Path

import pytest
import yaml

from appliance.services import clouds

URL = "https://127.0.0.1:8443"


def read(state: Path) -> dict:
    return yaml.safe_load((state / "clouds.yaml").read_text())["clouds"]


@pytest.mark.parametrize("password", ["plain", 'a"b', "yes", "#x: [", "caf\u00e9 \u2603", "1e5"])
def test_any_password_comes_back_as_it_was(tmp_path: Path, password: str):
    clouds.write(tmp_path, URL, "admin", password)
    assert {cloud["auth"]["password"] for cloud in read(tmp_path).values()} == {password}
    assert (tmp_path / "clouds.yaml").stat().st_mode & 0o777 == 0o600
    assert clouds.renew(tmp_path, "admin", is_old=password.__eq__, new="another")
    assert {cloud["auth"]["password"] for cloud in read(tmp_path).values()} == {"another"}
    assert (tmp_path / "clouds.yaml").stat().st_mode & 0o777 == 0o600


def test_what_clients_need_is_in_it(tmp_path: Path):
    clouds.write(tmp_path, URL, "admin", "x")
    for cloud in read(tmp_path).values():
        assert cloud["auth"]["auth_url"] == f"{URL}/identity/v3"
        assert (cloud["region_name"], cloud["interface"], cloud["identity_api_version"]) == ("RegionOne", "public", 3)
        assert cloud["cacert"] == str(tmp_path / "tls" / "ca.pem")


def test_only_this_users_old_password_is_replaced(tmp_path: Path):
    clouds.write(tmp_path, URL, "admin", "x")
    before = read(tmp_path)
    assert not clouds.renew(tmp_path, "bob", is_old="x".__eq__, new="y")
    assert not clouds.renew(tmp_path, "admin", is_old="z".__eq__, new="y")
    assert read(tmp_path) == before


@pytest.mark.parametrize(
    "text", ["clouds: {a: {auth: {username: admin, password: x}}}\n", "[1]", "{}", '{"clouds": 5}']
)
def test_a_file_of_somebodys_own_is_left_alone(tmp_path: Path, text: str):
    path = tmp_path / "clouds.yaml"
    assert not clouds.renew(tmp_path, "admin", is_old="x".__eq__, new="y")
    path.write_text(text)
    assert not clouds.renew(tmp_path, "admin", is_old="x".__eq__, new="y")
    assert path.read_text() == text


def test_what_holds_the_new_password_already_is_right(tmp_path: Path):
    clouds.write(tmp_path, URL, "admin", "y")
    assert clouds.renew(tmp_path, "admin", is_old="x".__eq__, new="y")


def test_its_logins_are_read_without_showing_them(tmp_path: Path):
    clouds.write(tmp_path, URL, "admin", "s3cret")
    (login,) = clouds.logins(tmp_path)
    assert (login.name, login.password) == ("admin", "s3cret")
    assert "s3cret" not in repr(login)

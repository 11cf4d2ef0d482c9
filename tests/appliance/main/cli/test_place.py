import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from appliance.main.cli.exits import Exit, Failure
from appliance.main.cli.place import Asked, Profile, read_profiles, resolve, write_profiles

URL = "https://rack:8443"
FIELD = st.text(
    alphabet=st.characters(codec="utf-8", categories=("L", "N", "P", "S", "Z", "Cc")), min_size=1, max_size=30
)


@pytest.fixture
def config(tmp_path: Path) -> Path:
    return tmp_path / "conf" / "config.toml"


@pytest.fixture
def environment(config: Path) -> dict[str, str]:
    return {"RACKWRIGHT_CONFIG": str(config)}


@given(name=FIELD, token=FIELD)
def test_profiles_come_back(name: str, token: str, tmp_path_factory: pytest.TempPathFactory) -> None:
    file = tmp_path_factory.mktemp("c") / "config.toml"
    profiles = {name: Profile(url=URL, token=token, ca="/x/ca.pem")}
    write_profiles(file, profiles)
    assert read_profiles(file) == profiles
    assert file.stat().st_mode & 0o777 == 0o600


def test_the_file_that_others_can_read_is_refused(config: Path) -> None:
    write_profiles(config, {"default": Profile(url=URL, token="t")})
    config.chmod(0o644)
    with pytest.raises(Failure) as caught:
        read_profiles(config)
    assert (caught.value.exit_code, caught.value.next_step) == (Exit.DENIED, f"chmod 600 {config}")


def test_a_link_is_refused_for_reading_and_writing(config: Path, tmp_path: Path) -> None:
    real = tmp_path / "real.toml"
    write_profiles(real, {"default": Profile(url=URL)})
    config.parent.mkdir()
    config.symlink_to(real)
    for action in (lambda: read_profiles(config), lambda: write_profiles(config, {})):
        with pytest.raises(Failure, match="not used"):
            action()
    assert read_profiles(real)


@pytest.mark.parametrize("content", [b"\xff\xfe", b"profiles = [", b"\x00"])
def test_nonsense_in_the_file_is_a_sentence(config: Path, content: bytes) -> None:
    config.parent.mkdir()
    config.write_bytes(content)
    config.chmod(0o600)
    with pytest.raises(Failure, match="not used"):
        read_profiles(config)


def test_order_of_the_ways(config: Path, environment: dict[str, str], tmp_path: Path) -> None:
    write_profiles(config, {"default": Profile(url="https://saved:1", token="saved")})
    (tmp_path / "cli.json").write_text(json.dumps({"url": "https://local:1/", "ca": "tls/ca.pem"}))
    assert resolve(Asked(), environment).url == "https://saved:1"
    environment["RACKWRIGHT_STATE"] = str(tmp_path)
    assert resolve(Asked(), environment).url == "https://local:1"
    environment["RACKWRIGHT_URL"] = "https://env:1"
    assert resolve(Asked(), environment).url == "https://env:1"
    found = resolve(Asked(state=str(tmp_path)), environment)
    assert (found.url, found.ca) == ("https://local:1", tmp_path / "tls/ca.pem")
    assert resolve(Asked(url="https://said:1/", state=str(tmp_path)), environment).url == "https://said:1"


def test_a_token_goes_to_its_own_url_only(config: Path, environment: dict[str, str]) -> None:
    write_profiles(
        config, {"default": Profile(url=URL, token="secret"), "b": Profile(url="https://b:1", token="other")}
    )
    assert resolve(Asked(), environment).token == "secret"
    assert resolve(Asked(url="https://evil:1"), environment).token is None
    assert resolve(Asked(url="https://b:1"), environment).token == "other"


def test_no_place_says_how_to_name_one(environment: dict[str, str]) -> None:
    with pytest.raises(Failure, match="no appliance is named") as caught:
        resolve(Asked(), environment)
    assert "rackwright login" in caught.value.next_step


def test_an_unknown_profile_is_not_the_default(environment: dict[str, str]) -> None:
    with pytest.raises(Failure, match="no profile 'x'"):
        resolve(Asked(profile="x"), environment)


def test_a_directory_that_is_no_state(environment: dict[str, str], tmp_path: Path) -> None:
    with pytest.raises(Failure, match="not the state directory") as caught:
        resolve(Asked(state=str(tmp_path)), environment)
    assert caught.value.next_step == f"rackwright init --state {tmp_path}"
    (tmp_path / "cli.json").write_text("[]")
    with pytest.raises(Failure, match="cannot be read"):
        resolve(Asked(state=str(tmp_path)), environment)


def test_secrets_stay_out_of_repr() -> None:
    assert "hush" not in repr(Profile(url=URL, token="hush")) + repr(Asked(token="hush"))

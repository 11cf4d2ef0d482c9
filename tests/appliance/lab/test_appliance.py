import stat
import tomllib

import pytest

from appliance.lab import appliance
from appliance.lab.errors import LabFailed
from appliance.services import setup


def test_the_labs_settings_fit_the_configuration_that_init_writes(tmp_path):
    file = tmp_path / "rackwright.toml"
    file.write_text(setup.configuration_text(listen="10.77.0.1:8443", names=[], database_url=None))
    appliance._configure(file)
    settings = tomllib.loads(file.read_text())
    assert settings["netboot"]["discovery"] == "enroll"
    assert settings["api"]["names"] == ["127.0.0.1", "localhost"]
    assert settings["api"]["listen"] == "10.77.0.1:8443"


def test_a_configuration_of_another_shape_is_not_touched(tmp_path):
    file = tmp_path / "rackwright.toml"
    file.write_text("[netboot]\n")
    with pytest.raises(LabFailed, match="not the configuration"):
        appliance._configure(file)
    assert file.read_text() == "[netboot]\n"


def test_init_runs_once_and_its_password_is_kept_private(tmp_path, monkeypatch):
    state, ran = tmp_path / "state", []

    def run(argv, **_):
        ran.append(argv)
        state.mkdir()
        text = setup.configuration_text(listen=None, names=[], database_url=None)
        (state / "rackwright.toml").write_text(text)
        return '{"username": "admin", "one_time_password": "pass-word"}'

    monkeypatch.setattr(appliance.tools, "run", run)
    first = appliance.initialise(state, address="10.77.0.1")
    assert (first.username, first.password) == ("admin", "pass-word")
    assert appliance.initialise(state, address="10.77.0.1") == first
    assert len(ran) == 1
    assert stat.S_IMODE((state / "login.json").stat().st_mode) == 0o600
    assert "pass-word" not in repr(first)


def test_an_init_that_says_nothing_useful_is_a_failure(tmp_path, monkeypatch):
    monkeypatch.setattr(appliance.tools, "run", lambda *_, **__: "done")
    with pytest.raises(LabFailed, match="init failed"):
        appliance.initialise(tmp_path, address="10.77.0.1")

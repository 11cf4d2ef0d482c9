"""What a person can get wrong in rackwright.toml, and what they are told."""

import os
from contextlib import suppress
from dataclasses import fields
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from appliance.config import MAX_FILE_BYTES, BadConfiguration, Config, refuse_debug
from appliance.domain.values import Endpoint
from appliance.services.setup import configuration_text

STATE = Path("/state")
FILE = STATE / "rackwright.toml"


def parse(text: str) -> Config:
    return Config.parse(STATE, text, FILE)


def test_an_empty_file_gives_the_defaults():
    config = parse("")
    assert config.api.listen == Endpoint("127.0.0.1", 8443)
    assert config.agent.listen == Endpoint("0.0.0.0", 8444)
    assert config.netboot.discovery == "record"
    assert config.lifecycle.agent_boot_s == 900
    assert config.identity.lockout_failures == 5
    assert config.database_url == "sqlite:////state/rackwright.db"


def test_values_are_read():
    config = parse(
        '[lifecycle]\nagent_boot = "20m"\ncall_home = 60\n[api]\nlisten = "[::1]:9443"'
        '\nnames = ["Rack.Example", "10.0.0.1"]'
    )
    assert config.lifecycle.agent_boot_s == 1200
    assert config.lifecycle.call_home_s == 60
    assert config.api.listen == Endpoint("::1", 9443)
    assert config.api.names == ("rack.example", "10.0.0.1")


@pytest.mark.parametrize(
    ("text", "line", "says"),
    [
        ("[api]\n\nlissten = 1", 3, "did you mean 'listen'?"),
        ("[apii]\n", 1, "did you mean 'api'?"),
        ("\nzzz = 1", 2, "known here: api"),
        ("api = 3", 1, "write [api] on a line of its own"),
        ('[lifecycle]\nagent_boot = "10 minuts"', 2, "is not a duration"),
        ('[lifecycle]\nagent_boot = "1s"', 2, "out of range: 30s to 1d"),
        ("[lifecycle]\nagent_boot = true", 2, "is not a duration"),
        ('[netboot]\ndiscovery = "of"', 2, "'off', 'record', 'enroll'"),
        ('[netboot]\nhttp_port = "80"', 2, "is not a whole number"),
        ("[netboot]\nhttp_port = 70000", 2, "out of range: 1 to 65535"),
        ('[bmc]\nin_band_setup = "false"', 2, "neither true nor false"),
        ('[agent]\nlisten = "rack.example:80"', 2, "names are not looked up"),
        ('[agent]\nlisten = "127.0.0.1"', 2, "not an address and port"),
        ('[database]\nurl = "mysql://x"', 2, "neither sqlite"),
        ('[api]\nnames = ["a b"]', 2, "not a domain name"),
        ('api.lissten = "x"', 1, "did you mean 'listen'?"),
    ],
)
def test_a_mistake_names_its_line_and_the_cure(text: str, line: int, says: str):
    with pytest.raises(BadConfiguration) as caught:
        parse(text)
    assert f"{FILE}, line {line}:" in caught.value.message
    assert says in caught.value.message
    assert caught.value.next_step


@pytest.mark.parametrize("text", ["[api]\n[api]", "x = ", "[api\n", "a = 1\na = 2", "\x00", "listen = '''"])
def test_what_is_not_toml_is_refused_with_a_position(text: str):
    with pytest.raises(BadConfiguration, match=r"line 1|line 2|at end of document"):
        parse(text)


@given(st.text(max_size=300))
def test_any_text_gives_a_configuration_or_a_refusal(text: str):
    with suppress(BadConfiguration):
        assert parse(text).state == STATE


def test_a_database_password_is_never_shown():
    config = parse('[database]\nurl = "postgres://rack:s3cret@db/rack"')
    assert config.database_url == "postgresql+psycopg://rack:s3cret@db/rack"
    assert "s3cret" not in repr(config)
    with pytest.raises(BadConfiguration) as caught:
        parse('[database]\nurl = "mysql://rack:s3cret@db/rack"')
    assert "s3cret" not in caught.value.message


class TestFiles:
    def test_missing(self, tmp_path: Path):
        with pytest.raises(BadConfiguration, match="does not exist") as caught:
            Config.load(tmp_path)
        assert caught.value.next_step == f"run `rackwright init --state {tmp_path}`"

    def test_a_directory(self, tmp_path: Path):
        (tmp_path / "rackwright.toml").mkdir()
        with pytest.raises(BadConfiguration, match="is not a file"):
            Config.load(tmp_path)

    def test_empty(self, tmp_path: Path):
        (tmp_path / "rackwright.toml").touch()
        assert Config.load(tmp_path) == Config(state=tmp_path)

    def test_huge_is_not_read(self, tmp_path: Path):
        with (tmp_path / "rackwright.toml").open("wb") as file:
            file.truncate(1024**3)
        with pytest.raises(BadConfiguration, match=f"at most {MAX_FILE_BYTES}"):
            Config.load(tmp_path)

    def test_not_text(self, tmp_path: Path):
        (tmp_path / "rackwright.toml").write_bytes(b"[api]\n\xff\xfe")
        with pytest.raises(BadConfiguration, match=r"not UTF-8 text \(byte 6\)"):
            Config.load(tmp_path)

    def test_a_pipe_does_not_hang(self, tmp_path: Path):
        os.mkfifo(tmp_path / "rackwright.toml")
        with pytest.raises(BadConfiguration, match="is not a file"):
            Config.load(tmp_path)

    def test_unreadable(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
        (tmp_path / "rackwright.toml").touch()

        def denied(*_args: object, **_kwargs: object) -> str:
            raise PermissionError(13, "Permission denied")

        monkeypatch.setattr(Path, "read_text", denied)  # root reads everything, so modes prove nothing here
        with pytest.raises(BadConfiguration, match="cannot be read: Permission denied"):
            Config.load(tmp_path)


def test_the_first_file_names_every_key_with_its_default():
    """Uncommenting the whole template must give the defaults: the file is the reference that people read."""
    text = configuration_text(listen=None, names=[], database_url=None)
    shown = "\n".join(line.removeprefix("# ") if " = " in line else line for line in text.splitlines())
    shown = "\n".join(line for line in shown.splitlines() if not line.startswith(("url =", "# ", "Durations")))
    assert parse(shown) == parse("")
    for section in fields(Config)[1:]:
        assert f"[{section.name}]" in text
        for key in fields(type(getattr(parse(""), section.name))):
            assert f"{key.metadata['key'] or key.name} = " in text


@pytest.mark.parametrize("name", ["FLASK_DEBUG", "WERKZEUG_DEBUG_PIN"])
def test_debug_mode_is_refused(name: str):
    refuse_debug({name: "0"})
    refuse_debug({})
    with pytest.raises(BadConfiguration, match=name):
        refuse_debug({name: "1"})

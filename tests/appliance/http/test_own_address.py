"""Only our own names appear in links."""

from pathlib import Path

import pytest
from flask import Flask

from appliance.config import Config
from appliance.http.own_address import Origins, base_url

TOML = '[api]\nlisten = "0.0.0.0:8443"\nnames = ["rack.example"]\n'


@pytest.mark.parametrize(
    ("host", "expected"),
    [
        ("rack.example", "https://rack.example"),
        ("rack.example:9000", "https://rack.example:9000"),
        ("RACK.EXAMPLE.:9000", "https://rack.example:9000"),
        ("127.0.0.1:8443", "https://127.0.0.1:8443"),
        ("[0:0:0:0:0:0:0:1]:8443", "https://[::1]:8443"),
        ("rack.example.evil:1", "https://rack.example:8443"),
        ("evil", "https://rack.example:8443"),
        ("rack.example:port", "https://rack.example:8443"),
        ("rack.example:999999", "https://rack.example:8443"),
        ("rack.example:65536", "https://rack.example:8443"),
        ("rack.example:0", "https://rack.example:8443"),
        ("x" * 5000, "https://rack.example:8443"),
    ],
)
def test_hosts(host: str, expected: str):
    config = Config.parse(Path("/state"), TOML, Path("rackwright.toml"))
    with Flask("x").test_request_context("/", headers={"Host": host}):
        assert base_url(config) == expected
        origins = Origins(config)
        assert [origins.of_request(), origins.of_request()] == [expected, expected], "remembered, it is the same"

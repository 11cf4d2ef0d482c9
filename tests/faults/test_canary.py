"""What a person is told and what stays on the disk, after secrets were given and things went wrong: none of them.

The answers of the API itself are searched by tests/appliance/http/test_canaries.py.
"""

from contextlib import suppress
from pathlib import Path

import pytest

from tests.fakes.served import PASSWORD, Served

BMC, USER_DATA, RESCUE = "canary.bmc.7f3Q", "canary.user-data.7f3Q", "canary.rescue.7f3Q"
COMMANDS = (
    "node list -o wide", "node show n1 -o json", "node timeline n1", "node why n1", "node show n2", "node timeline n2",
    "event list -o json", "flow list -o json", "doctor", "api GET /v1/flows?state=all",
)  # fmt: skip


def content(path: Path) -> bytes:
    """Of a file of a running appliance: one that is written beside and renamed may be gone under its first name."""
    with suppress(FileNotFoundError):
        return path.read_bytes()
    return b""


@pytest.mark.timeout(360)
def test_no_secret_is_told_or_written_down(appliance: Served):
    bmc = {"address": "127.0.0.1", "udp_port": 9, "username": "root", "password": BMC}  # nobody answers there
    appliance.call("POST", "/v1/nodes", {"name": "n1", "driver": "ipmi", "bmc": bmc, "macs": ["52:54:00:fa:01:01"]})
    appliance.refused("POST", "/v1/nodes", {"name": "n1", "driver": "ipmi", "bmc": bmc})
    appliance.call("POST", "/v1/nodes/n1/manage", {})
    appliance.add_image("small")
    appliance.pretend("n2", number=2, agent_delay_s=0.05)
    for verb in ("manage", "provide"):
        appliance.do("n2", verb)
    user_data = f"#cloud-config\nbootcmd: ['echo {USER_DATA}']\n"
    appliance.do("n2", "deploy", {"image": "small", "user_data": user_data})
    appliance.do("n2", "rescue", {"rescue_password": RESCUE})
    said = [appliance.cli(*line.split()) for line in COMMANDS]
    told = "".join(one.out + one.err for one in said) + appliance.said()
    for_the_admin = appliance.state / "clouds.yaml"  # their password, as init was given it
    assert for_the_admin.stat().st_mode & 0o777 == 0o600
    written = [path for path in appliance.state.rglob("*") if path.is_file() and path != for_the_admin]
    assert any(path.suffix == ".log" for path in written)
    assert appliance.token
    for canary in (BMC, USER_DATA, RESCUE, PASSWORD, appliance.token):
        assert canary not in told
        assert [path.name for path in written if canary.encode() in content(path)] == []

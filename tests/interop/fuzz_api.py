"""Ask the native API at random, from its own OpenAPI document, and look at each answer: `make fuzz-api`.

    python -m tests.interop.fuzz_api [--seconds 600] [--seed N]

A throw-away appliance is made, with pretend machines, an image and a subnet, whose names the paths are filled with, and
with nodes whose BMCs are spoken to for real: one over IPMI, one over Redfish, one that refuses the password and one
that never answers. No answer may be a 5xx, and each must be as the document says: status, type, schema. The paths that
end the token, and the console, which has no end, are left out. The exit code is that of the program.
"""

import argparse
import json
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from functools import partial
from pathlib import Path
from typing import Any

from appliance.main.client_errors import ApiError
from bmc.types import BmcTarget
from tests.fakes import bmcs, redfish
from tests.fakes import served as fake
from tests.fakes.served import Served
from tests.interop import environments

HERE = Path(__file__).parent
LOCK = HERE / "fuzz-requirements.lock"
LEFT_OUT = ("/v1/logout", "/v1/password", "/v1/nodes/{ref}/console")
CHECKS = ("not_a_server_error", "status_code_conformance", "content_type_conformance", "response_schema_conformance")
BMC_KEEPERS = ("patch", "delete")
"""Methods that are not asked of the nodes with real BMCs: there would soon be none."""
NODES = ("n1", "n2", "n3", "n4")
SUBNET = {"name": "rack", "cidr": "10.91.0.0/24", "pool": "10.91.0.100-10.91.0.120", "interface": "lo"}


def environment() -> Path:
    """The directory of the program's virtual environment; made now if it is not there."""
    return environments.made("fuzz", LOCK)


def furnish(appliance: Served) -> dict[str, list[str]]:
    """What is there to be asked for. By path: the values of its parameter."""
    appliance.add_image("small", size=2 << 20)
    for number, name in enumerate(NODES, 1):
        appliance.pretend(name, number=number, agent_delay_s=0.05)
    for verb in ("manage", "provide"):
        appliance.do("n1", verb)
    appliance.do("n2", "manage")
    appliance.call("POST", "/v1/subnets", SUBNET)
    uuids = [appliance.node(name)["uuid"] for name in NODES]  # names and MACs change under way
    flows = [item["uuid"] for item in appliance.get("/v1/flows?state=all")["items"]][:3]
    return {"nodes": uuids, "images": ["small"], "subnets": ["rack"], "flows": flows,
            "sightings": ["52:54:00:fa:00:77"]}  # fmt: skip


@contextmanager
def with_bmcs(appliance: Served, folder: Path) -> Iterator[list[str]]:
    """Nodes whose BMCs are there, and not quite there, as long as the block: their UUIDs."""
    with ExitStack() as stack:
        ipmi = stack.enter_context(bmcs.rig()).target
        denying = bmcs.target_of(stack.enter_context(bmcs.rig()).bmc, password="not-this-one")
        over_tls = stack.enter_context(redfish.redfish_rig(redfish.certificate(folder / "redfish"))).target
        silent = stack.enter_context(socket.socket(socket.AF_INET, socket.SOCK_DGRAM))
        silent.bind(("127.0.0.1", 0))
        nobody = BmcTarget(
            driver="ipmi", address="127.0.0.1", udp_port=silent.getsockname()[1], username="admin", password="none"
        )
        targets = {"ipmi": ipmi, "redfish": over_tls, "denies": denying, "silent": nobody}
        made = [str(_enrolled(appliance, name, target)["uuid"]) for name, target in targets.items()]
        expected = {"ipmi": "", "redfish": "", "denies": "bmc-denied", "silent": "bmc-unreachable"}
        for name, code in expected.items():
            asked = f"/v1/nodes/{name}/power"
            appliance.until(partial(_is_answered, appliance, asked, code), within_s=120, what=f"{asked} says {code!r}")
        yield made


def _is_answered(appliance: Served, path: str, code: str) -> bool:
    """As it shall be? code: of the refusal; empty: none."""
    try:
        appliance.call("GET", path)
    except ApiError as refusal:
        return refusal.code == code
    return not code


def _enrolled(appliance: Served, name: str, target: BmcTarget) -> dict[str, Any]:
    login = {"username": target.username, "password": target.password}
    bmc = {"address": target.address, "udp_port": target.udp_port, **login}
    wish = {"name": name, "driver": target.driver, "bmc": bmc, "driver_options": dict(target.options)}
    return appliance.call("POST", "/v1/nodes", wish)


def documented(appliance: Served, values: dict[str, list[str]], machines: list[str]) -> dict[str, Any]:
    """The appliance's own document; the parameters of its paths name what is there, and somebody who is not.

    What is wrong by the document is sent nevertheless. What is there is not deleted, but for the second of a kind: the
    rest of the run would meet nothing. machines: the nodes with real BMCs, which stay as they are.
    """
    document = appliance.get("/v1/openapi.json")
    for path, methods in document["paths"].items():
        words = path.split("/")
        for method, operation in methods.items():
            known = values.get(words[2], [])
            known = known[1:2] if method == "delete" and len(words) == 4 else known
            known = [*known, *machines] if words[2] == "nodes" and method not in BMC_KEEPERS else known
            _name_the_image(operation)
            for one in operation["parameters"]:
                if one["in"] == "path" and known:
                    one["schema"] = {"enum": [*known, "nobody"]}
                    one["examples"] = {f"known{number}": {"value": value} for number, value in enumerate(known)}
    return document


def _name_the_image(operation: dict[str, Any]) -> None:
    content = operation.get("requestBody", {}).get("content", {}).get("application/json", {})
    wished = content.get("schema", {}).get("properties", {})
    if "image" in wished:
        wished["image"] = {"anyOf": [{"enum": ["small"]}, wished["image"]]}


def run(appliance: Served, folder: Path, *, seconds: int, seed: int | None = None) -> int:
    """The exit code: 0 when each answer was as the document says."""
    file = folder / "openapi.json"
    left_out = [word for path in LEFT_OUT for word in ("--exclude-path", path)]
    line = [
        str(environment() / "bin" / "schemathesis"), "run", str(file), "--url", f"https://127.0.0.1:{appliance.ports.api}",
        "--tls-verify", str(appliance.state / "tls" / "ca.pem"), "--header", f"Authorization: Bearer {appliance.token}",
        "--checks", ",".join(CHECKS), "--max-time", str(seconds), "--continue-on-failure", "--no-color",
        "--request-timeout", "60", "--suppress-health-check", "all", "--generation-database", "none", *left_out,
        *(["--seed", str(seed)] if seed is not None else []),
    ]  # fmt: skip
    values = furnish(appliance)
    with with_bmcs(appliance, folder) as machines:
        file.write_text(json.dumps(documented(appliance, values, machines)))
        done = subprocess.run(line, cwd=folder, timeout=seconds + 240, check=False)
    assert appliance.status().get("is_ready"), "the appliance did not outlive it"
    return done.returncode


def main() -> int:
    given = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    given.add_argument("--seconds", type=int, default=600)
    given.add_argument("--seed", type=int)
    asked = given.parse_args()
    environment()
    with tempfile.TemporaryDirectory(prefix="rackwright-fuzz-") as name:
        folder = Path(name)
        with fake.served(fake.make_state(folder / "state")) as appliance:
            return run(appliance, folder, seconds=asked.seconds, seed=asked.seed)


if __name__ == "__main__":
    sys.exit(main())

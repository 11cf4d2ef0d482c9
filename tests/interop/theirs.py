"""Their functional tests against our appliance, and what we know about those that do not pass (known.toml)."""

import json
import subprocess
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from tests.interop import clients
from tests.interop.clients import Terminal

HERE = Path(__file__).parent
RUNNER = HERE / "run_theirs.py"


@dataclass(frozen=True, slots=True, kw_only=True)
class Ended:
    test: str
    outcome: str
    why: str
    seconds: float


def known() -> Mapping[str, str]:
    """Test → why it does not pass."""
    groups = tomllib.loads((HERE / "known.toml").read_text())["known"]
    return {test: group["why"] for group in groups for test in group["tests"]}


def run(names: Sequence[str], *, typed: Terminal, home: Path, within_s: float) -> list[Ended]:
    """names: packages or modules of tests."""
    python = clients.environment() / "bin" / "python"
    environment = typed.environment() | {
        "HOME": str(home), "OS_CLIENT_CONFIG_FILE": str(home / "clouds.yaml"), "OS_CLOUD": "devstack-admin",
        "OS_TEST_TIMEOUT": "120", "OPENSTACKSDK_FUNC_TEST_TIMEOUT": "60", "PYTHONDONTWRITEBYTECODE": "1",
    }  # fmt: skip
    with clients.keyboard() as stdin:
        done = subprocess.run(
            [python, RUNNER, *names], cwd=home, env=environment, stdin=stdin, capture_output=True, text=True,
            timeout=within_s, check=False,
        )  # fmt: skip
    assert done.returncode == 0, done.stderr[-3000:]
    return [Ended(**json.loads(line)) for line in done.stdout.splitlines()]


def surprises(ended: Sequence[Ended], known_ones: Mapping[str, str]) -> list[str]:
    """What differs from known.toml, a paragraph each; empty when all is as written there."""
    found = []
    for one in ended:
        if one.outcome == "passed" and one.test in known_ones:
            found.append(f"{one.test} passes now: take it out of known.toml")
        elif one.outcome != "passed" and one.test not in known_ones:
            found.append(f"{one.test} {one.outcome}:\n{one.why}")
    return found

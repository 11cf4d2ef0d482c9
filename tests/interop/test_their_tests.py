"""The functional tests that openstacksdk and python-openstackclient ship in their wheels, unmodified, against us."""

import os
import time
from pathlib import Path

import pytest

from tests.interop import theirs
from tests.interop.clients import Terminal

WITHIN_S = 900
COMMANDS = "openstackclient.tests.functional"
# Fewer would mean that the wheel no longer carries them.
SUITES = {
    "openstack.tests.functional.baremetal": 96,
    "openstack.tests.functional.identity": 19,
    "openstack.tests.functional.image": 23,
    f"{COMMANDS}.image.v2": 13,
    f"{COMMANDS}.common.test_versions": 1,
    f"{COMMANDS}.identity.v3.test_catalog": 1,
    f"{COMMANDS}.identity.v3.test_project": 7,
    f"{COMMANDS}.identity.v3.test_role_assignment": 14,
    f"{COMMANDS}.identity.v3.test_token": 1,
    f"{COMMANDS}.identity.v3.test_user": 6,
}
# A thousand commands: minutes even of warm clients.
NIGHTLY = {f"{COMMANDS}.identity.v3": 138}


@pytest.mark.timeout(WITHIN_S + 100)
@pytest.mark.parametrize(
    ("suite", "least"), [*SUITES.items(), *(pytest.param(*one, marks=pytest.mark.nightly) for one in NIGHTLY.items())]
)
def test_as_known(suite: str, least: int, typed: Terminal, demo_home: Path, record_property):
    began = time.monotonic()
    ended = theirs.run([suite], typed=typed, home=demo_home, within_s=WITHIN_S)
    known = theirs.known()
    counts = {"total": len(ended), "passed": sum(one.outcome == "passed" for one in ended)}
    record_property("counts", counts | {"seconds": round(time.monotonic() - began)})
    if report := os.environ.get("INTEROP_REPORT"):
        with Path(report).open("a") as file:
            file.writelines(f"{one.outcome} {one.seconds} {one.test}\n{one.why}\n" for one in ended)
    assert len(ended) >= least
    assert not (found := theirs.surprises(ended, known)), f"{counts}\n" + "\n\n".join(found)
    gone = {test for test in known if test.startswith(f"{suite}.")} - {one.test for one in ended}
    assert not gone, f"known.toml names tests that do not exist: {gone}"

"""The functional tests that openstacksdk and python-openstackclient ship in their wheels, unmodified, against us."""

import os
import time
from pathlib import Path

import pytest

from tests.interop import theirs
from tests.interop.clients import Terminal

WITHIN_S = 900
# Fewer would mean that the wheel no longer carries them.
SUITES = {
    "openstack.tests.functional.baremetal": 90,
    "openstack.tests.functional.identity": 16,
    "openstack.tests.functional.image": 25,
    "openstackclient.tests.functional.identity.v3": 130,
    "openstackclient.tests.functional.image.v2": 13,
    "openstackclient.tests.functional.common.test_versions": 1,
}


@pytest.mark.timeout(WITHIN_S + 100)
@pytest.mark.parametrize("suite", SUITES)
def test_as_known(suite: str, typed: Terminal, demo_home: Path, record_property):
    began = time.monotonic()
    ended = theirs.run([suite], typed=typed, home=demo_home, within_s=WITHIN_S)
    known = theirs.known()
    counts = {"total": len(ended), "passed": sum(one.outcome == "passed" for one in ended)}
    record_property("counts", counts | {"seconds": round(time.monotonic() - began)})
    if report := os.environ.get("INTEROP_REPORT"):
        with Path(report).open("a") as file:
            file.writelines(f"{one.outcome} {one.seconds} {one.test}\n{one.why}\n" for one in ended)
    assert len(ended) >= SUITES[suite]
    assert not (found := theirs.surprises(ended, known)), f"{counts}\n" + "\n\n".join(found)
    gone = {test for test in known if test.startswith(f"{suite}.")} - {one.test for one in ended}
    assert not gone, f"known.toml names tests that do not exist: {gone}"

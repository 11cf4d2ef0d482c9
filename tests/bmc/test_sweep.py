import time

import pytest

from bmc.errors import BmcError, Unreachable
from bmc.registry import Connections
from bmc.sweep import sweep
from bmc.types import BmcTarget, PowerState
from bmc.virtual.server import BmcLoop
from tests.fakes.bmcs import SECRET, make_bmc, target_of
from tests.fakes.machine import PretendMachine


@pytest.fixture
def connections():
    made = Connections()
    yield made
    made.close()


def test_dead_bmcs_delay_no_other(connections):
    loop = BmcLoop()
    bmcs = [
        make_bmc(PretendMachine(is_on=number % 2 == 0), address=f"127.7.0.{number + 1}", loop=loop)
        for number in range(20)
    ]
    for one in bmcs:
        one.start()
    dead = [
        BmcTarget(driver="ipmi", address=f"127.7.1.{number + 1}", udp_port=9, username="admin", password=SECRET)
        for number in range(5)
    ]
    deadline_s = 4.0
    started = time.monotonic()
    seen = list(sweep(connections, [*dead, *map(target_of, bmcs)], deadline_s=deadline_s))
    taken_s = time.monotonic() - started
    for one in bmcs:
        one.stop()
    loop.close()
    assert [type(answer) for _, answer in seen[:20]] == [PowerState] * 20
    assert all(isinstance(answer, Unreachable) for _, answer in seen[20:])
    assert {target for target, _ in seen[20:]} == set(dead)
    assert taken_s < deadline_s * len(dead), "the dead wait side by side"


def test_it_sweeps_drivers_of_every_kind_and_tells_who_has_no_driver(connections):
    targets = [BmcTarget(driver="fake", address=f"f{number}", options={"power": "on"}) for number in range(50)]
    targets += [BmcTarget(driver="fake", address="bad", options={"fail": {"power_state": 1}})]
    targets += [BmcTarget(driver="manual", address="desk"), BmcTarget(driver="none", address="x")]
    seen = {target.address: answer for target, answer in sweep(connections, targets, concurrency=4)}
    assert len(seen) == 53
    assert [seen[f"f{number}"] for number in range(50)] == [PowerState.ON] * 50
    assert all(isinstance(seen[name], BmcError) for name in ("bad", "desk", "x"))


def test_an_empty_sweep_ends(connections):
    assert list(sweep(connections, [])) == []

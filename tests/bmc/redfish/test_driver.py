"""The Redfish driver against our virtual service over real HTTPS: the contract, and services that misbehave."""

import dataclasses
import json
import time

import pytest

from bmc.breaker import Breaker
from bmc.errors import BmcError, Busy, Denied, Nonsense, Unreachable, Unsupported
from bmc.redfish.client import MAX_ANSWER, RedfishClient
from bmc.redfish.driver import RedfishBmc
from bmc.types import BootDevice, BootOverride, PowerAction, PowerState
from tests.contracts.bmc_contract import FURTHER, InterruptContract, MediaContract, QuietBmcContract
from tests.fakes.bmcs import SECRET
from tests.fakes.redfish import certificate, redfish_rig


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    return certificate(tmp_path_factory.mktemp("redfish"))


@pytest.fixture
def rig(made):
    with redfish_rig(made) as one:
        yield one


@pytest.fixture
def connect(rig):
    """A driver for the rig's target, with other options where given."""
    opened = []

    def make(**changes):
        target = dataclasses.replace(rig.target, **changes)
        opened.append(RedfishBmc(target, client=RedfishClient(target, breaker=Breaker())))
        return opened[-1]

    yield make
    for one in opened:
        one.close()


class TestContract(QuietBmcContract, InterruptContract, MediaContract):
    further = FURTHER[1:]

    @pytest.fixture
    def bmc(self, connect):
        return connect()

    @pytest.fixture
    def interrupts(self, rig):
        return lambda: rig.machine.history.count("nmi")


def test_one_session_is_kept_and_ended(rig, connect):
    bmc = connect()
    for _ in range(3):
        bmc.power_state()
    assert rig.bmc.open_sessions == 1
    assert [path for method, path in rig.bmc.requests if method == "POST"] == ["/redfish/v1/SessionService/Sessions"]
    bmc.close()
    assert rig.bmc.open_sessions == 0


def test_a_lost_session_is_renewed(rig, connect):
    bmc = connect()
    bmc.power_state()
    rig.bmc.drop_sessions()
    assert bmc.power_state() is PowerState.OFF


def test_a_service_without_sessions_is_asked_with_basic(rig, connect):
    rig.bmc.weather.has_sessions = False
    assert connect().power_state() is PowerState.OFF
    with pytest.raises(Denied):
        connect(password="wrong").power_state()


def test_a_wrong_password_is_tried_once(rig, connect):
    bmc = connect(password="wrong")
    for _ in range(3):
        with pytest.raises(Denied):
            bmc.power_state()
    assert [path for method, path in rig.bmc.requests if method == "POST"] == ["/redfish/v1/SessionService/Sessions"]
    assert len(rig.bmc.requests) == 2, "the root is asked whether there are sessions, without a password"


def test_nobody_unknown_is_given_the_password(rig, connect):
    with pytest.raises(Denied, match="authority"):
        connect(options={}).power_state()
    with pytest.raises(Denied, match="fingerprint"):
        connect(options={"fingerprint": "00" * 32}).power_state()
    assert rig.bmc.requests == []
    assert connect(options={"verify_ca": False}).power_state() is PowerState.OFF


def test_an_action_that_is_not_offered_is_named(rig, connect):
    rig.bmc.manners.resets = ("On", "ForceOff")
    bmc = connect()
    bmc.power(PowerAction.ON)
    with pytest.raises(Unsupported, match="ForceRestart; it offers On, ForceOff"):
        bmc.power(PowerAction.RESET)
    with pytest.raises(Unsupported, match="Nmi; it offers On, ForceOff"):
        bmc.interrupt()


def test_a_boot_order_that_is_ignored_is_noticed(rig, connect):
    rig.bmc.weather.is_deaf = True
    with pytest.raises(Unsupported, match="ignored"):
        connect().set_boot_override(BootOverride(device=BootDevice.PXE, is_uefi=True))


@pytest.mark.parametrize(
    ("status", "kind"),
    [(403, Denied), (404, Unsupported), (409, Busy), (503, Busy), (500, Busy), (418, Nonsense), (301, Nonsense)],
)
def test_statuses(rig, connect, status, kind):
    bmc = connect()
    bmc.power_state()
    rig.bmc.weather.status = status
    rig.bmc.weather.location = "https://elsewhere.example/"
    with pytest.raises(kind) as caught:
        bmc.power_state()
    assert SECRET not in str(caught.value)


@pytest.mark.parametrize(
    "raw",
    [b"", b"no json", b"[]", b"{}", b"[" * 5000, b'{"PowerState": 7}', b'{"a":' * 60 + b"1" + b"}" * 60,
     b'{"PowerState": "' + b"x" * MAX_ANSWER + b'"}'],
    ids=["empty", "text", "list", "nothing", "deep list", "number", "deep", "5 MB"],
)  # fmt: skip
def test_answers_that_are_nonsense(rig, connect, raw):
    bmc = connect()
    bmc.power_state()
    rig.bmc.weather.raw = raw
    with pytest.raises(Nonsense):
        bmc.power_state()


def test_links_out_of_redfish_are_not_followed(rig, connect):
    bmc = connect()
    bmc.power_state()
    rig.bmc.weather.raw = json.dumps({"PowerState": "On", "Links": {"Chassis": [{"@odata.id": "//evil/x"}]}}).encode()
    with pytest.raises(Nonsense, match="outside"):
        bmc.sensors()


def test_slow_and_dripping_services_end_at_the_deadline(rig, connect):
    bmc = connect()
    bmc.power_state()
    for weather in ({"delay_s": 30.0}, {"drip_s": 0.05}):
        for name, value in weather.items():
            setattr(rig.bmc.weather, name, value)
        began = time.monotonic()
        with pytest.raises(Unreachable):
            bmc.power_state(deadline_s=0.3)
        assert time.monotonic() - began < 15
        rig.bmc.weather.delay_s = rig.bmc.weather.drip_s = 0.0


def test_a_dead_service_opens_the_breaker(rig, connect):
    bmc = connect()
    rig.bmc.stop()
    for _ in range(3):
        with pytest.raises(Unreachable):
            bmc.power_state()
    with pytest.raises(BmcError, match="Not asked again"):
        bmc.power_state()


def test_several_systems_want_a_name(rig, connect):
    bmc = connect()
    bmc.power_state()
    members = [{"@odata.id": f"/redfish/v1/Systems/{number}"} for number in (1, 2)]
    rig.bmc.weather.raw = json.dumps({"Members": members}).encode()
    with pytest.raises(Unsupported, match=r"2 systems: name one, one of /redfish/v1/Systems/1, /redfish/v1/Systems/2"):
        connect().power_state()
    rig.bmc.weather.raw = None
    assert connect(options=rig.target.options | {"system": "/redfish/v1/Systems/1"}).power_state() is PowerState.OFF

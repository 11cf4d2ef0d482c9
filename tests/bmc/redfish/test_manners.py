"""The Redfish driver against services that keep to the standard in their own way, as makers' services do."""

import dataclasses

import pytest
import urllib3

from bmc.breaker import Breaker
from bmc.errors import Busy, Denied, Nonsense, Unsupported
from bmc.redfish.client import RedfishClient
from bmc.redfish.driver import RedfishBmc
from bmc.types import BootDevice, BootOverride, MediaKind, PowerAction, PowerState
from bmc.virtual.redfish_state import SESSIONS, SYSTEM, Manners
from tests.fakes.redfish import certificate, redfish_rig

PXE = BootOverride(device=BootDevice.PXE, is_uefi=True)
DISK = BootOverride(device=BootDevice.DISK, persistent=True, is_uefi=True)
ISO = "http://192.0.2.1/a.iso"


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    return certificate(tmp_path_factory.mktemp("redfish"))


@pytest.fixture
def served(made):
    """A driver and its rig, for a service with these manners."""
    left = []

    def start(*, is_on=False, **manners):
        rig = redfish_rig(made, is_on=is_on, manners=Manners(**manners))
        one = rig.__enter__()
        bmc = RedfishBmc(one.target, client=RedfishClient(one.target, breaker=Breaker()))
        left.append((bmc, rig))
        return bmc, one

    yield start
    for bmc, rig in left:
        bmc.close()
        rig.__exit__(None, None, None)


def asked(rig, method):
    return [path for one, path in rig.bmc.requests if one == method]


@pytest.mark.parametrize(("etag", "patches"), [("weak", 2), ("body", 1), ("refused", 3), ("none", 2)])
def test_etags_of_every_kind(served, etag, patches):
    bmc, rig = served(etag=etag)
    bmc.set_boot_override(PXE)
    assert bmc.boot_override() == PXE
    assert len(asked(rig, "PATCH")) == patches


def test_what_somebody_else_changed_meanwhile_is_read_again(served, monkeypatch):
    bmc, rig = served()
    change = bmc._client.change

    def late(path, wish, etag):
        rig.bmc.state.version += 1
        change(path, wish, etag)

    monkeypatch.setattr(bmc._client, "change", late)
    bmc.identify(on_s=5)
    assert rig.bmc.state.led == "Blinking"


def test_tasks_are_waited_for(served):
    bmc, rig = served(tasks=2)
    bmc.set_boot_override(PXE)
    assert len([path for path in asked(rig, "GET") if "/TaskMonitors/" in path]) == 2
    bmc.insert_media(MediaKind.CDROM, ISO)
    assert [slot.image for slot in bmc.media() if slot.is_inserted] == [ISO]


def test_a_task_that_fails_is_a_refusal(served):
    bmc, _ = served(tasks=1, task_state="Exception")
    with pytest.raises(Unsupported, match="ended as Exception"):
        bmc.power(PowerAction.ON)


def test_a_task_without_end_is_not_waited_for_longer_than_the_deadline(served):
    bmc, _ = served(tasks=10**6)
    bmc.power_state()  # the log-in is not what ends at the deadline
    with pytest.raises(Busy, match="still at it"):
        bmc.power(PowerAction.ON, deadline_s=2)


def test_redirects_to_the_path_with_a_slash_are_followed(served):
    bmc, rig = served(slash=True)
    bmc.power(PowerAction.ON)
    assert rig.machine.history == ["on"]
    bmc.set_boot_override(PXE)
    assert bmc.sensors()


@pytest.mark.parametrize("status", [302, 307, 308])
@pytest.mark.parametrize(
    "location",
    ["https://elsewhere.example/redfish/v1/Systems", "http://127.0.0.1/redfish/v1/Systems", "//evil/redfish/v1/",
     "https://127.0.0.1:1/redfish/v1/", "/elsewhere", "https://[::1", ""],
)  # fmt: skip
def test_redirects_elsewhere_are_not(served, status, location):
    bmc, rig = served()
    bmc.power_state()
    rig.bmc.weather.status, rig.bmc.weather.location = status, location
    before = len(rig.bmc.requests)
    with pytest.raises(Nonsense):
        bmc.power_state()
    assert len(rig.bmc.requests) == before + 1


def test_a_circle_of_redirects_ends(served):
    bmc, rig = served()
    bmc.power_state()
    rig.bmc.weather.status, rig.bmc.weather.location = 308, "/redfish/v1/Systems/1"
    before = len(rig.bmc.requests)
    with pytest.raises(Nonsense, match="308"):
        bmc.power_state()
    assert len(rig.bmc.requests) == before + 3


def test_without_a_free_session_the_password_goes_with_each_request(served, made):
    bmc, rig = served(sessions=0)
    assert [bmc.power_state(), bmc.power_state()] == [PowerState.OFF] * 2
    assert asked(rig, "POST") == [SESSIONS]
    wrong = dataclasses.replace(rig.target, password="wrong")
    with pytest.raises(Denied):
        RedfishBmc(wrong, client=RedfishClient(wrong, breaker=Breaker())).power_state()


def test_a_service_that_has_no_sessions_and_refuses_strangers_first(served):
    bmc, rig = served(guarded=True)
    rig.bmc.weather.has_sessions = False
    assert bmc.power_state() is PowerState.OFF
    assert asked(rig, "POST") == [SESSIONS]


def test_the_way_to_log_in_may_be_given(served):
    _, rig = served(sessions=0)
    for way, found in (("basic", PowerState.OFF), ("auto", PowerState.OFF), ("session", None)):
        target = dataclasses.replace(rig.target, options=rig.target.options | {"auth_type": way})
        bmc = RedfishBmc(target, client=RedfishClient(target, breaker=Breaker()))
        before = len(asked(rig, "POST"))
        if found is None:
            with pytest.raises(Busy, match="no free session"):
                bmc.power_state()
        else:
            assert bmc.power_state() is found
        assert len(asked(rig, "POST")) == before + (way != "basic")
        bmc.close()


def test_an_overloaded_service_is_busy_and_not_a_wrong_password(served):
    bmc, rig = served()
    rig.bmc.weather.status = 503
    with pytest.raises(Busy):
        bmc.power_state()
    rig.bmc.weather.status = None
    assert bmc.power_state() is PowerState.OFF


@pytest.mark.parametrize("resets_in", ["system", "info", "nowhere"])
def test_where_the_power_cannot_be_dropped_the_machine_is_restarted(served, resets_in):
    bmc, rig = served(is_on=True, resets_in=resets_in, resets=("On", "ForceOff", "GracefulShutdown", "ForceRestart"))
    bmc.power(PowerAction.CYCLE)
    assert rig.machine.history == ["reset"]
    bmc.power(PowerAction.SOFT_OFF)
    assert rig.machine.history == ["reset", "soft"]


@pytest.mark.parametrize("manner", ["stays", "once", "changes", "settings"])
@pytest.mark.parametrize("override", [PXE, DISK])
def test_boot_orders_on_services_that_take_them_in_part(served, manner, override):
    bmc, _ = served(boot=manner)
    for _ in range(2):
        bmc.set_boot_override(override)
        found = bmc.boot_override()
        assert (found.device, found.is_uefi) == (override.device, True)


@pytest.mark.parametrize("manner", ["stays", "once"])
def test_an_override_that_would_catch_the_machine_is_refused(served, manner):
    """A firmware set-up for every boot, or a disc that is booted once in place of always, is not what was asked."""
    bmc, _ = served(boot=manner)
    with pytest.raises(Unsupported):
        bmc.set_boot_override(BootOverride(device=BootDevice.BIOS, persistent=manner == "once", is_uefi=True))


def test_what_is_forbidden_locks_nothing_else(served):
    """Some want a licence to show secure boot."""
    bmc, rig = served()
    bmc.power_state()
    rig.bmc.weather.status = 403
    with pytest.raises(Denied, match="licence"):
        bmc.secure_boot()
    rig.bmc.weather.status = None
    assert bmc.power_state() is PowerState.OFF


def test_a_machine_in_its_self_test_is_busy(served):
    bmc, _ = served(boot="busy")
    with pytest.raises(Busy, match="in POST"):
        bmc.set_boot_override(PXE)


def test_the_virtual_drive_of_supermicro_is_on_usb(served):
    bmc, rig = served(maker="Supermicro")
    bmc.set_boot_override(BootOverride(device=BootDevice.CDROM, is_uefi=True))
    assert rig.bmc.state.boot["BootSourceOverrideTarget"] == "UsbCd"


@pytest.mark.parametrize("media_in", ["system", "manager"])
@pytest.mark.parametrize("media_by", ["action", "change", "protocol"])
def test_media_wherever_they_are_and_however_they_are_told(served, media_in, media_by):
    bmc, _ = served(media_in=media_in, media_by=media_by)
    for url in (ISO, "https://192.0.2.1/b.iso"):
        bmc.insert_media(MediaKind.CDROM, url)
        assert [slot.image for slot in bmc.media() if slot.is_inserted] == [url]
    bmc.eject_media([MediaKind.DISK, MediaKind.FLOPPY])
    assert any(slot.is_inserted for slot in bmc.media())
    bmc.eject_media([MediaKind.CDROM])
    assert not any(slot.is_inserted for slot in bmc.media())


def test_a_log_in_pages_and_one_of_links(served):
    for manners in ({"page": 2}, {"log_links": True}, {"log_links": True, "page": 1}):
        bmc, _ = served(**manners)
        for action in (PowerAction.ON, PowerAction.OFF, PowerAction.ON, PowerAction.OFF, PowerAction.ON):
            bmc.power(action)
        assert [entry.record_id for entry in bmc.event_log()] == [1, 2, 3, 4, 5], manners


def test_a_log_with_the_newest_first(served):
    bmc, rig = served()
    row = {"Id": "9", "Created": "2026-01-02T00:00:00Z", "Message": "new"}
    rig.bmc.state.events += [row, {**row, "Id": "8", "Created": "2026-01-01T00:00:00+02:00", "Message": "old"}]
    assert [entry.event for entry in bmc.event_log()] == ["old", "new"]


def test_sensors_of_a_service_without_thermal(served):
    bmc, _ = served(sensors=True, is_on=True)
    found = {one.name: (one.kind, one.value, one.unit, one.health) for one in bmc.sensors()}
    assert found == {"Inlet Temp": ("Temperature", 23.0, "°C", "ok"), "Fan 1": ("Fan", 5400.0, "RPM", "ok")}


def test_systems_in_pages_are_all_seen(served):
    bmc, _ = served(systems=3, page=1)
    with pytest.raises(Unsupported, match=r"3 systems: name one, one of .*Systems/1, .*Systems/2, .*Systems/3"):
        bmc.power_state()


@pytest.mark.parametrize("end", ["", "/"])
def test_one_of_several_systems(served, end):
    _, rig = served(systems=2)
    target = dataclasses.replace(rig.target, options=rig.target.options | {"system": SYSTEM + end})
    bmc = RedfishBmc(target, client=RedfishClient(target, breaker=Breaker()))
    bmc.power(PowerAction.ON)
    bmc.set_boot_override(PXE)
    bmc.close()


@pytest.mark.parametrize("led", [False, True])
def test_lights(served, led):
    bmc, rig = served(led=led)
    (light,) = bmc.indicators()
    assert (light.component, light.state) == ("system", "off")
    assert light.states == (("blinking", "off", "on") if led else ("off", "on"))
    bmc.set_indicator("system", light.name, "on")
    assert bmc.indicators()[0].state == "on"
    bmc.identify(on_s=0)
    assert rig.bmc.state.led == "Off"
    bmc.identify(on_s=5)
    assert rig.bmc.state.led == "Blinking"
    for component, name, state in (("system", "x", "on"), ("disk", light.name, "on"), ("system", light.name, "red")):
        with pytest.raises(Unsupported):
            bmc.set_indicator(component, name, state)


def test_secure_boot(served):
    bmc, rig = served()
    assert bmc.secure_boot() is False
    for on in (True, True, False):
        bmc.set_secure_boot(on=on)
        assert bmc.secure_boot() is on
    assert len(asked(rig, "PATCH")) == 2


def test_a_kept_connection_that_the_service_dropped_is_renewed_for_what_only_reads(served, monkeypatch):
    bmc, _ = served()
    bmc.power_state()
    begun, broken = bmc._client._pool.urlopen, []

    def once(method, path, **more):
        if not broken:
            broken.append(path)
            raise urllib3.exceptions.ProtocolError("Connection aborted.")
        return begun(method, path, **more)

    monkeypatch.setattr(bmc._client._pool, "urlopen", once)
    assert bmc.power_state() is PowerState.OFF
    assert broken

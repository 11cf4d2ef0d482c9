import asyncio
from ipaddress import IPv4Address

import pytest

from appliance.netboot.control import Control, ControlDown
from pxe.types import Action, Client, Firmware, Mac, Stage
from tests.fakes.control import FakeControl, netboot_config

CLIENT = Client(mac=Mac("52:54:00:00:00:01"), architecture=7, firmware=Firmware.UEFI, stage=Stage.FIRMWARE)
SERVER = IPv4Address("10.77.0.1")


@pytest.fixture
def fake(tmp_path):
    fake = FakeControl(netboot_config("br0"))
    fake.start(tmp_path / "control.sock")
    yield fake
    fake.stop()


def run(tmp_path, scenario):
    async def main():
        control = Control(tmp_path / "control.sock")
        try:
            await scenario(control)
        finally:
            await control.close()

    asyncio.run(main())


def plan(control):
    return control.plan(CLIENT, address=None, subnet="lab", server=SERVER)


def test_plan(fake, tmp_path):
    async def scenario(control):
        fake.plan = lambda _: {"action": "boot", "why": "deploying", "node": "n1"}
        found = await plan(control)
        assert (found.action, found.why, found.node) == (Action.BOOT, "deploying", "n1")
        assert fake.plans_asked == [
            {
                "mac": CLIENT.mac,
                "architecture": 7,
                "firmware": "uefi",
                "stage": "firmware",
                "address": None,
                "subnet": "lab",
                "server": "10.77.0.1",
            }
        ]

    run(tmp_path, scenario)


@pytest.mark.parametrize("reply", [{}, [], "x", {"action": "explode", "why": ""}, {"action": "boot"}, None])
def test_nonsense_is_control_down(fake, tmp_path, reply):
    async def scenario(control):
        fake.plan = lambda _: reply
        with pytest.raises(ControlDown):
            await plan(control)

    run(tmp_path, scenario)


def test_nobody_there(tmp_path):
    async def scenario(control):
        for call in (
            plan(control),
            control.config(revision="", wait_s=0),
            control.script({}),
            control.push("events", []),
            control.call_home(token="t", address="a", fields={}),
            control.file(path="p", token="t", address="a"),
        ):
            with pytest.raises(ControlDown):
                await call

    run(tmp_path, scenario)


def test_configuration_is_waited_for(fake, tmp_path):
    async def scenario(control):
        assert b'"lab"' in await control.config(revision="", wait_s=0)
        assert await control.config(revision="1", wait_s=0) is None
        waiting = asyncio.create_task(control.config(revision="1", wait_s=20))
        await asyncio.sleep(0.05)
        fake.change(revision=2)
        assert b'"revision": 2' in await asyncio.wait_for(waiting, 30)

    run(tmp_path, scenario)


def test_files_and_calls_home(fake, tmp_path):
    async def scenario(control):
        fake.files["/image/u/f"] = {"file": "/x", "size": 5, "token": "t"}
        found = await control.file(path="/image/u/f", token="t", address="10.77.0.9")
        assert (str(found.path), found.size, found.sha256) == ("/x", 5, None)
        assert await control.file(path="/image/u/f", token="wrong", address="10.77.0.9") is None
        fake.call_home_tokens.add("t")
        assert await control.call_home(token="t", address="10.77.0.9", fields={"a": "b"})
        assert not await control.call_home(token="u", address="10.77.0.9", fields={})

    run(tmp_path, scenario)

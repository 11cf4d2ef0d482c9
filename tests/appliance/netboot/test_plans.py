import asyncio
from ipaddress import IPv4Address

from appliance.netboot.control import ControlDown
from appliance.netboot.plans import Plans
from pxe.types import Action, BootPlan, Client, Firmware, Mac, Stage

KNOWN, STRANGER = Mac("52:54:00:00:00:01"), Mac("52:54:00:00:00:02")
SERVER = IPv4Address("10.0.0.1")


def client(mac=KNOWN, stage=Stage.FIRMWARE):
    return Client(mac=mac, architecture=7, firmware=Firmware.UEFI, stage=stage)


class Source:
    def __init__(self):
        self.asked = 0
        self.is_down = False

    async def plan(self, client, *, address, subnet, server):
        del client, address, subnet, server
        self.asked += 1
        await asyncio.sleep(0)
        if self.is_down:
            raise ControlDown("test")
        return BootPlan(action=Action.BOOT, why=f"answer {self.asked}")


class Scene:
    def __init__(self):
        self.now = 0.0
        self.source = Source()
        self.plans = Plans(self.source, knows=KNOWN.__eq__, clock=lambda: self.now)

    async def ask(self, asked=None):
        return await self.plans.plan_for(asked or client(), address=None, subnet="lab", server=SERVER)


def test_answer_is_kept_for_two_seconds():
    async def main():
        scene = Scene()
        assert (await scene.ask()).why == "answer 1"
        scene.now = 1.9
        assert (await scene.ask()).why == "answer 1"
        scene.now = 2.1
        assert (await scene.ask()).why == "answer 2"
        scene.plans.forget()
        assert (await scene.ask()).why == "answer 3"
        scene.now = 2.2
        scene.plans.forget()
        scene.now = 2.3
        assert (await scene.ask()).why == "answer 4"
        assert (await scene.ask()).why == "answer 4"

    asyncio.run(main())


def test_stages_of_one_machine_are_asked_for_apart():
    async def main():
        scene = Scene()
        await scene.ask()
        await scene.ask(client(stage=Stage.IPXE))
        assert scene.source.asked == 2

    asyncio.run(main())


def test_many_at_once_ask_once():
    async def main():
        scene = Scene()
        found = await asyncio.gather(*[scene.ask() for _ in range(50)])
        assert scene.source.asked == 1
        assert len(set(found)) == 1

    asyncio.run(main())


def test_without_control_a_known_machine_boots_its_disk_and_a_stranger_is_left_alone():
    async def main():
        scene = Scene()
        scene.source.is_down = True
        assert (await scene.ask()).action is Action.LOCAL
        assert (await scene.ask(client(STRANGER))).action is Action.IGNORE
        scene.source.is_down = False
        scene.now = 2.1
        assert (await scene.ask()).action is Action.BOOT

    asyncio.run(main())


def test_busy_control_does_not_end_a_boot():
    async def main():
        scene = Scene()
        await scene.ask()
        scene.source.is_down = True
        scene.plans.forget()
        scene.now = 59
        assert (await scene.ask()).action is Action.BOOT
        scene.now = 61
        assert (await scene.ask()).action is Action.LOCAL

    asyncio.run(main())


def test_memory_is_bounded():
    async def main():
        scene = Scene()
        for number in range(4200):
            await scene.ask(client(Mac(f"02:00:00:00:{number >> 8:02x}:{number & 255:02x}")))
        assert len(scene.plans._kept) == 4096

    asyncio.run(main())

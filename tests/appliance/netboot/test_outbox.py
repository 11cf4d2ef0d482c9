import asyncio
import contextlib
from ipaddress import IPv4Address

from appliance.netboot import outbox
from appliance.netboot.control import ControlDown, ControlRefused
from appliance.netboot.outbox import Outbox, Reporter
from pxe.types import Lease, Mac


class Pusher:
    def __init__(self):
        self.got = []
        self.both = asyncio.Event()
        self.is_down = False

    async def push(self, what, entries):
        if self.is_down:
            raise ControlDown("test")
        self.got.append((what, list(entries)))
        if len(self.got) == 2:
            self.both.set()


def test_batches():
    async def main():
        pusher = Pusher()
        box = Outbox("events", pusher)
        for number in range(1200):
            box.put({"n": number})
        assert await box.flush()
        assert [len(entries) for _, entries in pusher.got] == [500, 500, 200]

    asyncio.run(main())


def test_what_control_will_never_take_does_not_hold_up_the_rest():
    class Picky(Pusher):
        async def push(self, what, entries):
            if {"n": 3} in entries:
                raise ControlRefused("test")
            await super().push(what, entries)

    async def main():
        pusher = Picky()
        box = Outbox("events", pusher)
        for number in range(700):
            box.put({"n": number})
        assert await box.flush()
        assert [len(entries) for _, entries in pusher.got] == [200]
        assert box.dropped == 500

    asyncio.run(main())


def test_kept_in_order_while_control_is_away():
    async def main():
        pusher = Pusher()
        box = Outbox("events", pusher)
        pusher.is_down = True
        for number in range(3):
            box.put({"n": number})
        assert not await box.flush()
        box.put({"n": 3})
        pusher.is_down = False
        assert await box.flush()
        assert [entry["n"] for entry in pusher.got[0][1]] == [0, 1, 2, 3]
        assert box.dropped == 0

    asyncio.run(main())


def test_oldest_are_dropped_and_counted():
    async def main():
        pusher = Pusher()
        box = Outbox("events", pusher)
        for number in range(outbox._LIMIT + 7):
            box.put({"n": number})
        assert box.dropped == 7
        pusher.is_down = True
        assert not await box.flush()
        assert box.dropped == 7
        pusher.is_down = False
        await box.flush()
        assert pusher.got[0][1][0]["n"] == 7

    asyncio.run(main())


def test_task_pushes_soon():
    async def main():
        pusher = Pusher()
        reporter = Reporter(pusher, clock=lambda: 5.0)
        tasks = [asyncio.create_task(box.run()) for box in (reporter.events, reporter.leases)]
        reporter.record("dhcp.ack", Mac("02:00:00:00:00:01"), "said", {"a": 1})
        reporter.lease(
            Lease(address=IPv4Address("10.0.0.7"), mac=Mac("02:00:00:00:00:01"), subnet="lab", expires_at=9.0)
        )
        async with asyncio.timeout(3):
            await pusher.both.wait()
        for task in tasks:
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await task
        told = dict(pusher.got)
        assert told["events"] == [
            {"at": 5.0, "mac": "02:00:00:00:00:01", "kind": "dhcp.ack", "message": "said", "data": {"a": 1}}
        ]
        assert told["leases"] == [
            {
                "address": "10.0.0.7",
                "mac": "02:00:00:00:00:01",
                "hostname": None,
                "subnet": "lab",
                "expires_at": 9.0,
            }
        ]

    asyncio.run(main())

"""The server on the loopback interface, as a relay sees it, so that no port below 1024 and no broadcast is needed."""

import asyncio
import socket
import time
from ipaddress import IPv4Address

import pytest

from pxe.dhcp4 import packet as frame
from pxe.dhcp4.options import MessageType, Tag
from pxe.dhcp4.server import DhcpServer
from pxe.errors import ListenFault
from pxe.types import Action
from tests.fakes import ports
from tests.fakes.dhcp_client import BIOS, network, request
from tests.fakes.pxe_needs import FixedPlans, ListJournal, MemoryLeases

RELAY = IPv4Address("127.0.77.2")
SERVER = IPv4Address("127.0.77.1")
DISCOVER, REQUEST = MessageType.DISCOVER, MessageType.REQUEST


class Bench:
    """One server, one socket that plays a relay."""

    def __init__(self, size=100):
        self.port = ports.free(1)[0]
        self.plans, self.leases, self.journal = FixedPlans(), MemoryLeases(), ListJournal()
        self.told = []
        self.net = network(interface="lo", cidr="127.0.77.0/24", server=SERVER, relays=(str(RELAY),), size=size)
        self.server = DhcpServer(
            plans=self.plans,
            leases=self.leases,
            journal=self.journal,
            clock=time.time,
            told=self.told.append,
            port=self.port,
        )

    async def __aenter__(self):
        self.relay = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.relay.setblocking(False)
        self.server.open("lo")
        await self.server.serve(lambda: {"lo": [self.net]})
        return self

    async def __aexit__(self, *_):
        await self.server.stop()
        self.relay.close()

    def send(self, data):
        self.relay.sendto(data, (str(SERVER), self.port))


def run(scenario, **options):
    async def main():
        async with Bench(**options) as bench:
            sent = []
            bench.server._send = lambda item, found: sent.append((item, found))
            await scenario(bench, sent)

    asyncio.run(main())


async def until(condition, seconds=60.0):
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it did not happen"
        await asyncio.sleep(0.005)


def relayed(kind, number, **more):
    return frame.serialize(request(kind, number, giaddr=RELAY, **more))


def test_many_requests_share_few_commits():
    async def scenario(bench, sent):
        for number in range(50):
            bench.send(relayed(REQUEST, number, wanted=f"127.0.77.{100 + number}"))
        await until(lambda: len(sent) == 50)
        assert {found.kind for _, found in sent} == {MessageType.ACK}
        assert sum(bench.leases.batches) == 50
        assert len(bench.leases.batches) <= 10
        assert len(bench.leases.rows) == len(bench.told) == 50

    run(scenario)


def test_no_ack_when_the_disk_refuses_and_recovery_by_itself():
    async def scenario(bench, sent):
        bench.send(relayed(REQUEST, 1, wanted="127.0.77.100"))
        await until(lambda: len(sent) == 1)
        bench.leases.is_broken = True
        bench.send(relayed(REQUEST, 1, wanted="127.0.77.100"))
        bench.send(relayed(REQUEST, 2, wanted="127.0.77.101"))
        await until(lambda: bench.server.counters.silent == 1)
        assert [item.client.mac[-2:] for item, _ in sent] == ["01", "01"]
        assert bench.net.book.owner(IPv4Address("127.0.77.101"), time.time()) is None
        assert bench.server.storage_fault
        bench.leases.is_broken = False
        bench.send(relayed(REQUEST, 2, wanted="127.0.77.101"))
        await until(lambda: len(sent) == 3)
        assert len(bench.leases.rows) == 2
        assert bench.server.storage_fault == ""

    run(scenario)


def test_junk_is_counted_and_the_loop_goes_on():
    async def scenario(bench, sent):
        junk = [b"", b"x", bytes(239), bytes(240), b"\xaf" * 600, b"\2" + relayed(DISCOVER, 1)[1:]]
        junk.append(frame.serialize(request(DISCOVER, giaddr=IPv4Address("127.0.77.9"))))
        for data in junk:
            bench.send(data)
        bench.send(relayed(DISCOVER, 1))
        await until(lambda: sent)
        counters = bench.server.counters
        assert counters.malformed == 5
        assert counters.not_for_us == 2
        assert [found.kind for _, found in sent] == [MessageType.OFFER]

    run(scenario)


def test_one_noisy_machine_is_limited_and_others_are_not():
    async def scenario(bench, sent):
        for _ in range(60):
            bench.send(relayed(DISCOVER, 1))
        bench.send(relayed(DISCOVER, 2))
        await until(lambda: any(item.client.mac.endswith("02") for item, _ in sent))
        assert bench.server.counters.limited >= 35

    run(scenario)


def test_plan_is_asked_for_boot_clients_only():
    async def scenario(bench, sent):
        bench.send(relayed(DISCOVER, 1, options=BIOS))
        bench.send(relayed(DISCOVER, 2))
        await until(lambda: len(sent) == 2)
        assert [client.mac[-2:] for client in bench.plans.asked] == ["01"]
        files = {item.client.mac[-2:]: found.boot_file for item, found in sent}
        assert files == {"01": "undionly.kpxe", "02": None}
        assert bench.plans.plan.action is Action.BOOT

    run(scenario)


def test_replies_travel():
    """Without the stub: the reply goes to the relay's address, at the server port."""

    async def main():
        bench = Bench()
        async with bench:
            own = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
            own.setblocking(False)
            own.bind((str(RELAY), 0))
            bench.server._port = own.getsockname()[1]  # where a relay listens
            bench.send(relayed(REQUEST, 1, wanted="127.0.77.100", options={Tag.CLIENT_ID: b"id"}))
            data = await asyncio.wait_for(asyncio.get_running_loop().sock_recv(own, 2000), 30)
            own.close()
            assert frame.parse(data).options[Tag.MESSAGE_TYPE] == bytes((MessageType.ACK,))
            assert bench.journal.kinds() == ["dhcp.ack"]
            assert next(iter(bench.leases.rows.values())).client_id == b"id"

    asyncio.run(main())


def test_missing_interface_is_named():
    async def main():
        server = Bench().server
        with pytest.raises(ListenFault, match=r"DHCP: cannot listen on nosuch0 .*no such interface"):
            server.open("nosuch0")

    asyncio.run(main())

"""Durable DHCP exchanges per second: DISCOVER, OFFER, REQUEST, ACK with the lease on the disk before the ACK.

`python -m tests.bench.bench_dhcp [seconds]` prints one JSON object. Server and client are two processes on loopback;
the client plays a relay, as perfdhcp does. First as fast as it goes with 100 machines at a time, then at 1,000 per
second. Every machine is a new one, so every exchange allocates an address and writes a row.
"""

import asyncio
import contextlib
import json
import os
import platform
import select
import signal
import socket
import statistics
import struct
import subprocess
import sys
import tempfile
import time
from ipaddress import IPv4Address
from pathlib import Path

from appliance.netboot.lease_store import LeaseStore
from pxe.dhcp4 import packet as frame
from pxe.dhcp4.options import MessageType
from pxe.dhcp4.server import DhcpServer
from tests.fakes.dhcp_client import network, request
from tests.fakes.pxe_needs import FixedPlans, ListJournal

RELAY, SERVER = IPv4Address("127.64.0.2"), IPv4Address("127.64.0.1")
POOL = 200_000
LOST_AFTER_S = 1.0


class NoJournal(ListJournal):
    def record(self, kind, mac, message, data):
        pass


async def serve(folder: Path, port: int) -> None:
    store = LeaseStore(folder / "leases.db")
    net = network(interface="lo", cidr="127.64.0.0/14", server=SERVER, relays=(str(RELAY),), size=POOL)
    server = DhcpServer(
        plans=FixedPlans(), leases=store, journal=NoJournal(), clock=time.time, told=lambda _: None, port=port
    )
    await server.serve(lambda: {"lo": [net]})
    server.open("lo")
    server._port = port + 1  # where the relay of this bench listens, since one host cannot have both at one port
    stop = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set)
    print("ready", flush=True)
    await stop.wait()
    await server.stop()
    store.close()


class Relay:
    """Speaks for any number of new machines. Packets are made from two templates, so that the client is cheap."""

    def __init__(self, port: int) -> None:
        self.to = (str(SERVER), port)
        self.own = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.own.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4 << 20)
        self.own.bind((str(RELAY), port + 1))
        self.own.setblocking(False)
        self.discover = frame.serialize(request(MessageType.DISCOVER, 0, giaddr=RELAY))
        self.request = frame.serialize(request(MessageType.REQUEST, 0, wanted="1.2.3.4", server=SERVER, giaddr=RELAY))
        self.wanted_at = self.request.index(bytes((1, 2, 3, 4)))
        self.began: dict[int, float] = {}
        self.took: list[float] = []
        self.next = 0
        self.lost = 0

    def begin(self, now: float) -> None:
        self.next += 1
        self.began[self.next] = now
        self.send(self.discover, self.next)

    def send(self, template: bytes, number: int) -> None:
        head = struct.pack("!I", number)
        data = bytearray(template)
        data[4:8] = head
        data[28:34] = b"\2\0" + head
        with contextlib.suppress(BlockingIOError):
            self.own.sendto(data, self.to)

    def receive(self) -> int:
        """How many exchanges ended."""
        ended = 0
        for _ in range(200):
            try:
                data = self.own.recv(2048)
            except BlockingIOError:
                break
            number = int.from_bytes(data[4:8], "big")
            kind = data[242]
            if kind == MessageType.OFFER and number in self.began:
                template = bytearray(self.request)
                template[self.wanted_at : self.wanted_at + 4] = data[16:20]
                self.send(bytes(template), number)
            elif kind == MessageType.ACK and number in self.began:
                self.took.append(time.monotonic() - self.began.pop(number))
                ended += 1
        return ended

    def give_up_old(self, now: float) -> None:
        for number in [number for number, began in self.began.items() if now - began > LOST_AFTER_S]:
            del self.began[number]
            self.lost += 1

    def run(self, seconds: float, *, rate: float = 0.0, outstanding: int = 0) -> dict[str, float]:
        self.took, self.lost, first = [], 0, self.next
        began = now = time.monotonic()
        while now - began < seconds:
            if rate:
                while self.next - first < (now - began) * rate:
                    self.begin(now)
            else:
                while len(self.began) < outstanding:
                    self.begin(now)
            select.select([self.own], [], [], 0.001)
            self.receive()
            now = time.monotonic()
            self.give_up_old(now)
        done, offered = len(self.took), self.next - first
        while self.began and time.monotonic() - now < LOST_AFTER_S:
            select.select([self.own], [], [], 0.05)
            self.receive()
        lost = self.lost + len(self.began)
        self.began.clear()
        cuts = statistics.quantiles(self.took, n=100)
        return {
            "exchanges_per_s": round(done / seconds, 1),
            "offered_per_s": round(offered / seconds, 1),
            "lost_percent": round(100 * lost / offered, 2),
            "p50_ms": round(cuts[49] * 1000, 2),
            "p99_ms": round(cuts[98] * 1000, 2),
        }


def sync_ms(folder: Path) -> float:
    """What the disk asks for one durable write: median of 50."""
    times = []
    with (folder / "probe").open("wb") as probe:
        for _ in range(50):
            probe.write(b"x" * 4096)
            probe.flush()
            began = time.perf_counter()
            os.fdatasync(probe.fileno())
            times.append(time.perf_counter() - began)
    return statistics.median(times) * 1000


def main(seconds: float) -> None:
    with tempfile.TemporaryDirectory(prefix="bench-dhcp-") as name:
        folder = Path(name)
        port = 23000 + os.getpid() % 20000
        argv = [sys.executable, "-m", "tests.bench.bench_dhcp", "serve", name, str(port)]
        with subprocess.Popen(argv, stdout=subprocess.PIPE) as server:
            try:
                assert server.stdout is not None
                assert server.stdout.readline() == b"ready\n"
                relay = Relay(port)
                fastest = relay.run(seconds, outstanding=100)
                steady = relay.run(seconds, rate=1000)
                with Path(f"/proc/{server.pid}/status").open() as status:
                    rss_kib = next(int(line.split()[1]) for line in status if line.startswith("VmRSS"))
                relay.own.close()
            finally:
                server.terminate()
        rows = len(LeaseStore(folder / "leases.db").load())
        print(
            json.dumps(
                {
                    "bench": "dhcp",
                    "fastest": fastest,
                    "steady": steady,
                    "leases_on_disk": rows,
                    "server_rss_mib": round(rss_kib / 1024, 1),
                    "sync_ms": round(sync_ms(folder), 3),
                    "load_before": os.getloadavg()[0],
                    "cores": os.cpu_count(),
                    "kernel": platform.release(),
                }
            )
        )


if __name__ == "__main__":
    if sys.argv[1:2] == ["serve"]:
        asyncio.run(serve(Path(sys.argv[2]), int(sys.argv[3])))
    else:
        main(float(sys.argv[1]) if len(sys.argv) > 1 else 10.0)

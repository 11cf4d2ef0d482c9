"""TFTP octets per second on loopback: one client, then fifty at once, lock-step at 1,408 octets as boot programs do it.

`python -m tests.bench.bench_tftp` prints one JSON object. Server and clients are two processes.
"""

import asyncio
import json
import os
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

from pxe.tftp import packet
from pxe.tftp.files import Tree
from pxe.tftp.packet import ReadRequest
from pxe.tftp.server import TftpServer
from tests.bench.bench_dhcp import NoJournal

HOST = IPv4Address("127.65.0.1")
SIZE = 8 << 20


async def serve(folder: Path, port: int) -> None:
    server = TftpServer(files=Tree(folder), journal=NoJournal(), mac_of=lambda _: None, port=port)
    server.open("lo", HOST)
    stop = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set)
    print("ready", flush=True)
    await stop.wait()
    server.stop()


def fetch(count: int, port: int) -> dict[str, float]:
    """count clients in one loop, each from an address of its own."""
    began = time.monotonic()
    clients: dict[int, list] = {}
    poll = select.poll()
    for number in range(count):
        own = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        own.bind((f"127.65.1.{number + 1}", 0))
        own.setblocking(False)
        asked = ReadRequest(name="file", mode="octet", options={"blksize": "1408"})
        own.sendto(packet.read_request(asked), (str(HOST), port))
        clients[own.fileno()] = [own, 0, 0]
        poll.register(own, select.POLLIN)
    ended = []
    while clients:
        for number, _ in poll.poll(5000):
            state = clients[number]
            data, server = state[0].recvfrom(2048)
            opcode, block = struct.unpack_from("!HH", data)
            if opcode == 6:
                state[0].sendto(packet.ack(0), server)
                continue
            state[0].sendto(packet.ack(block), server)
            state[1] += len(data) - 4
            if len(data) - 4 < 1408:
                assert state[1] == SIZE
                ended.append(time.monotonic() - began)
                poll.unregister(state[0])
                state[0].close()
                del clients[number]
    return {
        "mib_per_s": round(count * SIZE / (time.monotonic() - began) / 2**20, 1),
        "slowest_by_median": round(max(ended) / statistics.median(ended), 2),
    }


def main() -> None:
    with tempfile.TemporaryDirectory(prefix="bench-tftp-") as name:
        (Path(name) / "file").write_bytes(os.urandom(SIZE))
        port = 24000 + os.getpid() % 20000
        argv = [sys.executable, "-m", "tests.bench.bench_tftp", "serve", name, str(port)]
        with subprocess.Popen(argv, stdout=subprocess.PIPE) as server:
            try:
                assert server.stdout is not None
                assert server.stdout.readline() == b"ready\n"
                result = {"bench": "tftp", "one": fetch(1, port), "fifty": fetch(50, port)}
                fields = Path(f"/proc/{server.pid}/stat").read_text().rsplit(")", 1)[1].split()
                cpu_s = (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
                result["mib_per_cpu_s"] = round(51 * SIZE / 2**20 / cpu_s, 1)
            finally:
                server.terminate()
        print(json.dumps({**result, "load": os.getloadavg()[0], "cores": os.cpu_count()}))


if __name__ == "__main__":
    if sys.argv[1:2] == ["serve"]:
        asyncio.run(serve(Path(sys.argv[2]), int(sys.argv[3])))
    else:
        main()
